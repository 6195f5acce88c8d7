//! Socket activation (`sd_listen_fds(3)`), descriptors, and the working directory: the command gets what it would have
//! without us, and we keep hold of nothing.

use std::fs;
use std::path::Path;

use super::init;
use crate::harness::needs::{self, skip};
use crate::harness::{DEADLINE, Proxy, Report, Scope, eventually, proc};

/// Executes what follows with `LISTEN_PID` and `LISTEN_FDS` as a supervisor sets them, and with the descriptors for that.
const ACTIVATED: &str = r#"exec 3</dev/null 4</dev/zero; LISTEN_PID=$$ LISTEN_FDS=2 exec "$@""#;

const ASK: [&str; 3] = ["facts", "--env=LISTEN_PID", "--env=LISTEN_FDS"];

fn facts(scope: &Scope, proxy: Proxy<'_>) -> Report {
    proxy.specimen(ASK).run().expect_code(0);
    scope.reports().expect("facts", "facts")
}

fn check_activated(facts: &Report) {
    assert_eq!(facts.text("env.LISTEN_PID"), facts.pid().to_string(), "{facts}");
    assert_eq!(facts.text("env.LISTEN_FDS"), "2");
    assert_eq!(facts.numbers("descriptors"), [0, 1, 2, 3, 4]);
}

#[test]
fn the_command_finds_its_own_pid_where_ours_was() {
    let scope = Scope::new();
    check_activated(&facts(&scope, init(&scope).prefix(["sh", "-c", ACTIVATED, "sh"])));
    if needs::root().is_ok() {
        // The pid stays with a switch of the user alone: this is right already.
        let switcher = Proxy::new(&scope).options(["-x", "-U", "0"]).prefix(["sh", "-c", ACTIVATED, "sh"]);
        check_activated(&facts(&scope, switcher));
    }
}

#[test]
fn a_launcher_finds_its_own_pid_as_well() {
    let scope = Scope::new();
    let launch = Proxy::new(&scope)
        .prefix(["sh", "-c", ACTIVATED, "sh"])
        .pid_file(scope.path("pid"))
        .command(["sh", "-c", "\"$@\"; exit 42", "sh"])
        .command(["sh", "-c", "echo $LISTEN_PID $PPID $LISTEN_FDS"]);
    let words = launch.run().expect_code(42).stdout;
    let words: Vec<&str> = words.split_whitespace().collect();
    assert_eq!((words[0], words[2]), (words[1], "2"), "the launcher is the outer shell");
}

#[test]
fn process_1_hands_its_activation_on() {
    if let Err(reason) = needs::process_1() {
        return skip(&reason);
    }
    let scope = Scope::new();
    let facts = facts(&scope, init(&scope).process_1().prefix(["sh", "-c", ACTIVATED, "sh"]));
    check_activated(&facts);
    assert_ne!(facts.pid(), 1);
}

/// A pid with more digits than ours has to fit where ours was.
#[test]
fn a_longer_pid_fits() {
    if let Err(reason) = needs::process_1() {
        return skip(&reason);
    }
    for last in ["8", "98", "998", "9998"] {
        let scope = Scope::new();
        let script = r#"echo "$0" >/proc/sys/kernel/ns_last_pid; sh -c "$INNER" sh "$@"; exit $?"#;
        let inner = r#"LISTEN_PID=$$ LISTEN_FDS=0 exec "$@""#;
        let facts = facts(&scope, init(&scope).process_1().env("INNER", inner).prefix(["sh", "-c", script, last]));
        if Path::new("/proc/sys/kernel/ns_last_pid").exists() {
            assert_eq!(facts.number("pid"), last.parse::<i64>().expect("a number") + 2);
        }
        assert_eq!(facts.text("env.LISTEN_PID"), facts.pid().to_string(), "{facts}");
    }
}

#[test]
fn an_activation_of_somebody_else_is_left_alone() {
    let scope = Scope::new();
    for value in ["1", "99999999", "", "nonsense", "-1"] {
        let facts = facts(&scope, init(&scope).env("LISTEN_PID", value).env("LISTEN_FDS", "1"));
        assert_eq!((facts.text("env.LISTEN_PID"), facts.text("env.LISTEN_FDS")), (value.to_owned(), "1".to_owned()));
    }
    // Our own pid with something behind it is not our own pid.
    for script in [r#"LISTEN_PID=${$}0 exec "$@""#, r#"LISTEN_PID=0x$$ exec "$@""#, r#"XLISTEN_PID=$$ exec "$@""#] {
        let prefix = ["sh", "-c", &format!("echo $$; {script}"), "sh"];
        let proxy = init(&scope).prefix(prefix).specimen(["facts", "--env=LISTEN_PID", "--env=XLISTEN_PID"]);
        let own_pid = proxy.run().expect_code(0).stdout.trim().to_owned();
        let facts = scope.reports().expect("facts", "facts");
        let found = facts.get("env.LISTEN_PID").or_else(|| facts.get("env.XLISTEN_PID"));
        let expected = script.split_once('=').expect("a variable").1.split_once(' ').expect("a value").0;
        let expected = expected.replace("${$}", &own_pid).replace("$$", &own_pid);
        assert_eq!(found.as_deref(), Some(expected.as_str()), "{script}");
    }
    let facts = facts(&scope, init(&scope).env_remove("LISTEN_PID"));
    assert_eq!(facts.get("env.LISTEN_PID"), None);
}

/// Descriptors of the proxy from 3 up that lead to something which others could want closed. Its own lead to nothing that
/// has a name.
fn pinned(pid: i32) -> Vec<(i32, String)> {
    let mut descriptors = proc::descriptors(pid);
    descriptors.retain(|(number, target)| *number > 2 && !target.starts_with("anon_inode:"));
    descriptors
}

#[test]
fn descriptors_go_to_the_command_and_are_closed_in_us() {
    let scope = Scope::new();
    let file = scope.path("file");
    fs::write(&file, "").expect("our own directory");
    let script = r#"exec 3<"$0" 4</dev/null 9>/dev/zero; exec "$@""#;
    let pid_file = scope.path("pid");
    let daemon = ["daemon".into(), "--name=program".into(), format!("--pid-file={}", pid_file.display())];
    let starts = [init(&scope).specimen(["program"]), Proxy::new(&scope).pid_file(&pid_file).specimen(daemon)];
    for start in starts {
        let running = start.prefix(["sh", "-c", script]).prefix([&file]).spawn();
        let program = scope.reports().expect("program", "ready").pid();
        let numbers: Vec<i32> = proc::descriptors(program).into_iter().map(|(number, _)| number).collect();
        assert!([3, 4, 9].iter().all(|number| numbers.contains(number)), "{numbers:?}");
        let closed = eventually(DEADLINE, || pinned(running.pid()).is_empty().then_some(()));
        assert_eq!(closed, Some(()), "{:?}\n{}", pinned(running.pid()), running.evidence());
        // Standard input and output stay: whoever waits for their end waits for ours.
        let kept: Vec<i32> = proc::descriptors(running.pid()).into_iter().map(|(number, _)| number).collect();
        assert_eq!(kept[..3], [0, 1, 2]);
    }
}

#[test]
fn many_descriptors_are_closed_too() {
    let scope = Scope::new();
    let script = r#"exec 9<"$0"; i=10; while [ $i -lt 800 ]; do eval "exec $i<&9"; i=$((i+1)); done; exec "$@""#;
    let running = init(&scope).prefix(["bash", "-c", script, "/dev/null"]).specimen(["program"]).spawn();
    let program = scope.reports().expect("program", "ready").pid();
    assert!(proc::descriptors(program).len() > 700);
    eventually(DEADLINE, || pinned(running.pid()).is_empty().then_some(())).expect("all are closed");
}

#[test]
fn the_command_keeps_its_directory_and_we_leave_it() {
    let scope = Scope::new();
    let directory = scope.path("").canonicalize().expect("our own directory");
    let running = init(&scope).directory(&directory).specimen(["program"]).spawn();
    let program = scope.reports().expect("program", "ready").pid();
    let directory_of = |pid: i32| fs::read_link(format!("/proc/{pid}/cwd")).ok();
    assert_eq!(directory_of(program), Some(directory));
    eventually(DEADLINE, || (directory_of(running.pid())? == *"/").then_some(())).expect("we are in /");
}

/// Where a pid file is followed, its name may be a relative one.
#[test]
fn a_relative_pid_file_is_found_where_we_were_started() {
    let scope = Scope::new();
    let directory = scope.path("").canonicalize().expect("our own directory");
    let pid_file = format!("--pid-file={}", directory.join("pid").display());
    let options = ["daemon", &pid_file, "--replace-on=USR2", "--exit-on=TERM:3"];
    let running = Proxy::new(&scope).directory(&directory).pid_file("pid").specimen(options).spawn();
    let old = scope.reports().expect("daemon", "ready").pid();
    running.signal(libc::SIGUSR2);
    let new = scope.reports().expect("replacement", "ready").pid();
    eventually(DEADLINE, || proc::state(old).is_none().then_some(())).expect("the old one is reaped");
    running.signal(libc::SIGHUP);
    let is_new = |report: &Report| report.name == "replacement" && report.kind == "signal";
    scope.reports().take(DEADLINE, is_new).expect("it is followed");
    assert!(proc::lives(new));
    running.signal(libc::SIGTERM);
    running.wait().expect_code(3);
}

#[test]
fn process_1_leaves_its_directory() {
    if let Err(reason) = needs::process_1() {
        return skip(&reason);
    }
    let scope = Scope::new();
    let directory = scope.path("").canonicalize().expect("our own directory");
    let running = init(&scope).process_1().directory(&directory).specimen(["program"]).spawn();
    scope.reports().expect("program", "ready");
    let pid = running.pid();
    let is_root = || (fs::read_link(format!("/proc/{pid}/cwd")).ok()? == *"/").then_some(());
    eventually(DEADLINE, is_root).expect("we are in /");
}

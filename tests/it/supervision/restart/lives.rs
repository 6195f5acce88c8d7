//! What each life has, and what none leaves behind.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::{Duration, Instant};

use super::{Kind, Lives, launches, with_ready};
use crate::harness::needs::{self, skip};
use crate::harness::signals;
use crate::harness::{DEADLINE, Input, Proxy, Refusal, Scope, eventually, followed, proc};

#[test]
fn readiness_is_told_once() {
    // Under an emulator a launch does not wait for the exec.
    if let Err(reason) = needs::native() {
        return skip(&reason);
    }
    for kind in Kind::BOTH {
        let scope = Scope::new();
        let ready = scope.path("ready");
        let lives =
            Lives::start_by(&scope, kind, with_ready(kind.proxy(&scope, &["-R0"]), &ready), &["--exit-on=TERM:5"]);
        for _ in 0..3 {
            let pid = lives.next();
            let is_told = || fs::read_to_string(&ready).is_ok_and(|text| text == "\n").then_some(());
            assert!(eventually(DEADLINE, is_told).is_some(), "{kind:?}");
            assert!(proc::descriptors(pid).iter().all(|(number, _)| *number != 7), "{kind:?}");
            lives.end("exit 3");
        }
        let pid = lives.next();
        let is_ours = |pid| proc::descriptors(pid).iter().any(|(_, what)| *what == ready.display().to_string());
        assert!(!is_ours(pid) && !is_ours(lives.running.pid()), "{kind:?}");
        lives.stop(5);
        assert_eq!(fs::read_to_string(&ready).expect("a file"), "\n", "{kind:?}");
    }
}

/// In each life a line for standard output and one for standard error, with the number of the life.
const TWO_LINES: &str = r#"echo x >>"$0"; n=$(wc -l <"$0"); echo "output $n"; echo "error $n" >&2; exec "$@""#;

fn expected_lines(lives: usize) -> Vec<String> {
    (1..=lives).flat_map(|life| [format!("output {life}"), format!("error {life}")]).collect()
}

#[test]
fn each_life_appends_to_the_log() {
    for kind in Kind::BOTH {
        let scope = Scope::new();
        let log = scope.path("log");
        let option = format!("-l{}", log.display());
        let proxy =
            kind.proxy(&scope, &["-R1", &option]).command(["sh", "-c", TWO_LINES]).command([scope.path("count")]);
        let mut lives = Lives::start_by(&scope, kind, proxy, &["--exit-on=TERM:5"]);
        lives.next();
        lives.end_and_see(3);
        lives.next();
        // Between two lives it is renamed, and then removed: the next has a new one.
        lives.end_and_see(3);
        fs::rename(&log, scope.path("log.1")).expect("a log");
        lives.next();
        let read = |name| {
            let text = fs::read_to_string(scope.path(name)).expect("a log");
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!((read("log.1"), read("log")), (expected_lines(2), expected_lines(3)[4..].to_vec()), "{kind:?}");
        assert_eq!(fs::metadata(&log).expect("a log").permissions().mode() & 0o777, 0o640);
        lives.end_and_see(3);
        fs::remove_file(&log).expect("a log");
        lives.next();
        assert_eq!(read("log"), expected_lines(4)[6..], "{kind:?}");
        lives.running.signal(libc::SIGTERM);
        let finished = lives.running.wait().expect_code(5);
        assert_eq!(finished.stdout, "");
        assert!(finished.stderr.lines().all(|line| line.starts_with("pidproxy: ")), "{}", finished.stderr);
    }
}

/// The log is renamed again and again, at any moment of the lives that go by.
#[test]
fn a_log_that_is_rotated_loses_no_line() {
    let scope = Scope::new();
    let log = scope.path("log");
    let option = format!("-l{}", log.display());
    let proxy = Kind::Program.proxy(&scope, &["-R0", &option]).command(["sh", "-c", TWO_LINES]);
    let running = proxy.command([scope.path("count")]).command(["true"]).spawn();
    let mut files = Vec::new();
    let done = eventually(DEADLINE, || {
        let name = scope.path(&format!("log.{}", files.len()));
        if fs::rename(&log, &name).is_ok() {
            files.push(name);
        }
        (launches(&scope) >= 60).then_some(())
    });
    assert!(done.is_some(), "{}", scope.evidence());
    running.signal(libc::SIGTERM);
    let finished = running.wait();
    files.push(log);
    let text: String = files.iter().map(|file| fs::read_to_string(file).unwrap_or_default()).collect();
    let mut lines: Vec<&str> = text.lines().collect();
    // The last life may have been ended before it could write.
    let count = launches(&scope);
    let last = [format!("output {count}"), format!("error {count}")];
    lines.retain(|line| !last.iter().any(|last| last == line));
    assert_eq!(lines, expected_lines(count - 1), "{files:?}\n{}", finished.stderr);
    assert!(files.len() > 5, "{files:?}");
}

/// A relative path means the same in all lives: of the command, of the log, of the hook, of the pid file.
#[test]
fn relative_paths_mean_the_same_in_all_lives() {
    for kind in Kind::BOTH {
        let scope = Scope::new();
        let place = scope.path("place");
        fs::create_dir(&place).expect("a new directory");
        symlink(scope.specimen(), place.join("specimen")).expect("a new link");
        scope.script("place/hook", "#!/bin/sh\npwd >>hooks\n");
        let control = scope.control("control");
        let (pid_file, words) = if kind == Kind::Program {
            ("-", vec!["program"])
        } else {
            ("pid", vec!["daemon", "--pid-file=pid", "--keep-descriptors"])
        };
        let proxy = Proxy::new(&scope).options(["-R0", "-llog", "-E./hook"]).pid_file(pid_file).directory(&place);
        let proxy =
            proxy.command(["./specimen"]).command(words).command([control.option().as_str(), "--exit-on=TERM:5"]);
        let running = proxy.spawn();
        let place = place.canonicalize().expect("our own directory");
        for _ in 0..4 {
            scope.reports().expect(kind.name(), "ready");
            control.send("facts");
            assert_eq!(scope.reports().expect(kind.name(), "facts").text("cwd"), place.display().to_string());
            control.send("exit 3");
        }
        scope.reports().expect(kind.name(), "ready");
        running.signal(libc::SIGTERM);
        running.wait().expect_code(5);
        assert!(place.join("log").is_file() && place.join("pid").is_file() == (kind == Kind::Daemon));
        assert_eq!(fs::read_to_string(place.join("hooks")).expect("the hook ran"), format!("{}\n", place.display()));
    }
}

/// What a process has open: the numbers, and of what kind each is. Those of the test's own files stay what they are.
fn open_files(pid: i32) -> Vec<(i32, String)> {
    let kind = |what: String| what.split('[').next().unwrap_or_default().to_owned();
    proc::descriptors(pid).into_iter().map(|(number, what)| (number, kind(what))).collect()
}

/// Each life leaves an orphan that ends in the next one's time, and one that lives as long.
const WITH_ORPHANS: &str = r#"("$0" program --name=orphan "--exit-on=USR2:99" &) ; (sh -c "exit 99" &) ; exec "$@""#;

#[test]
fn nothing_gathers_from_life_to_life() {
    for kind in Kind::BOTH {
        let scope = Scope::new();
        let proxy = with_ready(kind.proxy(&scope, &["-R0", "-w600"]), &scope.path("ready"));
        let proxy = proxy.command(["sh", "-c", WITH_ORPHANS]).command([scope.specimen()]);
        let lives = Lives::start_by(&scope, kind, proxy, &["--exit-on=TERM:5"]);
        let proxy = lives.running.pid();
        let mut seen = Vec::new();
        for life in 1..=30 {
            let pid = lives.next();
            let orphan = scope.reports().expect("orphan", "ready").pid();
            if life == 3 || life == 30 {
                // The orphan may still have a parent that has not ended.
                let is_quiet = || {
                    let mut children = proc::children(proxy);
                    children.sort_unstable();
                    let mut expected = [pid, orphan];
                    expected.sort_unstable();
                    (children == expected).then_some(())
                };
                assert!(eventually(DEADLINE, is_quiet).is_some(), "life {life}\n{}", scope.evidence());
                followed::settle(proxy);
                let memory = if needs::native().is_ok() { lives.running.rss_kib() } else { 0 };
                seen.push((open_files(proxy), memory));
            }
            signals::send(orphan, libc::SIGUSR2).expect("it lives");
            lives.end(["exit 0", "exit 3", "die KILL"][life % 3]);
        }
        assert_eq!(seen.first(), seen.last(), "{kind:?}");
        lives.next();
        let orphan = scope.reports().expect("orphan", "ready").pid();
        signals::send(orphan, libc::SIGUSR2).expect("it lives");
        lives.stop(5);
    }
}

/// Each life has the rights of the user and no others, and so has the proxy, which can launch it again with them.
#[test]
fn each_life_is_the_users() {
    if let Err(reason) = needs::root() {
        return skip(&reason);
    }
    for kind in Kind::BOTH {
        let scope = Scope::new();
        let theirs = scope.directory_for("theirs", 4711, 4712);
        let pid_file = theirs.join("pid");
        let log = format!("-l{}", theirs.join("log").display());
        let hook =
            scope.script("hook", &format!("#!/bin/sh\nexec '{}' facts --name=hook\n", scope.specimen().display()));
        let control = scope.control("control");
        let mut words = vec![kind.name().to_owned(), control.option(), "--exit-on=TERM:5".to_owned()];
        if kind == Kind::Daemon {
            words.push(format!("--pid-file={}", pid_file.display()));
        }
        let proxy = Proxy::new(&scope).options(["-fR0", "-U4711:4712", &log]).options(["-E".as_ref(), hook.as_path()]);
        let proxy = proxy.pid_file(if kind == Kind::Daemon { pid_file } else { "-".into() });
        let running = proxy.specimen(words).spawn();
        for _ in 0..4 {
            scope.reports().expect(kind.name(), "ready");
            control.send("facts");
            let facts = scope.reports().expect(kind.name(), "facts");
            let ids = ["ruid", "euid", "suid", "rgid", "egid", "sgid"].map(|name| facts.number(name));
            assert_eq!(ids, [4711, 4711, 4711, 4712, 4712, 4712], "{kind:?}");
            assert_eq!(facts.numbers("groups"), [4712], "{kind:?}");
            let regained = ["regain_uid", "regain_gid"].map(|name| facts.text(name));
            assert_eq!(regained, ["refused", "refused"], "{kind:?}");
            assert_eq!(facts.text("HOME"), "/", "{kind:?}");
            let fields: Vec<String> = running.status_field("Uid").split_whitespace().map(str::to_owned).collect();
            assert_eq!(fields.get(1).map(String::as_str), Some("4711"), "{kind:?}");
            control.send("exit 3");
        }
        scope.reports().expect(kind.name(), "ready");
        running.signal(libc::SIGTERM);
        running.wait().expect_code(5);
        assert_eq!(scope.reports().expect("hook", "facts").number("ruid"), 0);
    }
}

/// Sockets that a supervisor has passed on went to the first life; the others find that they are not meant.
#[test]
fn sockets_are_for_the_first_life() {
    let scope = Scope::new();
    let activate = ["sh", "-c", r#"exec 3</dev/zero; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@""#, "sh"];
    let lives = Lives::start_by(
        &scope,
        Kind::Program,
        Kind::Program.proxy(&scope, &["-R0"]).prefix(activate),
        &["--exit-on=TERM:5"],
    );
    let proxy = lives.running.pid();
    for life in 0..3 {
        let pid = lives.next();
        lives.control.send("facts LISTEN_PID LISTEN_FDS");
        let facts = scope.reports().expect("program", "facts");
        let expected = if life == 0 { pid } else { proxy };
        assert_eq!(facts.text("env.LISTEN_PID"), expected.to_string(), "life {life}");
        let has_it = proc::descriptors(pid).contains(&(3, "/dev/zero".to_owned()));
        assert_eq!(has_it, life == 0, "life {life}: {:?}", proc::descriptors(pid));
        lives.end("exit 3");
    }
    lives.next();
    lives.stop(5);
}

/// What was told to end and does not is killed, in any life, and is not launched again; others are not.
#[test]
fn a_clock_runs_for_the_last_life_only() {
    for kind in Kind::BOTH {
        let scope = Scope::new();
        let mut lives = Lives::start(&scope, kind, &["-R1", "-k1"], &[]);
        for _ in 0..2 {
            lives.next();
            lives.running.signal(libc::SIGALRM);
            scope.reports().expect(kind.name(), "signal");
            lives.end_and_see(3);
        }
        lives.next();
        let start = Instant::now();
        lives.stop(137);
        // But for what a clock of whole ticks may round off.
        assert!(start.elapsed() >= Duration::from_millis(990), "{kind:?}: {:?}", start.elapsed());
    }
}

/// The first life's group had the foreground, and is gone: the next one's has it.
#[test]
fn each_life_has_the_foreground_of_the_terminal() {
    let scope = Scope::new();
    let proxy = Kind::Program.proxy(&scope, &["-R0"]).stdin(Input::Terminal);
    let lives = Lives::start_by(&scope, Kind::Program, proxy, &["--exit-on=TERM:5"]);
    for life in 1..=3 {
        let pid = lives.next();
        lives.control.send("facts");
        let facts = scope.reports().expect("program", "facts");
        assert_eq!(facts.number("terminal_group"), pid.into(), "life {life}");
        lives.end("exit 3");
    }
    lives.next();
    lives.stop(5);
}

/// Where there is no `close_range`, as before Linux 5.9 or in a container that refuses it, the first launch leaves what
/// we were given open in us; but no launch leaves anything more.
#[test]
fn without_close_range_nothing_gathers_either() {
    for kind in Kind::BOTH {
        let scope = Scope::new();
        let proxy = kind.proxy(&scope, &["-R0"]).refuse(&[Refusal::Call(libc::SYS_close_range)], libc::ENOSYS);
        let lives = Lives::start_by(&scope, kind, proxy, &["--exit-on=TERM:5"]);
        let mut seen = Vec::new();
        for _ in 0..10 {
            lives.next();
            followed::settle(lives.running.pid());
            seen.push(open_files(lives.running.pid()).len());
            lives.end("exit 3");
        }
        lives.next();
        assert_eq!(seen[2], seen[9], "{kind:?}: {seen:?}");
        lives.stop(5);
    }
}

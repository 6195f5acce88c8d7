//! The harness, tried on the specimen alone: if one of these fails, no other result means anything.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use crate::harness::{DEADLINE, needs::skip};
use crate::harness::{Input, Output, Proxy, Refusal, Report, Scope, accounts, eventually, needs, proc, signals};

fn option(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

#[test]
fn a_program_reports_signals_in_order_and_exits_as_told() {
    let scope = Scope::new();
    let running = Proxy::absent(&scope).specimen(["program", "--exit-on=TERM:7"]).spawn();
    let ready = scope.reports().expect("program", "ready");
    assert_eq!(ready.pid(), running.pid());
    assert_eq!(ready.number("ppid"), i64::from(std::process::id()));
    running.signal(libc::SIGUSR1);
    let user = scope.reports().expect("program", "signal");
    assert_eq!((user.number("number"), user.number("code")), (libc::SIGUSR1.into(), libc::SI_USER.into()));
    assert_eq!(user.number("pid"), i64::from(std::process::id()));
    let payloads = [1, u64::MAX, 0].map(signals::payload);
    for value in payloads {
        running.queue(signals::real_time(0), value);
    }
    let values: Vec<u64> = scope.reports().expect_signals("program", 3).iter().map(Report::value).collect();
    assert_eq!(values, payloads);
    running.signal(libc::SIGTERM);
    let finished = running.wait().expect_code(7);
    assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("", ""));
    assert_eq!(scope.left_over(), []);
}

#[test]
fn every_signal_arrives() {
    let scope = Scope::new();
    let control = scope.control("control");
    let running = Proxy::absent(&scope).specimen(["program", &control.option()]).spawn();
    scope.reports().expect("program", "ready");
    let numbers: Vec<i32> = (1..=64).filter(|number| ![libc::SIGKILL, libc::SIGSTOP].contains(number)).collect();
    for &number in &numbers {
        running.signal(number);
        assert_eq!(scope.reports().expect("program", "signal").number("number"), number.into());
    }
    control.send("here");
    scope.reports().expect("program", "here");
    assert_eq!(scope.reports().all_of("program", "signal").len(), numbers.len());
    control.send("exit 0");
    running.wait().expect_code(0);
}

#[test]
fn a_hundred_thousand_signals_are_counted() {
    let scope = Scope::new();
    let control = scope.control("control");
    let running = Proxy::absent(&scope).specimen(["program", "--count", &control.option()]).spawn();
    scope.reports().expect("program", "ready");
    for value in 0..100_000 {
        running.queue(signals::real_time(3), value);
    }
    control.send("totals");
    let totals = scope.reports().expect("program", "totals");
    assert_eq!((totals.number("37"), totals.number("all"), totals.number("disorder")), (100_000, 100_000, 0));
    control.send("exit 9");
    running.wait().expect_code(9);
}

#[test]
fn a_daemon_escapes_and_is_killed_with_the_scope() {
    let scope = Scope::new();
    let pid_file = scope.path("pid");
    Proxy::absent(&scope).specimen(["daemon", &option("pid-file", &pid_file)]).run().expect_code(0);
    let ready = scope.reports().expect("daemon", "ready");
    assert_eq!(fs::read_to_string(&pid_file).expect("a pid file"), format!("{}\n", ready.pid()));
    assert_ne!(ready.number("sid"), ready.number("pid"), "the second fork leaves the session's leadership behind");
    assert_eq!(scope.left_over(), [ready.pid()]);
    let directory = scope.path("");
    drop(scope);
    assert!(!proc::lives(ready.pid()) && !directory.exists());
}

#[test]
fn a_process_without_the_variable_is_found_by_its_limit() {
    let scope = Scope::new();
    let specimen = scope.specimen();
    let report = format!("SPECIMEN_REPORT={}", scope.path("reports").display());
    let running =
        Proxy::absent(&scope).command(["env", "-i", &report]).command([specimen]).command(["program"]).spawn();
    let ready = scope.reports().expect("program", "ready");
    assert_eq!(ready.pid(), running.pid());
    assert_eq!(scope.left_over(), [ready.pid()]);
}

#[test]
fn pid_files_are_written_as_asked() {
    let cases: [(&[&str], &str); 6] = [
        (&["--no-newline"], "{pid}"),
        (&["--blanks=27", "--mode=0600"], "                           {pid}\n"),
        (&["--rename", "--single-fork"], "{pid}\n"),
        (&["--write=%pabc", "--no-setsid"], "{pid}abc\n"),
        (&["--after-exit=20"], "{pid}\n"),
        (&["--launcher-pid-first"], "{pid}\n"),
    ];
    for (options, expected) in cases {
        let scope = Scope::new();
        let pid_file = scope.path("pid");
        let launch = Proxy::absent(&scope).specimen(["daemon", &option("pid-file", &pid_file)]).command(options);
        launch.run().expect_code(0);
        let pid = scope.reports().expect("daemon", "ready").pid();
        let expected = expected.replace("{pid}", &pid.to_string());
        assert_eq!(fs::read_to_string(&pid_file).expect("a pid file"), expected, "{options:?}");
        let mode = fs::metadata(&pid_file).expect("a pid file").permissions().mode() & 0o777;
        assert_eq!(mode, if options.contains(&"--mode=0600") { 0o600 } else { 0o644 });
    }
}

#[test]
fn launchers_end_as_told() {
    let scope = Scope::new();
    let pid_file = option("pid-file", &scope.path("pid"));
    let launch = |options: &[&str]| Proxy::absent(&scope).specimen(["daemon", &pid_file]).command(options);
    launch(&["--launcher-exit=5", "--die-early=1"]).run().expect_code(5);
    assert_eq!(launch(&["--launcher-die-by=SEGV"]).run().signal(), Some(libc::SIGSEGV));
    let control = scope.control("control");
    let running = launch(&["--launcher-stays", &control.launcher_option(), "--launcher-exit-on=TERM:3"]).spawn();
    assert_eq!(scope.reports().expect("launcher", "ready").pid(), running.pid());
    control.send("here");
    scope.reports().expect("launcher", "here");
    running.signal(libc::SIGTERM);
    running.wait().expect_code(3);
}

#[test]
fn programs_end_as_told() {
    let scope = Scope::new();
    let run = |option: &str| Proxy::absent(&scope).specimen(["program", option]).run();
    run("--exit=255").expect_code(255);
    run("--exit-after-ready=4").expect_code(4);
    for number in [1, 9, 11, 31, 32, 33, 34, 64] {
        assert_eq!(run(&format!("--die-by={number}")).signal(), Some(number));
    }
    let finished = run("--nonsense=1").expect_code(64);
    assert_eq!(finished.stderr, "specimen: bad option \"--nonsense=1\"\n");
}

#[test]
fn a_daemon_replaces_itself() {
    let scope = Scope::new();
    let pid_file = scope.path("pid");
    let options = [&option("pid-file", &pid_file), "--replace-on=USR2", "--exit-on=TERM:0", "--remove-pid-file"];
    Proxy::absent(&scope).specimen(["daemon"]).command(options).run().expect_code(0);
    let old = scope.reports().expect("daemon", "ready").pid();
    signals::send(old, libc::SIGUSR2).expect("a living daemon");
    let new = scope.reports().expect("replacement", "ready").pid();
    assert_eq!(fs::read_to_string(&pid_file).expect("a pid file"), format!("{new}\n"));
    eventually(DEADLINE, || (!proc::lives(old)).then_some(())).expect("the old one ends");
    assert_eq!(scope.left_over(), [new]);
    signals::send(new, libc::SIGTERM).expect("a living daemon");
    eventually(DEADLINE, || scope.left_over().is_empty().then_some(())).expect("the new one ends");
    assert!(!pid_file.exists());
}

#[test]
fn facts_show_what_was_given() {
    let scope = Scope::new();
    let finished = Proxy::absent(&scope)
        .specimen(["facts", "--env=A", "--env=B", "--name=all"])
        .env("A", "x, y=%\u{e9}\n")
        .env_remove("B")
        .env("HOME", "/nowhere at all")
        .directory(scope.path(""))
        .blocked(&[libc::SIGHUP, 33])
        .ignored(&[libc::SIGCHLD, 64])
        .stdin(Input::Closed)
        .run()
        .expect_code(0);
    assert_eq!(finished.stderr, "");
    let facts = scope.reports().expect("all", "facts");
    assert_eq!(facts.get("env.A").as_deref(), Some("x, y=%\u{e9}\n"));
    assert_eq!((facts.get("env.B"), facts.text("HOME")), (None, "/nowhere at all".to_owned()));
    assert_eq!(Path::new(&facts.text("cwd")), scope.path("").canonicalize().expect("our own directory"));
    assert_eq!(signals::in_set(&facts.text("blocked")), [libc::SIGHUP, 33]);
    assert_eq!(signals::in_set(&facts.text("ignored")), [libc::SIGCHLD, 64]);
    assert_eq!(signals::in_set(&facts.text("handled")), []);
    assert_eq!(facts.numbers("descriptors"), [1, 2]);
    assert_eq!(facts.list("argv")[1..], ["facts", "--env=A", "--env=B", "--name=all"]);
    assert_eq!((facts.text("session_leader"), facts.text("stdin_terminal")), ("no".to_owned(), "no".to_owned()));
}

#[test]
fn output_goes_where_it_should() {
    let scope = Scope::new();
    let print = |text: &str| Proxy::absent(&scope).specimen(["print-args", text, "", "two words"]);
    assert_eq!(print("one").run().expect_code(0).stdout, "one\n\ntwo words\n");
    let write = |output| Proxy::absent(&scope).command(["sh", "-c", "echo said >&2"]).stderr(output).run();
    assert_eq!(write(Output::Captured).expect_code(0).stderr, "said\n");
    for output in [Output::Closed, Output::Full] {
        assert_ne!(write(output).code(), Some(0), "{output:?}");
    }
    let cat =
        |output| Proxy::absent(&scope).command(["sh", "-c", "exec cat /etc/os-release >&2"]).stderr(output).spawn();
    assert_eq!(cat(Output::Broken).wait().signal(), Some(libc::SIGPIPE));
    let mut stuck = cat(Output::Stuck);
    let pid = stuck.pid();
    eventually(DEADLINE, || fs::read_to_string(format!("/proc/{pid}/wchan")).ok().filter(|at| at.contains("pipe")))
        .expect("it blocks in its write");
    assert!(!stuck.has_ended());
}

#[test]
fn lines_are_awaited_in_order() {
    let scope = Scope::new();
    let mut running = Proxy::absent(&scope)
        .command(["sh", "-c", "echo one >&2; echo two >&2; exec \"$0\" program --exit-on=TERM:0"])
        .command([scope.specimen()])
        .spawn();
    assert_eq!(running.expect_line(|line| line.starts_with('o')), "one");
    assert_eq!(running.expect_line(|_| true), "two");
    scope.reports().expect("program", "ready");
    assert!(running.rss_kib() > 0);
    assert_eq!(signals::in_set(&running.status_field("SigBlk")).len(), 62);
    running.signal(libc::SIGTERM);
    running.wait().expect_code(0);
}

#[test]
fn the_words_of_a_start_stand_in_their_order() {
    let scope = Scope::new();
    let words = Proxy::absent(&scope)
        .command(["command"])
        .pid_file("pid-file")
        .options(["-v", "--"])
        .binary("binary")
        .command(["argument"])
        .prefix(["prefix"])
        .words();
    assert_eq!(words[0], "prefix");
    assert!(words.ends_with(&["binary", "-v", "--", "pid-file", "command", "argument"].map(Into::into)), "{words:?}");
}

#[test]
fn a_terminal_sends_signals_of_the_kernel() {
    let scope = Scope::new();
    let running = Proxy::absent(&scope).specimen(["program", "--exit-on=INT:2"]).stdin(Input::Terminal).spawn();
    scope.reports().expect("program", "ready");
    running.terminal().write_all(b"\x03").expect("a terminal takes input");
    assert_eq!(scope.reports().expect("program", "signal").number("code"), 0x80);
    running.wait().expect_code(2);
}

#[test]
fn children_and_orphans_are_made() {
    let scope = Scope::new();
    let control = scope.control("control");
    let running = Proxy::absent(&scope).specimen(["program", "--children=2", &control.option()]).spawn();
    let pid = scope.reports().expect("program", "ready").pid();
    let mut children = ["child1", "child2"].map(|name| scope.reports().expect(name, "ready").pid());
    children.sort_unstable();
    let mut found = proc::children(pid);
    found.sort_unstable();
    assert_eq!(found, children);
    control.send("exit 0");
    running.wait().expect_code(0);
    let running = Proxy::absent(&scope).specimen(["orphans", "--count=100", "--exit-on=TERM:0"]).spawn();
    scope.reports().expect("orphans", "made");
    scope.reports().expect("orphans", "ready");
    running.signal(libc::SIGTERM);
    running.wait().expect_code(0);
}

#[test]
fn commands_are_obeyed() {
    let scope = Scope::new();
    let control = scope.control("control");
    let pid_file = scope.path("pid");
    let options = [&option("pid-file", &pid_file), "--no-pid-file", &control.option()];
    Proxy::absent(&scope).specimen(["daemon"]).command(options).run().expect_code(0);
    let pid = scope.reports().expect("daemon", "ready").pid();
    assert!(!pid_file.exists());
    control.send("write-pid-file");
    scope.reports().expect("daemon", "wrote");
    assert_eq!(fs::read_to_string(&pid_file).expect("a pid file"), format!("{pid}\n"));
    control.send("write-pid-file 4294967296%p");
    assert_eq!(scope.reports().expect("daemon", "wrote").text("text"), format!("4294967296{pid}\n"));
    control.send("remove-pid-file");
    scope.reports().expect("daemon", "removed");
    assert!(!pid_file.exists());
    control.send("facts PATH");
    assert!(scope.reports().expect("daemon", "facts").get("env.PATH").is_some());
    control.send("nonsense");
    assert_eq!(scope.reports().expect("daemon", "misunderstood").text("command"), "nonsense");
    control.send("replace");
    scope.reports().expect("replacement", "ready");
    control.send("die KILL");
    eventually(DEADLINE, || scope.left_over().is_empty().then_some(())).expect("both have ended");
}

#[test]
fn reports_can_go_to_standard_output() {
    let scope = Scope::new();
    let run =
        Proxy::absent(&scope).env("SPECIMEN_REPORT", "stdout").specimen(["program", "--exit-after-ready=0"]).run();
    let report = Report::parse(run.expect_code(0).stdout.trim_end()).expect("a report");
    assert_eq!((report.name.as_str(), report.kind.as_str()), ("program", "ready"));
}

#[test]
fn a_missed_deadline_shows_everything() {
    let scope = Scope::new();
    let _running = Proxy::absent(&scope).specimen(["program", "--name=alone"]).spawn();
    scope.reports().expect("alone", "ready");
    let failure = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        scope.reports().expect_within(Duration::from_millis(1), "alone", "never");
    }));
    let message = *failure.expect_err("a panic").downcast::<String>().expect("a message");
    assert!(message.starts_with("the report \"alone\" \"never\" did not come in time"), "{message}");
    assert!(message.contains("alone ready pid=") && message.contains("program --name=alone"), "{message}");
}

#[test]
fn another_user_can_be_played() {
    if let Err(reason) = needs::root() {
        return skip(&reason);
    }
    let scope = Scope::new();
    Proxy::absent(&scope).user(4711, 4712, &[7, 5, 6]).specimen(["facts"]).run().expect_code(0);
    let facts = scope.reports().expect("facts", "facts");
    assert_eq!(["ruid", "euid", "suid"].map(|key| facts.number(key)), [4711; 3]);
    assert_eq!(["rgid", "egid", "sgid"].map(|key| facts.number(key)), [4712; 3]);
    assert_eq!(facts.numbers("groups"), [5, 6, 7]);
    assert_eq!((facts.text("regain_uid").as_str(), facts.text("regain_gid").as_str()), ("refused", "refused"));
    let groups: Vec<u32> = (1000..66_536).collect();
    Proxy::absent(&scope).user(0, 0, &groups).specimen(["facts"]).run().expect_code(0);
    let facts = scope.reports().expect("facts", "facts");
    assert_eq!(facts.numbers("groups"), groups);
    assert_eq!(facts.text("regain_uid"), "possible");
}

#[test]
fn accounts_can_be_private() {
    if let Err(reason) = needs::root().and_then(|()| needs::unshare(&["--mount"])) {
        return skip(&reason);
    }
    let scope = Scope::new();
    let private = accounts::Private::new(&scope, Some(b"only:x:1:1::/:/bin/sh\n"), None);
    let list = Proxy::absent(&scope).prefix(private.prefix()).command(["sh", "-c", "cat /etc/passwd; ls /etc"]).run();
    assert_eq!(list.expect_code(0).stdout, "only:x:1:1::/:/bin/sh\npasswd\n");
    let running = Proxy::absent(&scope).prefix(private.prefix()).specimen(["program"]).spawn();
    assert_eq!(scope.reports().expect("program", "ready").pid(), running.first_pid());
    assert!(Path::new("/etc/group").exists());
}

#[test]
fn calls_can_be_refused() {
    let scope = Scope::new();
    fs::write(scope.path("old"), "").expect("our own directory");
    let run = |refusals: &[Refusal], errno| {
        Proxy::absent(&scope).refuse(refusals, errno).command(["rm", "--"]).command([scope.path("old")]).run()
    };
    let refused = run(&[Refusal::PidfdOpen, Refusal::Call(libc::SYS_unlinkat)], libc::EOWNERDEAD).expect_code(1);
    assert!(refused.stderr.contains("Owner died"), "{}", refused.stderr);
    run(&Refusal::PIDFDS, libc::ENOSYS).expect_code(0);
}

#[test]
fn the_proxy_is_found_behind_strace() {
    if let Err(reason) = needs::strace() {
        return skip(&reason);
    }
    let scope = Scope::new();
    let running = Proxy::absent(&scope)
        .prefix(["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=pidfd_open:error=ENOSYS"])
        .specimen(["program", "--exit-on=TERM:6"])
        .spawn();
    assert_eq!(scope.reports().expect("program", "ready").pid(), running.pid());
    assert_ne!(running.pid(), running.first_pid());
    running.signal(libc::SIGTERM);
    running.wait().expect_code(6);
}

//! What the C original was seen to do and must not happen here, point by point, and the calls of it that must go on
//! working as they are. Most of this is tested in more depth elsewhere; here is the small, direct proof of each.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::harness::followed::{go_on, rest, settle, stop};
use crate::harness::signals::{forwardable, in_set, real_time, send};
use crate::harness::{
    DEADLINE, Followed, Input, Output, Proxy, Report, Running, Scope, accounts, eventually, needs, needs::skip, proc,
};

/// A victim: a process that the proxy must not touch.
fn stranger(scope: &Scope) -> (Running, i32) {
    let running = Proxy::absent(scope).specimen(["program", "--name=stranger", "--exit-on=64:0"]).spawn();
    let pid = scope.reports().expect("stranger", "ready").pid();
    (running, pid)
}

/// Ends the victim, and looks whether this was its first signal.
fn expect_unharmed(scope: &Scope, stranger: Running) {
    stranger.signal(64);
    let first = scope.reports().expect("stranger", "signal");
    assert_eq!(first.number("number"), 64, "a stranger was signalled: {first}");
    stranger.wait().expect_code(0);
}

/// A run over a foreground specimen, to its end.
fn run(scope: &Scope, options: &[&str], arguments: &[&str]) -> crate::harness::Finished {
    Proxy::new(scope).options(options).pid_file(scope.path("pid")).specimen(arguments).run()
}

/// A script that daemonizes as a user would write it, by nothing but the shell and setsid(1) of util-linux: its daemon
/// becomes the specimen with these arguments.
fn daemonizing_script(scope: &Scope, pid_file: &Path, arguments: &str) -> std::path::PathBuf {
    let text = format!(
        "#!/bin/sh\nsetsid sh -c 'echo $$ >{0}; exec {1} program --name=daemon {arguments}' </dev/null >/dev/null 2>&1 &\n\
         while ! [ -s {0} ]; do :; done\n",
        pid_file.display(),
        scope.specimen().display()
    );
    scope.script("launch", &text)
}

#[test]
fn point_01_h_sends_hup_after_term() {
    let scope = Scope::new();
    let run = Followed::start(&scope, Proxy::new(&scope).options(["-H"]), &[]);
    run.running.signal(libc::SIGTERM);
    let mut arrived = run.arrived_numbers();
    arrived.sort_unstable();
    assert_eq!(arrived, [libc::SIGHUP, libc::SIGTERM]);
    run.exit(0).expect_code(0);
}

#[test]
fn point_02_of_several_signals_at_once_all_are_forwarded() {
    let scope = Scope::new();
    let run = Followed::start(&scope, Proxy::new(&scope), &["--count", "--exit-on=64:0"]);
    let numbers = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2];
    // 120 in all: 20 bursts of 6, each of them pending before the first is read.
    for round in 1..=20 {
        stop(run.running.pid());
        for number in numbers {
            run.running.signal(number);
        }
        go_on(run.running.pid());
        // A burst is through before the next one, or the kernel would take two of a kind for one.
        let has_come = || {
            run.control.send("totals");
            let totals = scope.reports().expect("daemon", "totals");
            numbers.iter().all(|number| totals.get(&number.to_string()) == Some(round.to_string())).then_some(())
        };
        eventually(DEADLINE, has_come).unwrap_or_else(|| panic!("burst {round}: {:?}", scope.reports().all().pop()));
    }
    run.running.signal(64);
    run.running.wait().expect_code(0);
}

#[test]
fn point_03_every_signal_is_forwarded_and_none_ends_or_stops_the_proxy() {
    let scope = Scope::new();
    let run = Followed::start(&scope, Proxy::new(&scope), &[]);
    for number in forwardable() {
        run.running.signal(number);
        assert_eq!(run.arrived_numbers(), [number]);
    }
    run.exit(0).expect_code(0);
    assert_eq!(scope.left_over(), [], "no daemon stays behind");
}

#[test]
fn point_04_a_target_that_leads_no_group_is_signalled_with_g() {
    let scope = Scope::new();
    let run = Followed::start(&scope, Proxy::new(&scope).options(["-g"]), &["--exit-on=TERM:7"]);
    assert_ne!(scope.reports().all_of("daemon", "ready")[0].number("pgid"), i64::from(run.daemon));
    run.running.signal(libc::SIGUSR1);
    assert_eq!(run.arrived_numbers(), [libc::SIGUSR1]);
    run.running.signal(libc::SIGTERM);
    run.running.wait().expect_code(7);
    assert_eq!(scope.left_over(), [], "the daemon does not live on");
}

#[test]
fn point_05_a_user_brings_its_groups_and_no_name_becomes_root() {
    if let Err(reason) = needs::root().and_then(|()| needs::unshare(&["--mount"])) {
        return skip(&reason);
    }
    let scope = Scope::new();
    let private = accounts::Private::new(
        &scope,
        Some(b"root:x:0:0::/root:/bin/sh\nalice:x:4001:4002::/home/alice:/bin/sh\n"),
        Some(b"root:x:0:root\nwheel:x:10:root\nstaff:x:4003:bob,alice\nalice:x:4002:\n"),
    );
    let start = |user: &str| {
        Proxy::new(&scope)
            .prefix(private.prefix())
            .user(0, 0, &[0, 10])
            .options(["-U", user])
            .pid_file(scope.path("pid"))
            .specimen(["facts"])
            .run()
    };
    start("alice").expect_code(125);
    let facts = scope.reports().expect("facts", "facts");
    assert_eq!(["ruid", "euid", "suid"].map(|key| facts.number(key)), [4001; 3]);
    assert_eq!(["rgid", "egid", "sgid"].map(|key| facts.number(key)), [4002; 3]);
    assert_eq!(facts.numbers("groups"), [4002, 4003]);
    assert_eq!(facts.text("regain_uid"), "refused");
    for user in ["4294967296", "", "4294967295", "-1", "+0", "0x0", " 0", "mallory"] {
        let finished = start(user);
        finished.check_failure(user).unwrap_or_else(|reason| panic!("-U {user:?}: {reason}"));
    }
    assert_eq!(scope.reports().all_of("facts", "facts").len(), 1, "nothing else was started");
}

#[test]
fn point_06_ids_without_an_entry_user_and_group_and_home() {
    if let Err(reason) = needs::root().and_then(|()| needs::unshare(&["--mount"])) {
        return skip(&reason);
    }
    let scope = Scope::new();
    let private = accounts::Private::new(
        &scope,
        Some(b"alice:x:4001:4002::/home/alice:/bin/sh\n"),
        Some(b"staff:x:4003:alice\nusers:x:100:\n"),
    );
    for (options, ids, groups, home) in [
        (&["-U", "1234"][..], [1234, 1234], &[1234][..], "/"),
        (&["-U", "1234", "-G", "5678"], [1234, 5678], &[5678], "/"),
        (&["-U", "1234:5678"], [1234, 5678], &[5678], "/"),
        (&["-U", "alice:users"], [4001, 100], &[100], "/home/alice"),
        (&["-U", "alice"], [4001, 4002], &[4002, 4003], "/home/alice"),
    ] {
        Proxy::new(&scope)
            .prefix(private.prefix())
            .user(0, 0, &[])
            .env("HOME", "/root")
            .options(options)
            .pid_file(scope.path("pid"))
            .specimen(["facts"])
            .run()
            .expect_code(125);
        let facts = scope.reports().expect("facts", "facts");
        assert_eq!(["ruid", "rgid"].map(|key| facts.number(key)), ids, "{options:?}");
        assert_eq!(facts.numbers("groups"), groups, "{options:?}");
        assert_eq!(facts.text("HOME"), home, "{options:?}");
    }
}

#[test]
fn point_07_no_ignored_child_signal_and_the_mask_as_it_was() {
    let scope = Scope::new();
    Proxy::new(&scope)
        .pid_file(scope.path("pid"))
        .specimen(["facts"])
        .blocked(&[libc::SIGUSR1, 40])
        .ignored(&[libc::SIGCHLD])
        .run()
        .expect_code(125);
    let facts = scope.reports().expect("facts", "facts");
    assert_eq!(in_set(&facts.text("ignored")), []);
    assert_eq!(in_set(&facts.text("blocked")), [libc::SIGUSR1, 40]);
}

#[test]
fn point_08_a_failure_of_the_command_is_told_at_once() {
    // Within 13 seconds it would be the original's.
    let soon = |what: &str, code: i32, run: &dyn Fn() -> crate::harness::Finished| {
        let best = (0..5).map(|_| run().expect_code(code).elapsed).min();
        assert!(best < Some(crate::harness::at_once()), "{what}: {best:?}");
    };
    let scope = Scope::new();
    let execute = |command: &str| Proxy::new(&scope).pid_file(scope.path("pid")).command([command]).run();
    soon("not there", 127, &|| execute("/no/such/command"));
    soon("a directory", 126, &|| execute("/"));
    soon("a failure", 3, &|| run(&scope, &[], &["program", "--exit=3"]));
}

#[test]
fn point_09_the_pid_file_is_looked_at_soon_and_past_a_launcher_that_stays() {
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let scope = Scope::new();
        let started = std::time::Instant::now();
        let proxy = Proxy::new(&scope).options(["-v"]);
        let mut run = Followed::start(&scope, proxy, &["--launcher-stays"]);
        let following = format!("pidproxy: following: {}", run.daemon);
        run.running.expect_line(|line| line == following);
        best = best.min(started.elapsed());
        let launcher = scope.reports().expect("launcher", "ready").pid();
        assert!(proc::lives(launcher));
        run.exit(4).expect_code(4);
    }
    // The original waits for 2 seconds first.
    assert!(best < Duration::from_millis(500), "{best:?}");
}

#[test]
fn point_10_a_stale_pid_file_and_an_early_signal_reach_no_stranger() {
    let scope = Scope::new();
    let (victim, pid) = stranger(&scope);
    fs::write(scope.path("pid"), format!("{pid}\n")).expect("a stale pid file");
    let control = scope.control("control");
    let pid_file = format!("--pid-file={}", scope.path("pid").display());
    let running = Proxy::new(&scope)
        .pid_file(scope.path("pid"))
        .specimen(["daemon", "--no-pid-file", "--exit-on=64:6", &pid_file, &control.option()])
        .spawn();
    scope.reports().expect("daemon", "ready");
    // While it lives, SIGTERM is the launcher's.
    let launcher = scope.reports().all_of("launcher", "started")[0].pid();
    eventually(DEADLINE, || proc::state(launcher).is_none().then_some(())).expect("the launcher is reaped");
    running.signal(libc::SIGUSR1);
    running.signal(libc::SIGTERM);
    control.send("write-pid-file");
    assert!(matches!(scope.reports().expect("daemon", "signal").number("number"), 10 | 15));
    running.signal(64);
    running.wait().expect_code(6);
    expect_unharmed(&scope, victim);
}

#[test]
fn point_10_what_is_no_pid_is_not_taken_for_one() {
    let texts = ["{2^32+pid}\n", "{pid}abc\n", "+{pid}\n", "-{pid}\n", "0x{pid}\n", "{pid}.0\n", "", "\n"];
    for text in texts {
        let scope = Scope::new();
        let (victim, pid) = stranger(&scope);
        let wrapped = (1_u64 << 32) + u64::from(pid.unsigned_abs());
        let text = text.replace("{2^32+pid}", &wrapped.to_string()).replace("{pid}", &pid.to_string());
        fs::write(scope.path("pid"), &text).expect("a pid file");
        // What is attached to needs no change of the file: only its text is in the way.
        let finished = Proxy::new(&scope).options(["-w0"]).pid_file(scope.path("pid")).run();
        finished.expect_failure(scope.path("pid"));
        expect_unharmed(&scope, victim);
    }
}

#[test]
fn point_10_a_fifo_hangs_nobody_and_our_own_pid_makes_nobody_spin() {
    let scope = Scope::new();
    let pid_file = scope.path("pid");
    nix::unistd::mkfifo(&pid_file, nix::sys::stat::Mode::from_bits_truncate(0o644)).expect("a new FIFO");
    Proxy::new(&scope).options(["-w0"]).pid_file(&pid_file).run().expect_failure(&pid_file);
    fs::remove_file(&pid_file).expect("our own FIFO");
    let running = Proxy::new(&scope)
        .options(["-w1"])
        .pid_file(&pid_file)
        .command(["sh", "-c", "echo $PPID >\"$0\"; exec sleep 1000"])
        .command([&pid_file])
        .spawn();
    let proxy = running.pid();
    let has_written = || fs::read_to_string(&pid_file).ok().filter(|text| *text == format!("{proxy}\n"));
    eventually(DEADLINE, has_written).expect("the launcher writes it");
    // The launcher becomes the target when the time is over; until then, and then, hardly any processor time is used.
    settle(proxy);
    running.signal(libc::SIGTERM);
    let stat = || fs::read_to_string(format!("/proc/{proxy}/stat")).unwrap_or_default();
    let ticks: u64 = stat()
        .rsplit_once(") ")
        .map_or(0, |(_, rest)| rest.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum());
    assert!(ticks < 20, "{ticks} hundredths of a second");
    running.wait().expect_code(128 + libc::SIGTERM);
}

#[test]
fn point_11_the_pid_file_of_an_unprivileged_daemon_makes_root_signal_nobody() {
    if let Err(reason) = needs::root() {
        return skip(&reason);
    }
    for options in [&["-U", "47250"][..], &["-U", "47250", "-a"], &[]] {
        let scope = Scope::new();
        let (victim, pid) = stranger(&scope);
        let directory = scope.directory_for("theirs", 47_250, 47_250);
        let pid_file = directory.join("pid");
        let control = scope.control("control");
        // Without -U the command changes its user itself, as many daemons do.
        let proxy = Proxy::new(&scope).options(options).options(["-w1"]).pid_file(&pid_file);
        let proxy = if options.is_empty() {
            proxy.command(["setpriv", "--reuid=47250", "--regid=47250", "--clear-groups"])
        } else {
            proxy
        };
        let running = proxy
            .specimen(["daemon", &format!("--write={pid}"), &control.option()])
            .command([format!("--pid-file={}", pid_file.display())])
            .spawn();
        scope.reports().expect("daemon", "wrote");
        // The launcher would end by the request to end.
        let launcher = scope.reports().expect("launcher", "started").pid();
        eventually(DEADLINE, || proc::state(launcher).is_none().then_some(())).expect("the launcher is reaped");
        running.signal(libc::SIGUSR1);
        running.signal(libc::SIGTERM);
        running.wait().expect_failure(&pid_file);
        expect_unharmed(&scope, victim);
    }
}

#[test]
fn point_12_a_daemon_that_replaces_itself_is_followed_and_its_status_kept() {
    let scope = Scope::new();
    let proxy = Proxy::new(&scope).options(["-v"]);
    let mut run = Followed::start(&scope, proxy, &["--replace-on=USR2", "--exit-on=TERM:9"]);
    let mut daemon = run.daemon;
    for _ in 0..3 {
        let following = format!("pidproxy: following: {daemon}");
        run.running.expect_line(|line| line == following);
        run.running.signal(libc::SIGUSR2);
        daemon = scope.reports().expect("replacement", "ready").pid();
    }
    let following = format!("pidproxy: following: {daemon}");
    run.running.expect_line(|line| line == following);
    run.running.signal(libc::SIGTERM);
    run.running.wait().expect_code(9);
    assert_eq!(scope.left_over(), []);
}

#[test]
fn point_13_a_standard_error_that_nobody_reads_ends_nobody() {
    let scope = Scope::new();
    let proxy = Proxy::new(&scope).options(["-v"]).stderr(Output::Broken);
    let run = Followed::start(&scope, proxy, &["--exit-on=TERM:3"]);
    run.running.signal(libc::SIGUSR1);
    assert_eq!(run.arrived_numbers(), [libc::SIGUSR1]);
    run.running.signal(libc::SIGTERM);
    run.running.wait().expect_code(3);
    assert_eq!(scope.left_over(), []);
}

#[test]
fn point_14_the_hook_has_no_blocked_signals_is_searched_and_sees_each_variable_once() {
    let scope = Scope::new();
    fs::create_dir(scope.path("bin")).expect("a new directory");
    let specimen = scope.specimen().display().to_string();
    scope.script("bin/the-hook", &format!("#!/bin/sh\nexec '{specimen}' facts --name=hook --env=PIDPROXY_EXIT_CODE\n"));
    let environment = scope.path("environment");
    scope.script(
        "bin/the-other",
        &format!("#!/bin/sh\ntr '\\0' '\\n' </proc/$$/environ >'{}'\n", environment.display()),
    );
    for hook in ["the-hook", "the-other"] {
        Proxy::new(&scope)
            .options(["-E", hook])
            .pid_file(scope.path("pid"))
            .env("PATH", format!("{}:/usr/bin:/bin", scope.path("bin").display()))
            .env("PIDPROXY_EXIT_CODE", "old")
            .specimen(["daemon", "--exit-after-ready=5"])
            .command([format!("--pid-file={}", scope.path("pid").display())])
            .run()
            .expect_code(5);
    }
    let facts = scope.reports().expect("hook", "facts");
    assert_eq!(in_set(&facts.text("blocked")), []);
    assert_eq!(facts.text("env.PIDPROXY_EXIT_CODE"), "5");
    let environment = fs::read_to_string(environment).expect("the other hook ran");
    let of_that_name: Vec<&str> = environment.lines().filter(|line| line.starts_with("PIDPROXY_EXIT_CODE=")).collect();
    assert_eq!(of_that_name, ["PIDPROXY_EXIT_CODE=5"]);
}

#[test]
fn point_15_nothing_wakes_it_while_nothing_happens() {
    let scope = Scope::new();
    let run = Followed::start(&scope, Proxy::new(&scope), &[]);
    run.arrived();
    rest(run.running.pid());
    let switches = || run.running.status_field("voluntary_ctxt_switches");
    let before = switches();
    // The original would wake up twice meanwhile.
    let end = std::time::Instant::now() + Duration::from_millis(2200);
    while std::time::Instant::now() < end {
        send(run.daemon, real_time(0)).expect("a living daemon");
        scope.reports().expect("daemon", "signal");
    }
    assert_eq!(switches(), before);
    run.exit(0).expect_code(0);
}

/// Runs one of the original's calls, with `--` as it is usually written, and checks that the daemon gets what it should
/// and that its success is ours. Gives what arrived for TERM.
fn compatible(scope: &Scope, proxy: Proxy<'_>, pid_file: &Path, sent: i32) -> Vec<i32> {
    let script = daemonizing_script(scope, pid_file, "--exit-on=USR2:0");
    let running = proxy.options(["--"]).pid_file(pid_file).command([script]).spawn();
    scope.reports().expect("daemon", "ready");
    // The launcher has ended once it is reaped; what asks for the end is the daemon's then.
    running.signal(libc::SIGUSR1);
    assert_eq!(scope.reports().expect("daemon", "signal").number("number"), libc::SIGUSR1.into());
    running.signal(sent);
    running.signal(real_time(0));
    let mut numbers = Vec::new();
    loop {
        let report: Report = scope.reports().expect("daemon", "signal");
        match i32::try_from(report.number("number")).expect("the number of a signal") {
            34 => break,
            number => numbers.push(number),
        }
    }
    running.signal(libc::SIGUSR2);
    running.wait().expect_code(0);
    numbers.sort_unstable();
    numbers
}

#[test]
fn compatible_call_with_user_group_terminal_and_process_group() {
    if let Err(reason) = needs::root() {
        return skip(&reason);
    }
    let scope = Scope::new();
    let directory = scope.directory_for("theirs", 47_251, 47_252);
    let proxy = Proxy::new(&scope).options(["-U", "47251", "-G", "47252", "-t", "-g"]).stdin(Input::Terminal);
    assert_eq!(compatible(&scope, proxy, &directory.join("pid"), libc::SIGTERM), [libc::SIGTERM]);
}

#[test]
fn compatible_call_with_terminal_process_group_and_hook() {
    let scope = Scope::new();
    let hook = scope.script(
        "hook",
        &format!("#!/bin/sh\necho \"$PIDPROXY_CHILD_EXIT_CODE\" >'{}'\n", scope.path("told").display()),
    );
    let proxy = Proxy::new(&scope).options(["-t", "-g", "-E"]).options([hook]).stdin(Input::Terminal);
    assert_eq!(compatible(&scope, proxy, &scope.path("pid"), libc::SIGTERM), [libc::SIGTERM]);
    assert_eq!(fs::read_to_string(scope.path("told")).expect("the hook ran"), "0\n");
}

#[test]
fn compatible_call_with_hang_up_and_terminal() {
    let scope = Scope::new();
    let proxy = Proxy::new(&scope).options(["-H", "-t"]).stdin(Input::Terminal);
    assert_eq!(compatible(&scope, proxy, &scope.path("pid"), libc::SIGTERM), [libc::SIGHUP, libc::SIGTERM]);
}

#[test]
fn compatible_call_with_hang_up_rewrite_and_terminal() {
    let scope = Scope::new();
    let proxy = Proxy::new(&scope).options(["-H", "-r", "2=15", "-t"]).stdin(Input::Terminal);
    assert_eq!(compatible(&scope, proxy, &scope.path("pid"), libc::SIGINT), [libc::SIGHUP, libc::SIGTERM]);
}

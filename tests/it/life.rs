//! The life of a run: launching, seeking, watching, and what comes after; and what the proxy costs all the while.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::harness::elf::Elf;
use crate::harness::followed::{go_on, rest};
use crate::harness::needs::{self, skip};
use crate::harness::{Control, DEADLINE, Input, Looks, Output, Proxy, Running, Scope, eventually, proc, signals};

/// A wait that a test never sees the end of, for `-w`.
const LONG: &str = "600";

/// The proxy with a launcher of the specimen's.
fn daemon<'scope>(scope: &'scope Scope, arguments: &[&str]) -> Proxy<'scope> {
    Proxy::new(scope)
        .options(["-w", LONG])
        .pid_file(scope.path("pid"))
        .specimen(["daemon", &pid_file(scope)])
        .command(arguments)
}

fn pid_file(scope: &Scope) -> String {
    format!("--pid-file={}", scope.path("pid").display())
}

/// A signal that is sent to the proxy reaches this process, and goes on reaching it.
#[track_caller]
fn expect_forwarding(scope: &Scope, proxy: &Running, name: &str) {
    for number in [libc::SIGUSR1, libc::SIGHUP, signals::real_time(7)] {
        proxy.signal(number);
        let report = scope.reports().expect(name, "signal");
        assert_eq!(report.number("number"), number.into(), "{}", scope.evidence());
    }
}

#[track_caller]
fn expect_reaped(pid: i32) {
    let reaped = || proc::state(pid).is_none().then_some(());
    eventually(DEADLINE, reaped).unwrap_or_else(|| panic!("{pid} is not reaped"));
}

/// Waits until the proxy's children are these and no others, zombies included.
#[track_caller]
fn expect_children(scope: &Scope, proxy: i32, expected: &[i32]) {
    let expected: BTreeSet<i32> = expected.iter().copied().collect();
    let children = || -> BTreeSet<i32> { proc::children(proxy).into_iter().collect() };
    let as_expected = eventually(DEADLINE, || (children() == expected).then_some(()));
    assert!(as_expected.is_some(), "{:?}\n{}", children(), scope.evidence());
}

// Launching

/// While the launcher may still find its way into the background, only what asks it to end is for it.
#[test]
fn a_launcher_that_stays_is_the_target_in_the_end() {
    for wait in ["0", "1"] {
        let scope = Scope::new();
        let running = Proxy::new(&scope)
            .options(["-w", wait])
            .pid_file(scope.path("pid"))
            .specimen(["program", "--exit-on=TERM:6"])
            .spawn();
        let start = Instant::now();
        let launcher = scope.reports().expect("program", "ready").pid();
        expect_forwarding(&scope, &running, "program");
        assert_eq!(wait == "1", start.elapsed() > Duration::from_millis(500));
        assert_eq!(proc::children(running.pid()), [launcher]);
        running.signal(libc::SIGTERM);
        running.wait().expect_code(6);
        assert_eq!(scope.left_over(), []);
    }
}

#[test]
fn a_launcher_is_told_to_end_at_once() {
    for number in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT] {
        let scope = Scope::new();
        let running = Proxy::new(&scope)
            .options(["-w", LONG])
            .pid_file(scope.path("pid"))
            .specimen(["program", &format!("--exit-on={number}:6")])
            .spawn();
        scope.reports().expect("program", "ready");
        running.signal(libc::SIGHUP);
        running.signal(number);
        assert_eq!(scope.reports().expect("program", "signal").number("number"), number.into());
        running.wait().expect_code(6);
    }
}

/// The launcher has had it, but had nothing more to do with it: what was meant to end the daemon must not be lost.
#[test]
fn what_the_launcher_was_told_the_daemon_is_told_again() {
    for number in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT] {
        let scope = Scope::new();
        let (launcher, control) = (scope.control("launcher"), scope.control("daemon"));
        let stays = ["--launcher-stays", &launcher.launcher_option(), &control.option()];
        let running = daemon(&scope, &stays).command(["--no-pid-file"]).spawn();
        scope.reports().expect("launcher", "ready");
        scope.reports().expect("daemon", "ready");
        running.signal(number);
        assert_eq!(scope.reports().expect("launcher", "signal").number("number"), number.into());
        launcher.send("exit 0");
        control.send("write-pid-file");
        assert_eq!(scope.reports().expect("daemon", "signal").number("number"), number.into());
        control.send("exit 7");
        running.wait().expect_code(7);
        assert_eq!(scope.reports().all_of("daemon", "signal").len(), 1, "once is enough");
    }
}

/// Then its end is nothing but one more process to reap, whatever its status.
#[test]
fn the_daemon_is_followed_while_the_launcher_lives() {
    let scope = Scope::new();
    let (launcher, control) = (scope.control("launcher"), scope.control("daemon"));
    let stays = ["--launcher-stays", &launcher.launcher_option(), &control.option()];
    let running = daemon(&scope, &stays).spawn();
    let launcher_pid = scope.reports().expect("launcher", "ready").pid();
    let daemon_pid = scope.reports().expect("daemon", "ready").pid();
    expect_forwarding(&scope, &running, "daemon");
    launcher.send("exit 3");
    expect_reaped(launcher_pid);
    expect_forwarding(&scope, &running, "daemon");
    assert_eq!(scope.reports().all_of("launcher", "signal"), []);
    expect_children(&scope, running.pid(), &[daemon_pid]);
    control.send("exit 7");
    running.wait().expect_code(7);
}

#[test]
fn a_launcher_that_fails_ends_the_run_with_its_status() {
    let ways: [(&[&str], i32); 5] = [
        (&["--launcher-exit=1"], 1),
        (&["--launcher-exit=255"], 255),
        (&["--launcher-die-by=KILL"], 128 + libc::SIGKILL),
        (&["--launcher-die-by=SEGV"], 128 + libc::SIGSEGV),
        (&["--launcher-die-by=RTMIN+1"], 128 + 35),
    ];
    for (way, code) in ways {
        let scope = Scope::new();
        let finished = daemon(&scope, &["--no-pid-file"]).command(way).run();
        assert_eq!(finished.expect_code(code).stderr, "", "{way:?}");
    }
}

// Seeking

#[test]
fn the_pid_file_may_come_before_or_after_the_launchers_end() {
    let ways: [&[&str]; 13] = [
        &[],
        &["--rename"],
        &["--no-newline"],
        &["--single-fork"],
        &["--no-setsid"],
        &["--single-fork", "--no-setsid"],
        &["--after-exit=0"],
        &["--after-exit=0", "--single-fork"],
        &["--after-exit=2", "--rename"],
        &["--after-exit=5", "--no-newline"],
        &["--after-exit=20", "--no-newline", "--rename"],
        &["--after-exit=300"],
        &["--launcher-pid-first"],
    ];
    for way in ways {
        eprintln!("{way:?}");
        let scope = Scope::new();
        let running = daemon(&scope, way).command(["--exit-on=TERM:9"]).spawn();
        let daemon = scope.reports().expect("daemon", "ready").pid();
        expect_forwarding(&scope, &running, "daemon");
        expect_children(&scope, running.pid(), &[daemon]);
        running.signal(libc::SIGTERM);
        running.wait().expect_code(9);
        assert_eq!(scope.left_over(), []);
    }
}

/// Debian's cron: the file names the launcher first, and its daemon only when the launcher is gone.
#[test]
fn the_launchers_own_pid_is_not_the_last_word() {
    for delay in ["0", "2", "300"] {
        let scope = Scope::new();
        let option = format!("--after-exit={delay}");
        let running = daemon(&scope, &["--launcher-pid-first", &option, "--exit-on=TERM:9"]).spawn();
        scope.reports().expect("daemon", "started");
        expect_reaped(scope.reports().expect("launcher", "started").pid());
        // Until the daemon has written its own it belongs to nobody, and waits.
        running.signal(libc::SIGUSR2);
        assert_eq!(scope.reports().expect("daemon", "signal").number("number"), libc::SIGUSR2.into());
        expect_forwarding(&scope, &running, "daemon");
        running.signal(libc::SIGTERM);
        running.wait().expect_code(9);
    }
}

/// A program that writes its own pid and exits with 0 has ended; it was no launcher. A daemon that it may have left has a
/// second to say so.
#[test]
fn a_target_that_was_the_launcher_is_not_waited_for_without_reason() {
    // The file stays, a child is left, but no daemon writes its pid within the second.
    let scope = Scope::new();
    let launcher = scope.control("launcher");
    let late = ["--launcher-pid-first", "--after-exit=60000", "--launcher-stays", &launcher.launcher_option()];
    let mut running = daemon(&scope, &late).options(["-v"]).spawn();
    let pid = scope.reports().expect("launcher", "ready").pid();
    let following = format!("pidproxy: following: {pid}");
    running.expect_line(|line| line == following);
    let start = Instant::now();
    launcher.send("exit 0");
    running.wait().expect_code(0);
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());

    // The file stays, but no child is left. And the file is gone, but a child is left.
    for with_child in [false, true] {
        eprintln!("with a child left: {with_child}");
        let scope = Scope::new();
        let control = scope.control("control");
        let proxy = Proxy::new(&scope).options(["-w", LONG, "-v"]).pid_file(scope.path("pid"));
        let mut running = if with_child {
            let stays = ["--launcher-stays", "--remove-pid-file", &control.launcher_option()];
            proxy.specimen(["daemon", &pid_file(&scope), "--no-pid-file"]).command(stays).spawn()
        } else {
            proxy.specimen(["program", "--name=launcher", &pid_file(&scope), &control.option()]).spawn()
        };
        let launcher = scope.reports().expect("launcher", "ready").pid();
        control.send("write-pid-file");
        let following = format!("pidproxy: following: {launcher}");
        running.expect_line(|line| line == following);
        control.send("exit 0");
        running.wait().expect_code(0);
    }
}

/// With `-w 0` the launcher is the target at once, and the daemon that it leaves is found all the same.
#[test]
fn a_daemon_takes_over_from_a_target_that_was_its_launcher() {
    let scope = Scope::new();
    let launcher = scope.control("launcher");
    let stays = ["--launcher-stays", &launcher.launcher_option(), "--exit-on=TERM:9"];
    let mut running = daemon(&scope, &stays).options(["-w", "0", "-v"]).spawn();
    scope.reports().expect("daemon", "ready");
    let pid = scope.reports().expect("launcher", "ready").pid();
    let first = running.expect_line(|line| line.starts_with("pidproxy: following: "));
    launcher.send("exit 0");
    if first == format!("pidproxy: following: {pid}") {
        running.expect_line(|line| line.starts_with("pidproxy: following: "));
    }
    expect_forwarding(&scope, &running, "daemon");
    running.signal(libc::SIGTERM);
    running.wait().expect_code(9);
}

/// A daemon whose parent is not the launcher and stays for a while: it becomes our child only when that one has ended.
#[test]
fn a_daemon_may_be_adopted_late() {
    for mode in ["0644", "0666"] {
        eprintln!("mode {mode}");
        let scope = Scope::new();
        let (parent, control) = (scope.control("parent"), scope.control("daemon"));
        let running = detached(&scope, &parent, &control, mode).spawn();
        let parent_pid = scope.reports().expect("launcher", "ready").pid();
        let pid = scope.reports().expect("daemon", "ready").pid();
        if mode == "0644" {
            // A trustworthy file is enough.
            expect_forwarding(&scope, &running, "daemon");
            assert_eq!(proc::parent(pid), Some(parent_pid));
        } else {
            // Whoever may write this one could have put any pid there. But once it is our child, it is.
            running.signal(libc::SIGWINCH);
            Looks::at(&scope.path("pid")).expect(2);
            assert_eq!(scope.reports().all_of("daemon", "signal"), []);
        }
        parent.send("exit 0");
        expect_reaped(parent_pid);
        if mode == "0666" {
            assert_eq!(scope.reports().expect("daemon", "signal").number("number"), libc::SIGWINCH.into());
        }
        expect_forwarding(&scope, &running, "daemon");
        expect_children(&scope, running.pid(), &[pid]);
        control.send("exit 7");
        running.wait().expect_code(7);
        assert_eq!(scope.left_over(), []);
    }
}

/// A launcher that leaves another process behind, whose child the daemon is.
fn detached<'scope>(scope: &'scope Scope, parent: &Control, control: &Control, mode: &str) -> Proxy<'scope> {
    Proxy::new(scope)
        .options(["-w", LONG])
        .pid_file(scope.path("pid"))
        .command(["sh", "-c", "\"$@\" & exit 0", "sh"])
        .specimen(["daemon", "--single-fork", &pid_file(scope), &format!("--mode={mode}")])
        .command(["--launcher-stays", &parent.launcher_option(), &control.option()])
}

/// It dies before it is adopted. Who is its parent then has not waited for it, and when that one has ended we have.
#[test]
fn a_daemon_that_dies_before_it_is_adopted_has_its_status() {
    let scope = Scope::new();
    let (parent, control) = (scope.control("parent"), scope.control("daemon"));
    let running = detached(&scope, &parent, &control, "0644").spawn();
    scope.reports().expect("launcher", "ready");
    let pid = scope.reports().expect("daemon", "ready").pid();
    expect_forwarding(&scope, &running, "daemon");
    control.send("exit 7");
    eventually(DEADLINE, || (proc::state(pid) == Some('Z')).then_some(())).expect("a zombie");
    parent.send("exit 0");
    running.wait().expect_code(7);
}

// Watching

#[test]
fn a_daemon_that_replaces_itself_is_followed() {
    let ways: [&[&str]; 4] = [&[], &["--rename"], &["--no-newline"], &["--mode=0666"]];
    for way in ways {
        eprintln!("{way:?}");
        let scope = Scope::new();
        let running = daemon(&scope, &["--replace-on=USR2", "--exit-on=TERM:9"]).command(way).spawn();
        let mut last = scope.reports().expect("daemon", "ready").pid();
        expect_forwarding(&scope, &running, "daemon");
        for generation in 1..=8 {
            eprintln!("generation {generation}");
            running.signal(libc::SIGUSR2);
            let name = if generation == 1 { "daemon" } else { "replacement" };
            assert_eq!(scope.reports().expect(name, "signal").number("number"), libc::SIGUSR2.into());
            let pid = scope.reports().expect("replacement", "ready").pid();
            // What is sent to the old one in its last moments is lost with it, as it would be without the proxy.
            expect_reaped(last);
            expect_forwarding(&scope, &running, "replacement");
            expect_children(&scope, running.pid(), &[pid]);
            last = pid;
        }
        running.signal(libc::SIGTERM);
        running.wait().expect_code(9);
        assert_eq!(scope.left_over(), []);
    }
}

/// As nginx and unicorn do it: the old one gives the pid file another name, the new one writes its own, and both serve until
/// the old one is told to quit.
#[test]
fn a_daemon_that_stays_beside_its_successor_is_followed_to_its_end() {
    for way in [&[][..], &["--rename"], &["--remove-pid-file"]] {
        eprintln!("{way:?}");
        let scope = Scope::new();
        let options = ["--upgrade-on=USR2", "--exit-on=QUIT:0", "--exit-on=TERM:9"];
        let running = daemon(&scope, &options).command(way).spawn();
        let mut pid = scope.reports().expect("daemon", "ready").pid();
        let mut name = "daemon".to_owned();
        expect_forwarding(&scope, &running, &name);
        for generation in 1..=3 {
            eprintln!("generation {generation}");
            let successor = format!("{name}-successor");
            running.signal(libc::SIGUSR2);
            assert_eq!(scope.reports().expect(&name, "signal").number("number"), libc::SIGUSR2.into());
            let successor_pid = scope.reports().expect(&successor, "ready").pid();
            assert_eq!(fs::read_to_string(scope.path("pid")).expect("a pid file"), format!("{successor_pid}\n"));
            assert_eq!(fs::read_to_string(scope.path("pid.oldbin")).expect("the old one"), format!("{pid}\n"));
            // Who is asked to quit, or anything else, is the old one.
            expect_forwarding(&scope, &running, &name);
            assert_eq!(scope.reports().all_of(&successor, "signal"), []);
            running.signal(libc::SIGQUIT);
            assert_eq!(scope.reports().expect(&name, "signal").number("number"), libc::SIGQUIT.into());
            expect_reaped(pid);
            expect_forwarding(&scope, &running, &successor);
            expect_children(&scope, running.pid(), &[successor_pid]);
            (name, pid) = (successor, successor_pid);
        }
        running.signal(libc::SIGTERM);
        running.wait().expect_code(9);
        assert_eq!(scope.left_over(), []);
    }
}

/// The new one is not what was hoped for: it is ended past the proxy, and the old one takes its pid file back.
#[test]
fn an_upgrade_that_is_taken_back_changes_nothing() {
    let scope = Scope::new();
    let options = ["-v"];
    let proxy = daemon(&scope, &["--upgrade-on=USR2", "--exit-on=TERM:9"]).options(options);
    let mut running = proxy.spawn();
    let pid = scope.reports().expect("daemon", "ready").pid();
    running.expect_line(|line| line == format!("pidproxy: following: {pid}"));
    running.signal(libc::SIGUSR2);
    let successor = scope.reports().expect("daemon-successor", "ready").pid();
    signals::send(successor, libc::SIGTERM).expect("the successor lives");
    assert_eq!(scope.reports().expect("daemon-successor", "signal").number("number"), libc::SIGTERM.into());
    eventually(DEADLINE, || (!proc::lives(successor)).then_some(())).expect("it ends");
    fs::rename(scope.path("pid.oldbin"), scope.path("pid")).expect("our own files");
    assert_eq!(scope.reports().expect("daemon", "signal").number("number"), libc::SIGUSR2.into());
    expect_forwarding(&scope, &running, "daemon");
    running.signal(libc::SIGTERM);
    let finished = running.wait();
    assert_eq!(finished.stderr.matches("following").count(), 1, "{}", finished.stderr);
    finished.expect_code(9);
    assert_eq!(scope.left_over(), []);
}

/// What the daemon says of itself counts, not what it leaves in a file: here it removes it and dies.
#[test]
fn a_daemon_that_takes_its_pid_file_along_has_its_status() {
    for code in [0, 3] {
        let scope = Scope::new();
        let option = format!("--exit-on=TERM:{code}");
        let running = daemon(&scope, &["--remove-pid-file", &option]).spawn();
        scope.reports().expect("daemon", "ready");
        expect_forwarding(&scope, &running, "daemon");
        running.signal(libc::SIGTERM);
        running.wait().expect_code(code);
        assert!(!scope.path("pid").exists());
    }
}

/// As soon as there is a target every orphan is reaped; until then none is, for one of them may be the daemon.
#[test]
fn orphans_are_reaped() {
    let script = "i=0; while [ $i -lt 20 ]; do (true &); i=$((i+1)); done; exec \"$@\"";
    let scope = Scope::new();
    let control = scope.control("daemon");
    let running = Proxy::new(&scope)
        .options(["-w", LONG])
        .pid_file(scope.path("pid"))
        .command(["sh", "-c", script, "sh"])
        .specimen(["daemon", "--no-pid-file", &pid_file(&scope), &control.option()])
        .spawn();
    let daemon = scope.reports().expect("daemon", "ready").pid();
    let proxy = running.pid();
    let zombies = || proc::children(proxy).into_iter().filter(|&child| !proc::lives(child)).count();
    eventually(DEADLINE, || (zombies() == 20).then_some(())).unwrap_or_else(|| panic!("{} zombies", zombies()));
    control.send("write-pid-file");
    expect_children(&scope, proxy, &[daemon]);
    expect_forwarding(&scope, &running, "daemon");
    control.send("exit 7");
    running.wait().expect_code(7);
}

#[test]
fn a_flood_of_orphans_is_reaped_and_no_signal_is_lost_in_it() {
    let scope = Scope::new();
    let control = scope.control("daemon");
    let running = Proxy::new(&scope)
        .options(["-w", LONG])
        .pid_file(scope.path("pid"))
        .command(["sh", "-c", "\"$SPECIMEN\" orphans --count=2000 & exec \"$@\"", "sh"])
        .env("SPECIMEN", scope.specimen())
        .specimen(["daemon", "--count", &pid_file(&scope), &control.option()])
        .spawn();
    let daemon = scope.reports().expect("daemon", "ready").pid();
    let mut sent: u64 = 0;
    let made = loop {
        // Not more of them than the kernel queues; what happens then is another matter.
        if pending(&running) < 500 {
            for _ in 0..50 {
                running.queue(signals::real_time(3), sent);
                sent += 1;
            }
        }
        if let Some(made) = scope.reports().take(Duration::ZERO, |report| report.kind == "made") {
            break made;
        }
    };
    assert_eq!(made.number("count"), 2000);
    let orphan_maker = scope.reports().expect("orphans", "ready").pid();
    expect_children(&scope, running.pid(), &[daemon, orphan_maker]);
    let all_arrived = || {
        control.send("totals");
        let totals = scope.reports().expect("daemon", "totals");
        (totals.number("all") == i64::try_from(sent).expect("a count")).then_some(totals)
    };
    let totals = eventually(DEADLINE, all_arrived).unwrap_or_else(|| panic!("{sent} sent\n{}", scope.evidence()));
    assert_eq!(totals.number("disorder"), 0);
    control.send("exit 7");
    running.wait().expect_code(7);
}

/// How many signals are queued for the proxy's user.
fn pending(proxy: &Running) -> u64 {
    let field = proxy.status_field("SigQ");
    field.split('/').next().and_then(|count| count.parse().ok()).expect("a count and a limit")
}

#[test]
fn init_reaps_orphans() {
    if let Err(reason) = needs::process_1() {
        return skip(&reason);
    }
    let scope = Scope::new();
    let running = Proxy::new(&scope)
        .process_1()
        .options(["-w", "0"])
        .pid_file(scope.path("pid"))
        .specimen(["orphans", "--count=500", "--exit-on=TERM:9"])
        .spawn();
    scope.reports().expect("orphans", "made");
    assert_eq!(scope.reports().expect("orphans", "ready").number("ppid"), 1);
    let proxy = running.pid();
    let one = eventually(DEADLINE, || (proc::children(proxy).len() == 1).then_some(()));
    assert!(one.is_some(), "{:?}", proc::children(proxy));
    running.signal(libc::SIGTERM);
    running.wait().expect_code(9);
}

// What the launched programs get

#[test]
fn no_descriptor_is_handed_on() {
    let scope = Scope::new();
    let hook = scope.script("hook", "#!/bin/sh\nexec \"$SPECIMEN\" facts --name=hook\n");
    let control = scope.control("daemon");
    let running = daemon(&scope, &["--keep-descriptors", &control.option()])
        .options([Path::new("-E"), &hook])
        .env("SPECIMEN", scope.specimen())
        .spawn();
    scope.reports().expect("daemon", "ready");
    expect_forwarding(&scope, &running, "daemon");
    let pid = scope.reports().all_of("daemon", "ready")[0].pid();
    let own = |target: &String| target.contains("pidfd") || target.contains("signalfd") || target.ends_with("/pid");
    let held: Vec<String> = proc::descriptors(pid).into_iter().map(|(_, target)| target).collect();
    // The specimen has a signalfd of its own, its control FIFO, and now and then a socket to report by.
    let held: Vec<String> = held.into_iter().filter(|target| !target.starts_with("socket:")).collect();
    assert_eq!(held.iter().filter(|target| own(target)).count(), 1, "{held:?}");
    assert_eq!(held.len(), 5, "{held:?}");
    control.send("exit 7");
    running.wait().expect_code(7);
    assert_eq!(scope.reports().expect("hook", "facts").numbers("descriptors"), [0, 1, 2]);

    let scope = Scope::new();
    let launched = Proxy::new(&scope).pid_file(scope.path("pid")).specimen(["facts"]);
    launched.run().expect_failure(scope.path("pid"));
    assert_eq!(scope.reports().expect("facts", "facts").numbers("descriptors"), [0, 1, 2]);
}

/// What is opened then takes the places of the standard descriptors, and must neither leak nor be written to.
#[test]
fn it_works_with_closed_standard_descriptors() {
    for closed in 1..8_u32 {
        let is_closed = |descriptor: u32| closed >> descriptor & 1 == 1;
        let output = |descriptor| if is_closed(descriptor) { Output::Closed } else { Output::Captured };
        let start = |proxy: Proxy<'_>| {
            proxy
                .stdin(if is_closed(0) { Input::Closed } else { Input::Null })
                .stdout(output(1))
                .stderr(output(2))
                .options(["-v"])
                .spawn()
        };
        let scope = Scope::new();
        let hook = scope.script("hook", "#!/bin/sh\nexec \"$SPECIMEN\" facts --name=hook\n");
        let hooked =
            daemon(&scope, &["--exit-on=TERM:9"]).options([Path::new("-E"), &hook]).env("SPECIMEN", scope.specimen());
        let running = start(hooked);
        scope.reports().expect("daemon", "ready");
        expect_forwarding(&scope, &running, "daemon");
        running.signal(libc::SIGTERM);
        running.wait().expect_code(9);
        let pid = scope.reports().all_of("daemon", "ready")[0].pid();
        let text = std::fs::read_to_string(scope.path("pid")).expect("the pid file");
        assert_eq!(text, format!("{pid}\n"));
        let open: Vec<u32> = (0..3).filter(|&descriptor| !is_closed(descriptor)).collect();
        let facts = scope.reports().expect("hook", "facts");
        assert_eq!(facts.numbers("descriptors"), open, "the hook, {closed:03b}");
        let finished = start(Proxy::new(&scope).pid_file(scope.path("none")).specimen(["facts"])).wait();
        finished.expect_code(125);
        let facts = scope.reports().expect("facts", "facts");
        assert_eq!(facts.numbers("descriptors"), open, "the launcher, {closed:03b}");
    }
}

#[test]
fn arguments_and_environment_of_any_size_are_handed_on() {
    let scope = Scope::new();
    let words: Vec<String> = (0..20_000).map(|number| format!("argument {number}")).collect();
    let finished = Proxy::new(&scope).pid_file(scope.path("pid")).specimen(["print-args"]).command(&words).run();
    assert_eq!(finished.stdout.lines().collect::<Vec<_>>(), words);
    finished.expect_failure(scope.path("pid"));

    // The program, and behind it the hook, write what they have.
    let mut proxy = Proxy::new(&scope).options(["-w", "0", "-E", "env"]).pid_file(scope.path("pid")).command(["env"]);
    let large = "x".repeat(120_000);
    let mut expected = Vec::new();
    for number in 0..3000 {
        let (name, value) = (format!("NAME_{number}"), format!("value {number}"));
        expected.push(format!("{name}={value}"));
        proxy = proxy.env(name, value);
    }
    for name in ["LARGE", "PIDPROXY_LARGE"] {
        expected.push(format!("{name}={large}"));
        proxy = proxy.env(name, &large);
    }
    let finished = proxy.run().expect_code(0);
    for wanted in &expected {
        let count = finished.stdout.lines().filter(|line| line == wanted).count();
        assert_eq!(count, 2, "{}", &wanted[..30.min(wanted.len())]);
    }
    assert_eq!(finished.stdout.matches("PIDPROXY_PID_FILE=").count(), 1);
}

#[test]
fn an_empty_environment_is_enough() {
    let scope = Scope::new();
    let env = needs::find_program("env").expect("env");
    let pid_file = scope.path("pid");
    let mut running = Proxy::new(&scope)
        .prefix(["env", "-i"])
        .options([Path::new("-v"), Path::new("-E"), &env])
        .pid_file(&pid_file)
        .command(["sh", "-c", &format!("echo $$ >{}; kill -STOP $$", pid_file.display())])
        .spawn();
    let line = running.expect_line(|line| line.starts_with("pidproxy: following: "));
    let pid: i32 = line.rsplit(' ').next().and_then(|pid| pid.parse().ok()).expect("a pid");
    let environment = std::fs::read(format!("/proc/{pid}/environ")).expect("our own process's");
    assert_eq!(String::from_utf8_lossy(&environment), "");
    eventually(DEADLINE, || (proc::state(pid) == Some('T')).then_some(())).expect("it stops");
    go_on(pid);
    let finished = running.wait().expect_code(0);
    let names: BTreeSet<&str> =
        finished.stdout.lines().map(|line| line.split('=').next().unwrap_or_default()).collect();
    let expected = BTreeSet::from([
        "PIDPROXY_PID_FILE",
        "PIDPROXY_EXIT_CODE",
        "PIDPROXY_PID",
        "PIDPROXY_CHILD_EXIT_CODE",
        "PIDPROXY_CHILD_KILL_SIGNAL",
    ]);
    assert_eq!(names, expected, "{}", finished.stdout);
    assert_eq!(finished.stdout.lines().count(), 5, "for the hook");
}

#[test]
fn an_ordinary_user_can_run_it() {
    if let Err(reason) = needs::root() {
        return skip(&reason);
    }
    let scope = Scope::new();
    let path = scope.directory_for("run", 4711, 4711).join("pid");
    std::fs::write(&path, "2147483647\n").expect("a new file");
    let running = Proxy::new(&scope)
        .user(4711, 4711, &[])
        .options(["-f", "-w", LONG])
        .pid_file(&path)
        .specimen(["daemon", &format!("--pid-file={}", path.display())])
        .command(["--replace-on=USR2", "--exit-on=TERM:9"])
        .spawn();
    scope.reports().expect("daemon", "ready");
    expect_forwarding(&scope, &running, "daemon");
    running.signal(libc::SIGUSR2);
    let pid = scope.reports().expect("replacement", "ready").pid();
    expect_children(&scope, running.pid(), &[pid]);
    expect_forwarding(&scope, &running, "replacement");
    running.signal(libc::SIGTERM);
    running.wait().expect_code(9);
    assert_eq!(scope.left_over(), []);
}

// What it costs

/// The budget is 16 KiB, and what the file has more than the two pages of `x86_64`, in an environment as small as a
/// container's. Where the stack begins within its page is left to chance, and may cost a page or two more.
#[test]
fn an_idle_proxy_is_small() {
    if let Err(reason) = needs::native() {
        return skip(&reason);
    }
    // A switch of user leaves one page: with the ids, HOME, and our own groups.
    let switch: &[&str] = if needs::root().is_ok() { &["-U", "root"] } else { &[] };
    let pages = u64::try_from(Elf::under_test().bytes.len().div_ceil(4096)).expect("a small file");
    let file = 4 * pages.saturating_sub(2);
    for (options, budget) in [(&[][..], 16 + file), (switch, 20 + file)] {
        let mut readings = BTreeSet::new();
        for _ in 0..16 {
            let scope = Scope::new();
            let daemon = daemon(&scope, &["--exit-on=TERM:9"]).options(options);
            let unwanted = std::env::vars_os().map(|(name, _)| name).filter(|name| name != "PATH");
            let running = unwanted.fold(daemon, Proxy::env_remove).spawn();
            scope.reports().expect("daemon", "ready");
            for _ in 0..20 {
                expect_forwarding(&scope, &running, "daemon");
            }
            readings.insert(running.rss_kib());
            running.signal(libc::SIGTERM);
            running.wait().expect_code(9);
        }
        println!("{options:?}: {readings:?} KiB resident");
        let (least, most) = (readings.first(), readings.last());
        assert!(least <= Some(&budget) && most <= Some(&(budget + 8)), "{options:?}: {readings:?} KiB");
    }
}

/// The time that passes here is not waited for something to happen, but for nothing to happen.
#[test]
fn an_idle_proxy_does_not_wake_up() {
    let scope = Scope::new();
    let running = daemon(&scope, &["--exit-on=TERM:9"]).spawn();
    scope.reports().expect("daemon", "ready");
    expect_forwarding(&scope, &running, "daemon");
    expect_no_wake_up(&running);
    running.signal(libc::SIGTERM);
    running.wait().expect_code(9);
}

#[test]
fn an_idle_proxy_does_not_wake_up_for_a_foreign_daemon() {
    if let Err(reason) = needs::calls(&[crate::harness::Refusal::PidfdOpen]) {
        return skip(&reason);
    }
    let scope = Scope::new();
    let daemon = Proxy::absent(&scope).specimen(["program", "--name=daemon"]).spawn();
    scope.reports().expect("daemon", "ready");
    std::fs::write(scope.path("pid"), format!("{}\n", daemon.pid())).expect("a new file");
    let mut running = Proxy::new(&scope).options(["-v"]).pid_file(scope.path("pid")).spawn();
    running.expect_line(|line| line.starts_with("pidproxy: following: "));
    expect_forwarding(&scope, &running, "daemon");
    expect_no_wake_up(&running);
}

#[track_caller]
fn expect_no_wake_up(proxy: &Running) {
    let switches = || {
        let names = ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"];
        names.map(|name| proxy.status_field(name).parse::<u64>().expect("a number"))
    };
    rest(proxy.pid());
    let before = switches();
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(switches(), before);
}

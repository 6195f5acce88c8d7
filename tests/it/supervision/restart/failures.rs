//! Launches that fail.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use super::{Kind, Lives, expect_nothing_left, hook, hooks, launches, with_ready};
use crate::harness::needs::{self, skip};
use crate::harness::{DEADLINE, Scope, eventually, numbers_behind, proc};

/// It is told at once that there is no such command; that is an end like others.
#[test]
fn a_command_that_is_not_there_may_come() {
    for kind in Kind::BOTH {
        let scope = Scope::new();
        let command = scope.path("later");
        let control = scope.control("control");
        let proxy = kind.proxy(&scope, &["-R0"]).command([&command]);
        let mut running = proxy.command(kind.words(&scope, &control)).command(["--exit-on=TERM:5"]).spawn();
        for _ in 0..3 {
            running.expect_line(|line| line == "pidproxy: ended: 127");
        }
        symlink(scope.specimen(), &command).expect("a new link");
        scope.reports().expect(kind.name(), "ready");
        fs::remove_file(&command).expect("our own link");
        control.send("exit 0");
        running.expect_line(|line| line == "pidproxy: ended: 0");
        running.expect_line(|line| line == "pidproxy: ended: 127");
        symlink(scope.specimen(), &command).expect("a new link");
        scope.reports().expect(kind.name(), "ready");
        running.signal(libc::SIGTERM);
        running.wait().expect_code(5);
        expect_nothing_left(&scope);
    }
}

#[test]
fn a_command_that_is_not_executable_may_become_it() {
    for kind in Kind::BOTH {
        let scope = Scope::new();
        let control = scope.control("control");
        let command = scope.script("later", &format!("#!/bin/sh\nexec '{}' \"$@\"\n", scope.specimen().display()));
        fs::set_permissions(&command, Permissions::from_mode(0o644)).expect("our own file");
        let proxy = kind.proxy(&scope, &["-R0"]).command([&command]);
        let mut running = proxy.command(kind.words(&scope, &control)).command(["--exit-on=TERM:5"]).spawn();
        for _ in 0..3 {
            running.expect_line(|line| line == "pidproxy: ended: 126");
        }
        fs::set_permissions(&command, Permissions::from_mode(0o755)).expect("our own file");
        scope.reports().expect(kind.name(), "ready");
        running.signal(libc::SIGTERM);
        running.wait().expect_code(5);
    }
}

/// A script that becomes the specimen from the third time on; before it does what stands there.
fn third_time(scope: &Scope, before: &str) -> PathBuf {
    let text = format!(
        "#!/bin/sh\necho x >>'{0}'\nif [ $(wc -l <'{0}') -lt 3 ]; then {before}; fi\nexec '{1}' \"$@\"\n",
        scope.path("count").display(),
        scope.specimen().display()
    );
    scope.script("third-time", &text)
}

/// By a status, by a signal, and by leaving no pid file behind.
#[test]
fn a_launch_that_fails_is_tried_again() {
    for (before, seen) in [
        ("exit 9", "pidproxy: ended: 9"),
        ("kill -9 $$", "pidproxy: ended: 137"),
        ("exit 0", ": ENOENT"),
        ("echo nonsense >'PID'; exit 0", ": no pid"),
    ] {
        let scope = Scope::new();
        let hook = hook(&scope);
        let control = scope.control("control");
        let command = third_time(&scope, &before.replace("PID", &scope.path("pid").display().to_string()));
        let proxy = Kind::Daemon.proxy(&scope, &["-R0", &hook]).command([command]);
        let mut running = proxy.command(Kind::Daemon.words(&scope, &control)).command(["--exit-on=TERM:5"]).spawn();
        for _ in 0..2 {
            running.expect_line(|line| line.ends_with(seen));
        }
        scope.reports().expect("daemon", "ready");
        assert_eq!(launches(&scope), 3, "{before}");
        assert!(!scope.path("hooks").exists());
        running.signal(libc::SIGTERM);
        running.wait().expect_code(5);
        expect_nothing_left(&scope);
        assert_eq!(launches(&scope), 3, "{before}");
    }
}

/// Also where there was none before: without a target there is no hook.
#[test]
fn the_status_of_a_failed_launch_is_ours_in_the_pause() {
    for (command, code) in [("exit 9", 9), ("kill -9 $$", 137), ("exit 0", 125)] {
        for had_target in [false, true] {
            let scope = Scope::new();
            let hook = hook(&scope);
            let control = scope.control("control");
            let text = format!(
                "#!/bin/sh\n[ -e '{0}' ] || exec '{1}' \"$@\"\n{command}\n",
                scope.path("failing").display(),
                scope.specimen().display()
            );
            let script = scope.script("script", &text);
            let mut running = Kind::Daemon
                .proxy(&scope, &["-R1", &hook])
                .command([script])
                .command(Kind::Daemon.words(&scope, &control));
            if !had_target {
                fs::write(scope.path("failing"), "").expect("a new file");
                running = running.options(["-f"]);
            }
            let mut running = running.spawn();
            let proxy = running.pid();
            if had_target {
                scope.reports().expect("daemon", "ready");
                fs::write(scope.path("failing"), "").expect("a new file");
                control.send("exit 3");
                running.expect_line(|line| line == "pidproxy: ended: 3");
            }
            if code == 125 {
                let complaint = format!("pidproxy: {}: ", scope.path("pid").display());
                running.expect_line(|line| line.starts_with(&complaint));
            } else {
                running.expect_line(|line| line == format!("pidproxy: ended: {code}"));
            }
            running.signal(libc::SIGTERM);
            running.wait().expect_code(code);
            let hooks = hooks(&scope, proxy);
            assert_eq!(hooks.len(), usize::from(had_target), "{command}: {hooks:?}");
            assert!(hooks.iter().all(|line| line.starts_with(&format!("{code} "))), "{command}: {hooks:?}");
        }
    }
}

/// A launcher gets the signals that ask for the end itself.
#[test]
fn a_launcher_that_is_told_to_end_is_not_launched_again() {
    let scope = Scope::new();
    let hook = hook(&scope);
    let options = ["-w600", "-R0", &hook];
    let running =
        Kind::Daemon.proxy(&scope, &options).specimen(["program", "--name=launcher", "--exit-on=TERM:6"]).spawn();
    scope.reports().expect("launcher", "ready");
    running.signal(libc::SIGTERM);
    running.wait().expect_code(6);
    assert_eq!(scope.reports().all_of("launcher", "ready").len(), 1);
    assert!(!scope.path("hooks").exists());
}

/// A script that becomes the first specimen, told by its arguments, at the first launch, and then the second.
fn first_then(scope: &Scope, first: &[String], then: &[String]) -> PathBuf {
    let text = format!(
        "#!/bin/sh\nif mkdir '{}' 2>/dev/null; then set -- {}; else set -- {}; fi\nexec '{}' \"$@\"\n",
        scope.path("first").display(),
        first.join(" "),
        then.join(" "),
        scope.specimen().display()
    );
    scope.script("first-then", &text)
}

/// A launcher that stays, and that any signal ends.
fn hanging() -> Vec<String> {
    ["program", "--name=launcher", "--default-dispositions"].map(str::to_owned).to_vec()
}

/// The hook runs for the daemon of an earlier life; what the launcher of this one ended by was not meant for it.
#[test]
fn what_ended_a_later_launcher_is_not_sent_to_the_hook() {
    let scope = Scope::new();
    let control = scope.control("control");
    let text = format!("#!/bin/sh\nexec '{}' program --name=hook --exit-on=64:0\n", scope.specimen().display());
    let hook = format!("-E{}", scope.script("hook", &text).display());
    let command = first_then(&scope, &Kind::Daemon.words(&scope, &control), &hanging());
    let mut running = Kind::Daemon.proxy(&scope, &["-w600", "-R0", &hook]).command([command]).spawn();
    let daemon = scope.reports().expect("daemon", "ready").pid();
    running.expect_line(|line| line == format!("pidproxy: following: {daemon}"));
    control.send("exit 7");
    scope.reports().expect("launcher", "ready");
    running.signal(libc::SIGTERM);
    scope.reports().expect("hook", "ready");
    // The last signal: what was sent before, and by then, is there before.
    running.signal(64);
    assert_eq!(scope.reports().expect("hook", "signal").number("number"), 64, "and nothing before it");
    running.wait().expect_code(143);
    expect_nothing_left(&scope);
}

/// What would be sent to a daemon that the launcher leaves behind is nothing to that of the next launch.
#[test]
fn what_ended_a_launcher_is_not_sent_to_the_next_daemon() {
    let scope = Scope::new();
    let control = scope.control("control");
    let command = first_then(
        &scope,
        &hanging(),
        &[Kind::Daemon.words(&scope, &control), vec!["--exit-on=64:5".to_owned()]].concat(),
    );
    let mut running = Kind::Daemon.proxy(&scope, &["-w600", "-R0", "-rTERM=USR1"]).command([command]).spawn();
    scope.reports().expect("launcher", "ready");
    running.signal(libc::SIGTERM);
    running.expect_line(|line| line == format!("pidproxy: ended: {}", 128 + libc::SIGUSR1));
    let daemon = scope.reports().expect("daemon", "ready").pid();
    running.expect_line(|line| line == format!("pidproxy: following: {daemon}"));
    // The last signal: what was sent before, and by then, is there before.
    running.signal(64);
    assert_eq!(scope.reports().expect("daemon", "signal").number("number"), 64, "and nothing before it");
    // That is no end of the run: it is launched again.
    running.expect_line(|line| line == "pidproxy: ended: 5");
}

/// The first launches may fail.
#[test]
fn readiness_is_told_of_the_first_target() {
    // Under an emulator a launch does not wait for the exec.
    if let Err(reason) = needs::native() {
        return skip(&reason);
    }
    for kind in Kind::BOTH {
        let scope = Scope::new();
        let [ready, command] = ["ready", "later"].map(|name| scope.path(name));
        let control = scope.control("control");
        let proxy = with_ready(kind.proxy(&scope, &["-R0"]), &ready).command([&command]);
        let mut running = proxy.command(kind.words(&scope, &control)).command(["--exit-on=TERM:5"]).spawn();
        for _ in 0..5 {
            running.expect_line(|line| line == "pidproxy: ended: 127");
        }
        assert_eq!(fs::read_to_string(&ready).expect("a file"), "", "{kind:?}");
        symlink(scope.specimen(), &command).expect("a new link");
        scope.reports().expect(kind.name(), "ready");
        let is_told = || fs::read_to_string(&ready).is_ok_and(|text| text == "\n").then_some(());
        assert!(eventually(DEADLINE, is_told).is_some(), "{kind:?}");
        running.signal(libc::SIGTERM);
        running.wait().expect_code(5);
    }
}

/// Where there could be no process, what it should have had is there for the next, and nothing was launched.
#[test]
fn without_a_process_the_descriptors_are_kept() {
    if let Err(reason) = needs::strace() {
        return skip(&reason);
    }
    for kind in Kind::BOTH {
        let scope = Scope::new();
        let trace = scope.path("trace").display().to_string();
        let proxy = kind.proxy(&scope, &["-R0"]).prefix(["sh", "-c", r#"exec 7</dev/zero; exec "$@""#, "sh"]).prefix([
            "strace",
            "-qq",
            "-o",
            &trace,
            "-e",
            "inject=clone:error=EAGAIN:when=1",
        ]);
        let mut lives = Lives::start_by(&scope, kind, proxy, &["--exit-on=TERM:5"]);
        let complaint = format!("pidproxy: {}: EAGAIN", scope.specimen().display());
        lives.running.expect_line(|line| line == complaint);
        let pid = lives.next();
        lives.running.expect_line(|line| line == format!("pidproxy: following: {pid}"));
        assert!(
            proc::descriptors(pid).contains(&(7, "/dev/zero".to_owned())),
            "{kind:?}: {:?}",
            proc::descriptors(pid)
        );
        assert_eq!(
            numbers_behind(&lives.running.stderr(), "pidproxy: launched: ").len(),
            1,
            "{kind:?}\n{}",
            scope.evidence()
        );
        lives.stop(5);
    }
}

/// As long as it can not be appended to, nothing is started.
#[test]
fn a_log_that_can_not_be_opened_is_tried_again() {
    for kind in Kind::BOTH {
        let scope = Scope::new();
        let log = scope.path("log");
        fs::create_dir(&log).expect("a new directory");
        let option = format!("-l{}", log.display());
        let mut lives = Lives::start(&scope, kind, &["-R0", &option], &["--exit-on=TERM:5"]);
        let complaint = format!("pidproxy: {}: ", log.display());
        for _ in 0..3 {
            lives.running.expect_line(|line| line.starts_with(&complaint));
            lives.running.expect_line(|line| line == "pidproxy: ended: 125");
        }
        assert_eq!(scope.reports().all().len(), 0, "{kind:?}");
        fs::remove_dir(&log).expect("our own directory");
        lives.next();
        assert!(log.is_file());
        lives.stop(5);
    }
}

/// A daemon that died before it had a pid file is kept until the launch has failed, and no longer.
#[test]
fn what_dies_early_in_each_life_is_reaped() {
    let scope = Scope::new();
    let daemon = ["daemon", "--no-pid-file", "--die-early=3"];
    let mut running = Kind::Daemon.proxy(&scope, &["-R0", "-w1"]).specimen(daemon).spawn();
    let complaint = format!("pidproxy: {}: ", scope.path("pid").display());
    for _ in 0..5 {
        running.expect_line(|line| line.starts_with(&complaint));
    }
    let children = proc::children(running.pid()).len();
    assert!(children <= 2, "{children} children after five lives\n{}", scope.evidence());
}

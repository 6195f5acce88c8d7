//! `NOTIFY_SOCKET`: a service manager hears that the target is there, which process to watch, and that the end begins
//! (`sd_notify(3)`).

use std::os::unix::net::UnixDatagram;
use std::path::Path;

use super::{FOR_EVER, Kind, daemon, program, with_ready};
use crate::harness::needs::{self, skip};
use crate::harness::{DEADLINE, Manager, Proxy, Refusal, Running, Scope, eventually, proc};

/// Ends the run by TERM, which is the last that the manager hears of.
#[track_caller]
fn stop(running: Running, manager: &Manager) {
    running.signal(libc::SIGTERM);
    running.wait().expect_code(7);
    manager.expect_end();
}

/// A path, and an abstract name with an `@` in it.
#[test]
fn a_program_is_ready_once_it_is_executed() {
    let scope = Scope::new();
    for manager in [Manager::new(&scope), Manager::with_abstract_name()] {
        let scope = Scope::new();
        let running = manager.over(program(&scope, &[], &["--exit-on=TERM:7"])).spawn();
        manager.expect_ready(&running);
        scope.reports().expect("program", "ready");
        let is_socket = |(_, target): &(i32, String)| target.starts_with("socket:");
        let is_closed = || (!proc::descriptors(running.pid()).iter().any(is_socket)).then_some(());
        assert!(eventually(DEADLINE, is_closed).is_some(), "{:?}", proc::descriptors(running.pid()));
        manager.expect_nothing();
        stop(running, &manager);
    }
}

#[test]
fn a_daemon_is_ready_once_it_is_known() {
    let scope = Scope::new();
    let manager = Manager::new(&scope);
    let control = scope.control("control");
    let arguments = ["--no-pid-file", "--exit-on=TERM:7", &control.option()];
    let running = manager.over(daemon(&scope, &scope.path("pid"), &[], &arguments)).spawn();
    scope.reports().expect("daemon", "ready");
    manager.expect_nothing();
    control.send("write-pid-file");
    manager.expect_ready(&running);
    stop(running, &manager);
}

/// Both at once: the one does not stand in the way of the other.
#[test]
fn a_descriptor_is_told_too() {
    let scope = Scope::new();
    let manager = Manager::new(&scope);
    let ready = scope.path("ready");
    let proxy = daemon(&scope, &scope.path("pid"), &[], &["--exit-on=TERM:7"]);
    let running = manager.over(with_ready(proxy, &ready)).spawn();
    manager.expect_ready(&running);
    scope.reports().expect("daemon", "ready");
    stop(running, &manager);
    assert_eq!(std::fs::read_to_string(ready).expect("a file"), "\n");
}

/// Often, because that is a race.
#[test]
fn what_can_not_be_executed_is_never_ready() {
    for _ in 0..30 {
        let scope = Scope::new();
        let manager = Manager::new(&scope);
        manager.over(Proxy::new(&scope).pid_file("-").command(["./nothing"])).run().expect_code(127);
        manager.expect_end();
    }
}

/// What is wrong on the command line is told to the user alone.
#[test]
fn nothing_is_said_of_what_never_began() {
    let scope = Scope::new();
    let manager = Manager::new(&scope);
    for options in [&["-w", "x"][..], &["-z"], &["-U", "nobody-of-this-name"]] {
        let proxy = Proxy::new(&scope).options(options).pid_file("-").command(["sh", "-c", "echo started"]);
        let finished = manager.over(proxy).run().expect_code(125);
        assert_eq!(finished.stdout, "");
        manager.expect_nothing();
    }
}

/// The manager's word is for us: neither the command nor the hook may take it for theirs.
#[test]
fn nobody_else_gets_the_variable() {
    let scope = Scope::new();
    let manager = Manager::new(&scope);
    let say = |name: &str| scope.script(name, &format!("echo {name} ${{NOTIFY_SOCKET-none}} $BEFORE $BEHIND"));
    let (hook, command) = (say("hook"), say("command"));
    // Wherever it stands among the others, none of them is lost.
    let start = [
        "env",
        "-i",
        "BEFORE=1",
        "PIDPROXY_OPTIONS=-v",
        &format!("NOTIFY_SOCKET={}", manager.name),
        "PATH=/usr/bin:/bin",
        "BEHIND=2",
    ];
    let proxy = Proxy::new(&scope).options(["-E"]).options([&hook]).pid_file("-").command([&command]);
    let finished = proxy.prefix(start).run().expect_code(0);
    assert_eq!(finished.stdout, "command none 1 2\nhook none 1 2\n");
    assert!(finished.stderr.contains("following"), "the options are read: {}", finished.stderr);
    manager.expect_a_short_life();
    // With `-x` there is nobody of us left: what is to be told is for the program to tell.
    let proxy = Proxy::new(&scope).options(["-x"]).command([&command]);
    let finished = manager.over(proxy).run().expect_code(0);
    assert_eq!(finished.stdout, format!("command {}\n", manager.name));
    manager.expect_nothing();
}

/// As the manager sees it the service runs on while its program is launched again, and ends once: before the hook.
#[test]
fn a_restart_is_no_end() {
    let scope = Scope::new();
    let manager = Manager::new(&scope);
    let hook = scope.script("hook", "read line <\"$0.pipe\"");
    let pipe = scope.path("hook.pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a new file");
    let options = ["-R0", "-E", hook.to_str().expect("a path of ASCII")];
    let proxy = daemon(&scope, &scope.path("pid"), &options, &["--exit-on=TERM:7", "--exit-on=USR1:8"]);
    let running = manager.over(proxy).spawn();
    manager.expect_ready(&running);
    for life in 1..=3 {
        scope.reports().expect("daemon", "ready");
        assert_eq!(Kind::Daemon.lives(&scope), life);
        running.signal(if life == 3 { libc::SIGTERM } else { libc::SIGUSR1 });
    }
    // The hook waits for us.
    manager.expect_end();
    std::fs::write(&pipe, "go on\n").expect("a pipe");
    running.wait().expect_code(7);
    manager.expect_nothing();
}

/// A pause is no end either, until it is ended.
#[test]
fn the_end_may_come_in_a_pause() {
    let scope = Scope::new();
    let manager = Manager::new(&scope);
    let mut running = manager.over(program(&scope, &[FOR_EVER, "-v"], &["--exit=8"])).spawn();
    running.expect_line(|line| line == "pidproxy: ended: 8");
    running.signal(libc::SIGTERM);
    running.wait().expect_code(8);
    manager.expect_a_short_life();
}

/// A manager that is not there, or no name of one: the program runs all the same, and nobody complains.
#[test]
fn a_manager_that_is_not_there_is_no_failure() {
    let scope = Scope::new();
    let (nowhere, file) = (scope.path("nowhere"), scope.path("file"));
    std::fs::write(&file, "").expect("a new file");
    let path = |path: &Path| path.to_str().expect("a path of ASCII").to_owned();
    let long = |first: &str| first.to_owned() + &"x".repeat(5000);
    for name in [path(&nowhere), path(&file), String::new(), "@".into(), "x".into(), long("/"), long("@")] {
        let proxy = Proxy::new(&scope).pid_file("-").command(["sh", "-c", "echo ${NOTIFY_SOCKET-none}; exit 7"]);
        let finished = proxy.env("NOTIFY_SOCKET", &name).run().expect_code(7);
        assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("none\n", ""), "{name:.20}");
    }
}

/// The calls fail: so does nothing else. (The specimen would need them too.)
#[test]
fn a_kernel_without_sockets_is_no_failure() {
    for call in [libc::SYS_socket, libc::SYS_sendto] {
        for errno in [libc::EPERM, libc::ENOSYS, libc::EMFILE] {
            let scope = Scope::new();
            let manager = Manager::new(&scope);
            let proxy = Proxy::new(&scope).pid_file("-").command(["sh", "-c", "echo started; exit 7"]);
            let finished = manager.over(proxy).refuse(&[Refusal::Call(call)], errno).run().expect_code(7);
            assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("started\n", ""));
            manager.expect_nothing();
        }
    }
}

/// A manager that does not read at once loses nothing, and signals that come meanwhile are forwarded then.
#[test]
fn a_full_queue_is_waited_for() {
    let scope = Scope::new();
    let manager = Manager::new(&scope);
    let other = UnixDatagram::unbound().expect("a socket");
    other.set_nonblocking(true).expect("a socket");
    let mut count = 0;
    while other.send_to(b"other", &manager.name).is_ok() {
        count += 1;
    }
    let running = manager.over(program(&scope, &[], &["--exit-on=TERM:7"])).spawn();
    scope.reports().expect("program", "ready");
    running.signal(libc::SIGUSR1);
    running.signal(libc::SIGTERM);
    for _ in 0..count {
        manager.expect("other");
    }
    manager.expect_ready(&running);
    running.wait().expect_code(7);
    manager.expect_end();
}

/// A manager's socket lies where its service may write, whoever that is.
#[test]
fn a_service_of_another_user_tells_its_manager() {
    if let Err(reason) = needs::root() {
        return skip(&reason);
    }
    let scope = Scope::new();
    let manager = Manager::with_abstract_name();
    let pid_file = scope.directory_for("run", 4711, 4712).join("pid");
    let running = manager.over(daemon(&scope, &pid_file, &["-U", "4711:4712"], &["--exit-on=TERM:7"])).spawn();
    manager.expect_ready(&running);
    scope.reports().expect("daemon", "ready");
    stop(running, &manager);
}

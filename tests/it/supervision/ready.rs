//! `-d`: a line feed to a descriptor, and its end, once the target is known.

use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use super::{daemon, program, with_ready};
use crate::harness::{DEADLINE, Proxy, Scope, eventually, proc};

/// A pipe's name in the file system.
fn pipe(scope: &Scope) -> PathBuf {
    let path = scope.path("ready");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a new file");
    path
}

/// Reads the pipe to its end; what has come when it is asked for, and whether that is all, is in the channel.
fn read(pipe: &Path) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    let pipe = pipe.to_owned();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let mut file = OpenOptions::new().read(true).open(pipe).expect("a pipe");
        file.read_to_end(&mut text).expect("its contents");
        let _ = sender.send(text);
    });
    receiver
}

/// Nobody else has the descriptor: it ends although proxy and program go on.
#[test]
fn a_program_is_ready_once_it_is_executed() {
    let scope = Scope::new();
    let pipe = pipe(&scope);
    let text = read(&pipe);
    let running = with_ready(program(&scope, &[], &["--exit-on=TERM:7"]), &pipe).spawn();
    assert_eq!(text.recv_timeout(DEADLINE).as_deref(), Ok(&b"\n"[..]));
    scope.reports().expect("program", "ready");
    running.signal(libc::SIGTERM);
    running.wait().expect_code(7);
}

#[test]
fn a_daemon_is_ready_once_it_is_known() {
    let scope = Scope::new();
    let pipe = pipe(&scope);
    let text = read(&pipe);
    let control = scope.control("control");
    let arguments = ["--no-pid-file", "--exit-on=TERM:7", &control.option()];
    let running = with_ready(daemon(&scope, &scope.path("pid"), &[], &arguments), &pipe).spawn();
    scope.reports().expect("daemon", "ready");
    assert_eq!(text.try_recv(), Err(mpsc::TryRecvError::Empty), "its pid is in no file yet");
    control.send("write-pid-file");
    assert_eq!(text.recv_timeout(DEADLINE).as_deref(), Ok(&b"\n"[..]));
    running.signal(libc::SIGTERM);
    running.wait().expect_code(7);
}

/// It is said once, not for what the target is replaced by.
#[test]
fn a_replacement_is_not_told() {
    let scope = Scope::new();
    let ready = scope.path("ready");
    let arguments = ["--replace-on=USR2", "--exit-on=TERM:7"];
    let running = with_ready(daemon(&scope, &scope.path("pid"), &[], &arguments), &ready).spawn();
    scope.reports().expect("daemon", "ready");
    running.signal(libc::SIGUSR2);
    let replacement = scope.reports().expect("replacement", "ready").pid();
    let is_alone = || (proc::children(running.pid()) == [replacement]).then_some(());
    eventually(DEADLINE, is_alone).expect("the other is gone");
    running.signal(libc::SIGTERM);
    running.wait().expect_code(7);
    assert_eq!(std::fs::read_to_string(ready).expect("a file"), "\n");
}

/// What can not be executed ends a moment after it has failed to be: often, because that is a race.
#[test]
fn what_can_not_be_executed_is_never_ready() {
    for _ in 0..30 {
        let scope = Scope::new();
        let ready = scope.path("ready");
        let proxy = Proxy::new(&scope).pid_file("-").command(["./nothing"]);
        with_ready(proxy, &ready).run().expect_code(127);
        assert_eq!(std::fs::read_to_string(ready).expect("a file"), "");
    }
}

#[test]
fn a_daemon_that_is_never_found_is_never_ready() {
    let scope = Scope::new();
    let ready = scope.path("ready");
    let proxy = Proxy::new(&scope).options(["-w", "600"]).pid_file(scope.path("pid")).command(["true"]);
    with_ready(proxy, &ready).run().expect_code(125);
    assert_eq!(std::fs::read_to_string(ready).expect("a file"), "");
}

/// The other descriptors go to the command, and are closed in us all the same.
#[test]
fn the_descriptors_around_it_are_closed() {
    let scope = Scope::new();
    let ready = scope.path("ready");
    let around = ["sh", "-c", r#"exec "$@" 6</dev/null 8</dev/null 9</dev/null"#, "sh"];
    let running = with_ready(program(&scope, &[], &["--exit-on=TERM:7"]), &ready).prefix(around).spawn();
    let pid = scope.reports().expect("program", "ready").pid();
    let numbers = |pid| proc::descriptors(pid).into_iter().map(|(number, _)| number).collect::<Vec<_>>();
    let theirs = numbers(pid);
    assert!([6, 8, 9].iter().all(|number| theirs.contains(number)) && !theirs.contains(&7), "{theirs:?}");
    let null = |pid| {
        let descriptors = proc::descriptors(pid);
        descriptors.into_iter().filter(|(number, target)| *number > 2 && target == "/dev/null").count()
    };
    let are_closed = || (null(running.pid()) == 0).then_some(());
    assert!(eventually(DEADLINE, are_closed).is_some(), "{:?}", proc::descriptors(running.pid()));
    running.signal(libc::SIGTERM);
    running.wait().expect_code(7);
}

/// A standard descriptor, and one that is not there.
#[test]
fn what_is_no_descriptor_is_refused() {
    for number in ["0", "1", "2", "7", "1000000"] {
        let scope = Scope::new();
        let proxy = Proxy::new(&scope).options(["-d", number]).pid_file("-").command(["sh", "-c", "echo started"]);
        let finished = proxy.prefix(["sh", "-c", r#"exec "$@" 7>&-"#, "sh"]).run().expect_code(125);
        assert_eq!(finished.stdout, "");
        finished.expect_failure(number);
    }
}

/// The mode of an open file that a FIFO needs is not ours to know: nothing but a write is done to it.
#[test]
fn nobody_has_to_read_it() {
    let scope = Scope::new();
    let pipe = pipe(&scope);
    let reader = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&pipe).expect("a pipe");
    let running = with_ready(program(&scope, &[], &["--exit-on=TERM:7"]), &pipe).spawn();
    scope.reports().expect("program", "ready");
    drop(reader);
    running.signal(libc::SIGTERM);
    running.wait().expect_code(7);
}

//! The library, as a program uses it that depends on the crate: `pidfd`, on real processes, children and others, and where
//! the kernel or a filter does not let it. (Its examples are tested where they stand.)

use std::io::Write as _;
use std::os::fd::BorrowedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;

use nix::fcntl::{FcntlArg, fcntl};
use nix::sched::{CloneFlags, unshare};
use pidproxy::pidfd::{Ending, Error, Payload, PidFd, Signal, Target};

use crate::harness::followed::{go_on, stop};
use crate::harness::needs::{self, skip};
use crate::harness::refusal::impose_on_this_thread;
use crate::harness::{Control, DEADLINE, Proxy, Refusal, Running, Scope, eventually, proc};

/// A child of ours that does what it is told over its standard input, by the shell; it ends with that. It leads a group.
/// Nobody but the library waits for it.
struct OwnChild {
    pid: i32,
    input: ChildStdin,
    _child: Child,
}

impl OwnChild {
    fn new() -> Self {
        let mut child = Command::new("sh").stdin(Stdio::piped()).process_group(0).spawn().expect("sh runs");
        Self { pid: pid(&child), input: child.stdin.take().expect("a pipe"), _child: child }
    }

    fn tell(&mut self, command: &str) {
        writeln!(self.input, "{command}").expect("sh reads");
    }

    fn open(&self) -> PidFd {
        PidFd::open(self.pid).expect("a child of ours")
    }
}

fn pid(child: &Child) -> i32 {
    i32::try_from(child.id()).expect("a pid")
}

/// A process that is another's child: of a shell, which reaps it when it ends, unless it is stopped.
struct Foreign {
    parent: Running,
    pid: i32,
    control: Control,
}

impl Foreign {
    fn new(scope: &Scope) -> Self {
        let control = scope.control("control");
        let parent = Proxy::absent(scope)
            .command(["sh", "-c", "\"$@\" & wait", "sh"])
            .specimen(["program", &control.option()])
            .spawn();
        let pid = scope.reports().expect("program", "ready").pid();
        assert_eq!(proc::parent(pid), Some(parent.first_pid()));
        Self { parent, pid, control }
    }

    fn open(&self) -> PidFd {
        PidFd::open(self.pid).expect("a living process")
    }
}

/// How a foreign process ended, as far as this kernel tells.
fn as_told(ending: Ending) -> Ending {
    if needs::kernel_tells_foreign_status() { ending } else { Ending::Unknown }
}

/// Where what is changed of a thread ends with it.
fn in_a_thread<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(body).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn signal(number: i32) -> Signal {
    Signal::new(number.cast_unsigned()).expect("the number of a signal")
}

#[test]
fn it_is_supported_where_the_tests_run() {
    assert!(PidFd::supported());
}

#[test]
fn what_is_no_process_is_not_found() {
    for number in [0, -1, i32::MIN, i32::MAX] {
        assert_eq!(PidFd::open(number).err(), Some(Error::NotFound), "{number}");
    }
    // A number that nobody else can have meanwhile, and that is no process's.
    let opened = in_a_thread(|| PidFd::open(nix::unistd::gettid().as_raw()).err());
    assert_eq!(opened, Some(Error::NotFound), "a thread");
}

#[test]
fn a_child_is_reaped_and_its_ending_told() {
    let endings = [
        ("exit 0", Ending::Exited(0)),
        ("exit 1", Ending::Exited(1)),
        ("exit 255", Ending::Exited(255)),
        ("kill -TERM $$", Ending::Killed(Signal::TERM)),
        ("kill -KILL $$", Ending::Killed(Signal::KILL)),
        ("ulimit -c 0; kill -SEGV $$", Ending::Killed(signal(libc::SIGSEGV))),
        // It may dump core, which is told beside the signal.
        ("cd /; kill -ABRT $$", Ending::Killed(signal(libc::SIGABRT))),
        ("kill -64 $$", Ending::Killed(signal(64))),
    ];
    for (command, ending) in endings {
        eprintln!("{command}");
        let mut child = OwnChild::new();
        let process = child.open();
        assert!(process.is_alive());
        assert_eq!(process.try_wait(), Ok(None));
        child.tell(command);
        assert_eq!(process.wait(), Ok(ending));
        assert_eq!(proc::state(child.pid), None, "it is reaped");
        assert!(!process.is_alive());
        assert_eq!(process.send_signal(Signal::CONT), Err(Error::NotFound));
        // Now it is nobody's child any more.
        assert_eq!(process.wait(), Ok(as_told(ending)));
        assert_eq!(process.try_wait(), Ok(Some(as_told(ending))));
    }
}

#[test]
fn a_child_that_is_not_reaped_is_not_alive() {
    let mut child = OwnChild::new();
    let before = child.open();
    child.tell("exit 7");
    eventually(DEADLINE, || (!before.is_alive()).then_some(())).expect("it ends");
    assert_eq!(proc::state(child.pid), Some('Z'));
    // Its number is its own yet.
    let after = child.open();
    assert!(!after.is_alive());
    assert_eq!(after.send_signal(Signal::KILL), Ok(()), "it makes no difference");
    assert_eq!(after.try_wait(), Ok(Some(Ending::Exited(7))));
    assert_eq!(before.try_wait(), Ok(Some(as_told(Ending::Exited(7)))));
}

#[test]
fn a_wait_ends_with_the_process() {
    let mut child = OwnChild::new();
    let process = child.open();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| process.wait());
        // It sleeps in the kernel, and a stop is no end.
        stop(child.pid);
        go_on(child.pid);
        assert!(!waiting.is_finished());
        child.tell("exit 9");
        assert_eq!(waiting.join().expect("no panic"), Ok(Ending::Exited(9)));
    });
}

#[test]
fn of_a_foreign_process_the_ending_is_told_once_it_is_reaped() {
    for (command, ending) in [("exit 0", Ending::Exited(0)), ("exit 77", Ending::Exited(77))]
        .into_iter()
        .chain([("die KILL", Ending::Killed(Signal::KILL)), ("die 64", Ending::Killed(signal(64)))])
    {
        eprintln!("{command}");
        let scope = Scope::new();
        let foreign = Foreign::new(&scope);
        let process = foreign.open();
        assert!(process.is_alive());
        assert_eq!(process.try_wait(), Ok(None));
        stop(foreign.parent.first_pid());
        foreign.control.send(command);
        eventually(DEADLINE, || (!process.is_alive()).then_some(())).expect("it ends");
        assert_eq!(proc::state(foreign.pid), Some('Z'));
        assert_eq!(process.try_wait(), Ok(None), "not reaped yet");
        thread::scope(|scope| {
            let waiting = scope.spawn(|| process.wait());
            go_on(foreign.parent.first_pid());
            assert_eq!(waiting.join().expect("no panic"), Ok(as_told(ending)));
        });
        foreign.parent.wait().expect_code(0);
        assert_eq!(process.send_signal(Signal::TERM), Err(Error::NotFound));
    }
}

#[test]
fn a_signal_goes_to_the_process_alone_or_to_its_group() {
    let scope = Scope::new();
    let pid_file = format!("--pid-file={}", scope.path("pid").display());
    let _launcher = Proxy::absent(&scope)
        .specimen(["daemon", "--single-fork", "--children=2", "--launcher-stays", &pid_file])
        .spawn();
    let pid = scope.reports().expect("daemon", "ready").pid();
    for child in ["child1", "child2"] {
        scope.reports().expect(child, "ready");
    }
    let process = PidFd::open(pid).expect("a living process");

    process.send_signal(Signal::USR1).expect("it is ours");
    let report = scope.reports().expect("daemon", "signal");
    assert_eq!(report.number("number"), libc::SIGUSR1.into());
    assert_eq!(report.number("code"), libc::SI_USER.into());

    let value = usize::MAX / 3;
    for (target, members) in [(Target::Process, &["daemon"][..]), (Target::Group, &["daemon", "child1", "child2"])] {
        match process.send_signal_to(target, signal(40), Payload::Value(value)) {
            Err(Error::NotSupported) if target == Target::Group => return skip("needs Linux 6.9"),
            outcome => assert_eq!(outcome, Ok(()), "{target:?}"),
        }
        for member in members {
            let report = scope.reports().expect(member, "signal");
            assert_eq!(report.number("number"), 40, "{member}: {report}");
            assert_eq!(report.number("code"), libc::SI_QUEUE.into(), "{member}: {report}");
            assert_eq!(report.value(), value as u64, "{member}: {report}");
            assert_eq!(report.pid(), nix::unistd::getpid().as_raw(), "{member}: {report}");
            assert_eq!(report.number("uid"), nix::unistd::getuid().as_raw().into(), "{member}: {report}");
        }
    }
    process.send_signal_to(Target::Group, Signal::USR2, Payload::None).expect("the same without a value");
    for member in ["daemon", "child1", "child2"] {
        // And nothing came in between, to a child that the process alone was meant for.
        assert_eq!(scope.reports().expect(member, "signal").number("number"), libc::SIGUSR2.into(), "{member}");
    }
}

#[test]
fn who_leads_no_group_has_none() {
    let scope = Scope::new();
    let foreign = Foreign::new(&scope);
    match foreign.open().send_signal_to(Target::Group, Signal::USR1, Payload::None) {
        Err(Error::NotSupported) => skip("needs Linux 6.9"),
        outcome => assert_eq!(outcome, Err(Error::NotFound)),
    }
}

#[test]
fn a_full_queue_is_told() {
    let mut child = OwnChild::new();
    let process = child.open();
    // A limit that is low and a signal that stays pending: the child's are stopped with it.
    stop(child.pid);
    let limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    let nothing: *mut libc::rlimit64 = std::ptr::null_mut();
    // SAFETY: the kernel reads one limit.
    assert_eq!(unsafe { libc::prlimit64(child.pid, libc::RLIMIT_SIGPENDING, &raw const limit, nothing) }, 0);
    let outcome = process.send_signal_to(Target::Process, signal(40), Payload::Value(1));
    assert_eq!(outcome, Err(Error::Other(libc::EAGAIN)));
    go_on(child.pid);
    child.tell("exit 0");
    assert_eq!(process.wait(), Ok(Ending::Exited(0)));
}

#[test]
fn another_users_process_is_not_permitted() {
    if let Err(reason) = needs::root() {
        return skip(&reason);
    }
    let mut child = OwnChild::new();
    in_a_thread(|| {
        // By the system call it is this thread's identity alone.
        // SAFETY: touches no memory.
        assert_eq!(unsafe { libc::syscall(libc::SYS_setresuid, 4711, 4711, 4711) }, 0);
        let process = child.open();
        assert_eq!(process.send_signal(Signal::KILL), Err(Error::NotPermitted));
        let outcome = process.send_signal_to(Target::Process, signal(40), Payload::Value(1));
        assert_eq!(outcome, Err(Error::NotPermitted));
        assert!(process.is_alive(), "to ask is permitted");
        child.tell("exit 5");
        assert_eq!(process.wait(), Ok(Ending::Exited(5)), "and so is to wait");
    });
}

#[test]
fn what_is_refused_is_not_supported() {
    let scope = Scope::new();
    for errno in [libc::ENOSYS, libc::EPERM] {
        in_a_thread(|| {
            impose_on_this_thread(&[Refusal::PidfdOpen], errno);
            assert_eq!(PidFd::open(nix::unistd::getpid().as_raw()).err(), Some(Error::NotSupported));
            assert!(!PidFd::supported());
        });
    }
    for errno in [libc::ENOSYS, libc::EPERM, libc::EINVAL] {
        let mut child = OwnChild::new();
        in_a_thread(|| {
            impose_on_this_thread(&[Refusal::WaitidPidfd], errno);
            let process = child.open();
            assert_eq!(process.try_wait(), Err(Error::NotSupported));
            child.tell("exit 5");
            assert_eq!(process.wait(), Err(Error::NotSupported));
            assert!(!process.is_alive(), "it waited all the same");
            assert!(!PidFd::supported());
        });
        assert_eq!(child.open().wait(), Ok(Ending::Exited(5)));
    }
    let foreign = Foreign::new(&scope);
    let process = foreign.open();
    in_a_thread(|| {
        impose_on_this_thread(&[Refusal::PidfdSendSignal], libc::ENOSYS);
        assert_eq!(process.send_signal(Signal::USR1), Err(Error::NotSupported));
        assert!(!PidFd::supported());
    });
    in_a_thread(|| {
        impose_on_this_thread(&[Refusal::PidfdSignalGroup], libc::EINVAL);
        let outcome = process.send_signal_to(Target::Group, Signal::USR1, Payload::None);
        assert_eq!(outcome, Err(Error::NotSupported));
        assert!(PidFd::supported());
    });
    for errno in [libc::ENOSYS, libc::EPERM, libc::EINVAL, libc::ENOTTY] {
        let scope = Scope::new();
        let foreign = Foreign::new(&scope);
        in_a_thread(|| {
            impose_on_this_thread(&[Refusal::PidfdGetInfo], errno);
            let process = foreign.open();
            foreign.control.send("exit 5");
            assert_eq!(process.wait(), Ok(Ending::Unknown));
        });
    }
}

#[test]
fn the_descriptor_is_closed_with_its_owner() {
    let child = OwnChild::new();
    // In a table of its own no other thread can take the numbers.
    in_a_thread(|| {
        unshare(CloneFlags::CLONE_FILES).expect("a table of our own");
        let process = child.open();
        let number = process.as_raw_fd();
        // SAFETY: only asked whether it is open.
        let flags = || fcntl(unsafe { BorrowedFd::borrow_raw(number) }, FcntlArg::F_GETFD);
        assert_eq!(flags(), Ok(libc::FD_CLOEXEC));
        drop(process);
        assert_eq!(flags(), Err(nix::errno::Errno::EBADF));

        let process = child.open();
        assert_eq!(process.as_raw_fd(), number, "the lowest that is free");
        assert_eq!(process.into_raw_fd(), number);
        assert_eq!(flags(), Ok(libc::FD_CLOEXEC), "it is the caller's now");
    });
    let process = child.open();
    drop(child.input);
    assert_eq!(process.wait(), Ok(Ending::Exited(0)));
}

#[test]
fn errors_have_numbers_and_words() {
    for (error, number, words) in [
        (Error::NotFound, libc::ESRCH, "no such process"),
        (Error::NotPermitted, libc::EPERM, "not permitted"),
        (Error::NotSupported, libc::ENOSYS, "not supported by this kernel or this container"),
        (Error::Other(libc::EMFILE), libc::EMFILE, "error 24"),
    ] {
        assert_eq!(error.number(), number);
        assert_eq!(error.to_string(), words);
    }
}

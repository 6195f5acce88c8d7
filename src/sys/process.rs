//! Processes: to start, to signal, to wait for.

use core::mem::{MaybeUninit, zeroed};

use linux_raw_sys::general as kernel;
use syscalls::Sysno;

use super::call::raw_syscall;
use super::memory::forget_stack_below;
use super::{Fd, Outcome, SignalInfo, Text, native, open};

/// `getpid(2)`.
#[must_use]
pub fn getpid() -> i32 {
    // SAFETY: takes nothing, can not fail.
    unsafe { raw_syscall!(Sysno::getpid) as i32 }
}

/// `exit(2)`: the end of the only thread is the end of the process.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the file is smaller with it, see SIZE.md")]
pub fn exit(status: i32) -> ! {
    exit_with(status.cast_unsigned() as usize)
}

fn exit_with(status: usize) -> ! {
    loop {
        // SAFETY: takes a number, does not return.
        unsafe { raw_syscall!(Sysno::exit, status) };
    }
}

/// `PR_SET_CHILD_SUBREAPER` of `prctl(2)` (Linux 3.4): orphaned descendants become our children.
pub fn become_subreaper() -> Outcome {
    // SAFETY: takes numbers only.
    Outcome::new(unsafe { raw_syscall!(Sysno::prctl, linux_raw_sys::prctl::PR_SET_CHILD_SUBREAPER, 1) })
}

/// `PR_SET_PDEATHSIG` of `prctl(2)`: we get a signal when our parent ends.
pub fn set_parent_death_signal(signal: u32) {
    // SAFETY: takes numbers only.
    unsafe { raw_syscall!(Sysno::prctl, linux_raw_sys::prctl::PR_SET_PDEATHSIG, signal) };
}

/// Starts a child that runs `child(argument)` in our memory while we stand still, until it executes a program or exits
/// (`clone(2)` with `CLONE_VM` and `CLONE_VFORK`): no page is copied, and none of ours is touched twice.
///
/// What the child writes to memory stays written; that is the caller's affair. What it used of the stack is given back. Gives the child's pid.
pub fn clone<T>(child: fn(&T) -> !, argument: &T) -> Outcome {
    const FLAGS: u32 = kernel::CLONE_VM | kernel::CLONE_VFORK | kernel::SIGCHLD;
    let [first, second] = native::clone_arguments(FLAGS);
    // SAFETY: no stack is given, so the child goes on on ours, below this frame: it calls a function that does not
    // return, and so never takes anything off the stack that we need when we go on.
    let pid = Outcome::new(unsafe { raw_syscall!(Sysno::clone, first, second) });
    if pid == Outcome::OK {
        child(argument);
    }
    forget_stack_below();
    pid
}

/// How many signals may be pending at us and at others of our user before one more for us finds no room
/// (`RLIMIT_SIGPENDING` of getrlimit(2)).
#[derive(Clone, Copy, Debug)]
pub struct PendingLimit(kernel::rlimit64);

impl PendingLimit {
    /// Not known: a placeholder that is nothing but zeros in memory.
    pub const ZERO: Self = Self(kernel::rlimit64 { rlim_cur: 0, rlim_max: 0 });

    /// Halves our own and gives what it was. Signals that wait for us can then never take all the room that the same user
    /// has for those that we send on.
    pub fn halve(&mut self) {
        let this = super::in_register(self);
        let old = &raw mut this.0;
        // SAFETY: the kernel writes one limit.
        unsafe { native::getrlimit(kernel::RLIMIT_SIGPENDING, old) };
        let whole = this.0.rlim_cur;
        this.0.rlim_cur = whole / 2;
        this.set();
        this.0.rlim_cur = whole;
    }

    /// Makes it ours.
    pub fn set(&self) {
        // SAFETY: the kernel reads one limit.
        unsafe { native::setrlimit(kernel::RLIMIT_SIGPENDING, &raw const self.0) };
    }
}

/// How a process ended, as `wait(2)` encodes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitStatus(pub i32);

impl WaitStatus {
    /// The signal that killed it, 0 where it exited.
    #[must_use]
    pub const fn signal(self) -> i32 {
        self.0 & 0x7f
    }

    /// The status that it exited with.
    #[must_use]
    pub const fn exit_code(self) -> i32 {
        self.0 >> 8
    }
}

/// Reaps a child that ended, without waiting (`wait4(2)`): `pid`, or any for -1. Gives its pid, and how it ended.
#[inline]
pub fn wait(pid: i32) -> Option<(i32, WaitStatus)> {
    let mut status = MaybeUninit::<i32>::uninit();
    let status = super::in_register(&mut status);
    // SAFETY: the kernel writes one int, where a child ended.
    let ended = unsafe { raw_syscall!(Sysno::wait4, pid, status.as_mut_ptr(), kernel::WNOHANG, 0) } as i32;
    // SAFETY: then it was written.
    (ended > 0).then(|| (ended, WaitStatus(unsafe { status.assume_init() })))
}

/// Whether `pid` is a child of ours, alive or not reaped yet (`waitid(2)`): ECHILD where it is not. Nothing is reaped.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the file is smaller with it, see SIZE.md")]
pub fn find_child(pid: i32) -> Outcome {
    waitid(kernel::P_PID as usize, pid.cast_unsigned() as usize)
}

/// Whether there is any child of ours, alive or not reaped yet (`waitid(2)`): ECHILD where there is none. Nothing is
/// reaped.
#[cfg_attr(target_arch = "x86_64", inline(never))]
#[cfg_attr(
    target_arch = "powerpc64",
    inline(always),
    expect(clippy::inline_always, reason = "the file is smaller with it, see SIZE.md")
)]
pub fn find_any_child() -> Outcome {
    waitid(kernel::P_ALL as usize, 0)
}

#[inline(never)]
fn waitid(which: usize, pid: usize) -> Outcome {
    let options = kernel::WEXITED | kernel::WNOHANG | kernel::WNOWAIT;
    // SAFETY: into a null siginfo the kernel writes nothing.
    Outcome::new(unsafe { raw_syscall!(Sysno::waitid, which, pid, 0, options, 0) })
}

/// The children of this process as the kernel lists them (Linux 3.17, with a setting that is on in practice): those who came
/// last stand last, orphans that were adopted included.
#[derive(Debug)]
pub struct Children(Fd);

impl Children {
    /// Where they are listed.
    pub const PATH: Text<'static> = Text::new(c"/proc/thread-self/children");

    /// Opens the list.
    #[must_use]
    pub fn list() -> Self {
        Self(open(Some(Self::PATH), 0))
    }

    /// How that went.
    pub const fn outcome(&self) -> Outcome {
        self.0.outcome()
    }

    /// The next one's pid; 0 behind the last one, and where there is no list. There is a blank behind each.
    pub fn take(&self) -> i32 {
        let mut pid = 0;
        let mut byte = 0_u8;
        while self.0.read(core::slice::from_mut(&mut byte)).number() > 0 && byte != b' ' {
            pid = pid * 10 + i32::from(byte) - i32::from(b'0');
        }
        pid
    }

    /// `close(2)`.
    pub fn close(self) {
        self.0.close();
    }
}

/// `tgkill(2)`: a signal for the first thread of a process; with 0 for none it tells whether `pid` is a process that we may
/// signal. Unlike `kill(2)` it does not take the id of a thread for one. ESRCH where it is not, EPERM where we may not.
#[cfg_attr(target_arch = "x86_64", inline(never))]
pub fn raise(pid: i32, signal: u32) -> Outcome {
    // SAFETY: takes numbers only.
    Outcome::new(unsafe { raw_syscall!(Sysno::tgkill, pid.cast_unsigned(), pid.cast_unsigned(), signal) })
}

/// Whether a child of ours has executed a program: setpgid(2) refuses to move one then (EACCES). One that has not is dead by
/// now, as `clone` waits: it does not matter whether group 1 is one of our session, into which it could be moved.
pub fn has_executed(child: i32) -> bool {
    // SAFETY: takes numbers only.
    let outcome = Outcome::new(unsafe { raw_syscall!(Sysno::setpgid, child.cast_unsigned(), 1) });
    outcome == Outcome::EACCES
}

/// `alarm(2)`: SIGALRM after so many seconds, or with 0 none any more.
pub fn alarm(seconds: u32) {
    native::alarm(seconds);
}

/// `kill(2)`: a process, or for a negative number a process group.
pub fn kill(pid: i32, signal: u32) -> Outcome {
    // SAFETY: takes numbers only.
    Outcome::new(unsafe { raw_syscall!(Sysno::kill, pid.cast_unsigned(), signal) })
}

/// `rt_sigqueueinfo(2)`: a signal with its payload.
pub fn queue(pid: i32, signal: u32, info: &SignalInfo) -> Outcome {
    // SAFETY: the kernel reads one siginfo.
    Outcome::new(unsafe {
        raw_syscall!(Sysno::rt_sigqueueinfo, pid.cast_unsigned(), signal, core::ptr::from_ref(info))
    })
}

/// A process, whatever becomes of its number (`pidfd_open(2)`). Where the kernel has no such thing it is a negative
/// number, which every call answers with EBADF.
#[derive(Clone, Copy, Debug)]
pub struct PidFd(pub(super) Fd);

impl PidFd {
    /// No process.
    pub const NONE: Self = Self(Fd(-1));
    /// A placeholder that is nothing but zeros in memory, where no process is meant at all.
    pub const ZERO: Self = Self(Fd(0));
    /// `PIDFD_SIGNAL_PROCESS_GROUP` (Linux 6.9).
    pub const PROCESS_GROUP: u32 = 1 << 2;

    /// `pidfd_open(2)` (Linux 5.3): ESRCH where there is no such process, EINVAL for the id of a thread.
    #[must_use]
    pub fn open(pid: i32) -> Self {
        // SAFETY: takes numbers only.
        Self(Fd::new(Outcome::new(unsafe { raw_syscall!(Sysno::pidfd_open, pid.cast_unsigned(), 0) })))
    }

    /// A descriptor that is open, which has to be a pidfd for any call to work.
    #[must_use]
    pub const fn of(number: i32) -> Self {
        Self(Fd(number))
    }

    /// The descriptor's number.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0.0
    }

    /// How opening it went.
    pub const fn outcome(self) -> Outcome {
        self.0.outcome()
    }

    /// Whether there is one.
    #[must_use]
    pub const fn is_open(self) -> bool {
        self.0.0 >= 0
    }

    /// `close(2)`.
    pub fn close(self) {
        self.0.close();
    }

    /// `pidfd_send_signal(2)` (Linux 5.1): ESRCH where the process was reaped.
    pub fn send_signal(self, signal: u32, info: Option<&SignalInfo>, flags: u32) -> Outcome {
        let info = info.map_or(core::ptr::null(), core::ptr::from_ref);
        // SAFETY: the kernel reads one siginfo, or none from a null pointer.
        Outcome::new(unsafe { raw_syscall!(Sysno::pidfd_send_signal, self.0.raw(), signal, info, flags) })
    }

    /// Reaps it, if it is a child of ours that ended, without waiting (`waitid(2)` with `P_PIDFD`, Linux 5.4). Gives its
    /// pid; 0 where it has not ended yet, ECHILD where it is not our child, or no longer.
    pub fn wait(self, status: &mut WaitStatus) -> Outcome {
        const OPTIONS: u32 = kernel::WEXITED | kernel::WNOHANG | kernel::__WALL;
        // SAFETY: all bytes zero is a value of this union of numbers and addresses.
        let mut info: SignalInfo = unsafe { zeroed() };
        let pointer = &raw mut info;
        // SAFETY: the kernel writes one siginfo.
        let outcome =
            Outcome::new(unsafe { raw_syscall!(Sysno::waitid, kernel::P_PIDFD, self.0.raw(), pointer, OPTIONS, 0) });
        if outcome.is_failure() {
            return outcome;
        }
        // SAFETY: this half of the union is numbers, whatever was written.
        let info = unsafe { info.__bindgen_anon_1.__bindgen_anon_1 };
        // SAFETY: likewise.
        let fields = unsafe { info._sifields._sigchld };
        // The form of wait(2): the status of an exit stands above the number of a signal.
        let is_exit = info.si_code == kernel::CLD_EXITED.cast_signed();
        *status = WaitStatus(if is_exit { (fields._status & 0xff) << 8 } else { fields._status });
        Outcome::new(fields._pid as usize)
    }

    /// How a process ended that is not our child (`PIDFD_GET_INFO`, Linux 6.15): false, and a status of 0, as long as its parent
    /// has not reaped it, and where the kernel does not tell.
    pub fn exit_status(self, status: &mut WaitStatus) -> bool {
        const INFO_EXIT: u64 = 1 << 3;
        /// `struct pidfd_info` in its first size.
        #[repr(C)]
        struct Info {
            mask: u64,
            unused: MaybeUninit<[u32; 13]>,
            exit_code: i32,
        }
        let mut info = Info { mask: INFO_EXIT, unused: MaybeUninit::uninit(), exit_code: 0 };
        let info = super::in_register(&mut info);
        // SAFETY: the kernel writes one such struct. Of what it reads it looks at the mask alone.
        let outcome =
            Outcome::new(unsafe { raw_syscall!(Sysno::ioctl, self.0.raw(), native::PIDFD_GET_INFO, &raw mut *info) });
        status.0 = info.exit_code;
        !outcome.is_failure() && info.mask & INFO_EXIT != 0
    }
}

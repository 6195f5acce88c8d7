//! Processes: to start, to signal, to wait for.

use linux_raw_sys::general as kernel;
use syscalls::{Sysno, syscall};

use super::{Fd, Result, SignalInfo};

/// `getpid(2)`.
#[must_use]
pub fn getpid() -> i32 {
    // SAFETY: takes nothing, can not fail.
    unsafe { syscall!(Sysno::getpid) }.unwrap_or(0) as i32
}

/// `exit_group(2)`.
pub fn exit(status: u8) -> ! {
    loop {
        // SAFETY: takes a number, does not return.
        let _ = unsafe { syscall!(Sysno::exit_group, status) };
    }
}

/// `PR_SET_CHILD_SUBREAPER` of `prctl(2)` (Linux 3.4): orphaned descendants become our children.
pub fn become_subreaper() -> Result<()> {
    // SAFETY: takes numbers only.
    unsafe { syscall!(Sysno::prctl, linux_raw_sys::prctl::PR_SET_CHILD_SUBREAPER, 1) }.map(drop)
}

/// Starts a child that runs `child(argument)` in our memory while we stand still, until it executes a program or exits
/// (`clone(2)` with `CLONE_VM` and `CLONE_VFORK`): no page is copied, and none of ours is touched twice.
///
/// What the child writes to memory stays written; that is the caller's affair. Gives the child's pid, and its pidfd
/// where the kernel has such a thing.
#[inline(never)]
pub fn clone<T>(child: fn(&T) -> !, argument: &T) -> Result<(i32, Option<PidFd>)> {
    const FLAGS: u32 = kernel::CLONE_VM | kernel::CLONE_VFORK | kernel::SIGCHLD;
    let mut pidfd: i32 = -1;
    // SAFETY: no stack is given, so the child goes on on ours, below this frame: it calls a function that does not
    // return, and so never takes anything off the stack that we need when we go on.
    let mut result = unsafe { syscall!(Sysno::clone, FLAGS | kernel::CLONE_PIDFD, 0, &raw mut pidfd, 0, 0) };
    if result.is_err() {
        // SAFETY: as above.
        result = unsafe { syscall!(Sysno::clone, FLAGS, 0, 0, 0, 0) };
    }
    let pid = result?;
    if pid == 0 {
        child(argument);
    }
    // Before 5.2 the flag was ignored: then nothing was written.
    Ok((pid as i32, (pidfd >= 0).then_some(PidFd(Fd(pidfd)))))
}

/// How a process ended, as `wait(2)` encodes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitStatus(pub i32);

impl WaitStatus {
    /// The signal that killed it, 0 where it exited.
    pub const fn signal(self) -> u32 {
        (self.0 & 0x7f) as u32
    }
    /// The status it exited with.
    pub const fn exit_code(self) -> u8 {
        (self.0 >> 8) as u8
    }
    /// The status that stands for it, as the shells have it: its own, or 128 and the signal.
    pub const fn code(self) -> u8 {
        if self.signal() == 0 {
            self.exit_code()
        } else {
            128 + self.signal() as u8
        }
    }
}

/// Reaps a child that ended, without waiting (`wait4(2)`): `pid`, or any for -1. `None` where none ended yet.
/// ECHILD where there is none.
pub fn wait(pid: i32) -> Result<Option<(i32, WaitStatus)>> {
    let mut status = 0;
    // SAFETY: the kernel writes one int.
    let pid = unsafe { syscall!(Sysno::wait4, pid, &raw mut status, kernel::WNOHANG, 0) }?;
    Ok((pid != 0).then_some((pid as i32, WaitStatus(status))))
}

/// Whether `pid`, or any process for 0, is a child of ours, alive or not reaped yet (`waitid(2)`): ECHILD where it is
/// not. Nothing is reaped.
pub fn find_child(pid: i32) -> Result<()> {
    let which = if pid == 0 { kernel::P_ALL } else { kernel::P_PID };
    let options = kernel::WEXITED | kernel::WNOHANG | kernel::WNOWAIT;
    // SAFETY: into a null siginfo the kernel writes nothing.
    unsafe { syscall!(Sysno::waitid, which, pid, 0, options, 0) }.map(drop)
}

/// `kill(2)`: a process, or for a negative number a process group. Signal 0 only asks.
pub fn kill(pid: i32, signal: u32) -> Result<()> {
    // SAFETY: takes numbers only.
    unsafe { syscall!(Sysno::kill, pid, signal) }.map(drop)
}

/// `rt_sigqueueinfo(2)`: a signal with its payload.
pub fn queue(pid: i32, signal: u32, info: &SignalInfo) -> Result<()> {
    // SAFETY: the kernel reads one siginfo.
    unsafe { syscall!(Sysno::rt_sigqueueinfo, pid, signal, SignalInfo::as_pointer(Some(info))) }.map(drop)
}

/// Asks whether `pid` is a process, by `tgkill(2)` with signal 0: unlike `kill(2)` it does not take the id of a thread
/// for one. ESRCH where it is not.
pub fn find_process(pid: i32) -> Result<()> {
    // SAFETY: takes numbers only.
    unsafe { syscall!(Sysno::tgkill, pid, pid, 0) }.map(drop)
}

/// A process, whatever becomes of its number (`pidfd_open(2)`).
#[derive(Debug)]
pub struct PidFd(pub(super) Fd);

impl PidFd {
    /// `PIDFD_SIGNAL_PROCESS_GROUP` (Linux 6.9).
    pub const PROCESS_GROUP: u32 = 1 << 2;

    /// `pidfd_open(2)` (Linux 5.3): ESRCH where there is no such process, EINVAL for the id of a thread.
    pub fn open(pid: i32) -> Result<Self> {
        // SAFETY: takes numbers only.
        let fd = unsafe { syscall!(Sysno::pidfd_open, pid, 0) }?;
        Ok(Self(Fd(fd as i32)))
    }

    /// `pidfd_send_signal(2)` (Linux 5.1): ESRCH where the process was reaped.
    pub fn send_signal(&self, signal: u32, info: Option<&SignalInfo>, flags: u32) -> Result<()> {
        let info = SignalInfo::as_pointer(info);
        // SAFETY: the kernel reads one siginfo, or none from a null pointer.
        unsafe { syscall!(Sysno::pidfd_send_signal, self.0.0, signal, info, flags) }.map(drop)
    }

    /// How a process ended that is not our child (`PIDFD_GET_INFO`, Linux 6.15): `None` as long as its parent has not
    /// reaped it.
    pub fn exit_status(&self) -> Result<Option<WaitStatus>> {
        const INFO_EXIT: u64 = 1 << 3;
        /// `_IOWR(0xFF, 11, struct pidfd_info)`, in the struct's first size.
        const GET_INFO: u32 = 0xc040_ff0b;
        /// `struct pidfd_info` in its first size.
        #[repr(C)]
        struct Info {
            mask: u64,
            unused: [u32; 13],
            exit_code: i32,
        }
        let mut info = Info {
            mask: INFO_EXIT,
            unused: [0; 13],
            exit_code: 0,
        };
        // SAFETY: the kernel writes one such struct.
        unsafe { syscall!(Sysno::ioctl, self.0.0, GET_INFO, &raw mut info) }?;
        Ok((info.mask & INFO_EXIT != 0).then_some(WaitStatus(info.exit_code)))
    }
}

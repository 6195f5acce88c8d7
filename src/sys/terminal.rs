//! The terminal on standard input, and who has its foreground.

use linux_raw_sys::ioctl::{TIOCGPGRP, TIOCSPGRP};
use syscalls::Sysno;

use super::call::raw_syscall;
use super::{STANDARD_INPUT, getpid, native};

/// Makes the calling process, a child that has not executed its program yet, the leader of a process group of its own.
/// Where the group that it leaves has the foreground of the terminal on standard input, the new one gets it: so `^C`
/// reaches the program once, and a shell in it can control its jobs. So it does where the foreground is that of a group from
/// before, which is gone.
///
/// SIGTTOU has to be blocked, because the new group is in the background when it asks. Where there is no such terminal
/// nothing of this is a failure.
pub fn lead_foreground_group(before: i32) {
    let mut foreground = -1_i32;
    // SAFETY: the kernel writes one process group.
    unsafe { raw_syscall!(Sysno::ioctl, STANDARD_INPUT, TIOCGPGRP, &raw mut foreground) };
    let own = native::getpgrp() as i32;
    // SAFETY: takes numbers only.
    unsafe { raw_syscall!(Sysno::setpgid, 0, 0) };
    // No group has the number that is still there where nothing was written.
    if foreground == own || foreground == before {
        foreground = getpid();
        // SAFETY: the kernel reads one process group.
        unsafe { raw_syscall!(Sysno::ioctl, STANDARD_INPUT, TIOCSPGRP, &raw const foreground) };
    }
}

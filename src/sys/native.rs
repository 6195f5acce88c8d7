//! The calls and structures that are not the same on all architectures.

use linux_raw_sys::general as kernel;
use syscalls::Sysno;

use super::call::raw_syscall;

/// The structure that `FSTAT` fills.
#[cfg(target_pointer_width = "64")]
pub(super) use linux_raw_sys::general::stat as Stat;
/// Ids of 32 bits.
#[cfg(target_pointer_width = "64")]
pub(super) use syscalls::Sysno::{
    fcntl as FCNTL, fstat as FSTAT, getegid as GETEGID, geteuid as GETEUID, getgroups as GETGROUPS, getuid as GETUID,
    setgroups as SETGROUPS, setresgid as SETRESGID, setresuid as SETRESUID,
};

#[cfg(target_pointer_width = "32")]
pub(super) use linux_raw_sys::general::stat64 as Stat;
/// On `arm` and `x86` the names without a number stand for older calls, with ids of 16 bits.
#[cfg(target_pointer_width = "32")]
pub(super) use syscalls::Sysno::{
    fcntl64 as FCNTL, fstat64 as FSTAT, getegid32 as GETEGID, geteuid32 as GETEUID, getgroups32 as GETGROUPS,
    getuid32 as GETUID, setgroups32 as SETGROUPS, setresgid32 as SETRESGID, setresuid32 as SETRESUID,
};

/// Calls that the newer architectures left out for others that take more arguments.
#[cfg(not(any(target_arch = "aarch64", target_arch = "riscv64")))]
mod brief {
    use super::{Sysno, kernel, raw_syscall};

    /// `open(2)` of what is there.
    pub(crate) unsafe fn open(path: *const u8, flags: u32) -> usize {
        // SAFETY: as the caller says.
        unsafe { raw_syscall!(Sysno::open, path, flags) }
    }

    /// `open(2)` of what may have to be made.
    pub(crate) unsafe fn create(path: *const u8, flags: u32, mode: u32) -> usize {
        // SAFETY: as the caller says.
        unsafe { raw_syscall!(Sysno::open, path, flags, mode) }
    }

    /// `unlink(2)`.
    pub(crate) unsafe fn unlink(path: *const u8) -> usize {
        // SAFETY: as the caller says.
        unsafe { raw_syscall!(Sysno::unlink, path) }
    }

    /// `dup2(2)`: where both are the same nothing changes.
    pub(crate) fn duplicate(from: u32, to: i32) {
        // SAFETY: takes numbers only.
        unsafe { raw_syscall!(Sysno::dup2, from, to) };
    }

    /// `getpgrp(2)`.
    pub(crate) fn getpgrp() -> usize {
        // SAFETY: takes nothing, can not fail.
        unsafe { raw_syscall!(Sysno::getpgrp) }
    }

    /// `poll(2)` of one descriptor, without a wait.
    pub(crate) unsafe fn poll_at_once(descriptor: *mut kernel::pollfd) {
        // SAFETY: as the caller says.
        unsafe { raw_syscall!(Sysno::poll, descriptor, 1, 0) };
    }
}

/// The same by those others.
#[cfg(any(target_arch = "aarch64", target_arch = "riscv64"))]
mod brief {
    use super::{Sysno, kernel, ppoll, raw_syscall};

    pub(crate) unsafe fn open(path: *const u8, flags: u32) -> usize {
        // SAFETY: as the caller says.
        unsafe { raw_syscall!(Sysno::openat, kernel::AT_FDCWD, path, flags) }
    }

    pub(crate) unsafe fn create(path: *const u8, flags: u32, mode: u32) -> usize {
        // SAFETY: as the caller says.
        unsafe { raw_syscall!(Sysno::openat, kernel::AT_FDCWD, path, flags, mode) }
    }

    pub(crate) unsafe fn unlink(path: *const u8) -> usize {
        // SAFETY: as the caller says.
        unsafe { raw_syscall!(Sysno::unlinkat, kernel::AT_FDCWD, path, 0) }
    }

    pub(crate) fn duplicate(from: u32, to: i32) {
        // SAFETY: takes numbers only.
        unsafe { raw_syscall!(Sysno::dup3, from, to, 0) };
    }

    pub(crate) fn getpgrp() -> usize {
        // SAFETY: takes a number only.
        unsafe { raw_syscall!(Sysno::getpgid, 0) }
    }

    pub(crate) unsafe fn poll_at_once(descriptor: *mut kernel::pollfd) {
        let mut timeout = kernel::__kernel_timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: as the caller says.
        unsafe { ppoll(descriptor, 1, &raw mut timeout) };
    }
}

#[allow(unused_imports, reason = "where this file is compared with libc")]
pub(super) use brief::{create, duplicate, getpgrp, open, poll_at_once, unlink};

/// `getrlimit(2)`.
///
/// # Safety
///
/// The kernel writes one limit.
#[cfg(target_pointer_width = "64")]
pub(super) unsafe fn getrlimit(resource: u32, limit: *mut kernel::rlimit64) {
    #[cfg(not(target_arch = "powerpc64"))]
    const GETRLIMIT: Sysno = Sysno::getrlimit;
    // The older one, which has that name there, is gone.
    #[cfg(target_arch = "powerpc64")]
    const GETRLIMIT: Sysno = Sysno::ugetrlimit;
    // SAFETY: as the caller says.
    unsafe { raw_syscall!(GETRLIMIT, resource, limit) };
}

/// `setrlimit(2)`.
///
/// # Safety
///
/// The kernel reads one limit.
#[cfg(target_pointer_width = "64")]
pub(super) unsafe fn setrlimit(resource: u32, limit: *const kernel::rlimit64) {
    // SAFETY: as the caller says.
    unsafe { raw_syscall!(Sysno::setrlimit, resource, limit) };
}

/// The same with limits of 64 bits (`prlimit(2)`).
///
/// # Safety
///
/// The kernel writes one limit.
#[cfg(target_pointer_width = "32")]
pub(super) unsafe fn getrlimit(resource: u32, limit: *mut kernel::rlimit64) {
    // SAFETY: as the caller says.
    unsafe { raw_syscall!(Sysno::prlimit64, 0, resource, 0, limit) };
}

/// The same with limits of 64 bits (`prlimit(2)`).
///
/// # Safety
///
/// The kernel reads one limit.
#[cfg(target_pointer_width = "32")]
pub(super) unsafe fn setrlimit(resource: u32, limit: *const kernel::rlimit64) {
    // SAFETY: as the caller says.
    unsafe { raw_syscall!(Sysno::prlimit64, 0, resource, limit, 0) };
}

/// The first two arguments of `clone(2)`, where no stack is given: the flags come first.
#[cfg(not(target_arch = "s390x"))]
pub(super) const fn clone_arguments(flags: u32) -> [u32; 2] {
    [flags, 0]
}

/// The first two arguments of `clone(2)`, where no stack is given: the stack comes first.
#[cfg(target_arch = "s390x")]
pub(super) const fn clone_arguments(flags: u32) -> [u32; 2] {
    [0, flags]
}

/// `ioctl(2)` of a pidfd: how its process ended (`PIDFD_GET_INFO`, Linux 6.15): `_IOWR(0xFF, 11, struct pidfd_info)`, in
/// the struct's first size. The directions are other bits on `powerpc64`, but both of them together are the same.
pub(super) const PIDFD_GET_INFO: u32 = 0xc040_ff0b;

/// `ppoll(2)` without a signal mask, whose size the kernel then does not look at.
///
/// # Safety
///
/// The kernel reads and writes so many entries and, where it is not null, the timeout.
#[cfg(target_pointer_width = "64")]
#[inline]
pub(super) unsafe fn ppoll(
    descriptors: *mut kernel::pollfd,
    count: usize,
    timeout: *mut kernel::__kernel_timespec,
) -> usize {
    // SAFETY: as the caller says.
    unsafe { raw_syscall!(Sysno::ppoll, descriptors, count, timeout, 0) }
}

/// `ppoll(2)` without a signal mask; the timeout is shorter than a second.
///
/// The call with times of 64 bits came with Linux 5.1, and filters of containers may still refuse it; the one with 32
/// bits may be left out of a kernel. So where the first fails, the second is tried.
///
/// # Safety
///
/// The kernel reads and writes so many entries and, where it is not null, the timeout.
#[cfg(target_pointer_width = "32")]
#[inline(never)]
pub(super) unsafe fn ppoll(
    descriptors: *mut kernel::pollfd,
    count: usize,
    timeout: *mut kernel::__kernel_timespec,
) -> usize {
    // SAFETY: as the caller says.
    let result = unsafe { raw_syscall!(Sysno::ppoll_time64, descriptors, count, timeout, 0, 0) };
    if result.cast_signed() >= 0 {
        return result;
    }
    // The zero in the upper half of the seconds and the lower half of the nanoseconds behind it are the same timeout with
    // 32 bits; and what is left of it the kernel writes there too.
    let short = if timeout.is_null() { timeout.cast() } else { timeout.cast::<u8>().wrapping_add(SHORT_TIMEOUT) };
    // SAFETY: as the caller says.
    unsafe { raw_syscall!(Sysno::ppoll, descriptors, count, short, 0, 0) }
}

/// Where in a timeout of 64 bits, shorter than a second, the one of 32 bits lies.
#[cfg(target_pointer_width = "32")]
const SHORT_TIMEOUT: usize =
    core::mem::offset_of!(kernel::__kernel_timespec, tv_nsec) - size_of::<kernel::__kernel_old_time_t>();

#[cfg(target_pointer_width = "32")]
const _: () = assert!(
    cfg!(target_endian = "little") && core::mem::offset_of!(kernel::__kernel_old_timespec, tv_nsec) == 4,
    "the timeout of 32 bits does not lie within that of 64"
);

/// The largest page that a kernel may have.
pub(super) const PAGE: usize =
    if cfg!(any(target_arch = "aarch64", target_arch = "powerpc64")) { 0x10000 } else { 0x1000 };

const PROTECTION: u32 = kernel::PROT_READ | kernel::PROT_WRITE;
const FLAGS: u32 = kernel::MAP_PRIVATE | kernel::MAP_ANONYMOUS;

/// Private memory of that size, all zeros (`mmap(2)`): its address, or an error.
#[cfg(not(target_arch = "s390x"))]
pub(super) fn map_memory(size: usize) -> usize {
    #[cfg(target_pointer_width = "64")]
    const MMAP: Sysno = Sysno::mmap;
    // The older one, where there is one, has another form.
    #[cfg(target_pointer_width = "32")]
    const MMAP: Sysno = Sysno::mmap2;
    // SAFETY: new memory.
    unsafe { raw_syscall!(MMAP, 0, size, PROTECTION, FLAGS, 0, 0) }
}

/// Private memory of that size, all zeros (`mmap(2)`): its address, or an error. The arguments are passed in memory.
#[cfg(target_arch = "s390x")]
#[inline]
pub(super) fn map_memory(size: usize) -> usize {
    let arguments = [0, size, PROTECTION as usize, FLAGS as usize, 0, 0];
    // SAFETY: new memory. The kernel reads six words.
    unsafe { raw_syscall!(Sysno::mmap, arguments.as_ptr()) }
}

/// Whether a call gave an error in place of an address.
pub(super) const fn is_no_address(result: usize) -> bool {
    // Only with 32 bits are there addresses in the upper half.
    if cfg!(target_pointer_width = "64") { result.cast_signed() < 0 } else { result > usize::MAX - 4095 }
}

/// `alarm(2)`: SIGALRM after so many seconds, or with 0 none any more.
#[cfg(any(target_arch = "x86_64", target_arch = "x86", target_arch = "powerpc64", target_arch = "s390x"))]
pub(super) fn alarm(seconds: u32) {
    // SAFETY: takes a number only.
    unsafe { raw_syscall!(Sysno::alarm, seconds) };
}

/// The same by `setitimer(2)`.
#[cfg(not(any(target_arch = "x86_64", target_arch = "x86", target_arch = "powerpc64", target_arch = "s390x")))]
pub(super) fn alarm(seconds: u32) {
    let timer = [0, 0, seconds as usize, 0];
    // SAFETY: the kernel reads two times of two words.
    unsafe { raw_syscall!(Sysno::setitimer, kernel::ITIMER_REAL, timer.as_ptr(), 0) };
}

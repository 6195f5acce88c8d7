//! The calls and structures that are not the same on all architectures.

use linux_raw_sys::general as kernel;
use syscalls::{Sysno, raw_syscall};

/// The structure that `FSTAT` fills.
#[cfg(target_pointer_width = "64")]
pub(super) use linux_raw_sys::general::stat as Stat;
/// Ids of 32 bits.
#[cfg(target_pointer_width = "64")]
pub(super) use syscalls::Sysno::{
    fstat as FSTAT, getegid as GETEGID, geteuid as GETEUID, getgroups as GETGROUPS, setgroups as SETGROUPS,
    setresgid as SETRESGID, setresuid as SETRESUID,
};

#[cfg(target_pointer_width = "32")]
pub(super) use linux_raw_sys::general::stat64 as Stat;
/// On `arm` and `x86` the names without a number stand for older calls, with ids of 16 bits.
#[cfg(target_pointer_width = "32")]
pub(super) use syscalls::Sysno::{
    fstat64 as FSTAT, getegid32 as GETEGID, geteuid32 as GETEUID, getgroups32 as GETGROUPS, setgroups32 as SETGROUPS,
    setresgid32 as SETRESGID, setresuid32 as SETRESUID,
};

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

/// The largest page that a kernel may have.
pub(super) const PAGE: usize =
    if cfg!(any(target_arch = "aarch64", target_arch = "powerpc64")) { 0x10000 } else { 0x1000 };

const PROTECTION: u32 = kernel::PROT_READ | kernel::PROT_WRITE;
const FLAGS: u32 = kernel::MAP_PRIVATE | kernel::MAP_ANONYMOUS;

/// Private memory of that size, all zeros (`mmap(2)`): its address, or an error.
#[cfg(not(target_arch = "s390x"))]
#[inline]
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
#[inline]
pub(super) const fn is_no_address(result: usize) -> bool {
    // Only with 32 bits are there addresses in the upper half.
    if cfg!(target_pointer_width = "64") { result.cast_signed() < 0 } else { result > usize::MAX - 4095 }
}

//! Users and groups of this process.

use syscalls::{Sysno, syscall};

use super::Result;

/// `geteuid(2)`.
#[must_use]
pub fn geteuid() -> u32 {
    // SAFETY: takes nothing, can not fail.
    unsafe { syscall!(Sysno::geteuid) }.unwrap_or(0) as u32
}

/// `getegid(2)`.
#[must_use]
pub fn getegid() -> u32 {
    // SAFETY: takes nothing, can not fail.
    unsafe { syscall!(Sysno::getegid) }.unwrap_or(0) as u32
}

/// `getgroups(2)`: how many entries of the buffer were filled; EINVAL where it is too short.
pub fn getgroups(buffer: &mut [u32]) -> Result<usize> {
    // SAFETY: the kernel writes at most the buffer's length.
    unsafe { syscall!(Sysno::getgroups, buffer.len(), buffer.as_mut_ptr()) }
}

/// `setgroups(2)`.
pub fn setgroups(groups: &[u32]) -> Result<()> {
    // SAFETY: the kernel reads as many entries as the slice has.
    unsafe { syscall!(Sysno::setgroups, groups.len(), groups.as_ptr()) }.map(drop)
}

/// `setresgid(2)`: real and effective id, and the saved one.
pub fn setresgid(gid: u32, saved: u32) -> Result<()> {
    // SAFETY: takes numbers only.
    unsafe { syscall!(Sysno::setresgid, gid, gid, saved) }.map(drop)
}

/// `setresuid(2)`: real and effective id, and the saved one.
pub fn setresuid(uid: u32, saved: u32) -> Result<()> {
    // SAFETY: takes numbers only.
    unsafe { syscall!(Sysno::setresuid, uid, uid, saved) }.map(drop)
}

//! Users and groups of this process.

use super::call::raw_syscall;
use super::{Outcome, native};

/// The id that stands for the one there is.
pub const UNCHANGED: u32 = u32::MAX;

/// A user's and a group's id.
#[derive(Clone, Copy, Debug)]
pub struct Ids {
    /// The user's.
    pub uid: u32,
    /// The group's.
    pub gid: u32,
}

impl Ids {
    /// Takes these ids for the real and the effective ones. What is saved is replaced too, or, with `UNCHANGED` for
    /// `saved`, kept, to have a way back.
    #[cfg_attr(
        target_arch = "powerpc64",
        inline(always),
        expect(clippy::inline_always, reason = "the file is smaller with it, see SIZE.md")
    )]
    pub fn set(self, saved: u32) -> Outcome {
        setresgid(self.gid, self.gid | saved).or(setresuid(self.uid, self.uid | saved))
    }
}

/// `getuid(2)`.
#[must_use]
pub fn getuid() -> u32 {
    // SAFETY: takes nothing, can not fail.
    unsafe { raw_syscall!(native::GETUID) as u32 }
}

/// `geteuid(2)`.
#[must_use]
pub fn geteuid() -> u32 {
    // SAFETY: takes nothing, can not fail.
    unsafe { raw_syscall!(native::GETEUID) as u32 }
}

/// `getegid(2)`.
#[must_use]
pub fn getegid() -> u32 {
    // SAFETY: takes nothing, can not fail.
    unsafe { raw_syscall!(native::GETEGID) as u32 }
}

/// The supplementary groups of this process.
#[derive(Debug)]
#[repr(C)]
pub struct Groups {
    /// How many there are; far more than are allowed where the kernel did not tell.
    count: u32,
    list: [u32; 64],
}

impl Groups {
    /// `getgroups(2)`: EINVAL where there is no room for them.
    pub fn get(&mut self) -> Outcome {
        // SAFETY: the kernel writes at most the list's length.
        let outcome = Outcome::new(unsafe { raw_syscall!(native::GETGROUPS, self.list.len(), self.list.as_mut_ptr()) });
        self.count = outcome.number().cast_unsigned();
        outcome
    }

    /// `setgroups(2)`; EINVAL where `get` failed.
    pub fn set(&self) -> Outcome {
        // SAFETY: the kernel reads as many entries as there are, or none for too high a count.
        Outcome::new(unsafe { raw_syscall!(native::SETGROUPS, self.count, self.list.as_ptr()) })
    }
}

/// `setgroups(2)`.
pub fn setgroups(groups: &[u32]) -> Outcome {
    // SAFETY: the kernel reads as many entries as there are.
    Outcome::new(unsafe { raw_syscall!(native::SETGROUPS, groups.len(), groups.as_ptr()) })
}

/// `setresgid(2)`: real and effective id, and the saved one.
fn setresgid(gid: u32, saved: u32) -> Outcome {
    // SAFETY: takes numbers only.
    Outcome::new(unsafe { raw_syscall!(native::SETRESGID, gid, gid, saved) })
}

/// `setresuid(2)`: real and effective id, and the saved one.
pub fn setresuid(uid: u32, saved: u32) -> Outcome {
    // SAFETY: takes numbers only.
    Outcome::new(unsafe { raw_syscall!(native::SETRESUID, uid, uid, saved) })
}

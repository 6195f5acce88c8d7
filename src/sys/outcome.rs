//! What a call gives.

use linux_raw_sys::errno;

/// What a call gives: a number from 0 up, or why it failed.
///
/// As the kernel has it, a failure is a negative number, so that an outcome is one register wide and costs one
/// instruction to tell. Errors of the kernel's are the numbers of errno(3); findings of our own follow the last of them
/// that our calls return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Outcome(i32);

impl Outcome {
    /// It worked.
    pub const OK: Self = Self(0);

    /// Not permitted.
    pub const EPERM: Self = Self::failure(errno::EPERM);
    /// No such file.
    pub const ENOENT: Self = Self::failure(errno::ENOENT);
    /// No such process.
    pub const ESRCH: Self = Self::failure(errno::ESRCH);
    /// Not in a format that the kernel can execute.
    pub const ENOEXEC: Self = Self::failure(errno::ENOEXEC);
    /// No such child.
    pub const ECHILD: Self = Self::failure(errno::ECHILD);
    /// Not now.
    pub const EAGAIN: Self = Self::failure(errno::EAGAIN);
    /// Access denied.
    pub const EACCES: Self = Self::failure(errno::EACCES);
    /// Not a directory.
    pub const ENOTDIR: Self = Self::failure(errno::ENOTDIR);
    /// Not a value that the call takes.
    pub const EINVAL: Self = Self::failure(errno::EINVAL);
    /// No such call.
    pub const ENOSYS: Self = Self::failure(errno::ENOSYS);

    /// A failure for a reason.
    pub const fn failure(reason: u32) -> Self {
        Self(-reason.cast_signed())
    }

    /// The outcome of a system call.
    #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "pids, descriptors, sizes, errors")]
    pub(super) const fn new(result: usize) -> Self {
        Self(result as i32)
    }

    /// Whether it failed.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        self.0 < 0
    }

    /// The first failure of two.
    pub const fn and(self, next: Self) -> Self {
        if self.is_failure() { self } else { next }
    }

    /// A failure where one of two is, neither of which gives a number but 0; where both are, for a reason that may be none
    /// of theirs.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The number that it gave; negative where it failed.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }
}

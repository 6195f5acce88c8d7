//! Files and descriptors.

use core::mem::MaybeUninit;

use linux_raw_sys::general as kernel;
use syscalls::Sysno;

use super::call::raw_syscall;
use super::header::ROOT;
use super::{Outcome, STANDARD_ERROR, STANDARD_OUTPUT, Text, geteuid, native};

/// A descriptor. Where opening it failed it is a negative number, which every call answers with EBADF.
#[derive(Clone, Copy, Debug)]
pub struct Fd(pub(super) i32);

impl Fd {
    /// The descriptor that a call gave.
    pub(super) const fn new(outcome: Outcome) -> Self {
        Self(outcome.number())
    }

    /// As the system calls take it: of a negative number they only see 32 bits.
    pub(super) const fn raw(self) -> u32 {
        self.0.cast_unsigned()
    }

    /// How opening it went.
    pub const fn outcome(self) -> Outcome {
        Outcome::new(self.0 as usize)
    }

    /// Makes another descriptor a duplicate of this one. Where it is the same nothing changes.
    fn duplicate(self, other: i32) {
        native::duplicate(self.raw(), other);
    }

    /// `close(2)`.
    pub fn close(self) {
        close(self.raw());
    }

    /// `read(2)`: how many bytes came.
    pub fn read(self, buffer: &mut [u8]) -> Outcome {
        // SAFETY: the kernel writes at most the buffer's length.
        Outcome::new(unsafe { raw_syscall!(Sysno::read, self.raw(), buffer.as_mut_ptr(), buffer.len()) })
    }

    /// Reads what fits into a buffer, as a text: up to the first NUL. Where reading failed it is empty.
    pub fn read_text(self, buffer: &mut ReadBuffer) -> Text<'_> {
        let start = buffer.0.as_mut_ptr().cast::<u8>();
        // SAFETY: the kernel writes at most the number of bytes given, one less than the buffer has.
        let count = Outcome::new(unsafe { raw_syscall!(Sysno::read, self.raw(), start, ReadBuffer::MOST) });
        // SAFETY: that many bytes came, so that the one behind them is in the buffer.
        let end = unsafe { start.add(count.number().max(0) as usize) };
        // SAFETY: as said.
        unsafe { *end = 0 };
        // SAFETY: what was written begins here and ends with this NUL.
        unsafe { Text::from_start(start) }
    }

    /// `fstat(2)`.
    pub fn stamp(self, stamp: &mut Stamp) -> Outcome {
        // SAFETY: the kernel writes one `struct stat`.
        Outcome::new(unsafe { raw_syscall!(native::FSTAT, self.raw(), &raw mut stamp.0) })
    }
}

/// Room for the beginning of a file and a NUL.
#[derive(Debug)]
pub struct ReadBuffer(MaybeUninit<[u8; ReadBuffer::MOST + 1]>);

impl ReadBuffer {
    /// How much is read: a pid file's number has to end within it. Not more, so that the frame of its reader stays below 128
    /// bytes, which an instruction addresses with one.
    const MOST: usize = 104;

    /// Nothing read yet.
    #[must_use]
    #[inline]
    #[expect(clippy::new_without_default, reason = "nobody needs a default")]
    pub const fn new() -> Self {
        Self(MaybeUninit::uninit())
    }
}

/// `open(2)` for reading, without a wait for a FIFO's writer. With `O_NOFOLLOW` in `flags` a symbolic link at the end of
/// the path is an error (ELOOP), as no path at all is (EFAULT).
pub fn open(path: Option<Text<'_>>, flags: u32) -> Fd {
    let flags = kernel::O_RDONLY | kernel::O_NONBLOCK | kernel::O_CLOEXEC | flags;
    // SAFETY: the path is a string with its NUL.
    Fd::new(Outcome::new(unsafe { native::open(pointer(path), flags) }))
}

/// What tells one state of a file from another, and who may have written it (`struct stat`).
#[derive(Clone, Copy, Debug)]
pub struct Stamp(native::Stat);

impl Stamp {
    /// The stamp of no file.
    pub const NONE: Self = Self(
        // SAFETY: all bytes zero is a value of this struct of numbers.
        unsafe { core::mem::zeroed() },
    );

    /// Whether both are of the same moment: of the same state of a file, or of a state and a faithful copy of it.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.st_mtime == other.0.st_mtime && self.0.st_mtime_nsec == other.0.st_mtime_nsec
    }

    /// Its size in bytes.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.0.st_size as usize
    }

    /// Whether it is a regular file. The others that have this bit are symbolic links and sockets: they can not be opened.
    #[must_use]
    pub const fn is_regular(&self) -> bool {
        self.0.st_mode & kernel::S_IFREG != 0
    }

    /// Whether nobody but root and we can have written it.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        let mut others = self.0.st_mode & (kernel::S_IWGRP | kernel::S_IWOTH);
        if self.0.st_uid != 0 {
            others |= self.0.st_uid ^ geteuid();
        }
        others == 0
    }
}

/// Closes all descriptors but the standard ones and one other: with `STANDARD_ERROR`, no other. Before Linux 5.9 it is a
/// failure, and all stay open.
pub fn close_all_but(other: u32) -> Outcome {
    const FIRST: u32 = STANDARD_ERROR.cast_unsigned() + 1;
    let _ = close_range(FIRST, other.wrapping_sub(1));
    close_range(other + 1, u32::MAX)
}

/// `close_range(2)`: EINVAL where the last one is below the first.
fn close_range(first: u32, last: u32) -> Outcome {
    // SAFETY: takes numbers only.
    Outcome::new(unsafe { raw_syscall!(Sysno::close_range, first, last, 0) })
}

/// Has a descriptor closed by an exec (`FD_CLOEXEC` of fcntl(2)): EBADF where it is none.
pub fn close_on_exec(fd: u32) -> Outcome {
    // SAFETY: takes numbers only.
    Outcome::new(unsafe { raw_syscall!(native::FCNTL, fd, kernel::F_SETFD, kernel::FD_CLOEXEC) })
}

/// `close(2)`.
pub fn close(fd: u32) {
    // SAFETY: takes a number only.
    unsafe { raw_syscall!(Sysno::close, fd) };
}

/// Appends standard output and error to a file from here on, which is made where it is not there (mode 0640).
pub fn append_output_to(path: Text<'_>) -> Outcome {
    let flags = kernel::O_WRONLY | kernel::O_CREAT | kernel::O_APPEND | kernel::O_NOCTTY;
    // SAFETY: the path is a string with its NUL.
    let log = Fd::new(Outcome::new(unsafe { native::create(path.as_pointer(), flags, 0o640) }));
    log.duplicate(STANDARD_OUTPUT);
    log.duplicate(STANDARD_ERROR);
    if log.0 > STANDARD_ERROR {
        log.close();
    }
    log.outcome()
}

/// `chdir(2)` to the root directory.
pub fn change_to_root() {
    // SAFETY: the path is a string with its NUL.
    unsafe { raw_syscall!(Sysno::chdir, ROOT.as_pointer()) };
}

/// `write(2)` of a message that nothing depends on: whether it arrives makes no difference.
pub fn write(fd: i32, bytes: &[u8]) {
    // SAFETY: the kernel reads at most the slice's length.
    unsafe { raw_syscall!(Sysno::write, fd, bytes.as_ptr(), bytes.len()) };
}

/// A path for a system call.
fn pointer(path: Option<Text<'_>>) -> *const u8 {
    path.map_or(core::ptr::null(), Text::as_pointer)
}

/// `unlink(2)`.
pub fn unlink(path: Option<Text<'_>>) -> Outcome {
    // SAFETY: the path is a string with its NUL.
    Outcome::new(unsafe { native::unlink(pointer(path)) })
}

/// Whether a descriptor is a terminal: whether it has a window size, as isatty(3) of the C libraries asks.
#[must_use]
pub fn is_terminal(fd: i32) -> bool {
    let mut window_size = [0_u16; 4];
    // SAFETY: the kernel writes one `struct winsize`, four shorts.
    unsafe { raw_syscall!(Sysno::ioctl, fd, linux_raw_sys::ioctl::TIOCGWINSZ, &raw mut window_size) == 0 }
}

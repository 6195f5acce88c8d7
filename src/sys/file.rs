//! Files and descriptors.

use linux_raw_sys::general as kernel;
use syscalls::{Sysno, syscall};

use super::{Errno, Result, Text};

/// An open descriptor, closed when it goes.
#[derive(Debug)]
pub struct Fd(pub(super) i32);

impl Drop for Fd {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours and is not used again.
        let _ = unsafe { syscall!(Sysno::close, self.0) };
    }
}

/// What tells one state of a file from another, and who may have written it (`fstat(2)`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// Last modification: seconds, nanoseconds.
    modified: (u64, u64),
    mode: u32,
    /// The owner's uid.
    pub owner: u32,
}

impl Stamp {
    /// Whether it is a regular file.
    #[must_use]
    pub const fn is_regular(&self) -> bool {
        self.mode & kernel::S_IFMT == kernel::S_IFREG
    }

    /// Whether others than the owner may write it.
    #[must_use]
    pub const fn others_may_write(&self) -> bool {
        self.mode & 0o022 != 0
    }
}

/// `open(2)` for reading, without a wait for a FIFO's writer.
pub fn open(path: Text<'_>) -> Result<Fd> {
    open_with(path, kernel::O_RDONLY | kernel::O_NONBLOCK | kernel::O_CLOEXEC)
}

/// The same, but a symbolic link at the end of the path is an error (ELOOP).
pub fn open_no_follow(path: Text<'_>) -> Result<Fd> {
    open_with(
        path,
        kernel::O_RDONLY | kernel::O_NONBLOCK | kernel::O_CLOEXEC | kernel::O_NOFOLLOW,
    )
}

fn open_with(path: Text<'_>, flags: u32) -> Result<Fd> {
    // SAFETY: the path is a string with its NUL.
    let fd = unsafe { syscall!(Sysno::openat, kernel::AT_FDCWD, path.as_pointer(), flags) }?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "descriptors are small"
    )]
    Ok(Fd(fd as i32))
}

impl Fd {
    /// `fstat(2)`.
    pub fn stamp(&self) -> Result<Stamp> {
        // SAFETY: all bytes zero is a value of this struct of numbers.
        let mut stat: kernel::stat = unsafe { core::mem::zeroed() };
        // SAFETY: the kernel writes one `struct stat`.
        unsafe { syscall!(Sysno::fstat, self.0, &raw mut stat) }?;
        Ok(Stamp {
            device: stat.st_dev,
            inode: stat.st_ino,
            #[expect(clippy::cast_sign_loss, reason = "only compared")]
            size: stat.st_size as u64,
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            mode: stat.st_mode,
            owner: stat.st_uid,
        })
    }

    /// `read(2)`: how many bytes came.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        // SAFETY: the kernel writes at most the buffer's length.
        unsafe { syscall!(Sysno::read, self.0, buffer.as_mut_ptr(), buffer.len()) }
    }
}

/// The bytes of a file, in order, through a small buffer.
#[derive(Debug)]
pub struct FileBytes {
    /// `None` where there is no such file: it has no bytes.
    file: Option<Fd>,
    /// What stopped the reading before the end, if anything did.
    pub error: Option<Errno>,
    buffer: [u8; 512],
    next: usize,
    end: usize,
}

impl FileBytes {
    /// Opens a file; one that is not there is an empty one.
    #[must_use]
    pub fn open(path: Text<'_>) -> Self {
        let mut bytes = Self {
            file: None,
            error: None,
            buffer: [0; 512],
            next: 0,
            end: 0,
        };
        match open(path) {
            Ok(file) => bytes.file = Some(file),
            Err(Errno::ENOENT) => {}
            Err(errno) => bytes.error = Some(errno),
        }
        bytes
    }
}

impl Iterator for FileBytes {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if self.next == self.end {
            self.next = 0;
            self.end = match self.file.as_ref()?.read(&mut self.buffer) {
                Ok(count) => count,
                Err(errno) => {
                    self.error = Some(errno);
                    0
                }
            };
        }
        let byte = *self.buffer.get(..self.end)?.get(self.next)?;
        self.next += 1;
        Some(byte)
    }
}

/// `write(2)` of a message that nothing depends on: whether it arrives makes no difference.
pub fn write(fd: i32, bytes: &[u8]) {
    // SAFETY: the kernel reads at most the slice's length.
    let _ = unsafe { syscall!(Sysno::write, fd, bytes.as_ptr(), bytes.len()) };
}

/// `unlink(2)`.
pub fn unlink(path: Text<'_>) -> Result<()> {
    // SAFETY: the path is a string with its NUL.
    unsafe { syscall!(Sysno::unlinkat, kernel::AT_FDCWD, path.as_pointer(), 0) }.map(drop)
}

/// `getcwd(2)`: how many bytes of the buffer were filled, the NUL included.
pub fn getcwd(buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: the kernel writes at most the buffer's length.
    unsafe { syscall!(Sysno::getcwd, buffer.as_mut_ptr(), buffer.len()) }
}

/// Whether a descriptor is a terminal: whether it has a window size, as isatty(3) of the C libraries asks.
#[must_use]
pub fn is_terminal(fd: i32) -> bool {
    let mut window_size = [0_u16; 4];
    // SAFETY: the kernel writes one `struct winsize`, four shorts.
    unsafe { syscall!(Sysno::ioctl, fd, linux_raw_sys::ioctl::TIOCGWINSZ, &raw mut window_size) }.is_ok()
}

//! Seeing that the proxy looks at its pid file, through inotify(7). A test that shows what the proxy does *not* take from
//! the file has to know that it has read it; otherwise it could only sleep, and hope.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::DEADLINE;

/// The kernel's `struct inotify_event` without the name behind it: watch, mask, cookie, length of the name.
const EVENT_SIZE: usize = 16;

/// The looks at one file: each is an opening and a closing by somebody who did not open it for writing. Nobody else than
/// the proxy should read the file meanwhile, nor a test's own assertions.
pub(crate) struct Looks {
    queue: File,
    name: OsString,
}

impl Looks {
    /// Watches the directory that the file is in, so that the file may come, go and be replaced. What cannot be opened
    /// (a symbolic link, a file that is not there) gives no sign.
    pub(crate) fn at(file: &Path) -> Self {
        let directory = file.parent().expect("a file in a directory");
        let directory = std::ffi::CString::new(directory.as_os_str().as_bytes()).expect("a path without NUL");
        // SAFETY: touches no memory.
        let queue = unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) };
        assert!(queue >= 0, "inotify: {}", std::io::Error::last_os_error());
        // SAFETY: the kernel has just made this descriptor, nobody else has it.
        let queue = unsafe { OwnedFd::from_raw_fd(queue) };
        // Both, for two equal events in a row would become one.
        let events = libc::IN_OPEN | libc::IN_CLOSE_NOWRITE;
        let number = std::os::fd::AsRawFd::as_raw_fd(&queue);
        // SAFETY: the path is a string with its NUL.
        let watch = unsafe { libc::inotify_add_watch(number, directory.as_ptr(), events) };
        assert!(watch >= 0, "inotify: {}", std::io::Error::last_os_error());
        Self { queue: queue.into(), name: file.file_name().expect("a file has a name").to_owned() }
    }

    /// Waits for so many looks that begin after this call.
    #[track_caller]
    pub(crate) fn expect(&mut self, count: usize) {
        self.drain();
        let end = Instant::now() + DEADLINE;
        let (mut opened, mut seen) = (0_usize, 0);
        while seen < count {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{seen} of {count} looks at {}", self.name.display());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let _ = poll(&mut [PollFd::new(self.queue.as_fd(), PollFlags::POLLIN)], timeout);
            for closed in self.drain() {
                if !closed {
                    opened += 1;
                } else if opened > 0 {
                    opened -= 1;
                    seen += 1;
                }
            }
        }
    }

    /// What has happened to the file until now: `false` for an opening, `true` for a closing.
    fn drain(&mut self) -> Vec<bool> {
        let mut events = Vec::new();
        let mut buffer = [0; 16 * 1024];
        while let Ok(length @ 1..) = self.queue.read(&mut buffer) {
            let mut rest = &buffer[..length];
            while rest.len() >= EVENT_SIZE {
                let word = |index: usize| u32::from_ne_bytes(rest[index * 4..][..4].try_into().expect("four bytes"));
                let (mask, name_size) = (word(1), usize::try_from(word(3)).expect("a length"));
                let name = &rest[EVENT_SIZE..][..name_size];
                // The name is filled up with NULs.
                let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
                if name == self.name.as_bytes() {
                    events.push(mask & libc::IN_CLOSE_NOWRITE != 0);
                }
                rest = &rest[EVENT_SIZE + name_size..];
            }
        }
        events
    }
}

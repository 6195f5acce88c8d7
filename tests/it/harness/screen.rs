//! What a person at the terminal sees and types.

use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{DEADLINE, Running};

/// The terminal of a run with `Input::Terminal`, as the person in front of it has it.
pub(crate) struct Screen<'run> {
    running: &'run Running,
    shown: Vec<u8>,
    /// How much of it the expectations have passed.
    passed: usize,
}

impl<'run> Screen<'run> {
    pub(crate) fn of(running: &'run Running) -> Self {
        Self { running, shown: Vec::new(), passed: 0 }
    }

    /// Types these keys; `\x03` is ^C.
    pub(crate) fn type_keys(&self, keys: &str) {
        self.running.terminal().write_all(keys.as_bytes()).expect("a terminal takes input");
    }

    /// Waits until this text is shown, past that of earlier calls. Returns what was shown before it.
    #[track_caller]
    pub(crate) fn expect(&mut self, text: &str) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(position) = find(&self.shown[self.passed..], text.as_bytes()) {
                let before = self.shown[self.passed..][..position].to_vec();
                self.passed += position + text.len();
                return String::from_utf8_lossy(&before).into_owned();
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(self.read(left), "no {text:?} on the terminal, but {:?}\n{}", self.rest(), self.running.evidence());
        }
    }

    /// Types a line, and waits for its echo: what is shown from then on comes after it.
    #[track_caller]
    pub(crate) fn enter(&mut self, line: &str) {
        self.type_keys(line);
        self.expect(line);
        self.type_keys("\n");
        self.expect("\n");
    }

    /// Waits until nobody has the terminal open any more.
    #[track_caller]
    pub(crate) fn expect_closed(&mut self) {
        let end = Instant::now() + DEADLINE;
        while self.read(end.saturating_duration_since(Instant::now())) {}
        assert!(Instant::now() < end, "somebody still has the terminal\n{}", self.running.evidence());
    }

    /// What was shown, and not expected yet.
    pub(crate) fn rest(&self) -> String {
        String::from_utf8_lossy(&self.shown[self.passed..]).into_owned()
    }

    /// Changes the size of the window: SIGWINCH is on its way before this returns.
    pub(crate) fn resize(&self, columns: u16) {
        let size = libc::winsize { ws_row: 50, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the pointer is to a whole `winsize`.
        let result = unsafe { libc::ioctl(self.running.terminal().as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
        assert_eq!(result, 0);
    }

    /// The foreground process group, of the namespace of the test.
    pub(crate) fn foreground(&self) -> i32 {
        let mut group: libc::pid_t = 0;
        // SAFETY: the pointer is to a whole `pid_t`.
        let result = unsafe { libc::ioctl(self.running.terminal().as_raw_fd(), libc::TIOCGPGRP, &raw mut group) };
        assert_eq!(result, 0);
        group
    }

    /// Reads what there is, within this time; `false` when there is nothing.
    fn read(&mut self, within: Duration) -> bool {
        let mut terminal = self.running.terminal();
        let timeout = PollTimeout::try_from(within).unwrap_or(PollTimeout::MAX);
        if poll(&mut [PollFd::new(terminal.as_fd(), PollFlags::POLLIN)], timeout) != Ok(1) {
            return false;
        }
        let mut buffer = [0; 4096];
        // EIO: nobody has the other side.
        let count = terminal.read(&mut buffer).unwrap_or(0);
        self.shown.extend_from_slice(&buffer[..count]);
        count > 0
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

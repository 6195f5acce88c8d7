//! The contents of a pid file: bytes to a pid.

use crate::decimal;

/// The pid of a process other than init: 2 to 2^31-1. It promises nothing about a process of that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pid(i32);

impl Pid {
    /// The pid of a number; `None` where it is not one, or is init's.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        i32::try_from(number).ok().filter(|&number| number > 1).map(Self)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }
}

/// What stands in a pid file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Nothing but blanks so far.
    Nothing,
    /// Something that can not be a daemon's pid.
    NoPid,
    /// A pid that ends with the file: it may not be written to its end.
    Unfinished(Pid),
    /// A pid with white space behind it.
    Finished(Pid),
}

/// How much of a pid file is read. A number has to end within it.
pub const READ_MOST: usize = 128;

/// Reads the first [`READ_MOST`] bytes of a pid file, or all of it where it is shorter: optional blanks, the digits, and
/// behind them the end or white space, whatever follows that (PostgreSQL writes seven more lines).
pub fn parse(bytes: &[u8]) -> Contents {
    let mut number = None;
    for &byte in bytes {
        if let Some(sum) = decimal::append(number, byte) {
            number = Some(sum);
        } else if number.is_some() && byte.is_ascii_whitespace() {
            return number.and_then(Pid::new).map_or(Contents::NoPid, Contents::Finished);
        } else if number.is_some() || !matches!(byte, b' ' | b'\t') {
            return Contents::NoPid;
        }
    }
    match number {
        None => Contents::Nothing,
        Some(number) if bytes.len() < READ_MOST => Pid::new(number).map_or(Contents::NoPid, Contents::Unfinished),
        Some(_) => Contents::NoPid,
    }
}

/// Whether a file holds nothing but a number, or nothing at all: what `-f` may remove.
pub fn is_left_over(bytes: &[u8]) -> bool {
    bytes.len() < READ_MOST && bytes.trim_ascii().iter().all(u8::is_ascii_digit)
}

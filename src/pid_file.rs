//! The contents of a pid file: bytes to a pid.

use core::num::NonZeroI32;

use crate::decimal;
use crate::sys::Text;

/// The pid of a process other than init: 2 to 2^31-1. It promises nothing about a process of that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pid(NonZeroI32);

impl Pid {
    /// The pid of a number; `None` where it is not one, or is init's.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        NonZeroI32::new(number.cast_signed()).filter(|number| number.get() > 1).map(Self)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0.get()
    }
}

/// What stands in a pid file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The number it begins with, if there is one.
    number: u32,
    /// The file holds nothing but a number, or nothing at all.
    pub is_plain: bool,
}

impl Contents {
    /// Not read yet.
    pub const NONE: Self = Self { number: 0, is_plain: false };

    /// The pid that it begins with.
    #[must_use]
    pub fn pid(&self) -> Option<Pid> {
        Pid::new(self.number)
    }

    /// The number of that pid; one that is no pid, where there is none.
    #[must_use]
    pub const fn number(&self) -> i32 {
        self.number.cast_signed()
    }

    /// Reads the beginning of a pid file that has `size` bytes in all: optional blanks, the digits, and behind them the
    /// end of the file or white space, whatever follows that (`PostgreSQL` writes seven lines more).
    ///
    /// True where there is a pid to believe. One that ends with the file, so that more digits may be about to come, has
    /// to be what was read the time before.
    #[must_use]
    pub fn read(&mut self, text: Text<'_>, size: usize) -> bool {
        let mut rest = text;
        while matches!(rest.peek(), b' ' | b'\t') {
            rest.take();
        }
        // What is no number is as good as one that no process has.
        let (number, end) = decimal::parse(rest);
        rest = end;
        while is_space(rest.peek()) {
            rest.take();
        }
        // Neither a NUL byte nor the end of what was read is the end of the file.
        self.is_plain = rest.distance_from(text) == size;
        let is_finished = rest.distance_from(end) != 0;
        let is_same = core::mem::replace(&mut self.number, number) == number;
        if self.pid().is_none() {
            return false;
        }
        #[expect(clippy::needless_bitwise_bool, reason = "it takes no branches")]
        let is_believed = is_finished | is_same & self.is_plain;
        is_believed
    }
}

/// White space as isspace(3) has it.
const fn is_space(byte: u8) -> bool {
    byte.wrapping_sub(b'\t') < 5 || byte == b' '
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Two looks at a file with these bytes, of which the first `most` are read: whether each finds a pid to believe,
    /// the pid, and whether there is nothing but a number.
    fn looks(contents: &[u8], most: usize) -> ([bool; 2], Option<i32>, bool) {
        let mut buffer: Vec<u8> = contents.iter().copied().take(most).collect();
        // The first byte of an empty buffer would be the only one: it takes two to be a text.
        buffer.extend([0, 0]);
        let mut found = Contents::NONE;
        let is_found = [(); 2].map(|()| found.read(Text::from_buffer(&buffer), contents.len()));
        (is_found, found.pid().map(Pid::number), found.is_plain)
    }

    #[test]
    fn a_pid_is_the_number_of_a_process_other_than_init() {
        for (number, pid) in [
            (0, None),
            (1, None),
            (2, Some(2)),
            (0x7fff_ffff, Some(i32::MAX)),
            (0x8000_0000, None),
            (0x8000_0002, None),
            (u32::MAX, None),
        ] {
            assert_eq!(Pid::new(number).map(Pid::number), pid);
        }
    }

    #[test]
    fn a_number_and_white_space_are_believed_at_once() {
        for (contents, pid, is_plain) in [
            (&b"2\n"[..], 2, true),
            (b"2147483647\n", i32::MAX, true),
            (b"123 ", 123, true),
            (b"123\t", 123, true),
            (b"123\r\n", 123, true),
            (b"123\x0b", 123, true),
            (b"123\x0c", 123, true),
            (b"123\n\n \n", 123, true),
            (b" \t 123\n", 123, true),
            (b"00123\n", 123, true),
            (b"123\n456\n", 123, false),
            (b"123 daemon\n", 123, false),
            (b"123\n/var/lib/postgresql\n1700000000\n", 123, false),
            (b"123\n\0", 123, false),
        ] {
            let shown = String::from_utf8_lossy(contents);
            assert_eq!(looks(contents, 127), ([true; 2], Some(pid), is_plain), "{shown:?}");
        }
    }

    #[test]
    fn a_number_that_ends_with_the_file_is_believed_when_it_is_seen_again() {
        assert_eq!(looks(b"123", 127), ([false, true], Some(123), true));
        let mut found = Contents::NONE;
        for (contents, is_found) in [
            (c"1", false),
            (c"12", false),
            (c"123", false),
            (c"123", true),
            (c"12", false),
            (c"", false),
            (c"12", false),
        ] {
            assert_eq!(found.read(Text::new(contents), contents.count_bytes()), is_found, "{contents:?}");
        }
    }

    #[test]
    fn what_may_go_on_is_never_believed() {
        // Behind what was read, or behind a NUL, there is more.
        assert_eq!(looks(b"123", 2), ([false; 2], Some(12), false));
        assert_eq!(looks(b"123\0", 127), ([false; 2], Some(123), false));
        assert_eq!(looks(b"123\x004\n", 127), ([false; 2], Some(123), false));
    }

    #[test]
    fn all_else_is_none() {
        for (contents, is_plain) in [
            (&b""[..], true),
            (b"\n", true),
            (b"   ", true),
            (b"0\n", true),
            (b"1\n", true),
            (b"2147483648\n", true),
            (b"4294967295\n", true),
            (b"4294967298\n", true),
            (b"18446744073709551618\n", true),
            (b"\0", false),
            (b"\n123\n", false),
            (b"-123\n", false),
            (b"+123\n", false),
            (b"0x7b\n", false),
            (b"pid 123\n", false),
            (b"\xef\xbb\xbf123\n", false),
        ] {
            let shown = String::from_utf8_lossy(contents);
            assert_eq!(looks(contents, 127), ([false; 2], None, is_plain), "{shown:?}");
        }
        // The tail makes no number of it either.
        for contents in [&b"123x\n"[..], b"123.5\n", b"123,456\n", b"123;\n", b"123-\n", b"123\xa0\n"] {
            let shown = String::from_utf8_lossy(contents);
            assert_eq!(looks(contents, 127).0, [false; 2], "{shown:?}");
        }
    }

    /// The same by the standard library: the pid of a whole file, and whether more digits may come.
    fn expected(contents: &[u8]) -> Option<(i32, bool)> {
        let start = contents.iter().position(|byte| !b" \t".contains(byte))?;
        let rest = contents.get(start..)?;
        let length = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, tail) = rest.split_at(length);
        let pid = str::from_utf8(digits).ok()?.parse().ok().filter(|pid| *pid > 1)?;
        match tail {
            [] => Some((pid, true)),
            [b'\t'..=b'\r' | b' ', ..] => Some((pid, false)),
            _ => None,
        }
    }

    proptest! {
        #[test]
        fn any_file_is_read_as_described(contents in prop_oneof![
            "[ \t]{0,2}[0-9]{0,12}[ \t\r\n\0x]{0,3}(\n[0-9]{1,3})?",
            "[0-9 \n+-]{0,6}",
            "\\PC{0,8}",
        ]) {
            let (found, pid, is_plain) = looks(contents.as_bytes(), 127);
            if let Some((expected, may_go_on)) = expected(contents.as_bytes()) {
                prop_assert_eq!((found, pid), ([!may_go_on, true], Some(expected)));
            } else {
                prop_assert_eq!(found, [false; 2]);
            }
            // A file that is removed because it holds nothing but a number holds nothing but digits and white space.
            let is_harmless = contents.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'\t'..=b'\r' | b' '));
            prop_assert!(is_harmless || !is_plain);
        }
    }
}

//! Numbers, read and written in one place: strict unsigned decimal.

use core::num::NonZeroU32;

use crate::sys::{Text, TextBuffer};

/// A number that was read: 0 to 2^32-2. The one above is never a valid pid, signal or duration, and as a user's or group's
/// id it means "leave it as it is" to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number(
    /// The complement, so that `None` takes no room.
    NonZeroU32,
);

impl Number {
    /// The number of a value; `None` for [`NONE`].
    #[must_use]
    pub fn new(value: u32) -> Option<Self> {
        NonZeroU32::new(!value).map(Self)
    }

    /// The value.
    #[must_use]
    pub const fn get(self) -> u32 {
        !self.0.get()
    }
}

/// What is read where there is no number, or one that is too large.
pub const NONE: u32 = u32::MAX;

/// Reads the number that a text begins with. Gives what is left of the text too.
///
/// [`NONE`] without a digit, and for one that is too large. No sign, no blank, no prefix; nothing ever wraps.
#[must_use]
pub fn parse(text: Text<'_>) -> (u32, Text<'_>) {
    let mut rest = text;
    let mut value = 0_u64;
    loop {
        let digit = rest.peek().wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        rest.take();
        value = (value * 10 + u64::from(digit)).min(u64::from(NONE));
    }
    if rest.distance_from(text) == 0 {
        return (NONE, text);
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is kept below 2^32")]
    let value = value as u32;
    (value, rest)
}

/// Writes a number, but for the lowest one, which has no opposite. Gives the line back, so that nobody has to keep it.
pub fn print(line: &mut TextBuffer, number: i32) -> &mut TextBuffer {
    let number = if number < 0 {
        line.put(b'-');
        -number
    } else {
        number
    };
    let (rest, digit) = (number / 10, TextBuffer::digit(number % 10));
    let line = if rest != 0 { print(line, rest) } else { line };
    line.put(digit);
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The number that a text begins with, and what is left of it.
    fn parsed(text: Text<'_>) -> (Option<u32>, String) {
        let (number, mut text) = parse(text);
        let mut rest = Vec::new();
        while !text.is_empty() {
            rest.push(text.take());
        }
        (Some(number).filter(|number| *number != NONE), String::from_utf8_lossy(&rest).into_owned())
    }

    fn printed(number: i32) -> String {
        let mut line = TextBuffer::new();
        print(&mut line, number);
        String::from_utf8_lossy(line.bytes()).into_owned()
    }

    #[test]
    fn numbers_are_strict_decimal_and_never_wrap() {
        for (text, number, rest) in [
            (c"0", Some(0), ""),
            (c"7", Some(7), ""),
            (c"0012", Some(12), ""),
            (c"00000000000000000000000000000000000000012", Some(12), ""),
            (c"2147483648", Some(1 << 31), ""),
            (c"4294967294", Some(u32::MAX - 1), ""),
            (c"12 34", Some(12), " 34"),
            (c"12a", Some(12), "a"),
            (c"12.", Some(12), "."),
            // One more than the most; and what would be 1 if it wrapped at 32, 64 or 128 bits.
            (c"4294967295", None, ""),
            (c"4294967296", None, ""),
            (c"4294967297", None, ""),
            (c"18446744073709551617", None, ""),
            (c"340282366920938463463374607431768211457", None, ""),
            (c"99999999999999999999999999999999999999999999999999", None, ""),
            // No number at all.
            (c"", None, ""),
            (c"-1", None, "-1"),
            (c"+1", None, "+1"),
            (c" 1", None, " 1"),
            (c"\n1", None, "\n1"),
            (c"a1", None, "a1"),
            (c"/", None, "/"),
            (c":", None, ":"),
            (c"\x01", None, "\x01"),
        ] {
            assert_eq!(parsed(Text::new(text)), (number, rest.to_owned()), "{text:?}");
        }
        // Neither is a hexadecimal one, and the bytes above ASCII are no digits.
        assert_eq!(parsed(Text::new(c"0x10")), (Some(0), "x10".to_owned()));
        assert_eq!(parsed(Text::new(c"\xb1")).0, None);
        assert_eq!(parsed(Text::new(c"\xd9\xa1")).0, None);
    }

    #[test]
    fn numbers_are_printed() {
        for number in [0, 1, 9, 10, 99, 100, 1_000_000_000, i32::MAX, -1, -10, -i32::MAX] {
            assert_eq!(printed(number), number.to_string());
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_the_standard_library_reads(digits in "[0-9]{1,40}", tail in "[^0-9\0][^\0]{0,3}|") {
            let expected = digits.parse().ok().filter(|number| *number != u32::MAX);
            let contents = format!("{digits}{tail}\0");
            prop_assert_eq!(parsed(Text::from_buffer(contents.as_bytes())), (expected, tail));
        }

        #[test]
        fn what_is_printed_is_what_the_standard_library_prints(number in -i32::MAX..=i32::MAX) {
            prop_assert_eq!(printed(number), number.to_string());
        }
    }
}

//! Numbers, read and written in one place: strict unsigned decimal.

use crate::sys::{Text, TextBuffer};

/// The number that one more digit makes of what was read so far.
///
/// `None` for a byte that is no digit, and above 2^32-1. No sign, no blank, no prefix; nothing ever wraps.
#[inline(never)]
pub fn append(number: Option<u32>, byte: u8) -> Option<u32> {
    let digit = byte.wrapping_sub(b'0');
    if digit > 9 {
        return None;
    }
    number.unwrap_or(0).checked_mul(10)?.checked_add(u32::from(digit))
}

/// Reads the number under the cursor and leaves it on the first byte that does not belong to it.
///
/// `None` without a digit.
pub fn parse(text: &mut Text<'_>) -> Option<u32> {
    let mut number = None;
    while let Some(sum) = append(number, text.peek()) {
        number = Some(sum);
        text.take();
    }
    number
}

/// Reads a number that makes up all that is left of a text, and is `most` or less.
pub fn parse_whole(mut text: Text<'_>, most: u32) -> Option<u32> {
    parse(&mut text).filter(|&number| text.is_empty() && number <= most)
}

/// Writes a number.
pub fn print(number: u32, line: &mut TextBuffer) {
    let mut divisor = 1_000_000_000;
    while divisor > 0 {
        let rest = number / divisor;
        if rest > 0 || divisor == 1 {
            #[expect(clippy::cast_possible_truncation, reason = "a remainder of 10 is one digit")]
            line.put(b'0' + (rest % 10) as u8);
        }
        divisor /= 10;
    }
}

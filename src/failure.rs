//! What goes to standard error, and the exit statuses.
//!
//! A line is `pidproxy: SUBJECT: REASON`, or with `-v` `pidproxy: SUBJECT: NUMBER`, put together here and written with one
//! system call, so that it stays whole among the lines of others.

use crate::decimal;
use crate::sys::{self, Outcome, Text, TextBuffer};

/// The proxy itself failed: usage, pid file never valid, a system call.
pub const PROXY_FAILED: i32 = 125;
/// The command could not be executed.
pub const NOT_EXECUTABLE: i32 = 126;
/// The command was not found.
pub const NOT_FOUND: i32 = 127;

/// A user, a group or an option that does not exist.
pub const UNKNOWN: Outcome = Outcome::failure(64);
/// An option without its value, or a command line without a pid file.
pub const MISSING: Outcome = Outcome::failure(65);
/// Standard input is a terminal that the command could type into.
pub const TERMINAL: Outcome = Outcome::failure(66);
/// The pid file did not change since before the launch.
pub const STALE: Outcome = Outcome::failure(67);
/// The pid file is no regular file, or holds no number that could be a daemon's pid.
pub const NO_PID: Outcome = Outcome::failure(68);
/// The pid file names a foreign process, and others than root and we could have written it.
pub const UNTRUSTED: Outcome = Outcome::failure(69);
/// A value that an option can not have.
pub const INVALID: Outcome = Outcome::failure(70);

/// Names of the common error numbers (errno(3)) and of our findings, each behind its number with the top bit set. One
/// string, because a table of strings would need relocations.
const NAMES: Text<'static> = Text::new(
    c"\x81EPERM\x82ENOENT\x83ESRCH\x8bEAGAIN\x8cENOMEM\x8dEACCES\x94ENOTDIR\
\xa8ELOOP\xc0unknown\xc1missing\xc2needs -t\xc3stale\xc4no pid\xc5untrusted\xc6invalid",
);

/// How much of a word is shown, so that its line is not cut.
const SHOWN_MOST: u32 = 3840;

/// Says on standard error what failed, and why: `pidproxy: SUBJECT: REASON`. Where there is no such word it is the pid file
/// that is missing.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the file is smaller with it, see SIZE.md")]
pub fn report(subject: Option<Text<'_>>, reason: Outcome) {
    say(subject, reason.number());
}

/// Says on standard error what happened: `pidproxy: SUBJECT: NUMBER`.
pub fn note(subject: Text<'_>, number: i32) {
    say(Some(subject), number);
}

fn say(subject: Option<Text<'_>>, number: i32) {
    let mut subject = subject.unwrap_or(Text::new(c"pid file"));
    let mut line = TextBuffer::new();
    let line = sys::in_register(&mut line);
    line.put_text(Text::new(c"pidproxy: "));
    while !subject.is_empty() && line.len() < SHOWN_MOST {
        // A word with a line feed in it must not look like two lines.
        let byte = subject.take();
        line.put(if byte == b'\n' { b' ' } else { byte });
    }
    line.put_text(Text::new(c": "));
    // A failure is a negative number.
    put_number(line, number);
    line.put(b'\n');
    // Nobody may read it: the forwarding of signals goes on all the same.
    if sys::is_writable(sys::STANDARD_ERROR) {
        sys::write(sys::STANDARD_ERROR, line.bytes());
    }
}

/// Adds a number, or the name of what has one.
#[inline]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the highest error number is 133")]
fn put_number(line: &mut TextBuffer, number: i32) {
    let mut number = number;
    if number < 0 {
        if let Some(mut name) = NAMES.find((0x80 - number) as u8) {
            while name.peek().cast_signed() > 0 {
                line.put(name.take());
            }
            return;
        }
        number = -number;
    }
    decimal::print(line, number);
}

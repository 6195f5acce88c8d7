//! What goes to standard error, and the exit statuses.
//!
//! A failure is one line, `pidproxy: cannot STEP SUBJECT: REASON`, put together here and written with one system call,
//! so that it stays whole among the lines of others.

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

/// What failed or happened, for a message. Their numbers go on below those of the findings.
#[derive(Clone, Copy, Debug)]
#[repr(i32)]
pub enum Step {
    /// The command line.
    Use = -80,
    /// To switch to another user.
    Become = -81,
    /// To read a file.
    Read = -82,
    /// To start a process.
    Start = -83,
    /// To find the target.
    Follow = -84,
    /// To send a signal, or that it is sent.
    Signal = -85,
    /// To execute the command.
    Execute = -86,
    /// A process was started.
    Launched = -87,
    /// A process is the target now.
    Following = -88,
    /// A process ended.
    Ended = -89,
    /// To append the output to a file.
    Log = -90,
}

/// Names of the common error numbers (errno(3)), of our findings and of the steps, each behind its number with the top
/// bit set. One string, because a table of strings would need relocations.
const NAMES: Text<'static> = Text::new(
    c"\x81EPERM\x82ENOENT\x83ESRCH\x8bEAGAIN\x8cENOMEM\x8dEACCES\x94ENOTDIR\
\xa8ELOOP\xc0unknown\xc1missing\xc2needs -t\xc3stale\xc4no pid\xc5untrusted\xc6invalid\
\xd0use\xd1become\xd2read\xd3start\xd4follow\xd5signal\xd6execute\xd7launched\xd8following\xd9ended with\xdalog\xff",
);

/// Says on standard error that a step failed: `pidproxy: cannot STEP SUBJECT: REASON`.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the file is smaller with it, see SIZE.md")]
pub fn report(step: Step, subject: Option<Text<'_>>, reason: Outcome) {
    say(step, subject, reason.number());
}

/// Says on standard error what happened: `pidproxy: STEP NUMBER`.
pub fn note(step: Step, number: i32) {
    say(step, None, number);
}

/// How much of a word is shown, so that its line is not cut.
const SHOWN_MOST: u16 = 3840;

fn say(step: Step, subject: Option<Text<'_>>, number: i32) {
    let mut line = TextBuffer::new();
    // A failure is a negative number.
    line.put_until(Text::new(c"pidproxy: cannot "), if number < 0 { 0 } else { b'c' });
    put_number(&mut line, step as i32);
    line.put(b' ');
    if let Some(mut subject) = subject {
        while !subject.is_empty() && line.len() < SHOWN_MOST {
            // A word with a line feed in it must not look like two lines.
            let byte = subject.take();
            line.put(if byte == b'\n' { b' ' } else { byte });
        }
        line.put_text(Text::new(c": "));
    }
    put_number(&mut line, number);
    line.put(b'\n');
    // Nobody may read it: the forwarding of signals goes on all the same.
    if sys::is_writable(sys::STANDARD_ERROR) {
        sys::write(sys::STANDARD_ERROR, line.bytes());
    }
}

/// Adds a number, or the name of what has one.
#[inline(never)]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the highest error number is 133")]
fn put_number(line: &mut TextBuffer, number: i32) {
    let mut number = number;
    if number < 0 {
        if let Some(mut name) = NAMES.find((0x80 - number) as u8) {
            while name.peek() < 0x80 {
                line.put(name.take());
            }
            return;
        }
        number = -number;
    }
    decimal::print(number, line);
}

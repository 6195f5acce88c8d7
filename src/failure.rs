//! What goes to standard error, and the exit statuses.
//!
//! A failure is one line, `pidproxy: cannot STEP SUBJECT: REASON`, put together here and written with one system call,
//! so that it stays whole among the lines of others.

use crate::decimal;
use crate::sys::{self, Errno, Text, TextBuffer};

/// The proxy itself failed: usage, pid file never valid, a system call.
pub const PROXY_FAILED: u8 = 125;
/// The command could not be executed.
pub const NOT_EXECUTABLE: u8 = 126;
/// The command was not found.
pub const NOT_FOUND: u8 = 127;

/// Why something failed: an error number of the kernel's, or a finding of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason(u32);

impl Reason {
    /// Findings take the numbers that [`NAMES`] gives them; error numbers of that size, which no call here returns,
    /// move out of their way and are shown as numbers.
    const FIRST_FINDING: u32 = 64;

    /// An option that does not exist.
    pub const UNKNOWN_OPTION: Self = Self(64);
    /// An option without the value it needs, or a command line without a pid file.
    pub const MISSING: Self = Self(65);
    /// Not a number, or out of range.
    pub const BAD_NUMBER: Self = Self(66);
    /// Not two signals with `=` between them, or the first can not be received.
    pub const BAD_REWRITE: Self = Self(67);
    /// A user or group that is not there, or no name at all.
    pub const UNKNOWN_NAME: Self = Self(68);
    /// Standard input is a terminal that the command could type into.
    pub const TERMINAL: Self = Self(69);
    /// Root could be had again after the switch of user.
    pub const ROOT_KEPT: Self = Self(70);
    /// The pid file did not change since before the launch.
    pub const STALE: Self = Self(71);
    /// The pid file holds no number that could be a daemon's pid.
    pub const NO_PID: Self = Self(72);
    /// The pid file names a foreign process, and others than root and we could have written it.
    pub const UNTRUSTED: Self = Self(73);
    /// The process that the pid file names is gone.
    pub const GONE: Self = Self(74);
    /// The pid file is no regular file.
    pub const NOT_A_FILE: Self = Self(76);
    /// No child is left that could become the daemon.
    pub const NO_CHILD: Self = Self(75);
}

impl From<Errno> for Reason {
    fn from(errno: Errno) -> Self {
        let number = errno.into_raw().unsigned_abs();
        Self(if number < Self::FIRST_FINDING {
            number
        } else {
            number + 0x100
        })
    }
}

/// Names of the common error numbers (errno(3)) and of our findings, each behind its number with the top bit set.
const NAMES: &[u8] = b"\x81EPERM\x82ENOENT\x83ESRCH\x87E2BIG\x88ENOEXEC\x8aECHILD\x8bEAGAIN\x8cENOMEM\x8dEACCES\
\x94ENOTDIR\x95EISDIR\x96EINVAL\x98EMFILE\xa4ENAMETOOLONG\xa6ENOSYS\xa8ELOOP\
\xc0unknown option\xc1missing\xc2bad number\xc3bad rewrite\xc4not found\xc5terminal without -t\xc6root kept\
\xc7unchanged since before the launch\xc8no pid\xc9not trusted\xcagone\xcbno child left\xccno regular file";

/// Says on standard error that a step failed: `pidproxy: cannot STEP SUBJECT: REASON`.
#[inline(never)]
pub fn report(step: Text<'_>, subject: Text<'_>, reason: Reason) {
    let mut line = TextBuffer::new();
    line.put_text(Text::new(c"pidproxy: cannot "));
    line.put_text(step);
    line.put(b' ');
    line.put_text(subject);
    line.put_text(Text::new(c": "));
    put_reason(&mut line, reason);
    line.put(b'\n');
    sys::write(sys::STANDARD_ERROR, line.current());
}

fn put_reason(line: &mut TextBuffer, reason: Reason) {
    let mut is_named = false;
    let mut is_wanted = false;
    for &byte in NAMES {
        if byte >= 0x80 {
            is_wanted = u32::from(byte & 0x7f) == reason.0;
            is_named |= is_wanted;
        } else if is_wanted {
            line.put(byte);
        }
    }
    if !is_named {
        decimal::print(reason.0 & 0xff, line);
    }
}

/// Says on standard error what happened (`-v`): `pidproxy: WHAT NUMBER`.
#[inline(never)]
pub fn note(what: Text<'_>, number: u32) {
    let mut line = TextBuffer::new();
    line.put_text(Text::new(c"pidproxy: "));
    line.put_text(what);
    line.put(b' ');
    decimal::print(number, &mut line);
    line.put(b'\n');
    sys::write(sys::STANDARD_ERROR, line.current());
}

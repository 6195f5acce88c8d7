//! Signals: numbers, names, sets, and what is sent in their place.

use linux_raw_sys::general as kernel;

use crate::decimal;
use crate::sys::Text;

/// A signal number, 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal(u8);

impl Signal {
    /// Hang-up; also what `-H` sends after [`Signal::TERM`].
    pub const HUP: Self = Self::known(kernel::SIGHUP);
    /// Interrupt, as from `^C`.
    pub const INT: Self = Self::known(kernel::SIGINT);
    /// Quit, as from `^\`.
    pub const QUIT: Self = Self::known(kernel::SIGQUIT);
    /// Termination.
    pub const TERM: Self = Self::known(kernel::SIGTERM);
    /// A child ended.
    pub const CHLD: Self = Self::known(kernel::SIGCHLD);

    #[expect(clippy::cast_possible_truncation, reason = "the kernel's constants are 1 to 31")]
    const fn known(number: u32) -> Self {
        Self(number as u8)
    }

    /// The signal of a number; `None` unless it is 1 to 64.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        #[expect(clippy::cast_possible_truncation, reason = "checked to be at most 64")]
        (1..=64).contains(&number).then_some(Self(number as u8))
    }

    /// The number, 1 to 64.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0 as u32
    }
}

/// A set of signals, in the layout of the kernel's `sigset_t`: signal n is bit n-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct SignalSet(u64);

impl SignalSet {
    /// No signal at all.
    pub const NONE: Self = Self(0);

    /// What a process raises against itself by a fault of its own. Blocking one of these would only make the kernel
    /// kill us for it, and nobody else sends them to mean something.
    const FAULTS: Self = Self::NONE
        .with(Signal::known(kernel::SIGILL))
        .with(Signal::known(kernel::SIGTRAP))
        .with(Signal::known(kernel::SIGABRT))
        .with(Signal::known(kernel::SIGBUS))
        .with(Signal::known(kernel::SIGFPE))
        .with(Signal::known(kernel::SIGSEGV))
        .with(Signal::known(kernel::SIGSYS));

    /// Signals that no process can catch.
    const UNCATCHABLE: Self = Self::NONE
        .with(Signal::known(kernel::SIGKILL))
        .with(Signal::known(kernel::SIGSTOP));

    /// What the proxy blocks and reads: everything that can be caught but the faults.
    pub const RECEIVED: Self = Self(!(Self::FAULTS.0 | Self::UNCATCHABLE.0));

    /// What is received but the real-time signals, which alone are queued.
    pub const STANDARD: Self = Self(Self::RECEIVED.0 & 0x7fff_ffff);

    /// What asks a program to end.
    pub const STOPPING: Self = Self::NONE.with(Signal::TERM).with(Signal::INT).with(Signal::QUIT);

    /// What the terminal's driver raises although nobody asked for the program to end or to reload.
    pub const TERMINAL_NOISE: Self = Self::NONE
        .with(Signal::known(kernel::SIGTSTP))
        .with(Signal::known(kernel::SIGTTIN))
        .with(Signal::known(kernel::SIGTTOU))
        .with(Signal::known(kernel::SIGWINCH));

    /// This set and one signal more.
    #[must_use]
    pub const fn with(self, signal: Signal) -> Self {
        Self(self.0 | 1 << (signal.0 - 1))
    }

    /// Whether a signal is in the set.
    #[must_use]
    pub const fn contains(self, signal: Signal) -> bool {
        self.0 >> (signal.0 - 1) & 1 != 0
    }
}

/// The names without `SIG`, each behind its number with the top bit set. One string, because a table of strings would
/// need relocations.
const NAMES: &[u8] = b"\x81HUP\x82INT\x83QUIT\x84ILL\x85TRAP\x86ABRT\x87BUS\x88FPE\x89KILL\x8aUSR1\x8bSEGV\x8cUSR2\
\x8dPIPE\x8eALRM\x8fTERM\x90STKFLT\x91CHLD\x92CONT\x93STOP\x94TSTP\x95TTIN\x96TTOU\x97URG\x98XCPU\x99XFSZ\x9aVTALRM\
\x9bPROF\x9cWINCH\x9dIO\x9ePWR\x9fSYS\xa2RTMIN\xc0RTMAX\x80";

/// The first real-time signal as users know it; the kernel's own 32 and 33 belong to the C library (signal(7)).
const RTMIN: u32 = 34;
const RTMAX: u32 = 64;

/// Reads a signal, by number (0 too) or by name, and leaves the cursor behind it.
///
/// Names come with or without `SIG`, in any case; `RTMIN+n` and `RTMAX-n` are within 34 to 64. The number is not
/// checked otherwise.
pub fn parse(text: &mut Text<'_>) -> Option<u32> {
    if text.peek().is_ascii_digit() {
        return decimal::parse(text);
    }
    let start = skip_sig(*text);
    let (mut number, mut same) = (0, false);
    for &byte in NAMES {
        if byte < 0x80 {
            same &= text.take().to_ascii_uppercase() == byte;
        } else if same && !text.peek().is_ascii_alphanumeric() {
            return real_time(number, text);
        } else {
            number = u32::from(byte & 0x7f);
            same = true;
            *text = start;
        }
    }
    None
}

/// The text behind a leading `SIG`, or all of it.
fn skip_sig(text: Text<'_>) -> Text<'_> {
    let mut rest = text;
    for byte in *b"SIG" {
        if rest.take().to_ascii_uppercase() != byte {
            return text;
        }
    }
    rest
}

/// Adds the offset behind `RTMIN` and `RTMAX`.
fn real_time(number: u32, text: &mut Text<'_>) -> Option<u32> {
    let sum = match (number, text.peek()) {
        (RTMIN, b'+') => {
            text.take();
            RTMIN.checked_add(decimal::parse(text)?)
        }
        (RTMAX, b'-') => {
            text.take();
            RTMAX.checked_sub(decimal::parse(text)?)
        }
        _ => return Some(number),
    };
    sum.filter(|sum| (RTMIN..=RTMAX).contains(sum))
}

/// What is sent where a signal is received.
#[derive(Clone, Debug)]
pub struct Rewrites {
    /// By received signal: 0 for itself, else what to send, [`Rewrites::DROP`] for nothing.
    sent: [u8; 65],
}

impl Rewrites {
    const DROP: u8 = 0xff;

    /// Every signal goes on as it came.
    pub const NONE: Self = Self { sent: [0; 65] };

    /// Notes a rewrite `FROM=TO` or `FROM:TO`, where TO 0 drops the signal.
    ///
    /// `None`, and nothing noted, unless it has that form and FROM is a signal that can be received.
    pub fn add(&mut self, mut rewrite: Text<'_>) -> Option<()> {
        let from = Signal::new(parse(&mut rewrite)?)?;
        if !matches!(rewrite.take(), b'=' | b':') {
            return None;
        }
        let to = parse(&mut rewrite)?;
        if !rewrite.is_empty() || from == Signal::CHLD || !SignalSet::RECEIVED.contains(from) {
            return None;
        }
        let sent = self.sent.get_mut(usize::from(from.0))?;
        *sent = if to == 0 { Self::DROP } else { Signal::new(to)?.0 };
        Some(())
    }

    /// What to send for a received signal; `None` where it is dropped.
    #[must_use]
    pub fn apply(&self, received: Signal) -> Option<Signal> {
        match self.sent.get(usize::from(received.0)) {
            Some(&Self::DROP) => None,
            Some(&sent) if sent != 0 => Some(Signal(sent)),
            _ => Some(received),
        }
    }
}

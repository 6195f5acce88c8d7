//! Signals: numbers, names, sets, and what is sent in their place.

use linux_raw_sys::general as kernel;

use crate::decimal;
use crate::sys::Text;

/// A signal number, 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal(u32);

impl Signal {
    /// Hang-up; also what `-H` sends after [`Signal::TERM`].
    pub const HUP: Self = Self(kernel::SIGHUP);
    /// Interrupt, as from `^C`.
    pub const INT: Self = Self(kernel::SIGINT);
    /// Quit, as from `^\`.
    pub const QUIT: Self = Self(kernel::SIGQUIT);
    /// The end, which nobody can catch.
    pub const KILL: Self = Self(kernel::SIGKILL);
    /// Whatever the program uses it for.
    pub const USR1: Self = Self(kernel::SIGUSR1);
    /// Likewise.
    pub const USR2: Self = Self(kernel::SIGUSR2);
    /// Termination.
    pub const TERM: Self = Self(kernel::SIGTERM);
    /// The time is over (`alarm(2)`).
    pub const ALRM: Self = Self(kernel::SIGALRM);
    /// A child ended.
    pub const CHLD: Self = Self(kernel::SIGCHLD);
    /// What lets a stopped process go on.
    pub const CONT: Self = Self(kernel::SIGCONT);
    /// What stops a process, and nobody can catch.
    pub const STOP: Self = Self(kernel::SIGSTOP);

    /// The signal of a number; `None` unless it is 1 to 64.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        (number.wrapping_sub(1) < 64).then_some(Self(number))
    }

    /// The signal of a number that the kernel gave, which is 1 to 64.
    #[must_use]
    pub const fn from_kernel(number: u32) -> Self {
        Self(number)
    }

    /// The number, 1 to 64.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
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
        .with(Signal(kernel::SIGILL))
        .with(Signal(kernel::SIGTRAP))
        .with(Signal(kernel::SIGABRT))
        .with(Signal(kernel::SIGBUS))
        .with(Signal(kernel::SIGFPE))
        .with(Signal(kernel::SIGSEGV))
        .with(Signal(kernel::SIGSYS));

    /// Signals that no process can catch.
    const UNCATCHABLE: Self = Self::NONE.with(Signal::KILL).with(Signal::STOP);

    /// What the proxy blocks and reads: everything that can be caught but the faults.
    pub const RECEIVED: Self = Self(!(Self::FAULTS.0 | Self::UNCATCHABLE.0));

    /// What of that goes on to the target: SIGCHLD is about children of our own.
    pub const FORWARDED: Self = Self(Self::RECEIVED.0 & !Self::NONE.with(Signal::CHLD).0);

    /// What asks a program to end.
    pub const STOPPING: Self = Self::NONE.with(Signal::TERM).with(Signal::INT).with(Signal::QUIT);

    /// What the terminal's driver raises although nobody asked for the program to end or to reload.
    pub const TERMINAL_NOISE: Self = Self::NONE
        .with(Signal(kernel::SIGTSTP))
        .with(Signal(kernel::SIGTTIN))
        .with(Signal(kernel::SIGTTOU))
        .with(Signal(kernel::SIGWINCH));

    /// This set and one signal more.
    #[must_use]
    pub const fn with(self, signal: Signal) -> Self {
        Self(self.0 | 1 << (signal.0 - 1))
    }

    /// What of this set may overtake a signal that has to wait: no real-time signals, which are queued in their order, but for
    /// the first, which C libraries keep for themselves; nor more of its own number.
    #[must_use]
    pub const fn overtaking(self, waiting: Signal) -> Self {
        Self(self.0 & 0xffff_ffff & !Self::NONE.with(waiting).0)
    }

    /// Whether a signal is in the set.
    #[must_use]
    pub const fn contains(self, signal: Signal) -> bool {
        // Turned by one, signal n is bit n, and 64 is bit 0.
        self.0.rotate_left(1) >> (signal.0 % 64) & 1 != 0
    }
}

/// The names by number, first what may precede them. 32 and 33 have none: there the forms with an offset are. The last
/// character of each has bit 5 set: it is a small letter, a digit or a sign. One string, because a table of strings would
/// need relocations.
const NAMES: Text<'static> = Text::new(
    c"SIgHUpINtQUItILlTRApABRtBUsFPeKILlUSR1SEGvUSR2PIPeALRmTERmSTKFLtCHLdCONtSTOpTSTpTTInTTOuURgXCPuXFSzVTALRmPROfWINCh\
    IoPWrSYsRTMIN+RTMAX-RTMInRTMAx",
);

/// The bit by which small letters differ from capitals.
const SMALL: u8 = 0x20;

/// Reads the signal that a text begins with, by number or by name. Gives what is left of the text too. Above 64 it is none.
///
/// Names come with or without `SIG`, in any case; `RTMIN+n` (34 as users know it, signal(7)) and `RTMAX-n` are 34 to 64.
#[must_use]
pub fn parse(text: Text<'_>) -> (u32, Text<'_>) {
    let (number, rest) = decimal::parse(text);
    if rest.distance_from(text) != 0 {
        return (number, rest);
    }
    let mut difference = 0;
    let mut number = 0;
    let mut start = text;
    let mut rest = text;
    let mut names = NAMES;
    while !names.is_empty() {
        let expected = names.take();
        let byte = rest.take();
        difference |= (byte ^ expected) & !SMALL;
        if expected & SMALL == 0 {
            continue;
        }
        // A control character is no small digit.
        if difference == 0 && byte >= SMALL {
            start = rest;
            if number != 0 {
                return numbered(number, rest);
            }
        }
        rest = start;
        difference = 0;
        number += 1;
    }
    (decimal::NONE, text)
}

/// The signal of a name, and what follows.
fn numbered(number: u32, text: Text<'_>) -> (u32, Text<'_>) {
    if number < 32 {
        return (number, text);
    }
    let (offset, rest) = if number < 34 { decimal::parse(text) } else { (0, text) };
    if offset > 30 {
        return (decimal::NONE, rest);
    }
    (if number & 1 != 0 { 64 - offset } else { 34 + offset }, rest)
}

/// What is sent where a signal is received.
#[derive(Clone, Debug)]
pub struct Rewrites {
    /// By received signal: how what is sent differs from it. 0 stands for itself, and what is sent as 0 is nothing.
    difference: [u8; 128],
}

impl Rewrites {
    /// Every signal goes on as it came.
    pub const NONE: Self = Self { difference: [0; 128] };

    /// Notes a rewrite `FROM=TO` or `FROM:TO`, of which FROM is read already, where TO 0 drops the signal.
    ///
    /// False, and nothing noted, unless it has that form and FROM is a signal that can be received.
    pub fn add(&mut self, from: u32, mut rewrite: Text<'_>) -> bool {
        let bit = from.wrapping_sub(1);
        if bit > 63 || SignalSet::FORWARDED.0 >> bit & 1 == 0 || !matches!(rewrite.peek(), b'=' | b':') {
            return false;
        }
        rewrite.take();
        let (to, rest) = parse(rewrite);
        if to > 64 || !rest.is_empty() {
            return false;
        }
        let Some(difference) = self.difference.get_mut(from as usize) else { return false };
        #[expect(clippy::cast_possible_truncation, reason = "checked to be at most 64")]
        let both = (from ^ to) as u8;
        *difference = both;
        true
    }

    /// What to send for a received signal; `None` where it is dropped.
    #[must_use]
    pub fn apply(&self, received: Signal) -> Option<Signal> {
        let difference = self.difference.get(received.0 as usize % 128).copied().unwrap_or_default();
        let sent = received.0 ^ u32::from(difference);
        (sent != 0).then_some(Signal(sent))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All names but those of real-time signals, by number (signal(7)).
    const STANDARD: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
        "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF",
        "WINCH", "IO", "PWR", "SYS",
    ];

    /// What can be received, and is not ours: all but KILL, STOP, CHLD, and the faults.
    fn is_forwarded(number: u32) -> bool {
        (1..=64).contains(&number) && ![4, 5, 6, 7, 8, 9, 11, 17, 19, 31].contains(&number)
    }

    /// The signal that a word stands for, by the standard library: 0 for nothing to be sent.
    fn expected_number(word: &str) -> Option<u32> {
        if word.starts_with(|first: char| first.is_ascii_digit()) {
            return word.parse().ok().filter(|number| *number <= 64);
        }
        let word = word.to_ascii_uppercase();
        let name = word.strip_prefix("SIG").unwrap_or(&word);
        if let Some(index) = STANDARD.iter().position(|known| *known == name) {
            return u32::try_from(index + 1).ok();
        }
        let offset = |text: &str| {
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u32>().ok().filter(|offset| is_number && *offset <= 30)
        };
        match (name, name.split_once('+'), name.split_once('-')) {
            ("RTMIN", ..) => Some(34),
            ("RTMAX", ..) => Some(64),
            (_, Some(("RTMIN", number)), _) => offset(number).map(|offset| 34 + offset),
            (_, _, Some(("RTMAX", number))) => offset(number).map(|offset| 64 - offset),
            _ => None,
        }
    }

    /// What is sent for each signal after a rewrite, as by [`sent`].
    fn expected(rewrite: &str) -> Option<Vec<u32>> {
        let (from, to) = rewrite.split_once(['=', ':'])?;
        let from = expected_number(from).filter(|number| is_forwarded(*number))?;
        let to = expected_number(to)?;
        Some((1..=64).map(|number| if number == from { to } else { number }).collect())
    }

    fn add(rewrites: &mut Rewrites, rewrite: Text<'_>) -> bool {
        let (from, rest) = parse(rewrite);
        rewrites.add(from, rest)
    }

    /// What is sent for each of the signals 1 to 64, 0 for nothing, after a rewrite that is taken.
    fn sent(rewrite: &str) -> Option<Vec<u32>> {
        let rewrite = format!("{rewrite}\0\0");
        let mut rewrites = Rewrites::NONE;
        add(&mut rewrites, Text::from_buffer(rewrite.as_bytes())).then(|| {
            let apply = |signal| rewrites.apply(signal).map_or(0, Signal::number);
            (1..=64).filter_map(Signal::new).map(apply).collect()
        })
    }

    #[test]
    fn a_signal_is_1_to_64() {
        for (number, is_signal) in [(0, false), (1, true), (64, true), (65, false), (256, false), (257, false)] {
            assert_eq!(Signal::new(number).map(Signal::number), is_signal.then_some(number));
        }
        assert_eq!(Signal::new(u32::MAX), None);
    }

    #[test]
    fn sets_hold_what_they_are_for() {
        let numbers = |set: SignalSet| -> Vec<u32> {
            (1..=64).filter(|number| Signal::new(*number).is_some_and(|signal| set.contains(signal))).collect()
        };
        let forwarded: Vec<u32> = (1..=64).filter(|number| is_forwarded(*number)).collect();
        assert_eq!(numbers(SignalSet::FORWARDED), forwarded);
        assert_eq!(SignalSet::RECEIVED, SignalSet::FORWARDED.with(Signal::CHLD));
        assert_eq!(numbers(SignalSet::STOPPING), [2, 3, 15]);
        assert_eq!(numbers(SignalSet::TERMINAL_NOISE), [20, 21, 22, 28]);
        assert_eq!(numbers(SignalSet::NONE), [0; 0]);
    }

    #[test]
    fn every_signal_has_its_names() {
        let real_time = (0..=30).flat_map(|n| [(34 + n, format!("RTMIN+{n}")), (64 - n, format!("RTMAX-{n}"))]);
        let names = (1..).zip(STANDARD.map(str::to_owned)).chain(real_time);
        let others = [(34, "RTMIN"), (64, "RTMAX"), (36, "RTMIN+02")].map(|(number, name)| (number, name.to_owned()));
        for (number, name) in names.chain(others) {
            let small = name.to_ascii_lowercase();
            for name in
                [number.to_string(), format!("SIG{name}"), format!("sig{small}"), format!("Sig{small}"), small, name]
            {
                let as_received = sent(&format!("{name}=0"));
                assert_eq!(as_received.is_some(), is_forwarded(number), "{name}");
                assert_eq!(as_received, expected(&format!("{number}=0")), "{name}");
                assert_eq!(sent(&format!("TERM={name}")), expected(&format!("15={number}")), "{name}");
            }
        }
    }

    #[test]
    fn a_rewrite_is_not_rewritten_and_the_last_counts() {
        let mut rewrites = Rewrites::NONE;
        for rewrite in
            [c"HUP=INT", c"INT=HUP", c"TERM=0", c"USR1:KILL", c"USR1=USR2", c"64=1", c"64=64", c"PIPE=0", c"PIPE=13"]
        {
            assert!(add(&mut rewrites, Text::new(rewrite)), "{rewrite:?}");
        }
        for refused in [
            c"",
            c"=",
            c"TERM",
            c"TERM=",
            c"TERM=65",
            c"KILL=1",
            c"TERM=1 ",
            c"TERM=1=2",
            c"USR\x11=1",
            c"RTMIN\x0b1=1",
        ] {
            assert!(!add(&mut rewrites, Text::new(refused)), "{refused:?}");
        }
        let sent = |number| rewrites.apply(Signal::new(number)?).map(Signal::number);
        let numbers = [1, 2, 3, 10, 12, 13, 15, 64].map(sent);
        assert_eq!(numbers, [Some(2), Some(1), Some(3), Some(12), Some(12), Some(13), None, Some(64)]);
    }

    proptest! {
        #[test]
        fn any_rewrite_is_read_as_described(rewrite in prop_oneof![
            "(SIG|sig|)(HUP|Int|term|USR2|CHLD|RTMIN|rtmax)[+-]?[0-9]{0,3}[=:](SIG|)(KILL|io|RTMIN[+][0-9]{1,2}|RTMAX-[0-9]{1,2}|[0-9]{1,3})",
            "[0-9]{1,3}[=:][0-9]{1,3}",
            "[0-9]{1,11}[=:][0-9]{1,20}",
            "(SIG){0,2}[A-Za-z+-]{1,5}[=:](sIg){0,2}[A-Za-z0-9+-]{0,8}",
            "[HhUuPp1=: \u{8}\u{15}\u{10}\u{11}]{1,6}",
            "[^\0]{0,8}",
        ]) {
            prop_assert_eq!(sent(&rewrite), expected(&rewrite));
        }
    }
}

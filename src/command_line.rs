//! Command line to [`Options`].

use core::ffi::CStr;

use crate::decimal;
use crate::failure::{INVALID, MISSING, UNKNOWN};
use crate::signal::{self, Rewrites};
use crate::sys::{self, Arguments, Outcome, Text};

/// Whether everything is there: with no more than what follows one daemon (`--no-default-features`) it is no init, launches
/// nothing again, and takes no options and no sockets from the environment.
pub const FULL: bool = cfg!(feature = "full");

/// What is shown: the version as engines want to hear it of an init, the version, and the help, which begins with it.
const SHOWN_TEXT: &[u8] = if FULL {
    concat!(
        "tini version pidproxy ",
        env!("CARGO_PKG_VERSION"),
        "
pidproxy [-HKVafghtvx] [-El PATH] [-GU NAME] [-Rdekw N] [-p SIG]
[-r FROM=TO] [--] pid-file|- [command...]
"
    )
    .as_bytes()
} else {
    concat!(
        "pidproxy ",
        env!("CARGO_PKG_VERSION"),
        "
pidproxy [-HVafghtv] [-E PATH] [-GU NAME] [-ew N]
[-r FROM=TO] [--] pid-file [command...]
"
    )
    .as_bytes()
};

/// Where the version begins that is no init's, and where both end.
const VERSION: usize = if FULL { "tini version ".len() } else { 0 };
const VERSION_END: usize = VERSION + "pidproxy \n".len() + env!("CARGO_PKG_VERSION").len();

/// The longest wait: its milliseconds are still a 32-bit number.
const SECONDS_MOST: u32 = 2_000_000;

/// The options: first those with a value (numbers, names, paths, signals), then the flags, then what is shown at once.
const LETTERS: &CStr = if FULL { ALL } else { c"weGUErHafgtvhV" };
/// All that there are.
const ALL: &CStr = c"wkRdeGUElrpHKafgtvxhV";
/// The last of each kind.
const NUMBERS: usize = place(b'e');
const NAMES: usize = place(b'U');
const PATHS: usize = if FULL { place(b'l') } else { place(b'E') };
const SIGNALS: usize = if FULL { place(b'p') } else { place(b'r') };
const FLAGS: usize = if FULL { place(b'x') } else { place(b'v') };
/// Room for the values of those that have one.
const VALUES: usize = SIGNALS + 1;
/// The letters of what is shown.
const SHOWN: Text<'static> = {
    let mut letters = Text::new(LETTERS);
    let mut place = 0;
    while place < FLAGS {
        letters.take();
        place += 1;
    }
    letters
};
/// What stands for no descriptor there: one of the standard ones, which it can not be.
pub const NO_DESCRIPTOR: u32 = 2;
/// The lowest descriptor for `-d`: those below are the standard ones.
const DESCRIPTOR_LEAST: u32 = 3;

/// The last four bytes of the name of an init, as a number.
pub const INIT: u64 = u64::from_be_bytes(*b"\0\0\0\0init");

/// The long options, as numbers.
const LONG_HELP: u64 = u64::from_be_bytes(*b"\0\0\0\0help");
const LONG_VERSION: u64 = u64::from_be_bytes(*b"\0version");

/// Where an option's letter stands among them, the first at 1; 0 for one that is left out. For one that there never is it does
/// not compile.
#[expect(clippy::indexing_slicing, reason = "evaluated at compile time only")]
const fn place(letter: u8) -> usize {
    let mut place = 1;
    while place <= LETTERS.to_bytes().len() {
        if LETTERS.to_bytes()[place - 1] == letter {
            return place;
        }
        place += 1;
    }
    let mut known = 0;
    while ALL.to_bytes()[known] != letter {
        known += 1;
    }
    0
}

/// The last eight bytes of a text, as a number.
#[must_use]
#[inline(never)]
pub const fn last_bytes(mut text: Text<'_>) -> u64 {
    let mut bytes = 0;
    while !text.is_empty() {
        bytes = bytes << 8 | text.take() as u64;
    }
    bytes
}

/// Shows the help or the version, and ends the program.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the file is smaller with it, see SIZE.md")]
fn show(place: usize, is_init: bool) -> ! {
    let start = if is_init { 0 } else { VERSION };
    let end = if place == FLAGS + 1 { SHOWN_TEXT.len() } else { VERSION_END };
    sys::write(sys::STANDARD_OUTPUT, SHOWN_TEXT.get(start..end).unwrap_or_default());
    sys::exit(0)
}

/// What the user asked for.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Options {
    /// The words that are left: options first, and then the pid file or the command.
    pub arguments: Arguments,
    /// The options that were given, a bit each.
    given: u32,
    /// See [`Options::is_init`].
    is_init: bool,
    /// The pid file.
    pub file: Option<Text<'static>>,
    /// `-w`, `-k`, `-R`, `-d`: the number that was given, at the option's place.
    numbers: [u32; NUMBERS],
    /// `-p`.
    pub parent_death_signal: u32,
    /// The values of the options that were given.
    values: [Option<Text<'static>>; VALUES],
    /// `-r`.
    pub rewrites: Rewrites,
    /// `-e`: by exit status, whether it is reported as 0.
    success: [bool; 256],
}

impl Options {
    /// No options at all, and nothing but zeros in memory.
    pub const NONE: Self = Self {
        arguments: Arguments::NONE,
        is_init: false,
        file: None,
        given: 0,
        numbers: [0; NUMBERS],
        parent_death_signal: 0,
        values: [None; VALUES],
        rewrites: Rewrites::NONE,
        success: [false; 256],
    };

    /// The value of an option, if it was given. The name of a user ends at a colon or at its end.
    #[must_use]
    pub const fn get<const LETTER: u8>(&self) -> Option<Text<'static>> {
        if const { place(LETTER) == 0 } { None } else { self.values[const { place(LETTER) % VALUES }] }
    }

    /// Whether an option was given.
    #[must_use]
    pub const fn has<const LETTER: u8>(&self) -> bool {
        (const { place(LETTER) != 0 }) && self.given >> const { place(LETTER) } & 1 != 0
    }

    /// The number that was given with an option, or its default.
    #[must_use]
    pub const fn number<const LETTER: u8>(&self) -> u32 {
        self.numbers[const { place(LETTER) }]
    }

    /// Sets the number of an option.
    pub const fn set_number<const LETTER: u8>(&mut self, number: u32) {
        self.numbers[const { place(LETTER) }] = number;
    }

    /// Whether there is no pid file: the command is the target itself.
    #[must_use]
    pub const fn is_init(&self) -> bool {
        FULL && self.is_init
    }

    /// Says so.
    pub const fn set_init(&mut self, is_init: bool) {
        self.is_init = is_init;
    }

    /// The status to exit with for one that a process ended with (`-e`).
    #[must_use]
    pub fn report(&self, code: i32) -> i32 {
        if self.success.get(code.cast_unsigned() as usize % 256) == Some(&true) { 0 } else { code }
    }

    /// Tells whoever waits for it that the target is there: to be called once, and only with `-d`.
    #[cfg_attr(not(target_arch = "powerpc64"), inline)]
    pub fn tell_ready(&mut self) {
        let descriptor = core::mem::replace(&mut self.numbers[const { place(b'd') }], NO_DESCRIPTOR);
        sys::write(descriptor.cast_signed(), b"\n");
        sys::close(descriptor);
    }

    /// Reads options and leaves `arguments` on the first operand, or on what is wrong. Where help or the version is asked
    /// for, shows it and ends the program.
    pub fn read(&mut self) -> Outcome {
        while let Some(mut letters) = self.arguments.peek() {
            if letters.take() != b'-' {
                break;
            }
            if letters.is_empty() {
                if FULL {
                    break;
                }
                // It is no init.
                return UNKNOWN;
            }
            let mut rest = self.arguments;
            rest.take();
            if letters.peek() == b'-' {
                letters.take();
                // Long options fit into a word. Of what does not it has the last bytes, but none is 0.
                let name = last_bytes(letters);
                if name == 0 {
                    self.arguments = rest;
                    break;
                }
                // Their letters are the last two, and end the program.
                letters = SHOWN;
                if name != LONG_HELP {
                    letters.take();
                    if name != LONG_VERSION {
                        return UNKNOWN;
                    }
                }
            }
            while !letters.is_empty() {
                let all = sys::text_in_register(Text::new(LETTERS));
                let Some(found) = all.find(letters.take()) else { return UNKNOWN };
                let place = found.distance_from(all);
                self.given |= 1 << place;
                if place > SIGNALS {
                    if place > FLAGS {
                        show(place, self.is_init());
                    }
                    continue;
                }
                let mut value = letters;
                if value.is_empty() {
                    value = match rest.peek() {
                        Some(word) if !word.is_empty() => word,
                        _ => return MISSING,
                    };
                    self.arguments = rest;
                    rest.take();
                }
                if !self.set(place, value) {
                    return INVALID;
                }
                break;
            }
            self.arguments = rest;
        }
        Outcome::OK
    }

    /// Notes one option; false where the value is none that it can have.
    fn set(&mut self, place: usize, value: Text<'static>) -> bool {
        if let Some(slot) = self.values.get_mut(place) {
            *slot = Some(value);
        }
        if place <= NUMBERS {
            let (number, rest) = decimal::parse(value);
            if !rest.is_empty() {
                return false;
            }
            if place == const { self::place(b'e') } {
                let Some(success) = self.success.get_mut(number as usize) else { return false };
                *success = true;
                return true;
            }
            if let Some(slot) = self.numbers.get_mut(place) {
                *slot = number;
            }
            if FULL && place == const { self::place(b'd') } {
                // Nobody else gets it.
                return number >= DESCRIPTOR_LEAST && !sys::close_on_exec(number).is_failure();
            }
            return number <= SECONDS_MOST;
        }
        if place <= NAMES {
            let group = if place == const { self::place(b'G') } { Some(value) } else { value.find(b':') };
            let Some(group) = group else { return true };
            self.put(const { self::place(b'G') }, group);
            return !group.is_empty() && group.find(b':').is_none();
        }
        if place <= PATHS {
            return true;
        }
        let (signal, rest) = signal::parse(value);
        if signal.wrapping_sub(1) > 63 {
            return false;
        }
        if !FULL || place == const { self::place(b'r') } {
            return self.rewrites.add(signal, rest);
        }
        self.parent_death_signal = signal;
        rest.is_empty()
    }

    fn put(&mut self, place: usize, value: Text<'static>) {
        if let Some(slot) = self.values.get_mut(place % VALUES) {
            *slot = Some(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;
    use crate::signal::Signal;
    use crate::sys::Start;

    /// These words as the kernel leaves them behind the program's name.
    fn arguments<Word: AsRef<str>>(words: &[Word]) -> Arguments {
        let mut stack = vec![words.len()];
        for word in words {
            let word = CString::new(word.as_ref()).unwrap_or_default();
            let word: &'static CStr = Box::leak(word.into_boxed_c_str());
            stack.push(word.as_ptr().expose_provenance());
        }
        // The nulls of the arguments and of the environment, and the end of the auxiliary vector.
        stack.extend([0; 4]);
        #[expect(unsafe_code, reason = "so it is made from the kernel's stack")]
        // SAFETY: it is laid out as the kernel's, and stays for good.
        let start = unsafe { Start::new(stack.leak().as_mut_ptr()) };
        start.arguments
    }

    /// The bytes of a text up to its end, or to one of these.
    fn string(mut text: Text<'_>, ends: &[u8]) -> String {
        let mut bytes = Vec::new();
        while !text.is_empty() && !ends.contains(&text.peek()) {
            bytes.push(text.take());
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What was read, as options in a fixed order; nothing where it was refused. And the word that is next.
    fn read<Word: AsRef<str>>(words: &[Word]) -> (Option<String>, Option<String>) {
        let mut options = Options::NONE;
        options.arguments = arguments(words);
        let outcome = options.read();
        let next = options.arguments.peek().map(|word| string(word, b""));
        ((!outcome.is_failure()).then(|| shown(&options)), next)
    }

    fn shown(options: &Options) -> String {
        let mut shown = String::new();
        let flags = [
            (options.has::<b'H'>(), 'H'),
            (options.has::<b'a'>(), 'a'),
            (options.has::<b'f'>(), 'f'),
            (options.has::<b'g'>(), 'g'),
            (options.has::<b't'>(), 't'),
            (options.has::<b'v'>(), 'v'),
        ];
        shown.extend(flags.iter().filter(|(is_given, _)| *is_given).map(|(_, letter)| letter));
        let values = [('E', options.get::<b'E'>()), ('G', options.get::<b'G'>()), ('U', options.get::<b'U'>())];
        for (letter, value) in values {
            if let Some(value) = value {
                let ends: &[u8] = if letter == 'E' { b"" } else { b":" };
                let _ = write!(shown, " {letter}{}", string(value, ends));
            }
        }
        if options.has::<b'w'>() {
            let _ = write!(shown, " w{}", options.number::<b'w'>());
        }
        for code in (1..=255).filter(|code| options.report(*code) != *code) {
            let _ = write!(shown, " e{code}");
        }
        for signal in (1..=64).filter_map(Signal::new) {
            let (from, to) = (signal.number(), options.rewrites.apply(signal).map_or(0, Signal::number));
            if from != to {
                let _ = write!(shown, " r{from}={to}");
            }
        }
        shown
    }

    #[test]
    fn options_end_at_the_first_operand() {
        for (words, expected, next) in [
            (&[][..], "", None),
            (&["pid"], "", Some("pid")),
            (&["pid", "-v"], "", Some("pid")),
            (&["--"], "", None),
            (&["--", "-v"], "", Some("-v")),
            (&["-v", "--", "--", "x"], "v", Some("--")),
            (&["", "-v"], "", Some("")),
        ] {
            assert_eq!(read(words), (Some(expected.to_owned()), next.map(str::to_owned)), "{words:?}");
        }
        // What is no init does not know it.
        let (lone, last) = (read(&["-"]), read(&["-v", "-", "sh"]));
        let next = Some("-".to_owned());
        assert_eq!(lone, (FULL.then(String::new), next.clone()));
        assert_eq!(last, (FULL.then(|| "v".to_owned()), next));
    }

    #[test]
    fn values_are_attached_or_the_next_word() {
        for (words, expected) in [
            (&["-vtgfaH"][..], "Hafgtv"),
            (&["-v", "-v"], "v"),
            (&["-w0"], " w0"),
            (&["-w", "2000000"], " w2000000"),
            (&["-w1", "-w", "007"], " w7"),
            (&["-e1", "-e", "255", "-e0"], " e1 e255"),
            (&["-r1=2", "-r", "TERM:0"], " r1=2 r15=0"),
            (&["-E", "-v"], " E-v"),
            (&["-E", "--"], " E--"),
            (&["-E-"], " E-"),
            (&["-vEv"], "v Ev"),
            (&["-vfEhook", "-g"], "fgv Ehook"),
            (&["-U", "anna"], " Uanna"),
            (&["-Uanna:staff"], " Gstaff Uanna"),
            (&["-Uanna:staff", "-G0"], " G0 Uanna"),
            (&["-G", "0", "-Uanna:staff"], " Gstaff Uanna"),
            (&["-G", "0", "-Uanna"], " G0 Uanna"),
            (&["-U", "0:0"], " G0 U0"),
        ] {
            let words: Vec<&str> = words.iter().copied().chain(["pid"]).collect();
            assert_eq!(read(&words), (Some(expected.to_owned()), Some("pid".to_owned())), "{words:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_what_is_next() {
        for (words, wrong) in [
            (&["-v", "-z", "pid"][..], "-z"),
            (&["-vz", "pid"], "-vz"),
            (&["-v-", "pid"], "-v-"),
            (&["---", "pid"], "---"),
            (&["--verbose", "pid"], "--verbose"),
            (&["--hel", "pid"], "--hel"),
            (&["--helpp", "pid"], "--helpp"),
            (&["--versions", "pid"], "--versions"),
            (&["--HELP", "pid"], "--HELP"),
            (&["--xxxxxxxxversion", "pid"], "--xxxxxxxxversion"),
            (&["-w", "x", "pid"], "x"),
            (&["-wx", "pid"], "-wx"),
            (&["-w", "-1", "pid"], "-1"),
            (&["-w", "1s", "pid"], "1s"),
            (&["-w", "2000001", "pid"], "2000001"),
            (&["-w", "4294967296", "pid"], "4294967296"),
            (&["-e", "256", "pid"], "256"),
            (&["-e4294967297", "pid"], "-e4294967297"),
            (&["-e", "+1", "pid"], "+1"),
            (&["-r", "KILL=1", "pid"], "KILL=1"),
            (&["-r1", "pid"], "-r1"),
            (&["-U", "anna:", "pid"], "anna:"),
            (&["-U", "anna:b:c", "pid"], "anna:b:c"),
            (&["-G", "staff:b", "pid"], "staff:b"),
            (&["-v", "-w"], "-w"),
            (&["-vE"], "-vE"),
        ] {
            assert_eq!(read(words), (None, Some(wrong.to_owned())), "{words:?}");
        }
        for letter in ["-w", "-e", "-r", "-E", "-U", "-G"] {
            assert_eq!(read(&[letter]).0, None, "{letter} without a value");
            assert_eq!(read(&[letter, "", "pid"]).0, None, "{letter} with an empty value");
        }
    }

    /// An option, its value, and what it does to the options that are shown.
    #[derive(Clone, Debug)]
    struct Given {
        letter: char,
        value: Option<String>,
        is_attached: bool,
    }

    fn given() -> impl Strategy<Value = Given> {
        let flag = prop::sample::select(vec!['H', 'a', 'f', 'g', 't', 'v']).prop_map(|letter| (letter, None));
        let valued = prop_oneof![
            (Just('w'), (0..=SECONDS_MOST).prop_map(|seconds| seconds.to_string())),
            (Just('e'), any::<u8>().prop_map(|code| code.to_string())),
            (Just('r'), prop::sample::select(vec!["1=2", "HUP:INT", "SIGHUP=0", "64=TERM"]).prop_map(str::to_owned)),
            (Just('E'), "[^\0]{1,8}"),
            (Just('G'), "[a-z0-9]{1,5}"),
            (Just('U'), "[a-z0-9]{1,5}(:[a-z0-9]{1,5})?"),
        ]
        .prop_map(|(letter, value)| (letter, Some(value)));
        (prop_oneof![flag, valued], any::<bool>()).prop_map(|((letter, value), is_attached)| Given {
            letter,
            value,
            is_attached,
        })
    }

    /// The words that spell these options: a flag that is `is_attached` shares its word with what follows.
    fn spelled(options: &[Given]) -> Vec<String> {
        let mut words = Vec::new();
        let mut word = String::from("-");
        for option in options {
            word.push(option.letter);
            let mut separate = None;
            match &option.value {
                None if option.is_attached => continue,
                None => {}
                Some(value) if option.is_attached => word.push_str(value),
                Some(value) => separate = Some(value.clone()),
            }
            words.push(core::mem::replace(&mut word, String::from("-")));
            words.extend(separate);
        }
        if word.len() > 1 {
            words.push(word);
        }
        words
    }

    proptest! {
        #[test]
        fn options_mean_the_same_however_they_are_spelled(given in prop::collection::vec(given(), 0..8)) {
            let mut words = spelled(&given);
            words.push("pid".to_owned());
            let each: Vec<Given> = given.into_iter().map(|option| Given { is_attached: false, ..option }).collect();
            let mut other_words = spelled(&each);
            other_words.extend(["--".to_owned(), "pid".to_owned()]);
            let (read_once, read_again) = (read(&words), read(&other_words));
            prop_assert_eq!(&read_once, &read_again);
            prop_assert_eq!(read_once.1.as_deref(), Some("pid"));
            let shown = read_once.0.unwrap_or_default();
            // The last of each is there.
            for option in &each {
                let last = each.iter().rfind(|other| other.letter == option.letter).and_then(|last| last.value.clone());
                match (option.letter, last) {
                    (letter @ ('w' | 'E'), Some(value)) => {
                        let expected = format!(" {letter}{value}");
                        prop_assert!(shown.contains(&expected), "{} in {}", expected, shown);
                    }
                    ('U', Some(value)) => {
                        let user = value.split(':').next().unwrap_or_default();
                        let expected = format!(" U{user}");
                        prop_assert!(shown.contains(&expected), "{} in {}", expected, shown);
                    }
                    (_, Some(_)) => {}
                    (letter, None) => prop_assert!(shown.contains(letter)),
                }
            }
        }

        /// Without `h` and `V`, which would end the test in success.
        #[test]
        fn any_words_are_options_or_one_of_them_is_next(words in prop::collection::vec("-?[^\0hV]{0,6}|-[wreEUGv]{1,3}[^\0hV]{0,3}", 0..5)) {
            let (shown, next) = read(&words);
            match next {
                Some(next) => prop_assert!(words.contains(&next)),
                None => prop_assert!(shown.is_some(), "what is wrong is some word"),
            }
        }
    }
}

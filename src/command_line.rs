//! Command line and environment to [`Options`].

use crate::decimal;
use crate::failure::Reason;
use crate::signal::Rewrites;
use crate::sys::{Arguments, Text};

/// What `-h` prints.
pub const HELP: &str = "\
usage: pidproxy [options] [--] pid-file [command [argument...]]
-E PATH    run PATH when the daemon is gone
-G GROUP   run the command as this group
-H         after TERM, also send HUP
-U USER[:GROUP]  run the command as this user
-a         accept a daemon that is not trusted
-e CODE    exit with 0 instead of CODE
-f         remove an old pid file first
-g         signal the whole process group
-h, --help
-r FROM=TO send signal TO for FROM; 0: none
-t         allow -U and -G on a terminal
-v         say what happens
-V, --version
-w SECONDS wait for the pid file (10)
";

/// What `-V` prints.
pub const VERSION: &str = concat!("pidproxy ", env!("CARGO_PKG_VERSION"), "\n");

/// The longest wait: its milliseconds are still a 32-bit number.
const SECONDS_MOST: u32 = 4_000_000;

/// What the user asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// The options without a value, a bit for each letter.
    letters: u64,
    /// `-E`: the exit hook.
    pub hook: Option<Text<'static>>,
    /// `-U`; a colon ends the name.
    pub user: Option<Text<'static>>,
    /// `-G`, or the group behind the colon of `-U`.
    pub group: Option<Text<'static>>,
    /// `-w`, in seconds.
    pub wait_seconds: u32,
    /// `-r`.
    pub rewrites: Rewrites,
    /// `-e`: by exit status, whether it is reported as 0.
    pub reported_as_success: [bool; 256],
}

/// What to do, as the command line has it.
#[derive(Debug)]
pub enum Request {
    /// Run, with the options before the operands.
    Run,
    /// Print the text, and no more.
    Print(&'static str),
}

impl Options {
    /// The options of a command line without any.
    pub const DEFAULT: Self = Self {
        letters: 0,
        hook: None,
        user: None,
        group: None,
        wait_seconds: 10,
        rewrites: Rewrites::NONE,
        reported_as_success: [false; 256],
    };

    const fn bit(letter: u8) -> u64 {
        1 << (letter & 63)
    }

    /// Whether an option without a value was given.
    #[must_use]
    pub const fn has(&self, letter: u8) -> bool {
        self.letters & Self::bit(letter) != 0
    }

    /// Reads the options and leaves `arguments` on the first operand. `Err` has the word that is wrong.
    pub fn read(&mut self, arguments: &mut Arguments) -> Result<Request, (Text<'static>, Reason)> {
        while let Some(word) = arguments.peek() {
            let mut letters = word;
            if letters.take() != b'-' || letters.is_empty() {
                break;
            }
            arguments.next();
            if letters.take_prefix(Text::new(c"-")) {
                if letters.is_empty() {
                    break;
                }
                let request = if letters.take_prefix(Text::new(c"help")) {
                    Request::Print(HELP)
                } else if letters.take_prefix(Text::new(c"version")) {
                    Request::Print(VERSION)
                } else {
                    return Err((word, Reason::UNKNOWN_OPTION));
                };
                return if letters.is_empty() {
                    Ok(request)
                } else {
                    Err((word, Reason::UNKNOWN_OPTION))
                };
            }
            while !letters.is_empty() {
                let letter = letters.take();
                match letter {
                    b'H' | b'a' | b'f' | b'g' | b't' | b'v' => self.letters |= Self::bit(letter),
                    b'h' => return Ok(Request::Print(HELP)),
                    b'V' => return Ok(Request::Print(VERSION)),
                    b'E' | b'G' | b'U' | b'e' | b'r' | b'w' => {
                        let attached = Some(letters).filter(|letters| !letters.is_empty());
                        let value = attached.or_else(|| arguments.next()).ok_or((word, Reason::MISSING))?;
                        self.take_value(letter, value).map_err(|reason| (value, reason))?;
                        break;
                    }
                    _ => return Err((word, Reason::UNKNOWN_OPTION)),
                }
            }
        }
        Ok(Request::Run)
    }

    fn take_value(&mut self, letter: u8, value: Text<'static>) -> Result<(), Reason> {
        if value.is_empty() {
            return Err(Reason::MISSING);
        }
        match letter {
            b'E' => self.hook = Some(value),
            b'G' => return self.take_group(value),
            b'U' => {
                if value.peek() == b':' {
                    return Err(Reason::UNKNOWN_NAME);
                }
                self.user = Some(value);
                if let Some(group) = value.find(b':') {
                    return self.take_group(group);
                }
            }
            b'e' => {
                let code = decimal::parse_whole(value, 255).ok_or(Reason::BAD_NUMBER)?;
                if let Some(success) = self.reported_as_success.get_mut(code as usize) {
                    *success = true;
                }
            }
            b'r' => self.rewrites.add(value).ok_or(Reason::BAD_REWRITE)?,
            _ => self.wait_seconds = decimal::parse_whole(value, SECONDS_MOST).ok_or(Reason::BAD_NUMBER)?,
        }
        Ok(())
    }

    fn take_group(&mut self, group: Text<'static>) -> Result<(), Reason> {
        if group.is_empty() || group.find(b':').is_some() {
            return Err(Reason::UNKNOWN_NAME);
        }
        self.group = Some(group);
        Ok(())
    }
}

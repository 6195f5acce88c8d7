//! A pid file to a process that we may signal.
//!
//! The daemon may be hostile, and the pid file is its own: what it says is believed only as far as it can do no harm.

use linux_raw_sys::general::O_NOFOLLOW;

use crate::command_line::{FULL, Options};
use crate::failure::{NO_PID, STALE, UNTRUSTED};
use crate::pid_file::Contents;
use crate::sys::{self, Outcome, PidFd, ReadBuffer, SignalInfo, Stamp};

/// A process that signals go to: the launcher, the target, or the exit hook.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    /// Its pid, which is its own as long as it is our child and not reaped; 0 for no process.
    pub pid: i32,
    /// Where the kernel has such a thing.
    pub pidfd: PidFd,
    /// Whether it was our child when it was found.
    pub child: Outcome,
}

impl Process {
    /// Nobody.
    pub const NONE: Self = Self { pid: 0, pidfd: PidFd::ZERO, child: Outcome::OK };

    /// It was not our child when it was found, so that no SIGCHLD tells of its end.
    #[must_use]
    pub const fn is_foreign(&self) -> bool {
        self.child.is_failure()
    }

    /// Sends a signal, with its payload where it has one; with `group` to the whole process group that the process
    /// leads, or to itself where it leads none.
    ///
    /// It goes through the pidfd. Where that is not there or not allowed, it goes by number, which is as good for our own
    /// child.
    #[cfg_attr(target_arch = "x86_64", inline(never))]
    #[cfg_attr(not(any(target_arch = "powerpc64", target_arch = "x86_64")), inline)]
    pub fn signal(&self, signal: u32, payload: Option<&SignalInfo>, group: bool) -> Outcome {
        let (mut number, mut flags) = if group { (-self.pid, PidFd::PROCESS_GROUP) } else { (self.pid, 0) };
        loop {
            let mut outcome = self.pidfd.send_signal(signal, payload, flags);
            if outcome.is_failure() && outcome != Outcome::ESRCH && outcome != Outcome::EAGAIN {
                outcome = match payload {
                    Some(payload) if flags == 0 => sys::queue(number, signal, payload),
                    _ => sys::kill(number, signal),
                };
            }
            if flags == 0 || !outcome.is_failure() {
                return outcome;
            }
            number = self.pid;
            flags = 0;
        }
    }
}

/// A pid file as it was when it was last read.
#[derive(Debug)]
#[repr(C)]
struct State {
    contents: Contents,
    stamp: Stamp,
}

impl State {
    const NONE: Self = Self { contents: Contents::NONE, stamp: Stamp::NONE };

    /// Reads a pid file: a regular file, no symbolic link. It worked where there is a pid to believe.
    fn read(options: &Options, state: &mut Self) -> Outcome {
        // Else what was there before the launch is looked at once.
        if FULL {
            state.contents.is_plain = false;
        }
        let file = sys::open(options.file, O_NOFOLLOW);
        let stamped = file.stamp(&mut state.stamp);
        let mut outcome = file.outcome().and(stamped);
        if !outcome.is_failure() {
            outcome = NO_PID;
            let mut buffer = ReadBuffer::new();
            if state.stamp.is_regular() && state.contents.read(file.read_text(&mut buffer), state.stamp.size()) {
                outcome = Outcome::OK;
            }
        }
        file.close();
        outcome
    }

    /// The number in it, where it was read well.
    fn number(&self) -> i32 {
        self.contents.number()
    }
}

/// The search for the target through its pid file.
#[derive(Debug)]
#[repr(C)]
pub struct Search {
    /// What was found.
    pub found: Process,
    /// The last target that ended, if any did: it can not be the next, even while nobody reaps it.
    pub ended: i32,
    /// The file now,
    now: State,
    /// and before the launch: as such it is not believed.
    before: State,
}

impl Search {
    /// No search yet, and nothing but zeros in memory.
    pub const NONE: Self = Self { ended: 0, found: Process::NONE, now: State::NONE, before: State::NONE };

    /// Notes how the file is before the launch: where it does not change it is not believed.
    pub fn note_before(&mut self, options: &Options) {
        let _ = State::read(options, &mut self.before);
    }

    /// Removes what was left over: a file that holds nothing but a number, or nothing.
    pub fn remove_left_over(&self, options: &Options) {
        if self.before.contents.is_plain {
            let _ = sys::unlink(options.file);
        }
    }

    /// Looks into the file once. Where it fails, what is in `found` means nothing.
    #[cfg_attr(target_arch = "x86_64", inline(never))]
    pub fn look(&mut self, options: &Options) -> Outcome {
        let mut outcome = State::read(options, &mut self.now);
        if outcome.is_failure() {
            return outcome;
        }
        self.found.pid = self.now.number();
        // Asked before the pidfd is opened: a child stays what it is until we reap it, so what is opened then is the
        // child. What is foreign now may be adopted at any time later.
        self.found.child = sys::find_child(self.found.pid);
        if !options.has::<b'a'>() {
            // Two writes within a tick of the clock may have left the same stamp, but not the same pid.
            if self.before.stamp.is_same(&self.now.stamp) && self.before.number() == self.found.pid {
                return STALE;
            }
            if self.found.is_foreign() && !self.now.stamp.is_trusted() {
                return UNTRUSTED;
            }
        }
        if self.found.is_foreign() {
            outcome = sys::raise(self.found.pid, 0);
            if outcome.is_failure() {
                return outcome;
            }
        }
        if self.found.pid == self.ended || self.found.pid == sys::getpid() {
            return Outcome::ESRCH;
        }
        self.found.pidfd = PidFd::open(self.found.pid);
        // The number may have been given to another process since it was read, but not if it is still in the file.
        outcome = State::read(options, &mut self.now);
        if outcome.is_failure() || self.now.number() != self.found.pid {
            self.found.pidfd.close();
            return Outcome::ESRCH;
        }
        outcome
    }
}

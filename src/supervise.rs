//! The one loop: wait, turn what happened into events, carry out what follows from them.

use crate::command_line::{NO_DESCRIPTOR, Options};
use crate::failure::{self, NO_PID, Step};
use crate::launch::{Launch, fail};
use crate::signal::{Signal, SignalSet};
use crate::sys::{self, Arguments, Outcome, PidFd, Ready, Received, SignalFd, Timeout, WaitStatus, Words};
use crate::target::{Process, Search};

/// What a run is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Phase {
    /// The launcher is alive, the target unknown.
    Launching,
    /// The launcher is gone, or there is none, or the target ended; the next target is unknown.
    Seeking,
    /// The target is known.
    Watching,
    /// The target is gone, the exit hook runs.
    Hook,
}

/// What is known of the end of a foreign process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It has not come.
    None,
    /// It has, and the status is still to be had: from the kernel once its parent has reaped it, or by reaping it
    /// ourselves once its parent has ended too.
    Unreaped,
    /// It has, and there is nothing more to wait for.
    Final,
}

/// Times are milliseconds.
const SECOND: u32 = 1000;
/// The longest delay between two looks into the pid file; the first is a millisecond, each later one twice the one
/// before.
const LOOK_DELAY_MOST: u32 = 128;
/// How often a foreign process is looked after where there are no pidfds.
const FOREIGN_DELAY: u32 = SECOND - 1;
/// How long a signal waits that the target's queue has no room for, and the news of an orphan's end for that of others: in a
/// burst each costs one call then, and not three.
const HOLD_DELAY: u32 = 64;
/// How long a target that ended well, and was not told to, is given to leave a daemon behind: cron's launcher, whose pid
/// is in the file first, or sshd, which goes into the background again on HUP.
const SUCCESSOR_WAIT: u32 = SECOND;

/// One run: a launcher or none, its target, its exit hook. The fields stand in the order in which the code is shortest.
#[repr(C)]
pub struct Run {
    /// Where signals go.
    process: Process,
    phase: Phase,
    /// The target was told to end.
    is_stopping: bool,
    /// A child ended, or may have ended unnoticed.
    children_changed: bool,
    /// What is known of the end of the foreign process that is watched.
    end: End,
    /// A daemon may appear although we have no child.
    pub expects_foreign: bool,
    /// The launcher's pid; 0 where there is none.
    launcher: i32,
    /// How long the current delay of the search is, how long the search took so far, and how long it may take.
    delay: u32,
    waited: u32,
    limit: u32,
    /// The signals that we get.
    signals: SignalFd,
    /// What was sent to the launcher and may have been meant for the target.
    owed: SignalSet,
    /// What is left of the current delay.
    timeout: Timeout,
    /// The operands of the command line: in their place the hook's arguments are put.
    pub operands: Arguments,
    /// What is started.
    pub launch: Launch,
    /// What the user asked for.
    pub options: Options,
    /// The search for the target.
    pub search: Search,
    /// Options from the environment.
    pub words: Words,
}

impl Run {
    /// A run that has not begun, and nothing but zeros in memory.
    pub const NONE: Self = Self {
        phase: Phase::Launching,
        expects_foreign: false,
        children_changed: false,
        end: End::None,
        is_stopping: false,
        signals: SignalFd::ZERO,
        process: Process::NONE,
        launcher: 0,
        limit: 0,
        waited: 0,
        delay: 0,
        timeout: Timeout::ZERO,
        owed: SignalSet::NONE,
        operands: Arguments::NONE,
        launch: Launch::NONE,
        words: Words::NONE,
        search: Search::NONE,
        options: Options::NONE,
    };

    /// Starts the command if there is one, and goes on to the end.
    pub fn run(&mut self) -> ! {
        let mut outcome = self.prepare();
        if !outcome.is_failure() && self.launch.arguments.peek().is_some() {
            self.phase = Phase::Launching;
            outcome = self.start();
            self.launcher = self.process.pid;
            self.note(Step::Launched, self.launcher);
        }
        if outcome.is_failure() {
            fail(Step::Start, self.launch.arguments.peek(), outcome);
        }
        if self.launch.is_init {
            sys::change_to_root();
            self.attend(Phase::Watching);
        }
        loop {
            if self.has_process_ended() {
                self.leave();
            }
            if self.phase <= Phase::Seeking {
                self.look();
            }
            if !self.children_changed {
                self.wait();
            }
        }
    }

    /// Starts what is to be launched, which takes all descriptors that we were given with it; ours are opened anew. What is
    /// not read yet stays pending.
    fn start(&mut self) -> Outcome {
        let outcome = self.launch.start(&mut self.process);
        sys::close_all_but(self.options.number::<b'd'>());
        self.signals.forget();
        let _ = self.signals.set_mask(SignalSet::STOPPING.with(Signal::CHLD));
        // A child that nobody has reaped keeps its pid.
        self.process.pidfd = PidFd::open(self.process.pid);
        outcome
    }

    /// Notes how things stand before the launch.
    fn prepare(&mut self) -> Outcome {
        self.expects_foreign = sys::become_subreaper().is_failure() || self.options.has::<b'a'>();
        if self.launch.arguments.peek().is_none() {
            self.expects_foreign = true;
        } else if !self.launch.is_init {
            self.search.note_before();
            // As PID 1 we have outlived whoever a left-over file names.
            if self.options.has::<b'f'>() || self.launch.pid == 1 {
                self.search.remove_left_over();
            }
        }
        self.signals.forget();
        // Nobody, until there is somebody: of this number nobody can be.
        self.process = Process { pid: i32::MIN, ..Process::NONE };
        self.process.pidfd = PidFd::NONE;
        self.seek(self.options.number::<b'w'>() * SECOND)
    }

    /// Leaves the process that ended.
    fn leave(&mut self) {
        let code = self.launch.status.code();
        self.note(Step::Ended, code);
        let mut limit = self.limit;
        if self.phase != Phase::Hook {
            self.launch.exit_code = self.options.report(code);
        }
        if self.phase == Phase::Watching {
            self.search.ended = self.process.pid;
            if self.launch.is_init {
                return self.end(Outcome::OK);
            }
            limit = if code | i32::from(self.is_stopping) == 0 { SUCCESSOR_WAIT } else { 0 };
        } else if self.phase == Phase::Hook || code != 0 {
            sys::exit(self.launch.exit_code);
        }
        let _ = self.seek(limit);
    }

    /// Reaps, and tells whether the process that signals go to ended, and how.
    fn has_process_ended(&mut self) -> bool {
        let pid = self.process.pid;
        // Before the target is known nothing but the launcher is reaped: a daemon that died early keeps its pid, and
        // its status is still to be had.
        let which = if self.phase == Phase::Launching { pid } else { -1 };
        let children_changed = core::mem::take(&mut self.children_changed);
        if self.phase == Phase::Seeking {
            return false;
        }
        if children_changed {
            loop {
                let ended = sys::wait(which, &mut self.launch.status).number();
                if ended == pid {
                    return true;
                }
                if ended <= 0 {
                    break;
                }
            }
        }
        if self.end == End::None {
            return false;
        }
        let status = self.process.pidfd.exit_status();
        self.launch.status = status.unwrap_or(WaitStatus(0));
        status.is_some() || self.end == End::Final
    }

    /// Waits for the target alone: signals stay pending until there is somebody to have them.
    fn seek(&mut self, limit: u32) -> Outcome {
        self.phase = Phase::Seeking;
        self.limit = limit;
        self.waited = 0;
        self.delay = 1;
        self.timeout.set(1);
        self.signals.set_mask(SignalSet::NONE.with(Signal::CHLD))
    }

    /// Looks for the target once, and ends the search where there is no hope or no time left.
    fn look(&mut self) {
        let outcome = self.search.look(&self.options);
        let is_launching = self.phase == Phase::Launching;
        // Without a launcher to fall back on there is always a second look: for a number that ends with the file.
        let is_over = self.waited + u32::from(is_launching) > self.limit;
        if !outcome.is_failure() {
            self.process.pidfd.close();
            self.process = self.search.found;
            return self.attend(Phase::Watching);
        }
        if is_launching {
            if is_over {
                self.attend(Phase::Watching);
            }
            return;
        }
        // A file that is there, but has no pid, may be about to name a foreign successor: haproxy empties it, asks the old
        // process to end, and then writes the new one's.
        let is_awaited = if self.has_ended() { outcome == NO_PID } else { self.expects_foreign };
        let is_hopeless = !is_awaited && sys::find_any_child() == Outcome::ECHILD;
        if is_over || is_hopeless {
            self.end(outcome);
        }
    }

    /// Ends without a target, or after the last one with the exit hook, if there is one.
    fn end(&mut self, outcome: Outcome) {
        if !self.has_ended() {
            fail(Step::Follow, self.search.file, outcome);
        }
        if let Some(hook) = self.options.get::<b'E'>() {
            self.launch.pid_file = self.search.file;
            self.launch.arguments = self.operands;
            self.operands.replace_all(hook);
            let outcome = self.start();
            if !outcome.is_failure() {
                // The clock that ran for the target does not run for the hook.
                sys::alarm(0);
                self.is_stopping = false;
                return self.attend(Phase::Hook);
            }
            failure::report(Step::Start, Some(hook), outcome);
        }
        sys::exit(self.launch.exit_code);
    }

    /// Whether there was a target.
    fn has_ended(&self) -> bool {
        self.search.ended != 0
    }

    /// Turns to the process, and gives it the signals that wait for it.
    fn attend(&mut self, phase: Phase) {
        self.note(Step::Following, self.process.pid);
        self.phase = phase;
        self.children_changed = true;
        self.end = End::None;
        let owed = core::mem::replace(&mut self.owed, SignalSet::NONE);
        if self.process.pid != self.launcher {
            for signal in owed {
                let _ = self.deliver(&mut Received::of(signal));
            }
        }
        let _ = self.signals.set_mask(SignalSet::RECEIVED);
    }

    /// Waits for what changes something, and forwards a signal if that is what came.
    fn wait(&mut self) {
        // A child that could not execute its command may not have ended yet.
        if self.phase == Phase::Watching
            && self.options.number::<b'd'>() != NO_DESCRIPTOR
            && (!self.launch.is_init || sys::has_executed(self.process.pid))
        {
            self.options.tell_ready();
        }
        let is_searching = self.phase <= Phase::Seeking;
        let is_foreign = !is_searching && self.process.is_foreign();
        if is_searching || is_foreign {
            let pidfd = if is_foreign { self.process.pidfd } else { PidFd::NONE };
            let is_alive = self.end == End::None;
            let timeout = if pidfd.is_open() && is_alive { None } else { Some(&mut self.timeout) };
            match sys::poll(self.signals, pidfd, is_alive, timeout) {
                // Signals that come without an end do not prolong a wait.
                Ready::Signals if !self.timeout.is_over() => {}
                Ready::Process => {
                    self.end = if is_alive { End::Unreaped } else { End::Final };
                    self.timeout.set(FOREIGN_DELAY);
                    self.children_changed = true;
                    return;
                }
                Ready::Signals | Ready::Timeout => {
                    self.waited += self.delay;
                    self.delay = LOOK_DELAY_MOST.min(self.delay * 2);
                    if is_foreign {
                        self.delay = FOREIGN_DELAY;
                        if !is_alive || sys::find_process(self.process.pid) == Outcome::ESRCH {
                            self.end = End::Final;
                        }
                    }
                    self.timeout.set(self.delay);
                    return;
                }
            }
        }
        // With nothing but signals to wait for, reading them is waiting enough.
        self.receive();
    }

    /// Reads a signal and forwards it. Where the target's queue has no room for it (EAGAIN) it is held, and what could
    /// find none either stays pending; what may empty the queue, like SIGCONT, goes on meanwhile. The end of an orphan is
    /// held too, once. The end of the process itself ends every wait.
    fn receive(&mut self) {
        let mut received = Received::NONE;
        if self.signals.read(&mut received).is_failure() {
            return;
        }
        while self.dispatch(&mut received) == Outcome::EAGAIN {
            let mask = self.signals.mask();
            let _ = self.signals.set_mask(mask.overtaking(received.signal()));
            // A search goes on in time: there it is held until the next look.
            let mut process = PidFd::NONE;
            if self.phase > Phase::Seeking {
                process = self.process.pidfd;
                self.timeout.set(HOLD_DELAY);
            }
            if sys::poll(self.signals, process, true, Some(&mut self.timeout)) == Ready::Signals {
                self.receive();
            }
            let _ = self.signals.set_mask(mask);
        }
    }

    /// Takes a signal that was received: a child's end is ours, the rest is the process's. EAGAIN asks for it to be held.
    fn dispatch(&mut self, received: &mut Received) -> Outcome {
        let signal = received.signal();
        if signal == Signal::CHLD {
            // What it tells of is one child of perhaps many.
            let is_orphan = received.sender() != self.process.pid;
            let is_new = !core::mem::replace(&mut self.children_changed, true);
            return if is_orphan && is_new { Outcome::EAGAIN } else { Outcome::OK };
        }
        let is_noise = received.is_from_kernel() && SignalSet::TERMINAL_NOISE.contains(signal);
        // What we raise ourselves is SIGPIPE, by writing to a standard error that nobody reads.
        if is_noise || received.sender() == self.launch.pid {
            return Outcome::OK;
        }
        if received.is_from_kernel() && signal == Signal::ALRM && self.options.number::<b'k'>() != 0 {
            // The clock that `deliver` starts. It may have gone off when the target had just ended.
            if !self.is_stopping {
                return Outcome::OK;
            }
            received.set_signal(Signal::KILL);
        }
        if self.phase == Phase::Launching {
            self.owed = self.owed.with(signal);
        }
        let outcome = self.deliver(received);
        if self.is_stopping && self.process.pid == i32::MIN {
            sys::exit(0);
        }
        outcome
    }

    /// Sends to the process what is to be sent for a signal.
    fn deliver(&mut self, received: &mut Received) -> Outcome {
        let signal = received.signal();
        let Some(sent) = self.options.rewrites.apply(signal) else { return Outcome::OK };
        self.note(Step::Signal, sent.number().cast_signed());
        if SignalSet::STOPPING.contains(sent) && !self.is_stopping {
            self.is_stopping = true;
            if self.options.number::<b'k'>() != 0 {
                sys::alarm(self.options.number::<b'k'>());
            }
        }
        let group = self.options.has::<b'g'>();
        let outcome = self.process.signal(sent.number(), received.payload(sent), group);
        // It may have to be sent again.
        received.set_signal(signal);
        if sent == Signal::TERM && self.options.has::<b'H'>() {
            let _ = self.process.signal(Signal::HUP.number(), None, group);
        }
        if outcome == Outcome::EPERM {
            failure::report(Step::Signal, self.search.file, outcome);
        }
        outcome
    }

    fn note(&self, step: Step, number: i32) {
        if self.options.has::<b'v'>() {
            failure::note(step, number);
        }
    }
}

//! The one loop: wait, turn what happened into events, carry out what follows from them.

use crate::command_line::FULL;
use crate::failure::{self, MISSING, NO_PID};
use crate::launch::{CHILD_EXIT_CODE, CHILD_KILL_SIGNAL, EXIT_CODE, Launch, PID, fail};
use crate::signal::{Signal, SignalSet};
use crate::sys::{self, Action, Children, Outcome, PidFd, Ready, Received, SignalFd, Text, Timeout, WaitStatus, Words};
use crate::target::{Process, Search};

/// What a run is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Phase {
    /// The target ended, and is launched again some time later.
    Pausing,
    /// The target is gone, and what is left of our descendants is told to end.
    Ending,
    /// The launcher is alive, the target unknown.
    Launching,
    /// The launcher is gone, or there is none, or the target ended; the next target is unknown.
    Seeking,
    /// The target is known.
    Watching,
    /// The target is gone, the exit hook runs.
    Hook,
}

/// Times are milliseconds.
const SECOND: i32 = 1000;
/// The longest delay between two looks into the pid file; the first is a millisecond, each later one twice the one
/// before.
const LOOK_DELAY_MOST: i32 = 128;
/// How often a foreign process is looked after where there are no pidfds.
const FOREIGN_DELAY: i32 = SECOND - 1;
/// How long a signal waits that the target's queue has no room for, and the news of an orphan's end for that of others: in a
/// burst each costs one call then, and not three.
const HOLD_DELAY: i32 = 64;
/// How long a target that ended well, and was not told to, is given to leave a daemon behind: cron's launcher, whose pid
/// is in the file first, or sshd, which goes into the background again on HUP. In seconds, as what options give.
const SUCCESSOR_WAIT: u32 = 1;

/// How long what gets KILL is waited for, beyond its own time: it may be another user's.
const KILL_WAIT: i32 = 10 * SECOND;

/// All of a foreign process's end has come.
const END: u8 = 2;

/// The pid of nobody: no process and no group can have this number.
const NOBODY: i32 = i32::MIN;

/// One run: a launcher or none, its target, its exit hook. The fields stand in the order in which the code is shortest.
#[repr(C)]
pub struct Run {
    /// Where signals go.
    process: Process,
    /// A daemon may appear although we have no child.
    pub expects_foreign: bool,
    phase: Phase,
    /// Whoever waits for it was told that there is a target.
    is_ready: bool,
    /// The target was told to end.
    is_stopping: bool,
    /// A child ended, or may have ended unnoticed.
    children_changed: bool,
    /// How much of the end of the foreign process that is watched has come: nothing (0); the end, while the status is still to
    /// be had, from the kernel once its parent has reaped it, or by reaping it ourselves once its parent has ended too (1); all
    /// that there is to wait for (`END`).
    ended: u8,
    /// How long the current delay of the search is, and how long the search may go on; over when it is negative.
    delay: i32,
    left: i32,
    /// How many children were told to end, less those that were reaped since: they are the first in the kernel's list. As
    /// process 1, more than there can be, once everybody was.
    told: i32,
    /// The signals that we get.
    signals: SignalFd,
    /// What was sent to the launcher and may have been meant for the target: bit n for the signal n.
    owed: u32,
    /// What is left of the current delay.
    timeout: Timeout,
    /// What is started.
    pub launch: Launch,
    /// The search for the target.
    pub search: Search,
    /// The default action of a signal.
    pub default_action: Action,
    /// Options from the environment.
    pub words: Words,
}

impl Run {
    /// A run that has not begun, and nothing but zeros in memory.
    pub const NONE: Self = Self {
        phase: Phase::Pausing,
        expects_foreign: false,
        children_changed: false,
        ended: 0,
        is_stopping: false,
        is_ready: false,
        signals: SignalFd::ZERO,
        process: Process::NONE,
        left: 0,
        delay: 0,
        told: 0,
        timeout: Timeout::ZERO,
        owed: 0,
        launch: Launch::NONE,
        default_action: Action::DEFAULT,
        words: Words::NONE,
        search: Search::NONE,
    };

    /// From the first launch to the end.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the file is smaller with it, see SIZE.md")]
    pub fn run(&mut self) -> ! {
        self.signals.forget();
        if !FULL {
            self.launch();
        }
        loop {
            if FULL {
                self.pass_between_targets();
            }
            if let Some(status) = self.process_status() {
                self.leave(status);
            }
            if (!FULL || self.phase > Phase::Ending) && self.phase <= Phase::Seeking {
                self.look();
            }
            if !self.children_changed {
                self.wait();
            }
        }
    }

    /// Launches for the first time or again, or ends what is left of our descendants.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the file is smaller with it, see SIZE.md")]
    fn pass_between_targets(&mut self) {
        if self.phase == Phase::Pausing && self.left <= 0 {
            self.launch();
        }
        // Before anybody is reaped: who is told is counted.
        if self.phase == Phase::Ending {
            self.end_descendants();
        }
    }

    /// Starts the command if there is one, and notes how things stand before.
    fn launch(&mut self) {
        if FULL {
            self.process = Process { pid: NOBODY, ..Process::NONE };
            self.search.ended = 0;
        }
        self.process.pidfd = PidFd::NONE;
        self.expects_foreign = sys::become_subreaper().is_failure() || self.launch.options.has::<b'a'>();
        let mut outcome = self.seek(self.launch.options.number::<b'w'>(), Phase::Launching);
        if outcome.is_failure() {
            if FULL {
                // Nobody could end a pause.
                self.is_stopping = true;
            }
            return self.conclude(outcome);
        }
        if self.launch.options.arguments.peek().is_none() {
            // There is nothing to launch again.
            if self.launch.options.has::<b'R'>() {
                fail(Some(sys::RESTART), MISSING);
            }
            self.expects_foreign = true;
            self.phase = Phase::Seeking;
        } else {
            if !self.launch.options.is_init() {
                self.search.note_before(&self.launch.options);
                // As PID 1 we have outlived whoever a left-over file names, but for what a failed launch left.
                if self.launch.numbers[PID] == 1 || self.launch.options.has::<b'f'>() {
                    self.search.remove_left_over(&self.launch.options);
                }
            }
            outcome = self.start();
            if outcome.is_failure() {
                return self.conclude(outcome);
            }
            self.launch.launcher = self.process.pid;
            Self::note(Text::new(c"launched"), self.launch.launcher, self);
        }
        if self.launch.options.is_init() {
            // Where the command is launched again, its relative paths have to mean the same.
            if !self.launch.options.has::<b'R'>() {
                sys::change_to_root();
            }
            self.attend(Phase::Watching);
        }
    }

    /// Starts what is to be launched, which takes all descriptors that we were given with it; ours are opened anew. What is
    /// not read yet stays pending; what was sent to an earlier launcher is done with.
    fn start(&mut self) -> Outcome {
        if FULL {
            self.owed = 0;
        }
        let outcome = self.launch.start(&mut self.process);
        // Where that does not work there is still our own from before.
        if FULL && !outcome.is_failure() && !sys::close_all_but(self.launch.options.number::<b'd'>()).is_failure() {
            self.signals.forget();
        }
        let _ = SignalFd::set_mask(SignalSet::STOPPING.with(Signal::CHLD), &mut self.signals);
        // A child that nobody has reaped keeps its pid.
        self.process.pidfd = PidFd::open(self.process.pid);
        outcome
    }

    /// Leaves the process that ended.
    fn leave(&mut self, status: WaitStatus) {
        let mut code = status.exit_code();
        let signal = status.signal();
        self.launch.numbers[CHILD_EXIT_CODE] = code;
        self.launch.numbers[CHILD_KILL_SIGNAL] = -1;
        if signal != 0 {
            // As the shells have it.
            code = 128 + signal;
            self.launch.numbers[CHILD_EXIT_CODE] = -1;
            self.launch.numbers[CHILD_KILL_SIGNAL] = signal;
        }
        Self::note(sys::ENDED, code, self);
        if self.phase == Phase::Hook {
            sys::exit(self.launch.numbers[EXIT_CODE]);
        }
        self.launch.numbers[EXIT_CODE] = self.launch.options.report(code);
        let mut limit = self.launch.options.number::<b'w'>();
        if self.phase == Phase::Watching {
            self.launch.had_target = true;
            self.search.ended = self.process.pid;
            if self.launch.options.is_init() {
                return self.conclude(Outcome::OK);
            }
            limit = if code | i32::from(self.is_stopping) == 0 { SUCCESSOR_WAIT } else { 0 };
        } else if code != 0 {
            return self.conclude(Outcome::OK);
        }
        let _ = self.seek(limit, Phase::Seeking);
    }

    /// Reaps. How the process ended that signals go to, if it did.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the file is smaller with it, see SIZE.md")]
    fn process_status(&mut self) -> Option<WaitStatus> {
        let pid = self.process.pid;
        // Before the target is known nothing but the launcher is reaped: a daemon that died early keeps its pid, and
        // its status is still to be had.
        let which = if self.phase == Phase::Launching { pid } else { -1 };
        let children_changed = core::mem::take(&mut self.children_changed);
        if self.phase == Phase::Seeking {
            return None;
        }
        if children_changed {
            while let Some((ended, status)) = sys::wait(which) {
                if ended == pid {
                    return Some(status);
                }
                if FULL {
                    self.told -= 1;
                }
            }
        }
        if self.ended == 0 {
            return None;
        }
        let mut status = WaitStatus(0);
        let is_known = self.process.pidfd.exit_status(&mut status);
        (is_known || self.ended == END).then_some(status)
    }

    /// Waits so many seconds, for the target or the next launch alone: signals stay pending until there is somebody to
    /// have them, but for those that end a pause.
    fn seek(&mut self, limit: u32, phase: Phase) -> Outcome {
        self.phase = phase;
        // Never no time at all: signals are to be seen before a next launch.
        self.left = limit.cast_signed() * SECOND + 1;
        self.delay = 1;
        self.timeout.set(1);
        let mask = if FULL && phase == Phase::Pausing { SignalSet::STOPPING } else { SignalSet::NONE };
        SignalFd::set_mask(mask.with(Signal::CHLD), &mut self.signals)
    }

    /// Looks for the target once, and ends the search where there is no hope or no time left.
    #[inline]
    fn look(&mut self) {
        let mut outcome = self.search.look(&self.launch.options);
        if !outcome.is_failure() {
            self.process.pidfd.close();
            self.process = self.search.found;
            return self.attend(Phase::Watching);
        }
        if self.phase == Phase::Launching {
            // One is what no time at all begins with.
            if self.left <= 1 {
                self.attend(Phase::Watching);
            }
            return;
        }
        // A file that is there, but has no pid, may be about to name a foreign successor: haproxy empties it, asks the old
        // process to end, and then writes the new one's.
        let is_awaited = if self.has_ended() { outcome == NO_PID } else { self.expects_foreign };
        let is_hopeless = !is_awaited && sys::find_any_child() == Outcome::ECHILD;
        // Without a launcher to fall back on there is always a second look: for a number that ends with the file.
        if self.left < 0 || is_hopeless {
            if self.has_ended() {
                outcome = Outcome::OK;
            }
            self.conclude(outcome);
        }
    }

    /// Goes on when there is no target any more, or when it failed to get one: to the end of its descendants, to the next launch,
    /// to the exit hook, or to the end.
    fn conclude(&mut self, outcome: Outcome) {
        if outcome.is_failure() {
            let subject = if self.phase == Phase::Launching {
                self.launch.options.arguments.peek()
            } else {
                self.launch.options.file
            };
            failure::report(subject, outcome);
            self.launch.numbers[EXIT_CODE] = failure::PROXY_FAILED;
        }
        if FULL && self.goes_on() {
            return;
        }
        if self.launch.had_target
            && let Some(hook) = self.launch.options.get::<b'E'>()
        {
            self.launch.is_hook = true;
            self.launch.options.arguments.replace(hook);
            let outcome = self.start();
            if !outcome.is_failure() {
                if FULL {
                    // The clock that ran for the target does not run for the hook.
                    sys::alarm(0);
                    self.is_stopping = false;
                }
                return self.attend(Phase::Hook);
            }
            // Asked for again: to keep it would take a register.
            failure::report(self.launch.options.get::<b'E'>(), outcome);
        }
        sys::exit(self.launch.numbers[EXIT_CODE]);
    }

    /// Turns to the end of our descendants, or to the next launch. False where there is neither: nothing but the hook is
    /// launched then.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the file is smaller with it, see SIZE.md")]
    fn goes_on(&mut self) -> bool {
        self.process.pid = NOBODY;
        self.ended = 0;
        // What ended early is not reaped yet.
        self.children_changed = true;
        if self.launch.options.has::<b'K'>() && self.phase != Phase::Ending {
            self.told = 0;
            let _ = self.seek(self.launch.options.number::<b'k'>(), Phase::Ending);
            return true;
        }
        if self.launch.options.has::<b'R'>() && !self.is_stopping {
            self.process.pidfd.close();
            let _ = self.seek(self.launch.options.number::<b'R'>(), Phase::Pausing);
            return true;
        }
        self.launch.notify(Text::new(c"STOPPING="), 1);
        false
    }

    /// Tells those of our descendants to end who were not told yet: our children, and once these are gone theirs, which are
    /// ours then. When the time is over it is KILL that they get, again and again. Concludes where nobody is left, where there
    /// is no list of them, or where they do not end all the same.
    fn end_descendants(&mut self) {
        let mut signal = Signal::TERM;
        if self.left < 0 {
            signal = Signal::KILL;
            self.told = 0;
        }
        let mut outcome = sys::find_any_child();
        if self.launch.numbers[PID] == 1 {
            if self.told <= 0 {
                self.told = i32::MAX;
                let _ = sys::kill(-1, signal.number());
            }
        } else {
            let children = Children::list();
            if children.outcome().is_failure() {
                outcome = children.outcome();
                Self::note(Children::PATH, outcome.number(), self);
            }
            let mut place = 0;
            loop {
                let child = children.take();
                if child == 0 {
                    break;
                }
                if place >= self.told {
                    // Nobody else can have its number before we reap it.
                    let _ = sys::kill(child, signal.number());
                }
                place += 1;
            }
            self.told = place;
            children.close();
        }
        if outcome.is_failure() || self.left < -KILL_WAIT {
            self.conclude(Outcome::OK);
        }
    }

    /// Whether there was a target of this launch.
    fn has_ended(&self) -> bool {
        self.search.ended != 0
    }

    /// Turns to the process, and gives it the signals that wait for it.
    fn attend(&mut self, phase: Phase) {
        self.phase = phase;
        // In a pause there is nobody.
        if !FULL || self.process.pid != NOBODY {
            Self::note(sys::FOLLOWING, self.process.pid, self);
        }
        self.children_changed = true;
        self.ended = 0;
        let mut owed = core::mem::take(&mut self.owed);
        if self.process.pid != self.launch.launcher {
            // Blocked as they are, they come as if they were sent again.
            while owed != 0 {
                let _ = sys::raise(self.launch.numbers[PID], owed.trailing_zeros());
                owed &= owed - 1;
            }
        }
        let _ = SignalFd::set_mask(SignalSet::RECEIVED, &mut self.signals);
    }

    /// Tells whoever waits for it that there is a target, once.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the file is smaller with it, see SIZE.md")]
    fn tell_ready(&mut self) {
        // A child that could not execute its command may not have ended yet.
        if self.phase == Phase::Watching
            && !self.is_ready
            && (!self.launch.options.is_init() || sys::has_executed(self.process.pid))
        {
            self.is_ready = true;
            if self.launch.options.has::<b'd'>() {
                self.launch.options.tell_ready();
            }
            self.launch.notify(Text::new(c"READY=1\nMAINPID="), self.launch.numbers[PID]);
        }
    }

    /// Waits for what changes something, and forwards a signal if that is what came.
    #[inline]
    fn wait(&mut self) {
        if FULL {
            self.tell_ready();
        }
        let is_searching = self.phase <= Phase::Seeking;
        let is_foreign = !is_searching && self.process.is_foreign();
        if is_searching || is_foreign {
            let pidfd = if is_foreign { self.process.pidfd } else { PidFd::NONE };
            let is_alive = self.ended == 0;
            let timeout = if pidfd.is_open() && is_alive { None } else { Some(&mut self.timeout) };
            let ready = sys::poll(self.signals, pidfd, timeout, is_alive);
            // Signals that come without an end do not prolong a wait.
            if ready != Ready::Signals || self.timeout.is_over() {
                self.left -= self.delay;
                self.delay = LOOK_DELAY_MOST.min(self.delay * 2);
                if is_foreign {
                    self.delay = FOREIGN_DELAY;
                    if ready == Ready::Process {
                        self.children_changed = true;
                        self.ended = 1;
                    }
                    if !is_alive || sys::raise(self.process.pid, 0) == Outcome::ESRCH {
                        self.ended = END;
                    }
                    // By now it may have been adopted: then SIGCHLD tells of its end.
                    self.process.child = sys::find_child(self.process.pid);
                }
                self.timeout.set(self.delay);
                return;
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
        let received = sys::in_register(&mut received);
        if self.signals.read(received).is_failure() {
            return;
        }
        while self.dispatch(received) == Outcome::EAGAIN {
            let (mask, phase) = (self.signals.mask(), self.phase);
            let _ = SignalFd::set_mask(mask.overtaking(received.signal()), &mut self.signals);
            // A search goes on in time: there it is held until the next look.
            let mut process = PidFd::NONE;
            if self.phase > Phase::Seeking {
                process = self.process.pidfd;
                self.timeout.set(HOLD_DELAY);
            }
            if sys::poll(self.signals, process, Some(&mut self.timeout), true) == Ready::Signals {
                self.receive();
            }
            // What may have begun meanwhile has a mask of its own.
            if self.phase == phase {
                let _ = SignalFd::set_mask(mask, &mut self.signals);
            }
        }
    }

    /// Takes a signal that was received: a child's end is ours, the rest is the process's. EAGAIN asks for it to be held.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the file is smaller with it, see SIZE.md")]
    fn dispatch(&mut self, received: &mut Received) -> Outcome {
        let signal = received.signal();
        if signal == Signal::CHLD {
            // What it tells of is one child of perhaps many.
            let is_orphan = received.sender() != self.process.pid;
            let is_new = !core::mem::replace(&mut self.children_changed, true);
            return if FULL && is_orphan && is_new { Outcome::EAGAIN } else { Outcome::OK };
        }
        if received.is_from_kernel() {
            if SignalSet::TERMINAL_NOISE.contains(signal) {
                return Outcome::OK;
            }
            if signal == Signal::ALRM && self.launch.options.has::<b'k'>() {
                // The clock that `deliver` starts. It may have gone off when the target had just ended.
                if !self.is_stopping {
                    return Outcome::OK;
                }
                received.set_signal(Signal::KILL);
            }
        } else if received.is_from_user() && received.sender() == self.launch.numbers[PID] {
            // What comes back to us is SIGPIPE, by writing to a standard error that nobody reads, and what we send to a group
            // that is our own too.
            return Outcome::OK;
        }
        if self.phase == Phase::Launching {
            self.owed |= 1 << signal.number();
        }
        let outcome = self.deliver(received);
        if FULL && self.is_stopping && self.process.pid == NOBODY {
            self.conclude(Outcome::OK);
        }
        outcome
    }

    /// Sends to the process what is to be sent for a signal.
    fn deliver(&mut self, received: &mut Received) -> Outcome {
        let signal = received.signal();
        let Some(mut sent) = self.launch.options.rewrites.apply(signal) else { return Outcome::OK };
        Self::note(Text::new(c"signal"), sent.number().cast_signed(), self);
        // In a pause only these arrive, whatever else they are to the target.
        if SignalSet::STOPPING.contains(sent) || FULL && self.phase == Phase::Pausing {
            let is_first = !core::mem::replace(&mut self.is_stopping, true);
            if is_first && self.launch.options.has::<b'k'>() {
                sys::alarm(self.launch.options.number::<b'k'>());
            }
        }
        let group = self.launch.options.has::<b'g'>();
        let mut outcome;
        loop {
            outcome = self.process.signal(sent.number(), received.payload(sent), group);
            if sent != Signal::TERM || !self.launch.options.has::<b'H'>() {
                break;
            }
            sent = Signal::HUP;
        }
        // It may have to be sent again.
        received.set_signal(signal);
        if outcome == Outcome::EPERM {
            failure::report(Some(Text::new(c"signal")), outcome);
        }
        outcome
    }

    /// Says what happened, where that is wanted.
    #[cfg_attr(
        target_arch = "powerpc64",
        inline(always),
        expect(clippy::inline_always, reason = "the file is smaller with it, see SIZE.md")
    )]
    fn note(subject: Text<'_>, number: i32, run: &Self) {
        if run.launch.options.has::<b'v'>() {
            failure::note(subject, number);
        }
    }
}

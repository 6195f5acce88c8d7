//! The one loop: wait, turn what happened into events, carry out what follows from them.

use core::ffi::CStr;

use crate::command_line::Options;
use crate::failure::{self, PROXY_FAILED};
use crate::launch::{Ended, Launch};
use crate::signal::{Signal, SignalSet};
use crate::sys::{self, Arguments, Errno, Received, SignalFd, Text, Timeout, WaitStatus};
use crate::target::{Process, Search};

/// What a run is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The launcher is alive, the target unknown.
    Launching,
    /// The launcher is gone, or there is none; the target is unknown.
    Seeking,
    /// The target is known.
    Watching,
    /// The target is gone, the exit hook runs.
    Hook,
}

/// The first delay between two looks into the pid file, in milliseconds; each is twice the one before.
const DELAY_LEAST: u32 = 1;
/// The longest delay, in milliseconds.
const DELAY_MOST: u32 = 128;
/// How long a signal waits that the target's queue has no room for, in milliseconds.
const RETRY_DELAY: u32 = 8;
/// How often a foreign process is looked after without pidfds, in milliseconds.
const POLL_DELAY: u32 = 999;
/// How long a launcher that was the target itself, as cron's is, is waited for to leave a daemon, in milliseconds.
const SUCCESSOR_WAIT: u32 = 1000;

/// One run: a launcher or none, its target, its exit hook.
#[derive(Debug)]
pub struct Run<'a> {
    options: &'a Options,
    launch: Launch<'a>,
    search: Search,
    signals: SignalFd,
    phase: Phase,
    /// Where signals go; nowhere while seeking.
    process: Option<Process>,
    /// The launcher's pid; 0 where there is none.
    launcher: i32,
    /// How the last target ended.
    ended: Option<WaitStatus>,
    /// The status that we exit with once the hook has ended.
    exit_code: u8,
    /// Whether a daemon may appear although we have no child.
    expects_foreign: bool,
    /// A child ended, or may have ended unnoticed.
    children_changed: bool,
    /// The foreign process that we watch is gone.
    is_gone: bool,
    /// What was sent to the launcher and may have been meant for the target.
    owed: SignalSet,
    /// A signal that the target's queue has no room for.
    held: Option<Received>,
    /// How long to wait for the target, how long that took so far, and until the next look; in milliseconds.
    limit: u32,
    waited: u32,
    delay: u32,
    timeout: Timeout,
}

impl<'a> Run<'a> {
    /// Starts the command, if there is one.
    pub fn start(
        options: &'a Options,
        launch: Launch<'a>,
        search: Search,
        signals: SignalFd,
        expects_foreign: bool,
    ) -> sys::Result<Self> {
        let mut run = Self {
            options,
            launch,
            search,
            signals,
            phase: Phase::Seeking,
            process: None,
            launcher: 0,
            ended: None,
            exit_code: 0,
            expects_foreign,
            children_changed: false,
            is_gone: false,
            owed: SignalSet::NONE,
            held: None,
            limit: options.wait_seconds * 1000,
            waited: 0,
            delay: DELAY_LEAST,
            timeout: Timeout::from_milliseconds(DELAY_LEAST),
        };
        if run.launch.arguments.peek().is_some() {
            let launcher = run.launch.start()?;
            run.note(c"launched", launcher.pid);
            run.launcher = launcher.pid;
            run.process = Some(launcher);
            run.phase = Phase::Launching;
        }
        Ok(run)
    }

    /// Runs to the end: the status to exit with.
    pub fn run(&mut self) -> u8 {
        loop {
            if let Some(status) = self.advance() {
                return status;
            }
            self.wait();
        }
    }

    /// Carries out what follows from what has changed. Gives the status to exit with, if that is what follows.
    fn advance(&mut self) -> Option<u8> {
        let children_changed = core::mem::take(&mut self.children_changed);
        match self.phase {
            Phase::Launching => match sys::wait(self.launcher) {
                // Nothing but the launcher is reaped yet: a daemon that died early keeps its pid and its status.
                Ok(Some((_, status))) => {
                    self.note(c"launcher ended with", status.code().into());
                    if status.code() != 0 {
                        return Some(self.report_status(status));
                    }
                    self.seek(self.options.wait_seconds * 1000);
                    self.look()
                }
                _ => self.look(),
            },
            Phase::Seeking => self.look(),
            Phase::Watching => {
                let status = self.end_of_process(children_changed)?;
                self.after_target(status)
            }
            Phase::Hook => self.end_of_process(children_changed).map(|_| self.exit_code),
        }
    }

    /// Looks for the target once, and ends the search where there is no hope or no time left.
    fn look(&mut self) -> Option<u8> {
        if let Some(process) = self.search.look() {
            self.watch(process);
            return None;
        }
        let is_over = self.waited >= self.limit;
        if self.phase == Phase::Launching {
            if is_over && let Some(launcher) = self.process.take() {
                self.watch(launcher);
            }
            return None;
        }
        if !is_over && (self.expects_foreign || sys::find_child(0) != Err(Errno::ECHILD)) {
            return None;
        }
        if let Some(status) = self.ended {
            return self.finish(status);
        }
        failure::report(Text::new(c"find the daemon of"), self.search.file, self.search.refusal);
        Some(PROXY_FAILED)
    }

    /// Waits for the target alone: signals stay pending until there is somebody to have them.
    fn seek(&mut self, limit: u32) {
        self.signals.set_mask(SignalSet::NONE.with(Signal::CHLD));
        self.phase = Phase::Seeking;
        self.process = None;
        self.limit = limit;
        self.waited = 0;
        self.delay = DELAY_LEAST;
        self.timeout = Timeout::from_milliseconds(DELAY_LEAST);
    }

    /// Takes a process as the target, and gives it the signals that wait for it.
    fn watch(&mut self, process: Process) {
        self.note(c"following", process.pid);
        let is_launcher = process.pid == self.launcher;
        self.process = Some(process);
        self.phase = Phase::Watching;
        self.children_changed = true;
        self.is_gone = false;
        let owed = core::mem::replace(&mut self.owed, SignalSet::NONE);
        for signal in (1..=64).filter_map(Signal::new) {
            if owed.contains(signal) && !is_launcher {
                let _ = self.deliver(signal, None);
            }
        }
        self.signals.set_mask(SignalSet::RECEIVED);
    }

    /// Reaps every child that ended, and tells how the watched process did, if it did.
    fn end_of_process(&mut self, children_changed: bool) -> Option<WaitStatus> {
        let process = self.process.as_ref()?;
        while children_changed && let Ok(Some((pid, status))) = sys::wait(-1) {
            if pid == process.pid {
                return Some(status);
            }
        }
        self.is_gone.then(|| process.foreign_status())
    }

    /// The target ended: follows the one that took its place, or finishes.
    fn after_target(&mut self, status: WaitStatus) -> Option<u8> {
        self.note(c"target ended with", status.code().into());
        self.ended = Some(status);
        let pid = self.process.take()?.pid;
        self.search.ended = pid;
        // Twice, for a number that ends with the file.
        if let Some(process) = self.search.look().or_else(|| self.search.look()) {
            self.watch(process);
            return None;
        }
        let may_have_successor =
            pid == self.launcher && status.code() == 0 && self.search.refusal != Errno::ENOENT.into();
        if may_have_successor && sys::find_child(0).is_ok() {
            self.seek(SUCCESSOR_WAIT);
            return None;
        }
        self.finish(status)
    }

    /// Starts the exit hook, or gives the status to exit with.
    fn finish(&mut self, status: WaitStatus) -> Option<u8> {
        self.exit_code = self.report_status(status);
        let Some(hook) = self.options.hook else {
            return Some(self.exit_code);
        };
        let ended = Ended {
            pid_file: self.search.file,
            exit_code: self.exit_code,
            status,
            proxy: sys::getpid() as u32,
        };
        let mut array = [core::ptr::null(); 3];
        let launch = Launch {
            arguments: Arguments::of_one(hook, &mut array),
            ended: Some(&ended),
            ..self.launch
        };
        match launch.start() {
            Ok(process) => {
                self.process = Some(process);
                self.phase = Phase::Hook;
                None
            }
            Err(errno) => {
                failure::report(Text::new(c"start"), hook, errno.into());
                Some(self.exit_code)
            }
        }
    }

    /// Waits for what changes something, and forwards a signal if that is what came.
    fn wait(&mut self) {
        if let Some(received) = self.held.take() {
            self.signals.set_mask(SignalSet::RECEIVED);
            self.receive(received);
        }
        if self.children_changed {
            return;
        }
        let foreign = self.process.as_ref().filter(|process| process.is_foreign);
        let pidfd = foreign.and_then(|process| process.pidfd.as_ref());
        let mut pause = Timeout::from_milliseconds(if self.held.is_some() { RETRY_DELAY } else { POLL_DELAY });
        let timeout = match self.phase {
            Phase::Launching | Phase::Seeking => Some(&mut self.timeout),
            _ if self.held.is_some() || foreign.is_some() && pidfd.is_none() => Some(&mut pause),
            _ => None,
        };
        // Nothing but signals to wait for: then reading them is waiting enough.
        if timeout.is_some() || foreign.is_some() {
            let Some(ready) = sys::poll(&self.signals, pidfd, timeout) else {
                self.waited += self.delay;
                self.delay = DELAY_MOST.min(self.delay * 2);
                self.timeout = Timeout::from_milliseconds(self.delay);
                if let Some(process) = foreign {
                    self.is_gone = sys::find_process(process.pid) == Err(Errno::ESRCH);
                    self.children_changed = true;
                }
                return;
            };
            if ready.ended {
                self.is_gone = true;
                self.children_changed = true;
            }
            if !ready.signals {
                return;
            }
        }
        if let Ok(received) = self.signals.read() {
            self.receive(received);
        }
    }

    /// Takes a signal that was received: a child's end is ours, the rest is the process's.
    fn receive(&mut self, received: Received) {
        let Some(signal) = received.signal() else { return };
        if signal == Signal::CHLD {
            self.children_changed = true;
            return;
        }
        let is_noise = received.is_from_kernel() && SignalSet::TERMINAL_NOISE.contains(signal);
        // What we raise ourselves is SIGPIPE, by writing to a standard error that nobody reads.
        if is_noise || received.sender() == sys::getpid() as u32 {
            return;
        }
        if self.phase == Phase::Launching {
            self.owed = self.owed.with(signal);
        }
        if self.deliver(signal, Some(&received)) == Err(Errno::EAGAIN) {
            // The target's queue is full. What may fill it further waits in the kernel, with this one before it; what
            // may empty it, like SIGCONT, still goes on.
            self.signals.set_mask(SignalSet::STANDARD);
            self.held = Some(received);
        }
    }

    /// Sends to the process what is to be sent for a signal.
    fn deliver(&self, signal: Signal, received: Option<&Received>) -> sys::Result<()> {
        let (Some(process), Some(sent)) = (&self.process, self.options.rewrites.apply(signal)) else {
            return Ok(());
        };
        self.note(c"signal", sent.number() as i32);
        let group = self.options.has(b'g');
        let payload = received.and_then(|received| received.payload(sent));
        let result = process.signal(sent.number(), payload.as_ref(), group);
        if sent == Signal::TERM && self.options.has(b'H') {
            let _ = process.signal(Signal::HUP.number(), None, group);
        }
        if let Err(errno) = result
            && !matches!(errno, Errno::EAGAIN | Errno::ESRCH)
        {
            failure::report(Text::new(c"signal the process of"), self.search.file, errno.into());
        }
        result
    }

    /// The status to exit with for one that a process ended with (`-e`).
    fn report_status(&self, status: WaitStatus) -> u8 {
        let code = status.code();
        if self.options.reported_as_success.get(usize::from(code)) == Some(&true) {
            0
        } else {
            code
        }
    }

    fn note(&self, what: &'static CStr, number: i32) {
        if self.options.has(b'v') {
            failure::note(Text::new(what), number as u32);
        }
    }
}

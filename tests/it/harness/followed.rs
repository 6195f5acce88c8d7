//! The usual run: the proxy, and a specimen daemon that it follows.

use std::path::Path;
use std::time::{Duration, Instant};

use super::{Control, DEADLINE, Finished, Proxy, Report, Running, Scope, proc, signals};

/// The last real-time signal: the kernel hands out the lowest number first, so what was sent before it is there before it.
const BARRIER: i32 = 64;

/// A specimen daemon under the proxy, once it stands and its launcher is gone (if that does not stay): from here on
/// every signal is the daemon's, whether the proxy has found it yet or not.
pub(crate) struct Followed<'scope> {
    scope: &'scope Scope,
    pub(crate) running: Running,
    /// The daemon's pid.
    pub(crate) daemon: i32,
    /// The daemon's control FIFO.
    pub(crate) control: Control,
}

impl<'scope> Followed<'scope> {
    /// Starts a proxy that has its options already, with the daemon's arguments.
    pub(crate) fn start(scope: &'scope Scope, proxy: Proxy<'scope>, arguments: &[&str]) -> Self {
        Self::start_with(scope, proxy, &scope.path("pid"), arguments)
    }

    /// The same, with a pid file in a certain place.
    pub(crate) fn start_with(scope: &'scope Scope, proxy: Proxy<'scope>, pid_file: &Path, arguments: &[&str]) -> Self {
        let control = scope.control("daemon-control");
        let running = proxy
            .pid_file(pid_file)
            .specimen(["daemon", &control.option()])
            .command([format!("--pid-file={}", pid_file.display())])
            .command(arguments)
            .spawn();
        let daemon = scope.reports().expect("daemon", "ready").pid();
        if !arguments.contains(&"--launcher-stays") {
            // By the pid of its own namespace, which may not be ours.
            let launcher = scope.reports().all_of("launcher", "started").pop().expect("the launcher's report").pid();
            let is_gone = || {
                let tree = proc::tree(running.first_pid());
                (!tree.into_iter().any(|pid| own_pid(pid) == Some(launcher))).then_some(())
            };
            super::eventually(DEADLINE, is_gone)
                .unwrap_or_else(|| panic!("no end of the launcher\n{}", scope.evidence()));
        }
        Self { scope, running, daemon, control }
    }

    /// All signals that have reached the daemon and were not taken yet, when everything that was sent to the proxy until
    /// now has gone through. Not for a daemon that only counts.
    #[track_caller]
    pub(crate) fn arrived(&self) -> Vec<Report> {
        // Any value that is not used twice.
        let mark =
            std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(0));
        let mark = signals::payload(mark);
        self.running.queue(BARRIER, mark);
        let mut reports = Vec::new();
        loop {
            let report = self.scope.reports().expect("daemon", "signal");
            if report.number("number") == i64::from(BARRIER) && report.value() == mark {
                return reports;
            }
            reports.push(report);
        }
    }

    /// The numbers of [`Followed::arrived`].
    #[track_caller]
    pub(crate) fn arrived_numbers(&self) -> Vec<i32> {
        self.arrived()
            .iter()
            .map(|report| i32::try_from(report.number("number")).expect("the number of a signal"))
            .collect()
    }

    /// Stops the daemon, past the proxy; on return it is stopped, and the proxy knows.
    pub(crate) fn stop_daemon(&self) {
        stop(self.daemon);
        settle(self.running.pid());
    }

    /// Tells the daemon to exit with this status, and waits for the proxy's end.
    pub(crate) fn exit(self, status: i32) -> Finished {
        self.control.send(&format!("exit {status}"));
        self.running.wait()
    }
}

/// The pid that a process has for itself.
fn own_pid(pid: i32) -> Option<i32> {
    proc::status_field(pid, "NSpid")?.split_whitespace().last()?.parse().ok()
}

/// Stops a process (SIGSTOP); on return it is stopped.
pub(crate) fn stop(pid: i32) {
    signals::send(pid, libc::SIGSTOP).unwrap_or_else(|error| panic!("SIGSTOP to {pid}: {error}"));
    let is_stopped = || (proc::state(pid) == Some('T')).then_some(());
    super::eventually(DEADLINE, is_stopped).unwrap_or_else(|| panic!("{pid} does not stop"));
}

/// Lets a stopped process go on (SIGCONT).
pub(crate) fn go_on(pid: i32) {
    signals::send(pid, libc::SIGCONT).unwrap_or_else(|error| panic!("SIGCONT to {pid}: {error}"));
}

/// Waits until a process sleeps and no signal is pending for it: until it has done all that it was asked for by signals.
pub(crate) fn settle(pid: i32) {
    let is_settled = || {
        let pending = ["SigPnd", "ShdPnd"]
            .iter()
            .all(|field| proc::status_field(pid, field).is_some_and(|set| signals::in_set(&set).is_empty()));
        (pending && proc::state(pid) == Some('S')).then_some(())
    };
    super::eventually(DEADLINE, is_settled).unwrap_or_else(|| panic!("{pid} does not come to rest"));
}

/// Waits until a process has not woken up for longer than the proxy holds back the end of an orphan, 64 ms, or leaves a
/// daemon without a pidfd alone that was found before it was adopted, 999 ms.
pub(crate) fn rest(pid: i32) {
    const LONGER: Duration = Duration::from_millis(1200);
    let mut last = (String::new(), Instant::now());
    let has_rested = || {
        let switches = proc::status_field(pid, "voluntary_ctxt_switches").expect("a living process");
        if switches != last.0 {
            last = (switches, Instant::now());
        }
        (last.1.elapsed() > LONGER).then_some(())
    };
    super::eventually(DEADLINE, has_rested).unwrap_or_else(|| panic!("{pid} does not come to rest"));
    settle(pid);
}

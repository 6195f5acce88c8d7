//! A started proxy, and a finished one.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::scope::Evidence;
use super::{DEADLINE, eventually, proc, signals};

/// A process that was started; it is killed when this is dropped (its descendants when the scope is).
pub(crate) struct Running {
    child: Child,
    started: Instant,
    /// Device and inode of what the proxy's process executes, when it may not be the child itself.
    executable: Option<(u64, u64)>,
    pid: OnceLock<i32>,
    /// Standard output and standard error.
    outputs: [PathBuf; 2],
    /// How much of standard error the expectations have passed.
    passed: usize,
    terminal: Option<File>,
    /// Other sides of pipes that must stay open.
    _kept: Vec<OwnedFd>,
    evidence: Evidence,
}

impl Running {
    pub(super) fn new(
        child: Child,
        started: Instant,
        executable: Option<(u64, u64)>,
        outputs: [PathBuf; 2],
        kept: Vec<OwnedFd>,
        terminal: Option<File>,
        evidence: Evidence,
    ) -> Self {
        let pid = OnceLock::new();
        Self { child, started, executable, pid, outputs, passed: 0, terminal, _kept: kept, evidence }
    }

    /// The pid of the proxy (with no proxy, of the command), also behind a prefix: that may have executed it in its own
    /// place, as `setpriv`, or run it as a child, as `strace`; the latter is waited for.
    pub(crate) fn pid(&self) -> i32 {
        *self.pid.get_or_init(|| {
            let Some(executable) = self.executable else {
                return self.first_pid();
            };
            let find = || proc::tree(self.first_pid()).into_iter().find(|&pid| executes(pid) == Some(executable));
            eventually(DEADLINE, find).unwrap_or_else(|| panic!("the proxy did not appear\n{}", self.evidence.show()))
        })
    }

    /// The pid of the first program of the line: of the prefix, if there is one.
    pub(crate) fn first_pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid")
    }

    /// Sends a signal to the proxy.
    pub(crate) fn signal(&self, number: i32) {
        let pid = self.pid();
        signals::send(pid, number).unwrap_or_else(|error| panic!("signal {number} to {pid}: {error}"));
    }

    /// Sends a signal with a payload to the proxy. A queue that is full is waited for.
    pub(crate) fn queue(&self, number: i32, value: u64) {
        let pid = self.pid();
        eventually(DEADLINE, || match signals::queue(pid, number, value) {
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => None,
            result => Some(result),
        })
        .unwrap_or_else(|| Err(io::Error::from_raw_os_error(libc::EAGAIN)))
        .unwrap_or_else(|error| panic!("signal {number} with value {value} to {pid}: {error}"));
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.try_wait().is_some()
    }

    /// Waits for the end.
    pub(crate) fn wait(self) -> Finished {
        self.wait_within(DEADLINE)
    }

    /// Waits for the end; panics after this time.
    pub(crate) fn wait_within(mut self, deadline: Duration) -> Finished {
        let status = eventually(deadline, || self.try_wait());
        let elapsed = self.started.elapsed();
        let Some(status) = status else { panic!("no end in {deadline:?}\n{}", self.evidence.show()) };
        let [stdout, stderr] = [0, 1].map(|index| self.output(index));
        Finished { status, stdout, stderr, elapsed, evidence: self.evidence.clone() }
    }

    /// Waits for a line of standard error that fits, past those of earlier calls, and returns it.
    pub(crate) fn expect_line(&mut self, fits: impl Fn(&str) -> bool) -> String {
        let line = eventually(DEADLINE, || {
            let text = self.output(1);
            let mut position = self.passed;
            // The last line may not be finished yet.
            for line in text.get(self.passed..)?.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
                position += line.len();
                if fits(line.trim_end_matches('\n')) {
                    self.passed = position;
                    return Some(line.trim_end_matches('\n').to_owned());
                }
            }
            None
        });
        line.unwrap_or_else(|| panic!("the line did not come in time\n{}", self.evidence.show()))
    }

    /// What it and its descendants have written to standard output so far.
    pub(crate) fn stdout(&self) -> String {
        self.output(0)
    }

    /// What it and its descendants have written to standard error so far.
    pub(crate) fn stderr(&self) -> String {
        self.output(1)
    }

    /// The proxy's resident memory.
    pub(crate) fn rss_kib(&self) -> u64 {
        proc::rss_kib(self.pid()).unwrap_or_else(|| panic!("it has ended\n{}", self.evidence.show()))
    }

    /// A field of the proxy's `/proc/PID/status`, as `SigBlk`.
    pub(crate) fn status_field(&self, name: &str) -> String {
        proc::status_field(self.pid(), name).unwrap_or_else(|| panic!("no {name}\n{}", self.evidence.show()))
    }

    /// Our side of the terminal, with `Input::Terminal`: what is written to it has been typed.
    pub(crate) fn terminal(&self) -> &File {
        self.terminal.as_ref().expect("started with Input::Terminal")
    }

    /// Closes our side of the terminal, as a connection that breaks off does.
    pub(crate) fn hang_up(&mut self) {
        drop(self.terminal.take().expect("started with Input::Terminal"));
    }

    /// What it and its descendants wrote, and the processes that live: for the message of a failed assertion.
    pub(crate) fn evidence(&self) -> String {
        self.evidence.show()
    }

    fn try_wait(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child of ours")
    }

    /// Output goes to files: they never block the writer, and all that was written before an end is there after it.
    fn output(&self, index: usize) -> String {
        String::from_utf8_lossy(&fs::read(&self.outputs[index]).unwrap_or_default()).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Device and inode of the file that a process executes.
fn executes(pid: i32) -> Option<(u64, u64)> {
    let about = fs::metadata(format!("/proc/{pid}/exe")).ok()?;
    Some((about.dev(), about.ino()))
}

/// How it ended, and what it said.
#[derive(Clone)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// From just before the start to when the end was seen (half a millisecond late at most, on an idle machine).
    pub(crate) elapsed: Duration,
    evidence: Evidence,
}

impl Finished {
    /// The exit status, or `None` when a signal killed it.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The signal that killed it, if one did.
    pub(crate) fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// Panics unless the proxy itself failed: with status 125, and nothing on standard error but one line that names the
    /// subject and a reason. Returns that line.
    #[track_caller]
    pub(crate) fn expect_failure(self, subject: impl AsRef<Path>) -> String {
        let finished = self.expect_code(125);
        let subject = subject.as_ref().display().to_string();
        let line = finished.stderr.trim_end_matches('\n').to_owned();
        let (step, reason) = line.rsplit_once(": ").unwrap_or_default();
        assert!(
            finished.stderr.lines().count() == 1
                && finished.stderr.ends_with('\n')
                && step.starts_with("pidproxy: ")
                && step.contains(&subject)
                && !reason.is_empty(),
            "not one line about {subject}\n{}",
            finished.evidence.show()
        );
        line
    }

    /// The same as [`Finished::expect_failure`], and nothing on standard output, for tables, which go on to collect the
    /// faults of all their rows: `Err` says what is different.
    pub(crate) fn check_failure(&self, word: &str) -> Result<(), String> {
        let complaint = self.stderr.strip_suffix('\n').unwrap_or_default();
        let reason = complaint.rsplit_once(": ").map_or("", |(_, reason)| reason);
        let is_one_line = !complaint.is_empty() && !complaint.contains('\n');
        let is_reason = !reason.is_empty() && !reason.starts_with('-');
        if self.code() != Some(125) {
            Err(format!("{} in place of 125, and {:?}", self.status, self.stderr))
        } else if !is_one_line || !complaint.starts_with("pidproxy: ") || !is_reason {
            Err(format!("not one line with a reason: {:?}", self.stderr))
        } else if !complaint.contains(word) {
            Err(format!("{word:?} is not named: {:?}", self.stderr))
        } else if !self.stdout.is_empty() {
            Err(format!("standard output has {:?}", self.stdout))
        } else {
            Ok(())
        }
    }

    /// Panics, with all there is to see, unless it exited with this status.
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code(), Some(code), "{}\n{}", self.status, self.evidence.show());
        self
    }
}

//! A pid file to a process that we may signal.
//!
//! The daemon may be hostile, and the pid file is its own: what it says is believed only as far as it can do no harm.

use crate::failure::Reason;
use crate::pid_file::{self, Contents, Pid, READ_MOST};
use crate::sys::{self, Errno, PidFd, SignalInfo, Stamp, Text, WaitStatus};

/// A process that signals go to: the launcher, the target, or the exit hook.
#[derive(Debug)]
pub struct Process {
    /// Its pid, which is its own as long as it is our child and not reaped.
    pub pid: i32,
    /// Where the kernel has them.
    pub pidfd: Option<PidFd>,
    /// It was not our child when it was found, so that no SIGCHLD tells of its end.
    pub is_foreign: bool,
}

impl Process {
    /// Sends a signal, with its payload where it has one; with `group` to the whole process group that the process
    /// leads, or to itself where it leads none.
    pub fn signal(&self, signal: u32, payload: Option<&SignalInfo>, group: bool) -> sys::Result<()> {
        if group && self.attempt(signal, payload, true).is_ok() {
            return Ok(());
        }
        self.attempt(signal, payload, false)
    }

    /// How a process ended that is not our child: as far as the kernel tells, else with 0.
    #[must_use]
    pub fn foreign_status(&self) -> WaitStatus {
        let status = self.pidfd.as_ref().and_then(|pidfd| match pidfd.exit_status() {
            // Its parent has not reaped it yet, and may never do so.
            Ok(None) => {
                sys::poll_reaped(pidfd);
                pidfd.exit_status().ok().flatten()
            }
            status => status.ok().flatten(),
        });
        status.unwrap_or(WaitStatus(0))
    }

    /// Sends a signal through the pidfd; where there is none, or the call is refused, by number.
    fn attempt(&self, signal: u32, payload: Option<&SignalInfo>, group: bool) -> sys::Result<()> {
        let flags = if group { PidFd::PROCESS_GROUP } else { 0 };
        let result = self
            .pidfd
            .as_ref()
            .map_or(Err(Errno::ENOSYS), |pidfd| pidfd.send_signal(signal, payload, flags));
        match (result, payload) {
            (Err(Errno::ENOSYS | Errno::EPERM | Errno::EINVAL), Some(payload)) if !group => {
                sys::queue(self.pid, signal, payload)
            }
            (Err(Errno::ENOSYS | Errno::EPERM | Errno::EINVAL), _) => {
                sys::kill(if group { -self.pid } else { self.pid }, signal)
            }
            (result, _) => result,
        }
    }
}

/// The search for the target through its pid file.
#[derive(Debug)]
pub struct Search {
    /// The pid file.
    pub file: Text<'static>,
    /// How the file was before the launch; `None` where it was not there, or where that makes no difference.
    before: Option<Stamp>,
    /// `-a`: believe a file that others may have written.
    accept_any: bool,
    /// The last number that ended with the file, where the rest of it may have been missing.
    unfinished: Option<Pid>,
    /// The last target that ended, which can not be the next; 0 where none did.
    pub ended: i32,
    /// Why the last look found nothing.
    pub refusal: Reason,
}

impl Search {
    /// A search that believes what is in the file now.
    #[must_use]
    pub const fn new(file: Text<'static>, accept_any: bool) -> Self {
        Self {
            file,
            before: None,
            accept_any,
            unfinished: None,
            ended: 0,
            refusal: Reason::MISSING,
        }
    }

    /// Notes how the file is before the launch: as it is now it will not be believed.
    pub fn distrust_present(&mut self) {
        if !self.accept_any {
            self.before = read(self.file, &mut [0; READ_MOST]).ok().map(|(stamp, _)| stamp);
        }
    }

    /// Looks into the file once.
    pub fn look(&mut self) -> Option<Process> {
        match self.find() {
            Ok(process) => Some(process),
            Err(reason) => {
                self.refusal = reason;
                None
            }
        }
    }

    fn find(&mut self) -> Result<Process, Reason> {
        let (stamp, contents) = read_pid(self.file)?;
        if self.before == Some(stamp) {
            return Err(Reason::STALE);
        }
        let pid = match contents {
            Contents::Finished(pid) => pid,
            Contents::Unfinished(pid) if self.unfinished == Some(pid) => pid,
            Contents::Unfinished(pid) => {
                self.unfinished = Some(pid);
                return Err(Reason::NO_PID);
            }
            Contents::Nothing | Contents::NoPid => return Err(Reason::NO_PID),
        };
        let number = pid.number();
        if number == self.ended || number == sys::getpid() {
            return Err(Reason::GONE);
        }
        // Asked before the pidfd is opened: a child stays what it is until we reap it, so what is opened then is the
        // child. What is foreign now may be adopted any time later.
        let is_foreign = sys::find_child(number).is_err();
        let pidfd = PidFd::open(number).ok();
        if is_foreign {
            let may_be_forged = stamp.others_may_write() || ![0, sys::geteuid()].contains(&stamp.owner);
            if may_be_forged && !self.accept_any {
                return Err(Reason::UNTRUSTED);
            }
            sys::find_process(number)?;
        }
        // The number may have been given to another process since it was read, but not if it is still in the file.
        if read_pid(self.file)?.1 != contents {
            return Err(Reason::GONE);
        }
        Ok(Process {
            pid: number,
            pidfd,
            is_foreign,
        })
    }
}

/// Removes a pid file that was left over: one that holds nothing but a number, or nothing.
pub fn remove_left_over(file: Text<'_>) {
    let mut buffer = [0; READ_MOST];
    if let Ok((_, bytes)) = read(file, &mut buffer)
        && pid_file::is_left_over(bytes)
    {
        // Where it can not be removed it is still not believed, because it does not change.
        let _ = sys::unlink(file);
    }
}

fn read_pid(file: Text<'_>) -> Result<(Stamp, Contents), Reason> {
    let mut buffer = [0; READ_MOST];
    let (stamp, bytes) = read(file, &mut buffer)?;
    Ok((stamp, pid_file::parse(bytes)))
}

/// Reads the beginning of a regular file that is no symbolic link.
fn read<'a>(file: Text<'_>, buffer: &'a mut [u8; READ_MOST]) -> Result<(Stamp, &'a [u8]), Reason> {
    let file = sys::open_no_follow(file)?;
    let stamp = file.stamp()?;
    if !stamp.is_regular() {
        return Err(Reason::NOT_A_FILE);
    }
    let count = file.read(buffer)?;
    Ok((stamp, buffer.get(..count).unwrap_or_default()))
}

//! For users of the library: a process to ask, to signal and to wait for, whatever becomes of its number.
//!
//! A pid is only a number. Once the process is gone and reaped, the kernel gives it to another one, and a signal that was
//! meant for the first goes to the second. A [`PidFd`] is a descriptor that stands for one process for ever: what comes too
//! late is told so ([`Error::NotFound`]), and reaches nobody else.
//!
//! It is nothing but system calls: without std, without libc, and nothing is allocated. The feature `std` adds what there
//! is for descriptors and errors in `std`: `AsFd`, `AsRawFd`, `IntoRawFd`, conversions from and to `OwnedFd`, and into
//! `std::io::Error`.
//!
//! ```
//! use std::process::Command;
//!
//! use pidproxy::pidfd::{Ending, PidFd, Signal};
//!
//! let child = Command::new("sleep").arg("60").spawn()?;
//! let process = PidFd::open(child.id().cast_signed())?;
//! assert!(process.is_alive());
//! process.send_signal(Signal::TERM)?;
//! assert_eq!(process.wait()?, Ending::Killed(Signal::TERM));
//! assert!(!process.is_alive());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | what | since Linux |
//! |---|---|
//! | [`PidFd::open`], [`PidFd::is_alive`], [`PidFd::send_signal`] | 5.3 |
//! | [`PidFd::wait`], [`PidFd::try_wait`] | 5.4 |
//! | [`Target::Group`] | 6.9 |
//! | how a process ended that is not a child | 6.15 |
//!
//! What an older kernel can not do, or a container's filter refuses, is [`Error::NotSupported`] or [`Ending::Unknown`];
//! nothing falls back on numbers.
#![deny(unsafe_code)]

use core::fmt;

use super::{Outcome, PidFd as Descriptor, Ready, SignalFd, Timeout, WaitStatus, getpid, poll};
pub use crate::signal::Signal;

#[cfg(feature = "std")]
extern crate std;

/// How long an end that nobody reaps is left alone before it is looked at again: we may have become the parent.
const LOOK_AGAIN_MILLISECONDS: i32 = 999;

/// Why something could not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Error {
    /// There is no such process: there never was, or it has been reaped. For [`Target::Group`]: the process leads no
    /// group.
    NotFound,
    /// The process is another user's, and we have no right to signal it (`kill(2)` says who has). Some filters of
    /// containers use the same answer for what they refuse.
    NotPermitted,
    /// The kernel is too old, or a container's filter refuses the call.
    NotSupported,
    /// Something else, by its number in `errno(3)`: no descriptor is left (`EMFILE`, 24), the process's queue has no room
    /// for another real-time signal (`EAGAIN`, 11), the descriptor is no pidfd (`EBADF`, 9).
    Other(i32),
}

impl Error {
    /// The number in `errno(3)` that stands for it: `ESRCH` (3), `EPERM` (1), `ENOSYS` (38 on most architectures), or that
    /// of [`Error::Other`].
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::NotFound => -Outcome::ESRCH.number(),
            Self::NotPermitted => -Outcome::EPERM.number(),
            Self::NotSupported => -Outcome::ENOSYS.number(),
            Self::Other(number) => number,
        }
    }

    /// What a call's failure means where nothing else is known of it.
    const fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::ESRCH => Self::NotFound,
            Outcome::EPERM => Self::NotPermitted,
            Outcome::ENOSYS => Self::NotSupported,
            other => Self::Other(-other.number()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => formatter.write_str("no such process"),
            Self::NotPermitted => formatter.write_str("not permitted"),
            Self::NotSupported => formatter.write_str("not supported by this kernel or this container"),
            Self::Other(number) => write!(formatter, "error {number}"),
        }
    }
}

impl core::error::Error for Error {}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It exited with this status (`exit(3)`).
    Exited(u8),
    /// This signal killed it.
    Killed(Signal),
    /// It ended, and the kernel does not tell how: it was not our child, and Linux is older than 6.15.
    Unknown,
}

impl Ending {
    const fn of(status: WaitStatus) -> Self {
        match status.signal() {
            0 => Self::Exited(status.exit_code() as u8),
            signal => Self::Killed(Signal::from_kernel(signal as u32)),
        }
    }
}

/// Who gets a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The process.
    Process,
    /// All processes of the process group that it leads (Linux 6.9), as long as there are any, whether it lives or not.
    Group,
}

/// What goes with a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Nothing, as from `kill(2)`.
    None,
    /// A value, our pid and our real uid, as from `sigqueue(3)`. The receiver finds the value in `si_value`, which is as wide
    /// as an address.
    Value(usize),
}

/// A process, whatever becomes of its number: an open pidfd, which is closed when this is dropped (`pidfd_open(2)`).
///
/// It does not keep the process alive, and dropping it does nothing to the process. The descriptor is closed at an
/// `execve(2)`.
#[derive(Debug)]
pub struct PidFd(Descriptor);

impl PidFd {
    /// The process that has this number now (`pidfd_open(2)`, Linux 5.3).
    ///
    /// A process that ended and was not reaped is found too. Nothing says that the process is the one that had the number
    /// when the caller got to know it, unless it is an unreaped child of ours: its number is its own.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where no process has the number, which may be that of a thread, zero or negative;
    /// [`Error::NotSupported`] before Linux 5.3 and where a filter refuses the call: no right is needed for it;
    /// [`Error::Other`] where no descriptor is left.
    ///
    /// ```
    /// use pidproxy::pidfd::{Error, PidFd};
    ///
    /// let ourselves = PidFd::open(std::process::id().cast_signed())?;
    /// assert!(ourselves.is_alive());
    /// assert_eq!(PidFd::open(i32::MAX).unwrap_err(), Error::NotFound);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn open(pid: i32) -> Result<Self, Error> {
        let process = Descriptor::open(pid);
        match process.outcome() {
            // What has no process of that number has EINVAL or, later, ENOENT for the number of a thread.
            Outcome::EINVAL | Outcome::ENOENT => Err(Error::NotFound),
            // It asks for no permission.
            Outcome::EPERM => Err(Error::NotSupported),
            outcome if outcome.is_failure() => Err(Error::of(outcome)),
            _ => Ok(Self(process)),
        }
    }

    /// Whether [`PidFd::open`], [`PidFd::is_alive`], [`PidFd::send_signal`] and [`PidFd::wait`] work here, by trying them on
    /// ourselves: Linux 5.4, and no filter that refuses one of these calls.
    ///
    /// ```
    /// use pidproxy::pidfd::PidFd;
    ///
    /// if !PidFd::supported() {
    ///     eprintln!("no pidfds: processes are told by their numbers");
    /// }
    /// ```
    #[must_use]
    pub fn supported() -> bool {
        Self::open(getpid()).is_ok_and(|ourselves| {
            // Signal 0 is none: it only asks.
            let asked = ourselves.0.send_signal(0, None, 0);
            let waited = ourselves.0.wait(&mut WaitStatus(0));
            !asked.is_failure() && waited == Outcome::ECHILD
        })
    }

    /// Whether the process has not ended. One that ended and was not reaped (a zombie) is not alive.
    ///
    /// What was true may not be true any more when this returns; what was false is false for ever.
    ///
    /// ```
    /// use std::process::{Command, Stdio};
    ///
    /// use pidproxy::pidfd::{Ending, PidFd};
    ///
    /// let mut cat = Command::new("cat").stdin(Stdio::piped()).spawn()?;
    /// let process = PidFd::open(cat.id().cast_signed())?;
    /// assert!(process.is_alive());
    /// drop(cat.stdin.take());
    /// assert_eq!(process.wait()?, Ending::Exited(0));
    /// assert!(!process.is_alive());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_alive(&self) -> bool {
        // An interruption comes only where there is nothing to find.
        self.poll(true, Some(Timeout::ZERO)) != Ready::Process
    }

    /// Sends a signal to the process (`pidfd_send_signal(2)`).
    ///
    /// # Errors
    ///
    /// As those of [`PidFd::send_signal_to`].
    ///
    /// ```
    /// use std::process::Command;
    ///
    /// use pidproxy::pidfd::{Ending, Error, PidFd, Signal};
    ///
    /// let child = Command::new("sleep").arg("60").spawn()?;
    /// let process = PidFd::open(child.id().cast_signed())?;
    /// process.send_signal(Signal::KILL)?;
    /// assert_eq!(process.wait()?, Ending::Killed(Signal::KILL));
    /// // Too late: it is reaped. Whoever has its number now gets nothing.
    /// assert_eq!(process.send_signal(Signal::KILL), Err(Error::NotFound));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_signal(&self, signal: Signal) -> Result<(), Error> {
        self.send_signal_to(Target::Process, signal, Payload::None)
    }

    /// Sends a signal to the process or to the group that it leads, with a value or without (`pidfd_send_signal(2)`).
    ///
    /// Real-time signals (34 to 64 in `signal(7)`) are queued, each with its value; of the others one that is pending already
    /// is not pending twice. To a process that ended and was not reaped it makes no difference, and this is no error.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where the process was reaped, or leads no group; [`Error::NotPermitted`] where it is another
    /// user's; [`Error::NotSupported`] where the group is meant before Linux 6.9, or a filter refuses the call;
    /// [`Error::Other`] with `EAGAIN` (11) where the receiver's queue is full.
    ///
    /// ```
    /// use std::os::unix::process::CommandExt as _;
    /// use std::process::Command;
    ///
    /// use pidproxy::pidfd::{Ending, Error, Payload, PidFd, Signal, Target};
    ///
    /// let shell = Command::new("sh").args(["-c", "sleep 60 & sleep 60"]).process_group(0).spawn()?;
    /// let process = PidFd::open(shell.id().cast_signed())?;
    /// match process.send_signal_to(Target::Group, Signal::TERM, Payload::None) {
    ///     Ok(()) => {} // The shell, and what it started.
    ///     Err(Error::NotSupported) => process.send_signal(Signal::TERM)?,
    ///     Err(error) => return Err(error.into()),
    /// }
    /// assert_eq!(process.wait()?, Ending::Killed(Signal::TERM));
    ///
    /// let child = Command::new("sleep").arg("60").spawn()?;
    /// let process = PidFd::open(child.id().cast_signed())?;
    /// let real_time = Signal::new(34).unwrap();
    /// process.send_signal_to(Target::Process, real_time, Payload::Value(4711))?;
    /// assert_eq!(process.wait()?, Ending::Killed(real_time));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_signal_to(&self, target: Target, signal: Signal, payload: Payload) -> Result<(), Error> {
        let flags = match target {
            Target::Process => 0,
            Target::Group => Descriptor::PROCESS_GROUP,
        };
        let info = match payload {
            Payload::None => None,
            Payload::Value(value) => Some(super::payload(signal, value)),
        };
        match self.0.send_signal(signal.number(), info.as_ref(), flags) {
            Outcome::EINVAL if target == Target::Group => Err(Error::NotSupported),
            outcome if outcome.is_failure() => Err(Error::of(outcome)),
            _ => Ok(()),
        }
    }

    /// Waits until the process has ended and tells how, any number of times.
    ///
    /// A child of ours is reaped (`waitid(2)`), which `std::process::Child::wait` and the like then can not do any more. Of
    /// another process it is its parent who reaps it, and only then the kernel tells us how it ended (`PIDFD_GET_INFO`, Linux
    /// 6.15; before, it is [`Ending::Unknown`]): this waits for that too. Who does not want to, has [`PidFd::is_alive`],
    /// or the descriptor in an event loop.
    ///
    /// A signal handler that runs meanwhile does not end the wait.
    ///
    /// # Errors
    ///
    /// [`Error::NotSupported`] before Linux 5.4 or where a filter refuses the call; [`Error::Other`] where the descriptor,
    /// which was made from something else, is no pidfd.
    ///
    /// ```
    /// use std::io::{BufRead as _, BufReader};
    /// use std::process::{Command, Stdio};
    ///
    /// use pidproxy::pidfd::{Ending, PidFd, Signal};
    ///
    /// // A process that is not our child: the shell's, which waits for it.
    /// let mut shell = Command::new("sh").args(["-c", "sleep 60 & echo $!; wait"]).stdout(Stdio::piped()).spawn()?;
    /// let mut line = String::new();
    /// BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line)?;
    /// let process = PidFd::open(line.trim().parse()?)?;
    ///
    /// process.send_signal(Signal::TERM)?;
    /// match process.wait()? {
    ///     Ending::Exited(status) => panic!("exited with {status}"),
    ///     Ending::Killed(signal) => assert_eq!(signal, Signal::TERM),
    ///     Ending::Unknown => println!("it is gone, and this kernel does not tell how"),
    /// }
    /// # shell.wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait(&self) -> Result<Ending, Error> {
        while self.poll(true, None) != Ready::Process {}
        loop {
            if let Some(ending) = self.try_wait()? {
                return Ok(ending);
            }
            self.poll(false, Some(Timeout::from_milliseconds(LOOK_AGAIN_MILLISECONDS)));
        }
    }

    /// [`PidFd::wait`] without waiting: `None` as long as the process has not ended, or is not our child and its parent has
    /// not reaped it.
    ///
    /// # Errors
    ///
    /// As those of [`PidFd::wait`].
    ///
    /// ```
    /// use std::process::{Command, Stdio};
    ///
    /// use pidproxy::pidfd::{Ending, PidFd};
    ///
    /// let mut shell = Command::new("sh").args(["-c", "read line; exit 3"]).stdin(Stdio::piped()).spawn()?;
    /// let process = PidFd::open(shell.id().cast_signed())?;
    /// assert_eq!(process.try_wait()?, None);
    /// drop(shell.stdin.take());
    /// while process.is_alive() {}
    /// assert_eq!(process.try_wait()?, Some(Ending::Exited(3)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_wait(&self) -> Result<Option<Ending>, Error> {
        let mut status = WaitStatus(0);
        match self.0.wait(&mut status) {
            // How it ended is there before it counts as reaped: what is not there now will never be.
            Outcome::ECHILD if self.is_reaped() => {
                Ok(Some(if self.0.exit_status(&mut status) { Ending::of(status) } else { Ending::Unknown }))
            }
            Outcome::OK | Outcome::ECHILD => Ok(None),
            Outcome::EINVAL | Outcome::EPERM => Err(Error::NotSupported),
            outcome if outcome.is_failure() => Err(Error::of(outcome)),
            _ => Ok(Some(Ending::of(status))),
        }
    }

    /// The descriptor, for an event loop: `poll(2)` and `epoll(7)` find it readable (`POLLIN`) once the process has ended,
    /// and hung up (`POLLHUP`, Linux 6.9) once it has been reaped. Nothing can be read from it. It stays ours.
    ///
    /// ```
    /// use std::os::fd::BorrowedFd;
    ///
    /// use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    /// use pidproxy::pidfd::{PidFd, Signal};
    ///
    /// let child = std::process::Command::new("sleep").arg("60").spawn()?;
    /// let process = PidFd::open(child.id().cast_signed())?;
    /// // SAFETY: it is open as long as `process` is there. (With the feature `std`: process.as_fd().)
    /// let descriptor = unsafe { BorrowedFd::borrow_raw(process.as_raw_fd()) };
    /// let mut waiting = [PollFd::new(descriptor, PollFlags::POLLIN)];
    /// assert_eq!(poll(&mut waiting, PollTimeout::ZERO)?, 0);
    /// process.send_signal(Signal::TERM)?;
    /// assert_eq!(poll(&mut waiting, PollTimeout::NONE)?, 1);
    /// # process.wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn as_raw_fd(&self) -> i32 {
        self.0.number()
    }

    /// The descriptor, which the caller then has to close.
    #[must_use]
    pub const fn into_raw_fd(self) -> i32 {
        let number = self.as_raw_fd();
        core::mem::forget(self);
        number
    }

    /// Waits for the process to end, or with `is_alive` false for its being reaped. What interrupts it counts as time that is
    /// over.
    fn poll(&self, is_alive: bool, mut timeout: Option<Timeout>) -> Ready {
        poll(SignalFd::NONE, self.0, timeout.as_mut(), is_alive)
    }

    /// Whether the process was reaped. Before Linux 6.9 only a signal tells.
    fn is_reaped(&self) -> bool {
        self.poll(false, Some(Timeout::ZERO)) == Ready::Process || self.0.send_signal(0, None, 0) == Outcome::ESRCH
    }
}

impl Drop for PidFd {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What `std` has for descriptors and errors (the feature `std`).
#[cfg(feature = "std")]
#[expect(unsafe_code, reason = "what std takes for granted of a descriptor is promised here")]
mod with_std {
    use std::io;
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd as _, IntoRawFd, OwnedFd, RawFd};

    use super::{Descriptor, Error, PidFd, std};

    /// For event loops that take whatever has a descriptor.
    ///
    /// ```
    /// use std::os::fd::AsFd as _;
    ///
    /// use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    /// use pidproxy::pidfd::PidFd;
    ///
    /// let child = std::process::Command::new("true").spawn()?;
    /// let process = PidFd::open(child.id().cast_signed())?;
    /// let mut waiting = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    /// assert_eq!(poll(&mut waiting, PollTimeout::NONE)?, 1);
    /// # process.wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    impl AsFd for PidFd {
        fn as_fd(&self) -> BorrowedFd<'_> {
            // SAFETY: the descriptor is open until `self` is dropped, which what is borrowed from it does not outlive.
            unsafe { BorrowedFd::borrow_raw(PidFd::as_raw_fd(self)) }
        }
    }

    impl AsRawFd for PidFd {
        fn as_raw_fd(&self) -> RawFd {
            PidFd::as_raw_fd(self)
        }
    }

    impl IntoRawFd for PidFd {
        fn into_raw_fd(self) -> RawFd {
            PidFd::into_raw_fd(self)
        }
    }

    /// For a pidfd that came from elsewhere: from `clone(2)`, `std::os::linux::process`, or over a socket. Of what is no
    /// pidfd, nothing can be asked but with [`Error::Other`] for an answer.
    ///
    /// ```
    /// use std::os::fd::OwnedFd;
    ///
    /// use pidproxy::pidfd::{Error, PidFd, Signal};
    ///
    /// let file = OwnedFd::from(std::fs::File::open("/dev/null")?);
    /// assert_eq!(PidFd::from(file).send_signal(Signal::TERM), Err(Error::Other(9)));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    impl From<OwnedFd> for PidFd {
        fn from(descriptor: OwnedFd) -> Self {
            Self(Descriptor::of(descriptor.into_raw_fd()))
        }
    }

    impl From<PidFd> for OwnedFd {
        fn from(process: PidFd) -> Self {
            // SAFETY: the descriptor is open, and from here on nobody else's.
            unsafe { Self::from_raw_fd(PidFd::into_raw_fd(process)) }
        }
    }

    /// The error of that number.
    ///
    /// ```
    /// use pidproxy::pidfd::Error;
    ///
    /// assert_eq!(std::io::Error::from(Error::NotPermitted).kind(), std::io::ErrorKind::PermissionDenied);
    /// assert_eq!(std::io::Error::from(Error::NotSupported).kind(), std::io::ErrorKind::Unsupported);
    /// ```
    impl From<Error> for io::Error {
        fn from(error: Error) -> Self {
            Self::from_raw_os_error(error.number())
        }
    }
}

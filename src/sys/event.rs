//! What wakes us: signals as they are read, and processes that end.

use core::mem::zeroed;

use linux_raw_sys::general as kernel;
use syscalls::{Sysno, syscall};

use super::{Fd, PidFd, Result};
use crate::signal::{Signal, SignalSet};

const POLLIN: i16 = kernel::POLLIN as i16;

/// The size the kernel wants to hear of its `sigset_t`: 64 signals.
const SIGNAL_SET_SIZE: usize = size_of::<SignalSet>();

/// `rt_sigprocmask(2)`: sets the mask and gives the one before.
pub fn sigprocmask(mask: SignalSet) -> SignalSet {
    let mut before = SignalSet::NONE;
    // SAFETY: the kernel reads one signal set and writes one.
    let _ = unsafe {
        syscall!(
            Sysno::rt_sigprocmask,
            kernel::SIG_SETMASK,
            &raw const mask,
            &raw mut before,
            SIGNAL_SET_SIZE
        )
    };
    before
}

/// Gives SIGCHLD back its default disposition (`rt_sigaction(2)`): where a parent ignored it, which execve(2) hands on,
/// the kernel would reap our children itself and their statuses would be lost.
pub fn reset_sigchld() {
    // SAFETY: all bytes zero is the action SIG_DFL without flags.
    let action: kernel::kernel_sigaction = unsafe { zeroed() };
    // SAFETY: the kernel reads one action. No handler is set, so nothing is ever called.
    let _ = unsafe {
        syscall!(
            Sysno::rt_sigaction,
            kernel::SIGCHLD,
            &raw const action,
            0,
            SIGNAL_SET_SIZE
        )
    };
}

/// A signal as it was received: `struct signalfd_siginfo` (signalfd(2)), the same on every architecture.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Received {
    number: u32,
    error: i32,
    code: i32,
    pid: u32,
    uid: u32,
    unused: [u32; 6],
    value_int: i32,
    value_pointer: u64,
    rest: [u64; 9],
}

impl Received {
    /// Which signal.
    #[must_use]
    pub fn signal(&self) -> Option<Signal> {
        Signal::new(self.number)
    }

    /// The sender's pid; 0 where the sender is outside of our pid namespace.
    #[must_use]
    pub const fn sender(&self) -> u32 {
        self.pid
    }

    /// Whether the kernel raised it, as a terminal's driver does.
    #[must_use]
    pub const fn is_from_kernel(&self) -> bool {
        self.code == kernel::SI_KERNEL as i32
    }

    /// What `sigqueue(3)` sent along, for another signal or the same; `None` where it came without.
    #[must_use]
    pub fn payload(&self, signal: Signal) -> Option<SignalInfo> {
        if self.code != kernel::SI_QUEUE {
            return None;
        }
        // SAFETY: all bytes zero is a value of this union of numbers.
        let mut info: kernel::siginfo_t = unsafe { zeroed() };
        // SAFETY: every byte of the union is initialized, and any bytes are numbers.
        let fields = unsafe { &mut info.__bindgen_anon_1.__bindgen_anon_1 };
        fields.si_signo = signal.number() as i32;
        fields.si_code = self.code;
        fields._sifields._rt = kernel::__sifields__bindgen_ty_3 {
            _pid: self.pid as i32,
            _uid: self.uid,
            _sigval: kernel::sigval {
                sival_ptr: self.value_pointer as *mut _,
            },
        };
        Some(SignalInfo(info))
    }
}

/// A signal's payload, ready to be sent on.
pub struct SignalInfo(kernel::siginfo_t);

impl SignalInfo {
    /// For the system calls: the payload's address, or null.
    pub(super) fn as_pointer(info: Option<&Self>) -> *const kernel::siginfo_t {
        info.map_or(core::ptr::null(), |info| &raw const info.0)
    }
}

/// Signals as something to read (`signalfd(2)`). A signal that is blocked and not in the mask stays pending.
#[derive(Debug)]
pub struct SignalFd(Fd);

impl SignalFd {
    /// A descriptor for the signals of the mask.
    pub fn new(mask: SignalSet) -> Result<Self> {
        Self::signalfd(-1, mask).map(|fd| Self(Fd(fd as i32)))
    }

    /// Another mask for the same descriptor.
    pub fn set_mask(&self, mask: SignalSet) {
        // It can fail for a descriptor that is none, or for want of memory for a new one only.
        let _ = Self::signalfd(self.0.0, mask);
    }

    fn signalfd(fd: i32, mask: SignalSet) -> Result<usize> {
        // SAFETY: the kernel reads one signal set.
        unsafe {
            syscall!(
                Sysno::signalfd4,
                fd,
                &raw const mask,
                SIGNAL_SET_SIZE,
                kernel::O_CLOEXEC
            )
        }
    }

    /// Reads one signal, and waits for it where none is pending.
    pub fn read(&self) -> Result<Received> {
        // SAFETY: all bytes zero is a value of this struct of numbers.
        let mut received: Received = unsafe { zeroed() };
        // SAFETY: the kernel writes one such struct.
        unsafe { syscall!(Sysno::read, self.0.0, &raw mut received, size_of::<Received>()) }.map(|_| received)
    }
}

/// How long to wait. The kernel takes off it what has passed, so that a wait can go on after an interruption.
#[derive(Debug)]
pub struct Timeout(kernel::__kernel_old_timespec);

impl Timeout {
    /// So many milliseconds, less than a second.
    #[must_use]
    pub const fn from_milliseconds(milliseconds: u32) -> Self {
        Self(kernel::__kernel_old_timespec {
            tv_sec: 0,
            tv_nsec: milliseconds.cast_signed() as kernel::__kernel_old_time_t * 1_000_000,
        })
    }
}

/// What `poll` found.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// There are signals to read.
    pub signals: bool,
    /// The process ended.
    pub ended: bool,
}

/// Waits for signals, for the end of a process, or for the timeout (`ppoll(2)`): `None` where the time is over.
pub fn poll(signals: &SignalFd, process: Option<&PidFd>, timeout: Option<&mut Timeout>) -> Option<Ready> {
    let process = process.map_or(-1, |pidfd| pidfd.0.0);
    let mut descriptors = [
        kernel::pollfd {
            fd: signals.0.0,
            events: POLLIN,
            revents: 0,
        },
        kernel::pollfd {
            fd: process,
            events: POLLIN,
            revents: 0,
        },
    ];
    let is_over = ppoll(&mut descriptors, timeout) == Ok(0);
    let [signals, process] = descriptors;
    (!is_over).then_some(Ready {
        signals: signals.revents != 0,
        ended: process.revents != 0,
    })
}

/// Waits a second at most until the parent of a process that ended has reaped it (POLLHUP, Linux 6.9).
pub fn poll_reaped(process: &PidFd) {
    let mut descriptors = [kernel::pollfd {
        fd: process.0.0,
        events: 0,
        revents: 0,
    }];
    let _ = ppoll(&mut descriptors, Some(&mut Timeout::from_milliseconds(999)));
}

fn ppoll(descriptors: &mut [kernel::pollfd], timeout: Option<&mut Timeout>) -> Result<usize> {
    let timeout = timeout.map_or(core::ptr::null_mut(), |timeout| &raw mut timeout.0);
    // SAFETY: the kernel writes into as many entries as there are and, where it is not null, the timeout.
    unsafe { syscall!(Sysno::ppoll, descriptors.as_mut_ptr(), descriptors.len(), timeout, 0, 0) }
}

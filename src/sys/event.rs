//! What wakes us: signals as they are read, and processes that end.

use core::mem::{offset_of, zeroed};

use linux_raw_sys::general as kernel;
use syscalls::Sysno;

use super::call::raw_syscall;
use super::{Fd, Outcome, PidFd, getpid, getuid, native};
use crate::signal::{Signal, SignalSet};

const POLLIN: i16 = kernel::POLLIN as i16;

/// The size the kernel wants to hear of its `sigset_t`: 64 signals.
const SIGNAL_SET_SIZE: usize = size_of::<SignalSet>();

/// `rt_sigprocmask(2)`: swaps the mask with the one in force.
#[cfg_attr(not(target_arch = "powerpc64"), inline(never))]
#[cfg_attr(
    target_arch = "powerpc64",
    inline(always),
    expect(clippy::inline_always, reason = "the file is smaller with it, see SIZE.md")
)]
pub fn sigprocmask(mask: &mut SignalSet) {
    let mask = &raw mut *mask;
    // SAFETY: the kernel reads one signal set, and then writes one.
    unsafe {
        raw_syscall!(Sysno::rt_sigprocmask, kernel::SIG_SETMASK, mask, mask, SIGNAL_SET_SIZE);
    }
}

/// What the kernel does with a signal (`struct sigaction`).
#[derive(Debug)]
pub struct Action(kernel::kernel_sigaction);

impl Action {
    /// `SIG_DFL` without flags, and nothing but zeros in memory.
    pub const DEFAULT: Self = Self(
        // SAFETY: all bytes zero is that action.
        unsafe { zeroed() },
    );

    /// Has it done with SIGCHLD (`rt_sigaction(2)`). It has to be the default one: where a parent ignored the signal, which
    /// execve(2) hands on, the kernel would reap our children itself and their statuses would be lost.
    pub fn set_for_sigchld(&self) {
        // SAFETY: the kernel reads one action. No handler is set, so nothing is ever called.
        unsafe {
            raw_syscall!(Sysno::rt_sigaction, kernel::SIGCHLD, &raw const self.0, 0, SIGNAL_SET_SIZE);
        }
    }
}

/// A signal as signalfd(2) gives it, the same on every architecture.
#[derive(Clone, Copy)]
#[repr(C)]
struct Record {
    number: u32,
    error: i32,
    code: i32,
    pid: i32,
    uid: u32,
    unused: [u32; 7],
    value: u64,
    rest: [u64; 9],
}

const _: () = assert!(
    size_of::<Record>() == 128
        && offset_of!(Record, number) == 0
        && offset_of!(Record, code) == 8
        && offset_of!(Record, pid) == 12
        && offset_of!(Record, uid) == 16
        && offset_of!(Record, value) == 48,
    "not as in signalfd(2)"
);

/// A signal that was received, in the form in which it can be sent on.
#[derive(Clone, Copy)]
pub union Received {
    nothing: (),
    record: Record,
    info: kernel::siginfo_t,
}

impl Received {
    /// No signal yet.
    pub const NONE: Self = Self { nothing: () };

    /// Which signal.
    #[must_use]
    pub const fn signal(&self) -> Signal {
        // SAFETY: any bytes are numbers.
        Signal::from_kernel(unsafe { self.record.number })
    }

    /// The sender's pid; 0 where the sender is outside of our pid namespace.
    #[must_use]
    #[inline(never)]
    pub fn sender(&self) -> i32 {
        // SAFETY: any bytes are numbers.
        #[expect(clippy::multiple_unsafe_ops_per_block, reason = "one place, behind two unions")]
        unsafe {
            self.info.__bindgen_anon_1.__bindgen_anon_1._sifields._rt._pid
        }
    }

    fn code(&self) -> i32 {
        // SAFETY: both forms have the code at the same place, and any bytes are numbers.
        unsafe { self.record.code }
    }

    /// Whether the kernel raised it, as a terminal's driver does.
    #[must_use]
    pub fn is_from_kernel(&self) -> bool {
        self.code() == kernel::SI_KERNEL.cast_signed()
    }

    /// Whether it was sent by `kill(2)`, or to a process group.
    #[must_use]
    pub fn is_from_user(&self) -> bool {
        self.code() == kernel::SI_USER.cast_signed()
    }

    /// Makes it another signal, or the same, with the same sender and value.
    pub fn set_signal(&mut self, signal: Signal) {
        self.record.number = signal.number();
    }

    /// What `sigqueue(3)` sent along, to go with another signal or the same; `None` where it came without.
    #[must_use]
    pub fn payload(&mut self, signal: Signal) -> Option<&SignalInfo> {
        self.record.number = signal.number();
        // SAFETY: any bytes are numbers.
        (self.code() == kernel::SI_QUEUE).then_some(unsafe { &self.info })
    }

    /// Brings what was read into the form in which it can be sent on.
    fn convert(&mut self) {
        // SAFETY: any bytes are numbers.
        let Record { pid, uid, value, .. } = unsafe { self.record };
        let payload = kernel::__sifields__bindgen_ty_3 {
            _pid: pid,
            _uid: uid,
            _sigval: kernel::sigval { sival_ptr: core::ptr::without_provenance_mut(value as usize) },
        };
        self.info.__bindgen_anon_1.__bindgen_anon_1._sifields._rt = payload;
    }
}

/// A signal's payload, ready to be sent on.
pub type SignalInfo = kernel::siginfo_t;

/// A payload of our own, as `sigqueue(3)` makes it: the value, our pid and our real uid.
#[must_use]
pub fn payload(signal: Signal, value: usize) -> SignalInfo {
    // SAFETY: all bytes zero is a value of this union of numbers and addresses.
    let mut info: SignalInfo = unsafe { zeroed() };
    let sender = kernel::__sifields__bindgen_ty_3 {
        _pid: getpid(),
        _uid: getuid(),
        _sigval: kernel::sigval { sival_ptr: core::ptr::without_provenance_mut(value) },
    };
    info.__bindgen_anon_1.__bindgen_anon_1 = kernel::siginfo__bindgen_ty_1__bindgen_ty_1 {
        si_signo: signal.number().cast_signed(),
        si_errno: 0,
        si_code: kernel::SI_QUEUE,
        _sifields: kernel::__sifields { _rt: sender },
    };
    info
}

/// Signals as something to read (`signalfd(2)`). A signal that is blocked and not in the mask stays pending.
#[derive(Clone, Copy, Debug)]
pub struct SignalFd {
    fd: Fd,
    mask: SignalSet,
}

impl SignalFd {
    /// None yet.
    pub const NONE: Self = Self { fd: Fd(-1), mask: SignalSet::NONE };
    /// A placeholder that is nothing but zeros in memory.
    pub const ZERO: Self = Self { fd: Fd(0), mask: SignalSet::NONE };

    /// Forgets the descriptor, without closing it.
    pub const fn forget(&mut self) {
        self.fd = Self::NONE.fd;
    }

    /// The mask.
    #[must_use]
    pub const fn mask(self) -> SignalSet {
        self.mask
    }

    /// Sets the mask of `signals`: which can be read. [`SignalFd::NONE`] becomes a descriptor; with one that is open it can
    /// not fail.
    pub fn set_mask(mask: SignalSet, signals: &mut Self) -> Outcome {
        let flags = kernel::O_CLOEXEC;
        signals.mask = mask;
        // SAFETY: the kernel reads one signal set.
        let outcome = Outcome::new(unsafe {
            raw_syscall!(Sysno::signalfd4, signals.fd.raw(), &raw const signals.mask, SIGNAL_SET_SIZE, flags)
        });
        // What fails once may work the next time.
        if !outcome.is_failure() {
            signals.fd = Fd::new(outcome);
        }
        outcome
    }

    /// Reads one signal, and waits for it where none is pending.
    pub fn read(self, received: &mut Received) -> Outcome {
        // SAFETY: the kernel writes one such record.
        let outcome =
            Outcome::new(unsafe { raw_syscall!(Sysno::read, self.fd.raw(), &raw mut *received, size_of::<Record>()) });
        received.convert();
        outcome
    }
}

/// How long to wait. The kernel takes off it what has passed, so that a wait can go on after an interruption.
#[derive(Clone, Copy, Debug)]
pub struct Timeout(kernel::__kernel_timespec);

impl Timeout {
    /// No time at all, and nothing but zeros in memory.
    pub const ZERO: Self = Self(kernel::__kernel_timespec { tv_sec: 0, tv_nsec: 0 });

    /// So many milliseconds, less than a second.
    #[must_use]
    pub const fn from_milliseconds(milliseconds: i32) -> Self {
        let mut timeout = Self::ZERO;
        timeout.set(milliseconds);
        timeout
    }

    /// Whether nothing is left of it.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.0.tv_nsec == 0
    }

    /// Sets it anew, to so many milliseconds, less than a second.
    pub const fn set(&mut self, milliseconds: i32) {
        self.0.tv_nsec = (milliseconds.cast_unsigned() * 1_000_000) as kernel::__kernel_time64_t;
    }
}

/// What `poll` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// The time is over.
    Timeout,
    /// There are signals to read.
    Signals,
    /// The process ended.
    Process,
}

/// Waits for signals, for the end of a process, or for the timeout (`ppoll(2)`). The end is that it ends while it
/// `is_alive`, then that its parent reaps it (POLLHUP, Linux 6.9).
#[cfg_attr(
    target_arch = "powerpc64",
    inline(always),
    expect(clippy::inline_always, reason = "the file is smaller with it, see SIZE.md")
)]
pub fn poll(signals: SignalFd, process: PidFd, timeout: Option<&mut Timeout>, is_alive: bool) -> Ready {
    let mut descriptors = [
        kernel::pollfd { fd: signals.fd.0, events: POLLIN, revents: 0 },
        kernel::pollfd { fd: process.0.0, events: i16::from(is_alive) * POLLIN, revents: 0 },
    ];
    let descriptors = super::in_register(&mut descriptors);
    let timeout = timeout.map_or(core::ptr::null_mut(), |timeout| &raw mut timeout.0);
    // SAFETY: the kernel writes into as many entries as there are and, where it is not null, the timeout.
    unsafe { native::ppoll(descriptors.as_mut_ptr(), descriptors.len(), timeout) };
    let [signals, process] = *descriptors;
    if process.revents != 0 {
        Ready::Process
    } else if signals.revents != 0 {
        Ready::Signals
    } else {
        Ready::Timeout
    }
}

/// Whether a write of a page or less to a descriptor would not wait: at once, or with an error.
#[must_use]
pub fn is_writable(fd: i32) -> bool {
    let mut descriptor = kernel::pollfd { fd, events: kernel::POLLOUT as i16, revents: 0 };
    // SAFETY: the kernel writes into one entry.
    unsafe { native::poll_at_once(&raw mut descriptor) };
    descriptor.revents != 0
}

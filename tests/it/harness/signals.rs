//! Signals as numbers (the real-time ones have no names), and `sigqueue`.

use std::io;

/// SIGRTMIN+n as users know it: 34+n.
pub(crate) const fn real_time(offset: i32) -> i32 {
    34 + offset
}

/// All signals that pidproxy forwards: 1 to 64 but KILL, STOP, CHLD and the faults a process raises against itself.
///
/// Of a burst of all of them to one process the kernel itself drops some: CONT discards pending TSTP, TTIN and TTOU, and
/// these discard a pending CONT.
pub(crate) fn forwardable() -> Vec<i32> {
    let faults = [libc::SIGILL, libc::SIGTRAP, libc::SIGABRT, libc::SIGBUS, libc::SIGFPE, libc::SIGSEGV, libc::SIGSYS];
    let others = [libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD];
    // qemu-user keeps these from its guest: the first two its C library needs, the others itself (tests/cross has it keep
    // the numbers of the rest).
    let emulator_s: &[i32] = if super::runner().is_empty() { &[] } else { &[32, 33, 62, 63] };
    let excluded = [&faults, &others[..], emulator_s].concat();
    (1..=64).filter(|number| !excluded.contains(number)).collect()
}

/// `kill(2)`, for any number.
pub(crate) fn send(pid: i32, number: i32) -> io::Result<()> {
    // SAFETY: touches no memory.
    outcome(unsafe { libc::kill(pid, number) }.into())
}

/// `sigqueue(3)`, by the system call, for the C library keeps 32 and 33 to itself. `EAGAIN`: the queue is full.
pub(crate) fn queue(pid: i32, number: i32, value: u64) -> io::Result<()> {
    /// The kernel's `siginfo_t` of 64-bit machines, with the members of `SI_QUEUE`.
    #[repr(C)]
    struct Information {
        number: i32,
        error: i32,
        code: i32,
        padding: i32,
        pid: i32,
        uid: u32,
        value: u64,
        rest: [u64; 12],
    }
    const { assert!(size_of::<Information>() == size_of::<libc::siginfo_t>()) };
    let information = Information {
        number,
        error: 0,
        code: libc::SI_QUEUE,
        padding: 0,
        pid: nix::unistd::getpid().as_raw(),
        uid: nix::unistd::getuid().as_raw(),
        value,
        rest: [0; 12],
    };
    // SAFETY: the pointer is to a whole `siginfo_t`, alive until the call returns.
    outcome(unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, pid, number, &raw const information) })
}

/// What of a payload goes through the binary under test: a pointer of its machine.
pub(crate) fn payload(value: u64) -> u64 {
    if super::elf::Elf::under_test().is_64_bit { value } else { value & u64::from(u32::MAX) }
}

fn outcome(result: i64) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The numbers in a signal set as `/proc` and the specimen's facts write it: hexadecimal, bit n-1 for signal n.
pub(crate) fn in_set(hexadecimal: &str) -> Vec<i32> {
    let set = u64::from_str_radix(hexadecimal.trim(), 16).expect("a signal set in hexadecimal");
    (1..=64).filter(|number| set >> (number - 1) & 1 == 1).collect()
}

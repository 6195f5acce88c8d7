//! Signals at the level of the system calls: the C library keeps 32 and 33 to itself, and the specimen must see all 64.

use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};

/// All that can be blocked; the kernel itself takes KILL and STOP out.
const ALL: u64 = u64::MAX;

/// The kernel's own size of a signal set, in bytes.
const SET_SIZE: usize = 8;

/// Names with their numbers, as far as Linux gives them the same on the machines we build for.
const NAMES: [(&str, i32); 32] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", 16),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
    ("RTMIN", 34),
];

/// The number of a signal given as `15`, `TERM`, `SIGTERM`, `RTMIN` or `RTMIN+3` (RTMIN is 34, as users know it).
pub(crate) fn number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse() {
        return (1..=64).contains(&number).then_some(number);
    }
    let name = text.strip_prefix("SIG").unwrap_or(text);
    if let Some(offset) = name.strip_prefix("RTMIN+") {
        return offset.parse::<i32>().ok().map(|offset| 34 + offset).filter(|number| *number <= 64);
    }
    NAMES.iter().find(|(known, _)| *known == name).map(|&(_, number)| number)
}

/// Blocks every signal that can be blocked.
pub(crate) fn block_all() {
    change_mask(libc::SIG_SETMASK, Some(ALL));
}

/// The signal mask of this process: bit n-1 stands for signal n.
pub(crate) fn blocked() -> u64 {
    change_mask(libc::SIG_BLOCK, None)
}

fn change_mask(how: libc::c_int, new: Option<u64>) -> u64 {
    let mut old = 0_u64;
    let new_pointer = new.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: `new_pointer` is null or points to 8 readable bytes, `old` to 8 writable ones, both alive until the return.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, how, new_pointer, &raw mut old, SET_SIZE) };
    old
}

/// A descriptor that becomes readable as signals arrive; they must be blocked.
pub(crate) fn descriptor() -> io::Result<OwnedFd> {
    let flags = libc::SFD_NONBLOCK | libc::SFD_CLOEXEC;
    let all = ALL;
    // SAFETY: the pointer is to 8 readable bytes.
    let result = unsafe { libc::syscall(libc::SYS_signalfd4, -1, &raw const all, SET_SIZE, flags) };
    let number = i32::try_from(result).unwrap_or(-1);
    if number < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor, nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// The signals that this process ignores, and those it handles, as sets.
pub(crate) fn dispositions() -> (u64, u64) {
    let (mut ignored, mut caught) = (0, 0);
    for number in 1..=64_i32 {
        // The kernel's `struct sigaction` begins with the handler and is four words long at most.
        let mut action = [0_usize; 8];
        let nothing: *const usize = std::ptr::null();
        // SAFETY: `action` has more room than the kernel's structure wants.
        let result = unsafe { libc::syscall(libc::SYS_rt_sigaction, number, nothing, action.as_mut_ptr(), SET_SIZE) };
        let bit = 1_u64 << (number - 1);
        match action.first() {
            Some(&libc::SIG_IGN) if result == 0 => ignored |= bit,
            Some(&handler) if result == 0 && handler != libc::SIG_DFL => caught |= bit,
            _ => {}
        }
    }
    (ignored, caught)
}

/// Ends this process by a signal with its default disposition, without a core dump. Exits with 98 should it survive.
pub(crate) fn die_by(number: i32) -> ! {
    let limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a valid `rlimit`.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const limit) };
    // A core pattern that is a pipe does not heed the limit.
    // SAFETY: touches no memory.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
    // The specimen installs no handlers, but may have been started with the signal ignored.
    let default = [libc::SIG_DFL, 0, 0, 0, 0, 0, 0, 0];
    let nothing: *mut usize = std::ptr::null_mut();
    // SAFETY: `default` is longer than the kernel's structure.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, number, default.as_ptr(), nothing, SET_SIZE) };
    let this = nix::unistd::getpid().as_raw();
    // SAFETY: touches no memory.
    unsafe { libc::kill(this, number) };
    change_mask(libc::SIG_SETMASK, Some(0));
    std::process::exit(98)
}

//! What the program takes from the crates linux-raw-sys and syscalls, beside what the crate libc says of the same
//! architecture: the two come from different sources (the kernel's own headers, and the C libraries'). All of it is
//! compared when this is compiled, for the architecture that it is compiled for; tests/cross does that for each. What is
//! different does not compile.
#![no_std]

use core::mem::{align_of, offset_of, size_of};

use linux_raw_sys::{auxvec, errno, general as kernel, ioctl, prctl};
use syscalls::Sysno;

/// The program's own.
#[allow(dead_code, reason = "what is the same in kind is looked at, not used")]
#[path = "../../src/sys/native.rs"]
mod native;

#[path = "../../src/sys/call.rs"]
mod call;

/// Where the program has it.
#[allow(unused_imports, reason = "for one architecture")]
mod sys {
    pub(crate) use super::call;
}

/// Numbers that are not of the same type on both sides.
macro_rules! assert_same {
    ($($ours:expr, $theirs:expr;)+) => {
        $(#[allow(
            clippy::cast_lossless,
            clippy::cast_possible_truncation,
            clippy::cast_possible_wrap,
            clippy::cast_sign_loss,
            reason = "the types are not the same everywhere"
        )]
        const _: () = assert!($ours as u32 as u64 == $theirs as u32 as u64, stringify!($theirs));)+
    };
}

/// Constants of the same name in a module of linux-raw-sys and in libc.
macro_rules! assert_same_constants {
    ($module:ident: $($name:ident)+) => { assert_same! { $($module::$name, libc::$name;)+ } };
}

assert_same_constants! { kernel:
    AT_FDCWD CLONE_VFORK CLONE_VM FD_CLOEXEC F_SETFD ITIMER_REAL MADV_DONTNEED MAP_ANONYMOUS MAP_PRIVATE O_APPEND
    O_CLOEXEC O_CREAT O_NOCTTY O_NOFOLLOW O_NONBLOCK O_RDONLY O_WRONLY
    POLLIN POLLOUT PROT_READ PROT_WRITE P_ALL P_PID RLIMIT_SIGPENDING SIG_SETMASK SI_KERNEL SI_QUEUE S_IFREG S_IWGRP
    S_IWOTH WEXITED WNOHANG WNOWAIT
}

// All that have a name, in the order of their numbers: the table of names in src/signal.rs has no others.
assert_same_constants! { kernel:
    SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2 SIGPIPE SIGALRM SIGTERM
    SIGSTKFLT SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGXCPU SIGXFSZ SIGVTALRM SIGPROF SIGWINCH SIGIO
    SIGPWR SIGSYS
}
assert_same! {
    1, libc::SIGHUP; 2, libc::SIGINT; 3, libc::SIGQUIT; 4, libc::SIGILL; 5, libc::SIGTRAP; 6, libc::SIGABRT;
    7, libc::SIGBUS; 8, libc::SIGFPE; 9, libc::SIGKILL; 10, libc::SIGUSR1; 11, libc::SIGSEGV; 12, libc::SIGUSR2;
    13, libc::SIGPIPE; 14, libc::SIGALRM; 15, libc::SIGTERM; 16, libc::SIGSTKFLT; 17, libc::SIGCHLD; 18, libc::SIGCONT;
    19, libc::SIGSTOP; 20, libc::SIGTSTP; 21, libc::SIGTTIN; 22, libc::SIGTTOU; 23, libc::SIGURG; 24, libc::SIGXCPU;
    25, libc::SIGXFSZ; 26, libc::SIGVTALRM; 27, libc::SIGPROF; 28, libc::SIGWINCH; 29, libc::SIGIO; 30, libc::SIGPWR;
    31, libc::SIGSYS;
}

assert_same_constants! { auxvec: AT_NULL AT_SECURE }
assert_same_constants! { errno: EPERM ENOENT ESRCH ENOEXEC ECHILD EAGAIN EACCES ENOTDIR }
assert_same_constants! { prctl: PR_SET_CHILD_SUBREAPER PR_SET_PDEATHSIG }
assert_same_constants! { ioctl: TIOCGPGRP TIOCGWINSZ TIOCSPGRP }
assert_same! { native::PIDFD_GET_INFO, libc::PIDFD_GET_INFO; }

/// Calls of the same name in both crates.
macro_rules! assert_same_calls {
    ($($name:ident $number:ident)+) => { assert_same! { $(Sysno::$name, libc::$number;)+ } };
}

assert_same_calls! {
    chdir SYS_chdir clone SYS_clone close SYS_close close_range SYS_close_range execve SYS_execve exit SYS_exit
    getcwd SYS_getcwd getpid SYS_getpid ioctl SYS_ioctl kill SYS_kill madvise SYS_madvise
    pidfd_open SYS_pidfd_open pidfd_send_signal SYS_pidfd_send_signal ppoll SYS_ppoll prctl SYS_prctl
    read SYS_read rt_sigaction SYS_rt_sigaction rt_sigprocmask SYS_rt_sigprocmask
    rt_sigqueueinfo SYS_rt_sigqueueinfo setpgid SYS_setpgid signalfd4 SYS_signalfd4 tgkill SYS_tgkill
    wait4 SYS_wait4 waitid SYS_waitid write SYS_write
}

#[cfg(not(any(target_arch = "aarch64", target_arch = "riscv64")))]
assert_same_calls! {
    dup2 SYS_dup2 getpgrp SYS_getpgrp open SYS_open poll SYS_poll unlink SYS_unlink
}
#[cfg(any(target_arch = "aarch64", target_arch = "riscv64"))]
assert_same_calls! { dup3 SYS_dup3 getpgid SYS_getpgid openat SYS_openat unlinkat SYS_unlinkat }

#[cfg(target_pointer_width = "64")]
assert_same_calls! { setrlimit SYS_setrlimit }
#[cfg(all(target_pointer_width = "64", not(target_arch = "powerpc64")))]
assert_same_calls! { getrlimit SYS_getrlimit }
#[cfg(target_arch = "powerpc64")]
assert_same_calls! { ugetrlimit SYS_ugetrlimit }
#[cfg(target_pointer_width = "32")]
assert_same_calls! { prlimit64 SYS_prlimit64 }
// With 64 bits both forms of a limit are the same.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<kernel::rlimit64>() == size_of::<libc::rlimit>());

#[cfg(any(target_arch = "x86_64", target_arch = "x86", target_arch = "powerpc64", target_arch = "s390x"))]
assert_same_calls! { alarm SYS_alarm }
#[cfg(any(target_arch = "aarch64", target_arch = "arm", target_arch = "riscv64"))]
assert_same_calls! { setitimer SYS_setitimer }
// Two times of two words, as src/sys/native.rs has them.
const _: () = assert!(size_of::<kernel::__kernel_old_itimerval>() == 4 * size_of::<usize>());

#[cfg(target_pointer_width = "64")]
assert_same! {
    native::FCNTL, libc::SYS_fcntl;
    native::FSTAT, libc::SYS_fstat;
    native::GETEGID, libc::SYS_getegid;
    native::GETEUID, libc::SYS_geteuid;
    native::GETGROUPS, libc::SYS_getgroups;
    native::GETUID, libc::SYS_getuid;
    native::SETGROUPS, libc::SYS_setgroups;
    native::SETRESGID, libc::SYS_setresgid;
    native::SETRESUID, libc::SYS_setresuid;
    Sysno::mmap, libc::SYS_mmap;
}

#[cfg(target_pointer_width = "32")]
assert_same! {
    native::FCNTL, libc::SYS_fcntl64;
    native::FSTAT, libc::SYS_fstat64;
    native::GETEGID, libc::SYS_getegid32;
    native::GETEUID, libc::SYS_geteuid32;
    native::GETGROUPS, libc::SYS_getgroups32;
    native::GETUID, libc::SYS_getuid32;
    native::SETGROUPS, libc::SYS_setgroups32;
    native::SETRESGID, libc::SYS_setresgid32;
    native::SETRESUID, libc::SYS_setresuid32;
    Sysno::mmap2, libc::SYS_mmap2;
    // libc has no name for it; from here on all architectures have the same numbers.
    Sysno::ppoll_time64, 414;
}

/// The size of the field that the function selects.
const fn size_of_field<S, F>(_: fn(&S) -> &F) -> usize {
    size_of::<F>()
}

/// Structures of both crates: size, alignment, and the place and size of fields by their names there.
macro_rules! assert_same_layout {
    ($ours:ty, $theirs:ty: $($our_field:ident $their_field:ident)*) => {
        const _: () = assert!(size_of::<$ours>() == size_of::<$theirs>(), stringify!($theirs));
        const _: () = assert!(align_of::<$ours>() == align_of::<$theirs>(), stringify!($theirs));
        $(const _: () = {
            assert!(offset_of!($ours, $our_field) == offset_of!($theirs, $their_field), stringify!($their_field));
            assert!(
                size_of_field::<$ours, _>(|value| &value.$our_field)
                    == size_of_field::<$theirs, _>(|value| &value.$their_field),
                stringify!($their_field)
            );
        };)*
    };
}

#[cfg(target_pointer_width = "64")]
use libc::stat as Stat;
#[cfg(target_pointer_width = "32")]
use libc::stat64 as Stat;
assert_same_layout!(native::Stat, Stat: st_dev st_dev st_ino st_ino st_mode st_mode st_uid st_uid st_size st_size
    st_mtime st_mtime st_mtime_nsec st_mtime_nsec);
assert_same_layout!(kernel::pollfd, libc::pollfd: fd fd events events revents revents);
assert_same_layout!(kernel::rlimit64, libc::rlimit64: rlim_cur rlim_cur rlim_max rlim_max);
assert_same_layout!(kernel::siginfo_t, libc::siginfo_t:);

/// The first word behind three numbers.
const SIGINFO_FIELDS: usize = (3 * size_of::<i32>()).next_multiple_of(size_of::<usize>());

/// A field of those that signals of `sigqueue(3)` have.
macro_rules! offset_in_siginfo {
    ($field:ident) => {
        offset_of!(kernel::siginfo_t, __bindgen_anon_1.__bindgen_anon_1._sifields._rt.$field)
    };
}

// libc keeps them to itself. As src/sys/event.rs has it, number and code lie where signalfd(2) has them.
const _: () = assert!(offset_of!(kernel::siginfo_t, __bindgen_anon_1.__bindgen_anon_1.si_signo) == 0);
const _: () = assert!(offset_of!(kernel::siginfo_t, __bindgen_anon_1.__bindgen_anon_1.si_code) == 8);
const _: () = assert!(offset_in_siginfo!(_pid) == SIGINFO_FIELDS);
const _: () = assert!(offset_in_siginfo!(_uid) == SIGINFO_FIELDS + 4);
const _: () = assert!(offset_in_siginfo!(_sigval) == SIGINFO_FIELDS + 8);

// The record of src/sys/event.rs holds itself to these places too.
const _: () = assert!(size_of::<libc::signalfd_siginfo>() == 128);
const _: () = assert!(offset_of!(libc::signalfd_siginfo, ssi_signo) == 0);
const _: () = assert!(offset_of!(libc::signalfd_siginfo, ssi_code) == 8);
const _: () = assert!(offset_of!(libc::signalfd_siginfo, ssi_pid) == 12);
const _: () = assert!(offset_of!(libc::signalfd_siginfo, ssi_uid) == 16);
const _: () = assert!(offset_of!(libc::signalfd_siginfo, ssi_ptr) == 48);

// 64 signals, on 32 bits too. The kernel reads no more of the action than this, and it is all zeros.
const _: () = assert!(size_of::<kernel::kernel_sigset_t>() == 8);
const _: () = assert!(offset_of!(kernel::kernel_sigaction, sa_handler_kernel) == 0);
const _: () = assert!(size_of::<kernel::kernel_sigaction>() >= 3 * size_of::<usize>());

// Seconds and nanoseconds with 64 bits each, everywhere.
const _: () = assert!(size_of::<kernel::__kernel_timespec>() == 16);
const _: () = assert!(offset_of!(kernel::__kernel_timespec, tv_nsec) == 8);

// The order of clone's first two arguments is in no header: clone(2), "C library/kernel differences".
#[cfg(target_arch = "s390x")]
const _: () = assert!(matches!(native::clone_arguments(1), [0, 1]), "the stack comes first");
#[cfg(not(target_arch = "s390x"))]
const _: () = assert!(matches!(native::clone_arguments(1), [1, 0]), "the flags come first");

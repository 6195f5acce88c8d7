//! System calls that a kernel or a container's filter refuses, played by a seccomp filter of our own. Everything started
//! under it inherits it; the specimen uses none of these calls.

use std::io;

use libc::{BPF_ABS, BPF_ALU, BPF_AND, BPF_JA, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter};

/// A call that is refused, in whole or with one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    PidfdOpen,
    PidfdSendSignal,
    /// `clone` with `CLONE_PIDFD`.
    ClonePidfd,
    /// `waitid` with `P_PIDFD`.
    WaitidPidfd,
    /// `ioctl` with `PIDFD_GET_INFO`.
    PidfdGetInfo,
    /// `pidfd_send_signal` with `PIDFD_SIGNAL_PROCESS_GROUP`, which kernels before 6.9 do not know.
    PidfdSignalGroup,
    /// Any other, by its number, as `libc::SYS_prctl`.
    Call(i64),
}

impl Refusal {
    /// All that has to do with pidfds.
    pub(crate) const PIDFDS: [Self; 5] =
        [Self::PidfdOpen, Self::PidfdSendSignal, Self::ClonePidfd, Self::WaitidPidfd, Self::PidfdGetInfo];

    /// The name that `REFUSED_CALLS` has for it.
    fn named(name: &str) -> Option<Self> {
        match name {
            "pidfd_open" => Some(Self::PidfdOpen),
            "pidfd_send_signal" => Some(Self::PidfdSendSignal),
            "clone_pidfd" => Some(Self::ClonePidfd),
            "waitid_pidfd" => Some(Self::WaitidPidfd),
            "pidfd_get_info" => Some(Self::PidfdGetInfo),
            "pidfd_signal_group" => Some(Self::PidfdSignalGroup),
            _ => None,
        }
    }

    /// The call's number, and of the argument that matters: its position, the bits of it, and their value.
    fn rule(self) -> (i64, Option<(u32, u32, u32)>) {
        match self {
            Self::PidfdOpen => (libc::SYS_pidfd_open, None),
            Self::PidfdSendSignal => (libc::SYS_pidfd_send_signal, None),
            Self::ClonePidfd => (libc::SYS_clone, Some((0, 0x1000, 0x1000))),
            Self::WaitidPidfd => (libc::SYS_waitid, Some((0, u32::MAX, libc::P_PIDFD))),
            // The size of the structure, in the upper half, has grown from kernel to kernel.
            Self::PidfdGetInfo => (libc::SYS_ioctl, Some((1, 0xffff, 0xff0b))),
            Self::PidfdSignalGroup => (libc::SYS_pidfd_send_signal, Some((3, 4, 4))),
            Self::Call(number) => (number, None),
        }
    }
}

/// What the whole test run is to do without: the environment variable `REFUSED_CALLS` holds names of pidfd calls, with
/// commas between them (or `all`), a colon, and the error, as `pidfd_open,clone_pidfd:ENOSYS`. Everything that is started
/// through the harness is refused these calls, so that the same tests show the same behaviour without them.
///
/// What can not be the same without them is said in the tests that meet it: see [`super::needs::calls`].
pub(crate) fn imposed() -> Vec<(Refusal, i32)> {
    let text = std::env::var("REFUSED_CALLS").unwrap_or_default();
    if text.is_empty() {
        return Vec::new();
    }
    let parsed = text.split_once(':').and_then(|(names, errno)| {
        let errno = match errno {
            "ENOSYS" => libc::ENOSYS,
            "EPERM" => libc::EPERM,
            "EINVAL" => libc::EINVAL,
            _ => return None,
        };
        let refusals = match names {
            "all" => Some(Refusal::PIDFDS.to_vec()),
            names => names.split(',').map(Refusal::named).collect(),
        };
        Some(refusals?.into_iter().map(|refusal| (refusal, errno)).collect())
    });
    parsed.unwrap_or_else(|| panic!("REFUSED_CALLS={text}: not as in pidfd_open,clone_pidfd:ENOSYS or all:EPERM"))
}

/// Lets these calls of this thread alone, and of what it starts, fail with this error, for good.
pub(crate) fn impose_on_this_thread(refusals: &[Refusal], errno: i32) {
    let refusals: Vec<_> = refusals.iter().map(|&refusal| (refusal, errno)).collect();
    install(&program(&refusals)).expect("a filter of our own");
}

/// `ppoll` with times of 64 bits, where words have 32; elsewhere no call has this number.
pub(crate) const PPOLL_TIME64: i64 = 414;

/// `AUDIT_ARCH_I386`.
const I386: u32 = 0x4000_0003;

/// The filter: these calls fail with these errors, all others pass. On `x86_64` it is made for 64-bit programs (and for
/// qemu, which makes its guest's calls in its own name), and for those of `i686`.
pub(super) fn program(refusals: &[(Refusal, i32)]) -> Vec<sock_filter> {
    if cfg!(not(target_arch = "x86_64")) {
        return program_with(refusals, |number| number);
    }
    let of_i386 = program_with(refusals, number_on_i386);
    let length = u32::try_from(of_i386.len()).expect("some instructions");
    // `struct seccomp_data` has the architecture behind the number.
    let mut program = vec![statement(BPF_LD | BPF_W | BPF_ABS, 4), jump_unless_equal(I386, 1)];
    program.push(statement(BPF_JMP | BPF_JA, 1));
    program.push(statement(BPF_JMP | BPF_JA, length));
    program.extend(of_i386);
    program.extend(program_with(refusals, |number| number));
    program
}

/// The number on `i686` of a call that is refused in some test.
fn number_on_i386(number: i64) -> i64 {
    match number {
        libc::SYS_clone => 120,
        libc::SYS_ioctl => 54,
        libc::SYS_kill => 37,
        libc::SYS_ppoll => 309,
        libc::SYS_prctl => 172,
        libc::SYS_sendto => 369,
        libc::SYS_setgroups => 206,
        libc::SYS_setresgid => 210,
        libc::SYS_setresuid => 208,
        libc::SYS_socket => 359,
        libc::SYS_unlinkat => 301,
        libc::SYS_waitid => 284,
        // The newer ones have the same everywhere.
        PPOLL_TIME64 | 424.. => number,
        _ => panic!("the number on i686 of what is {number} here"),
    }
}

/// Puts the filter, if there is anything in it, on the calling thread, for good, and on all that it starts. Makes system
/// calls only.
pub(super) fn install(filter: &[sock_filter]) -> io::Result<()> {
    if filter.is_empty() {
        return Ok(());
    }
    if !nix::unistd::geteuid().is_root() {
        // An unprivileged process may only filter itself when nothing it executes can gain rights.
        // SAFETY: touches no memory.
        if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    let program =
        libc::sock_fprog { len: u16::try_from(filter.len()).unwrap_or(0), filter: filter.as_ptr().cast_mut() };
    // SAFETY: the program and its instructions are alive until the call returns; the kernel only reads them.
    if unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn program_with(refusals: &[(Refusal, i32)], number_of: fn(i64) -> i64) -> Vec<sock_filter> {
    let mut program = Vec::new();
    for (refusal, errno) in refusals {
        let error = libc::SECCOMP_RET_ERRNO | u32::try_from(*errno).expect("a positive error number");
        let (number, argument) = refusal.rule();
        let number = u32::try_from(number_of(number)).expect("the number of a system call");
        program.push(statement(BPF_LD | BPF_W | BPF_ABS, 0));
        if let Some((position, mask, value)) = argument {
            // `struct seccomp_data`: the arguments are 64-bit words from offset 16; what matters is in the lower half.
            let half = if cfg!(target_endian = "big") { 4 } else { 0 };
            program.push(jump_unless_equal(number, 4));
            program.push(statement(BPF_LD | BPF_W | BPF_ABS, 16 + 8 * position + half));
            program.push(statement(BPF_ALU | BPF_AND | BPF_K, mask));
            program.push(jump_unless_equal(value, 1));
        } else {
            program.push(jump_unless_equal(number, 1));
        }
        program.push(statement(BPF_RET | BPF_K, error));
    }
    program.push(statement(BPF_RET | BPF_K, libc::SECCOMP_RET_ALLOW));
    program
}

fn statement(code: u32, operand: u32) -> sock_filter {
    sock_filter { code: u16::try_from(code).expect("a BPF code"), jt: 0, jf: 0, k: operand }
}

fn jump_unless_equal(operand: u32, distance: u8) -> sock_filter {
    sock_filter { jf: distance, ..statement(BPF_JMP | BPF_JEQ | BPF_K, operand) }
}

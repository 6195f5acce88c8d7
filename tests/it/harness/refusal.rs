//! System calls that a kernel or a container's filter refuses, played by a seccomp filter of our own. Everything started
//! under it inherits it; the specimen uses none of these calls.

use libc::{BPF_ABS, BPF_ALU, BPF_AND, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter};

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
    /// Any other, by its number, as `libc::SYS_prctl`.
    Call(i64),
}

impl Refusal {
    /// All that has to do with pidfds.
    pub(crate) const PIDFDS: [Self; 5] = [
        Self::PidfdOpen,
        Self::PidfdSendSignal,
        Self::ClonePidfd,
        Self::WaitidPidfd,
        Self::PidfdGetInfo,
    ];

    /// The call's number, and of the argument that matters: its position, the bits of it, and their value.
    fn rule(self) -> (i64, Option<(u32, u32, u32)>) {
        match self {
            Self::PidfdOpen => (libc::SYS_pidfd_open, None),
            Self::PidfdSendSignal => (libc::SYS_pidfd_send_signal, None),
            Self::ClonePidfd => (libc::SYS_clone, Some((0, 0x1000, 0x1000))),
            Self::WaitidPidfd => (libc::SYS_waitid, Some((0, u32::MAX, libc::P_PIDFD))),
            // The size of the structure, in the upper half, has grown from kernel to kernel.
            Self::PidfdGetInfo => (libc::SYS_ioctl, Some((1, 0xffff, 0xff0b))),
            Self::Call(number) => (number, None),
        }
    }
}

/// The filter: these calls fail with this error, all others pass.
///
/// It does not look at the architecture: on `x86_64` it is made for 64-bit programs (and for qemu, which makes its guest's
/// calls in its own name), not for 32-bit ones.
pub(super) fn program(refusals: &[Refusal], errno: i32) -> Vec<sock_filter> {
    let error = libc::SECCOMP_RET_ERRNO | u32::try_from(errno).expect("a positive error number");
    let mut program = Vec::new();
    for refusal in refusals {
        let (number, argument) = refusal.rule();
        let number = u32::try_from(number).expect("the number of a system call");
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
    sock_filter {
        code: u16::try_from(code).expect("a BPF code"),
        jt: 0,
        jf: 0,
        k: operand,
    }
}

fn jump_unless_equal(operand: u32, distance: u8) -> sock_filter {
    sock_filter {
        jf: distance,
        ..statement(BPF_JMP | BPF_JEQ | BPF_K, operand)
    }
}

//! The system calls, typed.
//!
//! The only unsafe code of the library. Wrappers keep the kernel's names and hand back a bare error number; the caller,
//! who knows what the call was for, adds the rest.
#![expect(
    unsafe_code,
    reason = "system calls are made here, so that they need not be made elsewhere"
)]

mod credentials;
mod event;
mod file;
mod memory;
mod process;
mod start;
mod text;

pub use credentials::{getegid, geteuid, getgroups, setgroups, setresgid, setresuid};
pub use event::{Ready, Received, SignalFd, SignalInfo, Timeout, poll, poll_reaped, reset_sigchld, sigprocmask};
pub use file::{Fd, FileBytes, Stamp, getcwd, is_terminal, open, open_no_follow, unlink, write};
pub use memory::forget_stack_below;
pub use process::{
    PidFd, WaitStatus, become_subreaper, clone, exit, find_child, find_process, getpid, kill, queue, wait,
};
pub use start::{Arguments, Environment, SavedVariable, Start};
pub use syscalls::Errno;
pub use text::{Text, TextBuffer};

/// What a system call gives.
pub type Result<T> = core::result::Result<T, Errno>;

/// The descriptors of every program (stdin(3)).
pub const STANDARD_INPUT: i32 = 0;
/// Where help and version go.
pub const STANDARD_OUTPUT: i32 = 1;
/// Where failures and notes go.
pub const STANDARD_ERROR: i32 = 2;

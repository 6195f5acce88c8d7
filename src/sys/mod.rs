//! The system calls, typed.
//!
//! The only unsafe code of the library. Wrappers keep the kernel's names and hand back its bare [`Outcome`]; the caller,
//! who knows what the call was for, adds the rest.
#![expect(unsafe_code, reason = "system calls are made here, so that they need not be made elsewhere")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "the kernel's words are wider than what it puts into them"
)]
#![expect(clippy::must_use_candidate, reason = "what a call gives is told by its type: an outcome must be used")]

mod call;
mod credentials;
mod event;
mod file;
mod header;
mod memory;
mod native;
mod notify;
mod outcome;
pub mod pidfd;
mod process;
mod start;
mod table;
mod terminal;
mod text;

pub use credentials::{Groups, Ids, UNCHANGED, getegid, geteuid, getuid, setgroups, setresuid};
pub use event::{Action, Ready, Received, SignalFd, SignalInfo, Timeout, is_writable, payload, poll, sigprocmask};
pub use file::{
    Fd, ReadBuffer, Stamp, append_output_to, change_to_root, close, close_all_but, close_on_exec, is_terminal, open,
    unlink, write,
};
pub use header::{DEFAULT_PATH, ENDED, FOLLOWING, RESTART, ROOT_HOME};
pub use memory::{in_register, text_in_register};
pub use notify::Address;
pub use outcome::Outcome;
pub use process::{
    Children, PendingLimit, PidFd, WaitStatus, alarm, become_subreaper, clone, exit, find_any_child, find_child,
    getpid, has_executed, kill, queue, raise, set_parent_death_signal, wait,
};
pub use start::{Arguments, Environment, Start, Variable, Words};
pub use table::Table;
pub use terminal::lead_foreground_group;
pub use text::{Text, TextBuffer};

/// The descriptors of every program (stdin(3)).
pub const STANDARD_INPUT: i32 = 0;
/// Where help and version go.
pub const STANDARD_OUTPUT: i32 = 1;
/// Where failures and notes go.
pub const STANDARD_ERROR: i32 = 2;

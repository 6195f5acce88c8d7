//! The integration tests of pidproxy: they drive the built program (`BINARY_UNDER_TEST`, by default
//! `target/release/pidproxy`, run through `RUNNER_UNDER_TEST` if that is set) against real processes, by handshake and
//! deadline, never by a bare sleep. Start reading at [`harness`].
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected has failed, and says so by panicking"
)]

mod artifact;
mod c_original;
mod command_line;
mod daemons;
mod fallbacks;
#[allow(dead_code, reason = "each test module uses some of it")]
mod harness;
mod identity;
mod init;
mod library;
mod life;
mod pid_files;
mod rooms;
mod signals;
mod smoke;
mod status;
mod supervision;

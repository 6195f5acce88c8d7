//! `_start`, one file an architecture: takes the stack pointer from the kernel and calls `enter` with it.
#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
mod arch;

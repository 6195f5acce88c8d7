//! What a test needs and a machine may not have. A test that cannot run says so aloud, so that nobody takes it for passed:
//!
//! ```ignore
//! if let Err(reason) = needs::root().and_then(|()| needs::program("strace")) {
//!     return skip(&reason);
//! }
//! ```

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{Refusal, refusal, runner};

/// Prints `SKIPPED <test>: <reason>` to standard error (past libtest's capture) and appends it to the file that the
/// environment variable `SKIPPED_LOG` names, so that it can be shown and counted.
pub(crate) fn skip(reason: &str) {
    let thread = std::thread::current();
    // libtest names the thread after the test, except where it runs all of them on the main thread.
    let line = format!("SKIPPED {}: {reason}\n", thread.name().unwrap_or("(unnamed)"));
    // One write each, so that lines of parallel tests do not mix.
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("SKIPPED_LOG") {
        let mut log = File::options().append(true).create(true).open(&path).expect("SKIPPED_LOG can be written");
        log.write_all(line.as_bytes()).expect("SKIPPED_LOG can be written");
    }
}

/// Needs uid 0 (to become other users, to mount, to write to `/proc`).
pub(crate) fn root() -> Result<(), String> {
    if nix::unistd::geteuid().is_root() { Ok(()) } else { Err("needs root".to_owned()) }
}

/// Needs a binary that runs here as it is: what starts it by itself (an engine), looks at its memory, or traces its system
/// calls would find the emulator.
pub(crate) fn native() -> Result<(), String> {
    if runner().is_empty() { Ok(()) } else { Err("needs a binary of this machine".to_owned()) }
}

/// Needs this program in the PATH or in the administrator's directories.
pub(crate) fn program(name: &str) -> Result<(), String> {
    find_program(name).map(drop).ok_or_else(|| missing(name))
}

/// The reason to skip what needs a program that is not there. `tests/run` tells the want of a package by these words.
pub(crate) fn missing(program: &str) -> String {
    format!("needs the program {program}")
}

/// Where this program is, in the PATH or in the administrator's directories (where Debian keeps most daemons).
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let administrative = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(administrative).map(|directory| directory.join(name)).find(|file| file.is_file())
}

/// Needs `unshare` with these options to work here, as `&["--mount"]` or `&["--pid", "--fork", "--mount-proc"]`.
pub(crate) fn unshare(options: &[&str]) -> Result<(), String> {
    let run = Command::new("unshare").args(options).arg("true").stdin(Stdio::null()).stderr(Stdio::null()).status();
    match run {
        Ok(status) if status.success() => Ok(()),
        _ => Err(format!("needs unshare {}", options.join(" "))),
    }
}

/// The options by which unshare(1) makes process 1 of a namespace of its own, with a `/proc` that shows it.
pub(super) const NAMESPACE: [&str; 3] = ["--pid", "--fork", "--mount-proc"];

/// Needs to be able to make process 1: see [`super::Proxy::process_1`].
pub(crate) fn process_1() -> Result<(), String> {
    root().and_then(|()| unshare(&NAMESPACE))
}

/// Needs these calls, which `REFUSED_CALLS` may have taken away (see [`super::refusal::imposed`]).
pub(crate) fn calls(wanted: &[Refusal]) -> Result<(), String> {
    match refusal::imposed().iter().find(|(refused, _)| wanted.contains(refused)) {
        None => Ok(()),
        Some((refused, _)) => Err(format!("needs {refused:?}")),
    }
}

/// Needs this version of Linux, or a later one.
pub(crate) fn linux(major: u32, minor: u32) -> Result<(), String> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers =
        release.split(|character: char| !character.is_ascii_digit()).map(|number| number.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= (major, minor) { Ok(()) } else { Err(format!("needs Linux {major}.{minor}")) }
}

/// Whether the kernel tells how a process ended that is not a child of who asks: Linux 6.15 and later, through a pidfd.
pub(crate) fn kernel_tells_foreign_status() -> bool {
    linux(6, 15).is_ok()
}

/// Whether the program under test is told so: qemu-user does not know the ioctl.
pub(crate) fn tells_foreign_status() -> bool {
    kernel_tells_foreign_status() && native().is_ok() && calls(&[Refusal::PidfdOpen, Refusal::PidfdGetInfo]).is_ok()
}

/// Needs to trace: strace, and the right to use it (containers often deny ptrace).
pub(crate) fn strace() -> Result<(), String> {
    native()?;
    program("strace")?;
    let run = Command::new("strace").args(["-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    match run {
        Ok(status) if status.success() => Ok(()),
        _ => Err("needs strace to be allowed".to_owned()),
    }
}

/// Needs perf to count system calls: the program, the right, and a kernel with tracepoints.
pub(crate) fn system_call_counter() -> Result<(), String> {
    native()?;
    let words = ["stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "true"];
    let run = Command::new("perf").args(words).stdin(Stdio::null()).stderr(Stdio::piped()).output();
    match run {
        Ok(output) if output.status.success() && !String::from_utf8_lossy(&output.stderr).contains("<not") => Ok(()),
        _ => Err("needs perf to be allowed to count system calls".to_owned()),
    }
}

//! What a process can see of its own rights and surroundings, by system calls rather than `/proc`, which a chroot or an
//! empty image may not have.

use std::ffi::OsStr;
use std::os::fd::BorrowedFd;

use nix::unistd::{Gid, Pid, Uid, getgroups, getpgrp, getpid, getresgid, getresuid, getsid, isatty, tcgetpgrp};
use nix::unistd::{setegid, seteuid, setgid, setresgid, setresuid, setuid};

use crate::report::{Report, bytes_of};
use crate::signals;

/// Descriptors looked at, from 0 up.
const DESCRIPTORS: i32 = 1024;

/// Puts the report `facts` together: the fields of `ready`, and
///
/// - `ruid` `euid` `suid` `rgid` `egid` `sgid`, `groups` (ascending ranges: `4,1000-1003`), `group_count`
/// - `regain_uid`, `regain_gid`: `refused` or `possible`. Found out by trying, so they come last; nothing is undone.
/// - `blocked` `ignored` `handled`: signal sets in hexadecimal, bit n-1 for signal n; `pending` likewise
/// - `effective`, `permitted` (capabilities, hexadecimal, when `/proc` is there), `umask` (octal), `cwd`, `argv` (list)
/// - `descriptors`: the open ones; `close_on_exec` never shows here, for this process was executed
/// - `session_leader`, `group_leader`, `stdin_terminal`: `yes` or `no`; `terminal_group`: the foreground group, or -1
/// - `HOME`, and `env.NAME` for each name asked for; absent when not set
pub(crate) fn facts<T: AsRef<OsStr>>(name: &str, environment: &[String], arguments: &[T]) -> Report {
    let report = Report::of_self(name, "facts");
    let report = surroundings(report, environment, arguments);
    rights(report)
}

fn surroundings<T: AsRef<OsStr>>(report: Report, environment: &[String], arguments: &[T]) -> Report {
    // SAFETY: the descriptor is only looked at; should it be closed, the answer is "no".
    let input = unsafe { BorrowedFd::borrow_raw(0) };
    let (ignored, handled) = signals::dispositions();
    let descriptors = (0..DESCRIPTORS).filter(|&number| {
        // SAFETY: touches no memory and changes nothing.
        unsafe { libc::fcntl(number, libc::F_GETFD) != -1 }
    });
    let mut report = report
        .field("blocked", format_args!("{:x}", signals::blocked()))
        .field("ignored", format_args!("{ignored:x}"))
        .field("handled", format_args!("{handled:x}"))
        .list("descriptors", descriptors.map(|number| number.to_string()))
        .list("argv", arguments.iter().map(|argument| bytes_of(argument.as_ref())))
        .field("session_leader", yes_or_no(getsid(None) == Ok(getpid())))
        .field("group_leader", yes_or_no(getpgrp() == getpid()))
        .field("stdin_terminal", yes_or_no(isatty(input).unwrap_or(false)))
        .field("terminal_group", tcgetpgrp(input).map_or(-1, Pid::as_raw))
        .field("umask", format_args!("{:03o}", current_umask()));
    if let Ok(directory) = std::env::current_dir() {
        report = report.bytes("cwd", bytes_of(directory.as_os_str()));
    }
    if let Some(home) = std::env::var_os("HOME") {
        report = report.bytes("HOME", bytes_of(&home));
    }
    for name in environment {
        if let Some(value) = std::env::var_os(name) {
            report = report.bytes(&format!("env.{name}"), bytes_of(&value));
        }
    }
    report
}

fn rights(mut report: Report) -> Report {
    if let Ok(ids) = getresuid() {
        report = report.field("ruid", ids.real).field("euid", ids.effective).field("suid", ids.saved);
    }
    if let Ok(ids) = getresgid() {
        report = report.field("rgid", ids.real).field("egid", ids.effective).field("sgid", ids.saved);
    }
    let mut groups: Vec<u32> = getgroups().unwrap_or_default().into_iter().map(Gid::as_raw).collect();
    groups.sort_unstable();
    report = report.field("group_count", groups.len()).list("groups", ranges(&groups));
    for (key, line) in [("effective", "CapEff:"), ("permitted", "CapPrm:"), ("pending", "ShdPnd:")] {
        if let Some(value) = line_of_status(line).and_then(|digits| u64::from_str_radix(&digits, 16).ok()) {
            report = report.field(key, format_args!("{value:x}"));
        }
    }
    // Each way back on its own: a set of identifiers may allow one and refuse another. Groups first, for to regain the
    // user would make everything possible.
    let (root, wheel) = (Uid::from_raw(0), Gid::from_raw(0));
    let group = setgid(wheel).is_ok() || setresgid(wheel, wheel, wheel).is_ok() || setegid(wheel).is_ok();
    let user = setuid(root).is_ok() || setresuid(root, root, root).is_ok() || seteuid(root).is_ok();
    let word = |possible| if possible { "possible" } else { "refused" };
    report.field("regain_gid", word(group)).field("regain_uid", word(user))
}

/// `4,1000-1003`, from ascending numbers: 65,536 groups would not fit into a datagram otherwise.
fn ranges(numbers: &[u32]) -> Vec<String> {
    numbers
        .chunk_by(|left, right| left.checked_add(1) == Some(*right))
        .filter_map(|range| match (range.first()?, range.last()?) {
            (first, last) if first == last => Some(first.to_string()),
            (first, last) => Some(format!("{first}-{last}")),
        })
        .collect()
}

fn line_of_status(start: &str) -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(start))?;
    Some(line.trim().to_owned())
}

fn current_umask() -> libc::mode_t {
    // SAFETY: touches no memory; the specimen has one thread, so nothing is created in between.
    let mask = unsafe { libc::umask(0) };
    // SAFETY: as above.
    unsafe { libc::umask(mask) };
    mask
}

fn yes_or_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

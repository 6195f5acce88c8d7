//! What `/proc` says about processes.

use std::collections::HashMap;
use std::fs;

/// All processes of this namespace.
pub(crate) fn all() -> Vec<i32> {
    let entries = fs::read_dir("/proc").expect("/proc can be read");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// The value of a line of `/proc/PID/status`, as `SigBlk`, `Uid`, `Groups`, `VmRSS`; `None` once the process is reaped.
pub(crate) fn status_field(pid: i32, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(value.trim().to_owned())
}

/// `R`, `S`, `T`, `Z`...; `None` once the process is reaped.
pub(crate) fn state(pid: i32) -> Option<char> {
    stat(pid)?.chars().next()
}

/// Whether it is there and no zombie.
pub(crate) fn lives(pid: i32) -> bool {
    state(pid).is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// Its parent; `None` once the process is reaped.
pub(crate) fn parent(pid: i32) -> Option<i32> {
    stat(pid)?.split(' ').nth(1)?.parse().ok()
}

/// When it was started, in ticks since the boot: another process of its number was started later.
pub(crate) fn start_time(pid: i32) -> Option<u64> {
    stat(pid)?.split(' ').nth(19)?.parse().ok()
}

/// Its children, zombies included.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    all().into_iter().filter(|&candidate| parent(candidate) == Some(pid)).collect()
}

/// The process and all its descendants, parents before children. One pass over all processes: there may be thousands.
pub(crate) fn tree(pid: i32) -> Vec<i32> {
    let mut children = HashMap::<i32, Vec<i32>>::new();
    for candidate in all() {
        if let Some(parent) = parent(candidate) {
            children.entry(parent).or_default().push(candidate);
        }
    }
    let mut tree = vec![pid];
    let mut next = 0;
    while let Some(parent) = tree.get(next) {
        tree.extend(children.remove(parent).unwrap_or_default());
        next += 1;
    }
    tree
}

/// Its resident memory in KiB: exact from `smaps_rollup`, where that can be read, else from `status`.
pub(crate) fn rss_kib(pid: i32) -> Option<u64> {
    let exact = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok();
    let line = exact
        .as_deref()
        .and_then(|text| text.lines().find_map(|line| line.strip_prefix("Rss:")))
        .map(str::to_owned)
        .or_else(|| status_field(pid, "VmRSS"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Its command line, for people; a zombie has none.
pub(crate) fn command_line(pid: i32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim_end_matches('\0').replace('\0', " ")
}

/// The open descriptors, with what they lead to.
pub(crate) fn descriptors(pid: i32) -> Vec<(i32, String)> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return Vec::new();
    };
    let mut descriptors: Vec<_> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let target = fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned();
            Some((entry.file_name().to_str()?.parse().ok()?, target))
        })
        .collect();
    descriptors.sort_unstable();
    descriptors
}

/// What follows the name in `/proc/PID/stat`: the state, the parent, and so on. A name may hold anything, `)` too.
fn stat(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(") ")?.1.to_owned())
}

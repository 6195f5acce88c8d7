//! `-l`: the command's standard output and error are appended to a file.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use crate::harness::needs::{self, skip};
use crate::harness::{Output, Proxy, Scope};

/// The proxy with a shell's command line.
fn shell<'scope>(scope: &'scope Scope, log: &Path, script: &str) -> Proxy<'scope> {
    Proxy::new(scope).options(["-l"]).options([log]).pid_file("-").command(["sh", "-c", script])
}

#[test]
fn output_and_errors_are_appended() {
    let scope = Scope::new();
    let log = scope.path("log");
    fs::write(&log, "before\n").expect("a new file");
    for _ in 0..2 {
        let finished = shell(&scope, &log, "echo output; echo error >&2").run().expect_code(0);
        assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("", ""));
    }
    assert_eq!(fs::read_to_string(&log).expect("a log"), "before\noutput\nerror\noutput\nerror\n");
}

#[test]
fn a_new_file_is_for_its_owner_and_group() {
    let scope = Scope::new();
    for (mask, mode) in [("022", 0o640), ("000", 0o640), ("077", 0o600)] {
        let log = scope.path(&format!("log{mask}"));
        let set_mask = ["sh", "-c", &format!("umask {mask}; exec \"$@\""), "sh"];
        shell(&scope, &log, "echo output").prefix(set_mask).run().expect_code(0);
        let permissions = fs::metadata(&log).expect("a log").permissions();
        assert_eq!(permissions.mode() & 0o7777, mode, "umask {mask}");
    }
}

#[test]
fn a_link_is_followed() {
    let scope = Scope::new();
    symlink("real", scope.path("log")).expect("a link");
    shell(&scope, &scope.path("log"), "echo output").run().expect_code(0);
    assert_eq!(fs::read_to_string(scope.path("real")).expect("a log"), "output\n");
}

/// What can not be appended to is told at once, and nothing is started.
#[test]
fn without_a_log_nothing_is_started() {
    let scope = Scope::new();
    for path in [scope.path("nowhere/log"), scope.path("")] {
        let finished = shell(&scope, &path, "echo started").run().expect_code(125);
        assert_eq!(finished.stdout, "");
        finished.expect_failure(&path);
    }
}

/// It is opened with the command's rights, so that it can not be written where the user may not.
#[test]
fn the_user_has_to_be_allowed_to_write_it() {
    if let Err(reason) = needs::root() {
        return skip(&reason);
    }
    let scope = Scope::new();
    let as_user = |log: &Path| shell(&scope, log, "echo output").options(["-U", "4711:4712"]);
    let theirs = scope.directory_for("theirs", 4711, 4712).join("log");
    as_user(&theirs).run().expect_code(0);
    let metadata = fs::metadata(&theirs).expect("a log");
    assert_eq!((metadata.uid(), metadata.gid(), metadata.len()), (4711, 4712, 7));
    let ours = scope.path("ours");
    fs::write(&ours, "ours\n").expect("a new file");
    let finished = as_user(&ours).run().expect_code(125);
    assert!(finished.stderr.contains(": EACCES"), "{}", finished.stderr);
    assert_eq!(fs::read_to_string(&ours).expect("a file"), "ours\n");
}

/// The descriptor that it was opened as is not one of the command's, wherever it came to be.
#[test]
fn no_descriptor_is_left() {
    for closed in ["", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"] {
        let scope = Scope::new();
        let log = scope.path("log");
        let close = ["sh", "-c", &format!("exec \"$@\" {closed}"), "sh"];
        // Of the shell's own there is none above 9 at that time, and the one that lists them is 3.
        let script = "echo output; echo error >&2; echo /proc/$$/fd/*";
        shell(&scope, &log, script).prefix(close).stdout(Output::Captured).run().expect_code(0);
        let text = fs::read_to_string(&log).expect("a log");
        let (lines, descriptors) = text.trim_end().rsplit_once('\n').expect("lines");
        assert_eq!(lines, "output\nerror", "{closed:?}");
        let numbers: Vec<u32> = descriptors
            .split(' ')
            .filter_map(|path| path.rsplit('/').next()?.parse().ok())
            .filter(|number| (4..10).contains(number))
            .collect();
        assert_eq!(numbers, [0; 0], "{closed:?}: {descriptors}");
    }
}

/// The hook's output is not the command's.
#[test]
fn the_hook_writes_where_we_do() {
    let scope = Scope::new();
    let log = scope.path("log");
    let hook = scope.script("hook", "#!/bin/sh\necho hook\n");
    let finished = shell(&scope, &log, "echo output").options(["-E"]).options([&hook]).run().expect_code(0);
    assert_eq!(finished.stdout, "hook\n");
    assert_eq!(fs::read_to_string(&log).expect("a log"), "output\n");
}

//! Commands that can not be executed, and how commands are found.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::at_once;
use crate::harness::{Finished, Proxy, Report, Scope};

/// A run of a command in the scope's directory, with a `PATH` of names in it.
fn run(scope: &Scope, path: &str, directory: &str, command: &[&str]) -> Finished {
    let entries: Vec<String> = path
        .split(':')
        .map(|entry| match entry {
            "" | "." => entry.to_owned(),
            name => scope.path(name).display().to_string(),
        })
        .collect();
    Proxy::new(scope)
        .options(["-w", "1000"])
        .pid_file(scope.path("pid"))
        .command(command)
        .env("PATH", entries.join(":"))
        .directory(scope.path(directory))
        .run()
}

/// Checks the one line on standard error, which names the command and has a reason.
fn check_complaint(finished: &Finished, code: i32, command: &str) {
    let complaint = finished.stderr.strip_suffix('\n').unwrap_or_default();
    let reason = complaint.rsplit_once(": ").map_or("", |(_, reason)| reason);
    assert_eq!(finished.code(), Some(code), "{command:?}: {:?}", finished.stderr);
    assert!(
        complaint.starts_with("pidproxy: ") && !complaint.contains('\n') && !reason.is_empty(),
        "{command:?}: {:?}",
        finished.stderr
    );
    assert!(complaint.contains(&format!(" {command}: ")), "{command:?} is not named: {complaint:?}");
}

/// Directories with a `tool` each that exits with a status of its own, and some that have none to offer.
fn lay_out(scope: &Scope) {
    for directory in ["a", "b", "none", "locked", "folder", "bad", "plain", "folder/tool"] {
        fs::create_dir(scope.path(directory)).expect("a new directory");
    }
    scope.script("a/tool", "#!/bin/sh\nexit 11\n");
    scope.script("b/tool", "#!/bin/sh\nexit 12\n");
    scope.script("bad/tool", "#!/no/such/interpreter\n");
    scope.script("plain/tool", "exit 14\n");
    fs::write(scope.path("locked/tool"), "#!/bin/sh\nexit 13\n").expect("a file without the right to execute it");
    fs::write(scope.path("file"), "").expect("a file that is no directory");
    symlink("loop", scope.path("loop")).expect("a symbolic link to itself");
}

#[test]
fn a_command_that_can_not_be_executed_is_told_at_once() {
    let scope = Scope::new();
    lay_out(&scope);
    let long_name = "n".repeat(300);
    let cases = [
        ("no-such-command", 127),
        ("/no/such/command", 127),
        ("./no-such-command", 127),
        ("none/tool", 127),
        ("", 127),
        ("bad/tool", 127),
        ("locked/tool", 126),
        ("folder/tool", 126),
        ("folder/", 126),
        ("/", 126),
        ("./loop", 126),
        (&long_name, 126),
    ];
    for (command, code) in cases {
        let finished = at_once(command, || run(&scope, "a:b", "", &[command, "argument"]));
        check_complaint(&finished, code, command);
        assert!(!scope.path("pid").exists());
    }
    // The shells do not agree on whether this is not found or not executable.
    let finished = at_once("file/tool", || run(&scope, "a:b", "", &["file/tool"]));
    assert!(matches!(finished.code(), Some(126 | 127)), "{:?}", finished.status);
    assert_eq!(scope.left_over(), []);
}

#[test]
fn what_the_search_finds_only_to_refuse_it_is_told() {
    let scope = Scope::new();
    lay_out(&scope);
    for (path, code) in [
        ("none", 127),
        ("none:none", 127),
        ("file", 127),
        ("bad", 127),
        ("locked", 126),
        ("none:locked:none", 126),
        ("folder", 126),
    ] {
        let finished = at_once(path, || run(&scope, path, "", &["tool"]));
        check_complaint(&finished, code, "tool");
    }
}

#[test]
fn commands_are_searched_as_execvp_does() {
    let scope = Scope::new();
    lay_out(&scope);
    let long = "long/".repeat(1000);
    for (path, directory, command, code) in [
        ("a:b", "", "tool", 11),
        ("b:a", "", "tool", 12),
        ("none:b", "", "tool", 12),
        ("no-such-directory:b", "", "tool", 12),
        ("file:b", "", "tool", 12),
        ("locked:b", "", "tool", 12),
        ("folder:b", "", "tool", 12),
        ("bad:b", "", "tool", 12),
        ("plain:b", "", "tool", 14),
        (&format!("{long}:b"), "", "tool", 12),
        // An empty entry, or no entry at all, is the working directory.
        ("", "a", "tool", 11),
        (":none", "a", "tool", 11),
        (":b", "a", "tool", 11),
        ("none:", "a", "tool", 11),
        ("none::b", "a", "tool", 11),
        ("b:", "a", "tool", 12),
        (".", "a", "tool", 11),
        // What has a slash is no matter for a search.
        ("b", "", "a/tool", 11),
        ("b", "a", "./tool", 11),
        ("a", "b", "../a/../b/tool", 12),
    ] {
        let finished = run(&scope, path, directory, &[command]);
        assert_eq!(finished.code(), Some(code), "{path:?} in {directory:?}: {}", finished.stderr);
    }
}

#[test]
fn without_a_path_the_usual_places_are_searched() {
    let scope = Scope::new();
    let run = |command: &[&str]| {
        Proxy::new(&scope)
            .pid_file(scope.path("pid"))
            .command(command)
            .env_remove("PATH")
            .directory(scope.path(""))
            .run()
    };
    run(&["sh", "-c", "exit 15"]).expect_code(15);
    // The working directory is none of them.
    scope.script("tool", "#!/bin/sh\nexit 11\n");
    check_complaint(&run(&["tool"]), 127, "tool");
}

#[test]
fn a_variable_that_only_begins_like_path_is_another() {
    let scope = Scope::new();
    lay_out(&scope);
    Proxy::new(&scope)
        .pid_file(scope.path("pid"))
        .command(["tool"])
        .env("PATHS", scope.path("b"))
        .env("XPATH", scope.path("b"))
        .env("PATH", scope.path("a"))
        .run()
        .expect_code(11);
}

#[test]
fn what_has_no_interpreter_is_run_by_the_shell() {
    let scope = Scope::new();
    fs::create_dir(scope.path("bin")).expect("a new directory");
    let script = scope.script("bin/words", "printf '<%s>' \"$0\" \"$@\"; exit 21\n");
    let script = script.display().to_string();
    for (path, directory, command, name) in [
        ("none", "", script.as_str(), script.as_str()),
        ("bin", "", "words", &script),
        ("none:bin:none", "", "words", &script),
        ("none", "bin", "./words", "./words"),
        ("none", "", "bin/words", "bin/words"),
    ] {
        let finished = run(&scope, path, directory, &[command, "", "two words", "-x", "--"]).expect_code(21);
        assert_eq!(finished.stdout, format!("<{name}><><two words><-x><-->"), "{command}");
        assert_eq!(run(&scope, path, directory, &[command]).stdout, format!("<{name}>"));
    }
    // An empty file is a script that does nothing.
    scope.script("empty", "");
    run(&scope, "none", "", &["./empty"]).expect_failure(scope.path("pid"));
}

#[test]
fn a_command_is_given_its_words_as_they_are() {
    let scope = Scope::new();
    let specimen = scope.specimen();
    let (directory, name) = (specimen.parent().map(Path::to_owned), specimen.file_name());
    let finished = Proxy::new(&scope)
        .pid_file(scope.path("pid"))
        .command([name.expect("a name").to_str().expect("ASCII"), "facts", "--env=PATH"])
        .env("PATH", directory.expect("a directory"))
        .run();
    finished.expect_failure(scope.path("pid"));
    let facts: Report = scope.reports().expect("facts", "facts");
    assert_eq!(facts.list("argv"), ["specimen", "facts", "--env=PATH"]);
    let finished = Proxy::new(&scope)
        .pid_file(scope.path("pid"))
        .specimen(["print-args", "", " ", "-v", "--", "-", "a\nb", "\u{fc}"])
        .run();
    assert_eq!(finished.stdout, "\n \n-v\n--\n-\na\nb\n\u{fc}\n");
}

#[test]
fn a_script_without_interpreter_can_be_a_launcher() {
    let scope = Scope::new();
    let text = format!(
        "exec '{}' daemon --pid-file='{}' --exit-after-ready=\"$1\"\n",
        scope.specimen().display(),
        scope.path("pid").display()
    );
    let script = scope.script("launch", &text).display().to_string();
    run(&scope, "none", "", &[&script, "23"]).expect_code(23);
}

//! With whose rights the proxy itself works, and with whose the exit hook.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;

use super::{Accounts, Expected, LEFT_OVER, assert_no_faults, private_accounts};
use crate::harness::needs::skip;
use crate::harness::{DEADLINE, Proxy, Running, Scope, eventually, proc};

/// The uids and gids of `/proc/PID/status`: real, effective, saved, and of the file system.
fn ids(pid: i32, field: &str) -> Vec<u32> {
    let ids = proc::status_field(pid, field).expect("a living process");
    ids.split_whitespace().map(|id| id.parse().expect("an id")).collect()
}

/// A daemon behind a proxy of root's, in these supplementary groups, and with these options.
fn spawn_daemon(accounts: &Accounts, groups: &[u32], options: &[&str]) -> Running {
    let pid_file = accounts.pid_file();
    let running = accounts
        .proxy()
        .user(0, 0, groups)
        .options(options)
        .pid_file(&pid_file)
        .specimen(["daemon", "--exit-on=TERM:3"])
        .command([format!("--pid-file={}", pid_file.display())])
        .spawn();
    accounts.scope.reports().expect("daemon", "ready");
    running
}

#[test]
fn the_proxy_works_with_the_rights_of_the_user() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    for (options, uid, gid) in [
        (["-U", "anna"], 1000, 1001),
        (["-U", "anna:staff"], 1000, 50),
        (["-U", "1234"], 1234, 1234),
        (["-U", "1234:50"], 1234, 50),
    ] {
        let accounts = Accounts::usual();
        let scope = &accounts.scope;
        let pid_file = accounts.pid_file();
        let launcher = scope.control("launcher-control");
        let daemon = scope.control("daemon-control");
        let running = accounts
            .proxy()
            .user(0, 7, &[4, 5, 6, 7])
            .options(options)
            .pid_file(&pid_file)
            .specimen(["daemon", "--launcher-stays", "--no-pid-file", "--exit-on=TERM:3"])
            .command([launcher.launcher_option(), daemon.option()])
            .command([format!("--pid-file={}", pid_file.display())])
            .spawn();
        let check = |phase: &str| {
            let pid = running.pid();
            assert_eq!(ids(pid, "Uid"), [uid, uid, 0, uid], "{options:?}, {phase}");
            let [real, effective, _, file_system] = ids(pid, "Gid")[..] else { panic!("four gids") };
            assert_eq!([real, effective, file_system], [gid; 3], "{options:?}, {phase}");
            let groups = running.status_field("Groups");
            let is_roots = |gid: &str| ["4", "5", "6", "7"].contains(&gid);
            assert!(!groups.split_whitespace().any(is_roots), "{options:?}, {phase}: {groups}");
            assert_eq!(running.status_field("CapEff"), "0000000000000000", "{options:?}, {phase}");
        };
        scope.reports().expect("launcher", "ready");
        scope.reports().expect("daemon", "ready");
        check("launching");
        launcher.send("exit 0");
        daemon.send("write-pid-file");
        // Until the daemon is found, this stays pending.
        running.signal(libc::SIGUSR1);
        scope.reports().expect("daemon", "signal");
        check("watching");
        running.signal(libc::SIGTERM);
        running.wait().expect_code(3);
    }
}

/// What the user may read and signal, as a member of a group too, the proxy may, and nothing else.
#[test]
fn the_proxy_has_the_supplementary_groups_of_the_command() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    for options in [["-U", "anna"], ["-U", "anna:staff"], ["-U", "1234"]] {
        let accounts = Accounts::usual();
        let running = spawn_daemon(&accounts, &[4, 5], &options);
        let only_child = || if let [child] = proc::children(running.pid())[..] { Some(child) } else { None };
        let daemon = eventually(DEADLINE, only_child).expect("one child, once the launcher was reaped");
        assert_eq!(ids(running.pid(), "Groups"), ids(daemon, "Groups"), "{options:?}");
        running.signal(libc::SIGTERM);
        running.wait().expect_code(3);
    }
}

#[test]
fn without_a_switch_the_proxy_keeps_its_rights() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    let accounts = Accounts::usual();
    let running = spawn_daemon(&accounts, &[4, 5], &[]);
    let pid = running.pid();
    assert_eq!((ids(pid, "Uid"), ids(pid, "Gid"), ids(pid, "Groups")), (vec![0; 4], vec![0; 4], vec![4, 5]));
    running.signal(libc::SIGTERM);
    running.wait().expect_code(3);
}

#[test]
fn a_pid_file_that_the_user_cannot_read_is_not_read() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    let accounts = Accounts::usual();
    let scope = &accounts.scope;
    // Everything else is as it should be: root's file, and a process that the user may signal.
    let daemon = Proxy::absent(scope).user(1000, 1001, &[]).specimen(["program", "--exit-on=TERM:0"]).spawn();
    let pid = scope.reports().expect("program", "ready").pid();
    let hidden = scope.path("hidden");
    fs::create_dir(&hidden).expect("our own directory");
    let attach = |mode: u32, directory_mode: u32, options: &[&str]| {
        let file = hidden.join("pid");
        fs::write(&file, format!("{pid}\n")).expect("our own file");
        fs::set_permissions(&file, Permissions::from_mode(mode)).expect("our own file");
        fs::set_permissions(&hidden, Permissions::from_mode(directory_mode)).expect("our own directory");
        accounts.proxy().options(options).options(["-v", "-w", "0"]).pid_file(&file).spawn()
    };
    for (mode, directory_mode) in [(0o600, 0o755), (0o640, 0o755), (0o644, 0o700)] {
        for trust in [[].as_slice(), &["-a"]] {
            let running = attach(mode, directory_mode, &[&["-U", "anna"], trust].concat());
            running.wait().expect_failure(hidden.join("pid"));
        }
    }
    let mut allowed = attach(0o600, 0o700, &[]);
    allowed.expect_line(|line| line.contains(&format!("following: {pid}")));
    allowed.signal(libc::SIGUSR1);
    scope.reports().expect("program", "signal");
    drop(allowed);
    let mut running = attach(0o644, 0o755, &["-U", "anna"]);
    running.expect_line(|line| line.contains(&format!("following: {pid}")));
    running.signal(libc::SIGTERM);
    daemon.wait().expect_code(0);
    running.wait().expect_code(0);
}

#[test]
fn a_pid_file_that_the_user_cannot_remove_is_not_removed() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    let accounts = Accounts::usual();
    let scope = &accounts.scope;
    let roots = scope.directory_for("roots", 0, 0);
    let annas = scope.directory_for("annas", 1000, 1001);
    let groups = scope.directory_for("groups", 0, 1001);
    fs::set_permissions(&groups, Permissions::from_mode(0o775)).expect("our own directory");
    let shared = scope.directory_for("shared", 0, 0);
    fs::set_permissions(&shared, Permissions::from_mode(0o1777)).expect("our own directory");
    let is_removed = |directory: &PathBuf, user: &str| {
        let file = directory.join("pid");
        fs::write(&file, LEFT_OVER).expect("our own file");
        let proxy = accounts.proxy().options(["-f", "-U", user]).pid_file(&file);
        let _ = proxy.command(["sh", "-c", "exit 42"]).run();
        !file.exists()
    };
    for (directory, user, expected) in [
        (&annas, "anna", true),
        (&annas, "root", true),
        (&groups, "anna", true),
        (&roots, "root", true),
        (&roots, "anna", false),
        (&roots, "anna:0", false),
        (&annas, "bob", false),
        (&groups, "bob", false),
        (&groups, "anna:staff", false),
        // Sticky: only one's own.
        (&shared, "anna", false),
    ] {
        assert_eq!(is_removed(directory, user), expected, "{} by {user}", directory.display());
    }
}

#[test]
fn a_process_that_the_user_cannot_signal_is_not_signalled() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    let accounts = Accounts::usual();
    let scope = &accounts.scope;
    let control = scope.control("control");
    let victim = Proxy::absent(scope).specimen(["program", "--name=victim", &control.option()]).spawn();
    let pid = scope.reports().expect("victim", "ready").pid();
    let pid_file = scope.directory_for("annas", 1000, 1001).join("pid");
    fs::write(&pid_file, format!("{pid}\n")).expect("our own file");
    chown(&pid_file, Some(1000), Some(1001)).expect("our own file");
    for options in [["-U", "anna"].as_slice(), &["-U", "anna", "-a"], &["-U", "anna", "-ag"]] {
        let running = accounts.proxy().options(options).options(["-w", "0"]).pid_file(&pid_file).spawn();
        running.wait().expect_failure(&pid_file);
    }
    // The user's daemon writes root's pid into its file, and lives on.
    for options in [["-w", "1"].as_slice(), &["-a", "-w", "1"]] {
        let _ = fs::remove_file(&pid_file);
        let running = accounts
            .proxy()
            .options(["-U", "anna"])
            .options(options)
            .pid_file(&pid_file)
            .specimen(["daemon", "--single-fork", &format!("--write={pid}")])
            .command([format!("--pid-file={}", pid_file.display())])
            .spawn();
        let daemon = scope.reports().expect("daemon", "ready").pid();
        let is_adopted = || (proc::parent(daemon) == Some(running.pid())).then_some(());
        eventually(DEADLINE, is_adopted).expect("the end of the launcher");
        running.signal(libc::SIGTERM);
        running.signal(libc::SIGHUP);
        running.wait().expect_failure(&pid_file);
    }
    control.send("here");
    scope.reports().expect("victim", "here");
    assert!(scope.reports().all_of("victim", "signal").is_empty(), "{}", scope.evidence());
    // It is only the rights that hold the signal back.
    let mut running = accounts.proxy().options(["-v", "-a"]).pid_file(&pid_file).spawn();
    running.expect_line(|line| line.contains(&format!("following: {pid}")));
    running.signal(libc::SIGUSR1);
    assert_eq!(scope.reports().expect("victim", "signal").number("number"), libc::SIGUSR1.into());
    control.send("exit 0");
    victim.wait().expect_code(0);
}

/// A hook that reports its facts, named `hook`.
fn hook(scope: &Scope) -> PathBuf {
    let specimen = scope.specimen();
    scope.script("hook", &format!("#!/bin/sh\nexec {} facts --name=hook\n", specimen.display()))
}

#[test]
fn the_exit_hook_has_the_rights_of_before() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    let many: Vec<u32> = (100..132).collect();
    let table: [(&[&str], &[u32], u32, bool); 9] = [
        (&[], &[4, 5], 6, true),
        (&["-U", "anna"], &[], 0, true),
        (&["-U", "anna"], &[4, 5, 6], 0, true),
        (&["-U", "anna"], &[4], 0, false),
        (&["-U", "anna:staff"], &[0, 4], 7, true),
        (&["-U", "1234"], &many, 0, true),
        (&["-U", "root"], &[4], 9, true),
        (&["-G", "staff"], &[4, 5, 6], 7, true),
        (&["-G", "staff"], &[4], 0, false),
    ];
    assert_no_faults(table.iter().map(|&(options, groups, gid, has_home)| {
        let accounts = Accounts::usual();
        let scope = &accounts.scope;
        let pid_file = accounts.pid_file();
        let proxy = accounts.proxy().user(0, gid, groups).options(options);
        let proxy = if has_home { proxy.env("HOME", "/of/root") } else { proxy.env_remove("HOME") };
        let running = proxy
            .options(["-E".into(), hook(scope)])
            .pid_file(&pid_file)
            .specimen(["daemon", "--exit-on=TERM:3"])
            .command([format!("--pid-file={}", pid_file.display())])
            .spawn();
        scope.reports().expect("daemon", "ready");
        running.signal(libc::SIGTERM);
        let finished = running.wait();
        let facts = (finished.code() == Some(3))
            .then(|| scope.reports().take(DEADLINE, |report| report.name == "hook"))
            .flatten()
            .ok_or_else(|| format!("it did not run: {}, {:?}", finished.status, finished.stderr));
        let expected = Expected::new(0, gid, groups, if has_home { "/of/root" } else { "(not set)" });
        let outcome = facts.and_then(|facts| expected.check(&facts));
        outcome.map_err(|fault| format!("{options:?}, groups {groups:?}, home {has_home}: {fault}"))
    }));
}

/// More supplementary groups than it keeps for the hook: then it may refuse, but a hook never has a part of them.
#[test]
fn the_exit_hook_has_all_groups_of_before_or_never_comes_to_run() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    for count in [64, 65, 200, 65_536] {
        let groups: Vec<u32> = (100_000..100_000 + count).collect();
        let accounts = Accounts::usual();
        let scope = &accounts.scope;
        let pid_file = accounts.pid_file();
        let finished = accounts
            .proxy()
            .user(0, 0, &groups)
            .env("HOME", "/of/root")
            .options(["-U", "anna", "-E"])
            .options([hook(scope)])
            .pid_file(&pid_file)
            .specimen(["daemon", "--exit-after-ready=3"])
            .command([format!("--pid-file={}", pid_file.display())])
            .run();
        if finished.code() == Some(3) {
            let facts = scope.reports().expect("hook", "facts");
            assert_no_faults([Expected::new(0, 0, &groups, "/of/root").check(&facts)]);
        } else {
            finished.expect_failure("anna");
            assert!(scope.reports().all().is_empty(), "{}", scope.evidence());
        }
    }
}

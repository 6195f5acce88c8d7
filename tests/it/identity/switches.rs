//! The switch itself: what the command is given, and all that may be in its way.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};

use super::{Accounts, Expected, LEFT_OVER, RAN, assert_no_faults, private_accounts};
use crate::harness::needs::{self, skip};
use crate::harness::{Input, Proxy, Refusal, Scope};

#[test]
fn the_environment_stays_as_it_was_but_for_home() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    let accounts = Accounts::usual();
    let environment = |options: &[&str], home: Option<&str>| {
        let proxy = (0..500).fold(accounts.proxy(), |proxy, number| {
            proxy.env(format!("VARIABLE{number}"), "value=\n".repeat(number % 7))
        });
        let proxy = match home {
            Some(home) => proxy.env("HOME", home),
            None => proxy.env_remove("HOME"),
        };
        let proxy = proxy.env("HOMEX", "1").env("XHOME", "2").env("HOM", "3").env("USER", "root");
        let finished = proxy
            .options(options)
            .pid_file(accounts.pid_file())
            .command(["sh", "-c", &format!("cat /proc/self/environ; exit {RAN}")])
            .run()
            .expect_code(RAN);
        let mut variables: Vec<String> = finished.stdout.split_terminator('\0').map(str::to_owned).collect();
        // The shell in between says so itself.
        variables.retain(|variable| !variable.starts_with("_="));
        variables
    };
    let without_home = environment(&[], None);
    assert!(without_home.len() > 500 && !without_home.iter().any(|variable| variable.starts_with("HOME=")));
    for before in [None, Some("/before"), Some("")] {
        for (options, home) in
            [(["-U", "anna"], Some("/home/anna")), (["-U", "1234"], Some("/")), (["-G", "staff"], before)]
        {
            let mut after = environment(&options, before);
            let position = after.iter().position(|variable| variable.starts_with("HOME="));
            let value = position.map(|position| after.remove(position));
            assert_eq!(value, home.map(|home| format!("HOME={home}")), "{options:?}, {before:?}");
            after.sort_unstable();
            let mut expected = without_home.clone();
            expected.sort_unstable();
            assert_eq!(after, expected, "{options:?}, {before:?}");
        }
    }
}

#[test]
fn the_command_is_executed_with_the_rights_of_the_user() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    let accounts = Accounts::usual();
    let script = accounts.scope.script("for-root", "#!/bin/sh\nexit 42\n");
    fs::set_permissions(&script, Permissions::from_mode(0o700)).expect("our own file");
    let run = |options: &[&str]| {
        let proxy = accounts.proxy().options(options).pid_file(accounts.pid_file());
        proxy.command([&script]).run()
    };
    run(&[]).expect_code(RAN);
    let refused = run(&["-U", "anna"]).expect_code(126);
    assert!(refused.stderr.contains("for-root: EACCES") && refused.stderr.lines().count() == 1, "{}", refused.stderr);
    chown(&script, Some(1000), None).expect("our own file");
    run(&["-U", "anna"]).expect_code(RAN);
}

/// Who gets root's terminal can type into it (TIOCSTI of `ioctl_tty(2)`).
#[test]
fn a_terminal_is_not_handed_over_unasked() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    let accounts = Accounts::usual();
    let on_terminal = |proxy: Proxy<'_>| proxy.stdin(Input::Terminal).run();
    let refused = |options: &[&str], word: &str| {
        let finished = on_terminal(accounts.attempt().options(options));
        assert_eq!(fs::read_to_string(accounts.pid_file()).ok().as_deref(), Some(LEFT_OVER), "{options:?}");
        accounts.check_not_started(&finished, word)
    };
    let accepted = |options: &[&str], expected: &Expected| {
        on_terminal(accounts.facts_of_command().options(options)).expect_code(RAN);
        let facts = accounts.scope.reports().expect("facts", "facts");
        assert_eq!(facts.text("stdin_terminal"), "yes");
        expected.check(&facts)
    };
    assert_no_faults([
        refused(&["-U", "anna"], "anna"),
        refused(&["-U", "1234"], "1234"),
        refused(&["-U", "0"], "0"),
        refused(&["-G", "staff"], "staff"),
        refused(&["-v", "-U", "anna:staff"], "anna"),
        accepted(&["-t", "-U", "anna"], &Expected::anna()),
        accepted(&["-U", "anna", "-t"], &Expected::anna()),
        accepted(&["-tUanna"], &Expected::anna()),
        accepted(&["-t", "-G", "staff"], &Expected::new(0, 50, &[50], "/before")),
    ]);
    let facts = |proxy: Proxy<'_>| {
        on_terminal(proxy).expect_code(RAN);
        accounts.scope.reports().expect("facts", "facts")
    };
    // Nobody is switched to, or there is nothing to protect.
    assert_eq!(facts(accounts.facts_of_command()).number("euid"), 0);
    let plain = accounts.scope.path("place").join("pid2");
    let user = Proxy::new(&accounts.scope)
        .user(1000, 1000, &[])
        .pid_file(plain)
        .command(["sh", "-c", "\"$@\"; exit 42", "sh"])
        .specimen(["facts"]);
    assert_eq!(facts(user).number("euid"), 1000);
}

#[test]
fn who_is_not_root_cannot_switch() {
    if let Err(reason) = needs::root() {
        return skip(&reason);
    }
    let scope = Scope::new();
    let place = scope.directory_for("place", 1000, 1000);
    let started = place.join("started");
    let run = |options: &[&str], input| {
        Proxy::new(&scope)
            .user(1000, 1000, &[1000, 50])
            .options(options)
            .pid_file(place.join("pid"))
            .command(["touch".into(), started.clone()])
            .stdin(input)
            .run()
    };
    let table: [(&[&str], &str); 8] = [
        (&["-U", "0"], "0"),
        (&["-U", "root"], "root"),
        (&["-U", "1000"], "1000"),
        (&["-U", "1001:1001"], "1001"),
        (&["-U", "1000:1000"], "1000"),
        (&["-G", "0"], "0"),
        (&["-G", "1000"], "1000"),
        (&["-U", "1000", "-G", "50"], "1000"),
    ];
    assert_no_faults(table.iter().map(|(options, word)| {
        let finished = run(options, Input::Null);
        // A terminal is not the reason: the user has it already.
        let on_terminal = run(options, Input::Terminal);
        let same = (finished.stderr == on_terminal.stderr).then_some(());
        let outcome = finished.check_failure(word).and_then(|()| on_terminal.check_failure(word));
        let outcome = outcome.and_then(|()| same.ok_or_else(|| format!("on a terminal {:?}", on_terminal.stderr)));
        assert!(!started.exists(), "{options:?}");
        outcome.map_err(|fault| format!("{options:?}: {fault}"))
    }));
}

/// Root is not always root: a container may have taken its capabilities, or given a user's own namespace.
#[test]
fn a_root_without_the_rights_cannot_switch() {
    if let Err(reason) = private_accounts().and_then(|()| needs::program("setpriv")) {
        return skip(&reason);
    }
    let accounts = Accounts::usual();
    let table: [(&[&str], &[&str]); 7] = [
        (&["setpriv", "--bounding-set", "-all"], &["-U", "anna"]),
        (&["setpriv", "--bounding-set", "-all"], &["-U", "0"]),
        (&["setpriv", "--bounding-set", "-all"], &["-G", "staff"]),
        (&["setpriv", "--bounding-set", "-setgid"], &["-U", "anna"]),
        (&["setpriv", "--bounding-set", "-setgid"], &["-G", "staff"]),
        (&["setpriv", "--bounding-set", "-setuid"], &["-U", "anna"]),
        (&["setpriv", "--bounding-set", "-setuid"], &["-U", "1234:50"]),
    ];
    let mut results: Vec<Result<(), String>> = Vec::new();
    for (prefix, options) in table {
        let finished = accounts.attempt().prefix(prefix).options(options).run();
        let outcome = accounts.check_not_started(&finished, options[1].split(':').next().unwrap_or_default());
        results.push(outcome.map_err(|fault| format!("{prefix:?} {options:?}: {fault}")));
    }
    let namespace = ["--user", "--map-root-user"];
    if needs::unshare(&namespace).is_ok() {
        for options in [["-U", "anna"], ["-U", "0"], ["-G", "staff"]] {
            let attempt = accounts.attempt().prefix(["unshare"]).prefix(namespace).options(options);
            let outcome = accounts.check_not_started(&attempt.run(), options[1]);
            results.push(outcome.map_err(|fault| format!("{namespace:?} {options:?}: {fault}")));
        }
    }
    assert_no_faults(results);
}

#[test]
fn a_system_call_that_fails_ends_the_switch() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    let accounts = Accounts::usual();
    let all = [libc::SYS_setgroups, libc::SYS_setresgid, libc::SYS_setresuid];
    let mut results = Vec::new();
    for errno in [libc::EPERM, libc::EINVAL, libc::ENOSYS, libc::EAGAIN, libc::ENOMEM] {
        for (options, calls) in [
            (["-U", "anna"], all.as_slice()),
            (["-U", "anna:staff"], &all),
            (["-U", "1234"], &all),
            (["-U", "0"], &all),
            // The user is not changed.
            (["-G", "staff"], &all[..2]),
        ] {
            for &call in calls {
                let attempt = accounts.attempt().options(options).refuse(&[Refusal::Call(call)], errno);
                let word = options[1].split(':').next().unwrap_or_default();
                let outcome = accounts.check_not_started(&attempt.run(), word);
                results.push(outcome.map_err(|fault| format!("{options:?}, call {call}, error {errno}: {fault}")));
            }
        }
    }
    assert_no_faults(results);
}

/// The same call by call, in the proxy and in its child: whatever fails, the command is started as who it should be, or
/// not at all.
#[test]
fn whatever_fails_the_command_never_has_other_rights() {
    if let Err(reason) = private_accounts().and_then(|()| needs::strace()) {
        return skip(&reason);
    }
    let accounts = Accounts::usual();
    let strace = |inject: &str| {
        let words = format!("strace -f -qq -o /dev/null -e trace=setgroups,setresgid,setresuid -e inject={inject}");
        words.split(' ').map(str::to_owned).collect::<Vec<_>>()
    };
    let mut results = Vec::new();
    for (user, expected) in [("anna", Expected::anna()), ("anna:staff", Expected::new(1000, 50, &[50], "/home/anna"))] {
        for call in ["setgroups", "setresgid", "setresuid"] {
            // Each process counts its own calls.
            for when in ["error=EPERM:when=1", "error=EPERM:when=2", "error=EAGAIN:when=3", "error=EINVAL:when=2+"] {
                let inject = format!("{call}:{when}");
                let finished = accounts.facts_of_command().prefix(strace(&inject)).options(["-U", user]).run();
                let is_refused = finished.check_failure("anna").is_ok();
                let outcome = if is_refused { Ok(()) } else { accounts.check_ran(&finished, &expected) };
                results.push(outcome.map_err(|fault| format!("{user}, {inject}: {fault}")));
            }
        }
    }
    // It says that it worked, and it did not: then the way back to root is open.
    for when in ["1", "2", "1..2", "2+", "1+"] {
        let inject = format!("setresuid:retval=0:when={when}");
        let proxy = accounts.proxy().prefix(strace(&inject)).options(["-U", "anna"]).pid_file(accounts.pid_file());
        let finished = proxy.command(["sh", "-c", "id -u; exit 42"]).run();
        let is_anna = finished.code() == Some(RAN) && finished.stdout == "1000\n";
        let outcome = if is_anna { Ok(()) } else { finished.check_failure("anna") };
        results.push(outcome.map_err(|fault| format!("{inject}: {fault}")));
    }
    assert_no_faults(results);
}

/// With "no setuid fixup" among its secure bits (capabilities(7)) a process keeps its capabilities when it becomes a
/// user, and so the way back.
#[test]
fn a_switch_that_can_be_taken_back_is_refused() {
    if let Err(reason) = private_accounts().and_then(|()| needs::program("setpriv")) {
        return skip(&reason);
    }
    let accounts = Accounts::usual();
    let keeping = ["setpriv", "--securebits", "+no_setuid_fixup"];
    let attempt = |options: [&str; 2]| {
        let finished = accounts.attempt().prefix(keeping).options(options).run();
        accounts.check_not_started(&finished, options[1])
    };
    assert_no_faults([attempt(["-U", "anna"]), attempt(["-U", "1234"]), attempt(["-U", "anna:staff"])]);
    // The surroundings are no hindrance by themselves.
    accounts.facts_of_command().prefix(keeping).run().expect_code(RAN);
}

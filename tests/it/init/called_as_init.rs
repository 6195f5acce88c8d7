//! A name that ends in `init`, and `PIDPROXY_OPTIONS`: how container engines start it, where no option can be given.

use std::os::unix::fs::symlink;

use super::init;
use crate::harness::{Proxy, Scope, signals};

/// The binary called by this name, with no arguments yet.
fn called<'scope>(scope: &'scope Scope, name: &str) -> Proxy<'scope> {
    Proxy::new(scope).argument_zero(name)
}

#[test]
fn an_init_takes_a_command_and_no_pid_file() {
    for name in
        ["init", "/init", "/sbin/init", "/sbin/docker-init", "/run/podman-init", "docker-init", "./my-init", "a/b_init"]
    {
        let scope = Scope::new();
        called(&scope, name).command(["--", "sh", "-c", "exit 43"]).run().expect_code(43);
        called(&scope, name).command(["sh", "-c", "exit 44"]).run().expect_code(44);
        called(&scope, name).options(["-e", "45"]).command(["sh", "-c", "exit 45"]).run().expect_code(0);
        // What looks like a pid file is the command.
        let missing = called(&scope, name).command(["/no/such/file", "sh"]).run().expect_code(127);
        assert!(missing.stderr.contains("/no/such/file") && missing.stderr.lines().count() == 1, "{}", missing.stderr);
    }
}

#[test]
fn other_names_take_a_pid_file() {
    for name in
        ["pidproxy", "initial", "init.sh", "/init/pidproxy", "/sbin/docker-init/x", "INIT", "inix", "ini", "nit", ""]
    {
        let scope = Scope::new();
        // As an init it would try to execute the first word.
        let finished = called(&scope, name).pid_file(scope.path("pid")).command(["sh", "-c", "exit 43"]).run();
        assert_eq!((finished.code(), finished.stderr.as_str()), (Some(43), ""), "{name:?}");
    }
}

#[test]
fn a_link_of_that_name_will_do() {
    let scope = Scope::new();
    let link = scope.path("podman-init");
    symlink(scope.reachable(&crate::harness::binary()), &link).expect("our own directory");
    Proxy::new(&scope).binary(link).command(["--", "sh", "-c", "exit 46"]).run().expect_code(46);
}

/// Docker and podman ask an init for its version, and read what follows these words.
#[test]
fn an_init_says_its_version_as_engines_want_it() {
    for option in ["--version", "-V"] {
        let scope = Scope::new();
        let version = |name: &str| called(&scope, name).options([option]).run().expect_code(0);
        let own = version("pidproxy").stdout;
        let number = own.trim_end().strip_prefix("pidproxy ").expect("our own form");
        for name in ["docker-init", "/run/podman-init", "init"] {
            let finished = version(name);
            let line = finished.stdout.lines().next().unwrap_or_default();
            let said = line.strip_prefix("tini version ").unwrap_or_else(|| panic!("{line:?}"));
            // Docker takes all of it for the version, up to a " - " with a commit behind it.
            assert!(said.ends_with(number) && !said.contains(" - "), "{said:?}, {number:?}");
            assert!(finished.stdout.ends_with('\n') && finished.stderr.is_empty());
        }
    }
}

#[test]
fn options_of_the_environment_are_read_and_not_passed_on() {
    let scope = Scope::new();
    let facts = |value: &str, proxy: Proxy<'_>| {
        let finished = proxy
            .env("PIDPROXY_OPTIONS", value)
            .specimen(["facts", "--env=PIDPROXY_OPTIONS", "--env=HOME"])
            .env("HOME", "/stays")
            .run()
            .expect_code(0);
        let facts = scope.reports().expect("facts", "facts");
        assert_eq!(
            (facts.get("env.PIDPROXY_OPTIONS"), facts.text("env.HOME")),
            (None, "/stays".to_owned()),
            "{value:?}"
        );
        finished.stderr
    };
    for value in ["", " ", "   "] {
        assert_eq!(facts(value, init(&scope)), "", "{value:?}");
        assert_eq!(facts(value, called(&scope, "docker-init").options(["--"])), "");
    }
    for value in ["-v", " -v", "-v ", "-g  -v", "-gv", "-e 3 -v"] {
        let said = facts(value, init(&scope));
        assert!(said.contains("pidproxy: ") && said.ends_with('\n'), "{value:?}: {said:?}");
        let said = facts(value, called(&scope, "docker-init").options(["--"]));
        assert!(said.contains("pidproxy: "), "{value:?}: {said:?}");
    }
}

#[test]
fn options_of_the_environment_work_like_others() {
    let scope = Scope::new();
    let run = |value: &str, options: &[&str], status: &str| {
        let proxy = init(&scope).env("PIDPROXY_OPTIONS", value).options(options);
        proxy.command(["sh", "-c", &format!("exit {status}")]).run().code()
    };
    assert_eq!(run("-e 3", &[], "3"), Some(0));
    assert_eq!(run("-e3", &[], "3"), Some(0));
    assert_eq!(run("-e 3", &[], "4"), Some(4));
    // They add up with those of the command line, values and all.
    assert_eq!(run("-e 3", &["-e", "4"], "3"), Some(0));
    assert_eq!(run("-e 3", &["-e", "4"], "4"), Some(0));
    assert_eq!(run("-e 3 -e 4 -e5 -g", &["-v"], "5"), Some(0));
    // As many as anybody will want.
    let many: Vec<String> = (1..=10).map(|code| format!("-e {code}")).collect();
    assert_eq!(run(&many.join(" "), &[], "10"), Some(0));
    let running = init(&scope)
        .env("PIDPROXY_OPTIONS", "-r USR1=USR2 -rHUP:RTMIN+1")
        .options(["-r", "INT=TERM"])
        .specimen(["program", "--exit-on=TERM:9"])
        .spawn();
    scope.reports().expect("program", "ready");
    for (sent, expected) in [(libc::SIGUSR1, libc::SIGUSR2), (libc::SIGHUP, signals::real_time(1))] {
        running.signal(sent);
        assert_eq!(scope.reports().expect("program", "signal").number("number"), expected.into());
    }
    running.signal(libc::SIGINT);
    running.wait().expect_code(9);
}

/// The command line comes later, and so has the last word.
#[test]
fn the_command_line_has_the_last_word() {
    let scope = Scope::new();
    let running =
        init(&scope).env("PIDPROXY_OPTIONS", "-r USR1=HUP").options(["-r", "USR1=USR2"]).specimen(["program"]).spawn();
    scope.reports().expect("program", "ready");
    running.signal(libc::SIGUSR1);
    assert_eq!(scope.reports().expect("program", "signal").number("number"), libc::SIGUSR2.into());
}

#[test]
fn bad_options_of_the_environment_are_refused() {
    let scope = Scope::new();
    let started = scope.path("started");
    let faults: Vec<String> =
        [("-Z", "Z"), ("-e 256", "256"), ("-r USR1", "USR1"), ("-e", "e"), ("-v -Z", "Z"), ("-r KILL=TERM", "KILL")]
            .iter()
            .filter_map(|(value, word)| {
                let finished = init(&scope).env("PIDPROXY_OPTIONS", value).command(["touch"]).command([&started]).run();
                assert!(!started.exists(), "{value:?}");
                finished.check_failure(word).err().map(|fault| format!("{value:?}: {fault}"))
            })
            .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

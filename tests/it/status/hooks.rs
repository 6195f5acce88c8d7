//! `-E`: the exit hook.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{at_once, daemon, launcher};
use crate::harness::signals::{in_set, payload, real_time};
use crate::harness::{
    DEADLINE, Finished, Followed, Proxy, Report, Running, Scope, eventually, needs, needs::skip, proc,
};

/// A hook that leaves its environment behind, as it was given, and becomes the specimen with these arguments.
fn hook(scope: &Scope, name: &str, arguments: &str) -> PathBuf {
    let text = format!(
        "#!/bin/sh\ntr '\\0' '\\n' </proc/$$/environ >'{}'\nexec '{}' {arguments}\n",
        scope.path("environment").display(),
        scope.specimen().display()
    );
    scope.script(name, &text)
}

/// The environment that the hook was given: all values of each variable.
fn environment(scope: &Scope) -> BTreeMap<String, Vec<String>> {
    let text = fs::read_to_string(scope.path("environment")).expect("the hook ran");
    let mut variables = BTreeMap::<String, Vec<String>>::new();
    for line in text.lines() {
        let (name, value) = line.split_once('=').expect("a variable");
        variables.entry(name.to_owned()).or_default().push(value.to_owned());
    }
    variables
}

/// What the hook was told: our status, the target's exit code, and its signal, each said once.
fn told(scope: &Scope) -> [String; 3] {
    let environment = environment(scope);
    ["PIDPROXY_EXIT_CODE", "PIDPROXY_CHILD_EXIT_CODE", "PIDPROXY_CHILD_KILL_SIGNAL"]
        .map(|name| environment.get(name).map(|values| values.join(" and ")).unwrap_or_default())
}

fn option(hook: &Path) -> String {
    format!("-E{}", hook.display())
}

/// A hook that stays: the specimen under the name `hook`, once the daemon has ended with 3.
fn staying_hook<'scope>(scope: &'scope Scope, proxy: Proxy<'scope>, arguments: &str) -> (Running, i32) {
    let hook = hook(scope, "hook", &format!("program --name=hook {arguments}"));
    let run = Followed::start(scope, proxy.options([option(&hook)]), &[]);
    run.control.send("exit 3");
    let pid = scope.reports().expect("hook", "ready").pid();
    (run.running, pid)
}

#[test]
fn the_hook_is_told_how_the_target_ended() {
    let cases: [(&[&str], &str, i32, [&str; 3]); 7] = [
        (&[], "--exit-after-ready=0", 0, ["0", "0", "-1"]),
        (&[], "--exit-after-ready=7", 7, ["7", "7", "-1"]),
        (&[], "--exit-after-ready=255", 255, ["255", "255", "-1"]),
        (&[], "--die-by=KILL", 137, ["137", "-1", "9"]),
        (&[], "--die-by=64", 192, ["192", "-1", "64"]),
        (&["-e7"], "--exit-after-ready=7", 0, ["0", "7", "-1"]),
        (&["-e143"], "--die-by=TERM", 0, ["0", "-1", "15"]),
    ];
    for (options, ending, code, expected) in cases {
        let scope = Scope::new();
        let hook = hook(&scope, "hook", "facts --name=hook");
        let running = daemon(&scope, options, &[ending]).options([option(&hook)]).spawn();
        let proxy = running.first_pid();
        let finished = running.wait().expect_code(code);
        assert_eq!(finished.stderr, "");
        assert_eq!(told(&scope), expected, "{options:?} {ending}");
        let environment = environment(&scope);
        assert_eq!(environment["PIDPROXY_PID"], [proxy.to_string()]);
        assert_eq!(environment["PIDPROXY_PID_FILE"], [scope.path("pid").display().to_string()]);
        assert_eq!(scope.reports().expect("hook", "facts").number("ppid"), proxy.into());
    }
}

/// Attaches to a program that is no child of ours, through this pid file and with a hook, and ends it so: how it ended, and the
/// proxy.
fn end_attached(scope: &Scope, pid_file: &Path, options: &[&str], ending: &str) -> [Finished; 2] {
    let hook = hook(scope, "hook", "facts --name=hook");
    let control = scope.control("control");
    let program = Proxy::absent(scope).specimen(["program", &control.option()]).spawn();
    let pid = scope.reports().expect("program", "ready").pid();
    fs::write(pid_file, format!("{pid}\n")).expect("a pid file");
    let proxy = Proxy::new(scope).options(["-v"]).options(options).options([option(&hook)]);
    let mut running = proxy.pid_file(pid_file).spawn();
    running.expect_line(|line| line == format!("pidproxy: following: {pid}"));
    control.send(ending);
    [program.wait(), running.wait()]
}

/// Of a daemon that is no child of ours the hook is told what we are: how it ended where the kernel tells it, else success.
#[test]
fn the_hook_is_told_how_an_attached_daemon_ended() {
    let cases: [(&[&str], &str, i32, [&str; 3]); 4] = [
        (&[], "exit 0", 0, ["0", "0", "-1"]),
        (&[], "exit 7", 7, ["7", "7", "-1"]),
        (&["-e7"], "exit 7", 0, ["0", "7", "-1"]),
        (&[], "die KILL", 137, ["137", "-1", "9"]),
    ];
    for (options, ending, code, expected) in cases {
        let scope = Scope::new();
        let [_, proxy] = end_attached(&scope, &scope.path("pid"), options, ending);
        let is_told = needs::tells_foreign_status();
        proxy.expect_code(if is_told { code } else { 0 });
        assert_eq!(told(&scope), if is_told { expected } else { ["0", "0", "-1"] }, "{options:?} {ending}");
    }
}

/// A part of a name is another file's: it is told as a whole or not at all.
#[test]
fn the_hook_is_not_told_a_name_that_is_too_long() {
    let scope = Scope::new();
    let mut directory = scope.path("long");
    // What the hook is told in all has no room for the name, but open(2) takes it.
    while directory.as_os_str().len() < 3700 {
        directory.push("x".repeat(200));
    }
    fs::create_dir_all(&directory).expect("new directories");
    let pid_file = directory.join("y".repeat(3950 - directory.as_os_str().len()));
    let [program, _] = end_attached(&scope, &pid_file, &[], "exit 7");
    program.expect_code(7);
    let environment = fs::read_to_string(scope.path("environment")).expect("the hook ran");
    assert!(!environment.contains("PIDPROXY_PID_FILE="), "{environment}");
    assert!(environment.contains("PIDPROXY_EXIT_CODE="), "{environment}");
}

#[test]
fn variables_are_replaced_and_not_doubled() {
    let scope = Scope::new();
    let hook = hook(&scope, "hook", "facts --name=hook");
    let names = [
        "PIDPROXY_PID_FILE",
        "PIDPROXY_EXIT_CODE",
        "PIDPROXY_PID",
        "PIDPROXY_CHILD_EXIT_CODE",
        "PIDPROXY_CHILD_KILL_SIGNAL",
    ];
    let mut proxy = daemon(&scope, &[], &["--exit-after-ready=5"]).options([option(&hook)]);
    for name in names {
        proxy = proxy.env(name, "old");
    }
    // Names that only begin the same are others' variables.
    proxy = proxy.env("PIDPROXY_PID_", "kept").env("PIDPROXY", "kept").env("OTHER", "a=b, c");
    proxy.run().expect_code(5);
    assert_eq!(told(&scope), ["5", "5", "-1"]);
    let environment = environment(&scope);
    for name in names {
        assert!(environment[name].len() == 1 && environment[name] != ["old"], "{name}: {:?}", environment[name]);
    }
    assert_eq!(environment["PIDPROXY_PID_"], ["kept"]);
    assert_eq!(environment["PIDPROXY"], ["kept"]);
    assert_eq!(environment["OTHER"], ["a=b, c"]);
    assert!(environment.contains_key("PATH"));
}

#[test]
fn the_command_is_told_nothing_of_it() {
    let scope = Scope::new();
    let hook = hook(&scope, "hook", "facts --name=hook");
    let proxy = Proxy::new(&scope).options([option(&hook)]);
    let run = Followed::start(&scope, proxy, &[]);
    run.control.send("facts PIDPROXY_PID_FILE PIDPROXY_EXIT_CODE PIDPROXY_PID");
    let facts = scope.reports().expect("daemon", "facts");
    for name in ["PIDPROXY_PID_FILE", "PIDPROXY_EXIT_CODE", "PIDPROXY_PID"] {
        assert_eq!(facts.get(&format!("env.{name}")), None);
    }
    run.exit(0).expect_code(0);
}

#[test]
fn a_hook_can_do_with_an_empty_environment() {
    let scope = Scope::new();
    let hook = hook(&scope, "hook", "print-args");
    daemon(&scope, &[], &["--exit-after-ready=5"]).prefix(["env", "-i"]).options([option(&hook)]).run().expect_code(5);
    let names: Vec<String> = environment(&scope).into_keys().collect();
    assert_eq!(
        names,
        [
            "PIDPROXY_CHILD_EXIT_CODE",
            "PIDPROXY_CHILD_KILL_SIGNAL",
            "PIDPROXY_EXIT_CODE",
            "PIDPROXY_PID",
            "PIDPROXY_PID_FILE"
        ]
    );
    assert_eq!(told(&scope), ["5", "5", "-1"]);
}

#[test]
fn the_pid_file_is_told_by_its_absolute_name() {
    for name in ["pid", "./pid", "../{}/pid"] {
        let scope = Scope::new();
        let directory = scope.path("").canonicalize().expect("our own directory");
        let own_name = directory.file_name().expect("a name").to_string_lossy().into_owned();
        let hook = hook(&scope, "hook", "facts --name=hook");
        Proxy::new(&scope)
            .options([option(&hook)])
            .directory(&directory)
            .pid_file(name.replace("{}", &own_name))
            .specimen(["daemon", "--pid-file=pid", "--exit-after-ready=5"])
            .run()
            .expect_code(5);
        let told = PathBuf::from(&environment(&scope)["PIDPROXY_PID_FILE"][0]);
        assert!(told.is_absolute(), "{told:?}");
        assert_eq!(told.canonicalize().expect("it is there"), directory.join("pid"));
    }
}

#[test]
fn a_hook_is_found_like_a_command() {
    let scope = Scope::new();
    fs::create_dir(scope.path("bin")).expect("a new directory");
    hook(&scope, "bin/the-hook", "facts --name=searched");
    let without_interpreter =
        scope.script("plain", &format!("exec '{}' facts --name=plain", scope.specimen().display()));
    let path = format!("/no/such/directory:{}:/usr/bin:/bin", scope.path("bin").display());
    let run = |hook: &str| {
        daemon(&scope, &["-E", hook], &["--exit-after-ready=5"])
            .env("PATH", &path)
            .directory(scope.path(""))
            .run()
            .expect_code(5)
    };
    assert_eq!(run("the-hook").stderr, "");
    scope.reports().expect("searched", "facts");
    run("bin/the-hook");
    scope.reports().expect("searched", "facts");
    run("./bin/the-hook");
    scope.reports().expect("searched", "facts");
    run(without_interpreter.to_str().expect("ASCII"));
    scope.reports().expect("plain", "facts");
}

#[test]
fn the_hook_has_the_mask_and_the_dispositions_of_our_start() {
    for (blocked, ignored) in
        [(&[][..], &[][..]), (&[], &[libc::SIGCHLD]), (&[libc::SIGUSR1, libc::SIGTERM, 40], &[libc::SIGCHLD])]
    {
        let scope = Scope::new();
        // Nothing before it: some shells leave another mask behind once they have waited for a child.
        let text = format!("#!/bin/sh\nexec '{}' facts --name=hook\n", scope.specimen().display());
        let hook = scope.script("hook", &text);
        daemon(&scope, &[], &["--exit-after-ready=5"])
            .options([option(&hook)])
            .blocked(blocked)
            .ignored(ignored)
            .run()
            .expect_code(5);
        let facts = scope.reports().expect("hook", "facts");
        assert_eq!(in_set(&facts.text("blocked")), blocked);
        assert_eq!(in_set(&facts.text("ignored")), []);
        assert_eq!(in_set(&facts.text("handled")), []);
        assert_eq!(facts.numbers("descriptors"), [0, 1, 2]);
    }
}

#[test]
fn the_hook_has_our_own_identity() {
    if let Err(reason) = needs::root() {
        return skip(&reason);
    }
    let scope = Scope::new();
    let directory = scope.directory_for("theirs", 47_240, 47_241);
    // The hook's report comes from root, and so does the environment that it leaves.
    let hook = hook(&scope, "hook", "facts --name=hook");
    let pid_file = directory.join("pid");
    let proxy = Proxy::new(&scope)
        .options(["-U", "47240", "-G", "47241", &option(&hook)])
        .user(0, 0, &[0, 7, 8])
        .env("HOME", "/our/home");
    let run = Followed::start_with(&scope, proxy, &pid_file, &[]);
    run.control.send("facts");
    let facts = scope.reports().expect("daemon", "facts");
    assert_eq!(["ruid", "euid", "suid"].map(|key| facts.number(key)), [47_240; 3]);
    run.exit(5).expect_code(5);
    let facts = scope.reports().expect("hook", "facts");
    assert_eq!(["ruid", "euid", "suid"].map(|key| facts.number(key)), [0; 3]);
    assert_eq!(["rgid", "egid", "sgid"].map(|key| facts.number(key)), [0; 3]);
    assert_eq!(facts.numbers("groups"), [0, 7, 8]);
    assert_eq!(facts.text("HOME"), "/our/home");
}

#[test]
fn the_status_of_the_hook_changes_nothing() {
    for ending in ["exit 0", "exit 77", "kill -KILL $$"] {
        let scope = Scope::new();
        let hook = scope.script("hook", &format!("#!/bin/sh\n: >'{}'\n{ending}\n", scope.path("ran").display()));
        let finished = daemon(&scope, &[&option(&hook)], &["--exit-after-ready=5"]).run().expect_code(5);
        assert_eq!(finished.stderr, "");
        assert!(scope.path("ran").exists());
    }
}

#[test]
fn we_last_as_long_as_the_hook() {
    let scope = Scope::new();
    let (mut running, hook) = staying_hook(&scope, Proxy::new(&scope), "--exit-on=USR1:9");
    assert!(proc::lives(hook) && !running.has_ended());
    running.signal(libc::SIGUSR1);
    running.wait().expect_code(3);
    assert_eq!(scope.left_over(), []);
}

#[test]
fn signals_go_to_the_hook() {
    let scope = Scope::new();
    let (running, _) = staying_hook(&scope, Proxy::new(&scope), "--exit-on=64:9");
    for (number, value) in [(libc::SIGHUP, 1), (libc::SIGTERM, 2), (real_time(1), payload(u64::MAX))] {
        running.queue(number, value);
        let report = scope.reports().expect("hook", "signal");
        assert_eq!((report.number("number"), report.value()), (number.into(), value), "{report}");
    }
    running.signal(64);
    running.wait().expect_code(3);
}

#[test]
fn a_termination_ends_a_hook_that_does_nothing_about_it() {
    let scope = Scope::new();
    let (running, _) = staying_hook(&scope, Proxy::new(&scope), "--default-dispositions");
    running.signal(libc::SIGTERM);
    running.wait().expect_code(3);
    assert_eq!(scope.left_over(), []);
}

#[test]
fn signals_go_to_the_hook_after_a_switch_of_user_too() {
    if let Err(reason) = needs::root() {
        return skip(&reason);
    }
    let scope = Scope::new();
    let directory = scope.directory_for("theirs", 47_242, 47_242);
    let hook = hook(&scope, "hook", "program --name=hook --exit-on=64:9");
    let proxy = Proxy::new(&scope).options(["-U47242", &option(&hook)]);
    let run = Followed::start_with(&scope, proxy, &directory.join("pid"), &[]);
    run.control.send("exit 3");
    scope.reports().expect("hook", "ready");
    run.running.queue(libc::SIGTERM, 5);
    let report: Report = scope.reports().expect("hook", "signal");
    assert_eq!((report.number("number"), report.value()), (libc::SIGTERM.into(), 5));
    run.running.signal(64);
    run.running.wait().expect_code(3);
}

#[test]
fn orphans_are_reaped_while_the_hook_runs() {
    let scope = Scope::new();
    let hook = hook(&scope, "hook", "orphans --name=hook --count=100 --exit-on=TERM:0");
    let run = Followed::start(&scope, Proxy::new(&scope).options([option(&hook)]), &["--children=2"]);
    run.control.send("exit 3");
    let hook = scope.reports().expect("hook", "ready").pid();
    let proxy = run.running.pid();
    // The daemon's own children live on: they are ours now, and no zombies.
    let mut expected = ["child1", "child2"].map(|name| scope.reports().expect(name, "ready").pid()).to_vec();
    expected.push(hook);
    expected.sort_unstable();
    let are_reaped = || {
        let mut children = proc::children(proxy);
        children.sort_unstable();
        (children == expected).then_some(())
    };
    eventually(DEADLINE, are_reaped).unwrap_or_else(|| panic!("children {:?}", proc::children(proxy)));
    run.running.signal(libc::SIGTERM);
    run.running.wait().expect_code(3);
}

#[test]
fn a_hook_that_can_not_be_executed_leaves_the_status_alone() {
    let scope = Scope::new();
    fs::write(scope.path("locked"), "#!/bin/sh\n").expect("a file without the right to execute it");
    for name in ["/no/such/hook", "no-such-hook", "./locked", "/", "/dev/null"] {
        let finished =
            at_once(name, || daemon(&scope, &["-E", name], &["--exit-after-ready=5"]).directory(scope.path("")).run())
                .expect_code(5);
        let complaint = finished.stderr.strip_suffix('\n').unwrap_or_default();
        assert!(
            complaint.starts_with("pidproxy: ")
                && complaint.contains(&format!(" {name}: "))
                && !complaint.contains('\n'),
            "{name}: {:?}",
            finished.stderr
        );
    }
}

#[test]
fn without_a_target_there_is_no_hook() {
    let scope = Scope::new();
    let hook = scope.script("hook", &format!("#!/bin/sh\n: >'{}'\n", scope.path("ran").display()));
    let hook = option(&hook);
    launcher(&scope, &[&hook], &["--exit=4"]).run().expect_code(4);
    launcher(&scope, &[&hook], &["--die-by=KILL"]).run().expect_code(137);
    launcher(&scope, &[&hook], &["--exit=0"]).run().expect_failure(scope.path("pid"));
    Proxy::new(&scope)
        .options([&hook])
        .pid_file(scope.path("pid"))
        .command(["/no/such/command"])
        .run()
        .expect_code(127);
    assert!(!scope.path("ran").exists());
}

#[test]
fn a_daemon_that_is_replaced_has_one_hook() {
    let scope = Scope::new();
    let hook = scope.script("hook", &format!("#!/bin/sh\necho ran >>'{}'\n", scope.path("ran").display()));
    let proxy = Proxy::new(&scope).options(["-v", &option(&hook)]);
    let mut run = Followed::start(&scope, proxy, &["--replace-on=USR2", "--exit-on=TERM:6"]);
    let following = |pid: i32| move |line: &str| line == format!("pidproxy: following: {pid}");
    run.running.expect_line(following(run.daemon));
    run.running.signal(libc::SIGUSR2);
    let replacement = scope.reports().expect("replacement", "ready").pid();
    run.running.expect_line(following(replacement));
    assert!(!scope.path("ran").exists());
    run.running.signal(libc::SIGTERM);
    run.running.wait().expect_code(6);
    assert_eq!(fs::read_to_string(scope.path("ran")).expect("the hook ran"), "ran\n");
}

#[test]
fn the_last_of_two_hooks_counts() {
    let scope = Scope::new();
    let first = scope.script("first", &format!("#!/bin/sh\n: >'{}'\n", scope.path("first-ran").display()));
    let second = scope.script("second", &format!("#!/bin/sh\n: >'{}'\n", scope.path("second-ran").display()));
    daemon(&scope, &[&option(&first), &option(&second)], &["--exit-after-ready=5"]).run().expect_code(5);
    assert!(!scope.path("first-ran").exists() && scope.path("second-ran").exists());
}

//! In real engines, in images that hold nothing but it and a static program: no `/etc`, no shell, no library.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::harness::engines::{
    Engine, IMAGE, Kind, engine, expect_report, expect_reports, only_report, static_specimen,
};
use crate::harness::needs::{self, skip};
use crate::harness::{DEADLINE, Input, Manager, Output, Proxy, Running, Scope, Screen, eventually, proc, signals};

/// All that can be taken from a container.
const POOR: [&str; 4] = ["--read-only", "--cap-drop=all", "--user=1234:4321", "--security-opt=no-new-privileges"];

const ENGINES: [Kind; 2] = [Kind::Podman, Kind::Docker];

/// A test in one engine: with a scope, and the name of a container that nobody else has.
fn in_engine(kind: Kind, body: impl Fn(&Arc<Engine>, &Scope, &str)) {
    static CONTAINERS: AtomicU32 = AtomicU32::new(0);
    match engine(kind) {
        Err(reason) => skip(&reason),
        Ok(engine) => {
            let name = format!("pidproxy-test-{}", CONTAINERS.fetch_add(1, Ordering::Relaxed));
            body(&engine, &Scope::new(), &name);
        }
    }
}

/// A test for each engine.
macro_rules! in_each_engine {
    ($($name:ident => $body:expr;)*) => {
        mod podman {
            $(#[test] fn $name() { super::in_engine(super::Kind::Podman, $body); })*
        }
        mod docker {
            $(#[test] fn $name() { super::in_engine(super::Kind::Docker, $body); })*
        }
    };
}

in_each_engine! {
    statuses_come_out => super::statuses;
    a_poor_container_will_do => super::poor;
    stop_and_kill_reach_the_program => super::stop_and_kill;
    the_stop_signal_is_what_was_asked_for => super::stop_signal;
    it_is_the_engines_own_init => super::own_init;
    a_daemon_is_followed => super::daemon;
    it_works_in_the_pid_namespace_of_the_host => super::host_pids;
    keys_arrive_once => super::keys;
    a_session_of_bash => super::bash;
    the_engine_has_no_complaint => super::info;
}

fn statuses(engine: &Arc<Engine>, scope: &Scope, name: &str) {
    for (option, code) in
        [("--exit=0", 0), ("--exit=43", 43), ("--exit=255", 255), ("--die-by=SEGV", 139), ("--die-by=KILL", 137)]
    {
        engine.run(scope, name, &[IMAGE, "/specimen", "program", option]).run().expect_code(code);
    }
    let missing = engine.run(scope, name, &[IMAGE, "/no/such/file"]).run().expect_code(127);
    assert!(missing.stderr.contains("pidproxy: /no/such/file"), "{}", missing.stderr);
}

fn poor(engine: &Arc<Engine>, scope: &Scope, name: &str) {
    let finished = engine.run(scope, name, &POOR).command([IMAGE, "/specimen", "facts"]).run().expect_code(0);
    let facts = only_report(&finished);
    assert_eq!((facts.number("ruid"), facts.number("rgid"), facts.number("ppid")), (1234, 4321, 1));
    assert_eq!((facts.text("effective").as_str(), facts.text("group_leader").as_str()), ("0", "yes"));
    // A number needs no /etc/passwd, and a switch no more rights than these.
    let switch = ["--entrypoint=/pidproxy", IMAGE, "-U", "77:88", "-", "/specimen", "facts"];
    let facts = only_report(&engine.run(scope, name, &["--read-only"]).command(switch).run().expect_code(0));
    assert_eq!((facts.number("ruid"), facts.number("rgid"), facts.numbers("groups")), (77, 88, vec![88]));
    let switch = ["--entrypoint=/pidproxy", IMAGE, "-x", "-U", "77", "/specimen", "facts"];
    let facts = only_report(&engine.run(scope, name, &["--read-only"]).command(switch).run().expect_code(0));
    assert_eq!((facts.number("ruid"), facts.pid()), (77, 1));
    if engine.kind == Kind::Podman {
        if let Err(reason) = needs::unshare(&["--user"]) {
            return skip(&reason);
        }
        let mapped = ["--uidmap=0:100000:65536", "--gidmap=0:100000:65536", IMAGE, "/specimen", "facts"];
        let finished = engine.run(scope, name, &mapped).run();
        if finished.stderr.contains("runc create failed") {
            // Nothing of ours was started yet.
            return skip(&format!("needs user namespaces in podman: {}", finished.stderr.trim_end()));
        }
        let facts = only_report(&finished.expect_code(0));
        assert_eq!((facts.number("ppid"), facts.number("ruid")), (1, 0));
    }
}

fn start(engine: &Arc<Engine>, scope: &Scope, name: &str, options: &[&str], arguments: &[&str]) -> Running {
    let running = engine.run(scope, name, options).command([IMAGE, "/specimen", "program"]).command(arguments).spawn();
    expect_report(&running, "program", "ready");
    running
}

fn stop_and_kill(engine: &Arc<Engine>, scope: &Scope, name: &str) {
    let running = start(engine, scope, name, &POOR, &["--exit-on=TERM:7"]);
    let sent = [("USR1", libc::SIGUSR1), ("HUP", libc::SIGHUP), ("INT", libc::SIGINT), ("37", signals::real_time(3))];
    for (position, (word, number)) in (1..).zip(sent) {
        engine.expect(&["kill", "-s", word, name]);
        let seen = expect_reports(&running, "program", "signal", position);
        assert_eq!(seen[position - 1].number("number"), number.into());
    }
    // With a minute to spare: a KILL would be too late for the deadline of this test.
    engine.expect(&["stop", "-t", "60", name]);
    running.wait().expect_code(7);
    // TERM ends also what does not handle it, which process 1 itself would survive.
    let running = start(engine, scope, name, &[], &["--default-dispositions"]);
    engine.expect(&["stop", "-t", "60", name]);
    running.wait().expect_code(143);
    let running = start(engine, scope, name, &[], &[]);
    engine.expect(&["kill", name]);
    running.wait().expect_code(137);
}

fn stop_signal(engine: &Arc<Engine>, scope: &Scope, name: &str) {
    let running = start(engine, scope, name, &["--stop-signal=USR2"], &["--exit-on=USR2:9"]);
    engine.expect(&["stop", "-t", "60", name]);
    running.wait().expect_code(9);
}

/// The pid of the container's process 1, as the host knows it.
fn first_pid(engine: &Engine, name: &str) -> i32 {
    engine.expect(&["inspect", "--format", "{{.State.Pid}}", name]).trim().parse().expect("a pid")
}

fn own_init(engine: &Arc<Engine>, scope: &Scope, name: &str) {
    let mut options = engine.init_options();
    options.push("--entrypoint=/specimen".to_owned());
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let run =
        |more: &[&str], words: &[&str]| engine.run(scope, name, &options).command(more).command([IMAGE]).command(words);
    run(&POOR, &["program", "--exit=43"]).run().expect_code(43);
    run(&["-e", "PIDPROXY_OPTIONS=-e 43"], &["program", "--exit=43"]).run().expect_code(0);
    let running = run(&POOR, &["orphans", "--count=300", "--orphan-status=9", "--exit-on=TERM:8"]).spawn();
    assert_eq!(expect_report(&running, "orphans", "ready").number("ppid"), 1);
    let first = first_pid(engine, name);
    assert!(proc::command_line(first).contains("-init -- /specimen orphans"), "{}", proc::command_line(first));
    eventually(DEADLINE, || (proc::children(first).len() == 1).then_some(())).expect("its orphans are reaped");
    engine.expect(&["stop", "-t", "60", name]);
    running.wait().expect_code(8);
}

fn daemon(engine: &Arc<Engine>, scope: &Scope, name: &str) {
    let options = ["--read-only", "--tmpfs=/run", "--entrypoint=/pidproxy", IMAGE, "/run/daemon.pid", "/specimen"];
    let arguments = ["daemon", "--pid-file=/run/daemon.pid", "--exit-on=TERM:3", "--exit-on=USR2:4"];
    let running = engine.run(scope, name, &options).command(arguments).spawn();
    expect_report(&running, "daemon", "ready");
    engine.expect(&["kill", "-s", "HUP", name]);
    assert_eq!(expect_report(&running, "daemon", "signal").number("number"), libc::SIGHUP.into());
    engine.expect(&["stop", "-t", "60", name]);
    running.wait().expect_code(3);
}

/// A daemonizing program in a container, as a service that says when it is there: the engine lets the container tell its own
/// manager, and names it a process of its own.
#[test]
fn podman_tells_the_service_manager() {
    in_engine(Kind::Podman, |engine, scope, name| {
        let manager = Manager::new(scope);
        let options = ["--sdnotify=container", "--read-only", "--tmpfs=/run", "--entrypoint=/pidproxy"];
        let daemon =
            [IMAGE, "/run/daemon.pid", "/specimen", "daemon", "--pid-file=/run/daemon.pid", "--exit-on=TERM:3"];
        let running = manager.over(engine.run(scope, name, &options).command(daemon)).spawn();
        // Ours, which the engine hands on, and its own word for the process to watch come in any order.
        let mut messages = [manager.next(), manager.next()];
        messages.sort();
        assert!(messages[0].starts_with("MAINPID=") && messages[1] == "READY=1", "{messages:?}");
        expect_report(&running, "daemon", "ready");
        engine.expect(&["stop", "-t", "60", name]);
        running.wait().expect_code(3);
    });
}

fn host_pids(engine: &Arc<Engine>, scope: &Scope, name: &str) {
    let options = ["--pid=host", IMAGE, "/specimen", "orphans", "--count=300", "--exit-on=TERM:6"];
    let running = engine.run(scope, name, &options).spawn();
    let ready = expect_report(&running, "orphans", "ready");
    let proxy = i32::try_from(ready.number("ppid")).expect("a pid");
    assert_eq!(proxy, first_pid(engine, name), "it is not process 1");
    eventually(DEADLINE, || (proc::children(proxy) == [ready.pid()]).then_some(())).expect("its orphans are reaped");
    engine.expect(&["stop", "-t", "60", name]);
    running.wait().expect_code(6);
}

fn on_terminal(proxy: Proxy<'_>) -> Proxy<'_> {
    proxy.stdin(Input::Terminal).stdout(Output::Terminal).stderr(Output::Terminal)
}

fn keys(engine: &Arc<Engine>, scope: &Scope, name: &str) {
    let options = ["-it", IMAGE, "/specimen", "program", "--exit-on=QUIT:5"];
    let running = on_terminal(engine.run(scope, name, &options)).spawn();
    let mut screen = Screen::of(&running);
    screen.expect("program ready");
    screen.type_keys("\x03");
    screen.expect("program signal number=2 code=128 ");
    screen.type_keys("\x03");
    screen.expect("program signal number=2 code=128 ");
    screen.type_keys("\x1c");
    let between = screen.expect("program signal number=3 code=128 ");
    assert!(!between.contains("signal number=2 "), "each once: {between:?}");
    running.wait().expect_code(5);
}

/// A directory with this program and all that it is linked to, in their places.
fn copy_with_libraries(program: &Path, into: &Path) {
    let output = std::process::Command::new("ldd").arg(program).output().expect("ldd runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let libraries = text.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from);
    for file in libraries.chain([program.to_owned()]) {
        let place = into.join(file.strip_prefix("/").expect("an absolute path"));
        fs::create_dir_all(place.parent().expect("a file in a directory")).expect("our own directory");
        fs::copy(&file, &place).expect("a readable file");
    }
}

fn bash(engine: &Arc<Engine>, scope: &Scope, name: &str) {
    if let Err(reason) = needs::program("bash").and_then(|()| needs::program("ldd")) {
        return skip(&reason);
    }
    let context = scope.path("context");
    copy_with_libraries(Path::new("/bin/bash"), &context.join("root"));
    fs::copy(scope.specimen(), context.join("specimen")).expect("our own directory");
    let image = "with-bash";
    fs::write(context.join("Dockerfile"), format!("FROM {IMAGE}\nCOPY root /\n")).expect("our own directory");
    engine.build(image, &context).expect("it builds");
    let options = ["-it", "-e", "PS1=ready> ", "-e", "TERM=dumb", image, "/bin/bash", "--norc", "--noprofile", "-i"];
    let running = on_terminal(engine.run(scope, name, &options)).spawn();
    let mut screen = Screen::of(&running);
    screen.expect("ready> ");
    assert_eq!(screen.rest(), "", "no complaint about job control");
    screen.enter("/specimen program");
    screen.expect("program ready");
    screen.type_keys("\x03");
    screen.expect("program signal number=2 code=128 ");
    screen.type_keys("\x1c");
    let between = screen.expect("program signal number=3 code=128 ");
    assert!(!between.contains("number=2 "), "once: {between:?}");
    engine.expect(&["kill", "-s", "USR1", name]);
    // What process 1 is sent goes to its command, and that ends of it.
    running.wait().expect_code(128 + libc::SIGUSR1);
    let running = on_terminal(engine.run(scope, name, &options)).spawn();
    let mut screen = Screen::of(&running);
    screen.expect("ready> ");
    screen.enter("/specimen program --default-dispositions");
    screen.expect("program ready");
    screen.type_keys("\x1a");
    screen.expect("Stopped");
    screen.expect("ready> ");
    screen.enter("jobs");
    screen.expect("Stopped");
    screen.expect("ready> ");
    let program = *proc::tree(first_pid(engine, name)).last().expect("a process");
    assert_eq!(proc::state(program), Some('T'));
    screen.enter("fg");
    // It has the foreground before it goes on.
    eventually(DEADLINE, || (proc::state(program) == Some('S')).then_some(())).expect("it goes on");
    screen.type_keys("\x03");
    screen.expect("ready> ");
    screen.enter("exit 7");
    running.wait().expect_code(7);
}

fn info(engine: &Arc<Engine>, _: &Scope, _: &str) {
    let output = engine.command(&["info"]).output().expect("the engine's client");
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{errors}");
    if engine.kind == Kind::Docker {
        let line =
            text.lines().find_map(|line| line.trim().strip_prefix("init version:")).expect("a line about the init");
        assert!(!line.contains("N/A") && !line.contains("expected"), "{line:?}");
        let log = engine.log();
        assert!(!log.contains("init version") && !log.contains("unknown output format"), "{log}");
    }
    let complains =
        |text: &str| text.to_lowercase().lines().any(|line| line.contains("init") && line.contains("warning"));
    assert!(!complains(&text) && !complains(&errors), "{text}{errors}");
}

/// A root directory with the binary and the static specimen.
fn bare_root(scope: &Scope) -> Result<PathBuf, String> {
    needs::native()?;
    let specimen = static_specimen()?;
    let root = scope.path("root");
    fs::create_dir(&root).expect("a new directory");
    for (from, name) in [(crate::harness::binary(), "pidproxy"), (specimen, "specimen")] {
        let run = std::process::Command::new("cp").arg(from).arg(root.join(name)).status().expect("cp runs");
        assert!(run.success());
    }
    symlink("pidproxy", root.join("init")).expect("our own directory");
    Ok(root)
}

/// No `/proc`, no `/dev`, no `/etc`, nothing.
#[test]
fn an_empty_root_will_do() {
    let scope = Scope::new();
    let root = match needs::process_1().and_then(|()| bare_root(&scope)) {
        Err(reason) => return skip(&reason),
        Ok(root) => root,
    };
    let start = |words: &[&str]| {
        let proxy =
            Proxy::absent(&scope).env("SPECIMEN_REPORT", "stdout").prefix(["unshare", "--pid", "--fork", "chroot"]);
        proxy.prefix([&root]).command(words)
    };
    let facts = only_report(&start(&["/pidproxy", "-U", "77", "-", "/specimen", "facts"]).run().expect_code(0));
    assert_eq!((facts.number("ppid"), facts.number("ruid"), facts.text("HOME")), (1, 77, "/".to_owned()));
    start(&["/init", "/specimen", "program", "--exit=43"]).run().expect_code(43);
    start(&["/pidproxy", "-", "/missing"]).run().expect_code(127);
    start(&["/init", "--", "/specimen", "orphans", "--count=300", "--exit-after-ready=4"]).run().expect_code(4);
    let arguments = ["/pidproxy", "/pid", "/specimen", "daemon", "--pid-file=/pid", "--exit-after-ready=5"];
    start(&arguments).run().expect_code(5);
}

#[test]
fn bubblewrap_runs_it() {
    let scope = Scope::new();
    let root = match needs::root().and_then(|()| needs::program("bwrap")).and_then(|()| bare_root(&scope)) {
        Err(reason) => return skip(&reason),
        Ok(root) => root,
    };
    let root = root.to_str().expect("a path of ASCII");
    let start = |words: &[&str]| {
        let proxy = Proxy::absent(&scope).command(["bwrap", "--unshare-all", "--as-pid-1", "--cap-drop", "ALL"]);
        let proxy = proxy.command(["--uid", "1234", "--ro-bind", root, "/", "--setenv", "SPECIMEN_REPORT", "stdout"]);
        proxy.command(words)
    };
    let finished = start(&["/pidproxy", "-", "/specimen", "facts"]).run();
    if finished.stderr.starts_with("bwrap:") {
        return skip(&format!("needs bwrap to work here: {}", finished.stderr.trim_end()));
    }
    let facts = only_report(&finished.expect_code(0));
    assert_eq!((facts.number("ppid"), facts.number("ruid")), (1, 1234));
    start(&["/pidproxy", "-", "/specimen", "program", "--exit=43"]).run().expect_code(43);
    start(&["/pidproxy", "-", "/specimen", "orphans", "--count=300", "--exit-after-ready=4"]).run().expect_code(4);
}

#[test]
fn runc_runs_it() {
    let scope = Scope::new();
    let root = match needs::root().and_then(|()| needs::program("runc")).and_then(|()| bare_root(&scope)) {
        Err(reason) => return skip(&reason),
        Ok(root) => root,
    };
    let runc = needs::find_program("runc").expect("looked for before");
    let bundle = root.parent().expect("a directory").to_owned();
    let made = std::process::Command::new(&runc).arg("spec").current_dir(&bundle).status().expect("runc runs");
    assert!(made.success());
    let config = bundle.join("config.json");
    let specification = fs::read_to_string(&config).expect("runc's specification");
    // The first "rootfs" and "sh" are those of the root and of the command; the limits cannot be raised everywhere.
    let limits = specification.find("\"rlimits\"").expect("limits");
    let end = limits + specification[limits..].find("],").expect("their end") + 2;
    let specification = [&specification[..limits], &specification[end..]].concat();
    let run = |number: u32, arguments: &[&str]| {
        let words: Vec<String> = arguments.iter().map(|word| format!("{word:?}")).collect();
        let specification = specification
            .replacen("\"rootfs\"", "\"root\"", 1)
            .replacen("\"sh\"", &words.join(", "), 1)
            .replacen("\"terminal\": true", "\"terminal\": false", 1)
            .replacen("\"TERM=xterm\"", "\"SPECIMEN_REPORT=stdout\"", 1);
        fs::write(&config, specification).expect("our own directory");
        let state = format!("--root={}", bundle.join("state").display());
        let id = format!("pidproxy-test-{}-{number}", std::process::id());
        Proxy::absent(&scope).command([&runc]).command([&state, "run", "-b"]).command([&bundle]).command([id]).run()
    };
    let finished = run(1, &["/pidproxy", "-", "/specimen", "facts"]);
    if finished.code() == Some(1) {
        return skip(&format!("needs runc to work here: {}", finished.stderr.trim_end()));
    }
    assert_eq!(only_report(&finished.expect_code(0)).number("ppid"), 1);
    run(2, &["/init", "--", "/specimen", "program", "--exit=43"]).expect_code(43);
    run(3, &["/pidproxy", "-", "/specimen", "program", "--die-by=TERM"]).expect_code(143);
}

/// That all engines are tried where they can be.
#[test]
fn engines_can_be_used() {
    for kind in ENGINES {
        if let Err(reason) = engine(kind) {
            skip(&reason);
        }
    }
}

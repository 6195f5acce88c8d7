//! What a number may stand for: a process that lives, and neither init nor ourselves.

use super::{Stage, burst, expect_refused, line, processor_ticks, send_burst};
use crate::harness::needs::{self, skip};
use crate::harness::{Looks, Proxy, Scope};

/// Init of a namespace plays the stranger, so that nothing but this test dies should the rule be broken: 0 and negative
/// numbers are groups to kill(2), and -1 is everybody.
#[test]
fn init_is_no_daemon_and_zero_is_nobody() {
    if let Err(reason) = needs::process_1() {
        return skip(&reason);
    }
    let init_beside = "\"$@\" & exec \"$SPECIMEN\" program --name=stranger \"$CONTROL\"";
    let attempt = |contents: &str| {
        eprintln!("in the pid file: {contents:?}");
        let scope = Scope::new();
        let stage = Stage::new(&scope);
        let control = scope.control("stranger");
        let mut running = stage
            .launch()
            .options(["-w", "1"])
            .env("SPECIMEN", scope.specimen())
            .env("CONTROL", control.option())
            .process_1()
            .prefix(["sh", "-c", init_beside, "sh"])
            .spawn();
        assert_eq!(scope.reports().expect("stranger", "ready").pid(), 1);
        scope.reports().expect("daemon", "ready");
        stage.write(contents);
        for number in burst() {
            // As long as the launcher lives these are its own.
            if ![libc::SIGTERM, libc::SIGINT, libc::SIGQUIT].contains(&number) {
                running.signal(number);
            }
        }
        let complaint = format!("pidproxy: {}: ", stage.pid_file.display());
        running.expect_line(|line| line.starts_with(&complaint));
        control.send("here");
        scope.reports().expect("stranger", "here");
        assert_eq!(scope.reports().all_of("stranger", "signal"), []);
        control.send("exit 0");
        running.wait().expect_code(0);
    };
    std::thread::scope(|threads| {
        for contents in ["1\n", "1", "01\n", "0\n", "-1\n", "00\n"] {
            threads.spawn(move || attempt(contents));
        }
    });
}

/// The C original spun at 100 % when it found its own pid.
#[test]
fn the_proxy_does_not_follow_itself() {
    expect_refused("our own pid", |stage, _, proxy| stage.write(line(proxy.pid())));
    let scope = Scope::new();
    let stage = Stage::new(&scope);
    let proxy = stage.seek(stage.launch().options(["-a"]));
    stage.write(line(proxy.pid()));
    send_burst(&proxy);
    let mut looks = Looks::at(&stage.pid_file);
    looks.expect(2);
    let before = processor_ticks(proxy.pid());
    looks.expect(3);
    let ticks = processor_ticks(proxy.pid()) - before;
    assert!(ticks < 5, "three looks took {ticks} hundredths of a second of the processor");
    stage.expect_found(proxy);
}

/// A thread's id is a number that kill(2) takes, but no process's pid.
#[test]
fn a_thread_is_no_process() {
    expect_refused("a stranger's thread", |stage, stranger, _| {
        stage.write(format!("{}\n", stranger.thread()));
    });
    let scope = Scope::new();
    let stage = Stage::new(&scope);
    let proxy = stage.seek(stage.launch().command(["--threads=1"]));
    let threads = scope.reports().expect("daemon", "threads").numbers("tids");
    let mut looks = Looks::at(&stage.pid_file);
    stage.write(format!("{}\n", threads[0]));
    send_burst(&proxy);
    looks.expect(2);
    assert_eq!(scope.reports().all_of("daemon", "signal"), []);
    stage.expect_found(proxy);
}

#[test]
fn a_process_that_is_gone_is_not_followed() {
    expect_refused("a process that is dead and reaped", |stage, stranger, _| {
        let gone = Proxy::absent(stranger.scope).command(["true"]).spawn();
        let pid = gone.pid();
        gone.wait().expect_code(0);
        stage.write(line(pid));
    });
    expect_refused("a number beyond all pids", |stage, _, _| stage.write("2147483647\n"));
}

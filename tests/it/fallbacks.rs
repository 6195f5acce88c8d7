//! Kernels and containers' filters that lack some call. Whatever of the pidfd calls is refused, and with which error: for a
//! target that is our descendant everything stays the same, and it costs no polling. Other calls that fail end the run in
//! one line, or it goes on; it never hangs.
//!
//! The core of the behaviour is here, under every single refusal. To run all the other tests under one of them, set
//! `REFUSED_CALLS` (as `all:ENOSYS`, or `pidfd_open,clone_pidfd:EPERM`).

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::harness::elf::Elf;
use crate::harness::followed::{Followed, rest};
use crate::harness::needs::{self, skip};
use crate::harness::{DEADLINE, Looks, PPOLL_TIME64, Proxy, Refusal, Report, Scope, eventually, proc, signals};

/// A wait that a test never sees the end of, for `-w`.
const LONG: &str = "600";

/// Some calls that are refused, and the answer that they get.
struct Refused {
    calls: Vec<Refusal>,
    errno: i32,
}

impl Refused {
    fn proxy<'scope>(&self, scope: &'scope Scope) -> Proxy<'scope> {
        Proxy::new(scope).options(["-w", LONG]).refuse(&self.calls, self.errno)
    }

    /// Whether a foreign process is watched through a pidfd, or has to be looked after.
    fn has_foreign_pidfd(&self) -> bool {
        !self.calls.contains(&Refusal::PidfdOpen) && needs::calls(&[Refusal::PidfdOpen]).is_ok()
    }

    /// The status for a foreign process that exited with `code`.
    fn foreign_code(&self, code: i32) -> i32 {
        let is_told = !self.calls.contains(&Refusal::PidfdGetInfo) && needs::tells_foreign_status();
        if is_told && self.has_foreign_pidfd() { code } else { 0 }
    }
}

/// Runs the body under each single refusal, and under all of them together, with each error that filters answer with.
/// (Old kernels answer ENOSYS to a call and EINVAL to a flag that they do not know.)
fn under_every_refusal(body: impl Fn(&Refused)) {
    let mut groups: Vec<Vec<Refusal>> = Refusal::PIDFDS.iter().map(|&call| vec![call]).collect();
    groups.push(vec![Refusal::PidfdSignalGroup]);
    groups.push(Refusal::PIDFDS.to_vec());
    for errno in [libc::ENOSYS, libc::EPERM, libc::EINVAL] {
        for calls in &groups {
            eprintln!("refused with {errno}: {calls:?}");
            body(&Refused { calls: calls.clone(), errno });
        }
    }
}

fn number(report: &Report) -> i32 {
    i32::try_from(report.number("number")).expect("the number of a signal")
}

// The core, for our own descendant

#[test]
fn a_burst_arrives_with_its_payloads() {
    under_every_refusal(|refused| {
        let scope = Scope::new();
        let mut followed = Followed::start(&scope, refused.proxy(&scope).options(["-v"]), &[]);
        // Until then the launcher has TERM, INT and QUIT, and the daemon only their repetition.
        followed.running.expect_line(|line| line.starts_with("pidproxy: following: "));
        // These make the kernel discard others.
        let discarding = [libc::SIGCONT, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
        let mut sent = signals::forwardable();
        sent.retain(|number| !discarding.contains(number) && *number != 64);
        for &number in &sent {
            followed
                .running
                .queue(number, signals::payload(0x1234_5678_9abc_0000 + u64::try_from(number).expect("a number")));
        }
        for value in 0..100 {
            followed.running.queue(signals::real_time(9), value);
        }
        let mut reports = followed.arrived();
        let (queued, mut others): (Vec<Report>, Vec<Report>) =
            reports.drain(..).partition(|report| number(report) == signals::real_time(9) && report.value() < 100);
        assert_eq!(queued.iter().map(Report::value).collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
        others.sort_by_key(number);
        assert_eq!(others.iter().map(number).collect::<Vec<_>>(), sent);
        for report in others.iter().chain(&queued) {
            assert_eq!(report.number("code"), i64::from(libc::SI_QUEUE), "{report}");
            assert_eq!(report.pid(), std::process::id().cast_signed(), "{report}");
        }
        for report in &others {
            assert_eq!(
                report.value(),
                signals::payload(0x1234_5678_9abc_0000 + u64::try_from(number(report)).expect("a number"))
            );
        }
        followed.exit(7).expect_code(7);
        assert_eq!(scope.left_over(), []);
    });
}

#[test]
fn a_group_is_signalled_where_there_is_one() {
    under_every_refusal(|refused| {
        // The leader of a group of three: each gets every signal once.
        let scope = Scope::new();
        let proxy = refused.proxy(&scope).options(["-g"]);
        let followed = Followed::start(&scope, proxy, &["--single-fork", "--children=2", "--exit-on=TERM:6"]);
        followed.running.signal(libc::SIGUSR1);
        followed.running.queue(signals::real_time(1), 77);
        for name in ["daemon", "child1", "child2"] {
            let reports = scope.reports().expect_signals(name, 2);
            assert_eq!(reports.iter().map(number).collect::<Vec<_>>(), [libc::SIGUSR1, signals::real_time(1)]);
        }
        followed.running.signal(libc::SIGTERM);
        followed.running.wait().expect_code(6);
        eventually(DEADLINE, || scope.left_over().is_empty().then_some(())).expect("the children got TERM too");

        // The second fork, as of most daemons, leads no group: it is signalled all the same.
        let scope = Scope::new();
        let followed = Followed::start(&scope, refused.proxy(&scope).options(["-g"]), &["--exit-on=TERM:6"]);
        followed.running.queue(signals::real_time(1), 77);
        let report = scope.reports().expect("daemon", "signal");
        assert_eq!((number(&report), report.value()), (signals::real_time(1), 77));
        followed.running.signal(libc::SIGTERM);
        followed.running.wait().expect_code(6);
    });
}

#[test]
fn signals_are_rewritten() {
    under_every_refusal(|refused| {
        let scope = Scope::new();
        let rewrites = ["-H", "-r", "USR1=RTMIN+2", "-r", "USR2=0", "-r", "RTMIN+3:HUP"];
        let followed = Followed::start(&scope, refused.proxy(&scope).options(rewrites), &[]);
        followed.running.queue(libc::SIGUSR1, 5);
        followed.running.signal(libc::SIGUSR2);
        followed.running.signal(libc::SIGTERM);
        let mut arrived = followed.arrived_numbers();
        arrived.sort_unstable();
        assert_eq!(arrived, [libc::SIGHUP, libc::SIGTERM, signals::real_time(2)]);
        followed.running.signal(signals::real_time(3));
        assert_eq!(followed.arrived_numbers(), [libc::SIGHUP]);
        followed.exit(7).expect_code(7);
    });
}

#[test]
fn statuses_come_out() {
    under_every_refusal(|refused| {
        for code in [0, 1, 255] {
            let scope = Scope::new();
            Followed::start(&scope, refused.proxy(&scope), &[]).exit(code).expect_code(code);
        }
        for signal in [libc::SIGKILL, libc::SIGSEGV, signals::real_time(0)] {
            let scope = Scope::new();
            let followed = Followed::start(&scope, refused.proxy(&scope), &[]);
            followed.control.send(&format!("die {signal}"));
            followed.running.wait().expect_code(128 + signal);
        }
    });
}

#[test]
fn an_early_death_is_noticed() {
    under_every_refusal(|refused| {
        for when in [&["--before-exit"], &["--after-exit=0"]] {
            let scope = Scope::new();
            let proxy = daemon(refused, &scope).command(["--die-early=77"]).command(when);
            proxy.run().expect_code(77);
        }
    });
}

#[test]
fn replaced_daemons_are_followed() {
    under_every_refusal(|refused| {
        let scope = Scope::new();
        let followed = Followed::start(&scope, refused.proxy(&scope), &["--replace-on=USR2", "--exit-on=TERM:9"]);
        let mut last = followed.daemon;
        for _ in 0..3 {
            followed.running.signal(libc::SIGUSR2);
            let next = scope.reports().expect("replacement", "ready").pid();
            eventually(DEADLINE, || proc::state(last).is_none().then_some(())).expect("the old one is reaped");
            followed.running.signal(libc::SIGHUP);
            let is_new = |report: &Report| report.name == "replacement" && report.get("number").as_deref() == Some("1");
            scope.reports().take(DEADLINE, is_new).expect("the new one is signalled");
            last = next;
        }
        followed.running.signal(libc::SIGTERM);
        followed.running.wait().expect_code(9);
    });
}

#[test]
fn launchers_are_told_to_end_and_become_targets() {
    under_every_refusal(|refused| {
        for (wait, number) in [(LONG, libc::SIGTERM), ("0", libc::SIGUSR1)] {
            let scope = Scope::new();
            let running = refused
                .proxy(&scope)
                .options(["-w", wait])
                .pid_file(scope.path("pid"))
                .specimen(["program", &format!("--exit-on={number}:6")])
                .spawn();
            scope.reports().expect("program", "ready");
            running.signal(number);
            running.wait().expect_code(6);
        }
        let scope = Scope::new();
        daemon(refused, &scope).command(["--no-pid-file", "--launcher-exit=5"]).run().expect_code(5);
        let scope = Scope::new();
        let proxy = refused.proxy(&scope).pid_file(scope.path("pid"));
        let finished = proxy.command(["/nonexistent/command"]).run().expect_code(127);
        assert!(finished.stderr.contains("/nonexistent/command"), "{}", finished.stderr);
    });
}

#[test]
fn the_hook_runs_and_gets_signals() {
    under_every_refusal(|refused| {
        let scope = Scope::new();
        let hook = scope.script(
            "hook",
            "#!/bin/sh\nexec \"$SPECIMEN\" program --name=hook-$PIDPROXY_CHILD_EXIT_CODE --exit-on=USR1:3\n",
        );
        let proxy = refused.proxy(&scope).options([Path::new("-E"), &hook]).env("SPECIMEN", scope.specimen());
        let followed = Followed::start(&scope, proxy, &["--exit-on=TERM:7"]);
        followed.running.signal(libc::SIGTERM);
        scope.reports().expect("hook-7", "ready");
        followed.running.signal(libc::SIGUSR1);
        assert_eq!(number(&scope.reports().expect("hook-7", "signal")), libc::SIGUSR1);
        followed.running.wait().expect_code(7);
    });
}

#[test]
fn orphans_are_reaped() {
    under_every_refusal(|refused| {
        let scope = Scope::new();
        let running = refused
            .proxy(&scope)
            .options(["-w", "0"])
            .pid_file(scope.path("pid"))
            .specimen(["orphans", "--count=100", "--exit-on=TERM:9"])
            .spawn();
        let target = scope.reports().expect("orphans", "ready").pid();
        let proxy = running.pid();
        let only_the_target = || (proc::children(proxy) == [target]).then_some(());
        eventually(DEADLINE, only_the_target).unwrap_or_else(|| panic!("{:?}", proc::children(proxy)));
        running.signal(libc::SIGTERM);
        running.wait().expect_code(9);
    });
}

/// In all of them at once, for time has to pass in each.
#[test]
fn nothing_is_polled() {
    let mut scopes = Vec::new();
    let mut started = Vec::new();
    for errno in [libc::ENOSYS, libc::EPERM, libc::EINVAL] {
        scopes.push((Scope::new(), Refused { calls: Refusal::PIDFDS.to_vec(), errno }));
    }
    for (scope, refused) in &scopes {
        let followed = Followed::start(scope, refused.proxy(scope), &[]);
        followed.running.signal(libc::SIGHUP);
        assert_eq!(followed.arrived_numbers(), [libc::SIGHUP]);
        rest(followed.running.pid());
        let switches =
            ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"].map(|name| followed.running.status_field(name));
        started.push((followed, switches));
    }
    // Long enough for what looks after its target every second.
    std::thread::sleep(Duration::from_millis(2500));
    for (followed, before) in started {
        let switches =
            ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"].map(|name| followed.running.status_field(name));
        assert_eq!(switches, before);
        followed.exit(7).expect_code(7);
    }
}

// Foreign processes

/// Found, followed and signalled like any other. Without a pidfd its end is noticed late, but it is.
#[test]
fn a_foreign_daemon_is_followed() {
    under_every_refusal(|refused| {
        let scope = Scope::new();
        let control = scope.control("control");
        let daemon = Proxy::absent(&scope).specimen(["program", "--name=daemon", &control.option()]).spawn();
        scope.reports().expect("daemon", "ready");
        fs::write(scope.path("pid"), format!("{}\n", daemon.pid())).expect("a new file");
        let mut running = refused.proxy(&scope).options(["-v"]).pid_file(scope.path("pid")).spawn();
        running.expect_line(|line| line.starts_with("pidproxy: following: "));
        running.signal(libc::SIGUSR1);
        running.queue(signals::real_time(4), 99);
        let reports = scope.reports().expect_signals("daemon", 2);
        assert_eq!(reports.iter().map(number).collect::<Vec<_>>(), [libc::SIGUSR1, signals::real_time(4)]);
        assert_eq!(reports[1].value(), 99);
        control.send("exit 5");
        daemon.wait().expect_code(5);
        running.wait().expect_code(refused.foreign_code(5));
    });
}

/// It becomes our child after all, and then everything is known.
#[test]
fn a_daemon_that_is_adopted_late_has_its_status() {
    under_every_refusal(|refused| {
        let scope = Scope::new();
        let (parent, control) = (scope.control("parent"), scope.control("daemon"));
        let running = refused
            .proxy(&scope)
            .pid_file(scope.path("pid"))
            .command(["sh", "-c", "\"$@\" & exit 0", "sh"])
            .specimen(["daemon", "--single-fork", &format!("--pid-file={}", scope.path("pid").display())])
            .command(["--launcher-stays", &parent.launcher_option(), &control.option()])
            .spawn();
        let intermediate = scope.reports().expect("launcher", "ready").pid();
        scope.reports().expect("daemon", "ready");
        running.signal(libc::SIGUSR1);
        assert_eq!(number(&scope.reports().expect("daemon", "signal")), libc::SIGUSR1);
        parent.send("exit 0");
        eventually(DEADLINE, || proc::state(intermediate).is_none().then_some(())).expect("it is reaped");
        control.send("exit 7");
        running.wait().expect_code(7);
    });
}

// A proxy that is no reaper

/// Before Linux 3.4 nobody but init is. Then the daemon becomes init's child, and is foreign.
#[test]
fn without_a_subreaper_the_daemon_is_foreign() {
    if let Err(reason) = needs::strace() {
        return skip(&reason);
    }
    for pidfds in [&[][..], &Refusal::PIDFDS] {
        let scope = Scope::new();
        let proxy = Proxy::new(&scope)
            .prefix(strace(&scope, "prctl:error=EINVAL"))
            .refuse(pidfds, libc::ENOSYS)
            .options(["-w", LONG]);
        let followed = Followed::start(&scope, proxy, &["--after-exit=20"]);
        followed.running.signal(libc::SIGUSR1);
        assert_eq!(followed.arrived_numbers(), [libc::SIGUSR1]);
        assert_ne!(proc::parent(followed.daemon), Some(followed.running.pid()));
        let finished = followed.exit(7);
        // What is known of it depends on whether its new parent reaps it in time.
        assert!([Some(0), Some(7)].contains(&finished.code()), "{}", finished.status);
    }
    // Whoever may write the file could have put any pid there.
    let scope = Scope::new();
    let proxy = Proxy::new(&scope).prefix(strace(&scope, "prctl:error=EINVAL")).options(["-w", "1"]);
    let followed = Followed::start(&scope, proxy, &["--mode=0666"]);
    let pid = followed.daemon;
    followed.running.wait().expect_failure(scope.path("pid"));
    assert_eq!(scope.left_over(), [pid]);
}

/// As an emulator of another architecture has it, and as a container does: no subreaper is needed, no pidfd is there.
#[test]
fn init_needs_neither_subreaper_nor_pidfds() {
    if let Err(reason) = needs::process_1() {
        return skip(&reason);
    }
    let scope = Scope::new();
    let mut refusals = Refusal::PIDFDS.to_vec();
    refusals.push(Refusal::Call(libc::SYS_prctl));
    let proxy = Proxy::new(&scope).process_1().refuse(&refusals, libc::EINVAL);
    let proxy = proxy.options(["-v", "-w", LONG]);
    let mut followed = Followed::start(&scope, proxy, &["--after-exit=20", "--replace-on=USR2", "--exit-on=TERM:9"]);
    for value in 0..10 {
        followed.running.queue(signals::real_time(2), value);
    }
    let reports = scope.reports().expect_signals("daemon", 10);
    assert_eq!(reports.iter().map(Report::value).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
    followed.running.expect_line(|line| line.starts_with("pidproxy: following: "));
    followed.running.signal(libc::SIGUSR2);
    followed.running.expect_line(|line| line.starts_with("pidproxy: following: "));
    followed.running.signal(libc::SIGTERM);
    followed.running.wait().expect_code(9);
}

// Other calls

/// With 32 bits there are two calls to wait with a timeout: old kernels know the older one alone, new ones may be built
/// without it, and filters of containers have refused the newer one. The emulator uses calls of its own for both.
#[test]
fn a_timeout_of_either_width_will_do() {
    let is_32_bit = !Elf::under_test().is_64_bit && needs::native().is_ok();
    let both: &[&[(i64, i32)]] = &[
        &[],
        &[(PPOLL_TIME64, libc::ENOSYS)],
        &[(PPOLL_TIME64, libc::EPERM)],
        &[(PPOLL_TIME64, libc::EINVAL)],
        &[(libc::SYS_ppoll, libc::ENOSYS)],
    ];
    for refused in if is_32_bit { both } else { &both[..1] } {
        eprintln!("refused: {refused:?}");
        let scope = Scope::new();
        let mut proxy = Proxy::new(&scope).options(["-w", "1"]).pid_file(scope.path("pid"));
        for &(call, errno) in *refused {
            proxy = proxy.refuse(&[Refusal::Call(call)], errno);
        }
        let path = format!("--pid-file={}", scope.path("another").display());
        let finished = proxy.specimen(["daemon", &path]).run();
        let elapsed = finished.elapsed;
        finished.expect_failure(scope.path("pid"));
        assert!(elapsed >= Duration::from_secs(1), "{elapsed:?}");
    }
}

/// strace around the proxy alone (what it starts is not traced), which lets a call fail.
fn strace(scope: &Scope, injection: &str) -> [String; 6] {
    let log = scope.path("trace").display().to_string();
    ["strace", "-qq", "-o", &log, "-e", &format!("inject={injection}")].map(str::to_owned)
}

fn daemon<'scope>(refused: &Refused, scope: &'scope Scope) -> Proxy<'scope> {
    launch(refused.proxy(scope), scope)
}

fn launch<'scope>(proxy: Proxy<'scope>, scope: &'scope Scope) -> Proxy<'scope> {
    let pid_file = scope.path("pid");
    let option = format!("--pid-file={}", pid_file.display());
    proxy.pid_file(pid_file).specimen(["daemon", &option])
}

/// What cannot be done without: one line, and nothing is started.
#[test]
fn what_cannot_be_done_without_ends_the_run() {
    if let Err(reason) = needs::strace() {
        return skip(&reason);
    }
    for error in ["EMFILE", "ENFILE", "ENOMEM", "ENOSYS"] {
        let scope = Scope::new();
        let proxy = launch(Proxy::new(&scope).prefix(strace(&scope, &format!("signalfd4:error={error}"))), &scope);
        proxy.run().expect_failure("");
        assert_eq!(scope.reports().all(), [], "{error}");
    }
    for error in ["EAGAIN", "ENOMEM"] {
        let scope = Scope::new();
        let proxy = launch(Proxy::new(&scope).prefix(strace(&scope, &format!("clone:error={error}"))), &scope);
        let line = proxy.run().expect_failure(scope.specimen());
        assert!(line.ends_with(error), "{line}");
        assert_eq!(scope.reports().all(), [], "{error}");
    }
}

/// Also where it could be had later, and where the command would be launched again.
#[test]
fn without_a_signalfd_there_is_no_launch() {
    if let Err(reason) = needs::strace() {
        return skip(&reason);
    }
    for options in [&[][..], &["-R0"]] {
        let scope = Scope::new();
        let prefix = strace(&scope, "signalfd4:error=ENOMEM:when=1");
        let line = launch(Proxy::new(&scope).options(options).prefix(prefix), &scope).run().expect_failure("");
        assert_eq!(line, format!("pidproxy: {}: ENOMEM", scope.specimen().display()), "{options:?}");
        assert_eq!(scope.reports().all(), [], "{options:?}");
    }
}

/// A failure that passes, of each call that may have one, at each of its occurrences in a run.
#[test]
fn a_passing_failure_is_got_over() {
    if let Err(reason) = needs::strace() {
        return skip(&reason);
    }
    let failures = [
        ("?open,openat", "EMFILE"),
        ("?open,openat", "EINTR"),
        (fstat(), "EIO"),
        ("read", "EINTR"),
        ("read", "EIO"),
        ("close", "EIO"),
        ("ppoll", "EINTR"),
        ("ppoll", "ENOMEM"),
        ("pidfd_open", "EMFILE"),
        ("pidfd_send_signal", "ENOMEM"),
        ("madvise", "ENOMEM"),
    ];
    for (call, error) in failures {
        for occurrence in 1.. {
            eprintln!("{call} fails with {error}, the time number {occurrence}");
            let scope = Scope::new();
            let injection = format!("{call}:error={error}:when={occurrence}");
            let proxy = Proxy::new(&scope).options(["-w", LONG]).prefix(strace(&scope, &injection));
            let followed = Followed::start(&scope, proxy, &["--after-exit=3"]);
            followed.running.queue(signals::real_time(2), 99);
            let report = scope.reports().expect("daemon", "signal");
            assert_eq!((number(&report), report.value()), (signals::real_time(2), 99));
            followed.running.signal(libc::SIGUSR1);
            assert_eq!(number(&scope.reports().expect("daemon", "signal")), libc::SIGUSR1);
            followed.exit(7).expect_code(7);
            let log = fs::read_to_string(scope.path("trace")).expect("strace writes it");
            if !log.contains("(INJECTED)") {
                // There are no more of them in a run.
                break;
            }
        }
    }
}

/// A failure that stays, of what the search needs: it is given up in time, and the daemon is left alone.
#[test]
fn a_lasting_failure_ends_the_search_in_time() {
    if let Err(reason) = needs::strace() {
        return skip(&reason);
    }
    let fstat = format!("{}:error=EIO", fstat());
    for injection in ["?open,openat:error=EMFILE", "?open,openat:error=EACCES", &fstat] {
        let scope = Scope::new();
        let proxy = Proxy::new(&scope).options(["-w", "1"]).prefix(strace(&scope, injection));
        let followed = Followed::start(&scope, proxy, &[]);
        let pid = followed.daemon;
        followed.running.wait().expect_failure(scope.path("pid"));
        assert_eq!(scope.left_over(), [pid], "{injection}");
    }
    // Nothing to wait with: the wait may be short, and then the launcher has been the target, but it has an end.
    for injection in ["ppoll:error=ENOSYS", "ppoll:error=ENOMEM"] {
        let scope = Scope::new();
        let proxy = Proxy::new(&scope).options(["-w", "1"]).prefix(strace(&scope, injection));
        let followed = Followed::start(&scope, proxy, &["--no-pid-file"]);
        let pid = followed.daemon;
        let finished = followed.running.wait();
        assert!([Some(0), Some(125)].contains(&finished.code()), "{injection}: {}", finished.status);
        assert_eq!(scope.left_over(), [pid], "{injection}");
    }
}

/// With few descriptors left it works, or says that it cannot.
#[test]
fn few_descriptors_are_enough_or_an_error() {
    for limit in 3..10 {
        let scope = Scope::new();
        let control = scope.control("daemon");
        let mut running = Proxy::new(&scope)
            .prefix(["sh", "-c", &format!("ulimit -Sn {limit}; exec \"$@\""), "sh"])
            .options(["-w", "1"])
            .pid_file(scope.path("pid"))
            .command(["sh", "-c", "ulimit -Sn 1000; exec \"$@\"", "sh"])
            .specimen(["daemon", &control.option(), &format!("--pid-file={}", scope.path("pid").display())])
            .spawn();
        let outcome = eventually(DEADLINE, || {
            let is_followed = scope.reports().take(Duration::ZERO, |report| report.kind == "signal").is_some();
            if is_followed || running.has_ended() {
                return Some(is_followed);
            }
            if !scope.reports().all_of("daemon", "ready").is_empty() {
                running.signal(libc::SIGUSR1);
            }
            None
        });
        match outcome {
            Some(true) => {
                control.send("exit 7");
                running.wait().expect_code(7);
            }
            Some(false) => {
                let line = running.wait().expect_failure("");
                assert!(limit < 8, "{limit} are enough: {line}");
            }
            None => panic!("neither with {limit} descriptors\n{}", scope.evidence()),
        }
    }
}

/// `-f` that cannot remove the file: it is not believed all the same.
#[test]
fn a_file_that_cannot_be_removed_is_not_believed() {
    if let Err(reason) = needs::strace() {
        return skip(&reason);
    }
    for error in ["EROFS", "EACCES", "EBUSY", "ENOENT"] {
        let scope = Scope::new();
        let stranger = Proxy::absent(&scope).specimen(["program", "--name=stranger"]).spawn();
        scope.reports().expect("stranger", "ready");
        fs::create_dir(scope.path("run")).expect("a new directory");
        let pid_file = scope.path("run").join("pid");
        fs::write(&pid_file, format!("{}\n", stranger.pid())).expect("a new file");
        let proxy = Proxy::new(&scope)
            .prefix(strace(&scope, &format!("?unlink,unlinkat:error={error}")))
            .options(["-f", "-w", LONG]);
        let followed = Followed::start_with(&scope, proxy, &pid_file, &["--no-pid-file"]);
        let mut looks = Looks::at(&pid_file);
        followed.running.signal(libc::SIGUSR1);
        looks.expect(2);
        followed.control.send("write-pid-file");
        assert_eq!(number(&scope.reports().expect("daemon", "signal")), libc::SIGUSR1);
        assert_eq!(scope.reports().all_of("stranger", "signal"), []);
        followed.exit(7).expect_code(7);
    }
}

/// The name of the `fstat` that the binary under test uses.
fn fstat() -> &'static str {
    if Elf::under_test().is_64_bit { "fstat" } else { "fstat64" }
}

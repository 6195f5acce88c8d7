//! `-K`: when the target is gone, what is left of its descendants is ended.
//!
//! A shell starts them in the background, each a specimen under a name of its own, and becomes the target. That ends when
//! the test says so, over its control FIFO, and so do those that stay when they are told to end: thus it can be seen how
//! often they were told.

mod lives;
mod untold;

use std::time::{Duration, Instant};

use super::{Kind, program};
use crate::harness::needs::{self, skip};
use crate::harness::{Control, DEADLINE, Proxy, Refusal, Running, Scope, eventually, followed, proc, signals};

const TERM: i64 = libc::SIGTERM as i64;

/// A deadline that nobody waits for: nothing is killed.
const NO_KILL: &str = "-k2000000";

/// Ends when it is told to. As all members it is a shell's command, in which `$0` is the specimen.
const ENDS: &str = r#""$0" program --name=ends --exit-on=TERM:0"#;

/// Stays when it is told to end, until the test says so.
const STAYS: &str = r#""$0" program --name=stays --control=stays"#;

/// How the proxy comes to have the orphans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Subreaper,
    /// As process 1 of a namespace.
    First,
    /// The same, where no `/proc` tells who is there.
    FirstWithoutProc,
}

/// Puts an empty directory over `/proc` before the words that follow are executed.
const WITHOUT_PROC: [&str; 4] = ["sh", "-c", r#"mount -t tmpfs none /proc; [ -e /proc/1 ] || exec "$@""#, "sh"];

impl Place {
    /// Those of process 1.
    const FIRST: [Self; 2] = [Self::First, Self::FirstWithoutProc];

    fn put(self, proxy: Proxy<'_>) -> Proxy<'_> {
        match self {
            Self::Subreaper => proxy,
            Self::First => proxy.process_1(),
            Self::FirstWithoutProc => proxy.process_1().prefix(WITHOUT_PROC),
        }
    }
}

/// A target with descendants. Its directory is the scope's, so that the members can name their FIFOs there.
struct Family<'scope> {
    scope: &'scope Scope,
    kind: Kind,
    running: Running,
    /// The target's.
    control: Control,
}

impl<'scope> Family<'scope> {
    /// Starts the proxy with `-Kv` and these options, and the members.
    fn start(scope: &'scope Scope, (kind, place): (Kind, Place), options: &[&str], members: &[&str]) -> Self {
        Self::start_with(scope, (kind, place), options, members, &[])
    }

    /// The same, with arguments of the target.
    fn start_with(
        scope: &'scope Scope,
        (kind, place): (Kind, Place),
        options: &[&str],
        members: &[&str],
        arguments: &[&str],
    ) -> Self {
        let control = scope.control("target");
        let proxy = leaving(place.put(new(scope)).options(options), scope, kind, members);
        let running = proxy.command([control.option()]).command(arguments).spawn();
        Self { scope, kind, running, control }
    }

    /// Waits until these are there, and gives their pids, in their own namespace.
    #[track_caller]
    fn expect_ready<const COUNT: usize>(&self, names: [&str; COUNT]) -> [i32; COUNT] {
        names.map(|name| self.scope.reports().expect(name, "ready").pid())
    }

    /// Waits until the target is known, ends it, and waits until the proxy knows.
    #[track_caller]
    fn end(&mut self, status: i32) {
        // Which is not to be had later.
        self.running.pid();
        let target = self.scope.reports().expect(self.kind.name(), "ready").pid();
        self.running.expect_line(|line| line == format!("pidproxy: following: {target}"));
        self.control.send(&format!("exit {status}"));
        self.running.expect_line(|line| line == format!("pidproxy: ended: {status}"));
    }

    /// Waits for the end of the run, after which nothing is there any more: no process and no zombie.
    #[track_caller]
    fn expect_end(self, code: i32) -> String {
        let is_subreaper = self.running.pid() == self.running.first_pid();
        let left = if is_subreaper { proc::tree(self.running.pid()).split_off(1) } else { Vec::new() };
        // Their numbers may be others' soon.
        let left: Vec<_> = left.into_iter().filter_map(|pid| Some((pid, proc::start_time(pid)?))).collect();
        let finished = self.running.wait().expect_code(code);
        assert_eq!(self.scope.left_over(), [], "{}", self.scope.evidence());
        for (pid, start) in left {
            let state = proc::state(pid).filter(|_| proc::start_time(pid) == Some(start));
            assert_eq!(state, None, "{pid}, a child of {:?}\n{}", proc::parent(pid), finished.stderr);
        }
        finished.stderr
    }
}

/// The proxy with `-Kv`, in the directory of the scope.
fn new(scope: &Scope) -> Proxy<'_> {
    Proxy::new(scope).options(["-Kv"]).directory(scope.path(""))
}

/// Lets a shell start the members and become the target.
fn leaving<'scope>(proxy: Proxy<'scope>, scope: &Scope, kind: Kind, members: &[&str]) -> Proxy<'scope> {
    let mut script = String::new();
    for member in members {
        script.push_str(member);
        script.push_str(" &\n");
    }
    script.push_str("exec \"$0\" \"$@\"");
    let proxy = proxy.pid_file(if kind == Kind::Program { "-" } else { "pid" }).command(["sh", "-c", &script]);
    let proxy = proxy.command([scope.specimen()]).command([kind.name()]);
    if kind == Kind::Daemon { proxy.command(["--pid-file=pid"]) } else { proxy }
}

/// A hook that stays until USR1, the specimen under the name `hook`.
fn hook(scope: &Scope) -> String {
    let text = format!("#!/bin/sh\nexec '{}' program --name=hook --exit-on=USR1:0\n", scope.specimen().display());
    format!("-E{}", scope.script("hook", &text).display())
}

/// Which signals it has reported so far.
fn told(scope: &Scope, name: &str) -> Vec<i64> {
    scope.reports().all_of(name, "signal").iter().map(|report| report.number("number")).collect()
}

/// Waits until it is told to end.
#[track_caller]
fn expect_told(scope: &Scope, name: &str) {
    assert_eq!(scope.reports().expect(name, "signal").number("number"), TERM, "{name}");
}

/// Waits until the proxy has looked at what is left so many times more: each look is a wake-up.
#[track_caller]
fn expect_looks(running: &Running, count: u64) {
    let wake_ups = || running.status_field("voluntary_ctxt_switches").parse::<u64>().expect("a number");
    let before = wake_ups();
    let are_enough = || (wake_ups() >= before + count).then_some(());
    assert!(eventually(DEADLINE, are_enough).is_some(), "{}", running.evidence());
}

// What is left is told to end, once

/// Children of the target and theirs, those in a session of their own and those that handle nothing. None of them is there
/// when the hook begins, which has all of the signals that come then.
fn all_are_ended(kind: Kind, place: Place) {
    let scope = Scope::new();
    let stays = scope.control("stays");
    let parent = r#""$0" program --name=parent --children=2 --exit-on=TERM:0"#;
    let far = r#""$0" daemon --name=far --no-pid-file --exit-on=TERM:0"#;
    let plain = r#""$0" program --name=plain --default-dispositions"#;
    let options = [NO_KILL, &hook(&scope)];
    let mut family = Family::start(&scope, (kind, place), &options, &[STAYS, ENDS, parent, far, plain]);
    family.expect_ready(["stays", "ends", "parent", "child1", "child2", "plain"]);
    let far = scope.reports().expect("far", "ready");
    let session = |name: &str| scope.reports().all_of(name, "ready")[0].number("sid");
    assert!(far.number("sid") != session("parent"), "a session of its own: {far}");
    family.end(7);
    for name in ["stays", "ends", "parent", "child1", "child2", "far"] {
        expect_told(&scope, name);
    }
    expect_looks(&family.running, 4);
    assert_eq!(scope.reports().all_of("hook", "ready"), [], "{kind:?} {place:?}: one is still there");
    stays.send("exit 0");
    scope.reports().expect("hook", "ready");
    assert_eq!(proc::tree(family.running.pid()).len(), 2, "{kind:?} {place:?}\n{}", scope.evidence());
    for signal in [libc::SIGTERM, signals::real_time(1), libc::SIGUSR1] {
        family.running.signal(signal);
        assert_eq!(scope.reports().expect("hook", "signal").number("number"), signal.into(), "{kind:?} {place:?}");
    }
    family.expect_end(7);
    for name in ["stays", "ends", "parent", "child1", "child2", "far"] {
        assert_eq!(told(&scope, name), [TERM], "{kind:?} {place:?}: {name}");
    }
}

#[test]
fn what_is_left_is_ended_before_the_hook_and_the_end() {
    for kind in Kind::BOTH {
        all_are_ended(kind, Place::Subreaper);
    }
}

#[test]
fn process_1_ends_what_is_left_with_proc_and_without() {
    if let Err(reason) = needs::process_1() {
        return skip(&reason);
    }
    for kind in Kind::BOTH {
        for place in Place::FIRST {
            all_are_ended(kind, place);
        }
    }
}

/// Each becomes our child when its parent has ended, and is told then. Whoever stays meanwhile is not told again.
#[test]
fn one_generation_is_told_after_the_other() {
    for kind in Kind::BOTH {
        let scope = Scope::new();
        let stays = scope.control("stays");
        let chain = r#""$0" daemon --name=second --no-pid-file --single-fork --launcher-stays \
            --launcher-exit-on=TERM:0 --children=1 --exit-on=TERM:0"#;
        let mut family = Family::start(&scope, (kind, Place::Subreaper), &[NO_KILL], &[STAYS, chain]);
        let [_, first, second, _] = family.expect_ready(["stays", "launcher", "second", "child1"]);
        assert_eq!(proc::parent(second), Some(first));
        family.end(7);
        for name in ["launcher", "second", "child1"] {
            expect_told(&scope, name);
        }
        let all = scope.reports().all();
        let order: Vec<&str> = all
            .iter()
            .filter(|report| report.kind == "signal" && report.name != "stays")
            .map(|report| report.name.as_str())
            .collect();
        assert_eq!(order, ["launcher", "second", "child1"], "{kind:?}");
        expect_looks(&family.running, 2);
        stays.send("here");
        scope.reports().expect("stays", "here");
        assert_eq!(told(&scope, "stays"), [TERM], "{kind:?}");
        stays.send("exit 0");
        family.expect_end(7);
    }
}

/// The kernel's list of them is longer than what a read gives.
fn many_are_told(kind: Kind, place: Place) {
    const COUNT: usize = 300;
    let scope = Scope::new();
    let children = format!("--children={COUNT}");
    let arguments = [&children, "--exit-on=USR1:0"];
    let mut family = Family::start_with(&scope, (kind, place), &[NO_KILL], &[], &arguments);
    let names: Vec<String> = (1..=COUNT).map(|number| format!("child{number}")).collect();
    for name in &names {
        scope.reports().expect(name, "ready");
    }
    family.end(7);
    for name in &names {
        expect_told(&scope, name);
    }
    expect_looks(&family.running, 4);
    for child in proc::children(family.running.pid()) {
        signals::send(child, libc::SIGUSR1).expect("it lives");
    }
    family.expect_end(7);
    for name in &names {
        assert_eq!(told(&scope, name), [TERM, libc::SIGUSR1.into()], "{kind:?}: {name}");
    }
}

#[test]
fn hundreds_are_told_once_each() {
    for kind in Kind::BOTH {
        many_are_told(kind, Place::Subreaper);
    }
}

#[test]
fn process_1_tells_hundreds_once_each() {
    if let Err(reason) = needs::process_1() {
        return skip(&reason);
    }
    many_are_told(Kind::Program, Place::First);
}

#[test]
fn with_nothing_left_it_ends_at_once() {
    for kind in Kind::BOTH {
        let scope = Scope::new();
        let mut family = Family::start(&scope, (kind, Place::Subreaper), &[NO_KILL], &[]);
        family.end(7);
        let notes = family.expect_end(7);
        assert!(notes.ends_with("pidproxy: ended: 7\n"), "{kind:?}: {notes}");
    }
}

// The deadline

/// From the end of the target at least as long as was said: that ends after the test has asked for it.
fn what_stays_is_killed(kind: Kind, place: Place) {
    for (option, least) in [("-k0", Duration::ZERO), ("-k1", Duration::from_secs(1))] {
        let scope = Scope::new();
        let stays = r#""$0" program --name=stays --children=2"#;
        let mut family = Family::start(&scope, (kind, place), &[option], &[stays]);
        family.expect_ready(["stays", "child1", "child2"]);
        let start = Instant::now();
        family.end(7);
        family.expect_end(7);
        let lasted = start.elapsed();
        assert!(lasted >= least && lasted < least + DEADLINE / 2, "{kind:?} {place:?} {option}: {lasted:?}");
        let told = told(&scope, "stays");
        assert!(told == [TERM] || told.is_empty() && least.is_zero(), "{kind:?} {place:?} {option}: {told:?}");
    }
}

#[test]
fn what_stays_is_killed_in_time() {
    for kind in Kind::BOTH {
        what_stays_is_killed(kind, Place::Subreaper);
    }
}

#[test]
fn process_1_kills_what_stays_in_time() {
    if let Err(reason) = needs::process_1() {
        return skip(&reason);
    }
    for place in Place::FIRST {
        what_stays_is_killed(Kind::Program, place);
    }
}

/// Without a time there are seconds left after TERM.
#[test]
fn what_ends_later_is_not_killed() {
    for place in [Place::Subreaper, Place::First] {
        if let (Place::First, Err(reason)) = (place, needs::process_1()) {
            return skip(&reason);
        }
        let scope = Scope::new();
        let stays = scope.control("stays");
        let mut family = Family::start(&scope, (Kind::Program, place), &[], &[STAYS]);
        family.expect_ready(["stays"]);
        family.end(7);
        expect_told(&scope, "stays");
        expect_looks(&family.running, 6);
        stays.send("here");
        scope.reports().expect("stays", "here");
        assert_eq!(told(&scope, "stays"), [TERM], "{place:?}");
        stays.send("exit 0");
        family.expect_end(7);
    }
}

/// The clock that runs for a target that was told to end is not the hook's, be it over while others are ended.
#[test]
fn the_hook_is_not_killed_for_what_was_left() {
    let scope = Scope::new();
    let options = ["-k1", &hook(&scope)];
    let place = (Kind::Program, Place::Subreaper);
    let mut family =
        Family::start_with(&scope, place, &options, &[r#""$0" program --name=stays"#], &["--exit-on=TERM:7"]);
    family.expect_ready(["stays", "program"]);
    family.running.signal(libc::SIGTERM);
    family.running.expect_line(|line| line == "pidproxy: ended: 7");
    scope.reports().expect("hook", "ready");
    for signal in [libc::SIGTERM, libc::SIGUSR1] {
        family.running.signal(signal);
        assert_eq!(scope.reports().expect("hook", "signal").number("number"), signal.into());
    }
    family.expect_end(7);
}

/// Here nobody may use kill(2). What can not be killed is given up ten seconds later.
#[test]
fn what_can_not_be_killed_is_given_up() {
    if let Err(reason) = needs::native() {
        return skip(&reason);
    }
    let scope = Scope::new();
    let stays = scope.control("stays");
    let control = scope.control("target");
    let proxy = leaving(new(&scope).options(["-k0"]), &scope, Kind::Program, &[STAYS]);
    let refused = [Refusal::Call(libc::SYS_kill)];
    let running = proxy.command([control.option()]).refuse(&refused, libc::EPERM).spawn();
    for name in ["stays", "program"] {
        scope.reports().expect(name, "ready");
    }
    let start = Instant::now();
    control.send("exit 7");
    running.wait_within(2 * DEADLINE).expect_code(7);
    assert!(start.elapsed() >= Duration::from_secs(10), "{:?}", start.elapsed());
    stays.send("here");
    scope.reports().expect("stays", "here");
    assert_eq!(told(&scope, "stays"), [0; 0]);
}

// Who is left alone

/// A sibling of ours, in our group and session.
#[test]
fn who_is_no_descendant_is_left_alone() {
    for kind in Kind::BOTH {
        let scope = Scope::new();
        let control = scope.control("bystander");
        let bystander = Proxy::absent(&scope).specimen(["program", "--name=bystander", &control.option()]).spawn();
        let there = scope.reports().expect("bystander", "ready");
        let mut family =
            Family::start(&scope, (kind, Place::Subreaper), &["-k0"], &[ENDS, r#""$0" program --name=killed"#]);
        family.expect_ready(["ends", "killed"]);
        let pid = nix::unistd::Pid::from_raw(family.running.pid());
        let [group, session] = [nix::unistd::getpgid(Some(pid)), nix::unistd::getsid(Some(pid))];
        assert_eq!(group.map(|group| i64::from(group.as_raw())), Ok(there.number("pgid")));
        assert_eq!(session.map(|session| i64::from(session.as_raw())), Ok(there.number("sid")));
        family.end(7);
        family.running.wait().expect_code(7);
        assert_eq!(scope.left_over(), [bystander.pid()], "{kind:?}");
        control.send("here");
        scope.reports().expect("bystander", "here");
        assert_eq!(told(&scope, "bystander"), [0; 0], "{kind:?}");
    }
}

/// A daemon that somebody else has started leaves them to somebody else.
#[test]
fn the_children_of_an_attached_daemon_live_on() {
    let scope = Scope::new();
    let control = scope.control("stranger");
    let arguments = ["program", "--name=stranger", "--children=2", &control.option()];
    let stranger = Proxy::absent(&scope).specimen(arguments).spawn();
    let children = ["child1", "child2"].map(|name| (name, scope.reports().expect(name, "ready").pid()));
    std::fs::write(scope.path("pid"), format!("{}\n", stranger.pid())).expect("a new file");
    let mut running = new(&scope).options(["-k0"]).pid_file("pid").spawn();
    running.expect_line(|line| line == format!("pidproxy: following: {}", stranger.pid()));
    control.send("exit 5");
    stranger.wait().expect_code(5);
    running.wait().expect_code(if needs::tells_foreign_status() { 5 } else { 0 });
    for (name, pid) in children {
        signals::send(pid, libc::SIGUSR2).expect("it lives on");
        assert_eq!(scope.reports().expect(name, "signal").number("number"), libc::SIGUSR2.into());
        assert_eq!(told(&scope, name).len(), 1, "{name}");
    }
}

#[test]
fn without_a_list_of_children_nothing_is_done() {
    let mount = ["--mount", "--propagation=private"];
    if let Err(reason) = needs::root().and_then(|()| needs::unshare(&mount)) {
        return skip(&reason);
    }
    for kind in Kind::BOTH {
        for is_said in [false, true] {
            let scope = Scope::new();
            let stays = scope.control("stays");
            let control = scope.control("target");
            let proxy = Proxy::new(&scope).options([if is_said { "-Kvk0" } else { "-Kk0" }]).directory(scope.path(""));
            let proxy = proxy.prefix(["unshare"]).prefix(mount).prefix(WITHOUT_PROC);
            let running = leaving(proxy, &scope, kind, &[STAYS]).command([control.option()]).spawn();
            for name in ["stays", kind.name()] {
                scope.reports().expect(name, "ready");
            }
            control.send("exit 7");
            let finished = running.wait().expect_code(7);
            let line = "pidproxy: /proc/thread-self/children: ENOENT\n";
            let as_expected = if is_said { finished.stderr.ends_with(line) } else { finished.stderr.is_empty() };
            assert!(as_expected, "{kind:?}: {:?}", finished.stderr);
            stays.send("here");
            scope.reports().expect("stays", "here");
            assert_eq!(told(&scope, "stays"), [0; 0], "{kind:?}");
        }
    }
}

// Without a target

/// By its status, by a signal, and by leaving no pid file behind. There was no target, and there is no hook. Whoever does
/// not stand yet when it is told has the signal blocked.
#[test]
fn what_a_failed_launch_has_left_is_ended() {
    for (wait, command, code, said) in [
        ("-w600", "read line <go; exit 3", 3, "pidproxy: ended: 3"),
        ("-w600", "read line <go; kill -9 $$", 137, "pidproxy: ended: 137"),
        ("-w3", "exit 0", 125, ": ENOENT"),
    ] {
        let scope = Scope::new();
        let [stays, go] = ["stays", "go"].map(|name| scope.control(name));
        let script = format!("{ENDS} &\n{STAYS} &\n{command}");
        let proxy = new(&scope).options([wait, NO_KILL, &hook(&scope)]).pid_file("pid").command(["sh", "-c", &script]);
        let mut running = proxy.command([scope.specimen()]).blocked(&[libc::SIGTERM]).spawn();
        go.send("go");
        running.expect_line(|line| line.ends_with(said));
        for name in ["ends", "stays"] {
            expect_told(&scope, name);
        }
        expect_looks(&running, 3);
        stays.send("exit 0");
        running.wait().expect_code(code);
        assert_eq!(scope.left_over(), [], "{command}");
        assert!(["ends", "stays"].iter().all(|name| told(&scope, name) == [TERM]), "{command}");
        assert_eq!(scope.reports().all_of("hook", "ready"), [], "{command}");
    }
}

/// Without a command there are those that it has from before its execution.
fn pause_with<'scope>(scope: &'scope Scope, members: &str) -> Proxy<'scope> {
    let script = format!("{members} & exec \"$@\"");
    new(scope).options([NO_KILL]).pid_file("-").prefix(["sh", "-c", &script]).prefix([scope.specimen()])
}

#[test]
fn a_pause_ends_what_it_has() {
    let scope = Scope::new();
    let stays = scope.control("stays");
    let running = pause_with(&scope, STAYS).spawn();
    scope.reports().expect("stays", "ready");
    followed::settle(running.pid());
    running.signal(libc::SIGTERM);
    expect_told(&scope, "stays");
    expect_looks(&running, 3);
    // Another one changes nothing.
    running.signal(libc::SIGTERM);
    expect_looks(&running, 3);
    stays.send("exit 0");
    running.wait().expect_code(0);
    assert_eq!(scope.left_over(), []);
    assert_eq!(told(&scope, "stays"), [TERM]);
}

// What it costs

/// The time that passes here is not waited for something to happen, but for nothing to happen.
#[test]
fn it_does_not_wake_an_idle_proxy() {
    let scope = Scope::new();
    let running = program(&scope, &["-K", "-k1"], &["--children=3", "--exit-on=TERM:7"]).spawn();
    for name in ["child1", "child2", "child3", "program"] {
        scope.reports().expect(name, "ready");
    }
    let switches =
        || ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"].map(|field| running.status_field(field));
    followed::rest(running.pid());
    let before = switches();
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(switches(), before);
    running.signal(libc::SIGTERM);
    running.wait().expect_code(7);
    assert_eq!(scope.left_over(), []);
}

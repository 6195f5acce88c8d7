//! A real terminal: the command gets its foreground, as in a login shell, and each key has its effect once.

use std::ffi::OsStr;

use super::init;
use crate::harness::followed::settle;
use crate::harness::needs::{self, skip};
use crate::harness::{Control, DEADLINE, Input, Output, Proxy, Report, Running, Scope, Screen, eventually, proc};

const PROMPT: &str = "ready> ";

/// The code of a signal that the kernel itself has raised.
const OF_THE_KERNEL: i64 = 0x80;

fn on_terminal(proxy: Proxy<'_>) -> Proxy<'_> {
    proxy.stdin(Input::Terminal).stdout(Output::Terminal).stderr(Output::Terminal)
}

/// An interactive bash; `$S` is the specimen.
fn bash<'scope>(scope: &'scope Scope, proxy: Proxy<'scope>) -> Proxy<'scope> {
    on_terminal(proxy)
        .command(["bash", "--norc", "--noprofile", "-i"])
        .env("PS1", PROMPT)
        .env("TERM", "dumb")
        .env("S", scope.specimen())
        .env_remove("HISTFILE")
}

/// Waits until this program has said all that has reached it, and returns the numbers of its signals.
fn numbers(scope: &Scope, name: &str, control: &Control) -> Vec<i64> {
    control.send("here");
    scope.reports().expect(name, "here");
    scope.reports().all_of(name, "signal").iter().map(|report| report.number("number")).collect()
}

fn session_of_bash(proxy: Proxy<'_>, scope: &Scope) {
    let [first, second] = ["first", "second"].map(|name| scope.control(name));
    let proxy = bash(scope, proxy).env("A", first.option()).env("B", second.option());
    let running = proxy.spawn();
    let mut screen = Screen::of(&running);
    screen.expect(PROMPT);
    let shell = screen.foreground();
    assert_eq!(proc::parent(shell), Some(running.pid()), "bash has the foreground, and leads its group");

    // ^C goes to the command in front, once.
    screen.enter("$S program --name=first $A");
    scope.reports().expect("first", "ready");
    let command = screen.foreground();
    assert_eq!(proc::parent(command), Some(shell), "job control works: the command leads a group of its own");
    screen.type_keys("\x03");
    let signal = scope.reports().expect("first", "signal");
    assert_eq!((signal.number("number"), signal.number("code")), (libc::SIGINT.into(), OF_THE_KERNEL));
    screen.resize(100);
    assert_eq!(scope.reports().expect("first", "signal").number("number"), libc::SIGWINCH.into());
    assert_eq!(numbers(scope, "first", &first), [libc::SIGINT, libc::SIGWINCH].map(i64::from), "each once");
    first.send("exit 3");
    screen.expect(PROMPT);
    screen.enter("echo status $?");
    screen.expect("status 3");

    // ^Z stops it; fg and bg let it go on.
    screen.expect(PROMPT);
    screen.enter("$S program --name=second --default-dispositions $B");
    scope.reports().expect("second", "ready");
    let command = screen.foreground();
    screen.type_keys("\x1a");
    screen.expect("Stopped");
    screen.expect(PROMPT);
    assert_eq!((screen.foreground(), proc::state(command)), (shell, Some('T')));
    screen.enter("jobs");
    screen.expect("Stopped");
    screen.expect(PROMPT);
    screen.enter("fg");
    numbers(scope, "second", &second);
    assert_eq!(screen.foreground(), command);
    screen.type_keys("\x1a");
    screen.expect("Stopped");
    screen.expect(PROMPT);
    screen.enter("bg");
    screen.expect(PROMPT);
    numbers(scope, "second", &second);
    assert_eq!(screen.foreground(), shell);
    screen.enter("jobs");
    screen.expect("Running");
    screen.expect(PROMPT);
    screen.enter("fg");
    numbers(scope, "second", &second);
    eventually(DEADLINE, || (screen.foreground() == command).then_some(())).expect("in front again");
    screen.type_keys("\x03");
    screen.expect(PROMPT);
    screen.enter("echo status $?");
    screen.expect("status 130");

    // At the prompt: ^C takes the line away, and a new size of the window comes once.
    screen.expect(PROMPT);
    screen.type_keys("nonsense");
    screen.expect("nonsense");
    // Between the echo and its next sleep readline is deaf to signals.
    settle(shell);
    screen.type_keys("\x03");
    screen.expect(PROMPT);
    screen.enter("trap 'w=$((w+1))' WINCH; w=0");
    screen.expect(PROMPT);
    for count in 1..4 {
        screen.resize(100 + count);
        screen.enter("echo resized $w");
        screen.expect(&format!("resized {count}"));
        screen.expect(PROMPT);
    }
    screen.enter("exit 7");
    screen.expect_closed();
    running.wait().expect_code(7);
    assert_eq!(scope.left_over(), []);
}

#[test]
fn a_session_of_bash_key_by_key() {
    if let Err(reason) = needs::program("bash") {
        return skip(&reason);
    }
    let scope = Scope::new();
    session_of_bash(init(&scope), &scope);
}

#[test]
fn a_session_of_bash_under_process_1() {
    if let Err(reason) = needs::process_1().and_then(|()| needs::program("bash")) {
        return skip(&reason);
    }
    let scope = Scope::new();
    session_of_bash(init(&scope).process_1(), &scope);
}

/// That the test shows something: it passes for tini, which does it right.
#[test]
fn a_session_of_bash_under_tini() {
    if let Err(reason) = needs::program("bash").and_then(|()| needs::program("tini")) {
        return skip(&reason);
    }
    let scope = Scope::new();
    session_of_bash(Proxy::absent(&scope).command(["tini", "-s", "--"]), &scope);
}

#[test]
fn a_program_that_is_no_shell_gets_each_key_once() {
    let scope = Scope::new();
    let control = scope.control("control");
    let running = on_terminal(init(&scope)).specimen(["program", &control.option()]).spawn();
    let ready = scope.reports().expect("program", "ready");
    assert_eq!(ready.number("pgid"), ready.number("pid"));
    assert_ne!(ready.number("pgid"), i64::from(running.pid()));
    let screen = Screen::of(&running);
    assert_eq!(screen.foreground(), ready.pid());
    for (keys, number) in
        [("\x03", libc::SIGINT), ("\x1c", libc::SIGQUIT), ("\x1a", libc::SIGTSTP), ("\x03", libc::SIGINT)]
    {
        screen.type_keys(keys);
        let signal = scope.reports().expect("program", "signal");
        assert_eq!((signal.number("number"), signal.number("code")), (number.into(), OF_THE_KERNEL));
    }
    screen.resize(99);
    assert_eq!(scope.reports().expect("program", "signal").number("number"), libc::SIGWINCH.into());
    // Those of processes come as ever.
    running.signal(libc::SIGWINCH);
    assert_eq!(scope.reports().expect("program", "signal").pid(), running.pid());
    assert_eq!(numbers(&scope, "program", &control).len(), 6);
    control.send("exit 3");
    running.wait().expect_code(3);
}

#[test]
fn a_program_without_handlers_dies_of_the_key() {
    for (key, number) in [("\x03", libc::SIGINT), ("\x1c", libc::SIGQUIT)] {
        let scope = Scope::new();
        let running = on_terminal(init(&scope)).specimen(["program", "--default-dispositions"]).spawn();
        scope.reports().expect("program", "ready");
        Screen::of(&running).type_keys(key);
        running.wait().expect_code(128 + number);
    }
}

#[test]
fn a_stopped_program_goes_on_when_we_are_told_to() {
    let scope = Scope::new();
    let control = scope.control("control");
    let running = on_terminal(init(&scope)).specimen(["program", "--default-dispositions", &control.option()]).spawn();
    let program = scope.reports().expect("program", "ready").pid();
    Screen::of(&running).type_keys("\x1a");
    eventually(DEADLINE, || (proc::state(program) == Some('T')).then_some(())).expect("it stops");
    assert_ne!(proc::state(running.pid()), Some('T'));
    running.signal(libc::SIGCONT);
    control.send("exit 4");
    running.wait().expect_code(4);
}

#[test]
fn a_line_that_breaks_off_hangs_up_once() {
    let scope = Scope::new();
    let control = scope.control("control");
    let mut running = init(&scope).stdin(Input::Terminal).specimen(["program", &control.option()]).spawn();
    scope.reports().expect("program", "ready");
    running.hang_up();
    let is_hang_up = |report: &Report| report.kind == "signal" && report.number("number") == i64::from(libc::SIGHUP);
    scope.reports().take(DEADLINE, is_hang_up).expect("it is told");
    running.signal(libc::SIGUSR1);
    let is_later = |report: &Report| report.kind == "signal" && report.number("number") == i64::from(libc::SIGUSR1);
    scope.reports().take(DEADLINE, is_later).expect("we live on");
    let all = numbers(&scope, "program", &control);
    assert_eq!(all.iter().filter(|number| **number == i64::from(libc::SIGHUP)).count(), 1, "{all:?}");
}

/// An outer shell, which is not ours, and starts us in the foreground or in the background.
fn outer_shell(scope: &Scope, control: &Control) -> Running {
    let proxy = bash(scope, Proxy::absent(scope)).env("C", control.option());
    let words = Proxy::new(scope).words();
    proxy.env("P", words.join(OsStr::new(" "))).spawn()
}

#[test]
fn the_foreground_is_not_stolen_from_a_shell() {
    if let Err(reason) = needs::program("bash") {
        return skip(&reason);
    }
    let scope = Scope::new();
    let control = scope.control("control");
    let running = outer_shell(&scope, &control);
    let mut screen = Screen::of(&running);
    screen.expect(PROMPT);
    let shell = screen.foreground();
    screen.enter("$P - $S program --exit-on=TERM:5 $C &");
    let program = scope.reports().expect("program", "ready");
    screen.expect(PROMPT);
    assert_eq!(screen.foreground(), shell);
    control.send("facts");
    let facts = scope.reports().expect("program", "facts");
    assert_eq!(facts.text("group_leader"), "yes");
    let proxy = proc::parent(program.pid()).expect("a living program");
    assert!(proc::lives(proxy) && proc::state(proxy) != Some('T'), "nor are we stopped for the attempt");
    // It is not in front: keys are not for it.
    settle(shell);
    screen.type_keys("\x03");
    screen.expect(PROMPT);
    screen.resize(99);
    assert_eq!(numbers(&scope, "program", &control), [0_i64; 0]);
    screen.enter("kill %1; wait %1; echo status $?");
    screen.expect("status 5");
    screen.expect(PROMPT);
    screen.enter("exit");
    screen.expect_closed();
}

#[test]
fn a_shell_gets_its_foreground_back() {
    if let Err(reason) = needs::program("bash") {
        return skip(&reason);
    }
    let scope = Scope::new();
    let control = scope.control("control");
    let running = outer_shell(&scope, &control);
    let mut screen = Screen::of(&running);
    screen.expect(PROMPT);
    let shell = screen.foreground();
    screen.enter("$P - $S program --exit-on=INT:5 $C");
    let program = scope.reports().expect("program", "ready").pid();
    assert_eq!(screen.foreground(), program);
    screen.type_keys("\x03");
    screen.expect(PROMPT);
    screen.enter("echo status $?");
    screen.expect("status 5");
    screen.expect(PROMPT);
    assert_eq!(screen.foreground(), shell);
    assert_eq!(scope.reports().all_of("program", "signal").len(), 1);
    screen.enter("exit");
    screen.expect_closed();
}

/// Standard input is a terminal, but not that of our session: ENOTTY is no failure.
#[test]
fn a_terminal_of_somebody_else_is_left_alone() {
    if let Err(reason) = needs::program("setsid") {
        return skip(&reason);
    }
    let scope = Scope::new();
    let running = init(&scope).stdin(Input::Terminal).prefix(["setsid", "--wait"]).specimen(["facts"]).spawn();
    let finished = running.wait().expect_code(0);
    assert_eq!(finished.stderr, "");
    let facts = scope.reports().expect("facts", "facts");
    assert_eq!((facts.text("stdin_terminal").as_str(), facts.number("terminal_group")), ("yes", -1));
}

#[test]
fn no_terminal_is_no_failure() {
    for input in [Input::Null, Input::Closed] {
        let scope = Scope::new();
        let finished = init(&scope).stdin(input).specimen(["facts"]).run().expect_code(0);
        assert_eq!(finished.stderr, "");
        assert_eq!(scope.reports().expect("facts", "facts").number("terminal_group"), -1);
    }
}

/// The signal with which a group in the background is kept from the terminal is not left blocked or ignored.
#[test]
fn the_signals_of_the_terminal_are_as_they_were() {
    let scope = Scope::new();
    for blocked in [vec![], vec![libc::SIGTTOU, libc::SIGHUP]] {
        init(&scope).stdin(Input::Terminal).blocked(&blocked).specimen(["facts"]).run().expect_code(0);
        let facts = scope.reports().expect("facts", "facts");
        let set = |key: &str| crate::harness::signals::in_set(&facts.text(key));
        let mut blocked = blocked.clone();
        blocked.sort_unstable();
        assert_eq!((set("blocked"), set("ignored")), (blocked, vec![]));
    }
}

/// `-t` is for who switches the user on a terminal; the foreground goes along.
#[test]
fn another_user_gets_the_foreground_too() {
    if let Err(reason) = needs::root() {
        return skip(&reason);
    }
    let scope = Scope::new();
    init(&scope).options(["-t", "-U", "1234"]).stdin(Input::Terminal).specimen(["facts"]).run().expect_code(0);
    let facts = scope.reports().expect("facts", "facts");
    assert_eq!((facts.number("terminal_group"), facts.number("euid")), (facts.number("pid"), 1234));
}

//! The same questions to pidproxy, tini, dumb-init and catatonit, each called in its own way. The answers are a table, which
//! is that of the README. Where ours is another one than theirs, the last column says why.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::harness::needs::{self, find_program, skip};
use crate::harness::{DEADLINE, Input, Proxy, Report, Running, Scope, Screen, eventually, proc, signals};

/// A program that runs another one as an init does.
struct Peer {
    name: &'static str,
    /// How it is called where it is not process 1, up to the command.
    as_child: &'static [&'static str],
    /// How it is told to signal the program's whole group; not at all where it always does.
    group: &'static [&'static str],
}

const OURS: Peer = Peer { name: "pidproxy", as_child: &["-"], group: &["-g", "-"] };

const PEERS: [Peer; 4] = [
    OURS,
    Peer { name: "tini", as_child: &["-s", "--"], group: &["-s", "-g", "--"] },
    Peer { name: "dumb-init", as_child: &["--"], group: &["--"] },
    Peer { name: "catatonit", as_child: &["--"], group: &["-g", "--"] },
];

impl Peer {
    fn is_there(&self) -> Result<(), String> {
        if self.name == OURS.name { Ok(()) } else { needs::program(self.name) }
    }

    fn program(&self, scope: &Scope) -> PathBuf {
        if self.name == OURS.name {
            scope.reachable(&crate::harness::binary())
        } else {
            find_program(self.name).expect("looked for before")
        }
    }

    /// Not process 1.
    fn child<'scope>(&self, scope: &'scope Scope) -> Proxy<'scope> {
        Proxy::absent(scope).command([self.program(scope)]).command(self.as_child)
    }

    fn group<'scope>(&self, scope: &'scope Scope) -> Proxy<'scope> {
        Proxy::absent(scope).command([self.program(scope)]).command(self.group)
    }

    /// Process 1.
    fn first<'scope>(&self, scope: &'scope Scope) -> Proxy<'scope> {
        let words = if self.name == "tini" { &["--"] } else { self.as_child };
        Proxy::absent(scope).process_1().command([self.program(scope)]).command(words)
    }
}

/// A question, how it is answered, and the answers that we know of, in the order of [`PEERS`].
struct Row {
    question: &'static str,
    ask: fn(&Peer) -> String,
    answers: [&'static str; 4],
    /// Why ours differs from that of a peer; empty where it differs from none.
    why: &'static str,
}

const ROWS: [Row; 17] = [
    Row {
        question: "the program exits with 0, 1, 255",
        ask: exits,
        answers: ["0, 1, 255", "0, 1, 255", "0, 1, 255", "0, 1, 255"],
        why: "",
    },
    Row {
        question: "the program is killed by TERM, KILL, SEGV",
        ask: deaths,
        answers: ["143, 137, 139", "143, 137, 139", "143, 137, 139", "143, 137, 139"],
        why: "",
    },
    Row {
        question: "the program is not there, is not executable",
        ask: failures,
        answers: ["127, 126", "127, 126", "2, 2", "1, 1"],
        why: "as shells and `env` have it",
    },
    Row {
        question: "signals not forwarded by process 1",
        ask: not_forwarded,
        answers: ["none", "TTIN, TTOU, 32-33", "TSTP, TTIN, TTOU (STOP instead), 32-33", "TSTP, TTIN, TTOU, 32-33"],
        why: "the program decides; those of the terminal itself do not reach us",
    },
    Row {
        question: "the value of a `sigqueue`",
        ask: value,
        answers: ["arrives", "is lost", "is lost", "is lost"],
        why: "it is a part of the signal",
    },
    Row {
        question: "TERM, and the program does not handle it",
        ask: unhandled,
        answers: ["143", "143", "143", "143"],
        why: "",
    },
    Row {
        question: "the program's signal mask",
        ask: mask,
        answers: ["as given", "as given", "empty", "others blocked"],
        why: "the program finds what it would find without us",
    },
    Row {
        question: "signals that were ignored when the init was started",
        ask: ignored,
        answers: ["ignored", "ignored", "not ignored", "ignored"],
        why: "likewise",
    },
    Row {
        question: "the program's group, and session",
        ask: group_and_session,
        answers: ["its own, the init's", "its own, the init's", "its own, its own", "its own, the init's"],
        why: "a session of its own would take the program from its terminal",
    },
    Row {
        question: "signals go to its whole group",
        ask: whole_group,
        answers: ["with `-g`", "with `-g`", "always", "with `-g`"],
        why: "most programs tell their children themselves",
    },
    Row {
        question: "zombies left of 300 orphans, as process 1",
        ask: zombies_of_first,
        answers: ["0", "0", "0", "0"],
        why: "",
    },
    Row {
        question: "the same, not as process 1",
        ask: zombies_of_child,
        answers: ["0", "0 with `-s`", "not adopted", "0"],
        why: "what a program leaves behind is in nobody else's way",
    },
    Row {
        question: "the program exits with 5, an orphan lives on",
        ask: living_orphan,
        answers: ["5, at once", "5, at once", "5, at once", "5, at once"],
        why: "",
    },
    Row {
        question: "the program has the terminal's foreground",
        ask: foreground,
        answers: ["yes", "yes", "yes", "yes"],
        why: "",
    },
    Row {
        question: "INT, QUIT and WINCH of the terminal arrive",
        ask: keys,
        answers: ["once, once, once", "once, once, once", "once, once, once", "once, once, once"],
        why: "",
    },
    Row {
        question: "pid in `LISTEN_PID`",
        ask: listen_pid,
        answers: ["the program's", "the init's", "the init's", "the program's"],
        why: "for socket activation it has to be the program's",
    },
    Row {
        question: "the init keeps descriptors open, its directory busy",
        ask: pinned,
        answers: ["no, no", "yes, yes", "yes, no", "no, yes"],
        why: "the program alone shall decide when a connection is closed, a disk unmounted",
    },
];

/// What becomes of a process that was asked for something by a signal.
fn after_signal(pid: i32) -> &'static str {
    let look = || match proc::state(pid) {
        None | Some('Z' | 'X') => Some("dies"),
        Some('T') => Some("stops"),
        Some('S') => {
            let sets: Option<Vec<String>> =
                ["SigPnd", "ShdPnd"].iter().map(|field| proc::status_field(pid, field)).collect();
            sets?.iter().all(|set| signals::in_set(set).is_empty()).then_some("")
        }
        _ => None,
    };
    eventually(DEADLINE, look).unwrap_or("does not come to rest")
}

fn codes(runs: impl IntoIterator<Item = Running>) -> String {
    let codes: Vec<String> = runs
        .into_iter()
        .map(|running| {
            let finished = running.wait();
            finished.code().map_or_else(|| format!("{:?}", finished.signal()), |code| code.to_string())
        })
        .collect();
    codes.join(", ")
}

fn exits(peer: &Peer) -> String {
    let scope = Scope::new();
    codes(["--exit=0", "--exit=1", "--exit=255"].map(|option| peer.child(&scope).specimen(["program", option]).spawn()))
}

fn deaths(peer: &Peer) -> String {
    let scope = Scope::new();
    codes(
        ["TERM", "KILL", "SEGV"]
            .map(|name| peer.child(&scope).specimen(["program", &format!("--die-by={name}")]).spawn()),
    )
}

fn failures(peer: &Peer) -> String {
    let scope = Scope::new();
    let file = scope.path("file");
    fs::write(&file, "").expect("our own directory");
    codes([scope.path("missing"), file].map(|file| peer.child(&scope).command([file]).spawn()))
}

fn not_forwarded(peer: &Peer) -> String {
    let mut faults = Vec::new();
    for number in signals::forwardable() {
        let scope = Scope::new();
        let control = scope.control("control");
        let running = peer.first(&scope).specimen(["program", &control.option()]).spawn();
        scope.reports().expect("program", "ready");
        // Until it sleeps it may not have changed its mask back.
        after_signal(running.pid());
        running.signal(number);
        let becomes = after_signal(running.pid());
        if !becomes.is_empty() {
            faults.push((number, becomes));
            continue;
        }
        control.send("here");
        let is_here = |report: &Report| report.kind == "here";
        let program = proc::children(running.pid())[0];
        let answers = || match proc::state(program) {
            Some('T') => Some(false),
            _ => scope.reports().take(Duration::ZERO, is_here).map(|_| true),
        };
        if eventually(DEADLINE, answers) != Some(true) {
            faults.push((number, "(STOP instead)"));
            continue;
        }
        let seen: Vec<i64> =
            scope.reports().all_of("program", "signal").iter().map(|report| report.number("number")).collect();
        if seen != [i64::from(number)] {
            faults.push((number, ""));
        }
    }
    ranges(&faults)
}

/// `32-33` of those that are without names; what becomes of several in a row is said once.
fn ranges(faults: &[(i32, &str)]) -> String {
    let mut parts = Vec::new();
    for same in faults.chunk_by(|left, right| left.1 == right.1) {
        let mut names = Vec::new();
        let is_next = |left: &i32, right: &i32| right - left == 1 && *left > 31;
        let numbers: Vec<i32> = same.iter().map(|(number, _)| *number).collect();
        for range in numbers.chunk_by(is_next) {
            match range {
                [first, .., last] => names.push(format!("{first}-{last}")),
                single => names.extend(single.iter().map(|number| name_of(*number))),
            }
        }
        parts.push(format!("{} {}", names.join(", "), same[0].1).trim_end().to_owned());
    }
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

fn name_of(number: i32) -> String {
    nix::sys::signal::Signal::try_from(number)
        .map_or_else(|_| number.to_string(), |signal| signal.as_str().trim_start_matches("SIG").to_owned())
}

fn value(peer: &Peer) -> String {
    let scope = Scope::new();
    let running = peer.child(&scope).specimen(["program"]).spawn();
    scope.reports().expect("program", "ready");
    after_signal(running.pid());
    running.queue(libc::SIGUSR1, 4711);
    let kept = scope.reports().expect("program", "signal").value() == 4711;
    if kept { "arrives" } else { "is lost" }.to_owned()
}

fn unhandled(peer: &Peer) -> String {
    let scope = Scope::new();
    let running = peer.first(&scope).specimen(["program", "--default-dispositions"]).spawn();
    scope.reports().expect("program", "ready");
    after_signal(running.pid());
    running.signal(libc::SIGTERM);
    codes([running])
}

fn facts(peer: &Peer, change: impl Fn(Proxy<'_>) -> Proxy<'_>) -> Report {
    let scope = Scope::new();
    change(peer.child(&scope)).specimen(["facts", "--env=LISTEN_PID"]).run();
    scope.reports().expect("facts", "facts")
}

fn mask(peer: &Peer) -> String {
    let given = [libc::SIGHUP, libc::SIGUSR1, 40];
    let facts = facts(peer, |proxy| proxy.blocked(&given));
    let found = signals::in_set(&facts.text("blocked"));
    if found == given {
        "as given".to_owned()
    } else if found.is_empty() {
        "empty".to_owned()
    } else {
        "others blocked".to_owned()
    }
}

fn ignored(peer: &Peer) -> String {
    let given = [libc::SIGHUP, libc::SIGPIPE];
    let facts = facts(peer, |proxy| proxy.ignored(&given));
    let found = signals::in_set(&facts.text("ignored"));
    if found == given { "ignored" } else { "not ignored" }.to_owned()
}

fn group_and_session(peer: &Peer) -> String {
    let facts = facts(peer, |proxy| proxy);
    let word = |key: &str| if facts.text(key) == "yes" { "its own" } else { "ours" };
    format!("{}, {}", word("group_leader"), word("session_leader")).replace("ours", "the init's")
}

fn whole_group(peer: &Peer) -> String {
    let seen = |proxy: Proxy<'_>, scope: &Scope| {
        let control = scope.control("control");
        let running = proxy.specimen(["program", "--children=1", &control.option()]).spawn();
        scope.reports().expect("program", "ready");
        let child = scope.reports().expect("child1", "ready").pid();
        after_signal(running.pid());
        running.signal(libc::SIGUSR1);
        scope.reports().expect("program", "signal");
        after_signal(running.pid());
        // What was sent before this is reported before it.
        signals::send(child, libc::SIGUSR2).expect("a living child");
        scope.reports().expect("child1", "signal").number("number") == i64::from(libc::SIGUSR1)
    };
    let scope = Scope::new();
    let always = seen(peer.child(&scope), &scope);
    drop(scope);
    let scope = Scope::new();
    let with_option = seen(peer.group(&scope), &scope);
    match (always, with_option) {
        (true, _) => "always",
        (false, true) => "with `-g`",
        (false, false) => "never",
    }
    .to_owned()
}

fn zombies(proxy: Proxy<'_>, scope: &Scope) -> String {
    let control = scope.control("control");
    let options = ["orphans", "--count=300", &control.option()];
    let running = proxy.specimen(options).spawn();
    scope.reports().expect("orphans", "ready");
    let pid = running.pid();
    after_signal(pid);
    let is_zombie = |child: &i32| proc::state(*child) == Some('Z');
    // A moment of grace: CHLD is on its way.
    let none = eventually(DEADLINE, || (!proc::children(pid).iter().any(is_zombie)).then_some(()));
    match none {
        Some(()) => "0".to_owned(),
        None => proc::children(pid).iter().filter(|child| is_zombie(child)).count().to_string(),
    }
}

fn zombies_of_first(peer: &Peer) -> String {
    let scope = Scope::new();
    zombies(peer.first(&scope), &scope)
}

fn zombies_of_child(peer: &Peer) -> String {
    let scope = Scope::new();
    let control = scope.control("orphan-control");
    let script = r#"("$0" program --name=orphan "$1" &); exec "$0" program"#;
    let proxy = peer.child(&scope).command(["sh", "-c", script]).command([scope.specimen()]);
    let running = proxy.command([control.option()]).spawn();
    let orphan = scope.reports().expect("orphan", "ready").pid();
    scope.reports().expect("program", "ready");
    let pid = running.pid();
    let adopted = eventually(DEADLINE, || match proc::parent(orphan)? {
        parent if parent == pid => Some(true),
        // The shell is the program, or one of its subshells.
        parent if proc::tree(pid).contains(&parent) => None,
        _ => Some(false),
    });
    drop(running);
    if adopted == Some(true) {
        let scope = Scope::new();
        let option = if peer.as_child.contains(&"-s") { " with `-s`" } else { "" };
        zombies(peer.child(&scope), &scope) + option
    } else {
        "not adopted".to_owned()
    }
}

fn living_orphan(peer: &Peer) -> String {
    let scope = Scope::new();
    let script = r#"("$0" program --name=orphan &); exec "$0" program --exit-after-ready=5"#;
    let running = peer.child(&scope).command(["sh", "-c", script]).command([scope.specimen()]).spawn();
    // The orphan is told nothing, and would be there for ever.
    format!("{}, at once", codes([running]))
}

fn foreground(peer: &Peer) -> String {
    let facts = facts(peer, |proxy| proxy.stdin(Input::Terminal));
    let has = facts.number("terminal_group") == facts.number("pgid");
    if has { "yes" } else { "no" }.to_owned()
}

fn keys(peer: &Peer) -> String {
    let scope = Scope::new();
    let control = scope.control("control");
    let running = peer.child(&scope).stdin(Input::Terminal).specimen(["program", &control.option()]).spawn();
    scope.reports().expect("program", "ready");
    let mut screen = Screen::of(&running);
    let mut seen = Vec::new();
    for (key, number) in [("\x03", libc::SIGINT), ("\x1c", libc::SIGQUIT), ("", libc::SIGWINCH)] {
        let before = scope.reports().all_of("program", "signal").len();
        after_signal(running.pid());
        if key.is_empty() {
            screen.resize(99);
        } else {
            screen.type_keys(key);
            // The driver raises its signal before it echoes the key.
            screen.expect(if number == libc::SIGINT { "^C" } else { "^\\" });
        }
        after_signal(running.pid());
        control.send("here");
        scope.reports().expect("program", "here");
        let mut reports = scope.reports().all_of("program", "signal").split_off(before);
        reports.retain(|report| report.number("number") == i64::from(number));
        seen.push(match reports.len() {
            0 => "never".to_owned(),
            1 => "once".to_owned(),
            count => format!("{count} times"),
        });
    }
    seen.join(", ")
}

fn listen_pid(peer: &Peer) -> String {
    let facts = facts(peer, |proxy| proxy.prefix(["sh", "-c", "LISTEN_PID=$$ exec \"$@\"", "sh"]));
    let own = facts.text("env.LISTEN_PID") == facts.text("pid");
    if own { "the program's" } else { "the init's" }.to_owned()
}

fn pinned(peer: &Peer) -> String {
    let scope = Scope::new();
    let directory = scope.path("").canonicalize().expect("our own directory");
    let proxy = peer.child(&scope).directory(&directory).prefix(["sh", "-c", "exec 9</dev/zero; exec \"$@\"", "sh"]);
    let running = proxy.specimen(["program"]).spawn();
    scope.reports().expect("program", "ready");
    after_signal(running.pid());
    let descriptor = proc::descriptors(running.pid()).iter().any(|(_, target)| target == "/dev/zero");
    let place = fs::read_link(format!("/proc/{}/cwd", running.pid())).ok() == Some(directory);
    [descriptor, place].map(|kept| if kept { "yes" } else { "no" }).join(", ")
}

/// Panics with all answers of this peer that are not as in the table.
fn check(index: usize) {
    let peer = &PEERS[index];
    // What is compared is as on this machine.
    if let Err(reason) = needs::native().and_then(|()| needs::process_1()).and_then(|()| peer.is_there()) {
        return skip(&reason);
    }
    let faults: Vec<String> = ROWS
        .iter()
        .filter_map(|row| {
            let answer = (row.ask)(peer);
            let fault = || format!("{}: {answer:?} in place of {:?}", row.question, row.answers[index]);
            (answer != row.answers[index]).then(fault)
        })
        .collect();
    assert!(faults.is_empty(), "{}:\n{}", peer.name, faults.join("\n"));
}

#[test]
fn pidproxy_is_as_in_the_table() {
    check(0);
}

#[test]
fn tini_is_as_in_the_table() {
    check(1);
}

#[test]
fn dumb_init_is_as_in_the_table() {
    check(2);
}

#[test]
fn catatonit_is_as_in_the_table() {
    check(3);
}

#[test]
fn where_we_differ_the_table_says_why() {
    for row in &ROWS {
        let differs = row.answers.iter().any(|answer| *answer != row.answers[0]);
        assert_eq!(differs, !row.why.is_empty(), "{}", row.question);
    }
}

#[test]
fn the_readme_shows_the_table() {
    let mut table = String::from("| | pidproxy | tini | dumb-init | catatonit | why |\n|---|---|---|---|---|---|\n");
    for row in &ROWS {
        let _ = writeln!(table, "| {} | {} | {} |", row.question, row.answers.join(" | "), row.why);
    }
    super::check_readme(&table);
}

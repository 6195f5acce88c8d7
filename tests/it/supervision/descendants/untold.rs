//! Those that end without having been told, while others stay: nobody is forgotten for that. As a subreaper we know no more
//! than how many have ended: some may be told once more than they would have to be.

use super::{ENDS, Family, Kind, NO_KILL, Place, STAYS, TERM, expect_looks, expect_told, pause_with, told};
use crate::harness::needs::{self, skip};
use crate::harness::{DEADLINE, Scope, eventually, followed, proc, signals};

/// It is a zombie when its parent ends, and the kernel may tell of both with one signal.
#[test]
fn what_the_target_did_not_reap_is_not_waited_for() {
    for kind in Kind::BOTH {
        let scope = Scope::new();
        let mut family = Family::start_with(&scope, (kind, Place::Subreaper), &[NO_KILL], &[], &["--children=1"]);
        let [child] = family.expect_ready(["child1"]);
        signals::send(child, libc::SIGKILL).expect("it lives");
        let is_dead = || (proc::state(child) == Some('Z')).then_some(());
        assert!(eventually(DEADLINE, is_dead).is_some(), "{}", scope.evidence());
        family.end(7);
        family.expect_end(7);
    }
}

/// Each parent has a child that ends as soon as it does, at the end of a pipe.
#[test]
fn what_ends_with_its_parent_changes_nothing_for_others() {
    for kind in Kind::BOTH {
        let scope = Scope::new();
        let stays = scope.control("stays");
        let parent = r#"exec "$0" program --name=parent --exit-on=TERM:0"#;
        let with_child = |end| format!("(mkfifo end{end}; (read line <end{end}) & exec 3>end{end}; {parent})");
        let parents = [1, 2, 3, 4, 5, 6].map(with_child);
        let members: Vec<&str> = std::iter::once(STAYS).chain(parents.iter().map(String::as_str)).collect();
        let mut family = Family::start(&scope, (kind, Place::Subreaper), &[NO_KILL], &members);
        family.expect_ready(["stays", "parent", "parent", "parent", "parent", "parent", "parent"]);
        family.end(7);
        for _ in &parents {
            expect_told(&scope, "parent");
        }
        expect_looks(&family.running, 4);
        stays.send("here");
        scope.reports().expect("stays", "here");
        assert!(told(&scope, "stays").iter().all(|signal| *signal == TERM), "{kind:?}");
        stays.send("exit 0");
        family.expect_end(7);
    }
}

/// Orphans come and end all the time, before the first look and between two.
fn orphans_are_reaped_meanwhile(kind: Kind, place: Place) {
    let scope = Scope::new();
    let stays = scope.control("stays");
    let maker = r#""$0" orphans --count=20000 --exit-on=TERM:0"#;
    let mut family = Family::start(&scope, (kind, place), &[NO_KILL], &[STAYS, maker]);
    family.expect_ready(["stays"]);
    scope.reports().expect("orphans", "half");
    family.end(7);
    for name in ["stays", "orphans"] {
        expect_told(&scope, name);
    }
    expect_looks(&family.running, 3);
    stays.send("here");
    scope.reports().expect("stays", "here");
    let told = told(&scope, "stays");
    assert!(told.iter().all(|signal| *signal == TERM), "{kind:?} {place:?}: {told:?}");
    assert!(told.len() == 1 || place == Place::Subreaper, "{kind:?} {place:?}: {told:?}");
    stays.send("exit 0");
    family.expect_end(7);
}

#[test]
fn orphans_that_end_meanwhile_change_nothing_for_others() {
    for kind in Kind::BOTH {
        orphans_are_reaped_meanwhile(kind, Place::Subreaper);
    }
}

#[test]
fn process_1_tells_the_others_while_orphans_end() {
    if let Err(reason) = needs::process_1() {
        return skip(&reason);
    }
    for kind in Kind::BOTH {
        orphans_are_reaped_meanwhile(kind, Place::First);
    }
}

/// The news of an orphan's end is held for a while. The pause that is over meanwhile ends the others all the same.
#[test]
fn a_pause_that_is_over_while_an_orphans_end_is_held_ends_what_it_has() {
    let scope = Scope::new();
    let stays = scope.control("stays");
    let running = pause_with(&scope, &format!("{ENDS} & {STAYS}")).spawn();
    let [_, orphan] = ["stays", "ends"].map(|name| scope.reports().expect(name, "ready").pid());
    let pid = running.pid();
    followed::settle(pid);
    signals::send(orphan, libc::SIGKILL).expect("it lives");
    let is_held = || !taken(pid).contains(&libc::SIGCHLD);
    eventually(DEADLINE, || (is_held() || proc::state(orphan).is_none()).then_some(())).expect("one of both");
    running.signal(libc::SIGTERM);
    expect_told(&scope, "stays");
    expect_looks(&running, 3);
    running.signal(libc::SIGTERM);
    expect_looks(&running, 3);
    stays.send("exit 0");
    running.wait().expect_code(0);
    assert_eq!(scope.left_over(), []);
    assert_eq!(told(&scope, "stays"), [TERM]);
}

/// The mask of the proxy's signalfd.
fn taken(pid: i32) -> Vec<i32> {
    let masks = proc::descriptors(pid).into_iter().find_map(|(number, _)| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).ok()?;
        text.lines().find_map(|line| line.strip_prefix("sigmask:")).map(signals::in_set)
    });
    masks.unwrap_or_default()
}

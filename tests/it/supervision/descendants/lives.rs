//! With `-R`: each life ends with all that it has left.

use super::{ENDS, Family, Kind, NO_KILL, Place, STAYS, TERM, expect_looks, expect_told, leaving, new, told};
use crate::harness::needs::{self, skip};
use crate::harness::signals::{self, in_set};
use crate::harness::{DEADLINE, Scope, eventually, proc};
use crate::supervision::FOR_EVER;

/// When the next target is there, nothing of the last life is.
fn each_life_is_ended(kind: Kind, place: Place) {
    let scope = Scope::new();
    let parent = r#""$0" program --name=parent --children=1 --exit-on=TERM:0"#;
    let mut family =
        Family::start_with(&scope, (kind, place), &["-R0", NO_KILL], &[ENDS, parent], &["--exit-on=TERM:5"]);
    for life in 1..=4 {
        let target = scope.reports().expect(kind.name(), "ready").pid();
        for name in ["ends", "parent", "child1"] {
            assert_eq!(told(&scope, name).len(), life - 1, "{kind:?} {place:?}: {name}");
        }
        family.expect_ready(["ends", "parent", "child1"]);
        family.running.expect_line(|line| line == format!("pidproxy: following: {target}"));
        // Beside us and the target. The launcher may be there a moment longer.
        let are_these = || (proc::tree(family.running.pid()).len() == 5).then_some(());
        assert!(eventually(DEADLINE, are_these).is_some(), "{kind:?} {place:?} {life}\n{}", scope.evidence());
        if life < 4 {
            family.control.send("exit 3");
        }
    }
    family.running.signal(libc::SIGTERM);
    family.expect_end(5);
    for name in ["ends", "parent", "child1"] {
        assert_eq!(told(&scope, name), [TERM; 4], "{kind:?} {place:?}: {name}");
    }
}

#[test]
fn what_a_life_has_left_is_ended_before_the_next() {
    for kind in Kind::BOTH {
        each_life_is_ended(kind, Place::Subreaper);
    }
}

#[test]
fn process_1_ends_what_a_life_has_left_before_the_next() {
    if let Err(reason) = needs::process_1() {
        return skip(&reason);
    }
    for kind in Kind::BOTH {
        for place in Place::FIRST {
            each_life_is_ended(kind, place);
        }
    }
}

/// Who asks for the end while what is left is being ended gets it when that is done, in place of the next life.
#[test]
fn a_stop_that_comes_meanwhile_ends_the_run() {
    for kind in Kind::BOTH {
        for (pause, signal) in [("-R0", libc::SIGTERM), (FOR_EVER, libc::SIGTERM), (FOR_EVER, libc::SIGINT)] {
            let scope = Scope::new();
            let stays = scope.control("stays");
            let place = (kind, Place::Subreaper);
            let mut family = Family::start(&scope, place, &[pause, NO_KILL], &[STAYS]);
            family.expect_ready(["stays"]);
            family.end(7);
            expect_told(&scope, "stays");
            family.running.signal(signal);
            expect_looks(&family.running, 3);
            let pending = in_set(&family.running.status_field("ShdPnd"));
            assert!(pending.contains(&signal), "{kind:?} {pause}: {pending:?}");
            assert_eq!(kind.lives(&scope), 1, "{kind:?} {pause}");
            stays.send("exit 0");
            family.expect_end(7);
            assert_eq!((kind.lives(&scope), told(&scope, "stays")), (1, vec![TERM]), "{kind:?} {pause}");
        }
    }
}

/// The others wait for the next target, which is started with them blocked.
#[test]
fn other_signals_that_come_meanwhile_reach_the_next_life() {
    for kind in Kind::BOTH {
        let scope = Scope::new();
        let [stays, control] = ["stays", "target"].map(|name| scope.control(name));
        let sent = [libc::SIGUSR1, signals::real_time(3)];
        let proxy = leaving(new(&scope).options(["-R0", NO_KILL]).blocked(&sent), &scope, kind, &[STAYS]);
        let running = proxy.command([&control.option(), "--exit-on=TERM:5"]).spawn();
        let mut family = Family { scope: &scope, kind, running, control };
        family.expect_ready(["stays"]);
        family.end(7);
        expect_told(&scope, "stays");
        for signal in sent {
            family.running.signal(signal);
        }
        expect_looks(&family.running, 3);
        stays.send("exit 0");
        scope.reports().expect(kind.name(), "ready");
        family.expect_ready(["stays"]);
        for signal in sent {
            assert_eq!(scope.reports().expect(kind.name(), "signal").number("number"), signal.into(), "{kind:?}");
        }
        family.running.signal(libc::SIGTERM);
        for name in [kind.name(), "stays"] {
            expect_told(&scope, name);
        }
        stays.send("exit 0");
        family.expect_end(5);
        assert_eq!(told(&scope, "stays"), [TERM; 2], "{kind:?}");
    }
}

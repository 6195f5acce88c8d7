//! As process 1.

use super::{Kind, Lives, expect_nothing_left};
use crate::harness::needs::{self, skip};
use crate::harness::{DEADLINE, Scope, eventually, proc};

/// As process 1 we have the orphans of all lives, those too that live longer than one, and reap them.
#[test]
fn process_1_launches_again() {
    if let Err(reason) = needs::process_1() {
        return skip(&reason);
    }
    for kind in Kind::BOTH {
        let scope = Scope::new();
        let orphan = scope.control("orphan-control");
        let script = r#"file=$1 control=$2; shift 2
            [ -e "$file" ] || { : >"$file"; ("$0" program --name=orphan "$control" &) }
            exec "$0" "$@""#;
        let control = scope.control("control");
        let proxy = kind.proxy(&scope, &["-R0"]).process_1().command(["sh", "-c", script]);
        let proxy = proxy.command([scope.specimen(), scope.path("once")]).command([orphan.option()]);
        let running = proxy.command(kind.words(&scope, &control)).command(["--exit-on=TERM:5"]).spawn();
        scope.reports().expect("orphan", "ready");
        for _ in 0..3 {
            let report = scope.reports().expect(kind.name(), "ready");
            assert_eq!(report.number("ppid"), 1, "{kind:?}");
            control.send("exit 3");
        }
        scope.reports().expect(kind.name(), "ready");
        let has_children =
            |count| eventually(DEADLINE, || (proc::children(running.pid()).len() == count).then_some(()));
        assert!(has_children(2).is_some(), "{kind:?}\n{}", scope.evidence());
        orphan.send("exit 99");
        assert!(has_children(1).is_some(), "{kind:?}\n{}", scope.evidence());
        control.send("exit 3");
        scope.reports().expect(kind.name(), "ready");
        running.signal(libc::SIGTERM);
        running.wait().expect_code(5);
        expect_nothing_left(&scope);
    }
}

/// A left-over pid file is removed before each launch, and not only before the first.
#[test]
fn process_1_removes_what_a_life_has_left_in_the_pid_file() {
    if let Err(reason) = needs::process_1() {
        return skip(&reason);
    }
    let scope = Scope::new();
    let mut lives = Lives::start_by(
        &scope,
        Kind::Daemon,
        Kind::Daemon.proxy(&scope, &["-R0", "-w600"]).process_1(),
        &["--no-pid-file", "--exit-on=TERM:5"],
    );
    for _ in 0..3 {
        lives.next();
        assert!(!scope.path("pid").exists());
        lives.control.send("write-pid-file");
        lives.end_and_see(3);
    }
    let pid = lives.next();
    lives.control.send("write-pid-file");
    lives.running.expect_line(|line| line == format!("pidproxy: following: {pid}"));
    lives.stop(5);
}

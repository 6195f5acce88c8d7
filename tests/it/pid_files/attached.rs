//! The form without a command: the daemon runs already, and is no child of ours.

use std::time::{Duration, Instant};

use super::{Stage, Stranger, USER, expect_burst, expect_stranger_followed, foreign_code, line, send_burst};
use crate::harness::needs::{self, skip};
use crate::harness::{Looks, Proxy, Running, Scope};

#[test]
fn a_running_daemon_is_attached_to() {
    for (end, number) in [("\n", None), ("", None), ("\n", Some(libc::SIGKILL))] {
        let scope = Scope::new();
        let (stage, daemon) = (Stage::new(&scope), Stranger::new(&scope));
        // From long before, and unchanged: here that is as it should be.
        stage.write(format!("{}{end}", daemon.pid()));
        let mut proxy = stage.attach().options(["-v"]).spawn();
        let following = format!("pidproxy: following: {}", daemon.pid());
        proxy.expect_line(|line| line == following);
        send_burst(&proxy);
        match number {
            None => expect_stranger_followed(daemon, proxy),
            Some(number) => {
                expect_burst(&scope, "stranger");
                daemon.control.send(&format!("die {number}"));
                assert_eq!(daemon.running.wait().signal(), Some(number));
                proxy.wait().expect_code(foreign_code(128 + number));
            }
        }
    }
}

/// The daemon's parent may take its time to reap it, and only then the kernel tells the status.
#[test]
fn an_attached_daemon_is_gone_when_it_is_a_zombie() {
    let scope = Scope::new();
    let (stage, daemon) = (Stage::new(&scope), Stranger::new(&scope));
    stage.write(line(daemon.pid()));
    let proxy = stage.attach().spawn();
    send_burst(&proxy);
    expect_burst(&scope, "stranger");
    daemon.control.send("exit 5");
    if needs::tells_foreign_status() {
        // Not reaped before the proxy's own end: what is not known is 0.
        proxy.wait().expect_code(0);
        daemon.running.wait().expect_code(5);
    }
}

#[test]
fn attaching_waits_for_the_file() {
    let scope = Scope::new();
    let (stage, daemon) = (Stage::new(&scope), Stranger::new(&scope));
    stage.write("");
    let mut looks = Looks::at(&stage.pid_file);
    let proxy = stage.attach().spawn();
    send_burst(&proxy);
    looks.expect(2);
    stage.write(line(daemon.pid()));
    expect_stranger_followed(daemon, proxy);
}

#[test]
fn attaching_is_given_up_in_time() {
    let scope = Scope::new();
    let stage = Stage::new(&scope);
    let start = Instant::now();
    stage.attach().options(["-w", "1"]).run().expect_failure(&stage.pid_file);
    assert!(start.elapsed() >= Duration::from_secs(1));
    let once = || stage.attach().options(["-w", "0"]).run();
    once().expect_failure(&stage.pid_file);
    for contents in ["", "0\n", "1\n", "2147483647\n", "4294967298\n", "abc\n", "+2\n"] {
        stage.write(contents);
        once().expect_failure(&stage.pid_file);
    }
}

/// One look is enough for a file that is complete. One without an end of line takes a second look, and gets it.
#[test]
fn attaching_can_do_without_a_wait() {
    for end in ["\n", ""] {
        let scope = Scope::new();
        let (stage, daemon) = (Stage::new(&scope), Stranger::new(&scope));
        stage.write(format!("{}{end}", daemon.pid()));
        let proxy = stage.attach().options(["-w", "0"]).spawn();
        send_burst(&proxy);
        expect_stranger_followed(daemon, proxy);
    }
}

#[test]
fn attaching_needs_a_trustworthy_file_too() {
    let mut cases = vec![(None, 0o664), (None, 0o646), (None, 0o666)];
    if needs::root().is_ok() {
        cases.extend([(Some(USER), 0o644), (Some(USER), 0o600)]);
    }
    for (owner, mode) in cases {
        let scope = Scope::new();
        let (stage, stranger) = (Stage::new(&scope), Stranger::new(&scope));
        stage.write_as(line(stranger.pid()), owner, mode);
        let proxy = stage.attach().options(["-w", "1"]).spawn();
        send_burst(&proxy);
        let line = proxy.wait().expect_failure(&stage.pid_file);
        assert!(line.contains("trust"), "{line}");
        stranger.expect_untouched();
        // Unless the user says so.
        let proxy = stage.attach().options(["-a"]).spawn();
        send_burst(&proxy);
        expect_stranger_followed(stranger, proxy);
    }
}

/// `-f` is for a launch: who attaches wants the daemon that runs.
#[test]
fn attaching_removes_nothing() {
    let scope = Scope::new();
    let (stage, daemon) = (Stage::new(&scope), Stranger::new(&scope));
    stage.write(line(daemon.pid()));
    let proxy = stage.attach().options(["-f"]).spawn();
    send_burst(&proxy);
    expect_stranger_followed(daemon, proxy);
    assert!(stage.pid_file.exists());
}

/// A daemon that is attached to, and one more, which no file names yet: neither is a child of ours. The place, the two, and
/// the proxy.
fn attached_and_next(scope: &Scope) -> (Stage<'_>, Stranger<'_>, Running, Running) {
    let (stage, first) = (Stage::new(scope), Stranger::new(scope));
    let second = Proxy::absent(scope).specimen(["program", "--name=second", &stage.control.option()]).spawn();
    scope.reports().expect("second", "ready");
    stage.write(line(first.pid()));
    let mut proxy = stage.attach().options(["-v"]).spawn();
    expect_following(&mut proxy, first.pid());
    (stage, first, second, proxy)
}

fn expect_following(proxy: &mut Running, pid: i32) {
    let following = format!("pidproxy: following: {pid}");
    proxy.expect_line(|line| line == following);
}

/// An upgrade by a new process, seen from outside: the daemon that comes next is no child of ours either.
#[test]
fn an_attached_daemon_that_is_replaced_is_followed() {
    let scope = Scope::new();
    let (stage, first, second, mut proxy) = attached_and_next(&scope);
    stage.write(line(second.pid()));
    first.control.send("exit 5");
    first.running.wait().expect_code(5);
    // Without pidfds the end of the first is only noticed after a while.
    expect_following(&mut proxy, second.pid());
    send_burst(&proxy);
    expect_burst(&scope, "second");
}

/// As haproxy's `-sf` goes on where the old one has nothing to finish: the file is emptied, the old one ends, and only then
/// the new one, which is no child of ours, writes its pid.
#[test]
fn a_successor_may_be_announced_by_an_empty_file() {
    let scope = Scope::new();
    let (stage, first, second, mut proxy) = attached_and_next(&scope);
    stage.write("");
    let mut looks = Looks::at(&stage.pid_file);
    first.control.send("exit 0");
    first.running.wait().expect_code(0);
    looks.expect(2);
    stage.write(line(second.pid()));
    expect_following(&mut proxy, second.pid());
    send_burst(&proxy);
    expect_burst(&scope, "second");
}

/// Signals are sent with the rights of who attaches, and with `-U` of that user: who may not signal the daemon can not follow
/// it, however good the file is.
#[test]
fn attaching_gives_no_rights() {
    if let Err(reason) = needs::root() {
        return skip(&reason);
    }
    for is_switched in [false, true] {
        eprintln!("by -U: {is_switched}");
        let attach = |stage: &Stage<'_>| {
            let proxy = stage.attach();
            if is_switched { proxy.options(["-U", &USER.to_string()]) } else { proxy.user(USER, USER, &[]) }.spawn()
        };
        let scope = Scope::new();
        let (stage, stranger) = (Stage::new(&scope), Stranger::new(&scope));
        stage.write(line(stranger.pid()));
        let mut looks = Looks::at(&stage.pid_file);
        let proxy = attach(&stage);
        send_burst(&proxy);
        looks.expect(3);
        stranger.expect_untouched();
        // It looks on, for a daemon that it may follow.
        let own = Scope::new();
        let own_daemon = Stranger::of_user(&own);
        stage.write(line(own_daemon.pid()));
        expect_burst(&own, "stranger");
        stranger.expect_untouched();
        own_daemon.control.send("exit 5");
        own_daemon.running.wait().expect_code(5);
        proxy.wait().expect_code(foreign_code(5));
    }
    let scope = Scope::new();
    let (stage, stranger) = (Stage::of_user(&scope), Stranger::new(&scope));
    stage.write(line(stranger.pid()));
    let complaint = stage.attach().options(["-w0"]).run().expect_failure(&stage.pid_file);
    assert!(complaint.ends_with("EPERM"), "{complaint}");
}

#[test]
fn attaching_can_mean_a_group() {
    let scope = Scope::new();
    let stage = Stage::new(&scope);
    let pid_file = format!("--pid-file={}", stage.pid_file.display());
    let arguments = ["daemon", "--single-fork", "--children=1", "--launcher-stays", &pid_file, &stage.control.option()];
    let _launcher = Proxy::absent(&scope).specimen(arguments).spawn();
    let pid = scope.reports().expect("daemon", "ready").pid();
    scope.reports().expect("child1", "ready");
    let members = ["daemon", "child1"];
    for (option, number, members) in [("-v", libc::SIGUSR1, &members[..1]), ("-vg", libc::SIGUSR2, &members)] {
        let mut proxy = stage.attach().options([option]).spawn();
        let following = format!("pidproxy: following: {pid}");
        proxy.expect_line(|line| line == following);
        proxy.signal(number);
        for member in members {
            // The child's first one is that which was meant for the group.
            assert_eq!(scope.reports().expect(member, "signal").number("number"), number.into(), "{member}");
        }
    }
    stage.control.send("exit 0");
}

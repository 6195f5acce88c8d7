//! Files that are left over from a former run, and their removal.

use std::fs;
use std::os::unix::fs::{chown, symlink};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::{Stage, Stranger, USER, line, remove_unless_regular, send_burst};
use crate::harness::needs::{self, skip};
use crate::harness::{DEADLINE, Looks, Scope, eventually};

/// What is in the file, and whether it may go: it must be nothing but a number, or nothing at all.
const LEFT_OVER: [(&str, bool); 15] = [
    ("", true),
    ("\n", true),
    ("2147483647\n", true),
    ("2147483647", true),
    ("   2147483647\n", true),
    ("2147483647 \n", true),
    ("0\n", true),
    ("2147483647\n1\n", false),
    ("2147483647\n/var/lib/postgresql/15/main\n", false),
    ("2147483647x\n", false),
    ("-2147483647\n", false),
    ("pid\n", false),
    ("2147483647\0\n", false),
    ("#\n", false),
    ("root:x:0:0:root:/root:/bin/sh\n", false),
];

/// The launcher tells what it sees of the file.
const TELL: [&str; 3] = ["sh", "-c", "if test -e \"$0\" || test -L \"$0\"; then echo there; else echo gone; fi"];

#[test]
fn with_f_a_left_over_file_is_removed() {
    let scope = Scope::new();
    let stage = Stage::new(&scope);
    let launch = |options: &[&str]| {
        let proxy = stage.attach().options(options).command(TELL).command([&stage.pid_file]);
        let finished = proxy.run();
        let stdout = finished.stdout.clone();
        finished.expect_failure(&stage.pid_file);
        stdout
    };
    for (contents, may_go) in LEFT_OVER {
        stage.write(contents);
        assert_eq!(launch(&[]), "there\n", "{contents:?}");
        assert_eq!(launch(&["-f"]), if may_go { "gone\n" } else { "there\n" }, "{contents:?}");
        if !may_go {
            assert_eq!(fs::read(&stage.pid_file).expect("our own file"), contents.as_bytes());
        }
    }
    // Long, but nothing that is not a number: whichever it is, it is no reason to fail.
    stage.write("1".repeat(100_000));
    launch(&["-f"]);
    stage.write("");
    fs::remove_file(&stage.pid_file).expect("our own file");
    assert_eq!(launch(&["-f"]), "gone\n", "nothing to remove");
}

#[test]
fn with_f_only_a_regular_file_is_removed() {
    let scope = Scope::new();
    let stage = Stage::new(&scope);
    let target = scope.path("target");
    let expect_there = || {
        let proxy = stage.attach().options(["-f"]).command(TELL).command([&stage.pid_file]);
        let finished = proxy.run();
        assert_eq!(finished.stdout, "there\n");
        finished.expect_failure(&stage.pid_file);
        remove_unless_regular(&stage.pid_file);
    };
    fs::write(&target, "2147483647\n").expect("a new file");
    symlink(&target, &stage.pid_file).expect("a new link");
    expect_there();
    assert_eq!(fs::read_to_string(&target).expect("our own file"), "2147483647\n");
    symlink(scope.path("nowhere"), &stage.pid_file).expect("a new link");
    expect_there();
    fs::create_dir(&stage.pid_file).expect("a new directory");
    expect_there();
    mkfifo(&stage.pid_file, Mode::from_bits_truncate(0o600)).expect("a new FIFO");
    expect_there();
}

/// That the first launch found a plain file makes nothing else one at the next.
#[test]
fn with_f_each_launch_removes_a_regular_file_only() {
    let scope = Scope::new();
    let stage = Stage::new(&scope);
    stage.write("2147483647\n");
    let script = r#"if test -L "$0"; then echo there; else ln -s nowhere "$0" && echo gone; fi; exit 1"#;
    let proxy = stage.attach().options(["-fR0"]).command(["sh", "-c", script]).command([&stage.pid_file]);
    let running = proxy.spawn();
    let told = eventually(DEADLINE, || Some(running.stdout()).filter(|text| text.lines().count() >= 4));
    let told = told.unwrap_or_else(|| panic!("no four launches\n{}", scope.evidence()));
    assert_eq!(told.lines().take(4).collect::<Vec<_>>(), ["gone", "there", "there", "there"]);
}

/// The file that could not be removed is still one from before the launch.
#[test]
fn with_f_a_file_that_stays_is_not_believed() {
    let scope = Scope::new();
    let (stage, stranger) = (Stage::new(&scope), Stranger::new(&scope));
    stage.write(format!("{}\nand more\n", stranger.pid()));
    let proxy = stage.seek(stage.launch().options(["-f"]));
    let mut looks = Looks::at(&stage.pid_file);
    send_burst(&proxy);
    looks.expect(2);
    stage.expect_found(proxy);
    stranger.expect_untouched();
    if let Err(reason) = needs::root() {
        return skip(&reason);
    }
    let scope = Scope::new();
    let (stage, stranger) = (Stage::of_user(&scope), Stranger::of_user(&scope));
    stage.write(line(stranger.pid()));
    chown(stage.directory(), Some(0), Some(0)).expect("our own directory");
    let proxy = stage.seek(stage.launch().options(["-f"]));
    let mut looks = Looks::at(&stage.pid_file);
    send_burst(&proxy);
    looks.expect(2);
    chown(stage.directory(), Some(USER), Some(USER)).expect("our own directory");
    fs::remove_file(&stage.pid_file).expect("our own file");
    stage.expect_found(proxy);
    stranger.expect_untouched();
}

/// In a new pid namespace nothing in the file can be alive: no `-f` is needed.
#[test]
fn init_removes_a_left_over_file() {
    if let Err(reason) = needs::process_1() {
        return skip(&reason);
    }
    for (contents, may_go) in LEFT_OVER {
        let scope = Scope::new();
        let stage = Stage::new(&scope);
        stage.write(contents);
        let proxy = stage.attach().process_1().command(TELL).command([&stage.pid_file]);
        let finished = proxy.run();
        assert_eq!(finished.stdout, if may_go { "gone\n" } else { "there\n" }, "{contents:?}");
        finished.expect_failure(&stage.pid_file);
    }
}

/// A container that is started again: the number in the file is the launcher's now, as its daemon's will be next to it.
#[test]
fn init_does_not_take_its_launcher_for_the_daemon_of_old() {
    if let Err(reason) = needs::process_1() {
        return skip(&reason);
    }
    let scope = Scope::new();
    let stage = Stage::new(&scope);
    stage.write("2\n");
    let launcher = scope.control("launcher");
    let running = stage.launch().process_1().command(["--launcher-stays", &launcher.launcher_option()]).spawn();
    assert_eq!(scope.reports().expect("launcher", "ready").pid(), 2);
    scope.reports().expect("daemon", "ready");
    for number in [libc::SIGHUP, libc::SIGUSR1] {
        running.signal(number);
    }
    stage.control.send("write-pid-file");
    for number in [libc::SIGHUP, libc::SIGUSR1] {
        assert_eq!(scope.reports().expect("daemon", "signal").number("number"), number.into());
    }
    launcher.send("exit 3");
    stage.control.send("exit 7");
    running.wait().expect_code(7);
    assert_eq!(scope.reports().all_of("launcher", "signal"), []);
}

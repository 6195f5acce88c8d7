//! Who may have written the file: for a process that is no child of ours that decides.

use std::fs;

use super::{
    LONG, OTHER_USER, Stage, Stranger, USER, expect_refused, expect_refused_on, expect_stranger_followed, line,
    send_burst,
};
use crate::harness::needs::{self, skip};
use crate::harness::{Looks, Proxy, Scope};

/// A container's restart, a crash, a reboot: the file is there before the launch, and its number is another's by now.
#[test]
fn a_file_from_before_the_launch_is_not_believed() {
    for end in ["\n", ""] {
        let scope = Scope::new();
        let (stage, stranger) = (Stage::new(&scope), Stranger::new(&scope));
        stage.write(format!("{}{end}", stranger.pid()));
        expect_refused_on(&stage, &stranger, |_, _, _| {});
    }
    // While the launcher lives TERM is its own, and the others wait.
    let scope = Scope::new();
    let (stage, stranger) = (Stage::new(&scope), Stranger::new(&scope));
    stage.write(line(stranger.pid()));
    let launcher = scope.control("launcher");
    let stays = ["--launcher-stays", &launcher.launcher_option()];
    let proxy = stage.launch().command(stays).spawn();
    scope.reports().expect("launcher", "ready");
    let mut looks = Looks::at(&stage.pid_file);
    looks.expect(1);
    for number in [libc::SIGTERM, libc::SIGHUP] {
        proxy.signal(number);
    }
    assert_eq!(scope.reports().expect("launcher", "signal").number("number"), libc::SIGTERM.into());
    looks.expect(2);
    stranger.expect_untouched();
    launcher.send("exit 3");
    proxy.wait().expect_code(3);
    stranger.expect_untouched();
}

/// Somebody put a copy in its place, as `cp -p` makes it (another file, of the same moment): it says nothing new.
#[test]
fn a_faithful_copy_of_a_file_from_before_the_launch_is_not_believed() {
    let scope = Scope::new();
    let (stage, stranger) = (Stage::new(&scope), Stranger::new(&scope));
    stage.write(line(stranger.pid()));
    let written = fs::metadata(&stage.pid_file).and_then(|metadata| metadata.modified()).expect("our own file");
    expect_refused_on(&stage, &stranger, |stage, stranger, _| {
        let copy = stage.scope.path("copy");
        fs::write(&copy, line(stranger.pid())).expect("a new file");
        fs::File::options().write(true).open(&copy).and_then(|file| file.set_modified(written)).expect("our own file");
        fs::rename(&copy, &stage.pid_file).expect("our own files");
    });
}

/// Only a change makes a file believable, be it to the same number: in a container the new daemon often has the old pid.
#[test]
fn a_file_that_was_written_again_is_believed() {
    let scope = Scope::new();
    let (stage, stranger) = (Stage::new(&scope), Stranger::new(&scope));
    stage.write(line(stranger.pid()));
    let proxy = stage.seek(stage.launch());
    Looks::at(&stage.pid_file).expect(1);
    stage.write(line(stranger.pid()));
    send_burst(&proxy);
    expect_stranger_followed(stranger, proxy);
}

/// A process that is no child of ours is the daemon only where nobody but root and ourselves could have said so.
#[test]
fn a_foreign_process_needs_a_trustworthy_file() {
    for mode in [0o644, 0o600, 0o444, 0o755] {
        eprintln!("to be followed: mode {mode:o}");
        let scope = Scope::new();
        let (stage, stranger) = (Stage::new(&scope), Stranger::new(&scope));
        let proxy = stage.seek(stage.launch());
        stage.write_as(line(stranger.pid()), None, mode);
        send_burst(&proxy);
        expect_stranger_followed(stranger, proxy);
    }
    for mode in [0o664, 0o646, 0o666, 0o620, 0o602, 0o777] {
        expect_refused(&format!("a stranger in a file of mode {mode:o}"), |stage, stranger, _| {
            stage.write_as(line(stranger.pid()), None, mode);
        });
    }
}

/// Whoever the file belongs to: a process that is our child is no stranger.
#[test]
fn a_child_is_accepted_from_any_file() {
    for mode in ["0600", "0666", "0777", "0622"] {
        let scope = Scope::new();
        let stage = Stage::new(&scope);
        let proxy = stage.seek(stage.launch().command([format!("--mode={mode}")]));
        send_burst(&proxy);
        stage.expect_found(proxy);
    }
    if let Err(reason) = needs::root() {
        return skip(&reason);
    }
    let scope = Scope::new();
    let stage = Stage::new(&scope);
    let proxy = stage.seek(stage.launch());
    let daemon = scope.reports().all_of("daemon", "ready")[0].pid();
    stage.write_as(line(daemon), Some(USER), 0o666);
    send_burst(&proxy);
    stage.expect_followed(proxy);
}

#[test]
fn a_file_of_another_user_names_no_stranger() {
    if let Err(reason) = needs::root() {
        return skip(&reason);
    }
    // Of a daemon that has laid down root's rights, after the pid of something that only root may signal.
    expect_refused("a file of a user to root", |stage, stranger, _| {
        stage.write_as(line(stranger.pid()), Some(USER), 0o644);
    });
    let cases = [
        ("root's file", None, true),
        ("its own file", Some(USER), true),
        ("another user's file", Some(OTHER_USER), false),
    ];
    for (what, owner, is_trusted) in cases {
        eprintln!("{what} to an ordinary user");
        let scope = Scope::new();
        let (stage, stranger) = (Stage::of_user(&scope), Stranger::of_user(&scope));
        if !is_trusted {
            expect_refused_on(&stage, &stranger, |stage, stranger, _| {
                stage.write_as(line(stranger.pid()), owner, 0o644);
            });
            continue;
        }
        let proxy = stage.seek(stage.launch());
        stage.write_as(line(stranger.pid()), owner, 0o644);
        send_burst(&proxy);
        expect_stranger_followed(stranger, proxy);
    }
}

/// A process that may not be signalled anyway is not taken for the daemon, however good the file is.
#[test]
fn a_process_that_may_not_be_signalled_is_not_followed() {
    if let Err(reason) = needs::root() {
        return skip(&reason);
    }
    for owner in [None, Some(USER)] {
        let scope = Scope::new();
        let (stage, stranger) = (Stage::of_user(&scope), Stranger::new(&scope));
        expect_refused_on(&stage, &stranger, |stage, stranger, _| {
            stage.write_as(line(stranger.pid()), owner, 0o644);
        });
    }
}

/// With the C original a daemon without any rights could let root signal any process.
#[test]
fn an_unprivileged_daemon_can_not_direct_a_privileged_proxy() {
    if let Err(reason) = needs::root().and_then(|()| needs::program("setpriv")) {
        return skip(&reason);
    }
    let drops_itself = ["setpriv", "--reuid=4711", "--regid=4711", "--clear-groups"];
    for with_option in [true, false] {
        eprintln!("with -U: {with_option}");
        let scope = Scope::new();
        let (stage, stranger) = (Stage::of_user(&scope), Stranger::new(&scope));
        let proxy = Proxy::new(&scope).options(["-w", LONG]).pid_file(&stage.pid_file);
        let proxy = if with_option { proxy.options(["-U", "4711"]) } else { proxy.command(drops_itself) };
        let pid_file = format!("--pid-file={}", stage.pid_file.display());
        let proxy = stage.seek(proxy.specimen(["daemon", "--no-pid-file", &stage.control.option(), &pid_file]));
        let mut looks = Looks::at(&stage.pid_file);
        stage.control.send(&format!("write-pid-file {}", stranger.pid()));
        let text = scope.reports().expect("daemon", "wrote").text("text");
        assert_eq!(text, line(stranger.pid()));
        send_burst(&proxy);
        looks.expect(3);
        stranger.expect_untouched();
        stage.expect_found(proxy);
        stranger.expect_untouched();
    }
}

/// `-a`: the user says that the file is to be believed all the same. What can not be a process stays refused.
#[test]
fn with_a_any_file_is_believed() {
    // From before the launch, and everybody may write it.
    let scope = Scope::new();
    let (stage, stranger) = (Stage::new(&scope), Stranger::new(&scope));
    stage.write_as(line(stranger.pid()), None, 0o666);
    let proxy = stage.launch().options(["-a", "-v"]).spawn();
    let mut proxy = proxy;
    let following = format!("pidproxy: following: {}", stranger.pid());
    proxy.expect_line(|line| line == following);
    send_burst(&proxy);
    expect_stranger_followed(stranger, proxy);

    let scope = Scope::new();
    let (stage, stranger) = (Stage::new(&scope), Stranger::new(&scope));
    for contents in [format!("{}", 1_u64 << 32), format!("{}x", stranger.pid()), stranger.thread().to_string()] {
        stage.write(contents + "\n");
        let proxy = stage.launch().options(["-a", "-w", "1"]);
        let proxy = stage.seek(proxy);
        send_burst(&proxy);
        proxy.wait().expect_failure(&stage.pid_file);
    }
    stranger.expect_untouched();
}

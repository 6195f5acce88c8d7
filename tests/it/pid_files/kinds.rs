//! What the file is: a regular one, that can be opened, and no link.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::{Forge, LONG, Stage, Stranger, expect_given_up, expect_refused, line, send_burst};
use crate::harness::needs::{self, skip};
use crate::harness::{Proxy, Scope};

#[test]
fn what_is_no_regular_file_is_refused() {
    expect_refused("a FIFO that nobody writes to", |stage, _, _| {
        mkfifo(&stage.pid_file, Mode::from_bits_truncate(0o600)).expect("a new FIFO");
    });
    let mut writer = None;
    expect_refused("a FIFO with a number in it", |stage, stranger, _| {
        mkfifo(&stage.pid_file, Mode::from_bits_truncate(0o600)).expect("a new FIFO");
        let fifo = fs::File::options().read(true).write(true).open(&stage.pid_file);
        let fifo = writer.insert(fifo.expect("our own FIFO"));
        std::io::Write::write_all(fifo, line(stranger.pid()).as_bytes()).expect("room in a pipe");
    });
    expect_refused("a directory", |stage, _, _| {
        fs::create_dir(&stage.pid_file).expect("a new directory");
    });
}

/// None of these can be opened as a pid file is opened.
#[test]
fn what_can_not_be_opened_is_given_up() {
    let forged: [(&str, Forge); 5] = [
        ("a symbolic link to a file that names a stranger", |stage, stranger| {
            let target = stage.scope.path("target");
            fs::write(&target, line(stranger.pid())).expect("a new file");
            symlink(&target, &stage.pid_file).expect("a new link");
        }),
        ("a symbolic link to nowhere", |stage, _| {
            symlink(stage.scope.path("nowhere"), &stage.pid_file).expect("a new link");
        }),
        ("a symbolic link to itself", |stage, _| {
            symlink(&stage.pid_file, &stage.pid_file).expect("a new link");
        }),
        ("a socket", |stage, _| {
            drop(UnixListener::bind(&stage.pid_file).expect("a new socket"));
        }),
        ("nothing at all", |_, _| {}),
    ];
    std::thread::scope(|threads| {
        for (what, forge) in forged {
            threads.spawn(move || expect_given_up(what, forge));
        }
    });
}

/// Who may replace a link may point it at any file of numbers, so none is followed; but `/var/run` is one in the path.
#[test]
fn only_the_file_itself_must_be_no_link() {
    let scope = Scope::new();
    let stage = Stage::new(&scope);
    let target = scope.path("target");
    let proxy = stage.launch().options(["-w", "1"]).command([format!("--pid-file={}", target.display())]);
    symlink(&target, &stage.pid_file).expect("a new link");
    let proxy = stage.seek(proxy);
    stage.control.send("write-pid-file");
    scope.reports().expect("daemon", "wrote");
    proxy.wait().expect_failure(&stage.pid_file);

    let scope = Scope::new();
    let stage = Stage::new(&scope);
    let link = scope.path("link");
    symlink(stage.directory(), &link).expect("a new link");
    let stage = Stage { pid_file: link.join("pid"), ..stage };
    let proxy = stage.seek(stage.launch());
    send_burst(&proxy);
    stage.expect_found(proxy);
}

#[test]
fn devices_and_impossible_paths_are_given_up_at_once_where_no_daemon_is_left() {
    let scope = Scope::new();
    let file = scope.path("file");
    fs::write(&file, "").expect("a new file");
    let paths = [
        PathBuf::from("/dev/null"),
        PathBuf::from("/dev/zero"),
        PathBuf::from("/dev/tty"),
        PathBuf::from("/"),
        PathBuf::from("/proc/self/mem"),
        file.join("pid"),
        scope.path("missing/pid"),
        scope.path(&"x".repeat(300)),
        PathBuf::from("x/".repeat(1500)),
    ];
    for path in paths {
        // Attached there is one look, and after a launch that leaves no child there is no need for a second.
        let attached = Proxy::new(&scope).options(["-w", "0"]).pid_file(&path).run();
        let launched = Proxy::new(&scope).options(["-w", LONG]).pid_file(&path).command(["true"]).run();
        for finished in [attached, launched] {
            finished.expect_failure(&path);
        }
    }
}

#[test]
fn what_the_proxy_may_not_read_is_given_up() {
    if let Err(reason) = needs::root() {
        return skip(&reason);
    }
    let scope = Scope::new();
    let (stage, stranger) = (Stage::of_user(&scope), Stranger::of_user(&scope));
    let proxy = stage.seek(stage.launch().options(["-w", "1"]));
    stage.write_as(line(stranger.pid()), None, 0o600);
    send_burst(&proxy);
    proxy.wait().expect_failure(&stage.pid_file);
    stranger.expect_untouched();
}

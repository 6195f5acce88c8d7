//! A file that changes under us.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::{Forge, Stage, Stranger, Trace, USER, expect_burst, line, send_burst};
use crate::harness::needs::{self, skip};
use crate::harness::{DEADLINE, Report, Scope};

/// Between the first reading of the number and the last the file is replaced: then the process may have been, too.
#[test]
fn a_file_that_is_replaced_while_it_is_looked_at_is_looked_at_again() {
    if let Err(reason) = needs::strace() {
        return skip(&reason);
    }
    let scope = Scope::new();
    let (stage, stranger) = (Stage::new(&scope), Stranger::new(&scope));
    let trace = Trace::stopping_behind(&scope, "pidfd_open", 2);
    let proxy = stage.seek(stage.launch().prefix(trace.prefix()));
    stage.write(line(stranger.pid()));
    trace.expect_stop();
    let daemon = scope.reports().all_of("daemon", "ready")[0].pid();
    stage.write(line(daemon));
    proxy.signal(libc::SIGCONT);
    let is_continuation = |report: &Report| report.get("number") == Some(libc::SIGCONT.to_string());
    scope.reports().take(DEADLINE, is_continuation).expect("it is followed");
    send_burst(&proxy);
    stage.expect_followed(proxy);
    stranger.expect_untouched();
}

/// Somebody puts his file in the place of the daemon's and back, as fast as he can: no look may take the owner of the one
/// with the contents of the other.
#[test]
fn a_file_that_flips_is_never_believed_by_halves() {
    if let Err(reason) = needs::root() {
        return skip(&reason);
    }
    for _ in 0..10 {
        let scope = Scope::new();
        let (stage, stranger) = (Stage::new(&scope), Stranger::new(&scope));
        let proxy = stage.seek(stage.launch());
        stage.write_as(line(stranger.pid()), Some(USER), 0o644);
        let forged = scope.path("forged");
        fs::rename(&stage.pid_file, &forged).expect("our own file");
        let daemon = scope.reports().all_of("daemon", "ready")[0].pid();
        stage.write(line(daemon));
        send_burst(&proxy);
        let stop = AtomicBool::new(false);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    exchange(&forged, &stage.pid_file);
                }
            });
            // Whatever happens, the thread must end.
            let found = scope.reports().take(DEADLINE, |report| report.kind == "signal");
            stop.store(true, Ordering::Relaxed);
            let name = found.map(|report| report.name);
            assert_eq!(name.as_deref(), Some("daemon"), "{}", scope.evidence());
        });
        stage.control.send("exit 7");
        drop(proxy);
        stranger.expect_untouched();
    }
}

/// `renameat2(2)` with `RENAME_EXCHANGE`.
fn exchange(left: &Path, right: &Path) {
    let [left, right] = [left, right].map(|path| std::ffi::CString::new(path.as_os_str().as_bytes()).expect("a path"));
    // SAFETY: both paths are strings with their NUL.
    let result = unsafe {
        libc::renameat2(libc::AT_FDCWD, left.as_ptr(), libc::AT_FDCWD, right.as_ptr(), libc::RENAME_EXCHANGE)
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// When the target is gone the file is read once more, and a hostile target has had all its life to prepare it.
#[test]
fn a_dying_daemon_can_not_bequeath_a_stranger() {
    let forged: [(&str, Forge); 5] = [
        ("a file that others may write", |stage, stranger| {
            stage.write_as(line(stranger.pid()), None, 0o666);
        }),
        ("a thread", |stage, stranger| stage.write(format!("{}\n", stranger.thread()))),
        ("2^32 more", |stage, stranger| {
            stage.write(format!("{}\n", (1_i64 << 32) + i64::from(stranger.pid())));
        }),
        ("a symbolic link", |stage, stranger| {
            let target = stage.scope.path("target");
            fs::write(&target, line(stranger.pid())).expect("a new file");
            fs::remove_file(&stage.pid_file).expect("the daemon's file");
            symlink(&target, &stage.pid_file).expect("a new link");
        }),
        ("a FIFO", |stage, _| {
            fs::remove_file(&stage.pid_file).expect("the daemon's file");
            mkfifo(&stage.pid_file, Mode::from_bits_truncate(0o600)).expect("a new FIFO");
        }),
    ];
    for (what, forge) in forged {
        eprintln!("to be refused: {what}");
        let scope = Scope::new();
        let (stage, stranger) = (Stage::new(&scope), Stranger::new(&scope));
        let proxy = stage.seek(stage.launch());
        send_burst(&proxy);
        stage.control.send("write-pid-file");
        expect_burst(&scope, "daemon");
        forge(&stage, &stranger);
        stage.control.send("exit 4");
        proxy.wait().expect_code(4);
        stranger.expect_untouched();
    }
}

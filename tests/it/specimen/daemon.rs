//! Daemonizing, as daemons do it: fork, a new session, fork again, a pid file.

use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, chdir, dup2_stderr, dup2_stdin, dup2_stdout, getpid, setsid};

use crate::options::{Ending, Options};
use crate::report::{self, Report};
use crate::{serve, signals};

/// The launcher: starts the daemon and ends as its options say.
pub(crate) fn launch(options: &Options) -> ! {
    let launch = &options.launch;
    Report::of_self("launcher", "started").send();
    if launch.launcher_pid_first {
        options.pid_file.write("launcher");
    }
    let launcher = getpid();
    let (Ok((mut written, writer)), Ok((launcher_gone, alive))) = (io::pipe(), io::pipe()) else { fail("pipe") };
    match fork() {
        ForkResult::Child => {
            drop((written, alive));
            if launch.new_session && setsid().is_err() {
                fail("setsid");
            }
            if launch.double_fork && matches!(fork(), ForkResult::Parent { .. }) {
                std::process::exit(0);
            }
            daemon(options, launcher, launcher_gone, writer)
        }
        ForkResult::Parent { child } => {
            drop((writer, launcher_gone));
            if launch.double_fork {
                let _ = waitpid(child, None);
            }
            if launch.after_exit.is_none() {
                // A byte says that the file is written; an early end of the daemon closes the pipe.
                let _ = written.read(&mut [0]);
            }
            if launch.launcher_stays {
                signals::block_all();
                serve::serve("launcher", &launch.launcher_service, &options.pid_file);
            }
            // `alive` is closed by the end of this process, not before.
            std::mem::forget(alive);
            match launch.launcher_end {
                Ending::Exit(status) => std::process::exit(status),
                Ending::Signal(signal) => signals::die_by(signal),
            }
        }
    }
}

fn daemon(options: &Options, launcher: Pid, mut launcher_gone: io::PipeReader, mut written: io::PipeWriter) -> ! {
    let launch = &options.launch;
    let name = options.name_or("daemon");
    if !options.service.default_dispositions {
        signals::block_all();
    }
    if !launch.keep_descriptors {
        detach();
    }
    Report::of_self(name, "started").send();
    if let Some(delay) = launch.after_exit {
        let _ = launcher_gone.read(&mut [0]);
        await_end(launcher);
        // A late pid file is the situation under test, not a wait for something to happen.
        std::thread::sleep(delay);
    }
    if launch.write_pid_file {
        options.pid_file.write(name);
    }
    if let Some(status) = launch.die_early {
        std::process::exit(status);
    }
    if launch.after_exit.is_none() {
        // Otherwise nobody reads it any more, and SIGPIPE would be the first signal to arrive.
        let _ = written.write_all(b"\n");
    }
    drop(written);
    if !launch.launcher_stays {
        // Who hears of us may signal the proxy at once: then it has to be too late for the launcher to get it.
        let _ = launcher_gone.read(&mut [0]);
    }
    drop(launcher_gone);
    serve::serve(name, &options.service, &options.pid_file)
}

/// The launcher's descriptors are closed a moment before it is dead: waits for the latter, a zombie included.
fn await_end(launcher: Pid) {
    while let Ok(stat) = std::fs::read_to_string(format!("/proc/{launcher}/stat")) {
        if stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X'])) {
            break;
        }
        std::thread::sleep(Duration::from_micros(100));
    }
}

fn detach() {
    let _ = chdir("/");
    let Ok(null) = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null") else {
        return;
    };
    let _ = dup2_stdin(&null);
    if !report::uses_standard_output() {
        let _ = dup2_stdout(&null);
    }
    let _ = dup2_stderr(&null);
    if null.as_raw_fd() <= 2 {
        // It took the place of a closed one, and stays there.
        std::mem::forget(null);
    }
}

/// Leaves `count` orphans, each dead or about to die when its parent, our child, is, with this exit status. Reports `half`
/// on the way.
pub(crate) fn make_orphans(name: &str, count: usize, status: i32) {
    for number in 0..count {
        if number == count / 2 {
            Report::new(name, "half").send();
        }
        match fork_in_time() {
            ForkResult::Child => {
                let code = if matches!(fork_in_time(), ForkResult::Child) { status } else { 0 };
                // Without the C library's own endings: there are many of these.
                // SAFETY: ends this process.
                unsafe { libc::_exit(code) };
            }
            ForkResult::Parent { child } => {
                let _ = waitpid(child, None);
            }
        }
    }
}

/// Forks, as soon as there is a pid to be had: they may all be in use, by orphans that are not reaped yet.
fn fork_in_time() -> ForkResult {
    loop {
        // SAFETY: with a single thread nothing is left locked or half done in the child.
        match unsafe { nix::unistd::fork() } {
            Ok(result) => return result,
            Err(nix::errno::Errno::EAGAIN) => std::thread::yield_now(),
            Err(_) => fail("fork"),
        }
    }
}

/// Forks; the specimen has one thread only.
pub(crate) fn fork() -> ForkResult {
    // SAFETY: with a single thread nothing is left locked or half done in the child.
    match unsafe { nix::unistd::fork() } {
        Ok(result) => result,
        Err(_) => fail("fork"),
    }
}

fn fail(step: &str) -> ! {
    let _ = writeln!(io::stderr(), "specimen: cannot {step}: {}", io::Error::last_os_error());
    std::process::exit(71)
}

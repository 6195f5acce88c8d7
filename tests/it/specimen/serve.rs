//! What a program or daemon does once it stands: reports the signals in the order of their arrival and obeys the control
//! FIFO. Its commands, one a line:
//!
//! - `exit N`, `die SIGNAL`: end so.
//! - `here`: report `here` (like `ready`). Signals sent before the command was written are reported before it.
//! - `totals`: report how many of each signal arrived.
//! - `facts [NAME...]`: report the facts, with these environment variables.
//! - `write-pid-file [TEXT]`, `remove-pid-file`: now; `%p` in TEXT stands for the pid. Confirmed by `wrote`, `removed`.
//! - `replace`: as if the signal of `--replace-on` had come.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::ForkResult;

use crate::daemon::fork;
use crate::facts::facts;
use crate::options::{Ending, PidFile, Service};
use crate::report::Report;
use crate::signals;

/// Signals read with one system call.
const BATCH: usize = 64;

/// Serves until told to end. Unless the default dispositions were asked for, the signals are blocked by now.
pub(crate) fn serve(name: &str, service: &Service, pid_file: &PidFile) -> ! {
    start_children(service, pid_file);
    start_threads(name, service.threads);
    let mut server = Server {
        name,
        service,
        pid_file,
        signals: (!service.default_dispositions).then(|| signals::descriptor().ok()).flatten(),
        control: service.control.as_ref().and_then(|path| {
            // For writing too: so there is no end of file when a writer closes it.
            File::options().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path).ok()
        }),
        lines: VecDeque::new(),
        unfinished: Vec::new(),
        totals: Totals::default(),
        is_old: false,
    };
    Report::of_self(name, "ready").send();
    match service.after_ready {
        Some(Ending::Exit(status)) => server.exit(status),
        Some(Ending::Signal(signal)) => signals::die_by(signal),
        None => {}
    }
    loop {
        server.take_signals();
        match server.next_command() {
            // Once more: what was sent before the command was written is to be reported before it is obeyed.
            Some(command) => {
                server.take_signals();
                server.obey(&command);
            }
            None => server.sleep(),
        }
    }
}

struct Server<'a> {
    name: &'a str,
    service: &'a Service,
    pid_file: &'a PidFile,
    signals: Option<OwnedFd>,
    control: Option<File>,
    lines: VecDeque<String>,
    unfinished: Vec<u8>,
    totals: Totals,
    /// A successor has the pid file.
    is_old: bool,
}

/// What has arrived, by number.
#[derive(Default)]
struct Totals {
    counts: BTreeMap<u32, u64>,
    /// The last payload of each number.
    last: BTreeMap<u32, u64>,
    /// Signals sent with `sigqueue` whose payload was not greater than that of the one before.
    disorder: u64,
}

impl Server<'_> {
    fn sleep(&self) {
        let mut descriptors: Vec<PollFd<'_>> = Vec::new();
        descriptors.extend(self.signals.as_ref().map(|signals| PollFd::new(signals.as_fd(), PollFlags::POLLIN)));
        descriptors.extend(self.control.as_ref().map(|control| PollFd::new(control.as_fd(), PollFlags::POLLIN)));
        let _ = poll(&mut descriptors, PollTimeout::NONE);
    }

    /// Takes in all signals that are pending.
    fn take_signals(&mut self) {
        loop {
            let mut batch = [const { MaybeUninit::<libc::signalfd_siginfo>::uninit() }; BATCH];
            let count = match &self.signals {
                Some(signals) => read_batch(signals, &mut batch),
                None => 0,
            };
            for entry in batch.iter().take(count) {
                // SAFETY: the kernel filled the first `count` entries.
                let signal = unsafe { entry.assume_init_ref() };
                self.take_signal(signal);
            }
            if count == 0 {
                return;
            }
        }
    }

    fn take_signal(&mut self, signal: &libc::signalfd_siginfo) {
        let number = i32::try_from(signal.ssi_signo).unwrap_or(0);
        // CHLD from the kernel is about our own children; one that a process sent is a signal like any other.
        if number == libc::SIGCHLD && signal.ssi_code > 0 {
            return;
        }
        self.totals.take(signal);
        if !self.service.count {
            Report::new(self.name, "signal")
                .field("number", number)
                .field("code", signal.ssi_code)
                .field("pid", signal.ssi_pid)
                .field("uid", signal.ssi_uid)
                .field("value", signal.ssi_ptr)
                .send();
        }
        if self.service.replace_on == Some(number) {
            self.replace();
        }
        if self.service.upgrade_on == Some(number) {
            self.upgrade();
        }
        if let Some(&(_, status)) = self.service.exit_on.iter().find(|(wanted, _)| *wanted == number) {
            self.exit(status);
        }
    }

    fn next_command(&mut self) -> Option<String> {
        if let Some(control) = &mut self.control {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = control.read(&mut buffer) {
                self.unfinished.extend(buffer.iter().take(count));
            }
            while let Some(end) = self.unfinished.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unfinished.drain(..=end).collect();
                self.lines.push_back(String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned());
            }
        }
        self.lines.pop_front()
    }

    fn obey(&mut self, line: &str) {
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (command, rest) {
            ("here", "") => Report::of_self(self.name, "here").send(),
            ("totals", "") => self.totals.report(self.name),
            ("facts", names) => {
                let names: Vec<String> = names.split_whitespace().map(str::to_owned).collect();
                facts::<&OsStr>(self.name, &names, &[]).send();
            }
            ("write-pid-file", "") => self.pid_file.write(self.name),
            ("write-pid-file", text) => self.pid_file.write_text(self.name, Some(text)),
            ("remove-pid-file", "") => {
                let removed = self.pid_file.path.as_ref().is_some_and(|path| std::fs::remove_file(path).is_ok());
                Report::new(self.name, if removed { "removed" } else { "cannot-remove" }).send();
            }
            ("replace", "") => self.replace(),
            ("exit", status) if status.parse::<i32>().is_ok() => self.exit(status.parse().unwrap_or(0)),
            ("die", signal) if signals::number(signal).is_some() => {
                signals::die_by(signals::number(signal).unwrap_or(0))
            }
            _ => Report::new(self.name, "misunderstood").field("command", line).send(),
        }
    }

    /// A new daemon takes over, in the pid file too; this one exits with 0 as soon as it has.
    fn replace(&self) -> ! {
        let Ok((mut written, mut writer)) = io::pipe() else { std::process::exit(71) };
        match fork() {
            ForkResult::Child => {
                drop(written);
                let name = "replacement";
                Report::of_self(name, "started").send();
                self.pid_file.write(name);
                let _ = writer.write_all(b"\n");
                drop(writer);
                let service = Service { children: 0, after_ready: None, ..self.service.clone() };
                serve(name, &service, self.pid_file)
            }
            ForkResult::Parent { .. } => {
                drop(writer);
                let _ = written.read(&mut [0]);
                std::process::exit(0)
            }
        }
    }

    /// A new daemon takes the pid file over, and this one goes on.
    fn upgrade(&mut self) {
        self.is_old = true;
        self.pid_file.set_aside();
        if matches!(fork(), ForkResult::Child) {
            let name = format!("{}-successor", self.name);
            self.pid_file.write(&name);
            let service = Service { children: 0, after_ready: None, control: None, ..self.service.clone() };
            serve(&name, &service, self.pid_file)
        }
    }

    fn exit(&self, status: i32) -> ! {
        if self.service.count {
            self.totals.report(self.name);
        }
        if self.is_old {
            self.pid_file.remove_aside();
        } else {
            self.pid_file.remove_at_exit();
        }
        std::process::exit(status)
    }
}

impl Totals {
    fn take(&mut self, signal: &libc::signalfd_siginfo) {
        *self.counts.entry(signal.ssi_signo).or_default() += 1;
        if signal.ssi_code == libc::SI_QUEUE {
            let last = self.last.insert(signal.ssi_signo, signal.ssi_ptr);
            if last.is_some_and(|last| last >= signal.ssi_ptr) {
                self.disorder += 1;
            }
        }
    }

    fn report(&self, name: &str) {
        let mut report = Report::new(name, "totals")
            .field("all", self.counts.values().sum::<u64>())
            .field("disorder", self.disorder);
        for (number, count) in &self.counts {
            report = report.field(&number.to_string(), count);
        }
        report.send();
    }
}

fn start_children(service: &Service, pid_file: &PidFile) {
    for number in 1..=service.children {
        if matches!(fork(), ForkResult::Child) {
            let service = Service {
                children: 0,
                threads: 0,
                control: None,
                after_ready: None,
                replace_on: None,
                upgrade_on: None,
                ..service.clone()
            };
            let pid_file = PidFile { path: None, ..pid_file.clone() };
            serve(&format!("child{number}"), &service, &pid_file);
        }
    }
}

/// Every signal is left to the thread that reads them.
fn start_threads(name: &str, count: usize) {
    let (sender, receiver) = std::sync::mpsc::channel();
    for _ in 0..count {
        let sender = sender.clone();
        std::thread::spawn(move || {
            signals::block_all();
            let _ = sender.send(nix::unistd::gettid());
            drop(sender);
            loop {
                std::thread::park();
            }
        });
    }
    drop(sender);
    if count > 0 {
        // In both threads the C library has let its own signals in again, 32 and 33.
        signals::block_all();
        let tids = receiver.iter().map(|tid| tid.to_string());
        Report::new(name, "threads").list("tids", tids).send();
    }
}

/// Fills the front of `batch`; returns how many entries, 0 when nothing is pending.
fn read_batch(signals: &OwnedFd, batch: &mut [MaybeUninit<libc::signalfd_siginfo>; BATCH]) -> usize {
    // SAFETY: the buffer is writable in its whole length, and any bytes are a valid `signalfd_siginfo`.
    let result = unsafe { libc::read(signals.as_raw_fd(), batch.as_mut_ptr().cast(), size_of_val(batch)) };
    usize::try_from(result).unwrap_or(0) / size_of::<libc::signalfd_siginfo>()
}

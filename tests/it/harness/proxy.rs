//! Starting the proxy, or without it a plain command, in the surroundings that a test wants.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::pty::openpty;

use super::scope::{MARK, Scope};
use super::{Finished, Refusal, Running, binary, refusal, runner};

/// What standard input is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Input {
    /// `/dev/null`.
    #[default]
    Null,
    /// Nothing: descriptor 0 is not open.
    Closed,
    /// A new terminal, also the controlling one of a new session; [`Running::terminal`] is its other side.
    Terminal,
}

/// What standard output or standard error is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Output {
    /// A file of the scope, which can be read while it grows.
    #[default]
    Captured,
    /// Nothing: the descriptor is not open.
    Closed,
    /// A pipe whose reader is gone: a write raises SIGPIPE.
    Broken,
    /// A pipe that is full, with a reader who does not read: a write blocks for ever.
    Stuck,
    /// `/dev/full`: a write fails with ENOSPC.
    Full,
    /// The terminal of `Input::Terminal`; what is written to it appears at [`Running::terminal`].
    Terminal,
}

/// A start of the proxy being put together. The order of the methods does not matter; the command line is always
///
/// `PREFIX... RUNNER... BINARY OPTION... PID-FILE COMMAND...`
pub(crate) struct Proxy<'scope> {
    scope: &'scope Scope,
    program: Option<PathBuf>,
    prefix: Vec<OsString>,
    options: Vec<OsString>,
    pid_file: Option<OsString>,
    command: Vec<OsString>,
    name: Option<OsString>,
    environment: Vec<(OsString, Option<OsString>)>,
    directory: Option<PathBuf>,
    input: Input,
    output: Output,
    errors: Output,
    blocked: Vec<i32>,
    ignored: Vec<i32>,
    pending: Vec<(i32, u64)>,
    user: Option<(u32, u32, Vec<u32>)>,
    refusals: Vec<(Refusal, i32)>,
}

impl<'scope> Proxy<'scope> {
    /// The binary under test, without any arguments yet.
    pub(crate) fn new(scope: &'scope Scope) -> Self {
        let binary = scope.reachable(&binary());
        Self { program: Some(binary), ..Self::absent(scope) }
    }

    /// No proxy: the command is started directly, by the same machinery. For what runs beside the proxy (an attack's
    /// victim, a daemon to attach to) and for comparisons.
    pub(crate) fn absent(scope: &'scope Scope) -> Self {
        Self {
            scope,
            program: None,
            prefix: Vec::new(),
            options: Vec::new(),
            pid_file: None,
            command: Vec::new(),
            name: None,
            environment: Vec::new(),
            directory: None,
            input: Input::default(),
            output: Output::default(),
            errors: Output::default(),
            blocked: Vec::new(),
            ignored: Vec::new(),
            pending: Vec::new(),
            user: None,
            refusals: Vec::new(),
        }
    }

    /// Adds options, or any words before the pid file, `--` included.
    pub(crate) fn options<T: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = T>) -> Self {
        self.options.extend(owned(words));
        self
    }

    /// The pid-file operand; `-` is one as well. Without it there is none (for `-x`, `--help`, bad usage).
    pub(crate) fn pid_file(mut self, path: impl AsRef<OsStr>) -> Self {
        self.pid_file = Some(path.as_ref().to_owned());
        self
    }

    /// Adds the words of the command.
    pub(crate) fn command<T: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = T>) -> Self {
        self.command.extend(owned(words));
        self
    }

    /// Adds the specimen as the command, with these arguments.
    pub(crate) fn specimen<T: AsRef<OsStr>>(self, arguments: impl IntoIterator<Item = T>) -> Self {
        let specimen = self.scope.specimen();
        self.command([specimen]).command(arguments)
    }

    /// A command in front of the proxy, as `strace -f -e inject=...` or `unshare ...`. Several stand in the order of the
    /// calls.
    pub(crate) fn prefix<T: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = T>) -> Self {
        self.prefix.extend(owned(words));
        self
    }

    /// Lets it be process 1 of a namespace of its own, behind the prefix so far: needs [`super::needs::process_1`].
    pub(crate) fn process_1(self) -> Self {
        self.prefix(["unshare"]).prefix(super::needs::NAMESPACE)
    }

    /// Another `argv[0]` for the first program of the line, as `docker-init`; with a runner, which has to be qemu-user, for
    /// the proxy. (With a prefix it is not the proxy's; use a symlink and [`Proxy::binary`] there.)
    pub(crate) fn argument_zero(mut self, name: impl AsRef<OsStr>) -> Self {
        self.name = Some(name.as_ref().to_owned());
        self
    }

    /// Another path to the binary under test, as a copy or a symlink.
    pub(crate) fn binary(mut self, path: impl AsRef<Path>) -> Self {
        self.program = Some(path.as_ref().to_owned());
        self
    }

    /// Sets a variable of the environment.
    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), Some(value.as_ref().to_owned())));
        self
    }

    /// Removes a variable from the environment.
    pub(crate) fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), None));
        self
    }

    /// The working directory.
    pub(crate) fn directory(mut self, path: impl AsRef<Path>) -> Self {
        self.directory = Some(path.as_ref().to_owned());
        self
    }

    pub(crate) fn stdin(mut self, input: Input) -> Self {
        self.input = input;
        self
    }

    pub(crate) fn stdout(mut self, output: Output) -> Self {
        self.output = output;
        self
    }

    pub(crate) fn stderr(mut self, output: Output) -> Self {
        self.errors = output;
        self
    }

    /// Starts with these signals blocked, and no others.
    pub(crate) fn blocked(mut self, signals: &[i32]) -> Self {
        self.blocked.extend(signals);
        self
    }

    /// Starts with these signals ignored, all others with their default dispositions.
    pub(crate) fn ignored(mut self, signals: &[i32]) -> Self {
        self.ignored.extend(signals);
        self
    }

    /// Starts with these signals pending, which we have sent with these payloads before the first program was executed.
    /// They have to be among the blocked ones.
    pub(crate) fn pending(mut self, signals: &[(i32, u64)]) -> Self {
        self.pending.extend(signals);
        self
    }

    /// Starts, prefix and all, as this user, group, and these supplementary groups. Needs root.
    pub(crate) fn user(mut self, uid: u32, gid: u32, groups: &[u32]) -> Self {
        self.user = Some((uid, gid, groups.to_vec()));
        self
    }

    /// Lets these system calls fail with this error, for the proxy (prefix and all) and everything under it. What the
    /// environment variable `REFUSED_CALLS` asks for comes on top of it.
    pub(crate) fn refuse(mut self, refusals: &[Refusal], errno: i32) -> Self {
        self.refusals.extend(refusals.iter().map(|&refusal| (refusal, errno)));
        self
    }

    fn is_named_by_runner(&self) -> bool {
        self.program.is_some() && self.prefix.is_empty() && !runner().is_empty()
    }

    /// The whole command line, for people and for tests that start it in their own way.
    pub(crate) fn words(&self) -> Vec<OsString> {
        let mut words = self.prefix.clone();
        if let Some(program) = &self.program {
            words.extend(runner().into_iter().map(OsString::from));
            if let (Some(name), true) = (&self.name, self.is_named_by_runner()) {
                words.extend(["-0".into(), name.clone()]);
            }
            words.push(program.clone().into());
        }
        words.extend(self.options.iter().chain(&self.pid_file).chain(&self.command).cloned());
        words
    }

    /// Starts it, and waits for its end.
    pub(crate) fn run(self) -> Finished {
        self.spawn().wait()
    }

    /// Starts it. On return the first program of the line has been executed: a signal sent now reaches it, not a copy of
    /// the test.
    pub(crate) fn spawn(self) -> Running {
        let words = self.words();
        let (first, rest) = words.split_first().expect("something to start");
        let mut command = Command::new(first);
        command.args(rest);
        if let (Some(name), false) = (&self.name, self.is_named_by_runner()) {
            command.arg0(name);
        }
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command.env_remove("PIDPROXY_OPTIONS").env("SPECIMEN_REPORT", self.scope.socket());
        for (name, value) in &self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env(MARK, &self.scope.mark().name);
        let (output_path, errors_path) = self.scope.output_files();
        let mut kept = Vec::new();
        command.stdin(Stdio::null());
        let terminal = (self.input == Input::Terminal).then(|| {
            let pair = openpty(None, None).expect("a terminal");
            // Neither side is close-on-exec by itself.
            for side in [&pair.master, &pair.slave] {
                fcntl(side, FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC)).expect("a flag of our own descriptor");
            }
            (File::from(pair.master), pair.slave)
        });
        let slave = terminal.as_ref().map(|(_, slave)| slave);
        command.stdout(Self::open(self.output, &output_path, slave, &mut kept));
        command.stderr(Self::open(self.errors, &errors_path, slave, &mut kept));
        let terminal = terminal.map(|(master, slave)| {
            command.stdin(Stdio::from(slave));
            master
        });
        let surroundings = self.surroundings();
        // SAFETY: `enter` makes system calls only and allocates nothing.
        unsafe { command.pre_exec(move || surroundings.enter()) };
        if !self.pending.is_empty() {
            send_before_execution(&mut command, self.pending.clone());
        }
        let started = std::time::Instant::now();
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {words:?}: {error}"));
        let executable = self.executable();
        Running::new(
            child,
            started,
            executable,
            [output_path, errors_path],
            kept,
            terminal,
            self.scope.evidence_taker(),
        )
    }

    /// The identity (device, inode) of the file that the proxy's process executes: the runner, or the binary, or with no
    /// proxy the command. `None` when it cannot be told.
    fn executable(&self) -> Option<(u64, u64)> {
        let first = match (&self.program, runner().first()) {
            (Some(_), Some(runner)) => super::needs::find_program(runner)?,
            (Some(program), None) => program.clone(),
            (None, _) if self.prefix.is_empty() => return None,
            (None, _) => PathBuf::from(self.command.first()?),
        };
        let about = std::fs::metadata(first).ok()?;
        Some((about.dev(), about.ino()))
    }

    /// What a descriptor is to be; `kept` keeps the other side of a pipe.
    fn open(output: Output, path: &Path, terminal: Option<&OwnedFd>, kept: &mut Vec<OwnedFd>) -> Stdio {
        match output {
            Output::Terminal => {
                let terminal = terminal.expect("Output::Terminal needs Input::Terminal");
                terminal.try_clone().expect("a second descriptor of the terminal").into()
            }
            Output::Captured => {
                let file = File::options().create(true).append(true).open(path).expect("a file for the output");
                file.into()
            }
            Output::Closed => Stdio::null(),
            Output::Full => File::options().write(true).open("/dev/full").expect("/dev/full").into(),
            Output::Broken => io::pipe().expect("a pipe").1.into(),
            Output::Stuck => {
                let (reader, mut writer) = io::pipe().expect("a pipe");
                fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("a flag of our own pipe");
                while writer.write(&[0; 4096]).is_ok() {}
                fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).expect("a flag of our own pipe");
                kept.push(reader.into());
                writer.into()
            }
        }
    }

    fn surroundings(&self) -> Surroundings {
        let mut refusals = self.refusals.clone();
        refusals.extend(refusal::imposed());
        let set = |numbers: &[i32]| numbers.iter().fold(0_u64, |set, number| set | 1 << (number - 1));
        Surroundings {
            limit: self.scope.mark().limit,
            terminal: self.input == Input::Terminal,
            close: [self.input == Input::Closed, self.output == Output::Closed, self.errors == Output::Closed],
            blocked: set(&self.blocked),
            ignored: set(&self.ignored),
            user: self.user.clone(),
            filter: if refusals.is_empty() { Vec::new() } else { refusal::program(&refusals) },
        }
    }
}

fn owned<T: AsRef<OsStr>>(words: impl IntoIterator<Item = T>) -> impl Iterator<Item = OsString> {
    words.into_iter().map(|word| word.as_ref().to_owned())
}

/// Lets the child wait, all else being done, until another thread has sent it these signals: this one waits for its exec.
fn send_before_execution(command: &mut Command, pending: Vec<(i32, u64)>) {
    let (mut pid_reader, pid_writer) = io::pipe().expect("a pipe");
    let (sent_reader, sent_writer) = io::pipe().expect("a pipe");
    let wait = move || {
        let pid = nix::unistd::getpid().as_raw();
        (&pid_writer).write_all(&pid.to_ne_bytes())?;
        (&sent_reader).read_exact(&mut [0])
    };
    // SAFETY: `wait` makes system calls only and allocates nothing.
    unsafe { command.pre_exec(wait) };
    std::thread::spawn(move || {
        let mut pid = [0; 4];
        if pid_reader.read_exact(&mut pid).is_ok() {
            for (number, value) in pending {
                super::signals::queue(i32::from_ne_bytes(pid), number, value).expect("the child waits");
            }
        }
        (&sent_writer).write_all(&[0])
    });
}

/// What is changed in the child between `fork` and `execve`.
struct Surroundings {
    limit: u64,
    terminal: bool,
    close: [bool; 3],
    blocked: u64,
    ignored: u64,
    user: Option<(u32, u32, Vec<u32>)>,
    filter: Vec<libc::sock_filter>,
}

impl Surroundings {
    fn enter(&self) -> io::Result<()> {
        let limit = libc::rlimit64 { rlim_cur: self.limit, rlim_max: self.limit };
        // The second mark; where the limit is lower already and we are not root, the first must do.
        // SAFETY: the pointer is to a valid limit.
        unsafe { libc::setrlimit64(libc::RLIMIT_RTTIME, &raw const limit) };
        close_at_execution();
        if self.terminal {
            // SAFETY: touches no memory.
            check(unsafe { libc::setsid() }.into())?;
            // SAFETY: touches no memory.
            check(unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) }.into())?;
        }
        for (descriptor, close) in (0..).zip(self.close) {
            if close {
                // SAFETY: nothing in the child uses it before it executes.
                unsafe { libc::close(descriptor) };
            }
        }
        self.change_user()?;
        self.change_signals();
        refusal::install(&self.filter)
    }

    fn change_user(&self) -> io::Result<()> {
        let Some((uid, gid, groups)) = &self.user else {
            return Ok(());
        };
        // SAFETY: the pointer and the length are those of the list.
        check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) })?;
        // By the system call: the C library's function would want to change all threads of the test.
        // SAFETY: touches no memory.
        check(unsafe { libc::syscall(libc::SYS_setresgid, *gid, *gid, *gid) })?;
        // SAFETY: touches no memory.
        check(unsafe { libc::syscall(libc::SYS_setresuid, *uid, *uid, *uid) })
    }

    fn change_signals(&self) {
        for number in 1..=64_i32 {
            // The others are set to their defaults: glibc's posix_spawn (and so cargo) leaves 32 ignored in its children.
            let ignored = self.ignored >> (number - 1) & 1 == 1;
            let handler = if ignored { libc::SIG_IGN } else { libc::SIG_DFL };
            // The kernel's `struct sigaction`: the handler, then words that may be zero.
            let action = [handler, 0, 0, 0, 0, 0, 0, 0];
            let nothing: *mut usize = std::ptr::null_mut();
            // SAFETY: `action` is longer than the kernel's structure. KILL and STOP fail, and that is well.
            unsafe { libc::syscall(libc::SYS_rt_sigaction, number, action.as_ptr(), nothing, 8_usize) };
        }
        let nothing: *mut u64 = std::ptr::null_mut();
        let blocked = &raw const self.blocked;
        // SAFETY: `blocked` points to 8 readable bytes.
        unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, blocked, nothing, 8_usize) };
    }
}

/// Keeps back the descriptors above 2 that the test run itself has inherited, as from a terminal or a build server: the
/// facts of the specimen shall not depend on them.
fn close_at_execution() {
    // SAFETY: touches no memory; a descriptor that is closed at the execution serves until then.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if result != 0 {
        // Before Linux 5.11.
        for descriptor in 3..1024 {
            // SAFETY: as above.
            unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
}

pub(super) fn check(result: i64) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

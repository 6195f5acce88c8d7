//! Clone, identity, exec: how the command and the exit hook are started.

use heapless::Vec;

use crate::accounts::Identity;
use crate::decimal;
use crate::failure::{self, Reason};
use crate::signal::SignalSet;
use crate::sys::{self, Arguments, Environment, Errno, FileBytes, Text, TextBuffer, WaitStatus};
use crate::target::Process;

/// Where commands are searched when `PATH` is not set.
const DEFAULT_PATH: Text<'static> = Text::new(c"/usr/local/bin:/usr/bin:/bin");

const HOME: Text<'static> = Text::new(c"HOME=");
const PID_FILE: Text<'static> = Text::new(c"PIDPROXY_PID_FILE=");

/// Says what failed, and ends this process, be it the proxy before the launch or the child before its exec.
pub fn fail(step: Text<'_>, subject: Text<'_>, reason: Reason) -> ! {
    failure::report(step, subject, reason);
    sys::exit(failure::PROXY_FAILED)
}

/// A user and a group to run as, as they were named.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// The user.
    pub user: Option<Text<'static>>,
    /// The group.
    pub group: Option<Text<'static>>,
}

impl Names {
    /// The name that failures are about; `None` where nobody is named.
    pub fn first(self) -> Option<Text<'static>> {
        self.user.or(self.group)
    }

    /// Ends this process where a switch to these names failed.
    fn check(self, result: sys::Result<()>) {
        if let (Err(errno), Some(name)) = (result, self.first()) {
            fail(Text::new(c"switch to"), name, errno.into());
        }
    }

    /// Finds the identity of these names. A failure ends this process.
    fn find(self, identity: &mut Identity) {
        let mut passwd = FileBytes::open(Text::new(c"/etc/passwd"));
        let mut group = FileBytes::open(Text::new(c"/etc/group"));
        let found = identity.find(self.user, self.group, &mut passwd, &mut group);
        if let Some(errno) = passwd.error.or(group.error) {
            fail(
                Text::new(c"read"),
                Text::new(c"/etc/passwd or /etc/group"),
                errno.into(),
            );
        }
        if let Err(name) = found {
            fail(Text::new(c"find"), name, Reason::UNKNOWN_NAME);
        }
    }
}

/// The rights that we were started with. The command's supplementary groups are never among ours.
#[derive(Debug)]
pub struct Own {
    uid: u32,
    gid: u32,
    groups: Vec<u32, 64>,
}

impl Own {
    /// Works with the effective rights of the named user from here on, so that the kernel refuses every file and every
    /// signal that the user could not have had; our own uid and gid stay at hand as the saved ones.
    ///
    /// `None` where no user is named: then the names are only looked up. A failure ends this process.
    #[inline(never)]
    pub fn lay_down(names: Names) -> Option<Self> {
        let mut identity = Identity::UNKNOWN;
        names.find(&mut identity);
        let uid = identity.uid?;
        let mut own = Self {
            uid: sys::geteuid(),
            gid: sys::getegid(),
            groups: Vec::new(),
        };
        let switched = own.note_groups().and_then(|()| {
            sys::setgroups(&[])?;
            sys::setresgid(identity.gid, own.gid)?;
            sys::setresuid(uid, own.uid)
        });
        names.check(switched);
        Some(own)
    }

    fn note_groups(&mut self) -> sys::Result<()> {
        let _ = self.groups.resize_default(self.groups.capacity());
        let count = sys::getgroups(&mut self.groups)?;
        self.groups.truncate(count);
        Ok(())
    }

    /// Takes our own rights up again, all of them, in a child. A failure ends it.
    fn take_up(&self, names: Names) {
        let _ = sys::setresuid(self.uid, self.uid);
        names.check(sys::setgroups(&self.groups).and_then(|()| sys::setresgid(self.gid, self.gid)));
    }
}

/// What is started, and how.
#[derive(Debug)]
pub struct Launch<'a> {
    /// The command and its arguments.
    pub arguments: Arguments,
    /// The environment.
    pub environment: Environment,
    /// The signal mask that we were started with.
    pub mask: SignalSet,
    /// Who to run as.
    pub names: Names,
    /// The rights that we were started with, where they are not the effective ones now.
    pub own: Option<&'a Own>,
    /// What the exit hook is told; `None` for the command.
    pub ended: Option<&'a Ended>,
}

/// What the exit hook is told.
#[derive(Debug)]
pub struct Ended {
    /// The pid file, as it was named.
    pub pid_file: Text<'static>,
    /// The status that we exit with.
    pub exit_code: u8,
    /// How the target ended.
    pub status: WaitStatus,
    /// Our own pid.
    pub proxy: u32,
}

impl Launch<'_> {
    /// The command's name.
    #[must_use]
    pub fn command(&self) -> Text<'static> {
        self.arguments.peek().unwrap_or(Text::new(c""))
    }

    /// Starts it. Our memory is as before: what the child changed is put back, what it used is given back.
    pub fn start(&self) -> sys::Result<Process> {
        let command = self.command();
        let home = self.environment.save(HOME);
        let started = sys::clone(run, self);
        home.restore();
        self.arguments.replace(command);
        sys::forget_stack_below();
        let (pid, pidfd) = started?;
        Ok(Process {
            pid,
            pidfd,
            is_foreign: false,
        })
    }
}

/// The child, to the exec: it shares our memory, so each kind of child has a frame of its own for what only it needs.
#[inline(never)]
fn run(launch: &Launch<'_>) -> ! {
    if let Some(own) = launch.own {
        own.take_up(launch.names);
    }
    if let Some(ended) = launch.ended {
        run_hook(launch, ended)
    }
    if launch.names.first().is_some() {
        run_as(launch)
    }
    execute(launch)
}

/// Switches to the command's identity for good.
#[inline(never)]
fn run_as(launch: &Launch<'_>) -> ! {
    let mut identity = Identity::UNKNOWN;
    launch.names.find(&mut identity);
    launch.names.check(assume(&identity));
    let mut home = TextBuffer::new();
    if identity.uid.is_some() {
        home.put_text(HOME);
        let directory = identity.home.text();
        home.put_text(if directory.is_empty() {
            Text::new(c"/")
        } else {
            directory
        });
        launch.environment.set(HOME, home.finish());
    }
    execute(launch)
}

/// Takes on an identity, whole: afterwards there must be no way back to root.
fn assume(identity: &Identity) -> sys::Result<()> {
    sys::setgroups(&identity.groups)?;
    sys::setresgid(identity.gid, identity.gid)?;
    if let Some(uid) = identity.uid {
        sys::setresuid(uid, uid)?;
        if uid != 0 && sys::setresuid(0, 0).is_ok() {
            return Err(Errno::EPERM);
        }
    }
    Ok(())
}

/// Runs the exit hook, which is told how the target ended.
#[inline(never)]
fn run_hook(launch: &Launch<'_>, ended: &Ended) -> ! {
    let mut variables = TextBuffer::new();
    let mut directory = [0; 4096];
    variables.put_text(PID_FILE);
    if ended.pid_file.peek() != b'/' && sys::getcwd(&mut directory).is_ok() {
        variables.put_text(Text::from_buffer(&directory));
        variables.put(b'/');
    }
    variables.put_text(ended.pid_file);
    launch.environment.set(PID_FILE, variables.finish());
    let signal = ended.status.signal();
    let (exited, killed) = if signal == 0 {
        (Some(ended.status.exit_code().into()), None)
    } else {
        (None, Some(signal))
    };
    for (name, number) in [
        (c"PIDPROXY_EXIT_CODE=", Some(ended.exit_code.into())),
        (c"PIDPROXY_PID=", Some(ended.proxy)),
        (c"PIDPROXY_CHILD_EXIT_CODE=", exited),
        (c"PIDPROXY_CHILD_KILL_SIGNAL=", killed),
    ] {
        let name = Text::new(name);
        variables.put_text(name);
        match number {
            Some(number) => decimal::print(number, &mut variables),
            None => variables.put_text(Text::new(c"-1")),
        }
        launch.environment.set(name, variables.finish());
    }
    execute(launch)
}

/// Executes the command, searching it in `PATH` (execvp(3)). Where it can not be, that is said, and the child ends as
/// the shells do.
#[inline(never)]
fn execute(launch: &Launch<'_>) -> ! {
    sys::sigprocmask(launch.mask);
    let command = launch.command();
    let errno = search(command, launch.arguments, launch.environment);
    // A standard error that nobody reads must not kill us before we have said why.
    sys::sigprocmask(SignalSet::RECEIVED);
    failure::report(Text::new(c"execute"), command, errno.into());
    sys::exit(if errno == Errno::ENOENT {
        failure::NOT_FOUND
    } else {
        failure::NOT_EXECUTABLE
    })
}

fn search(command: Text<'_>, arguments: Arguments, environment: Environment) -> Errno {
    if command.find(b'/').is_some() {
        return arguments.execute(command, environment);
    }
    let mut path = environment.get(Text::new(c"PATH=")).unwrap_or(DEFAULT_PATH);
    let mut result = Errno::ENOENT;
    let mut candidate = TextBuffer::new();
    loop {
        candidate.clear();
        let end = loop {
            match path.take() {
                byte @ (0 | b':') => break byte,
                byte => candidate.put(byte),
            }
        };
        // An empty entry is the working directory.
        if !candidate.current().is_empty() {
            candidate.put(b'/');
        }
        candidate.put_text(command);
        match arguments.execute(candidate.finish(), environment) {
            Errno::ENOENT | Errno::ENOTDIR => {}
            Errno::EACCES => result = Errno::EACCES,
            errno => return errno,
        }
        if end == 0 {
            return result;
        }
    }
}

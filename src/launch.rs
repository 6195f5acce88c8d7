//! Clone, identity, exec: how the command and the exit hook are started.

use crate::accounts::{self, NOBODY, NONE};
use crate::command_line::{FULL, Options};
use crate::decimal;
use crate::failure::{self, TERMINAL, UNKNOWN};
use crate::signal::SignalSet;
use crate::sys::{
    self, Address, Arguments, DEFAULT_PATH, Environment, Ids, Outcome, PendingLimit, ROOT_HOME, Table, Text,
    TextBuffer, UNCHANGED,
};
use crate::target::Process;

/// Says what failed, and ends this process: the proxy before the launch, or the child before its exec.
#[cfg_attr(
    target_arch = "powerpc64",
    inline(always),
    expect(clippy::inline_always, reason = "the file is smaller with it, see SIZE.md")
)]
pub fn fail(subject: Option<Text<'_>>, reason: Outcome) -> ! {
    failure::report(subject, reason);
    sys::exit(failure::PROXY_FAILED)
}

/// The variable by which a process knows that the sockets it was started with are meant for it (`sd_listen_fds(3)`).
const LISTEN_PID: Text<'static> = Text::new(c"LISTEN_PID=");

/// Where our own pid stands among the numbers of a launch.
pub const PID: usize = 0;
/// The status that we exit with.
pub const EXIT_CODE: usize = 1;
/// The one that the target exited with, -1 where a signal killed it.
pub const CHILD_EXIT_CODE: usize = 2;
/// The signal that killed the target, -1 where it exited.
pub const CHILD_KILL_SIGNAL: usize = 3;
/// What the exit hook is told: its variables in this order, and then the pid file.
const NUMBERS: usize = 4;
/// How many variables that are.
const VARIABLES: usize = NUMBERS + 1;

/// What is started, and how. The fields stand in the order in which the code is shortest.
#[derive(Debug)]
#[repr(C)]
pub struct Launch {
    /// The environment.
    pub environment: Environment,
    /// Who the command runs as, and who we were when we were started: what the exit hook becomes again. `None` without a
    /// switch.
    table: Option<&'static Table>,
    /// The pid of what was launched last; 0 before the first time.
    pub launcher: i32,
    /// What the exit hook is told, among it our own pid.
    pub numbers: [i32; NUMBERS],
    /// What is started is the exit hook.
    pub is_hook: bool,
    /// There was a target, of this launch or of an earlier one.
    pub had_target: bool,
    /// What the user asked for.
    pub options: Options,
    /// The service manager that we were started by, if it wants to hear from us.
    pub manager: Option<Address>,
    /// The limit of pending signals that we were started with.
    pub pending_limit: PendingLimit,
    /// The signal mask that we were started with.
    pub mask: SignalSet,
}

impl Launch {
    /// Nothing yet, and nothing but zeros in memory.
    pub const NONE: Self = Self {
        environment: Environment::NONE,
        manager: None,
        launcher: 0,
        mask: SignalSet::NONE,
        pending_limit: PendingLimit::ZERO,
        is_hook: false,
        had_target: false,
        options: Options::NONE,
        numbers: [0; NUMBERS],
        table: None,
    };

    /// The command's name.
    #[must_use]
    pub fn command(&self) -> Text<'static> {
        self.options.arguments.peek().unwrap_or(DEFAULT_PATH)
    }

    /// Tells the service manager what a text says that ends with a number (`sd_notify(3)`).
    pub fn notify(&self, text: Text<'_>, number: i32) {
        let Some(manager) = self.manager else { return };
        let mut line = TextBuffer::new();
        let line = sys::in_register(&mut line);
        line.put_text(text);
        decimal::print(line, number);
        manager.send(line.bytes());
    }

    /// Starts it. Our memory is as before: what the child changed is put back, what it used is given back.
    ///
    /// The exit hook is started with our own rights, and we work with them too from then on, to send signals to it. With
    /// them we could not launch as somebody else again: the supplementary groups of the command are gone.
    pub fn start(&self, process: &mut Process) -> Outcome {
        if let Some(table) = self.table
            && self.is_hook
        {
            // The ids are at hand as the saved ones. With them comes the right to set the groups.
            let outcome = table.own.set(0).or(table.own_groups.set());
            if outcome.is_failure() {
                return outcome;
            }
            if let Some(home) = table.own_home {
                home.restore();
            }
        }
        let command = self.options.arguments.hold();
        let listener = if FULL { self.environment.find(LISTEN_PID) } else { command };
        let pid = sys::clone(run, self);
        command.restore();
        listener.restore();
        process.pid = pid.number();
        process.child = Outcome::OK;
        pid
    }

    /// Where that is wanted, works with the rights of a user and a group from here on, so that the kernel refuses every
    /// file and every signal that they could not have had. Our own uid and gid stay at hand as the saved ones, for the
    /// exit hook alone.
    ///
    /// A failure ends this process.
    #[cfg_attr(not(target_arch = "powerpc64"), inline(never))]
    pub fn switch(&mut self) {
        let (user, group) = (self.options.get::<b'U'>(), self.options.get::<b'G'>());
        let Some(mut name) = user.or(group) else { return };
        let outcome = self.switch_to(&mut name, user, group);
        if outcome.is_failure() {
            fail(Some(name), outcome);
        }
    }

    /// Does so for the user and the group; `name` is left on the one that it failed for.
    fn switch_to(
        &mut self,
        name: &mut Text<'static>,
        user: Option<Text<'static>>,
        group: Option<Text<'static>>,
    ) -> Outcome {
        if sys::is_terminal(sys::STANDARD_INPUT) && !self.options.has::<b't'>() && sys::geteuid() == 0 {
            return TERMINAL;
        }
        let table = match Table::new(*name) {
            Ok(table) => table,
            Err(outcome) => return outcome,
        };
        table.ids.uid = UNCHANGED;
        let mut login = NOBODY;
        if let Some(user) = user {
            self.find_user(table, user, &mut login);
            if table.ids.uid == NONE {
                return UNKNOWN;
            }
        }
        load(Text::new(c"/etc/group"), table);
        let mut gid = table.ids.gid;
        let (mut field, mut sought) = (accounts::MEMBERS, login);
        if let Some(group) = group {
            gid = accounts::id(group);
            (field, sought) = (accounts::NAME, group);
        }
        loop {
            if gid != NONE {
                table.add_group(gid);
                // The user's others are kept only where no group was named.
                if group.is_some() {
                    table.ids.gid = gid;
                    break;
                }
            }
            gid = accounts::next(NONE, table, accounts::GROUP, field, sought);
            if gid == NONE {
                if let Some(group) = group {
                    *name = group;
                    return UNKNOWN;
                }
                break;
            }
        }
        table.own.uid = sys::geteuid();
        table.own.gid = sys::getegid();
        let mut outcome = table.own_groups.get();
        outcome = outcome.and(table.set_groups());
        outcome = outcome.or(table.ids.set(UNCHANGED));
        self.table = Some(table.forget());
        outcome
    }

    /// Finds a user, and sets `HOME`.
    fn find_user(&mut self, table: &mut Table, user: Text<'static>, login: &mut Text<'static>) {
        // A number needs no entry: then the group is the one of the same number, as useradd(8) pairs them.
        let number = accounts::id(user);
        table.ids = Ids { uid: number, gid: number };
        load(Text::new(c"/etc/passwd"), table);
        loop {
            let uid = accounts::next(number, table, accounts::USER, accounts::NAME, user);
            if uid == NONE {
                break;
            }
            let gid = accounts::id(table.field(accounts::GID));
            if gid != NONE {
                table.ids = Ids { uid, gid };
                *login = table.field(accounts::NAME);
                if !table.field(accounts::HOME).is_empty() {
                    table.home.put_until(ROOT_HOME, b'/');
                    let home = table.field(accounts::HOME);
                    table.home.put_text(home);
                }
                break;
            }
        }
        let home = table.home.text();
        table.own_home = Some(self.environment.set(if home.is_empty() { ROOT_HOME } else { home }));
    }
}

/// Loads a file of users or groups. Without it this process ends.
fn load(path: Text<'_>, table: &mut Table) {
    let outcome = table.load(path);
    // A file that is not there is an empty one.
    if outcome != Outcome::OK && outcome != Outcome::ENOENT {
        fail(Some(path), outcome);
    }
}

/// The child, or with `-x` the only process, to the exec.
pub fn run(launch: &Launch) -> ! {
    let mut variables = TextBuffer::new();
    let variables = sys::in_register(&mut variables);
    if launch.is_hook {
        export(launch, variables);
    } else {
        if launch.options.is_init() {
            sys::lead_foreground_group(launch.launcher);
        }
        if FULL {
            pass_listeners(launch, variables);
        }
        become_user(launch);
        if let Some(log) = launch.options.get::<b'l'>() {
            let outcome = sys::append_output_to(log);
            if outcome.is_failure() {
                fail(Some(log), outcome);
            }
        }
    }
    execute(launch)
}

/// Where `LISTEN_PID` is the proxy's pid it becomes the command's: that of the first, for it took the descriptors along.
fn pass_listeners(launch: &Launch, variable: &mut TextBuffer) {
    let (pid, _) = decimal::parse(launch.environment.get(LISTEN_PID, false));
    if pid == launch.numbers[PID].cast_unsigned() && launch.launcher == 0 {
        variable.put_text(LISTEN_PID);
        decimal::print(variable, sys::getpid());
        launch.environment.set(variable.text());
    }
}

/// Becomes the user that the command runs as, for good.
fn become_user(launch: &Launch) {
    if let Some(table) = launch.table {
        // The supplementary groups are set already.
        let ids = table.ids;
        let mut outcome = ids.set(0);
        // There must be no way back to root.
        if ids.uid != 0 && ids.uid != UNCHANGED && !sys::setresuid(0, 0).is_failure() {
            outcome = Outcome::EPERM;
        }
        if outcome.is_failure() {
            fail(Some(table.name), outcome);
        }
    }
}

/// Tells the exit hook in its environment how the target ended.
fn export(launch: &Launch, variables: &mut TextBuffer) {
    let mut names = Text::new(c"PID= EXIT_CODE= CHILD_EXIT_CODE= CHILD_KILL_SIGNAL= PID_FILE=");
    for index in 0..VARIABLES {
        let start = variables.len();
        variables.put_text(Text::new(c"PIDPROXY_"));
        names = variables.put_until(names, b' ');
        names.take();
        if let Some(number) = launch.numbers.get(index) {
            decimal::print(variables, *number);
        } else if let Some(pid_file) = launch.options.file {
            if pid_file.peek() != b'/' {
                variables.put_working_directory();
            }
            variables.put_text(pid_file);
            // What does not fit is not told.
            if variables.text().is_empty() {
                break;
            }
        }
        launch.environment.set(variables.text_from(start));
        variables.put(0);
    }
}

/// Executes the command, searching it in `PATH` (execvp(3)). Where that fails the child says so, and ends as the shells
/// have it.
fn execute(launch: &Launch) -> ! {
    launch.pending_limit.set();
    let mut mask = launch.mask;
    sys::sigprocmask(&mut mask);
    let command = launch.command();
    let mut path = Text::new(c"");
    if !command.is_empty() && command.find(b'/').is_none() {
        path = launch.environment.get(DEFAULT_PATH, false);
    }
    let mut outcome = Outcome::ENOENT;
    let mut candidate = TextBuffer::new();
    loop {
        candidate.clear();
        path = candidate.put_until(path, b':');
        // An empty entry is the working directory.
        let is_searched = candidate.len() > 0;
        if is_searched {
            candidate.put(b'/');
        }
        candidate.put_text(command);
        let failure = Arguments::execute(candidate.text(), launch.options.arguments, launch.environment);
        if failure != Outcome::ENOENT && !(is_searched && failure == Outcome::ENOTDIR) {
            outcome = failure;
            if failure != Outcome::EACCES {
                break;
            }
        }
        if path.is_empty() {
            break;
        }
        path.take();
    }
    // A standard error that nobody reads must not kill us before we have ended with the right status.
    sys::sigprocmask(&mut mask);
    failure::report(Some(command), outcome);
    sys::exit(if outcome == Outcome::ENOENT { failure::NOT_FOUND } else { failure::NOT_EXECUTABLE })
}

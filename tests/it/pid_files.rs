//! Which process a pid file may name. The daemon may be hostile and the pid file is its own, so each rule is shown with
//! the attack that it stops: a stranger records every signal it gets, the proxy is sent a burst while it looks at the
//! forged file, and the stranger must have had none of it. The proxy must have lost none either: when the daemon writes
//! its pid after all, the whole burst is delivered to it.

mod arrival;
mod attached;
mod changes;
mod contents;
mod kinds;
mod left_over;
mod processes;
mod trust;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use crate::harness::{Control, DEADLINE, Looks, Proxy, Report, Running, Scope, eventually, needs, proc, signals};

/// Users that need no entry anywhere; the tests that play them need root.
const USER: u32 = 4711;
const OTHER_USER: u32 = 4712;

/// A wait that a test never sees the end of, for `-w`.
const LONG: &str = "600";

/// What is made of the pid file.
type Forge = fn(&Stage<'_>, &Stranger<'_>);

/// The payload of one signal in the burst.
const VALUE: u64 = 0xfeed_beef_1234;

/// All that is forwarded, but for those that make the kernel discard others (CONT, and what stops).
fn burst() -> Vec<i32> {
    let discarding = [libc::SIGCONT, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
    let mut burst = signals::forwardable();
    burst.retain(|number| !discarding.contains(number));
    burst
}

fn send_burst(proxy: &Running) {
    for number in burst() {
        if number == signals::real_time(0) {
            proxy.queue(number, signals::payload(VALUE));
        } else {
            proxy.signal(number);
        }
    }
}

/// Takes the whole burst, and nothing else, from the reports of the process that should have it.
#[track_caller]
fn expect_burst(scope: &Scope, name: &str) {
    let reports = scope.reports().expect_signals(name, burst().len());
    let mut numbers: Vec<i64> = reports.iter().map(|report| report.number("number")).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, burst().into_iter().map(i64::from).collect::<Vec<_>>());
    let with_value = |report: &&Report| report.number("number") == i64::from(signals::real_time(0));
    assert_eq!(reports.iter().find(with_value).map(Report::value), Some(signals::payload(VALUE)));
}

/// A process that the proxy has no business with. It is a child of the test, so to the proxy it is foreign.
struct Stranger<'scope> {
    scope: &'scope Scope,
    running: Running,
    control: Control,
}

impl<'scope> Stranger<'scope> {
    fn new(scope: &'scope Scope) -> Self {
        Self::start(scope, Proxy::absent(scope))
    }

    fn of_user(scope: &'scope Scope) -> Self {
        Self::start(scope, Proxy::absent(scope).user(USER, USER, &[]))
    }

    fn start(scope: &'scope Scope, proxy: Proxy<'scope>) -> Self {
        let control = scope.control("stranger");
        let running = proxy.specimen(["program", "--name=stranger", "--threads=1", &control.option()]).spawn();
        scope.reports().expect("stranger", "ready");
        Self { scope, running, control }
    }

    fn pid(&self) -> i32 {
        self.running.pid()
    }

    /// The number of a thread that is not the first.
    fn thread(&self) -> u32 {
        self.scope.reports().expect("stranger", "threads").numbers("tids")[0]
    }

    /// Its own word that no signal has reached it.
    #[track_caller]
    fn expect_untouched(&self) {
        self.control.send("here");
        self.scope.reports().expect("stranger", "here");
        let signals = self.scope.reports().all_of("stranger", "signal");
        assert_eq!(signals, [], "a stranger was signalled\n{}", self.scope.evidence());
    }
}

/// A pid file to be, in a directory of its own, and a launch whose daemon writes it only when it is told to.
struct Stage<'scope> {
    scope: &'scope Scope,
    user: Option<u32>,
    pid_file: PathBuf,
    control: Control,
}

impl<'scope> Stage<'scope> {
    fn new(scope: &'scope Scope) -> Self {
        let directory = scope.path("run");
        fs::create_dir(&directory).expect("a new directory");
        Self { scope, user: None, pid_file: directory.join("pid"), control: scope.control("daemon") }
    }

    /// The proxy, its daemon and the directory are an ordinary user's.
    fn of_user(scope: &'scope Scope) -> Self {
        let stage = Self { user: Some(USER), ..Self::new(scope) };
        chown(stage.directory(), Some(USER), Some(USER)).expect("our own directory");
        stage
    }

    fn directory(&self) -> &Path {
        self.pid_file.parent().expect("a file in a directory")
    }

    /// The proxy without a command. It has the burst blocked from the start, so that a signal may be sent at once.
    fn attach(&self) -> Proxy<'scope> {
        let proxy = Proxy::new(self.scope).blocked(&burst()).options(["-w", LONG]).pid_file(&self.pid_file);
        match self.user {
            Some(user) => proxy.user(user, user, &[]),
            None => proxy,
        }
    }

    fn launch(&self) -> Proxy<'scope> {
        self.attach()
            .specimen(["daemon", "--no-pid-file", &self.control.option()])
            .command([format!("--pid-file={}", self.pid_file.display())])
    }

    /// Starts it, and waits until the launcher is reaped: from then on every signal has to wait for the daemon.
    #[track_caller]
    fn seek(&self, proxy: Proxy<'scope>) -> Running {
        let running = proxy.spawn();
        let launcher = self.scope.reports().expect("launcher", "started").pid();
        self.scope.reports().expect("daemon", "ready");
        let reaped = || proc::state(launcher).is_none().then_some(());
        eventually(DEADLINE, reaped).unwrap_or_else(|| panic!("a launcher not reaped\n{}", self.scope.evidence()));
        running
    }

    /// The file with these contents, our own and mode 0644: as trustworthy as can be.
    fn write(&self, contents: impl AsRef<[u8]>) {
        self.write_as(contents, None, 0o644);
    }

    fn write_as(&self, contents: impl AsRef<[u8]>, owner: Option<u32>, mode: u32) {
        // Complete when it appears: the proxy is not to see a half of it, unless that is the test.
        let temporary = self.scope.path("temporary");
        fs::write(&temporary, contents).expect("our own file");
        chown(&temporary, owner, owner).expect("our own file");
        fs::set_permissions(&temporary, Permissions::from_mode(mode)).expect("our own file");
        fs::rename(&temporary, &self.pid_file).expect("our own file");
    }

    /// The daemon writes its pid, gets all that was sent before, and its end is the proxy's end.
    #[track_caller]
    fn expect_found(&self, proxy: Running) {
        self.control.send("write-pid-file");
        self.expect_followed(proxy);
    }

    #[track_caller]
    fn expect_followed(&self, proxy: Running) {
        expect_burst(self.scope, "daemon");
        self.control.send("exit 7");
        proxy.wait().expect_code(7);
    }
}

fn line(pid: i32) -> String {
    format!("{pid}\n")
}

/// A proxy that seeks finds what `forge` makes of the pid file. It must refuse it, look again, and find the daemon once
/// that has written the file.
#[track_caller]
fn expect_refused(what: &str, forge: impl FnOnce(&Stage<'_>, &Stranger<'_>, &Running)) {
    eprintln!("to be refused: {what}");
    let scope = Scope::new();
    expect_refused_on(&Stage::new(&scope), &Stranger::new(&scope), forge);
}

#[track_caller]
fn expect_refused_on(
    stage: &Stage<'_>,
    stranger: &Stranger<'_>,
    forge: impl FnOnce(&Stage<'_>, &Stranger<'_>, &Running),
) {
    let proxy = stage.seek(stage.launch());
    let mut looks = Looks::at(&stage.pid_file);
    forge(stage, stranger, &proxy);
    send_burst(&proxy);
    looks.expect(3);
    if stage.user.is_some() {
        // Its daemon could not write to the file of another.
        fs::remove_file(&stage.pid_file).expect("our own file");
    } else {
        remove_unless_regular(&stage.pid_file);
    }
    stage.expect_found(proxy);
    stranger.expect_untouched();
}

/// The daemon could not write to what is no file.
fn remove_unless_regular(path: &Path) {
    let kind = fs::symlink_metadata(path).expect("something forged").file_type();
    if kind.is_dir() {
        fs::remove_dir(path).expect("our own directory");
    } else if !kind.is_file() {
        fs::remove_file(path).expect("our own file");
    }
}

/// The same for what gives no sign of being looked at: the proxy gives up, says so, and leaves the daemon alone.
#[track_caller]
fn expect_given_up(what: &str, forge: impl FnOnce(&Stage<'_>, &Stranger<'_>)) {
    eprintln!("to be given up: {what}");
    let scope = Scope::new();
    let (stage, stranger) = (Stage::new(&scope), Stranger::new(&scope));
    let proxy = stage.seek(stage.launch().options(["-w", "1"]));
    forge(&stage, &stranger);
    send_burst(&proxy);
    proxy.wait().expect_failure(&stage.pid_file);
    stage.control.send("here");
    scope.reports().expect("daemon", "here");
    stranger.expect_untouched();
}

/// strace around the proxy, which stops it once behind its first system call of a name: so it can be made sure that
/// something changes just there.
struct Trace {
    log: PathBuf,
    call: &'static str,
    when: u32,
}

impl Trace {
    fn stopping_behind(scope: &Scope, call: &'static str, when: u32) -> Self {
        let log = scope.path("trace");
        Self { log, call, when }
    }

    fn prefix(&self) -> [String; 6] {
        let log = self.log.to_str().expect("a path of ASCII");
        let injection = format!("inject={}:signal=SIGSTOP:when={}", self.call, self.when);
        ["strace", "-qq", "-o", log, "-e", &injection].map(str::to_owned)
    }

    /// Waits until it stands, and returns what it has done so far.
    #[track_caller]
    fn expect_stop(&self) -> String {
        let stopped = || {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            log.contains("--- stopped by SIGSTOP ---").then_some(log)
        };
        eventually(DEADLINE, stopped).expect("strace stops the proxy")
    }
}

/// User and system time, in ticks of 1/100 s.
fn processor_ticks(pid: i32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a living process");
    let (_, rest) = stat.rsplit_once(") ").expect("a name in parentheses");
    let fields: Vec<u64> = rest.split(' ').map(|field| field.parse().unwrap_or(0)).collect();
    fields[11] + fields[12]
}

/// The stranger has been taken for the daemon, as is right where the file can be trusted.
#[track_caller]
fn expect_stranger_followed(stranger: Stranger<'_>, proxy: Running) {
    expect_burst(stranger.scope, "stranger");
    stranger.control.send("exit 5");
    stranger.running.wait().expect_code(5);
    proxy.wait().expect_code(foreign_code(5));
}

/// What the proxy's status is when a process ended that is not its child.
fn foreign_code(code: i32) -> i32 {
    if needs::tells_foreign_status() { code } else { 0 }
}

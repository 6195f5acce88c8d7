//! Who the command runs as (`-U`, `-G`), against an `/etc` of our own, and with whose rights the proxy works meanwhile.
//!
//! What the command was given is looked at from inside of it: the specimen's `facts` come from system calls.

mod files;
mod lines;
mod names;
mod rights;
mod switches;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::harness::needs::{self, skip};
use crate::harness::{Finished, Proxy, Report, Scope, accounts};

const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
ann:x:1100:1100:the first letters of another:/home/ann:/bin/sh
annabel:x:1101:1101:more letters than another:/home/annabel:/bin/sh
anna:x:1000:1001:Anna,,,:/home/anna:/bin/sh
bob:x:1002:1002::/home/bob:/bin/false
lonely:x:1003:1003::/home/lonely:
homeless:x:1004:1004:::/bin/sh
4321:x:1005:1005:a number for a name:/home/4321:/bin/sh
high:x:4294967294:4294967294::/home/high:/bin/sh
";

const GROUP: &str = "\
root:x:0:
wheel:x:10:root,bob
anna:x:1001:anna
staff:x:50:ann,anna,bob
staf:x:51:
first:x:60:anna
middle:x:61:bob,anna,ann
last:x:62:bob,anna
blanks:x:63:,,anna,,
others:x:64:ann,annabel,nna,Anna,joanna
high:x:4294967293:anna
500:x:65:
";

/// The supplementary groups of `anna`, and her own.
const GROUPS_OF_ANNA: [u32; 7] = [50, 60, 61, 62, 63, 1001, 4_294_967_293];

/// The status of a command that ran as it should: no other failure has it.
const RAN: i32 = 42;

/// A pid file that was left over: no machine has so many processes.
const LEFT_OVER: &str = "99999999\n";

/// What most tests here need.
fn private_accounts() -> Result<(), String> {
    needs::root().and_then(|()| needs::unshare(&["--mount"]))
}

/// An `/etc` of our own, and a directory where everybody may write: nothing but the proxy holds a command back.
struct Accounts {
    scope: Scope,
    private: accounts::Private,
    place: PathBuf,
}

impl Accounts {
    fn new(passwd: Option<&str>, group: Option<&str>) -> Self {
        Self::of_bytes(passwd.map(str::as_bytes), group.map(str::as_bytes))
    }

    fn of_bytes(passwd: Option<&[u8]>, group: Option<&[u8]>) -> Self {
        let scope = Scope::new();
        let private = accounts::Private::new(&scope, passwd, group);
        let place = scope.path("place");
        fs::create_dir(&place).expect("a new directory");
        fs::set_permissions(&place, Permissions::from_mode(0o777)).expect("chmod of our own directory");
        Self { scope, private, place }
    }

    fn usual() -> Self {
        Self::new(Some(PASSWD), Some(GROUP))
    }

    fn pid_file(&self) -> PathBuf {
        self.place.join("pid")
    }

    fn started(&self) -> PathBuf {
        self.place.join("started")
    }

    fn proxy(&self) -> Proxy<'_> {
        Proxy::new(&self.scope).prefix(self.private.prefix())
    }

    /// A proxy whose command reports its facts and then fails with [`RAN`], which ends the proxy at once.
    fn facts_of_command(&self) -> Proxy<'_> {
        self.proxy()
            .env("HOME", "/before")
            .pid_file(self.pid_file())
            .command(["sh", "-c", &format!("\"$@\"; exit {RAN}"), "sh"])
            .specimen(["facts"])
    }

    /// Whether a command that is run with these options is what it should be.
    fn check_run(&self, options: &[&str], expected: &Expected) -> Result<(), String> {
        let finished = self.facts_of_command().options(options).run();
        self.check_ran(&finished, expected).map_err(|fault| format!("{options:?}: {fault}"))
    }

    /// Whether the command of [`Accounts::facts_of_command`] was what it should be.
    fn check_ran(&self, finished: &Finished, expected: &Expected) -> Result<(), String> {
        if finished.code() != Some(RAN) || !finished.stderr.is_empty() {
            return Err(format!("it did not run: {}, {:.1000}", finished.status, finished.stderr));
        }
        expected.check(&self.scope.reports().expect("facts", "facts"))
    }

    /// A proxy that would remove the pid file and start a command, which would leave a file behind.
    fn attempt(&self) -> Proxy<'_> {
        fs::write(self.pid_file(), LEFT_OVER).expect("our own directory");
        let _ = fs::remove_file(self.started());
        self.proxy().options(["-f"]).pid_file(self.pid_file()).command(["touch".into(), self.started()])
    }

    /// Whether an attempt failed about this word, and nothing was started.
    fn check_not_started(&self, finished: &Finished, word: &str) -> Result<(), String> {
        finished.check_failure(word)?;
        if self.started().exists() {
            return Err("the command was started".to_owned());
        }
        Ok(())
    }

    /// Whether these options are refused because of this word, and nothing is started, and nothing changed.
    fn check_refused(&self, options: &[&str], word: &str) -> Result<(), String> {
        let finished = self.attempt().options(options).run();
        let refused = self.check_not_started(&finished, word);
        let is_kept = fs::read_to_string(self.pid_file()).is_ok_and(|text| text == LEFT_OVER);
        let outcome = refused.and_then(|()| is_kept.then_some(()).ok_or_else(|| "the pid file was removed".to_owned()));
        outcome.map_err(|fault| format!("{options:?}: {fault}"))
    }
}

/// What the facts of a command are to be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Expected {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    home: String,
}

impl Expected {
    fn new(uid: u32, gid: u32, groups: &[u32], home: &str) -> Self {
        Self { uid, gid, groups: groups.to_vec(), home: home.to_owned() }
    }

    fn anna() -> Self {
        Self::new(1000, 1001, &GROUPS_OF_ANNA, "/home/anna")
    }

    /// What is switched to is switched to whole, and there is no way back.
    fn check(&self, facts: &Report) -> Result<(), String> {
        let id = |key| u32::try_from(facts.number(key)).unwrap_or(u32::MAX);
        let home = facts.get("HOME").unwrap_or_else(|| "(not set)".to_owned());
        // In their ascending order; one that is there twice is no other right.
        let mut groups = facts.numbers("groups");
        groups.dedup();
        let seen = Self::new(id("euid"), id("egid"), &groups, &home);
        let is_whole = [("ruid", self.uid), ("suid", self.uid), ("rgid", self.gid), ("sgid", self.gid)]
            .iter()
            .all(|&(key, expected)| id(key) == expected);
        let has_no_way_back = ["regain_uid", "regain_gid"].iter().all(|key| facts.text(key) == "refused")
            && ["effective", "permitted"].iter().all(|key| facts.text(key) == "0");
        if seen != *self {
            // A home directory of 1 MiB is not for people.
            Err(format!("{:.400} in place of {:.400}", format!("{seen:?}"), format!("{self:?}")))
        } else if !is_whole || (self.uid != 0 && !has_no_way_back) {
            Err(format!("not switched for good: {facts}"))
        } else {
            Ok(())
        }
    }
}

/// Panics with the faults of all rows of a table.
#[track_caller]
fn assert_no_faults(results: impl IntoIterator<Item = Result<(), String>>) {
    let faults: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn a_daemon_is_followed_as_its_user() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    let accounts = Accounts::usual();
    let scope = &accounts.scope;
    let directory = scope.directory_for("run", 1000, 1001);
    let pid_file = directory.join("pid");
    let control = scope.control("control");
    let running = accounts
        .proxy()
        .options(["-U", "anna"])
        .pid_file(&pid_file)
        .specimen(["daemon", "--exit-on=TERM:3", &control.option()])
        .command([format!("--pid-file={}", pid_file.display())])
        .spawn();
    scope.reports().expect("daemon", "ready");
    running.signal(libc::SIGUSR1);
    let signal = scope.reports().expect("daemon", "signal");
    assert_eq!(signal.number("number"), libc::SIGUSR1.into());
    control.send("facts");
    let facts = scope.reports().expect("daemon", "facts");
    Expected::anna().check(&facts).expect("the daemon is anna");
    running.signal(libc::SIGTERM);
    running.wait().expect_code(3);
}

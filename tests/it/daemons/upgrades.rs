//! Upgrades without a break: a daemon is replaced by another process, or by itself, while it serves. Whoever serves
//! afterwards is followed, and gets the signals.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;

use super::{APACHE, Daemon, FIRST, HAPROXY, Life, NGINX, Place, SECOND, Who, as_everybody, find};
use crate::harness::{DEADLINE, Proxy, Running, Scope, eventually, needs, proc};

/// What nginx and unicorn put behind the name of their pid files.
const OLD: &str = "pid.oldbin";

impl Life<'_> {
    /// The pid file names another process than the one that is followed, and the daemon serves by the word.
    fn expect_successor(&self, word: &str) -> i32 {
        self.expect("successor", |life| {
            life.named().is_some_and(|pid| pid != life.pid) && (life.daemon.serves)(&life.place, word)
        });
        self.named().expect("a pid")
    }

    fn expect_end_of(&self, pid: i32) {
        self.expect("end of the old one", |_| !proc::lives(pid));
    }
}

/// nginx's manual and unicorn's: USR2 starts a second master beside the first, QUIT ends the first.
fn upgrade_by_usr2_and_quit(daemon: &Daemon) {
    as_everybody(daemon, |program, who| {
        let scope = Scope::new();
        let mut life = Life::begin(daemon, program, &scope, who);
        life.expect_service(FIRST);
        // And once more: who came by an upgrade can be upgraded.
        for word in [SECOND, FIRST] {
            let old = life.pid;
            (daemon.configure)(&life.place, word);
            life.running.signal(libc::SIGUSR2);
            let new = life.expect_successor(word);
            life.expect("old pid file", |life| super::first_pid(&life.place.path(OLD)) == Some(old));
            life.running.signal(libc::SIGQUIT);
            life.expect_following(new);
            life.expect_end_of(old);
            life.expect_service(word);
        }
        life.end();
    });
}

/// The other way out, of the same manuals: the second master is told to quit, and the first takes its pid file back.
fn take_back(daemon: &Daemon) {
    as_everybody(daemon, |program, who| {
        let scope = Scope::new();
        let mut life = Life::begin(daemon, program, &scope, who);
        life.expect_service(FIRST);
        let old = life.pid;
        life.running.signal(libc::SIGUSR2);
        let new = life.expect_successor(FIRST);
        crate::harness::signals::send(new, libc::SIGQUIT).expect("the new master lives");
        life.expect("pid file taken back", |life| life.named() == Some(old) && !life.place.path(OLD).exists());
        life.expect("end of the new one", |_| proc::state(new).is_none());
        life.expect_service(FIRST);
        assert!(!life.running.has_ended(), "{}", life.evidence());
        life.end();
    });
}

#[test]
fn nginx_replaces_itself() {
    upgrade_by_usr2_and_quit(&NGINX);
}

#[test]
fn nginx_takes_back_an_upgrade() {
    take_back(&NGINX);
}

/// A server of Ruby programs; its reload, by HUP, loads the program again.
const UNICORN: Daemon = Daemon {
    program: "unicorn",
    executes: |_| find("ruby").expect("unicorn is a program in Ruby"),
    arguments: |place| {
        let (configuration, program) = (place.file("configuration"), place.file("program.ru"));
        ["-D", "-E", "none", "-c", &configuration, &program].map(str::to_owned).to_vec()
    },
    configure: |place, word| {
        let directory = place.directory.display();
        let text = format!(
            "listen '127.0.0.1:{}'\npid '{directory}/pid'\nstderr_path '{directory}/log'\nworker_processes 1\n\
            working_directory '{directory}'\n{}\n",
            place.port,
            place.for_root("user 'nobody', 'nogroup'"),
        );
        place.write("configuration", &text);
        place.write("program.ru", &format!("run lambda {{ |_| [200, {{}}, ['{word}']] }}\n"));
    },
    ..Daemon::USUAL
};

#[test]
fn unicorn() {
    super::follow(&UNICORN);
}

#[test]
fn unicorn_replaces_itself() {
    upgrade_by_usr2_and_quit(&UNICORN);
}

#[test]
fn unicorn_takes_back_an_upgrade() {
    take_back(&UNICORN);
}

/// Somebody else's session, as of `docker exec`: starts a command, which may leave a daemon behind, and stays to reap it.
fn start_beside(place: &Place<'_>, command: &[String]) -> Running {
    let proxy = Proxy::new(place.scope)
        .pid_file("-")
        .command(["sh", "-c", "\"$@\" && exec sleep 600", "sh"])
        .command(command)
        .directory(&place.directory);
    let (uid, gid) = place.who.ids();
    if place.who != Who::Root && nix::unistd::geteuid().is_root() { proxy.user(uid, gid, &[]) } else { proxy }.spawn()
}

/// haproxy's way: somebody starts a new process with `-sf` and the pids of the old, and it tells these to finish what they
/// have begun. The new one is no descendant of the proxy's, so it depends on the pid file.
///
/// haproxy empties the file, tells the old one, forks, and only then writes the new pid; so the old one has to have
/// something to finish, or it may be gone before that.
#[test]
fn haproxy_is_replaced_from_outside() {
    let daemon = &HAPROXY;
    as_everybody(daemon, |program, who| {
        let scope = Scope::new();
        let mut life = Life::begin(daemon, program, &scope, who);
        life.expect_service(FIRST);
        let mut sessions = Vec::new();
        for word in [SECOND, FIRST] {
            let old = life.pid;
            (daemon.configure)(&life.place, word);
            let mut command = vec![scope.reachable(program).to_str().expect("a path of ASCII").to_owned()];
            command.extend((daemon.arguments)(&life.place));
            command.extend(["-sf".to_owned(), old.to_string()]);
            let mut visit = TcpStream::connect((Ipv4Addr::LOCALHOST, life.place.port)).expect("it serves");
            visit.write_all(b"GET / HTTP/1.1\r\n").expect("it reads");
            sessions.push(start_beside(&life.place, &command));
            let new = life.expect_successor(word);
            drop(visit);
            life.expect_following(new);
            life.expect_end_of(old);
        }
        life.running.signal(libc::SIGTERM);
        let code = if needs::tells_foreign_status() { 128 + libc::SIGTERM } else { 0 };
        life.expect_end_of(life.pid);
        life.running.wait().expect_code(code);
        for session in sessions {
            session.signal(libc::SIGTERM);
            session.wait().expect_code(128 + libc::SIGTERM);
        }
    });
}

/// A master executes itself at USR2 (as at HUP), and its workers change: the pid stays.
#[test]
fn haproxys_master_executes_itself() {
    as_everybody(&HAPROXY, |program, who| {
        let daemon = Daemon {
            arguments: |place| [&["-W".to_owned()][..], &(HAPROXY.arguments)(place)].concat(),
            status: 0,
            ..HAPROXY
        };
        let scope = Scope::new();
        let mut life = Life::begin(&daemon, program, &scope, who);
        life.expect_service(FIRST);
        for word in [SECOND, FIRST] {
            expect_to_catch(&life, libc::SIGCHLD);
            (daemon.configure)(&life.place, word);
            life.running.signal(libc::SIGUSR2);
            life.expect_service(word);
            assert_eq!(life.named(), Some(life.pid), "{}", life.evidence());
        }
        expect_to_catch(&life, libc::SIGCHLD);
        assert!(!life.running.has_ended(), "{}", life.evidence());
        life.end();
    });
}

/// The daemon has set up its handler of this signal; what comes earlier is lost in it.
fn expect_to_catch(life: &Life<'_>, number: i32) {
    life.expect("handlers", |life| {
        let caught = proc::status_field(life.pid, "SigCgt");
        caught.is_some_and(|set| crate::harness::signals::in_set(&set).contains(&number))
    });
}

/// Apache's graceful restart is the same process again, whoever asks for it: USR1 through the proxy, or `-k graceful`. WINCH
/// is its graceful stop.
#[test]
fn apache_restarts_and_stops_gracefully() {
    as_everybody(&APACHE, |program, who| {
        let scope = Scope::new();
        let mut life = Life::begin(&APACHE, program, &scope, who);
        life.expect_service(FIRST);
        let pid = life.pid;
        (APACHE.configure)(&life.place, SECOND);
        life.running.signal(libc::SIGUSR1);
        life.expect_service(SECOND);

        (APACHE.configure)(&life.place, FIRST);
        graceful(&life, program);
        life.expect_service(FIRST);
        assert_eq!(life.named(), Some(pid), "{}", life.evidence());
        assert!(!life.running.has_ended(), "{}", life.evidence());

        life.running.signal(libc::SIGWINCH);
        life.running.wait().expect_code(0);
        let is_over = eventually(DEADLINE, || scope.left_over().is_empty().then_some(()));
        assert!(is_over.is_some(), "not all of it ended\n{}", life.place.evidence());
        assert!(!proc::lives(pid));
    });
}

/// `apache2 -k graceful`, beside the proxy.
fn graceful(life: &Life<'_>, program: &Path) {
    let mut arguments = (APACHE.arguments)(&life.place);
    for argument in &mut arguments {
        if argument == "start" {
            "graceful".clone_into(argument);
        }
    }
    let command = Proxy::absent(life.place.scope).command([program]).command(arguments);
    let (uid, gid) = life.place.who.ids();
    let is_other = life.place.who != Who::Root && nix::unistd::geteuid().is_root();
    if is_other { command.user(uid, gid, &[]) } else { command }.run().expect_code(0);
}

//! Real daemons, as Debian packages them: each is started as its manual says, in a private directory and on ports of the
//! loopback, by root, by another user, and by root with `-U`, as far as the daemon can be. Its whole life passes: it is
//! found, it serves, HUP reloads it, TERM stops it, and its exit status is ours.
//!
//! `DAEMON_RUNS` is the number of lives in a row (1).

mod ask;
mod soak;
mod upgrades;

use std::fs::{self, Permissions};
use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::harness::{DEADLINE, Proxy, Running, Scope, eventually, needs, needs::skip, proc, signals};
use ask::free_port;

/// As whom the proxy and the daemon run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// As root. Most daemons then have workers of another user, or become one themselves.
    Root,
    /// As an ordinary user: the one who runs the tests, or where root does, nobody.
    User,
    /// The proxy is started by root, with `-U nobody`.
    Switched,
}

impl Who {
    const ALL: &[Self] = &[Self::Root, Self::User, Self::Switched];

    /// The uid and gid of the daemon.
    fn ids(self) -> (u32, u32) {
        let user = if self == Self::Root || !nix::unistd::geteuid().is_root() {
            nix::unistd::User::from_uid(nix::unistd::geteuid())
        } else {
            nix::unistd::User::from_name("nobody")
        };
        let user = user.expect("the users can be read").expect("this user is known");
        (user.uid.as_raw(), user.gid.as_raw())
    }
}

/// What the configuration says before HUP, and after.
const FIRST: &str = "first";
const SECOND: &str = "second";

/// A daemon: its row in the table that this file is.
struct Daemon {
    /// Its program. Debian may have a version behind the name.
    program: &'static str,
    /// What the daemon's process executes, given the program.
    executes: fn(&Path) -> PathBuf,
    /// What follows the program.
    arguments: fn(&Place) -> Vec<String>,
    /// Where it writes its pid.
    pid_file: fn(&Place) -> PathBuf,
    /// The same file, where the prefix gives it another name for the daemon and the proxy.
    pid_file_under_prefix: Option<&'static str>,
    /// Writes its configuration, which says the word.
    configure: fn(&Place, &str),
    /// Whether it serves, as the configuration that says this word has it.
    serves: fn(&Place, &str) -> bool,
    /// Whether HUP does something that can be seen from outside.
    reloads_visibly: bool,
    /// Options of the proxy.
    options: &'static [&'static str],
    /// For root: what of the place lies over which files and directories of the machine.
    covers: &'static [(&'static str, &'static str)],
    /// Whether the launcher and the daemon are two processes.
    daemonizes: bool,
    /// Its, and so our, exit status after TERM.
    status: i32,
    who: &'static [Who],
}

impl Daemon {
    /// What most of them have in common. They are asked for a word over HTTP unless they say otherwise.
    const USUAL: Self = Self {
        program: "",
        executes: Path::to_owned,
        arguments: |place| vec!["-f".into(), place.file("configuration")],
        pid_file: |place| place.path("pid"),
        pid_file_under_prefix: None,
        configure: |_, _| {},
        serves: |place, word| ask::http(place.port, "/").is_some_and(|body| body.contains(word)),
        reloads_visibly: true,
        options: &[],
        covers: &[],
        daemonizes: true,
        status: 0,
        who: Who::ALL,
    };
}

/// Where a daemon lives.
struct Place<'scope> {
    scope: &'scope Scope,
    who: Who,
    /// Its own directory. In it is another, `run`, for the pid file of a daemon that becomes another user before it writes
    /// that.
    directory: PathBuf,
    port: u16,
    /// A system log: the file `syslog` in the directory.
    system_log: UnixDatagram,
}

impl<'scope> Place<'scope> {
    fn new(scope: &'scope Scope, who: Who) -> Self {
        let (uid, gid) = who.ids();
        let directory = scope.directory_for("place", uid, gid);
        let run = scope.directory_for("place/run", uid, gid);
        if who == Who::Root {
            let nobody = Who::Switched.ids();
            chown(&run, Some(nobody.0), Some(nobody.1)).expect("chown of our own directory");
        }
        let socket = directory.join("syslog");
        let system_log = UnixDatagram::bind(&socket).expect("a socket in our own directory");
        system_log.set_nonblocking(true).expect("a flag of our own socket");
        fs::set_permissions(&socket, Permissions::from_mode(0o777)).expect("chmod of our own socket");
        Self { scope, who, directory, port: free_port(), system_log }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// [`Place::path`], for a command line.
    fn file(&self, name: &str) -> String {
        self.path(name).to_str().expect("a path of ASCII").to_owned()
    }

    /// Writes a file that everybody can read.
    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file in our own directory");
        fs::set_permissions(self.path(name), Permissions::from_mode(0o644)).expect("chmod of our own file");
    }

    /// The text, for a daemon that is started by root.
    fn for_root<'text>(&self, text: &'text str) -> &'text str {
        if self.who == Who::Root { text } else { "" }
    }

    /// Whether this has been sent to the system log since the last call.
    fn has_logged(&self, text: &str) -> bool {
        let mut line = [0; 2048];
        std::iter::from_fn(|| self.system_log.recv(&mut line).ok().map(|length| line[..length].to_vec()))
            .any(|line| String::from_utf8_lossy(&line).contains(text))
    }

    /// Executes what follows, under the same pid, in a mount namespace with these covers.
    fn prefix(&self, covers: &[(&str, &str)]) -> Vec<String> {
        if covers.is_empty() || self.who != Who::Root {
            return Vec::new();
        }
        let mounts: Vec<String> =
            covers.iter().map(|(name, target)| format!("mount --bind {} {target}", self.file(name))).collect();
        let script = format!("{} && exec \"$@\"", mounts.join(" && "));
        ["unshare", "--mount", "--propagation=private", "sh", "-c", &script, "sh"].map(str::to_owned).to_vec()
    }

    /// What the daemon has logged, and the proxy has seen.
    fn evidence(&self) -> String {
        let log = |name| {
            let text = fs::read_to_string(self.path(name)).unwrap_or_default();
            format!("--- {name} of the daemon\n{text}\n")
        };
        self.scope.evidence() + &log("log") + &log("run/log")
    }
}

/// A daemon that runs.
struct Life<'scope> {
    daemon: &'scope Daemon,
    place: Place<'scope>,
    running: Running,
    /// The pid that the proxy follows.
    pid: i32,
    /// How old the pid file was when the proxy had found the daemon.
    found_after: Duration,
}

impl<'scope> Life<'scope> {
    fn begin(daemon: &'scope Daemon, program: &Path, scope: &'scope Scope, who: Who) -> Self {
        let place = Place::new(scope, who);
        (daemon.configure)(&place, FIRST);
        let pid_file = (daemon.pid_file)(&place);
        let start = Proxy::new(scope)
            .prefix(place.prefix(daemon.covers))
            // Longer than any of them needs on a busy machine.
            .options(["-v", "-w", "20"])
            .options(daemon.options)
            .directory(&place.directory)
            .pid_file(daemon.pid_file_under_prefix.map_or(pid_file, PathBuf::from))
            .command([scope.reachable(program)])
            .command((daemon.arguments)(&place));
        let start = match who {
            Who::User if nix::unistd::geteuid().is_root() => start.user(who.ids().0, who.ids().1, &[]),
            Who::Switched => start.options(["-U", "nobody"]),
            _ => start,
        };
        let mut life = Self { daemon, place, running: start.spawn(), pid: 0, found_after: Duration::ZERO };
        life.expect_found(program);
        life
    }

    /// The proxy follows the pid in the file, and that is the daemon.
    fn expect_found(&mut self, program: &Path) {
        let launcher = self.expect_number("pidproxy: launched: ");
        self.pid = self.expect_number("pidproxy: following: ");
        // Cron's file names the launcher first.
        while self.daemon.daemonizes && self.pid == launcher {
            self.pid = self.expect_number("pidproxy: following: ");
        }
        let written = fs::metadata((self.daemon.pid_file)(&self.place)).and_then(|about| about.modified());
        let written = written.unwrap_or_else(|error| panic!("the pid file: {error}\n{}", self.evidence()));
        self.found_after = SystemTime::now().duration_since(written).unwrap_or_default();
        assert_eq!(self.named(), Some(self.pid), "the pid in the file\n{}", self.evidence());
        let program = program.canonicalize().expect("the program is there");
        let expected = (self.daemon.executes)(&program).canonicalize().expect("the daemon's program is there");
        let executed = fs::read_link(format!("/proc/{}/exe", self.pid));
        let executed = executed.unwrap_or_else(|error| panic!("the daemon: {error}\n{}", self.evidence()));
        assert_eq!(executed, expected, "{}", self.evidence());
        let proxy = self.running.pid();
        self.expect("adoption", |life| proc::parent(life.pid) == Some(proxy));
    }

    /// It serves as its configuration says this word.
    fn expect_service(&self, word: &str) {
        self.expect(&format!("service ({word})"), |life| (life.daemon.serves)(&life.place, word));
    }

    /// HUP has an effect, and whoever serves then is followed.
    fn reload(&mut self) {
        (self.daemon.configure)(&self.place, SECOND);
        if self.daemon.reloads_visibly {
            let serves = (self.daemon.serves)(&self.place, SECOND);
            assert!(!serves, "it reloads without being told to\n{}", self.evidence());
        }
        self.running.signal(libc::SIGHUP);
        self.expect_service(SECOND);
        self.expect("a living daemon in the pid file", |life| life.named().is_some_and(proc::lives));
        let pid = self.named().expect("a pid");
        if pid != self.pid {
            self.expect_following(pid);
        }
        assert!(!self.running.has_ended(), "{}", self.evidence());
    }

    /// The proxy follows this process from now on.
    fn expect_following(&mut self, pid: i32) {
        self.running.expect_line(|line| line == format!("pidproxy: following: {pid}"));
        self.pid = pid;
    }

    /// TERM stops it; its exit status is ours, and nothing is left.
    fn end(self) {
        self.running.signal(libc::SIGTERM);
        let finished = self.running.wait();
        let evidence = self.place.evidence();
        assert_eq!(finished.code(), Some(self.daemon.status), "our exit status\n{evidence}");
        assert!(!proc::lives(self.pid), "{}", self.place.evidence());
        let is_over = eventually(DEADLINE, || self.place.scope.left_over().is_empty().then_some(()));
        assert!(is_over.is_some(), "not all of it ended\n{}", self.place.evidence());
    }

    /// Waits for a line of the proxy that begins like this, and gives the number that follows.
    fn expect_number(&mut self, beginning: &str) -> i32 {
        let line = self.running.expect_line(|line| line.starts_with(beginning));
        line[beginning.len()..].parse().expect("a pid")
    }

    fn named(&self) -> Option<i32> {
        first_pid(&(self.daemon.pid_file)(&self.place))
    }

    fn expect(&self, what: &str, mut look: impl FnMut(&Self) -> bool) {
        let seen = eventually(DEADLINE, || look(self).then_some(()));
        assert!(seen.is_some(), "no {what} in time\n{}", self.evidence());
    }

    fn evidence(&self) -> String {
        self.place.evidence()
    }
}

/// The life of a daemon, as everybody it can be run by, as often as `DAEMON_RUNS` says.
fn follow(daemon: &Daemon) {
    as_everybody(daemon, |program, who| {
        // The longest pause between two looks into the pid file is an eighth of a second; a busy machine may make it
        // longer, but not three times in a row.
        let is_prompt = (0..3).any(|_| live(daemon, program, who) < Duration::from_secs(1));
        assert!(is_prompt, "{who:?}: the daemon is found late");
    });
}

/// Calls `live` with the daemon's program, once for everybody it can be run by, as often as `DAEMON_RUNS` says.
fn as_everybody(daemon: &Daemon, live: impl Fn(&Path, Who)) {
    let Some(program) = find(daemon.program) else {
        return skip(&needs::missing(daemon.program));
    };
    for &who in daemon.who {
        let needed = match who {
            Who::User => Ok(()),
            Who::Root if !daemon.covers.is_empty() => needs::root().and_then(|()| needs::unshare(&["--mount"])),
            Who::Root | Who::Switched => needs::root(),
        };
        if let Err(reason) = needed {
            skip(&format!("{who:?}: {reason}"));
            continue;
        }
        for _ in 0..runs() {
            live(&program, who);
        }
    }
}

/// One life. Gives how long the daemon stood in its pid file before it was found, at most.
fn live(daemon: &Daemon, program: &Path, who: Who) -> Duration {
    let scope = Scope::new();
    let mut life = Life::begin(daemon, program, &scope, who);
    life.expect_service(FIRST);
    life.reload();
    let found_after = life.found_after;
    life.end();
    found_after
}

/// The first pid in a pid file.
fn first_pid(pid_file: &Path) -> Option<i32> {
    let text = fs::read_to_string(pid_file).ok()?;
    text.split_whitespace().next()?.parse().ok()
}

fn runs() -> u32 {
    std::env::var("DAEMON_RUNS").map_or(1, |runs| runs.parse().expect("DAEMON_RUNS is a number"))
}

/// Where a daemon's program is, with whatever version behind its name (`php-fpm8.2`), `PostgreSQL`'s in its own directory.
fn find(name: &str) -> Option<PathBuf> {
    let entries = |directory: &Path| {
        let mut entries: Vec<PathBuf> =
            fs::read_dir(directory).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
        entries.sort();
        entries.into_iter().rev()
    };
    let is_versioned = |file: &PathBuf| {
        let name_and_version = file.file_name().unwrap_or_default().to_string_lossy();
        name_and_version
            .strip_prefix(name)
            .is_some_and(|version| version.starts_with(|first: char| first.is_ascii_digit()))
    };
    needs::find_program(name).or_else(|| entries(Path::new("/usr/sbin")).find(is_versioned)).or_else(|| {
        entries(Path::new("/usr/lib/postgresql"))
            .map(|version| version.join("bin").join(name))
            .find(|file| file.is_file())
    })
}

#[test]
fn example() {
    follow(&Daemon {
        program: concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/daemon.sh"),
        executes: |_| "/bin/sh".into(),
        arguments: |place| vec![place.file("pid"), place.file("greeting")],
        configure: |place, word| place.write("greeting", word),
        serves: |place, word| {
            let said = fs::read_to_string(place.scope.path("run1.stdout")).unwrap_or_default();
            said.lines().any(|line| line.ends_with(&format!(": {word}")))
        },
        ..Daemon::USUAL
    });
}

#[test]
fn nginx() {
    follow(&NGINX);
}

const NGINX: Daemon = Daemon {
    program: "nginx",
    arguments: |place| {
        let configuration = place.file("configuration");
        ["-e", &place.file("log"), "-c", &configuration].map(str::to_owned).to_vec()
    },
    configure: |place, word| {
        let directory = place.directory.display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {directory}/temporary;\n"))
            .concat();
        let text = format!(
            "{}
            pid {directory}/pid;
            error_log {directory}/log;
            events {{}}
            http {{
                access_log off;
                {temporary}
                server {{
                    listen 127.0.0.1:{};
                    location / {{ return 200 {word}; }}
                }}
            }}",
            place.for_root("user nobody nogroup;"),
            place.port,
        );
        place.write("configuration", &text);
    },
    ..Daemon::USUAL
};

#[test]
fn redis() {
    follow(&Daemon {
        program: "redis-server",
        arguments: |place| vec![place.file("configuration")],
        configure: |place, _| {
            let directory = place.directory.display();
            let text = format!(
                "daemonize yes\npidfile {directory}/pid\nlogfile {directory}/log\ndir {directory}\nsave \"\"\n\
                bind 127.0.0.1\nport {}\n",
                place.port
            );
            place.write("configuration", &text);
        },
        serves: |place, _| ask::talk(place.port, "PING\r\nQUIT\r\n").is_some_and(|answer| answer.starts_with("+PONG")),
        // It ignores HUP.
        reloads_visibly: false,
        ..Daemon::USUAL
    });
}

/// HUP: an old-fashioned haproxy logs its state; a master executes itself again.
const HAPROXY: Daemon = Daemon {
    program: "haproxy",
    arguments: |place| {
        let (configuration, pid_file) = (place.file("configuration"), place.file("pid"));
        ["-D", "-f", &configuration, "-p", &pid_file].map(str::to_owned).to_vec()
    },
    configure: |place, word| {
        let text = format!(
            "global\n log {} local0\n
            defaults\n mode http\n log global\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n
            frontend test\n bind 127.0.0.1:{}\n
            http-request return status 200 content-type text/plain string {word}\n",
            place.file("syslog"),
            place.port,
        );
        place.write("configuration", &text);
    },
    ..Daemon::USUAL
};

#[test]
fn haproxy() {
    follow(&Daemon {
        serves: |place, word| (HAPROXY.serves)(place, FIRST) && (word == FIRST || place.has_logged("SIGHUP received")),
        status: 128 + libc::SIGTERM,
        ..HAPROXY
    });
}

#[test]
fn haproxy_with_a_master() {
    follow(&Daemon {
        arguments: |place| {
            let mut arguments = (HAPROXY.arguments)(place);
            arguments.insert(0, "-W".into());
            arguments
        },
        // The worker may serve before the master has set its handlers up, of which that for CHLD is the last; a HUP that
        // comes before it is lost in haproxy.
        serves: |place, word| {
            let caught = first_pid(&place.path("pid")).and_then(|master| proc::status_field(master, "SigCgt"));
            (HAPROXY.serves)(place, word) && caught.is_some_and(|set| signals::in_set(&set).contains(&libc::SIGCHLD))
        },
        ..HAPROXY
    });
}

#[test]
fn memcached() {
    follow(&Daemon {
        program: "memcached",
        arguments: |place| {
            let (port, pid_file) = (place.port.to_string(), place.file("run/pid"));
            let mut arguments = vec!["-d", "-P", &pid_file, "-l", "127.0.0.1", "-p", &port];
            if place.who == Who::Root {
                arguments.extend(["-u", "nobody"]);
            }
            arguments.into_iter().map(str::to_owned).collect()
        },
        pid_file: |place| place.path("run/pid"),
        serves: |place, _| {
            ask::talk(place.port, "version\r\nquit\r\n").is_some_and(|answer| answer.starts_with("VERSION"))
        },
        // In the background it ignores HUP.
        reloads_visibly: false,
        ..Daemon::USUAL
    });
}

/// HUP: the logs are opened again.
#[test]
fn lighttpd() {
    follow(&Daemon {
        program: "lighttpd",
        configure: |place, word| {
            if word == FIRST {
                let directory = place.directory.display();
                let text = format!(
                    "server.document-root = \"{directory}\"\nserver.pid-file = \"{directory}/pid\"\n\
                    server.errorlog = \"{directory}/log\"\nserver.bind = \"127.0.0.1\"\nserver.port = {}\n",
                    place.port
                );
                place.write("configuration", &text);
            } else {
                fs::rename(place.path("log"), place.path("log.old")).expect("a log");
            }
        },
        serves: |place, _| {
            let body = ask::http(place.port, "/configuration");
            // Its exit status is 1 when TERM finds it with a connection.
            body.is_some_and(|body| body.contains("server.bind")) && place.path("log").exists() && becomes_idle(place)
        },
        ..Daemon::USUAL
    });
}

/// The connections of the daemon end: only the socket that it listens on is left.
fn becomes_idle(place: &Place) -> bool {
    let sockets = |pid| {
        let descriptors = proc::descriptors(pid);
        descriptors.iter().filter(|(_, what)| what.starts_with("socket:")).count()
    };
    let pid = first_pid(&place.path("pid"));
    pid.is_some_and(|pid| eventually(DEADLINE, || (sockets(pid) == 1).then_some(())).is_some())
}

/// The address that a name server knows by its configuration.
fn address(word: &str) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, if word == FIRST { 1 } else { 2 })
}

/// HUP: the hosts are read again.
#[test]
fn dnsmasq() {
    follow(&Daemon {
        program: "dnsmasq",
        arguments: |place| vec!["-C".into(), place.file("configuration")],
        configure: |place, word| {
            let directory = place.directory.display();
            let text = format!(
                "port={}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\naddn-hosts={directory}/hosts\n\
                pid-file={directory}/pid\n{}\n",
                place.port,
                place.for_root("user=nobody\ngroup=nogroup")
            );
            place.write("configuration", &text);
            place.write("hosts", &format!("{} name.test\n", address(word)));
        },
        serves: |place, word| ask::name_server_knows(place.port, address(word)),
        ..Daemon::USUAL
    });
}

#[test]
fn unbound() {
    follow(&Daemon {
        program: "unbound",
        arguments: |place| vec!["-c".into(), place.file("configuration")],
        configure: |place, word| {
            let directory = place.directory.display();
            let text = format!(
                "server:\n interface: 127.0.0.1@{}\n directory: {directory}\n pidfile: {directory}/pid\n chroot: \"\"\n\
                username: \"{}\"\n use-syslog: no\n logfile: \"\"\n module-config: iterator\n\
                local-data: \"name.test. A {}\"\n",
                place.port,
                place.for_root("nobody"),
                address(word)
            );
            place.write("configuration", &text);
        },
        serves: |place, word| ask::name_server_knows(place.port, address(word)),
        ..Daemon::USUAL
    });
}

/// HUP: it executes itself again, and goes into the background again.
#[test]
fn sshd() {
    follow(&Daemon {
        program: "sshd",
        configure: |place, word| {
            let directory = place.directory.display();
            let text = format!(
                "ListenAddress 127.0.0.1\nPort {}\nHostKey {directory}/key\nPidFile {directory}/pid\nVersionAddendum {word}\n",
                place.port
            );
            place.write("configuration", &text);
            if word == FIRST {
                let key = place.path("key");
                let make = Proxy::absent(place.scope).command(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f"]);
                make.command([&key]).run().expect_code(0);
                let (uid, gid) = place.who.ids();
                chown(&key, Some(uid), Some(gid)).expect("chown of our own file");
                fs::create_dir_all(place.path("run/sshd")).expect("a directory in our own");
            }
        },
        serves: |place, word| ask::talk(place.port, "\r\n").is_some_and(|banner| banner.contains(word)),
        // Root's wants an empty /run/sshd, which the system's start of it makes.
        covers: &[("run", "/run")],
        ..Daemon::USUAL
    });
}

#[test]
fn apache() {
    follow(&APACHE);
}

const APACHE: Daemon = Daemon {
    program: "apache2",
    arguments: |place| {
        let (directory, configuration) = (place.file(""), place.file("configuration"));
        ["-k", "start", "-d", &directory, "-f", &configuration].map(str::to_owned).to_vec()
    },
    configure: |place, word| {
        let directory = place.directory.display();
        let text = format!(
            "LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
                LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
                {}
                DefaultRuntimeDir {directory}\nPidFile {directory}/pid\nErrorLog {directory}/log
                ServerName localhost\nListen 127.0.0.1:{}\nDocumentRoot {directory}
                StartServers 1\nThreadsPerChild 4\nMinSpareThreads 1\nMaxSpareThreads 8\nMaxRequestWorkers 8
                ErrorDocument 404 {word}\n",
            place.for_root("User nobody\nGroup nogroup"),
            place.port,
        );
        place.write("configuration", &text);
    },
    serves: |place, word| ask::http(place.port, "/nothing").is_some_and(|body| body.contains(word)),
    ..Daemon::USUAL
};

#[test]
fn mosquitto() {
    follow(&Daemon {
        program: "mosquitto",
        pid_file: |place| place.path("run/pid"),
        arguments: |place| vec!["-d".into(), "-c".into(), place.file("configuration")],
        configure: |place, word| {
            let text = format!(
                "listener {} 127.0.0.1\npid_file {}\nlog_dest none\npersistence false\nallow_anonymous {}\n{}\n",
                place.port,
                place.file("run/pid"),
                word == SECOND,
                place.for_root("user nobody")
            );
            place.write("configuration", &text);
        },
        serves: |place, word| ask::mqtt(place.port) == Some(if word == SECOND { 0 } else { 5 }),
        ..Daemon::USUAL
    });
}

/// HUP: the logs are opened again.
#[test]
fn rsyslogd() {
    follow(&Daemon {
        program: "rsyslogd",
        arguments: |place| {
            let (configuration, pid_file) = (place.file("configuration"), place.file("pid"));
            ["-f", &configuration, "-i", &pid_file].map(str::to_owned).to_vec()
        },
        configure: |place, word| {
            if word == FIRST {
                let text = format!(
                    "module(load=\"imudp\")\ninput(type=\"imudp\" address=\"127.0.0.1\" port=\"{}\")\n\
                    action(type=\"omfile\" file=\"{}\")\n",
                    place.port,
                    place.file("log")
                );
                place.write("configuration", &text);
            } else {
                fs::rename(place.path("log"), place.path("log.old")).expect("a log");
            }
        },
        serves: |place, word| {
            ask::tell(place.port, &format!("<13>test: {word}"));
            fs::read_to_string(place.path("log")).is_ok_and(|log| log.contains(word))
        },
        ..Daemon::USUAL
    });
}

/// HUP: the log is opened again. Its pid file, which first names the launcher, has a place that can not be chosen.
#[test]
fn cron() {
    follow(&Daemon {
        program: "cron",
        arguments: |_| Vec::new(),
        pid_file: |place| place.path("run/crond.pid"),
        pid_file_under_prefix: Some("/run/crond.pid"),
        configure: |place, _| {
            for name in ["jobs", "users"] {
                fs::create_dir_all(place.path(name)).expect("a directory in our own");
            }
            place.write("jobs/job", &format!("@reboot root echo done >{}\n", place.file("result")));
            place.write(
                "rules",
                "auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_permit.so\n",
            );
        },
        serves: |place, _| place.path("result").exists(),
        reloads_visibly: false,
        covers: &[("run", "/run"), ("jobs", "/etc/cron.d"), ("users", "/var/spool/cron"), ("rules", "/etc/pam.d/cron")],
        status: 128 + libc::SIGTERM,
        who: &[Who::Root],
        ..Daemon::USUAL
    });
}

/// Its manual gives the reload to USR2; HUP would kill it.
#[test]
fn php_fpm() {
    follow(&Daemon {
        program: "php-fpm",
        arguments: |place| ["-n", "-D", "-y", &place.file("configuration")].map(str::to_owned).to_vec(),
        options: &["-r", "HUP=USR2"],
        configure: |place, word| {
            let directory = place.directory.display();
            let text = format!(
                "[global]\npid = {directory}/pid\nerror_log = {directory}/log\n[pool]\nlisten = 127.0.0.1:{}\n{}\n\
                pm = static\npm.max_children = 1\nping.path = /ping\nping.response = {word}\n",
                place.port,
                place.for_root("user = nobody\ngroup = nogroup")
            );
            place.write("configuration", &text);
        },
        serves: |place, word| ask::fastcgi(place.port, "/ping").is_some_and(|answer| answer.contains(word)),
        ..Daemon::USUAL
    });
}

#[test]
fn tinyproxy() {
    follow(&Daemon {
        program: "tinyproxy",
        arguments: |place| vec!["-c".into(), place.file("configuration")],
        configure: |place, word| {
            let directory = place.directory.display();
            // Everybody is denied, and told so in a page of ours.
            let text = format!(
                "{}\nListen 127.0.0.1\nPort {}\nPidFile \"{directory}/pid\"\nLogFile \"{directory}/run/log\"\n\
                MaxClients 10\nDeny 127.0.0.1\nDefaultErrorFile \"{directory}/{word}\"\n",
                place.for_root("User nobody\nGroup nogroup"),
                place.port,
            );
            place.write("configuration", &text);
            place.write(word, word);
        },
        serves: |place, word| {
            // It crashes when it is asked while it reads its configuration, and does not notice a signal that comes between
            // the look at its flags and its sleep. So it is asked afterwards, and told when it sleeps.
            let log = fs::read_to_string(place.path("run/log")).unwrap_or_default();
            let readings = log.matches("Reloading config file finished").count();
            readings == if word == FIRST { 1 } else { 2 }
                && (Daemon::USUAL.serves)(place, word)
                && first_pid(&place.path("pid")).is_some_and(|pid| {
                    let is_alone = proc::status_field(pid, "Threads").as_deref() == Some("1");
                    is_alone && proc::state(pid) == Some('S')
                })
        },
        ..Daemon::USUAL
    });
}

/// The server itself stays in the foreground; `pg_ctl` puts it in the background, and waits until it serves.
const POSTGRES: Daemon = Daemon {
    program: "pg_ctl",
    executes: |program| program.with_file_name("postgres"),
    arguments: |place| {
        let (data, log) = (place.file("data"), place.file("log"));
        ["start", "-D", &data, "-l", &log].map(str::to_owned).to_vec()
    },
    pid_file: |place| place.path("data/postmaster.pid"),
    configure: |place, word| {
        if word == FIRST {
            let initdb = find("initdb").expect("initdb comes with pg_ctl");
            let mut make = Proxy::absent(place.scope)
                .directory(&place.directory)
                .command([initdb])
                .command(["--no-sync", "--no-instructions", "-A", "trust", "-U", "proxy", "--locale=C", "-D"])
                .command([place.path("data")]);
            if nix::unistd::geteuid().is_root() {
                make = make.user(place.who.ids().0, place.who.ids().1, &[]);
            }
            make.spawn().wait_within(3 * DEADLINE).expect_code(0);
        }
        let text = format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = ''\nIntervalStyle = '{}'\n",
            place.port,
            style(word)
        );
        place.write("data/postgresql.auto.conf", &text);
    },
    serves: |place, word| {
        let setting = format!("IntervalStyle\0{}\0", style(word));
        ask::postgres(place.port, "proxy").is_some_and(|answer| answer.contains(&setting))
    },
    // It refuses to be root.
    who: &[Who::User, Who::Switched],
    ..Daemon::USUAL
};

fn style(word: &str) -> &'static str {
    if word == FIRST { "postgres" } else { "iso_8601" }
}

#[test]
fn postgres_by_pg_ctl() {
    follow(&POSTGRES);
}

#[test]
fn postgres_in_the_foreground() {
    follow(&Daemon {
        program: "postgres",
        arguments: |place| vec!["-D".into(), place.file("data")],
        daemonizes: false,
        ..POSTGRES
    });
}

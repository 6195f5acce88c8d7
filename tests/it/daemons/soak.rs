//! A daemon that dies again and again, at any moment, and is launched again each time (`-R`): nothing gathers, and
//! nothing that it has said is lost.
//!
//! It dies 20 times as often as `DAEMON_RUNS` says. `SOAK_SEED` makes its lives as long as they were in another run,
//! which has shown its seed.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::{Place, Who, ask, find, first_pid, runs};
use crate::harness::needs::{self, skip};
use crate::harness::{DEADLINE, Proxy, Running, Scope, eventually, followed, numbers_behind, proc, signals};

/// The longest that a life lasts: redis serves after some ten milliseconds.
const LIFE_MOST: u64 = 60;

/// Every so many lives somebody renames the log.
const LIVES_OF_A_LOG: usize = 7;

/// Numbers as random as it takes (xorshift).
struct Random(u64);

impl Random {
    fn new() -> Self {
        let now = || SystemTime::UNIX_EPOCH.elapsed().map_or(1, |now| u64::from(now.subsec_nanos()) | 1);
        let seed = std::env::var("SOAK_SEED").map_or_else(|_| now(), |seed| seed.parse().expect("SOAK_SEED: a number"));
        println!("SOAK_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

/// redis in the background, with a pid file, or in the foreground, where it logs to its standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Daemon,
    Program,
}

struct Soak<'scope> {
    place: Place<'scope>,
    running: Running,
    form: Form,
    /// What the log was renamed to.
    logs: Vec<PathBuf>,
    /// The pids of the lives that were followed.
    lives: Vec<i32>,
}

impl<'scope> Soak<'scope> {
    fn start(scope: &'scope Scope, form: Form, pause: &str) -> Self {
        let who = if needs::root().is_ok() { Who::Root } else { Who::User };
        let place = Place::new(scope, who);
        let directory = place.directory.display();
        let surroundings = match form {
            Form::Daemon => format!("daemonize yes\npidfile {directory}/pid\nlogfile {directory}/redis.log\n"),
            Form::Program => "logfile \"\"\n".to_owned(),
        };
        let text = format!("{surroundings}dir {directory}\nsave \"\"\nbind 127.0.0.1\nport {}\n", place.port);
        place.write("configuration", &text);
        let program = find("redis-server").expect("it was looked for");
        let pid_file = if form == Form::Daemon { place.path("pid") } else { "-".into() };
        let running = Proxy::new(scope)
            .prefix(["sh", "-c", r#"file=$1; shift; exec "$@" 3>"$file""#, "sh"])
            .prefix([place.path("ready")])
            .options(["-v", "-w", "20", "-R", pause, "-k", "5", "-d", "3", "-l"])
            .options([place.path("log")])
            .directory(&place.directory)
            .pid_file(pid_file)
            .command(["sh", "-c", r#"echo "launch $$"; exec "$@""#, "sh"])
            .command([program, place.path("configuration")])
            .spawn();
        Self { place, running, form, logs: Vec::new(), lives: Vec::new() }
    }

    /// Waits for the next life.
    fn expect_life(&mut self) -> i32 {
        let line = self.running.expect_line(|line| line.starts_with("pidproxy: following: "));
        let pid = line.rsplit(' ').next().and_then(|pid| pid.parse().ok()).expect("a pid");
        self.lives.push(pid);
        pid
    }

    /// So many lives are cut short.
    fn kill(&mut self, count: u32, random: &mut Random) {
        for _ in 0..count {
            let pid = self.expect_life();
            std::thread::sleep(Duration::from_millis(random.below(LIFE_MOST)));
            if self.lives.len().is_multiple_of(LIVES_OF_A_LOG) {
                let name = self.place.path(&format!("log.{}", self.logs.len()));
                fs::rename(self.place.path("log"), &name).expect("a log");
                self.logs.push(name);
            }
            signals::send(pid, libc::SIGKILL).unwrap_or_else(|error| panic!("{pid}: {error}\n{}", self.evidence()));
            self.running.expect_line(|line| line == "pidproxy: ended: 137");
        }
    }

    /// What the proxy has open once it serves, its children, which are one, and its memory.
    fn state(&mut self) -> (Vec<(i32, String)>, u64) {
        let pid = self.expect_life();
        self.expect_service();
        let proxy = self.running.pid();
        let is_alone = || (proc::children(proxy) == [pid]).then_some(());
        assert!(eventually(DEADLINE, is_alone).is_some(), "{}", self.evidence());
        followed::settle(proxy);
        let kind = |what: String| what.split('[').next().unwrap_or_default().to_owned();
        let files = proc::descriptors(proxy).into_iter().map(|(number, what)| (number, kind(what))).collect();
        let memory = if needs::native().is_ok() { self.running.rss_kib() } else { 0 };
        signals::send(pid, libc::SIGKILL).expect("it lives");
        self.running.expect_line(|line| line == "pidproxy: ended: 137");
        (files, memory)
    }

    fn expect_service(&self) {
        let serves = || {
            ask::talk(self.place.port, "PING\r\nQUIT\r\n")
                .is_some_and(|answer| answer.starts_with("+PONG"))
                .then_some(())
        };
        assert!(eventually(DEADLINE, serves).is_some(), "no service\n{}", self.evidence());
    }

    /// TERM ends it all, in the time that -k gives, with redis's own status.
    fn end(mut self, kills: usize) {
        self.expect_life();
        self.expect_service();
        self.running.signal(libc::SIGTERM);
        let evidence = self.evidence();
        let scope = self.place.scope;
        let finished = self.running.wait();
        assert_eq!(finished.code(), Some(0), "{evidence}");
        let is_over = eventually(DEADLINE, || scope.left_over().is_empty().then_some(()));
        assert!(is_over.is_some(), "{}", scope.evidence());
        // Each was launched once, and died once.
        let launched = numbers_behind(&finished.stderr, "pidproxy: launched: ");
        assert_eq!((launched.len(), self.lives.len()), (kills + 1, kills + 1), "{evidence}");
        let died = numbers_behind(&finished.stderr, "pidproxy: ended: ").into_iter().filter(|status| *status == 137);
        assert_eq!(died.count(), kills, "{evidence}");
        let is_note = |line: &str| line.rsplit_once(": ").is_some_and(|(_, number)| number.parse::<i32>().is_ok());
        assert!(finished.stderr.lines().all(is_note), "{}", finished.stderr);
        assert_eq!(fs::read_to_string(self.place.path("ready")).expect("a file"), "\n");
        // Each has said so in the log of its time, and of those in the foreground each that had begun said what it did.
        self.logs.push(self.place.path("log"));
        let logs: Vec<String> = self.logs.iter().map(|log| fs::read_to_string(log).expect("a log")).collect();
        assert!(logs.len() == 1 + kills / LIVES_OF_A_LOG || kills < LIVES_OF_A_LOG, "{} logs", logs.len());
        let log = logs.concat();
        let told = numbers_behind(&log, "launch ");
        match self.form {
            Form::Daemon => assert_eq!(told, launched),
            Form::Program => {
                // A shell that was killed at once has said nothing.
                let is_killed_at_once = |pid: &&i32| !told.contains(pid);
                let silent = launched.iter().filter(is_killed_at_once).count();
                let said: Vec<i32> = launched.iter().copied().filter(|pid| told.contains(pid)).collect();
                assert_eq!(told, said);
                assert!(silent < launched.len() / 2, "{silent} of {} were silent", launched.len());
                let ready = log.lines().filter(|line| line.contains("Ready to accept connections")).count();
                assert!(ready >= launched.len() / 8, "{ready} of {} were ready", launched.len());
                let last = launched.last().expect("it was launched");
                assert!(log.lines().last().is_some_and(|line| line.starts_with(&format!("{last}:"))), "{log}");
                assert!(
                    log.lines().any(|line| line.starts_with(&format!("{last}:")) && line.contains("bye bye")),
                    "{log}"
                );
            }
        }
        assert_eq!(first_pid(&self.place.path("pid")), None, "redis removes it");
    }

    fn evidence(&self) -> String {
        self.place.evidence()
    }
}

fn soak(form: Form) {
    if let Err(reason) = needs::program("redis-server") {
        return skip(&reason);
    }
    let mut random = Random::new();
    let kills = 20 * runs();
    let scope = Scope::new();
    let mut soak = Soak::start(&scope, form, "0");
    soak.kill(2, &mut random);
    let early = soak.state();
    soak.kill(kills - 4, &mut random);
    let late = soak.state();
    assert_eq!(early, late, "{form:?}");
    soak.end(usize::try_from(kills).expect("some kills"));
}

#[test]
fn redis_as_a_daemon() {
    soak(Form::Daemon);
}

#[test]
fn redis_as_a_program() {
    soak(Form::Program);
}

/// With a pause, of which nothing is seen but its length.
#[test]
fn redis_with_a_pause() {
    if let Err(reason) = needs::program("redis-server") {
        return skip(&reason);
    }
    let mut random = Random::new();
    let kills = runs().min(8) + 2;
    let scope = Scope::new();
    let mut soak = Soak::start(&scope, Form::Daemon, "1");
    let start = std::time::Instant::now();
    soak.kill(kills, &mut random);
    let pauses = Duration::from_secs(u64::from(kills) - 1);
    assert!(start.elapsed() >= pauses, "{:?} in {:?}", kills, start.elapsed());
    soak.end(usize::try_from(kills).expect("some kills"));
}

//! The specimen's reports, as the test sees them.

use std::fmt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::DEADLINE;
use super::scope::Evidence;

/// No report is longer: the kernel does not send longer datagrams by default.
const LONGEST_REPORT: usize = 256 * 1024;

/// One report: `NAME KIND key=value ...`; the specimen's `report.rs` says how values are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// Whose: `launcher`, `daemon`, `program`, `facts`, `replacement`, `child1`..., or as `--name=` says.
    pub(crate) name: String,
    /// Of what: `started`, `wrote`, `ready`, `signal`, `totals`, `facts`, `here`...
    pub(crate) kind: String,
    fields: Vec<(String, String)>,
}

impl Report {
    /// Reads a line, as those on standard output with `SPECIMEN_REPORT=stdout`.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (name, kind) = (words.next()?.to_owned(), words.next()?.to_owned());
        let field = |word: &str| word.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        Some(Self { name, kind, fields: words.map(field).collect::<Option<_>>()? })
    }

    /// A value, decoded; `None` when the report has no such field (a variable that is not set, say).
    pub(crate) fn get(&self, key: &str) -> Option<String> {
        self.raw(key).map(decode)
    }

    /// A value that must be there.
    pub(crate) fn text(&self, key: &str) -> String {
        self.get(key).unwrap_or_else(|| panic!("no {key} in the report: {self}"))
    }

    /// A number that must be there.
    pub(crate) fn number(&self, key: &str) -> i64 {
        self.text(key).parse().unwrap_or_else(|_| panic!("{key} is not a number in the report: {self}"))
    }

    /// The payload of a signal, all 64 bits of it.
    pub(crate) fn value(&self) -> u64 {
        self.text("value").parse().unwrap_or_else(|_| panic!("no payload in the report: {self}"))
    }

    /// The reporter's pid, or of a `signal` the sender's.
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.number("pid")).expect("a pid")
    }

    /// A list that must be there, as `argv`.
    pub(crate) fn list(&self, key: &str) -> Vec<String> {
        match self.raw(key) {
            None => panic!("no {key} in the report: {self}"),
            Some("") => Vec::new(),
            Some(value) => value.split(',').map(decode).collect(),
        }
    }

    /// A list of numbers and ranges, as `groups`, `descriptors`.
    pub(crate) fn numbers(&self, key: &str) -> Vec<u32> {
        let number = |text: &str| text.parse::<u32>().unwrap_or_else(|_| panic!("no numbers in {key}: {self}"));
        self.list(key)
            .iter()
            .flat_map(|element| match element.split_once('-') {
                Some((first, last)) => number(first)..=number(last),
                None => number(element)..=number(element),
            })
            .collect()
    }

    fn raw(&self, key: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.name, self.kind)?;
        self.fields.iter().try_for_each(|(key, value)| write!(formatter, " {key}={value}"))
    }
}

fn decode(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().unwrap_or(b'?'), rest.next().unwrap_or(b'?')];
            let text = std::str::from_utf8(&digits).expect("two hexadecimal digits");
            bytes.push(u8::from_str_radix(text, 16).expect("two hexadecimal digits"));
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// All reports of one scope. A report is *taken* once; what one call does not want stays for the next.
pub(crate) struct Reports {
    received: Arc<Received>,
    socket: UnixDatagram,
    path: PathBuf,
    thread: Option<JoinHandle<()>>,
    evidence: Evidence,
}

/// What we send ourselves: when it is received, so is all that was sent before.
const MARK: &[u8] = b"\0";

#[derive(Default)]
struct Received {
    log: Mutex<Vec<(Report, bool)>>,
    changed: Condvar,
    /// Somebody waits for the mark.
    awaits_mark: Mutex<bool>,
    mark_came: Condvar,
}

impl Reports {
    /// Receives at this path. A thread does, all the time: a full queue would block the specimen.
    pub(super) fn at(path: &Path, evidence: Evidence) -> Self {
        let socket = UnixDatagram::bind(path).expect("a socket for the reports (is the path of TMPDIR long?)");
        let received = Arc::new(Received::default());
        let thread = std::thread::spawn({
            let socket = socket.try_clone().expect("a second descriptor of the socket");
            let received = Arc::clone(&received);
            move || receive(&socket, &received)
        });
        Self { received, socket, path: path.to_owned(), thread: Some(thread), evidence }
    }

    /// Takes the oldest report.
    pub(crate) fn next(&self) -> Report {
        self.next_within(DEADLINE)
    }

    /// Takes the oldest report; panics after this time.
    pub(crate) fn next_within(&self, deadline: Duration) -> Report {
        self.take(deadline, |_| true).unwrap_or_else(|| self.missed("any report"))
    }

    /// Takes the oldest report of this kind from this name, whatever others there are.
    pub(crate) fn expect(&self, name: &str, kind: &str) -> Report {
        self.expect_within(DEADLINE, name, kind)
    }

    /// The same; panics after this time.
    pub(crate) fn expect_within(&self, deadline: Duration, name: &str, kind: &str) -> Report {
        self.take(deadline, |report| report.name == name && report.kind == kind)
            .unwrap_or_else(|| self.missed(&format!("the report {name:?} {kind:?}")))
    }

    /// Takes so many reports of signals from this name, in their order.
    pub(crate) fn expect_signals(&self, name: &str, count: usize) -> Vec<Report> {
        (0..count).map(|_| self.expect(name, "signal")).collect()
    }

    /// Takes the oldest report that fits, or returns `None` when there is none in this time (zero: none yet).
    pub(crate) fn take(&self, deadline: Duration, fits: impl Fn(&Report) -> bool) -> Option<Report> {
        let end = Instant::now() + deadline;
        let mut log = self.log();
        // Reports are only appended, and those already seen do not fit: each is looked at once.
        let mut seen = 0;
        loop {
            for (report, taken) in log.iter_mut().skip(seen) {
                if !*taken && fits(report) {
                    *taken = true;
                    return Some(report.clone());
                }
            }
            seen = log.len();
            let left = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            log = self.received.changed.wait_timeout(log, left).unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    /// Everything sent so far, taken or not.
    pub(crate) fn all(&self) -> Vec<Report> {
        self.catch_up();
        self.log().iter().map(|(report, _)| report.clone()).collect()
    }

    /// Waits until all is in the log that was sent before.
    fn catch_up(&self) {
        let mut awaits_mark = self.received.awaits_mark.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *awaits_mark = self.socket.send_to(MARK, &self.path).is_ok();
        while *awaits_mark {
            awaits_mark = self.received.mark_came.wait(awaits_mark).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }

    /// What was received so far of this kind from this name, taken or not. To show that something did *not* come, first
    /// let its would-be receiver answer the control command `here`: what reached it before is reported before.
    pub(crate) fn all_of(&self, name: &str, kind: &str) -> Vec<Report> {
        self.all().into_iter().filter(|report| report.name == name && report.kind == kind).collect()
    }

    fn log(&self) -> MutexGuard<'_, Vec<(Report, bool)>> {
        self.received.log.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn missed(&self, what: &str) -> ! {
        panic!("{what} did not come in time\n{}", self.evidence.show_with(&self.all()))
    }
}

impl Drop for Reports {
    fn drop(&mut self) {
        // Makes the thread's receive return 0.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn receive(socket: &UnixDatagram, received: &Received) {
    let mut buffer = vec![0; LONGEST_REPORT];
    while let Ok(length @ 1..) = socket.recv(&mut buffer) {
        if &buffer[..length] == MARK {
            *received.awaits_mark.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = false;
            received.mark_came.notify_all();
            continue;
        }
        let line = String::from_utf8_lossy(&buffer[..length]).into_owned();
        // A report that cannot be read is kept as one that nobody expects, to be seen in the evidence.
        let report = Report::parse(&line).unwrap_or_else(|| Report {
            name: "unreadable".to_owned(),
            kind: line,
            fields: Vec::new(),
        });
        received.log.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((report, false));
        received.changed.notify_all();
    }
}

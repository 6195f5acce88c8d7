//! The frame of one test: its directory, its reports, its processes.

use std::fmt::Write as _;
use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tempfile::TempDir;

use super::{Report, Reports, eventually, proc};

/// The environment variable that marks the processes of a scope.
pub(super) const MARK: &str = "PIDPROXY_TEST";

/// Killing what is left takes no longer than this, unless something hangs in the kernel.
const KILLING: Duration = Duration::from_secs(10);

/// The frame of one test. When it is dropped, every process that was started in it is killed, however it has escaped,
/// and its directory is removed.
pub(crate) struct Scope {
    directory: TempDir,
    mark: Mark,
    reports: Reports,
    runs: AtomicU64,
}

impl Scope {
    pub(crate) fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("pidproxy-").tempdir().expect("a temporary directory");
        // Other users must reach what is in it; only its owner may add to it.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).expect("chmod of our own directory");
        let mark = Mark::new();
        let evidence = Evidence { directory: directory.path().to_owned(), mark: mark.clone() };
        let socket = directory.path().join("reports");
        let reports = Reports::at(&socket, evidence);
        fs::set_permissions(&socket, Permissions::from_mode(0o777)).expect("chmod of our own socket");
        Self { directory, mark, reports, runs: AtomicU64::new(0) }
    }

    /// A path in the private directory, which belongs to the user of the test run, mode 0755.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A new directory in the private one, owned by this user and group, for a daemon that runs as them.
    pub(crate) fn directory_for(&self, name: &str, uid: u32, gid: u32) -> PathBuf {
        let path = self.path(name);
        fs::create_dir(&path).expect("a new directory");
        chown(&path, Some(uid), Some(gid)).expect("chown of our own directory");
        path
    }

    /// A new executable script. Another process writes it: a descriptor of ours, open for writing, could be inherited by
    /// a fork in another test's thread, and `execve` would then fail with ETXTBSY.
    pub(crate) fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        let mut shell = Command::new("sh")
            .args(["-c", "cat >\"$0\" && chmod 755 \"$0\""])
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn()
            .expect("sh runs");
        shell.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("sh reads");
        assert!(shell.wait().expect("sh ends").success(), "cannot write {}", path.display());
        path
    }

    /// The specimen, at a path that every user can reach.
    pub(crate) fn specimen(&self) -> PathBuf {
        self.reachable(Path::new(env!("CARGO_BIN_EXE_specimen")))
    }

    /// The file itself, if every user can reach it, else a copy of it in the private directory (which another process
    /// makes, for the reason given at [`Scope::script`]).
    pub(crate) fn reachable(&self, file: &Path) -> PathBuf {
        let open = |directory: &Path| fs::metadata(directory).is_ok_and(|about| about.permissions().mode() & 0o1 != 0);
        if file.ancestors().all(open) {
            return file.to_owned();
        }
        let copy = self.path(&file.file_name().expect("a file has a name").to_string_lossy());
        if !copy.exists() {
            let run = Command::new("cp").arg("-p").arg(file).arg(&copy).status().expect("cp runs");
            assert!(run.success(), "cannot copy {}", file.display());
        }
        copy
    }

    /// A new FIFO for the specimen's `--control=`.
    pub(crate) fn control(&self, name: &str) -> Control {
        let path = self.path(name);
        mkfifo(&path, Mode::from_bits_truncate(0o666)).expect("a new FIFO");
        fs::set_permissions(&path, Permissions::from_mode(0o666)).expect("chmod of our own FIFO");
        // Open for reading too: so the opening does not wait for the specimen, and what is sent before it comes is kept.
        let file = File::options().read(true).write(true).open(&path).expect("our own FIFO");
        Control { path, file }
    }

    /// What the specimen reports.
    pub(crate) fn reports(&self) -> &Reports {
        &self.reports
    }

    /// The living processes (no zombies) that were started in this scope, wherever they are now.
    pub(crate) fn left_over(&self) -> Vec<i32> {
        self.mark.bearers()
    }

    /// The reports, what the processes wrote, and those that live: for the message of a failed assertion.
    pub(crate) fn evidence(&self) -> String {
        self.evidence_taker().show_with(&self.reports.all())
    }

    pub(super) fn evidence_taker(&self) -> Evidence {
        Evidence { directory: self.directory.path().to_owned(), mark: self.mark.clone() }
    }

    pub(super) fn mark(&self) -> &Mark {
        &self.mark
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.path("reports")
    }

    /// Two files for the output of one more run.
    pub(super) fn output_files(&self) -> (PathBuf, PathBuf) {
        let run = self.runs.fetch_add(1, Ordering::Relaxed) + 1;
        (self.path(&format!("run{run}.stdout")), self.path(&format!("run{run}.stderr")))
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        let all_dead = eventually(KILLING, || {
            let bearers = self.mark.bearers();
            for &pid in &bearers {
                self.mark.kill(pid);
            }
            bearers.is_empty().then_some(())
        });
        if all_dead.is_none() {
            // No panic: it might be the second one, and that would end all tests.
            let _ = writeln!(std::io::stderr(), "processes that cannot be killed: {:?}", self.mark.bearers());
        }
    }
}

/// The control FIFO of one specimen.
pub(crate) struct Control {
    path: PathBuf,
    file: File,
}

impl Control {
    /// The option for the specimen: `--control=FIFO`.
    pub(crate) fn option(&self) -> String {
        format!("--control={}", self.path.display())
    }

    /// The option for a launcher that stays: `--launcher-control=FIFO`.
    pub(crate) fn launcher_option(&self) -> String {
        format!("--launcher-control={}", self.path.display())
    }

    /// Sends a command, as `exit 3`; the specimen's `serve.rs` lists them. Does not wait.
    pub(crate) fn send(&self, command: &str) {
        (&self.file).write_all(format!("{command}\n").as_bytes()).expect("the FIFO takes a line");
    }
}

/// What tells the processes of a scope from all others. Two marks, both inherited: a variable in the environment, and a
/// resource limit of a unique size, for there are daemons that clean their environment or write their titles over it.
/// The limit, of the processor time between two sleeps of a real-time process, is far too high (18,000 years) to matter.
#[derive(Clone)]
pub(super) struct Mark {
    pub(super) name: String,
    pub(super) limit: u64,
}

impl Mark {
    fn new() -> Self {
        static SCOPES: AtomicU64 = AtomicU64::new(0);
        let process = u64::from(std::process::id());
        let scope = SCOPES.fetch_add(1, Ordering::Relaxed);
        // 2^59 microseconds and more; pids have 22 bits.
        Self { name: format!("{process}-{scope}"), limit: 1 << 59 | process << 32 | scope }
    }

    fn bearers(&self) -> Vec<i32> {
        proc::all().into_iter().filter(|&pid| self.is_on(pid) && proc::lives(pid)).collect()
    }

    fn is_on(&self, pid: i32) -> bool {
        let variable = format!("{MARK}={}", self.name);
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
        let limit = self.limit.to_string();
        environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
            || limits.lines().any(|line| {
                line.strip_prefix("Max realtime timeout")
                    .is_some_and(|rest| rest.split_whitespace().any(|n| n == limit))
            })
    }

    /// Kills the process, if it still is the marked one.
    fn kill(&self, pid: i32) {
        // SAFETY: touches no memory.
        let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let descriptor = i32::try_from(result).unwrap_or(-1);
        // The pid may have been given to a stranger since: with the pidfd open, another look makes sure. Without pidfds
        // (an old kernel, a filter) the moment in between stays.
        if self.is_on(pid) {
            if descriptor >= 0 {
                let nothing: *const libc::siginfo_t = std::ptr::null();
                // SAFETY: a null pointer stands for the usual `siginfo_t`.
                unsafe { libc::syscall(libc::SYS_pidfd_send_signal, descriptor, libc::SIGKILL, nothing, 0) };
            } else {
                let _ = super::signals::send(pid, libc::SIGKILL);
            }
        }
        if descriptor >= 0 {
            // SAFETY: the descriptor is ours, and nobody uses it after this.
            unsafe { libc::close(descriptor) };
        }
    }
}

/// Shows what a failed test needs to be understood.
#[derive(Clone)]
pub(super) struct Evidence {
    directory: PathBuf,
    mark: Mark,
}

impl Evidence {
    pub(super) fn show_with(&self, reports: &[Report]) -> String {
        let mut text = String::from("--- reports\n");
        // A flood of them would hide the rest.
        let skipped = reports.len().saturating_sub(200);
        if skipped > 0 {
            let _ = writeln!(text, "({skipped} earlier ones)");
        }
        for report in reports.iter().skip(skipped) {
            let _ = writeln!(text, "{report}");
        }
        text + &self.show()
    }

    pub(super) fn show(&self) -> String {
        let mut text = String::new();
        let mut files: Vec<PathBuf> =
            fs::read_dir(&self.directory).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.sort();
        for file in files {
            if file.extension().is_some_and(|extension| extension == "stdout" || extension == "stderr") {
                let contents = fs::read(&file).unwrap_or_default();
                let shown = &contents[contents.len().saturating_sub(16 * 1024)..];
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                let _ = writeln!(text, "--- {name}\n{}", String::from_utf8_lossy(shown));
            }
        }
        text.push_str("--- living processes\n");
        for pid in self.mark.bearers() {
            let state = proc::state(pid).unwrap_or('?');
            let parent = proc::parent(pid).unwrap_or(0);
            let _ = writeln!(text, "{pid} (parent {parent}, state {state}): {}", proc::command_line(pid));
        }
        text
    }
}

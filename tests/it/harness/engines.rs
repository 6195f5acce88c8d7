//! podman and dockerd, offline, each in a directory of its own, with one image FROM scratch that holds the binary under test
//! (`/pidproxy`, the entrypoint, with the argument `-`) and a static specimen (`/specimen`).

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use tempfile::TempDir;

use super::needs::{self, find_program};
use super::{DEADLINE, Finished, Proxy, Report, Running, Scope, binary, eventually};

/// The image, in each engine.
pub(crate) const IMAGE: &str = "scratch-with-pidproxy";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Podman,
    Docker,
}

/// An engine that runs; it is gone when the last test that uses it drops it.
pub(crate) struct Engine {
    pub(crate) kind: Kind,
    directory: TempDir,
    daemon: Option<Child>,
}

/// The engine of this kind, with its image, or why there is none. Tests that run at the same time share it.
pub(crate) fn engine(kind: Kind) -> Result<Arc<Engine>, String> {
    static ENGINES: [Mutex<Weak<Engine>>; 2] = [const { Mutex::new(Weak::new()) }; 2];
    let mut shared = ENGINES[kind as usize].lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(engine) = shared.upgrade() {
        return Ok(engine);
    }
    let engine = Arc::new(Engine::start(kind)?);
    *shared = Arc::downgrade(&engine);
    Ok(engine)
}

impl Engine {
    fn start(kind: Kind) -> Result<Self, String> {
        needs::native()?;
        needs::root()?;
        for program in if kind == Kind::Podman { ["podman", "runc"] } else { ["dockerd", "docker"] } {
            needs::program(program)?;
        }
        let specimen = static_specimen()?;
        let directory = tempfile::Builder::new().prefix("pidproxy-engine-").tempdir().expect("a temporary directory");
        let mut engine = Self { kind, directory, daemon: None };
        let context = engine.path("context");
        fs::create_dir(&context).expect("a new directory");
        fs::copy(binary(), context.join("pidproxy")).expect("a copy of the binary");
        fs::copy(specimen, context.join("specimen")).expect("a copy of the specimen");
        fs::copy(binary(), engine.path("init")).expect("a copy of the binary");
        let dockerfile = "FROM scratch\nCOPY pidproxy specimen /\nENTRYPOINT [\"/pidproxy\", \"-\"]\n";
        fs::write(context.join("Dockerfile"), dockerfile).expect("our own directory");
        match kind {
            Kind::Podman => fs::write(engine.path("containers.conf"), CONTAINERS_CONF).expect("our own directory"),
            Kind::Docker => engine.start_daemon()?,
        }
        engine.build(IMAGE, &context)?;
        if kind == Kind::Podman {
            // Root of a user namespace is somebody else here.
            for place in ["", "root", "root/vfs", "root/vfs/dir"] {
                fs::set_permissions(engine.path(place), Permissions::from_mode(0o711)).expect("our own directory");
            }
        }
        Ok(engine)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn start_daemon(&mut self) -> Result<(), String> {
        let log = fs::File::create(self.path("log")).expect("our own directory");
        let option = |name: &str, file: &str| format!("--{name}={}", self.path(file).display());
        let daemon = Command::new(find_program("dockerd").expect("looked for before"))
            .args(["--iptables=false", "--bridge=none", "--storage-driver=vfs"])
            .args([option("data-root", "data"), option("exec-root", "exec"), option("pidfile", "pid")])
            .args([option("init-path", "init"), "-H".into(), format!("unix://{}", self.path("socket").display())])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second descriptor"))
            .stderr(log)
            .spawn()
            .expect("dockerd runs");
        self.daemon = Some(daemon);
        let answers = || {
            let output = self.command(&["version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
            output.is_ok_and(|status| status.success()).then_some(())
        };
        eventually(DEADLINE, answers).ok_or_else(|| {
            let log = fs::read_to_string(self.path("log")).unwrap_or_default();
            format!("needs the engine dockerd to run here: {}", log.lines().last().unwrap_or_default())
        })
    }

    /// Builds an image from a directory with a Dockerfile.
    pub(crate) fn build(&self, image: &str, context: &Path) -> Result<(), String> {
        let mut command = self.command(&["build"]);
        if self.kind == Kind::Podman {
            command.arg("--isolation=chroot");
        }
        let output =
            command.arg("-t").arg(image).arg(context).stdin(Stdio::null()).output().expect("the engine's client");
        if output.status.success() {
            Ok(())
        } else {
            Err(format!("needs the engine {:?} to build: {}", self.kind, String::from_utf8_lossy(&output.stderr)))
        }
    }

    /// The words that call this engine.
    fn words(&self) -> Vec<OsString> {
        let text = |text: &str| OsString::from(text);
        match self.kind {
            Kind::Podman => {
                let mut words = vec![find_program("podman").expect("looked for before").into()];
                for (option, name) in [("--root", "root"), ("--runroot", "run"), ("--tmpdir", "tmp")] {
                    words.extend([text(option), self.path(name).into()]);
                }
                words.extend(["--storage-driver", "vfs"].map(text));
                words
            }
            Kind::Docker => {
                // Debian's own, which fits its dockerd.
                let debian = PathBuf::from("/usr/bin/docker");
                let client = if debian.exists() { Some(debian) } else { find_program("docker") };
                let socket = format!("unix://{}", self.path("socket").display());
                vec![client.expect("looked for before").into(), text("-H"), socket.into()]
            }
        }
    }

    fn environment(&self) -> [(&'static str, OsString); 2] {
        [("CONTAINERS_CONF", self.path("containers.conf").into()), ("DOCKER_BUILDKIT", "0".into())]
    }

    /// A command of the engine's, to be run at once.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let words = self.words();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(arguments).envs(self.environment());
        command
    }

    /// A command of the engine's that has to succeed.
    #[track_caller]
    pub(crate) fn expect(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).stdin(Stdio::null()).output().expect("the engine's client");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What the daemon says, if there is one.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The option that makes the binary under test the engine's init.
    pub(crate) fn init_options(&self) -> Vec<String> {
        let mut options = vec!["--init".to_owned()];
        if self.kind == Kind::Podman {
            options.push(format!("--init-path={}", self.path("init").display()));
        }
        options
    }

    /// `run`, with these options, of the usual image: a container that is called `name`.
    pub(crate) fn run<'scope>(&self, scope: &'scope Scope, name: &str, options: &[&str]) -> Proxy<'scope> {
        let mut proxy = Proxy::absent(scope).command(self.words());
        for (variable, value) in self.environment() {
            proxy = proxy.env(variable, value);
        }
        proxy
            .command(["run", "--rm", "--network=none", "-e", "SPECIMEN_REPORT=stdout", "--name", name])
            .command(options)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let output = self.command(&["ps", "-aq"]).output();
        let containers = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        for container in containers.split_whitespace() {
            let _ = self.command(&["rm", "-f", container]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
        if let Some(daemon) = &mut self.daemon {
            let pid = i32::try_from(daemon.id()).expect("a pid");
            let _ = super::signals::send(pid, libc::SIGTERM);
            let _ = daemon.wait();
        }
        for mounted in ["data", "root", "exec", "run"] {
            // Some leave one behind.
            let path = self.path(mounted);
            let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
            for line in mounts.lines() {
                let place = line.split(' ').nth(1).unwrap_or_default();
                if Path::new(place).starts_with(&path) {
                    let _ = Command::new("umount").args(["-l", place]).stderr(Stdio::null()).status();
                }
            }
        }
    }
}

/// crun refuses the hybrid layout of cgroups, and there may be no more of some resources than this.
const CONTAINERS_CONF: &str = r#"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
"#;

/// Waits for a report on the standard output of a run.
#[track_caller]
pub(crate) fn expect_report(running: &Running, name: &str, kind: &str) -> Report {
    let mut reports = expect_reports(running, name, kind, 1);
    reports.remove(0)
}

/// Waits for so many of them. A terminal ends lines in its own way.
#[track_caller]
pub(crate) fn expect_reports(running: &Running, name: &str, kind: &str, count: usize) -> Vec<Report> {
    let look = || {
        let mut reports = reports(&running.stdout());
        reports.retain(|report| report.name == name && report.kind == kind);
        (reports.len() >= count).then_some(reports)
    };
    eventually(DEADLINE, look).unwrap_or_else(|| panic!("no {count} of {name} {kind}\n{}", running.evidence()))
}

/// The reports on standard output.
pub(crate) fn reports(output: &str) -> Vec<Report> {
    output.lines().filter_map(|line| Report::parse(line.trim_end_matches('\r'))).collect()
}

/// The one report of a run that has ended.
#[track_caller]
pub(crate) fn only_report(finished: &Finished) -> Report {
    let mut reports = reports(&finished.stdout);
    assert_eq!(reports.len(), 1, "{:?}, {}", finished.stdout, finished.stderr);
    reports.remove(0)
}

/// The specimen as a static program. Built once, beside the other.
pub(crate) fn static_specimen() -> Result<PathBuf, String> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BUILT.get_or_init(build_static_specimen).clone()
}

fn build_static_specimen() -> Result<PathBuf, String> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let directory = Path::new(env!("CARGO_BIN_EXE_specimen")).parent().expect("a file in a directory").join("static");
    let output = Command::new(env!("CARGO"))
        .args([
            "build",
            "--quiet",
            "--locked",
            "--offline",
            "-p",
            "pidproxy-it",
            "--bin",
            "specimen",
            "--target",
            &target,
        ])
        .arg("--target-dir")
        .arg(&directory)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .map_err(|error| format!("needs cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("needs a static C library: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(directory.join(target).join("debug/specimen"))
}

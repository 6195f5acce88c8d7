//! The command line of the specimen.

use std::path::PathBuf;
use std::time::Duration;

use crate::signals;

/// What the specimen plays: the first word of its command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// `program`: stays in the foreground, reports `ready`, then every signal.
    Program,
    /// `daemon`: a launcher that daemonizes; the daemon then does what `program` does.
    Daemon,
    /// `facts`: reports all it can see of its own rights and surroundings, and exits with 0.
    Facts,
    /// `print-args`: writes the words after the role to standard output, one a line, unread otherwise.
    PrintArguments,
    /// `orphans`: leaves `--count=N` dead orphans behind as fast as it can, reports `made`, and goes on as `program`.
    Orphans,
}

/// How a process ends that was told to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending {
    Exit(i32),
    /// By this signal, with its default disposition and no core dump.
    Signal(i32),
}

/// All options. Those of a signal take a name (`TERM`, `SIGTERM`, `RTMIN+1`) or a number.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) role: Role,
    /// `--name=NAME`: the first word of the reports, in place of the role's name.
    pub(crate) name: Option<String>,
    /// `--exit=N`: exit with status N at once, report nothing.
    pub(crate) exit: Option<i32>,
    /// `--env=NAME` (repeatable): a variable whose value `facts` reports, as `env.NAME`.
    pub(crate) environment: Vec<String>,
    /// `--count=N` of the role `orphans`.
    pub(crate) orphans: usize,
    /// `--orphan-status=N`: the exit status of each orphan (default 0).
    pub(crate) orphan_status: i32,
    pub(crate) launch: Launch,
    pub(crate) pid_file: PidFile,
    pub(crate) service: Service,
}

/// How the role `daemon` gets into the background.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "one for each switch of the command line")]
pub(crate) struct Launch {
    /// `--no-setsid` clears it: the daemon stays in the session and the group of the launcher.
    pub(crate) new_session: bool,
    /// `--single-fork` clears it: the daemon is the launcher's child, not its grandchild.
    pub(crate) double_fork: bool,
    /// `--after-exit=MS`: the pid file is written so long after the launcher has ended. Otherwise
    /// (`--before-exit`, the default) the launcher waits until it is written.
    pub(crate) after_exit: Option<Duration>,
    /// `--launcher-pid-first`: the launcher writes its own pid first, the daemon its own once the launcher has ended
    /// (implies `--after-exit=0`), as Debian's cron does.
    pub(crate) launcher_pid_first: bool,
    /// `--no-pid-file`: write none (until the control command `write-pid-file`).
    pub(crate) write_pid_file: bool,
    /// `--die-early=N`: the daemon exits with N right after writing its pid file.
    pub(crate) die_early: Option<i32>,
    /// `--keep-descriptors`: do not chdir to `/` and do not put `/dev/null` on descriptors 0 to 2.
    pub(crate) keep_descriptors: bool,
    /// `--launcher-exit=N` (default 0), `--launcher-die-by=SIGNAL`.
    pub(crate) launcher_end: Ending,
    /// `--launcher-stays`: the launcher does not end by itself; it reports `ready` and its signals as `program` does,
    /// under the name `launcher`.
    pub(crate) launcher_stays: bool,
    /// `--launcher-exit-on=SIGNAL:N` and `--launcher-control=FIFO`, for a launcher that stays.
    pub(crate) launcher_service: Service,
}

/// The pid file, and how it is written.
#[derive(Clone, Debug)]
pub(crate) struct PidFile {
    /// `--pid-file=FILE`.
    pub(crate) path: Option<PathBuf>,
    /// `--write=TEXT`: this text in place of the pid; `%p` in it stands for the pid.
    pub(crate) text: Option<String>,
    /// `--no-newline` clears it.
    pub(crate) newline: bool,
    /// `--rename`: write a temporary file and rename it, as memcached does. Otherwise in place.
    pub(crate) rename: bool,
    /// `--blanks=N`: so many blanks first, as Postfix writes them.
    pub(crate) blanks: usize,
    /// `--mode=OCTAL` (default 0644, whatever the umask).
    pub(crate) mode: u32,
    /// `--remove-pid-file`: remove it on an orderly exit (`--exit-on`, control command `exit`).
    pub(crate) remove_at_exit: bool,
}

/// What a program or daemon does once it stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Service {
    /// `--exit-on=SIGNAL:N` (repeatable): exit with N when SIGNAL arrives.
    pub(crate) exit_on: Vec<(i32, i32)>,
    /// `--replace-on=SIGNAL`: when it arrives, fork a new daemon (named `replacement`) that writes the pid file with its
    /// own pid; then exit with 0.
    pub(crate) replace_on: Option<i32>,
    /// `--upgrade-on=SIGNAL`: when it arrives, rename the pid file (`.oldbin` behind its name), and fork a new daemon, named
    /// `NAME-successor`, that writes its own; go on beside it, and remove the renamed one on an orderly exit. As nginx and
    /// unicorn do, only that they execute themselves as well.
    pub(crate) upgrade_on: Option<i32>,
    /// `--exit-after-ready=N`, `--die-by=SIGNAL`: end so after the report `ready`.
    pub(crate) after_ready: Option<Ending>,
    /// `--count`: do not report each signal; report `totals` when told to over the control FIFO, and before an exit.
    pub(crate) count: bool,
    /// `--default-dispositions`: block and handle nothing, keep the mask that was given.
    pub(crate) default_dispositions: bool,
    /// `--control=FIFO`: commands, one a line (see `serve.rs`).
    pub(crate) control: Option<PathBuf>,
    /// `--children=N`: fork N children first, named `child1`..., which report as `program` does and know `--exit-on`.
    pub(crate) children: usize,
    /// `--threads=N`: start N threads that do nothing, and report `threads` with their ids as `tids`. (Not together with
    /// what forks later.)
    pub(crate) threads: usize,
}

impl Options {
    /// Reads the words after the program's name; the error says which word is wrong.
    pub(crate) fn parse(words: &[String]) -> Result<Self, String> {
        let (role, words) = words.split_first().ok_or("no role: program, daemon, facts, print-args or orphans")?;
        let mut options = Self::of(match role.as_str() {
            "program" => Role::Program,
            "daemon" => Role::Daemon,
            "facts" => Role::Facts,
            "print-args" => Role::PrintArguments,
            "orphans" => Role::Orphans,
            _ => return Err(format!("unknown role {role:?}")),
        });
        if options.role != Role::PrintArguments {
            for word in words {
                let (key, value) = match word.split_once('=') {
                    Some((key, value)) => (key, Some(value)),
                    None => (word.as_str(), None),
                };
                options.set(key, value).ok_or_else(|| format!("bad option {word:?}"))?;
            }
        }
        Ok(options)
    }

    /// The name that goes into the reports.
    pub(crate) fn name_or<'a>(&'a self, role: &'a str) -> &'a str {
        self.name.as_deref().unwrap_or(role)
    }

    fn of(role: Role) -> Self {
        Self {
            role,
            name: None,
            exit: None,
            environment: Vec::new(),
            orphans: 0,
            orphan_status: 0,
            launch: Launch {
                new_session: true,
                double_fork: true,
                after_exit: None,
                launcher_pid_first: false,
                write_pid_file: true,
                die_early: None,
                keep_descriptors: false,
                launcher_end: Ending::Exit(0),
                launcher_stays: false,
                launcher_service: Service::default(),
            },
            pid_file: PidFile {
                path: None,
                text: None,
                newline: true,
                rename: false,
                blanks: 0,
                mode: 0o644,
                remove_at_exit: false,
            },
            service: Service::default(),
        }
    }

    /// Takes one option, or nothing when there is no such option or its value is wrong.
    fn set(&mut self, key: &str, value: Option<&str>) -> Option<()> {
        match value {
            Some(value) => self.set_value(key, value).or_else(|| self.launch.set_value(key, value)),
            None => self.set_switch(key),
        }
    }

    fn set_switch(&mut self, key: &str) -> Option<()> {
        match key {
            "--no-setsid" => self.launch.new_session = false,
            "--single-fork" => self.launch.double_fork = false,
            "--before-exit" => self.launch.after_exit = None,
            "--launcher-pid-first" => {
                self.launch.launcher_pid_first = true;
                self.launch.after_exit.get_or_insert(Duration::ZERO);
            }
            "--no-pid-file" => self.launch.write_pid_file = false,
            "--keep-descriptors" => self.launch.keep_descriptors = true,
            "--launcher-stays" => self.launch.launcher_stays = true,
            "--no-newline" => self.pid_file.newline = false,
            "--rename" => self.pid_file.rename = true,
            "--remove-pid-file" => self.pid_file.remove_at_exit = true,
            "--count" => self.service.count = true,
            "--default-dispositions" => self.service.default_dispositions = true,
            _ => return None,
        }
        Some(())
    }

    fn set_value(&mut self, key: &str, value: &str) -> Option<()> {
        match key {
            "--name" => self.name = Some(value.to_owned()),
            "--exit" => self.exit = Some(number(value)?),
            "--env" => self.environment.push(value.to_owned()),
            "--count" => self.orphans = number(value)?,
            "--orphan-status" => self.orphan_status = number(value)?,
            "--pid-file" => self.pid_file.path = Some(absolute(value)?),
            "--write" => self.pid_file.text = Some(value.to_owned()),
            "--blanks" => self.pid_file.blanks = number(value)?,
            "--mode" => self.pid_file.mode = u32::from_str_radix(value, 8).ok()?,
            "--exit-on" => self.service.exit_on.push(signal_and_status(value)?),
            "--replace-on" => self.service.replace_on = Some(signals::number(value)?),
            "--upgrade-on" => self.service.upgrade_on = Some(signals::number(value)?),
            "--exit-after-ready" => self.service.after_ready = Some(Ending::Exit(number(value)?)),
            "--die-by" => self.service.after_ready = Some(Ending::Signal(signals::number(value)?)),
            "--control" => self.service.control = Some(absolute(value)?),
            "--children" => self.service.children = number(value)?,
            "--threads" => self.service.threads = number(value)?,
            _ => return None,
        }
        Some(())
    }
}

impl Launch {
    fn set_value(&mut self, key: &str, value: &str) -> Option<()> {
        match key {
            "--after-exit" => self.after_exit = Some(Duration::from_millis(number(value)?)),
            "--die-early" => self.die_early = Some(number(value)?),
            "--launcher-exit" => self.launcher_end = Ending::Exit(number(value)?),
            "--launcher-die-by" => self.launcher_end = Ending::Signal(signals::number(value)?),
            "--launcher-exit-on" => self.launcher_service.exit_on.push(signal_and_status(value)?),
            "--launcher-control" => self.launcher_service.control = Some(absolute(value)?),
            _ => return None,
        }
        Some(())
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// `TERM:0`
fn signal_and_status(text: &str) -> Option<(i32, i32)> {
    let (signal, status) = text.split_once(':')?;
    Some((signals::number(signal)?, number(status)?))
}

/// A daemon changes to `/`, so relative names are resolved at once.
fn absolute(path: &str) -> Option<PathBuf> {
    std::path::absolute(path).ok()
}

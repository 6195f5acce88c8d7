//! What makes a supervisor of the proxy: grace periods, an end for what is left over, a log, readiness, restarts.

mod descendants;
mod grace;
mod log;
mod notify;
mod ready;
mod restart;

use std::path::Path;

use crate::harness::{Proxy, Scope};

/// The proxy with a program that is the target itself.
fn program<'scope>(scope: &'scope Scope, options: &[&str], arguments: &[&str]) -> Proxy<'scope> {
    Proxy::new(scope).options(options).pid_file("-").specimen(["program"]).command(arguments)
}

/// The proxy with a daemon and its pid file, which it waits for as long as a test may take.
fn daemon<'scope>(scope: &'scope Scope, pid_file: &Path, options: &[&str], arguments: &[&str]) -> Proxy<'scope> {
    let option = format!("--pid-file={}", pid_file.display());
    let proxy = Proxy::new(scope).options(["-w", "600"]).options(options).pid_file(pid_file);
    proxy.specimen(["daemon", &option]).command(arguments)
}

/// The proxy with the file as descriptor 7, on which it tells that it is ready.
fn with_ready<'scope>(proxy: Proxy<'scope>, ready: &Path) -> Proxy<'scope> {
    proxy.options(["-d7"]).prefix(["sh", "-c", r#"file=$1; shift; exec "$@" 7>"$file""#, "sh"]).prefix([ready])
}

/// A pause that nobody waits out.
const FOR_EVER: &str = "-R2000000";

/// What the command becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It is the target itself, under an init.
    Program,
    /// It leaves a daemon behind, with a pid file.
    Daemon,
}

impl Kind {
    const BOTH: [Self; 2] = [Self::Program, Self::Daemon];

    /// The word before the target's reports.
    fn name(self) -> &'static str {
        if self == Self::Program { "program" } else { "daemon" }
    }

    /// How many targets there were.
    fn lives(self, scope: &Scope) -> usize {
        scope.reports().all_of(self.name(), "ready").len()
    }
}

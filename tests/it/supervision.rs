//! What makes a supervisor of the proxy: grace periods, an end for what is left over, a log, readiness, restarts.

mod descendants;
mod grace;
mod log;
mod ready;
mod restart;

use crate::harness::{Proxy, Scope};

/// The proxy with a program that is the target itself.
fn program<'scope>(scope: &'scope Scope, options: &[&str], arguments: &[&str]) -> Proxy<'scope> {
    Proxy::new(scope).options(options).pid_file("-").specimen(["program"]).command(arguments)
}

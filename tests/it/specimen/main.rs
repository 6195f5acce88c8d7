//! The specimen: the program that the tests let pidproxy run. It plays the launcher, the daemon and the plain program,
//! and reports what it is and what reaches it, one line a report (see `report.rs`), so that tests wait for its word
//! instead of sleeping.
//!
//! `specimen ROLE [--option[=value]...]`; the roles are described at [`options::Role`], the options at
//! [`options::Options`]. A usage error exits with 64.
#![no_main]

mod daemon;
mod facts;
mod options;
mod pid_file;
mod report;
mod serve;
mod signals;

use std::ffi::{CStr, OsStr, c_char, c_int};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;

use crate::options::{Options, Role};
use crate::report::Report;

/// Entered from the C runtime, not from Rust's: the latter ignores SIGPIPE, opens `/dev/null` for closed descriptors and
/// handles SIGSEGV, all of which would hide what the specimen was really given.
#[unsafe(no_mangle)]
extern "C" fn main(count: c_int, vector: *const *const c_char) -> c_int {
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: the C runtime passes `count` pointers that live as long as the process.
    let pointers = unsafe { std::slice::from_raw_parts(vector, count) };
    let arguments: Vec<&OsStr> = pointers
        .iter()
        .map(|&pointer| {
            // SAFETY: each of them points to a C string that nobody changes.
            OsStr::from_bytes(unsafe { CStr::from_ptr(pointer) }.to_bytes())
        })
        .collect();
    let words: Vec<String> = arguments.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    match Options::parse(&words) {
        Ok(options) => run(&options, &arguments),
        Err(reason) => {
            let _ = writeln!(std::io::stderr(), "specimen: {reason}");
            64
        }
    }
}

fn run(options: &Options, arguments: &[&OsStr]) -> c_int {
    if let Some(status) = options.exit {
        return status;
    }
    match options.role {
        Role::Program => {
            if !options.service.default_dispositions {
                signals::block_all();
            }
            serve::serve(options.name_or("program"), &options.service, &options.pid_file)
        }
        Role::Daemon => daemon::launch(options),
        Role::Facts => {
            facts::facts(options.name_or("facts"), &options.environment, arguments).send();
            0
        }
        Role::PrintArguments => {
            let mut output = std::io::stdout().lock();
            for argument in arguments.iter().skip(2) {
                let _ = output.write_all(argument.as_bytes());
                let _ = output.write_all(b"\n");
            }
            0
        }
        Role::Orphans => {
            signals::block_all();
            let name = options.name_or("orphans");
            daemon::make_orphans(name, options.orphans, options.orphan_status);
            Report::new(name, "made").field("count", options.orphans).send();
            serve::serve(name, &options.service, &options.pid_file)
        }
    }
}

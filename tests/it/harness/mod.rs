//! The harness. A test begins with a [`Scope`]: its private directory, the receiver of the specimen's reports, and the
//! promise that nothing it started lives on. Then it starts something:
//!
//! ```ignore
//! let scope = Scope::new();
//! let pid_file = scope.path("pid");
//! let running = Proxy::new(&scope)
//!     .options(["-v"])
//!     .pid_file(&pid_file)
//!     .specimen(["daemon".into(), format!("--pid-file={}", pid_file.display()), "--exit-on=TERM:3".into()])
//!     .spawn();
//! let daemon = scope.reports().expect("daemon", "ready").pid();
//! running.signal(libc::SIGUSR1);
//! assert_eq!(scope.reports().expect("daemon", "signal").number("number"), libc::SIGUSR1.into());
//! running.signal(libc::SIGTERM);
//! running.wait().expect_code(3);
//! assert_eq!(scope.left_over(), []);
//! ```
//!
//! Whatever waits, waits for [`DEADLINE`] at most and then panics with all that was seen: the reports, what the
//! processes wrote, and which of them still live.

pub(crate) mod accounts;
pub(crate) mod elf;
pub(crate) mod engines;
pub(crate) mod followed;
mod looks;
mod manager;
pub(crate) mod needs;
pub(crate) mod proc;
mod proxy;
pub(crate) mod refusal;
mod reports;
mod running;
mod scope;
mod screen;
pub(crate) mod signals;

use std::path::PathBuf;
use std::time::{Duration, Instant};

pub(crate) use followed::Followed;
pub(crate) use looks::Looks;
pub(crate) use manager::Manager;
pub(crate) use proxy::{Input, Output, Proxy};
pub(crate) use refusal::{PPOLL_TIME64, Refusal};
pub(crate) use reports::{Report, Reports};
pub(crate) use running::{Finished, Running};
#[allow(unused_imports, reason = "named where a test passes one on")]
pub(crate) use scope::Control;
pub(crate) use scope::Scope;
pub(crate) use screen::Screen;

/// The numbers of the lines that begin like this, as those of `-v`: `pidproxy: following: 123`.
pub(crate) fn numbers_behind(text: &str, beginning: &str) -> Vec<i32> {
    text.lines().filter_map(|line| line.strip_prefix(beginning)?.parse().ok()).collect()
}

/// How long anything may take that should happen at once. Long, for it is only ever waited out by a test that fails, and
/// the machine may be busy or emulated.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// What happens at once takes less than this, at least once in some times: the machine may be busy. An emulator translates
/// the program first, be it of a program or of a whole machine (tests/booted says so by `EMULATED_MACHINE`).
pub(crate) fn at_once() -> Duration {
    let is_emulated = !runner().is_empty() || std::env::var_os("EMULATED_MACHINE").is_some();
    Duration::from_millis(if is_emulated { 500 } else { 50 })
}

/// Between two looks at something that gives no sign when it changes.
const LOOK_AGAIN: Duration = Duration::from_micros(500);

/// The binary under test.
pub(crate) fn binary() -> PathBuf {
    let path = std::env::var_os("BINARY_UNDER_TEST").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release/pidproxy")),
        PathBuf::from,
    );
    path.canonicalize().unwrap_or_else(|error| {
        panic!("the binary under test, {}: {error} (cargo build --release, or set BINARY_UNDER_TEST)", path.display())
    })
}

/// The words to put in front of the binary under test, for one of a foreign architecture; mostly none.
pub(crate) fn runner() -> Vec<String> {
    let words = std::env::var("RUNNER_UNDER_TEST").unwrap_or_default();
    words.split_whitespace().map(str::to_owned).collect()
}

/// Looks until there is something to see, or `None` when the deadline has passed. Only for conditions that nothing
/// announces: a field of `/proc`, a file of somebody else.
pub(crate) fn eventually<T>(deadline: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + deadline;
    loop {
        // The time is taken first: a look that comes after the deadline has been given its full chance.
        let late = Instant::now() >= end;
        if let Some(seen) = look() {
            return Some(seen);
        }
        if late {
            return None;
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

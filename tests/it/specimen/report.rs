//! Reports: one line each, `NAME KIND key=value ...`, sent as a datagram to the socket that `SPECIMEN_REPORT` names, or as
//! a line to standard output when that is the word `stdout`. Without the variable nothing is reported.
//!
//! A datagram socket is opened anew for each report: that survives a daemon's closing of descriptors and adds none of
//! its own to those that the facts list. A value has `%XX` for each byte that is not a visible ASCII character, and for
//! `%` and `,`; a comma separates the elements of a list.

use std::ffi::{OsStr, OsString};
use std::fmt::{Display, Write as _};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixDatagram;
use std::sync::OnceLock;

use nix::unistd::{getpgrp, getpid, getppid, getsid};

/// One line, being put together.
#[must_use]
pub(crate) struct Report(String);

impl Report {
    pub(crate) fn new(name: &str, kind: &str) -> Self {
        Self(format!("{name} {kind}"))
    }

    /// A report with `pid`, `ppid`, `pgid` and `sid`.
    pub(crate) fn of_self(name: &str, kind: &str) -> Self {
        Self::new(name, kind)
            .field("pid", getpid())
            .field("ppid", getppid())
            .field("pgid", getpgrp())
            .field("sid", getsid(None).map_or(-1, nix::unistd::Pid::as_raw))
    }

    /// Adds a value whose text needs no encoding, or none but that of text.
    pub(crate) fn field(self, key: &str, value: impl Display) -> Self {
        self.bytes(key, value.to_string().as_bytes())
    }

    /// Adds a value of any bytes.
    pub(crate) fn bytes(mut self, key: &str, value: &[u8]) -> Self {
        let _ = write!(self.0, " {key}={}", encode(value));
        self
    }

    /// Adds a list; its elements are encoded one by one.
    pub(crate) fn list<T: AsRef<[u8]>>(mut self, key: &str, elements: impl IntoIterator<Item = T>) -> Self {
        let encoded: Vec<String> = elements.into_iter().map(|element| encode(element.as_ref())).collect();
        let _ = write!(self.0, " {key}={}", encoded.join(","));
        self
    }

    /// Hands the line over. That may take as long as the receiver's queue is full, but a receiver that is gone is no
    /// reason to end: the harness kills what it started.
    pub(crate) fn send(self) {
        let result = match destination() {
            None => Ok(()),
            Some(path) if path == "stdout" => std::io::stdout().lock().write_all(format!("{}\n", self.0).as_bytes()),
            Some(path) => UnixDatagram::unbound().and_then(|socket| {
                socket.send_to(self.0.as_bytes(), path)?;
                Ok(())
            }),
        };
        if let Err(error) = result {
            let _ = writeln!(std::io::stderr(), "specimen: cannot report {:?}: {error}", self.0);
        }
    }
}

/// Whether reports go to standard output, which a daemon must then keep.
pub(crate) fn uses_standard_output() -> bool {
    destination().is_some_and(|path| path == "stdout")
}

fn destination() -> Option<&'static OsStr> {
    static DESTINATION: OnceLock<Option<OsString>> = OnceLock::new();
    DESTINATION.get_or_init(|| std::env::var_os("SPECIMEN_REPORT")).as_deref()
}

fn encode(value: &[u8]) -> String {
    let mut text = String::new();
    for &byte in value {
        if byte.is_ascii_graphic() && byte != b'%' && byte != b',' {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// The bytes of a string of the system.
pub(crate) fn bytes_of(text: &OsStr) -> &[u8] {
    text.as_bytes()
}

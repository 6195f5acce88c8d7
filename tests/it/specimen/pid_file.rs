//! Writing the pid file in the ways that daemons write theirs.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::unistd::getpid;

use crate::options::PidFile;
use crate::report::{Report, bytes_of};

impl PidFile {
    /// Writes the file with this process's pid (or the text that was asked for), and reports `wrote` or `cannot-write`.
    pub(crate) fn write(&self, name: &str) {
        self.write_text(name, self.text.as_deref());
    }

    /// The same, with a text of the caller's choice; `%p` in it stands for the pid.
    pub(crate) fn write_text(&self, name: &str, template: Option<&str>) {
        let Some(path) = &self.path else {
            Report::new(name, "cannot-write").field("reason", "no --pid-file").send();
            return;
        };
        let pid = getpid().to_string();
        let mut text = " ".repeat(self.blanks);
        match template {
            Some(template) => text.push_str(&template.replace("%p", &pid)),
            None => text.push_str(&pid),
        }
        if self.newline {
            text.push('\n');
        }
        let result = if self.rename {
            let temporary = path.with_extension("temporary");
            write_with_mode(&temporary, &text, self.mode).and_then(|()| fs::rename(&temporary, path))
        } else {
            write_with_mode(path, &text, self.mode)
        };
        match result {
            Ok(()) => Report::new(name, "wrote")
                .field("pid", pid)
                .bytes("path", bytes_of(path.as_os_str()))
                .bytes("text", text.as_bytes())
                .send(),
            Err(error) => Report::new(name, "cannot-write").field("reason", error).send(),
        }
    }

    /// Gives the file another name, with `.oldbin` behind it.
    pub(crate) fn set_aside(&self) {
        if let Some(path) = &self.path {
            let _ = fs::rename(path, aside(path));
        }
    }

    /// Removes the file that was set aside.
    pub(crate) fn remove_aside(&self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(aside(path));
        }
    }

    /// Removes the file if that was asked for.
    pub(crate) fn remove_at_exit(&self) {
        if let Some(path) = self.path.as_ref().filter(|_| self.remove_at_exit) {
            let _ = fs::remove_file(path);
        }
    }
}

fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".oldbin");
    name.into()
}

fn write_with_mode(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(text.as_bytes())
}

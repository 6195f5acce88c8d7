//! A private `/etc/passwd` and `/etc/group`.

use std::fs;
use std::path::PathBuf;

use super::Scope;

/// An `/etc` that holds these two files and nothing else, for whatever is started with [`Private::prefix`].
pub(crate) struct Private {
    directory: PathBuf,
}

impl Private {
    /// `None`: there is no such file. Needs root and `needs::unshare(&["--mount"])`.
    pub(crate) fn new(scope: &Scope, passwd: Option<&[u8]>, group: Option<&[u8]>) -> Self {
        let directory = scope.path("etc");
        fs::create_dir(&directory).expect("a new directory: one private /etc a scope");
        for (name, contents) in [("passwd", passwd), ("group", group)] {
            if let Some(contents) = contents {
                fs::write(directory.join(name), contents).expect("a file in our own directory");
            }
        }
        Self { directory }
    }

    /// The private `/etc`, to change it.
    pub(crate) fn directory(&self) -> &std::path::Path {
        &self.directory
    }

    /// For `Proxy::prefix`: executes what follows it, under the same pid, in a mount namespace where this is `/etc`.
    pub(crate) fn prefix(&self) -> Vec<String> {
        let directory = self.directory.to_str().expect("a directory of ASCII");
        let script = "mount --bind \"$0\" /etc && exec \"$@\"";
        ["unshare", "--mount", "--propagation=private", "sh", "-c", script, directory].map(str::to_owned).to_vec()
    }
}

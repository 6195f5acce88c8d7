//! `-x`: switch the user, execute, and be gone, as gosu and su-exec do.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use crate::harness::needs::{self, find_program, skip};
use crate::harness::{Finished, Input, Proxy, Scope, accounts, signals};

const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
anna:x:1000:1001:Anna,,,:/home/anna:/bin/sh
lonely:x:1003:1003::/home/lonely:
homeless:x:1004:1004:::/bin/sh
";

const GROUP: &str = "\
root:x:0:
wheel:x:10:root
anna:x:1001:anna
staff:x:50:anna
first:x:60:anna
";

/// A user as it is given, and whom that makes with each.
struct Row {
    user: &'static str,
    ours: &'static str,
    gosu: &'static str,
    /// Why the one is not as the other.
    why: &'static str,
}

const GROUP_IN_LIST: &str = "the list has the group itself, as `initgroups` makes it: no other right";
const NO_GUESS: &str = "what is half a name is no name";
const OUR_STATUS: &str = "the program itself can not be told from 1";

const ROWS: [Row; 16] = [
    Row {
        user: "anna",
        ours: "1000:1001 (50 60 1001), /home/anna",
        gosu: "1000:1001 (50 60 1001), /home/anna",
        why: "",
    },
    Row {
        user: "lonely",
        ours: "1003:1003 (1003), /home/lonely",
        gosu: "1003:1003 (), /home/lonely",
        why: GROUP_IN_LIST,
    },
    Row {
        user: "homeless",
        ours: "1004:1004 (1004), /",
        gosu: "1004:1004 (), (empty)",
        why: "an empty HOME is no directory",
    },
    Row { user: "root", ours: "0:0 (0 10), /root", gosu: "0:0 (10), /root", why: GROUP_IN_LIST },
    Row { user: "anna:staff", ours: "1000:50 (50), /home/anna", gosu: "1000:50 (), /home/anna", why: GROUP_IN_LIST },
    Row {
        user: "anna:4711",
        ours: "1000:4711 (4711), /home/anna",
        gosu: "1000:4711 (), /home/anna",
        why: GROUP_IN_LIST,
    },
    Row {
        user: "1000",
        ours: "1000:1001 (50 60 1001), /home/anna",
        gosu: "1000:1001 (50 60 1001), /home/anna",
        why: "",
    },
    Row { user: "1000:50", ours: "1000:50 (50), /home/anna", gosu: "1000:50 (), /home/anna", why: GROUP_IN_LIST },
    Row { user: "1234", ours: "1234:1234 (1234), /", gosu: "1234:0 (), /", why: "no id of root's is left" },
    Row { user: "1234:5678", ours: "1234:5678 (5678), /", gosu: "1234:5678 (), /", why: GROUP_IN_LIST },
    Row { user: "nobody-here", ours: "status 125", gosu: "status 1", why: OUR_STATUS },
    Row { user: "anna:nobody-here", ours: "status 125", gosu: "status 1", why: OUR_STATUS },
    Row { user: ":staff", ours: "status 125", gosu: "0:50 (), /root", why: NO_GUESS },
    Row { user: "anna:", ours: "status 125", gosu: "1000:1001 (50 60 1001), /home/anna", why: NO_GUESS },
    Row { user: "4294967296", ours: "status 125", gosu: "status 1", why: OUR_STATUS },
    Row { user: "-1", ours: "status 125", gosu: "status 1", why: OUR_STATUS },
];

fn private_accounts() -> Result<(), String> {
    needs::root().and_then(|()| needs::unshare(&["--mount"]))
}

/// A private `/etc`, and both switchers in it.
struct Switchers {
    scope: Scope,
    private: accounts::Private,
}

impl Switchers {
    fn new() -> Self {
        let scope = Scope::new();
        let private = accounts::Private::new(&scope, Some(PASSWD.as_bytes()), Some(GROUP.as_bytes()));
        Self { scope, private }
    }

    fn ours(&self, user: &str) -> Proxy<'_> {
        Proxy::new(&self.scope).prefix(self.private.prefix()).options(["-x", "-U", user])
    }

    fn gosu(&self, user: &str) -> Proxy<'_> {
        let gosu = find_program("gosu").expect("looked for before");
        Proxy::absent(&self.scope).prefix(self.private.prefix()).command([gosu]).command([user])
    }
}

/// Whom it makes: `uid:gid` with the list of groups, and HOME; or the status of the failure.
fn whom(switchers: &Switchers, switcher: Proxy<'_>) -> String {
    let finished = switcher.env("HOME", "/before").specimen(["facts"]).run();
    match finished.code() {
        Some(0) => {
            let facts = switchers.scope.reports().expect("facts", "facts");
            let id = |kind: char| {
                let ids = ['r', 'e', 's'].map(|which| facts.number(&format!("{which}{kind}id")));
                if ids == [ids[0]; 3] { ids[0].to_string() } else { format!("{ids:?}") }
            };
            let mut groups = facts.numbers("groups");
            // Who is a member of the own group by /etc/group too has it twice: no other right.
            groups.dedup();
            let groups: Vec<String> = groups.iter().map(u32::to_string).collect();
            let home = facts.get("HOME").filter(|home| !home.is_empty()).unwrap_or_else(|| "(empty)".to_owned());
            format!("{}:{} ({}), {home}", id('u'), id('g'), groups.join(" "))
        }
        Some(code) => format!("status {code}"),
        None => format!("killed by {:?}", finished.signal()),
    }
}

fn needs_gosu() -> Result<(), String> {
    private_accounts().and_then(|()| needs::program("gosu"))
}

#[track_caller]
fn assert_no_faults(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// Panics with all users that are not as in the table.
fn check(switch: impl Fn(&Switchers, &str) -> String, expected: impl Fn(&Row) -> &'static str) {
    let switchers = Switchers::new();
    let faults: Vec<String> = ROWS
        .iter()
        .map(|row| (row, switch(&switchers, row.user)))
        .filter(|(row, found)| found != expected(row))
        .map(|(row, found)| format!("{}: {found} in place of {}", row.user, expected(row)))
        .collect();
    assert_no_faults(&faults);
}

#[test]
fn pidproxy_is_as_in_the_table() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    check(|switchers, user| whom(switchers, switchers.ours(user)), |row| row.ours);
}

#[test]
fn gosu_is_as_in_the_table() {
    if let Err(reason) = needs_gosu() {
        return skip(&reason);
    }
    check(|switchers, user| whom(switchers, switchers.gosu(user)), |row| row.gosu);
}

#[test]
fn where_we_differ_the_table_says_why() {
    for row in &ROWS {
        assert_eq!(row.ours != row.gosu, !row.why.is_empty(), "{}", row.user);
    }
}

#[test]
fn the_readme_shows_the_table() {
    let mut table = String::from("| user | `pidproxy -x -U` | gosu | why |\n|---|---|---|---|\n");
    for row in &ROWS {
        let _ = writeln!(table, "| `{}` | {} | {} | {} |", row.user, row.ours, row.gosu, row.why);
    }
    super::check_readme(&table);
}

#[test]
fn a_failure_names_the_wrong_word() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    let switchers = Switchers::new();
    let started = switchers.scope.path("started");
    let faults: Vec<String> =
        ["nobody-here", "anna:nobody-here", ":staff", "anna:", "", "4294967296", "-1", "4294967295"]
            .iter()
            .filter_map(|user| {
                let finished = switchers.ours(user).command(["touch"]).command([&started]).run();
                assert!(!started.exists(), "{user:?}");
                let word = user.trim_matches(':').rsplit(':').next().unwrap_or_default();
                finished.check_failure(word).err().map(|fault| format!("{user:?}: {fault}"))
            })
            .collect();
    assert_no_faults(&faults);
}

/// Both switchers with the same user, or ours alone where there is no gosu.
fn each(switchers: &Switchers, user: &str, body: impl Fn(&str, Proxy<'_>)) {
    body("pidproxy", switchers.ours(user));
    if needs::program("gosu").is_ok() {
        body("gosu", switchers.gosu(user));
    }
}

#[test]
fn nothing_but_the_user_is_changed() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    let switchers = Switchers::new();
    let scope = &switchers.scope;
    let place = scope.path("").canonicalize().expect("our own directory");
    each(&switchers, "anna", |name, switcher| {
        let running = switcher
            .prefix(["sh", "-c", "exec 3</dev/null 8</dev/zero; exec \"$@\"", "sh"])
            .directory(&place)
            .env("OTHER", "stays, as it is")
            .env("PIDPROXY_OPTIONS", "")
            .specimen(["facts", "--env=OTHER", "--env=PIDPROXY_OPTIONS"])
            .spawn();
        let first = running.first_pid();
        running.wait().expect_code(0);
        let facts = scope.reports().expect("facts", "facts");
        assert_eq!(
            (facts.pid(), facts.number("ppid")),
            (first, std::process::id().into()),
            "{name}: it is the process"
        );
        assert_eq!(facts.text("cwd"), place.display().to_string());
        assert_eq!(facts.text("env.OTHER"), "stays, as it is");
        assert_eq!([3, 8].map(|number| facts.numbers("descriptors").contains(&number)), [true; 2]);
        assert_eq!(["regain_uid", "regain_gid"].map(|key| facts.text(key)), ["refused"; 2].map(str::to_owned));
        assert_eq!((facts.text("group_leader"), facts.text("session_leader")), ("no".to_owned(), "no".to_owned()));
        if name == "pidproxy" {
            // The Go runtime has some of its own.
            assert_eq!(facts.numbers("descriptors"), [0, 1, 2, 3, 8]);
            assert_eq!(facts.get("env.PIDPROXY_OPTIONS"), None);
        }
    });
}

/// SIGCHLD too: where it is an init, it has to wait for children itself; here it has not.
#[test]
fn blocked_and_ignored_signals_stay_so() {
    if let Err(reason) = needs::root() {
        return skip(&reason);
    }
    let scope = Scope::new();
    let (blocked, ignored) = ([libc::SIGUSR1, libc::SIGTERM, 40], [libc::SIGHUP, libc::SIGCHLD, 50]);
    let proxy = Proxy::new(&scope).options(["-x", "-U", "1234"]).blocked(&blocked).ignored(&ignored);
    proxy.specimen(["facts"]).run().expect_code(0);
    let facts = scope.reports().expect("facts", "facts");
    let set = |key: &str| signals::in_set(&facts.text(key));
    assert_eq!((set("blocked"), set("ignored")), (blocked.to_vec(), ignored.to_vec()));
}

#[test]
fn the_words_of_the_command_are_untouched() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    let switchers = Switchers::new();
    let directory = switchers.scope.path("bin");
    fs::create_dir(&directory).expect("a new directory");
    std::os::unix::fs::symlink(switchers.scope.specimen(), directory.join("tool")).expect("our own directory");
    let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", directory.display());
    each(&switchers, "anna", |name, switcher| {
        // Found in PATH, and called as it was named.
        switcher.env("PATH", &path).command(["tool", "facts", "--name=-x", "--env=a b", "--env="]).run().expect_code(0);
        let argv = switchers.scope.reports().expect("-x", "facts").list("argv");
        assert_eq!(argv, ["tool", "facts", "--name=-x", "--env=a b", "--env="], "{name}");
    });
    each(&switchers, "anna", |name, switcher| {
        let words = ["sh", "-c", "printf '%s\\n' \"$0\" \"$@\"", "zero", "", "-", "--", "a\nb", "-U"];
        assert_eq!(switcher.command(words).run().expect_code(0).stdout, "zero\n\n-\n--\na\nb\n-U\n", "{name}");
    });
    let words = switchers.ours("anna").command(["--", "sh", "-c", "echo $0 $@", "zero", "--"]).run();
    assert_eq!(words.expect_code(0).stdout, "zero --\n");
}

#[test]
fn the_status_is_that_of_the_program() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    let switchers = Switchers::new();
    // Without a directory that is root's alone: what may be in there is not known not to be there.
    let path = "/usr/sbin:/usr/bin:/sbin:/bin";
    let run = |words: &[&str]| switchers.ours("anna").env("PATH", path).command(words).run();
    run(&["sh", "-c", "exit 43"]).expect_code(43);
    // Nobody is between the program and who waits for it.
    assert_eq!(run(&["sh", "-c", "kill -TERM $$"]).signal(), Some(libc::SIGTERM));
    let file = switchers.scope.path("file");
    fs::write(&file, "").expect("our own directory");
    let file = file.to_str().expect("a path of ASCII").to_owned();
    for (command, code) in [("/no/such/program", 127), ("no-such-program", 127), (file.as_str(), 126), ("/", 126)] {
        let finished = run(&[command]).expect_code(code);
        let line = finished.stderr.strip_suffix('\n').unwrap_or_default();
        assert!(line.starts_with("pidproxy: ") && line.contains(command) && !line.contains('\n'), "{line:?}");
    }
}

#[test]
fn groups_can_be_switched_alone() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    let switchers = Switchers::new();
    let ours = |options: &[&str]| {
        let proxy = Proxy::new(&switchers.scope).prefix(switchers.private.prefix()).options(options);
        whom(&switchers, proxy.user(0, 7, &[4, 5]))
    };
    assert_eq!(ours(&["-x", "-G", "staff"]), "0:50 (50), /before");
    assert_eq!(ours(&["-xUanna", "-G", "staff"]), "1000:50 (50), /home/anna");
    assert_eq!(ours(&["-U", "anna", "-x"]), "1000:1001 (50 60 1001), /home/anna");
}

#[test]
fn a_command_is_wanted() {
    if let Err(reason) = needs::root() {
        return skip(&reason);
    }
    let scope = Scope::new();
    for words in [&["-x"][..], &["-x", "-U", "1234"], &["-x", "-U", "1234", "--"]] {
        let finished = Proxy::new(&scope).options(words).run().expect_code(125);
        assert_eq!((finished.stderr.lines().count(), finished.stdout.as_str()), (1, ""), "{words:?}");
    }
}

#[test]
fn a_terminal_is_not_handed_over_unasked() {
    if let Err(reason) = needs::root() {
        return skip(&reason);
    }
    let scope = Scope::new();
    let run = |options: &[&str]| {
        let proxy = Proxy::new(&scope).options(["-x", "-U", "1234"]).options(options);
        proxy.stdin(Input::Terminal).command(["sh", "-c", "exit 43"]).run()
    };
    run(&[]).expect_failure("1234");
    run(&["-t"]).expect_code(43);
}

#[test]
fn who_is_not_root_cannot_switch() {
    if let Err(reason) = needs::root() {
        return skip(&reason);
    }
    let scope = Scope::new();
    for user in ["0", "1001", "1000:50"] {
        let proxy = Proxy::new(&scope).user(1000, 1000, &[1000]).options(["-x", "-U", user]);
        proxy.command(["true"]).run().expect_failure(user.rsplit(':').next().unwrap_or(user));
    }
}

/// A copy of the binary that anybody may execute with these rights.
fn install(scope: &Scope, name: &str, owner: (u32, u32), mode: u32) -> PathBuf {
    let copy = scope.path(name);
    copy_file(&crate::harness::binary(), &copy);
    chown(&copy, Some(owner.0), Some(owner.1)).expect("our own file");
    fs::set_permissions(&copy, Permissions::from_mode(mode)).expect("our own file");
    copy
}

/// Another process writes it: a descriptor of ours could be inherited by a fork in another test's thread, and to execute
/// the file would then fail with ETXTBSY.
fn copy_file(from: &Path, to: &Path) {
    let run = std::process::Command::new("cp").arg(from).arg(to).status().expect("cp runs");
    assert!(run.success(), "cannot copy {}", from.display());
}

/// Who has set it up so wants to give everybody root's rights, knowingly or not: it does nothing at all.
#[test]
fn it_refuses_to_work_with_rights_that_its_caller_does_not_have() {
    if let Err(reason) = needs::root().and_then(|()| honours_set_uid()) {
        return skip(&reason);
    }
    let scope = Scope::new();
    let place = scope.directory_for("place", 1000, 1000);
    let (started, pid_file) = (place.join("started"), place.join("pid"));
    let touch = |proxy: Proxy<'_>| proxy.command(["touch"]).command([&started]).run();
    let installations = [
        ("set-uid", install(&scope, "set-uid", (0, 0), 0o4755)),
        ("set-gid", install(&scope, "set-gid", (0, 0), 0o2755)),
        ("set-uid-init", install(&scope, "set-uid-init", (0, 0), 0o4755)),
        ("set-uid-other", install(&scope, "set-uid-other", (1234, 1234), 0o6755)),
    ];
    let mut faults = Vec::new();
    for (name, file) in &installations {
        let proxy = || Proxy::new(&scope).binary(file).user(1000, 1000, &[1000]);
        let runs: [(&str, Finished); 8] = [
            ("follow", touch(proxy().pid_file(&pid_file))),
            ("follow as", touch(proxy().options(["-U", "0"]).pid_file(&pid_file))),
            ("attach", proxy().pid_file(&pid_file).run()),
            ("init", touch(proxy().pid_file("-"))),
            ("pause", proxy().pid_file("-").run()),
            ("switch", touch(proxy().options(["-x", "-U", "0"]))),
            ("hook", touch(proxy().options(["-E", "/bin/true"]).pid_file("-"))),
            ("options", touch(proxy().env("PIDPROXY_OPTIONS", "-U 0").pid_file("-"))),
        ];
        for (mode, finished) in runs {
            if let Err(fault) = finished.check_failure("") {
                faults.push(format!("{name}, {mode}: {fault}"));
            }
            if started.exists() || pid_file.exists() {
                faults.push(format!("{name}, {mode}: it has done something"));
                let _ = fs::remove_file(&started);
            }
        }
    }
    assert_no_faults(&faults);
    // Who has the rights already gains nothing.
    let by_root = Proxy::new(&scope).binary(&installations[0].1).options(["-x", "-U", "1234"]);
    by_root.command(["sh", "-c", "exit 43"]).run().expect_code(43);
}

/// Needs a file system that is not mounted `nosuid`, and a process that may gain rights.
fn honours_set_uid() -> Result<(), String> {
    let scope = Scope::new();
    let copy = scope.path("id");
    let id: &Path = &find_program("id").ok_or_else(|| needs::missing("id"))?;
    copy_file(id, &copy);
    fs::set_permissions(&copy, Permissions::from_mode(0o4755)).expect("our own file");
    let finished = Proxy::absent(&scope).user(1000, 1000, &[]).command([copy]).command(["-u"]).run();
    if finished.stdout == "0\n" { Ok(()) } else { Err("needs set-uid files to be honoured".to_owned()) }
}

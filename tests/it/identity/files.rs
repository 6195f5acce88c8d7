//! The files as a whole: missing, unreadable, and of any size.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;

use super::{Accounts, Expected, GROUP, PASSWD, RAN, assert_no_faults, private_accounts};
use crate::harness::needs::{self, skip};

#[test]
fn files_may_be_missing_or_empty() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    let nothing = [None, Some(""), Some("\n\n\n")];
    for passwd in nothing {
        for group in nothing {
            let accounts = Accounts::new(passwd, group);
            assert_no_faults([
                accounts.check_run(&["-U", "1234"], &Expected::new(1234, 1234, &[1234], "/")),
                accounts.check_run(&["-U", "0"], &Expected::new(0, 0, &[0], "/")),
                accounts.check_run(&["-U", "1234:50"], &Expected::new(1234, 50, &[50], "/")),
                accounts.check_run(&["-G", "50"], &Expected::new(0, 50, &[50], "/before")),
                accounts.check_refused(&["-U", "anna"], "anna"),
                accounts.check_refused(&["-U", "root"], "root"),
                accounts.check_refused(&["-U", "1234:staff"], "staff"),
                accounts.check_refused(&["-G", "root"], "root"),
            ]);
        }
        let accounts = Accounts::new(Some(PASSWD), nothing[0]);
        let alone = Expected::new(1000, 1001, &[1001], "/home/anna");
        assert_no_faults([accounts.check_run(&["-U", "anna"], &alone)]);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_not_taken_for_an_empty_one() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    for name in ["passwd", "group"] {
        let accounts = Accounts::usual();
        let file = accounts.private.directory().join(name);
        fs::remove_file(&file).expect("our own file");
        fs::create_dir(&file).expect("our own directory");
        let directory = accounts.check_refused(&["-U", "anna"], "");
        fs::remove_dir(&file).expect("our own directory");
        symlink(&file, &file).expect("our own directory");
        let looping = accounts.check_refused(&["-U", "anna"], "");
        assert_no_faults([directory, looping]);
    }
}

#[test]
fn a_file_that_can_be_read_in_part_only_is_not_taken_for_a_shorter_one() {
    if let Err(reason) = private_accounts().and_then(|()| needs::strace()) {
        return skip(&reason);
    }
    let group = format!("staff:x:50:anna\n{}last:x:62:anna\n", "pad:x:80:\n".repeat(10_000));
    let accounts = Accounts::new(Some(PASSWD), Some(&group));
    let strace = "strace -f -qq -o /dev/null -P /etc/group -e trace=read -e inject=read:error=EIO:when=2";
    let finished = accounts.attempt().options(["-U", "anna"]).prefix(strace.split(' ')).run();
    assert_no_faults([accounts.check_not_started(&finished, "")]);
}

const MIB: usize = 1 << 20;

#[test]
fn lines_and_files_may_be_of_any_size() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    let long = "x".repeat(MIB);
    let many_users = (0..MIB / 32).fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "u{number}:x:{}:100::/:/bin/sh", 100_000 + number);
        text
    });
    let many_groups = (0..MIB / 16).fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "g{number}:x:{}:bob", 100_000 + number);
        text
    });
    let colons = ":".repeat(MIB);
    let anna =
        |password: &str, gecos: &str, shell: &str| format!("anna:{password}:1000:1001:{gecos}:/home/anna:{shell}\n");
    let files: [(&str, String, String); 12] = [
        ("gecos", anna("x", &long, "/bin/sh"), GROUP.to_owned()),
        ("password", anna(&long, "", "/bin/sh"), GROUP.to_owned()),
        ("shell", anna("x", "", &long), GROUP.to_owned()),
        ("line before", format!("{long}\n{PASSWD}"), format!("{long}\n{GROUP}")),
        ("name before", format!("{long}:x:1006:1::/:\n{PASSWD}"), GROUP.to_owned()),
        ("home before", format!("bob:x:1002:1::/{long}:\n{PASSWD}"), GROUP.to_owned()),
        ("colons", format!("{colons}\n{PASSWD}"), format!("{colons}\n{GROUP}")),
        ("lines", "\n".repeat(MIB) + PASSWD, "\n".repeat(MIB) + GROUP),
        ("files", many_users + PASSWD, many_groups + GROUP),
        ("group password", PASSWD.to_owned(), GROUP.replace("first:x:", &format!("first:{long}:"))),
        ("group name", PASSWD.to_owned(), GROUP.replace("first:", &format!("{long}:"))),
        ("member", PASSWD.to_owned(), GROUP.replace("first:x:60:", &format!("first:x:60:{long},,"))),
    ];
    assert_no_faults(files.iter().map(|(what, passwd, group)| {
        let accounts = Accounts::new(Some(passwd), Some(group));
        let checked = accounts
            .check_run(&["-U", "anna"], &Expected::anna())
            .and_then(|()| accounts.check_run(&["-U", "1000"], &Expected::anna()))
            .and_then(|()| accounts.check_run(&["-G", "last"], &Expected::new(0, 62, &[62], "/before")));
        checked.map_err(|fault| format!("{what}: {fault}"))
    }));
}

/// The files are read piece by piece: an entry may lie across the end of a piece in any way.
#[test]
fn entries_may_lie_across_pieces() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    let anna = "anna:x:1000:1001:Anna:/home/anna:/bin/sh\n";
    let staff = "staff:x:50:bob,anna\nlast:x:62:anna\n";
    let pads = [512, 1024, 4096].map(|piece| piece - anna.len() - 1..=piece);
    assert_no_faults(pads.into_iter().flatten().map(|pad| {
        let padding = format!("{}\n", "p".repeat(pad - 1));
        let accounts = Accounts::new(Some(&(padding.clone() + anna)), Some(&(padding + staff)));
        let expected = Expected::new(1000, 1001, &[50, 62, 1001], "/home/anna");
        let checked = accounts.check_run(&["-U", "anna"], &expected);
        checked.map_err(|fault| format!("behind {pad} bytes: {fault}"))
    }));
}

#[test]
fn a_home_directory_may_be_as_long_as_a_path() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    // A path has at most 4095 bytes. What is longer is none, but what it begins with is another: it is never cut.
    assert_no_faults([1, 1000, 2000, 4000, 4090, 4095, 4096, 4097, 5000, 65_536, 1 << 20].iter().map(|&length| {
        let home = format!("/{}", "h".repeat(length - 1));
        let accounts = Accounts::new(Some(&format!("anna:x:1000:1001::{home}:\n")), None);
        let check = |home: &str| accounts.check_run(&["-U", "anna"], &Expected::new(1000, 1001, &[1001], home));
        let outcome = match length {
            ..=1000 => check(&home),
            1001..=4095 => check(&home).or_else(|_| check("/")),
            _ => check("/"),
        };
        outcome.map_err(|fault| format!("{length} bytes: {fault:.200}"))
    }));
}

#[test]
fn as_many_groups_as_the_kernel_takes() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    let passwd = "anna:x:1000:1001::/home/anna:\n";
    let groups = |count: u32| {
        (0..count).fold(String::new(), |mut text, number| {
            let _ = writeln!(text, "g{number}:x:{}:bob,anna", 100_000 + number);
            text
        })
    };
    // The list has room for 65,536, the user's own first among them: where there are more, the last ones are left out.
    let accounts = Accounts::new(Some(passwd), Some(&groups(65_535)));
    let mut expected = vec![1001];
    expected.extend(100_000..165_535);
    let all = accounts.check_run(&["-U", "anna"], &Expected::new(1000, 1001, &expected, "/home/anna"));
    let accounts = Accounts::new(Some(passwd), Some(&groups(65_536)));
    let full = accounts.check_run(&["-U", "anna"], &Expected::new(1000, 1001, &expected, "/home/anna"));
    assert_no_faults([all, full]);

    // With more it may fail, but never with groups that are not hers.
    let accounts = Accounts::new(Some(passwd), Some(&groups(70_000)));
    let finished = accounts.facts_of_command().options(["-U", "anna"]).run();
    if finished.code() == Some(RAN) {
        let facts = accounts.scope.reports().expect("facts", "facts");
        Expected::new(1000, 1001, &facts.numbers("groups"), "/home/anna").check(&facts).expect("anna");
        let given = facts.numbers("groups");
        assert!(given.len() == 65_536 && given.iter().all(|gid| *gid == 1001 || (100_000..170_000).contains(gid)));
    } else {
        finished.expect_failure("anna");
    }
}

#[test]
fn a_group_may_have_any_number_of_members() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    let names = |from: usize, to: usize| {
        (from..to).fold(String::new(), |mut text, number| {
            let _ = write!(text, "u{number},");
            text
        })
    };
    let table = [
        ("first", format!("crowd:x:777:anna,{}", names(0, 10_000)), true),
        ("in the middle", format!("crowd:x:777:{}anna,{}", names(0, 5_000), names(5_000, 10_000)), true),
        ("last", format!("crowd:x:777:{}anna", names(0, 10_000)), true),
        ("last of 65,536", format!("crowd:x:777:{}anna\n", names(0, 65_536)), true),
        ("more than once", format!("crowd:x:777:{}\n", "anna,".repeat(10_000)), true),
        ("almost", format!("crowd:x:777:{}ann,nna,annaanna\n", names(0, 10_000)), false),
    ];
    assert_no_faults(table.iter().map(|(where_, group, is_member)| {
        let accounts = Accounts::new(Some(PASSWD), Some(group.as_str()));
        let groups: &[u32] = if *is_member { &[777, 1001] } else { &[1001] };
        let checked = accounts.check_run(&["-U", "anna"], &Expected::new(1000, 1001, groups, "/home/anna"));
        checked.map_err(|fault| format!("{where_}: {fault}"))
    }));
}

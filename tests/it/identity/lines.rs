//! The lines of passwd(5) and group(5): which count, and which are skipped.

use super::{Accounts, Expected, GROUP, GROUPS_OF_ANNA, PASSWD, assert_no_faults, private_accounts};
use crate::harness::needs::skip;

/// Lines of passwd(5) that are none. `mallory` is not found by them, nor is the uid 4711.
const BAD_USERS: &[&str] = &[
    "mallory",
    "mallory:",
    "mallory:x",
    "mallory:x:",
    "mallory:x:4711",
    "mallory:x:4711:",
    "mallory:x:4711:4711",
    "mallory:x:4711:4711:",
    "mallory:x:4711:4711:gecos",
    "mallory:x:4711:4711:gecos:/evil",
    "mallory:4711:4711:gecos:/evil:/bin/sh",
    "mallory:x:::::",
    "mallory:x::4711::/evil:/bin/sh",
    "mallory:x:4711:::/evil:/bin/sh",
    "mallory:x:root:0::/evil:/bin/sh",
    "mallory:x:4711:root::/evil:/bin/sh",
    "mallory:x:-1:4711::/evil:/bin/sh",
    "mallory:x:4711:-1::/evil:/bin/sh",
    "mallory:x:+4711:4711::/evil:/bin/sh",
    "mallory:x:4711:+4711::/evil:/bin/sh",
    "mallory:x: 4711:4711::/evil:/bin/sh",
    "mallory:x:4711 :4711::/evil:/bin/sh",
    "mallory:x:4711: 4711::/evil:/bin/sh",
    "mallory:x:4711:4711 ::/evil:/bin/sh",
    "mallory:x:4711x:4711::/evil:/bin/sh",
    "mallory:x:0x1267:4711::/evil:/bin/sh",
    "mallory:x:4711:0x1267::/evil:/bin/sh",
    "mallory:x:4711.0:4711::/evil:/bin/sh",
    "mallory:x:4711,0:4711::/evil:/bin/sh",
    "mallory:x:4294967295:4711::/evil:/bin/sh",
    "mallory:x:4711:4294967295::/evil:/bin/sh",
    // 2^32 and 2^64, and what wraps to 4711.
    "mallory:x:4294967296:4711::/evil:/bin/sh",
    "mallory:x:4711:4294967296::/evil:/bin/sh",
    "mallory:x:4294972007:4711::/evil:/bin/sh",
    "mallory:x:4711:4294972007::/evil:/bin/sh",
    "mallory:x:18446744073709551616:4711::/evil:/bin/sh",
    "mallory:x:18446744073709556327:4711::/evil:/bin/sh",
    "mallory:x:4711\r:4711::/evil:/bin/sh",
    "mallory:x:4711:4711\r::/evil:/bin/sh",
    "mallory:x:4711:4711\r",
    "mallory:x:4711\t:4711::/evil:/bin/sh",
];

/// Looks that no user is found by these lines.
#[track_caller]
fn assert_no_users(lines: &[&str]) {
    assert_no_faults(lines.iter().map(|line| {
        // The line is between good ones, and then the last one, without a new-line behind it.
        let mut outcome = Ok(());
        for passwd in [format!("bob:x:1002:1002:::\n{line}\n{PASSWD}"), format!("{PASSWD}{line}")] {
            let accounts = Accounts::new(Some(&passwd), Some(GROUP));
            let stranger = Expected::new(4711, 4711, &[4711], "/");
            outcome = outcome
                .and_then(|()| accounts.check_refused(&["-U", "mallory"], "mallory"))
                .and_then(|()| accounts.check_run(&["-U", "4711"], &stranger))
                .and_then(|()| accounts.check_run(&["-U", "anna"], &Expected::anna()));
        }
        outcome.map_err(|fault| format!("{line:?}: {fault}"))
    }));
}

#[test]
fn malformed_lines_of_passwd_are_skipped() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    assert_no_users(BAD_USERS);
}

/// Lines of group(5) that are none, or that do not name anna. `evil` is not found by them, and gives her no group.
const BAD_GROUPS: &[&str] = &[
    "evil",
    "evil:",
    "evil:x",
    "evil:x:",
    "evil:x:6666",
    "evil:anna",
    "evil:x:anna",
    "evil:6666:anna",
    "evil:x::anna",
    "evil:x:-1:anna",
    "evil:x:+6666:anna",
    "evil:x: 6666:anna",
    "evil:x:6666 :anna",
    "evil:x:6666x:anna",
    "evil:x:0x1a0a:anna",
    "evil:x:6666.0:anna",
    "evil:x:6666,:anna",
    "evil:x:6666,anna",
    "evil:x:4294967295:anna",
    "evil:x:4294967296:anna",
    "evil:x:4294973962:anna",
    "evil:x:18446744073709551616:anna",
    "evil:x:6666\r:anna",
    "evil:x:6666\t:anna",
    // Whoever belongs to these, it is not anna.
    "other:x:6666:ann,annabel,nna,joanna,Anna,ANNA,anna2",
    "other:x:6666:anna:bob,anna:",
    "other:x:6666:bob,anna\r",
];

/// Looks that no group is found by these lines.
#[track_caller]
fn assert_no_groups(lines: &[&str]) {
    assert_no_faults(lines.iter().map(|line| {
        let mut outcome = Ok(());
        for group in [format!("wheel:x:10:\n{line}\n{GROUP}"), format!("{GROUP}{line}")] {
            let accounts = Accounts::new(Some(PASSWD), Some(&group));
            outcome = outcome
                .and_then(|()| accounts.check_refused(&["-G", "evil"], "evil"))
                .and_then(|()| accounts.check_run(&["-U", "anna"], &Expected::anna()))
                .and_then(|()| accounts.check_run(&["-G", "last"], &Expected::new(0, 62, &[62], "/before")));
        }
        outcome.map_err(|fault| format!("{line:?}: {fault}"))
    }));
}

#[test]
fn malformed_lines_of_group_are_skipped() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    assert_no_groups(BAD_GROUPS);
}

/// What is no text is no entry.
#[test]
fn users_with_a_nul_are_skipped() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    assert_no_users(&[
        "mallory:x:4711\0:4711::/evil:/bin/sh",
        "mallory:x:4711:4711\0::/evil:/bin/sh",
        "mallory:x:4711:4711::/evil\0:/bin/sh",
        "mallory\0:x:4711:4711::/evil:/bin/sh",
        "mallory:\0x:4711:4711::/evil:/bin/sh",
    ]);
}

/// The same, for groups.
#[test]
fn groups_with_a_nul_are_skipped() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    assert_no_groups(&[
        "evil:x:6666\0:anna",
        "evil\0:x:6666:anna",
        "evil:x\0:6666:anna",
        "other:x:6666:bob,anna\0",
        "other:x:6666:bob,\0anna",
    ]);
}

/// What nsswitch.conf(5) has for "compat", comments, and what has no name: the GNU C library does not take them for
/// entries.
#[test]
fn users_without_a_proper_name_are_skipped() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    assert_no_users(&[
        "+",
        "+::::::",
        "+mallory",
        "+mallory::::::",
        "+mallory:x:4711:4711::/evil:/bin/sh",
        "-mallory:x:4711:4711::/evil:/bin/sh",
        "+@mallory:x:4711:4711::/evil:/bin/sh",
        "#mallory:x:4711:4711::/evil:/bin/sh",
        ":x:4711:4711::/evil:/bin/sh",
    ]);
}

/// The same, for groups.
#[test]
fn groups_without_a_proper_name_are_skipped() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    assert_no_groups(&[
        "+",
        "+:x:6666:anna",
        "+:::",
        "+evil",
        "+evil:::",
        "+evil:x:6666:anna",
        "-evil:x:6666:anna",
        "#evil:x:6666:anna",
        ":x:6666:anna",
    ]);
}

/// Only a new-line ends a line: what stands behind another character of control is no line of its own.
#[test]
fn no_line_begins_within_another() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    let controls = (0..0x20).chain([0x7f, 0x80, 0x85, 0xa0, 0xff]).filter(|&byte| byte != b'\n');
    assert_no_faults(controls.map(|byte: u8| {
        let control = [byte];
        let passwd = [
            b"junk".as_slice(),
            &control,
            b"mallory:x:4711:0::/evil:/bin/sh\n",
            b"junk:x:1200:1200:junk",
            &control,
            b"mallory:x:4711:0::/evil:/bin/sh\n",
            b"junk:x:1200:1200::/junk:/bin/sh",
            &control,
            b"mallory:x:4711:0::/evil:/bin/sh\n",
            PASSWD.as_bytes(),
        ]
        .concat();
        let group = [
            b"junk".as_slice(),
            &control,
            b"evil:x:6666:\n",
            b"junk:junk",
            &control,
            b"evil:x:6666:anna\n",
            b"junk",
            &control,
            b"\n",
            GROUP.as_bytes(),
        ]
        .concat();
        let accounts = Accounts::of_bytes(Some(&passwd), Some(&group));
        let outcome = accounts.check_refused(&["-U", "mallory"], "mallory");
        let outcome = outcome.and_then(|()| accounts.check_refused(&["-G", "evil"], "evil"));
        let outcome = outcome.and_then(|()| accounts.check_run(&["-U", "anna"], &Expected::anna()));
        outcome.map_err(|fault| format!("byte {byte:#x}: {fault}"))
    }));
}

/// Lines that look odd, and are as good as any.
#[test]
fn odd_but_good_lines_are_read() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    let users: [(&[u8], &str); 8] = [
        (b"odd::1000:1001:::", "/"),
        (b"odd:x:1000:1001:Odd\tTab:/home/odd:/bin/sh", "/home/odd"),
        (b"odd:x:1000:1001:\xe4\xff\xc3\xa4\x80 \x1b[m,;#+:/home/odd:/bin/sh", "/home/odd"),
        (b"odd:x:1000:1001::/home/odd:/bin/sh\r", "/home/odd"),
        (b"odd:x:1000:1001::/home/with a blank:", "/home/with a blank"),
        (b"odd:x:1000:1001::relative:", "relative"),
        (b"odd:x:0001000:00000000000001001::/home/odd:", "/home/odd"),
        (b"odd:!:1000:1001::/home/od\xc3\xa4:", "/home/od\u{e4}"),
    ];
    let group = GROUP.replace("anna", "odd");
    let mut results: Vec<Result<(), String>> = users
        .iter()
        .map(|(line, home)| {
            // The last line of the file has no new-line.
            let passwd = [b"\n\n:\n", *line].concat();
            let accounts = Accounts::of_bytes(Some(&passwd), Some(group.trim_end().as_bytes()));
            let checked = accounts.check_run(&["-U", "odd"], &Expected::new(1000, 1001, &GROUPS_OF_ANNA, home));
            checked.map_err(|fault| format!("{:?}: {fault}", String::from_utf8_lossy(line)))
        })
        .collect();
    let groups = [
        "odd:x:6666:anna\r\n",
        "odd::6666:anna,",
        "odd:x:6666:anna,bob\r\n",
        "odd:x:006666:bob,anna",
        "od d:x:6666:anna",
        "\u{e4}:x:6666:b\u{e4}b,anna",
    ];
    results.extend(groups.iter().map(|line| {
        let accounts = Accounts::new(Some(PASSWD), Some(line));
        let groups: &[u32] = if line.contains("anna\r") { &[1001] } else { &[1001, 6666] };
        let checked = accounts.check_run(&["-U", "anna"], &Expected::new(1000, 1001, groups, "/home/anna"));
        checked.map_err(|fault| format!("{line:?}: {fault}"))
    }));
    assert_no_faults(results);
}

#[test]
fn the_first_entry_wins() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    let passwd = "\
anna:x:1000:1001::/first:
anna:x:2000:2001::/second:
alias:x:1000:3001::/alias:
twin:x:4000:4001::/first:
other:x:4000:4002::/second:
";
    let group = "same:x:70:alias\nsame:x:71:anna,twin\nmore:x:72:other\nmore:x:73:anna\n";
    let accounts = Accounts::new(Some(passwd), Some(group));
    let check = |options: &[&str], expected: &Expected| accounts.check_run(options, expected);
    assert_no_faults([
        check(&["-U", "anna"], &Expected::new(1000, 1001, &[71, 73, 1001], "/first")),
        check(&["-U", "1000"], &Expected::new(1000, 1001, &[71, 73, 1001], "/first")),
        check(&["-U", "alias"], &Expected::new(1000, 3001, &[70, 3001], "/alias")),
        check(&["-U", "4000"], &Expected::new(4000, 4001, &[71, 4001], "/first")),
        check(&["-U", "other"], &Expected::new(4000, 4002, &[72, 4002], "/second")),
        check(&["-G", "same"], &Expected::new(0, 70, &[70], "/before")),
        check(&["-U", "anna:more"], &Expected::new(1000, 72, &[72], "/first")),
    ]);
}

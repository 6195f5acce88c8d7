//! Who is named: by name or number, with a group or without, or wrongly.

use super::{Accounts, Expected, GROUP, PASSWD, assert_no_faults, private_accounts};
use crate::harness::needs::skip;

#[test]
fn names_and_numbers_are_switched_to() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    let accounts = Accounts::usual();
    let expect = Expected::new;
    let table: [(&[&str], Expected); 32] = [
        (&["-U", "anna"], Expected::anna()),
        (&["-Uanna"], Expected::anna()),
        (&["-U", "1000"], Expected::anna()),
        (&["-U", "anna:staff"], expect(1000, 50, &[50], "/home/anna")),
        (&["-U", "anna:10"], expect(1000, 10, &[10], "/home/anna")),
        (&["-U", "anna:4711"], expect(1000, 4711, &[4711], "/home/anna")),
        (&["-U", "1000:staff"], expect(1000, 50, &[50], "/home/anna")),
        (&["-U", "1000:50"], expect(1000, 50, &[50], "/home/anna")),
        (&["-U", "anna", "-G", "staff"], expect(1000, 50, &[50], "/home/anna")),
        (&["-G", "staff", "-U", "anna"], expect(1000, 50, &[50], "/home/anna")),
        (&["-U", "anna", "-G", "50"], expect(1000, 50, &[50], "/home/anna")),
        (&["-U", "anna:wheel", "-G", "staff"], expect(1000, 50, &[50], "/home/anna")),
        (&["-U", "anna", "-G", "anna"], expect(1000, 1001, &[1001], "/home/anna")),
        (&["-U", "bob", "-U", "anna"], Expected::anna()),
        (&["-U", "bob"], expect(1002, 1002, &[10, 50, 61, 62, 1002], "/home/bob")),
        (&["-U", "ann"], expect(1100, 1100, &[50, 61, 64, 1100], "/home/ann")),
        (&["-U", "lonely"], expect(1003, 1003, &[1003], "/home/lonely")),
        (&["-U", "homeless"], expect(1004, 1004, &[1004], "/")),
        (&["-U", "root"], expect(0, 0, &[0, 10], "/root")),
        (&["-U", "0"], expect(0, 0, &[0, 10], "/root")),
        (&["-U", "0:50"], expect(0, 50, &[50], "/root")),
        // Without an entry.
        (&["-U", "1234"], expect(1234, 1234, &[1234], "/")),
        (&["-U", "1234:staff"], expect(1234, 50, &[50], "/")),
        (&["-U", "1234:5678"], expect(1234, 5678, &[5678], "/")),
        // A number is an id, even where it is somebody's name, and it is a decimal one.
        (&["-U", "4321"], expect(4321, 4321, &[4321], "/")),
        (&["-U", "1234", "-G", "500"], expect(1234, 500, &[500], "/")),
        (&["-U", "01000"], Expected::anna()),
        // The highest ids there are.
        (&["-U", "4294967294"], expect(4_294_967_294, 4_294_967_294, &[4_294_967_294], "/home/high")),
        (&["-U", "1234:4294967294"], expect(1234, 4_294_967_294, &[4_294_967_294], "/")),
        (&["-U", "1234", "-G", "high"], expect(1234, 4_294_967_293, &[4_294_967_293], "/")),
        // A group alone leaves the user, and the home, as they are; but no supplementary group.
        (&["-G", "staff"], expect(0, 50, &[50], "/before")),
        (&["-G", "4294967294"], expect(0, 4_294_967_294, &[4_294_967_294], "/before")),
    ];
    assert_no_faults(table.iter().map(|(options, expected)| accounts.check_run(options, expected)));
}

#[test]
fn no_group_of_root_is_left() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    let accounts = Accounts::usual();
    let table: [(&[&str], Expected); 5] = [
        (&["-U", "anna"], Expected::anna()),
        (&["-U", "anna:staff"], Expected::new(1000, 50, &[50], "/home/anna")),
        (&["-U", "1234"], Expected::new(1234, 1234, &[1234], "/")),
        (&["-U", "0"], Expected::new(0, 0, &[0, 10], "/root")),
        (&["-G", "staff"], Expected::new(0, 50, &[50], "/before")),
    ];
    assert_no_faults(table.iter().map(|(options, expected)| {
        let proxy = accounts.facts_of_command().user(0, 7, &[0, 4, 5, 6, 7]);
        let checked = accounts.check_ran(&proxy.options(*options).run(), expected);
        checked.map_err(|fault| format!("{options:?}: {fault}"))
    }));
}

#[test]
fn bad_users_and_groups_are_refused() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    let passwd = format!("{PASSWD}-1:x:1007:1007::/:/bin/sh\n");
    let accounts = Accounts::new(Some(&passwd), Some(GROUP));
    let unknown_names = [
        "nobody-here",
        "Anna",
        "ANNA",
        "nna",
        "annab",
        "annabell",
        "joanna",
        "root ",
        " root",
        "x",
        "/bin/sh",
        "--",
        "*",
        "r",
        "roo",
        "root2",
        "anna,bob",
        "anna.staff",
        "anna\t",
        "\tanna",
        "anna\r",
        "anna\u{1}",
        "@",
        "\u{e4}",
    ];
    let bad_numbers = [
        "4294967295",
        "4294967296",
        "4294967297",
        "8589934592",
        "18446744073709551615",
        "18446744073709551616",
        "340282366920938463463374607431768211456",
        "00004294967296",
        "+0",
        "-0",
        "+1000",
        "-1000",
        "-1",
        " 1000",
        "1000 ",
        "\t0",
        "0\r",
        "0x",
        "0x0",
        "0x3e8",
        "1000x",
        "1e3",
        "1000.",
        "0.0",
        "1,000",
        "1000-",
        "\u{661}",
    ];
    let mut results = Vec::new();
    for word in unknown_names.iter().chain(&bad_numbers) {
        results.push(accounts.check_refused(&["-U", word], word));
        results.push(accounts.check_refused(&["-G", word], word));
        results.push(accounts.check_refused(&["-U", &format!("anna:{word}")], word));
        results.push(accounts.check_refused(&["-U", &format!("{word}:staff")], word));
    }
    assert_no_faults(results);
}

#[test]
fn parts_that_are_missing_or_too_many_are_refused() {
    if let Err(reason) = private_accounts() {
        return skip(&reason);
    }
    // Entries that an empty name would fit.
    let passwd = format!("{PASSWD}:x:1006:1006::/:/bin/sh\n::0:0:::\n");
    let group = format!("{GROUP}:x:70:anna\n::0:\n");
    let accounts = Accounts::new(Some(&passwd), Some(&group));
    assert_no_faults([
        accounts.check_refused(&["-U", ""], ""),
        accounts.check_refused(&["-G", ""], ""),
        accounts.check_refused(&["-tU", ""], ""),
        accounts.check_refused(&["-U", ":"], ":"),
        accounts.check_refused(&["-U", "::"], "::"),
        accounts.check_refused(&["-U:"], ":"),
        accounts.check_refused(&["-U", "anna:"], "anna:"),
        accounts.check_refused(&["-U", "1000:"], "1000:"),
        accounts.check_refused(&["-U", ":staff"], ":staff"),
        accounts.check_refused(&["-U", ":50"], ":50"),
        accounts.check_refused(&["-U", "anna::staff"], ":staff"),
        accounts.check_refused(&["-U", "anna:staff:"], "staff:"),
        accounts.check_refused(&["-U", "anna:staff:wheel"], "staff:wheel"),
        accounts.check_refused(&["-U", "1000:50:10"], "50:10"),
        accounts.check_refused(&["-G", ":"], ":"),
        accounts.check_refused(&["-G", "staff:"], "staff:"),
        accounts.check_refused(&["-G", ":staff"], ":staff"),
        accounts.check_refused(&["-G", "staff:wheel"], "staff:wheel"),
        accounts.check_refused(&["-G", "50:10"], "50:10"),
        // One that is good does not help.
        accounts.check_refused(&["-U", "nobody-here", "-G", "staff"], "nobody-here"),
        accounts.check_refused(&["-U", "anna", "-G", "nothing-here"], "nothing-here"),
        accounts.check_refused(&["-U", "nobody-here:50"], "nobody-here"),
    ]);
}

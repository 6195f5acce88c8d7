//! What stands in the file: a strict number, and it is the right one only when it is whole.

use super::{Stage, Stranger, Trace, expect_burst, expect_refused, send_burst};
use crate::harness::needs::{self, skip};
use crate::harness::{DEADLINE, Proxy, Report, Scope};

#[test]
fn what_is_not_strictly_a_number_is_refused() {
    // S stands for the stranger's pid.
    let forged: [(&str, &[u8]); 31] = [
        ("nothing", b""),
        ("a blank", b" "),
        ("an empty line", b"\n"),
        ("a second line", b"\nS\n"),
        ("a second line behind blanks", b"  \nS\n"),
        ("a plus", b"+S\n"),
        ("a minus", b"-S\n"),
        ("a blank behind the sign", b"- S\n"),
        ("a letter behind it", b"Sa\n"),
        ("letters behind it, and no line end", b"Sabc"),
        ("a letter before it", b"pS\n"),
        ("a full stop behind it", b"S.\n"),
        ("a comma behind it", b"S,\n"),
        ("a minus behind it", b"S-\n"),
        ("a colon behind it", b"S:\n"),
        ("a quotation", b"\"S\"\n"),
        ("a name before it", b"pid=S\n"),
        ("a hexadecimal prefix", b"0xS\n"),
        ("an exponent", b"Se0\n"),
        ("a NUL behind it", b"S\0\n"),
        ("a NUL behind it, and no line end", b"S\0"),
        ("NULs before it", b"\0\0\0S\n"),
        ("nothing but NULs", b"\0\0\0\0\0\0\n"),
        ("a byte-order mark", b"\xef\xbb\xbfS\n"),
        ("a no-break space behind it", b"S\xc2\xa0\n"),
        ("digits that are not ASCII's", b"\xd9\xa1\xd9\xa2\xd9\xa3\xd9\xa4\n"),
        ("2^31", b"2147483648\n"),
        ("2^32-1", b"4294967295\n"),
        ("2^32", b"4294967296\n"),
        ("2^64", b"18446744073709551616\n"),
        ("no number of any machine", b"99999999999999999999999999999999999999999999999\n"),
    ];
    for (what, template) in forged {
        expect_refused(what, |stage, stranger, _| {
            let pid = stranger.pid().to_string();
            let mut contents = Vec::new();
            for &byte in template {
                match byte {
                    b'S' => contents.extend(pid.as_bytes()),
                    byte => contents.push(byte),
                }
            }
            stage.write(contents);
        });
    }
}

/// The C original took `2^32+V` for `V`.
#[test]
fn numbers_do_not_wrap() {
    for factor in [1 << 31, 1 << 32, 10 << 32, 1 << 63, 1_u128 << 64] {
        expect_refused(&format!("{factor} and the stranger's pid"), |stage, stranger, _| {
            let sum = factor + u128::try_from(stranger.pid()).expect("a pid");
            stage.write(format!("{sum}\n"));
        });
    }
}

/// What reads into a buffer must not take the end of the buffer for the end of the number.
#[test]
fn a_number_is_not_cut_at_the_end_of_a_buffer() {
    for size in [16, 32, 64, 128, 256, 512, 1024, 4096] {
        for tail in ["000\n", "tail\n"] {
            let what = format!("{tail:?} at byte {size}");
            expect_refused(&what, |stage, stranger, _| {
                let pid = stranger.pid().to_string();
                stage.write(format!("{}{pid}{tail}", " ".repeat(size - pid.len())));
            });
        }
    }
}

#[test]
fn what_daemons_write_is_accepted() {
    let postgresql =
        "--write=%p\n/var/lib/postgresql/15/main\n1700000000\n5432\n/run/postgresql\nlocalhost\n  8 1\nready";
    let written: [(&str, &[&str]); 11] = [
        ("a line", &[]),
        ("no line end", &["--no-newline"]),
        ("no line end, by a rename", &["--no-newline", "--rename"]),
        ("27 blanks before it, as Postfix has them", &["--blanks=27"]),
        ("a tab before it", &["--write=\t%p"]),
        ("blanks behind it", &["--write=%p  "]),
        ("a carriage return behind it", &["--write=%p\r"]),
        ("leading zeros", &["--write=000%p"]),
        ("PostgreSQL's eight lines", &[postgresql]),
        ("words in the next line", &["--write=%p\nabc -1"]),
        ("a tab and a name behind it", &["--write=%p\tname"]),
    ];
    for (what, arguments) in written {
        eprintln!("to be accepted: {what}");
        let scope = Scope::new();
        let stage = Stage::new(&scope);
        let proxy = stage.seek(stage.launch().command(arguments));
        send_burst(&proxy);
        stage.expect_found(proxy);
    }
}

/// The first half of a number is another's pid. The proxy stops behind its first look, which sees that half.
#[test]
fn a_number_without_an_end_is_looked_at_twice() {
    if let Err(reason) = needs::strace() {
        return skip(&reason);
    }
    for end in ["\n", ""] {
        let scope = Scope::new();
        let (stage, stranger) = (Stage::new(&scope), Stranger::new(&scope));
        let _daemon = Proxy::absent(&scope).specimen(["program", "--name=daemon", &stage.control.option()]).spawn();
        let daemon = scope.reports().expect("daemon", "ready").pid();
        stage.write(stranger.pid().to_string());
        let trace = Trace::stopping_behind(&scope, "read", 1);
        let proxy = stage.attach().prefix(trace.prefix()).spawn();
        let seen = trace.expect_stop();
        assert!(seen.contains(&format!("\"{}\"", stranger.pid())), "{seen}");
        stage.write(format!("{daemon}{end}"));
        send_burst(&proxy);
        proxy.signal(libc::SIGCONT);
        // What goes on was sent to the proxy like any other signal.
        let is_continuation = |report: &Report| report.get("number") == Some(libc::SIGCONT.to_string());
        scope.reports().take(DEADLINE, is_continuation).expect("it is followed");
        expect_burst(&scope, "daemon");
        stranger.expect_untouched();
    }
}

//! What `-r` takes: signals by name and number.

use super::{Place, assert_no_faults};
use crate::harness::{DEADLINE, eventually, proc, signals};

/// Rewrites that are none. Those with a number too high would be good ones if they wrapped at 8, 32 or 64 bits.
const BAD_REWRITES: &[&str] = &[
    "=",
    ":",
    "15",
    "TERM",
    "15=",
    "TERM:",
    "=1",
    ":HUP",
    "==",
    "15==1",
    "15::1",
    "15=:1",
    "15=1=2",
    "15=1:2",
    "15=1=",
    "15=1,2=3",
    "15,1",
    "15;1",
    "15->1",
    "15 1",
    "15-1",
    "15/1",
    "15.1",
    "TERM HUP",
    "TERMHUP",
    "=15=1",
    "15=1;",
    // Blanks and signs.
    " 15=1",
    "15 =1",
    "15= 1",
    "15=1 ",
    "15 = 1",
    "\t15=1",
    "15=1\t",
    "+15=1",
    "-15=1",
    "15=+1",
    "15=-1",
    "15=-0",
    " TERM=HUP",
    "TERM =HUP",
    "TERM= HUP",
    "TERM=HUP ",
    "-TERM=HUP",
    "TERM=-HUP",
    "+TERM=HUP",
    // Numbers.
    "0=1",
    "00=1",
    "65=1",
    "66=1",
    "128=1",
    "255=1",
    "15=65",
    "15=66",
    "15=100",
    "15=127",
    "15=128",
    "15=255",
    "271=1",
    "15=256",
    "15=257",
    "65551=1",
    "15=65536",
    "15=65537",
    "2147483648=1",
    "15=2147483648",
    "15=4294967295",
    "4294967311=1",
    "15=4294967296",
    "15=4294967297",
    "18446744073709551631=1",
    "15=18446744073709551616",
    "15=18446744073709551617",
    // A number that is none, and then a name.
    "4294967296TERM=1",
    "4294967295TERM=1",
    "15=4294967296HUP",
    "15=4294967295HUP",
    "42949672961=1",
    "15TERM=1",
    "15=1HUP",
    "0TERM=1",
    "0x0f=1",
    "15=0x1",
    "15x=1",
    "15=1x",
    "1e1=1",
    "15=1e0",
    "15.0=1",
    "15=1.0",
    "\u{661}=1",
    "15=\u{661}",
    "1_5=1",
    // Names.
    "FOO=1",
    "15=FOO",
    "SIG=1",
    "15=SIG",
    "SIGFOO=1",
    "SIG15=1",
    "15=SIG1",
    "SIGSIGTERM=1",
    "15=SIGSIGTERM",
    "TER=1",
    "TERMX=1",
    "TERM1=1",
    "15=HUP1",
    "15=HU",
    "T=1",
    "XTERM=1",
    "TERM\u{e4}=1",
    "USR=1",
    "USR3=1",
    "15=USR0",
    "USR1+1=1",
    "USR2-1=1",
    "HUP+0=1",
    "15=INT+1",
    "NULL=1",
    "EXIT=1",
    "ALL=1",
    "TERM*=1",
    "SIG TERM=1",
    "SIG-TERM=1",
    "S IGTERM=1",
    // Real-time signals, 34 to 64.
    "RTMIN-1=1",
    "RTMAX+1=1",
    "RTMIN+=1",
    "RTMAX-=1",
    "RTMIN+31=1",
    "RTMAX-31=1",
    "15=RTMIN+31",
    "15=RTMAX-31",
    "RTMIN++1=1",
    "RTMIN+-1=1",
    "RTMIN+ 1=1",
    "RTMIN +1=1",
    "RTMIN+1+1=1",
    "RTMIN+x=1",
    "RTMIN+0x1=1",
    "RTMIN1=1",
    "RTMIN+4294967295=1",
    "RTMIN+4294967296=1",
    "RTMAX-4294967296=1",
    "RT+1=1",
    "RTMID=1",
];

#[test]
fn bad_rewrites_are_refused() {
    let place = Place::new();
    let mut results: Vec<Result<(), String>> = Vec::new();
    for &rewrite in BAD_REWRITES {
        results.push(place.check_refused(&["-r", rewrite], rewrite));
        results.push(place.check_refused(&[format!("-r{rewrite}")], rewrite));
        // A good one before does not make it good.
        results.push(place.check_refused(&["-r15=1", "-r", rewrite], rewrite));
    }
    assert_no_faults(results);
}

#[test]
fn rewrites_of_what_is_never_received_are_refused() {
    let place = Place::new();
    let never = [
        ("KILL", 9),
        ("STOP", 19),
        ("CHLD", 17),
        ("ILL", 4),
        ("TRAP", 5),
        ("ABRT", 6),
        ("BUS", 7),
        ("FPE", 8),
        ("SEGV", 11),
        ("SYS", 31),
    ];
    let mut results: Vec<Result<(), String>> = Vec::new();
    for (name, number) in never {
        let lower = name.to_lowercase();
        for from in [name.to_owned(), format!("SIG{name}"), lower.clone(), format!("sig{lower}"), number.to_string()] {
            for to in ["1", "0", "HUP", from.as_str()] {
                let rewrite = format!("{from}={to}");
                results.push(place.check_refused(&["-r", &rewrite], &rewrite));
            }
        }
    }
    assert_no_faults(results);
}

/// The names that signal(7) has for the numbers from 1 to 31.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];

/// Starts a daemon behind a proxy with these rewrites; sends each signal of the table and looks what comes of it.
#[track_caller]
fn check_rewrites(rewrites: &[String], table: &[(i32, i32)]) {
    let place = Place::new();
    let scope = &place.scope;
    let control = scope.control("control");
    // Attached and as the next word by turns.
    let words = rewrites.iter().enumerate().flat_map(|(index, rewrite)| {
        if index % 2 == 0 { vec![format!("-r{rewrite}")] } else { vec!["-r".to_owned(), rewrite.clone()] }
    });
    let running = place.proxy(words).pid_file("pid").specimen(["daemon", "--pid-file=pid", &control.option()]).spawn();
    scope.reports().expect("daemon", "ready");
    for &(sent, expected) in table {
        running.signal(sent);
        let arrived = scope.reports().expect("daemon", "signal").number("number");
        assert_eq!(arrived, expected.into(), "for {sent}: {rewrites:?}");
    }
    control.send("exit 3");
    running.wait().expect_code(3);
    assert_eq!(scope.reports().all_of("daemon", "signal").len(), table.len(), "{}", scope.evidence());
}

#[test]
fn signals_have_names_and_numbers() {
    let standard: Vec<i32> = signals::forwardable().into_iter().filter(|number| *number < 32).collect();
    let name = |number: i32| NAMES[usize::try_from(number - 1).expect("a signal")];
    let mixed = |name: &str| format!("Sig{}{}", &name[..1], name[1..].to_lowercase());
    let spellings: [&dyn Fn(i32) -> String; 6] = [
        &|number| name(number).to_owned(),
        &|number| format!("SIG{}", name(number)),
        &|number| name(number).to_lowercase(),
        &|number| format!("sig{}", name(number).to_lowercase()),
        &|number| mixed(name(number)),
        &|number| format!("{number:03}"),
    ];
    for (turn, spell) in spellings.iter().enumerate() {
        let separator = if turn % 2 == 0 { '=' } else { ':' };
        // Each standard signal becomes a real-time one of its own.
        let table: Vec<(i32, i32)> = standard.iter().zip(34..).map(|(&from, to)| (from, to)).collect();
        let rewrites: Vec<String> = table.iter().map(|&(from, to)| format!("{}{separator}{to}", spell(from))).collect();
        check_rewrites(&rewrites, &table);
        // And the other way: what can not be received can be sent. What nobody would see is left for another test.
        let sent = (1..32).filter(|number| ![libc::SIGKILL, libc::SIGSTOP].contains(number));
        let table: Vec<(i32, i32)> = (34..).zip(sent).collect();
        let rewrites: Vec<String> = table.iter().map(|&(from, to)| format!("{from}{separator}{}", spell(to))).collect();
        check_rewrites(&rewrites, &table);
    }
}

#[test]
fn real_time_signals_have_names() {
    let real_time = || 34..=64;
    let from_least = |number: i32| match number - 34 {
        0 => "RTMIN".to_owned(),
        offset => format!("RTMIN+{offset}"),
    };
    let from_most = |number: i32| match 64 - number {
        0 => "RTMAX".to_owned(),
        offset => format!("RTMAX-{offset}"),
    };
    let table: Vec<(i32, i32)> = real_time().zip(real_time().rev()).collect();
    let spelled = |from: &dyn Fn(i32) -> String, to: &dyn Fn(i32) -> String| {
        table.iter().map(|&(sent, arrives)| format!("{}={}", from(sent), to(arrives))).collect::<Vec<_>>()
    };
    check_rewrites(&spelled(&from_least, &from_most), &table);
    check_rewrites(&spelled(&from_most, &|number| from_least(number).to_lowercase()), &table);
    check_rewrites(&spelled(&|number| format!("sig{}", from_most(number)), &|number| number.to_string()), &table);
    check_rewrites(
        &["SIGRTMIN+0=RTMAX-0", "rtmax-00=SigRtMin+030", "32=USR1", "33:33"].map(str::to_owned),
        &[(34, 64), (64, 64), (32, libc::SIGUSR1), (33, 33)],
    );
}

#[test]
fn rewrites_add_up_but_never_chain() {
    let (usr1, usr2) = (libc::SIGUSR1, libc::SIGUSR2);
    let owned = |rewrites: &[&str]| rewrites.iter().map(|rewrite| (*rewrite).to_owned()).collect::<Vec<_>>();
    check_rewrites(&owned(&["USR1=USR2", "USR2=USR1"]), &[(usr1, usr2), (usr2, usr1), (1, 1)]);
    check_rewrites(&owned(&["1=2", "2=3", "3=1"]), &[(1, 2), (2, 3), (3, 1), (usr1, usr1)]);
    // Of several for one signal the last counts.
    check_rewrites(&owned(&["USR1=USR2", "10=HUP"]), &[(usr1, 1)]);
    check_rewrites(&owned(&["USR1=0", "USR1=HUP"]), &[(usr1, 1)]);
    check_rewrites(&owned(&["USR1=HUP", "USR1=USR1"]), &[(usr1, usr1)]);
}

#[test]
fn signals_are_dropped() {
    for drop in ["USR1=0", "10:0", "sigusr1=00", "SIGUSR1:0"] {
        let place = Place::new();
        let scope = &place.scope;
        let running = place
            .proxy(["-r", drop, "-rTERM=0"])
            .pid_file("pid")
            .specimen(["daemon", "--pid-file=pid", "--exit-on=USR2:3"])
            .spawn();
        scope.reports().expect("daemon", "ready");
        // The lower number is the first to be read, and the first that was sent.
        running.signal(libc::SIGUSR1);
        running.signal(libc::SIGUSR2);
        running.wait().expect_code(3);
        let arrived: Vec<i64> =
            scope.reports().expect_signals("daemon", 1).iter().map(|signal| signal.number("number")).collect();
        assert_eq!(arrived, [libc::SIGUSR2.into()], "{drop}");
        assert_eq!(scope.reports().all_of("daemon", "signal").len(), 1, "{drop}");
    }
}

#[test]
fn what_nobody_can_catch_can_be_sent() {
    for (kill, stop) in [("KILL", "STOP"), ("9", "19"), ("sigkill", "SIGSTOP")] {
        let place = Place::new();
        let running = place
            .proxy([format!("-rUSR1={kill}"), format!("-rUSR2={stop}")])
            .pid_file("pid")
            .specimen(["daemon", "--pid-file=pid"])
            .spawn();
        let daemon = place.scope.reports().expect("daemon", "ready").pid();
        running.signal(libc::SIGUSR2);
        eventually(DEADLINE, || (proc::state(daemon) == Some('T')).then_some(())).expect("it stops");
        running.signal(libc::SIGUSR1);
        running.wait().expect_code(128 + libc::SIGKILL);
    }
}

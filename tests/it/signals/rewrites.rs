//! `-r` and `-H`: what is sent in place of what came, and after it.

use super::{by_number, number_of, own_pid};
use crate::harness::signals::{payload, real_time};
use crate::harness::{Followed, Proxy, Scope, needs, needs::skip};

#[test]
fn another_signal_is_sent_in_its_place() {
    let cases: [(&[&str], i32, i32); 17] = [
        (&["-r", "15=1"], libc::SIGTERM, libc::SIGHUP),
        (&["-r15=1"], libc::SIGTERM, libc::SIGHUP),
        (&["-r", "15:1"], libc::SIGTERM, libc::SIGHUP),
        (&["-r", "HUP=USR1"], libc::SIGHUP, libc::SIGUSR1),
        (&["-r", "SIGQUIT=SIGTERM"], libc::SIGQUIT, libc::SIGTERM),
        (&["-r", "sigint:sigWinch"], libc::SIGINT, libc::SIGWINCH),
        (&["-r", "usr2=RTMIN+3"], libc::SIGUSR2, 37),
        (&["-r", "RTMIN=WINCH"], 34, libc::SIGWINCH),
        (&["-r", "RTMIN+5=RTMAX-1"], 39, 63),
        (&["-r", "SIGRTMAX-3=sigrtmin+0"], 61, 34),
        (&["-r", "rtmin+29:TSTP"], 63, libc::SIGTSTP),
        (&["-r", "32=33"], 32, 33),
        (&["-r", "PIPE=ALRM"], libc::SIGPIPE, libc::SIGALRM),
        (&["-r", "WINCH=CHLD"], libc::SIGWINCH, libc::SIGCHLD),
        (&["-r", "USR1=SEGV"], libc::SIGUSR1, libc::SIGSEGV),
        (&["-gr", "HUP=USR1"], libc::SIGHUP, libc::SIGUSR1),
        (&["-r", "HUP=INT", "-r", "INT=QUIT", "-rQUIT=HUP"], libc::SIGHUP, libc::SIGINT),
    ];
    for (options, sent, expected) in cases {
        let scope = Scope::new();
        let run = Followed::start(&scope, Proxy::new(&scope).options(options), &[]);
        run.running.signal(sent);
        assert_eq!(run.arrived_numbers(), [expected], "{options:?}");
        // Others go on as they are.
        run.running.signal(libc::SIGURG);
        assert_eq!(run.arrived_numbers(), [libc::SIGURG], "{options:?}");
        run.exit(0).expect_code(0);
    }
}

#[test]
fn a_rewrite_is_not_rewritten() {
    let scope = Scope::new();
    let options = ["-r1=2", "-r2=1", "-r", "USR1=USR2", "-r", "USR2=WINCH"];
    let run = Followed::start(&scope, Proxy::new(&scope).options(options), &[]);
    for (sent, expected) in [
        (libc::SIGHUP, libc::SIGINT),
        (libc::SIGINT, libc::SIGHUP),
        (libc::SIGUSR1, libc::SIGUSR2),
        (libc::SIGUSR2, libc::SIGWINCH),
    ] {
        run.running.signal(sent);
        assert_eq!(run.arrived_numbers(), [expected]);
    }
    run.exit(0).expect_code(0);
}

#[test]
fn zero_drops_a_signal() {
    let scope = Scope::new();
    let options = ["-r", "TERM=0", "-r", "2:0", "-r", "RTMIN+1=0", "-rwinch=0"];
    let run = Followed::start(&scope, Proxy::new(&scope).options(options), &["--exit-on=TERM:3"]);
    let dropped = [libc::SIGTERM, libc::SIGINT, libc::SIGWINCH, real_time(1)];
    for number in dropped {
        run.running.signal(number);
        run.running.queue(number, 1);
    }
    run.running.signal(libc::SIGHUP);
    assert_eq!(run.arrived_numbers(), [libc::SIGHUP]);
    run.exit(0).expect_code(0);
}

#[test]
fn a_payload_goes_on_with_the_other_signal() {
    let scope = Scope::new();
    let options = ["-r", "USR1=RTMIN+1", "-r", "RTMIN+2=USR2"];
    let run = Followed::start(&scope, Proxy::new(&scope).options(options), &[]);
    for (sent, expected) in [(libc::SIGUSR1, real_time(1)), (real_time(2), libc::SIGUSR2)] {
        run.running.queue(sent, payload(0xfeed_0000_beef));
        let arrived = run.arrived();
        assert_eq!(by_number(&arrived), [(expected, payload(0xfeed_0000_beef))]);
        assert_eq!((arrived[0].number("code"), arrived[0].number("pid")), (libc::SI_QUEUE.into(), own_pid()));
        run.running.signal(sent);
        assert_eq!(by_number(&run.arrived()), [(expected, 0)]);
    }
    run.exit(0).expect_code(0);
}

#[test]
fn what_can_not_be_received_can_be_sent() {
    let scope = Scope::new();
    let run = Followed::start(&scope, Proxy::new(&scope).options(["-r", "USR1=KILL"]), &[]);
    run.running.signal(libc::SIGUSR1);
    run.running.wait().expect_code(128 + libc::SIGKILL);
    let scope = Scope::new();
    let run = Followed::start(&scope, Proxy::new(&scope).options(["-r", "TSTP=STOP"]), &[]);
    run.running.signal(libc::SIGTSTP);
    let is_stopped = || (crate::harness::proc::state(run.daemon) == Some('T')).then_some(());
    crate::harness::eventually(crate::harness::DEADLINE, is_stopped).expect("it is stopped");
    run.running.signal(libc::SIGCONT);
    assert_eq!(run.arrived_numbers(), [libc::SIGCONT]);
    run.exit(0).expect_code(0);
}

#[test]
fn a_hang_up_follows_each_termination() {
    let cases: [(&[&str], i32, &[i32]); 8] = [
        (&["-H"], libc::SIGTERM, &[libc::SIGHUP, libc::SIGTERM]),
        (&["-H"], libc::SIGINT, &[libc::SIGINT]),
        (&["-H"], libc::SIGHUP, &[libc::SIGHUP]),
        (&["-H", "-r", "2=15"], libc::SIGINT, &[libc::SIGHUP, libc::SIGTERM]),
        (&["-H", "-r", "2=15"], libc::SIGTERM, &[libc::SIGHUP, libc::SIGTERM]),
        (&["-H", "-r", "TERM=QUIT"], libc::SIGTERM, &[libc::SIGQUIT]),
        (&["-H", "-r", "TERM=0"], libc::SIGTERM, &[]),
        (&[], libc::SIGTERM, &[libc::SIGTERM]),
    ];
    for (options, sent, expected) in cases {
        let scope = Scope::new();
        let run = Followed::start(&scope, Proxy::new(&scope).options(options), &[]);
        for _ in 0..3 {
            run.running.signal(sent);
            let mut arrived = run.arrived_numbers();
            arrived.sort_unstable();
            assert_eq!(arrived, expected, "{options:?} {sent}");
        }
        run.exit(0).expect_code(0);
    }
}

#[test]
fn the_hang_up_comes_second() {
    // Of two pending signals the daemon would see HUP first, whichever was sent first: so look at the calls.
    if let Err(reason) = needs::strace() {
        return skip(&reason);
    }
    let scope = Scope::new();
    let calls = scope.path("calls");
    let proxy = Proxy::new(&scope)
        .prefix(["strace", "-qq", "-e", "trace=pidfd_send_signal,kill,tgkill,rt_sigqueueinfo", "-o"])
        .prefix([&calls])
        .options(["-H", "-r2=15"]);
    let run = Followed::start(&scope, proxy, &[]);
    for number in [libc::SIGTERM, libc::SIGINT] {
        run.running.signal(number);
        run.arrived();
    }
    run.exit(0).expect_code(0);
    let calls = std::fs::read_to_string(&calls).expect("strace writes it");
    let sent: Vec<&str> = calls
        .lines()
        // Not what was refused, nor what only asks.
        .filter(|line| line.ends_with("= 0"))
        .filter_map(|line| ["SIGTERM", "SIGHUP"].into_iter().find(|name| line.contains(name)))
        .collect();
    assert_eq!(sent, ["SIGTERM", "SIGHUP", "SIGTERM", "SIGHUP"], "{calls}");
}

#[test]
fn a_launcher_is_hung_up_too() {
    let scope = Scope::new();
    let pid_file = format!("--pid-file={}", scope.path("pid").display());
    let running = Proxy::new(&scope)
        .options(["-H"])
        .pid_file(scope.path("pid"))
        .specimen(["daemon", "--launcher-stays", "--no-pid-file", &pid_file])
        .spawn();
    scope.reports().expect("launcher", "ready");
    running.signal(libc::SIGTERM);
    let mut numbers: Vec<i32> = scope.reports().expect_signals("launcher", 2).iter().map(number_of).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [libc::SIGHUP, libc::SIGTERM]);
}

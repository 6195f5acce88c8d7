//! The command line: what it takes, what it refuses, and that help, manual and README say the same about it.
//!
//! What is refused is refused before anything has happened: with a pid file that `-f` would remove, and a command that
//! would leave a file behind.

mod documents;
mod rewrites;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use crate::harness::needs;
use crate::harness::{Finished, Input, Output, Proxy, Scope};

/// All options, with the names of their arguments.
const OPTIONS: [(&str, Option<&str>); 24] = [
    ("-E", Some("PATH")),
    ("-G", Some("GROUP")),
    ("-H", None),
    ("-K", None),
    ("-R", Some("SECONDS")),
    ("-U", Some("USER[:GROUP]")),
    ("-a", None),
    ("-d", Some("FD")),
    ("-e", Some("CODE")),
    ("-f", None),
    ("-g", None),
    ("-h", None),
    ("--help", None),
    ("-k", Some("SECONDS")),
    ("-l", Some("FILE")),
    ("-p", Some("SIGNAL")),
    ("-r", Some("FROM=TO")),
    ("-t", None),
    ("-v", None),
    ("-V", None),
    ("--version", None),
    ("-w", Some("SECONDS")),
    ("-x", None),
    // The end of the options is none itself.
    ("--", None),
];

/// The status of a command that ran: no other failure has it.
const RAN: i32 = 42;

/// A pid file that was left over: no machine has so many processes.
const LEFT_OVER: &str = "99999999\n";

/// A working directory, with a pid file that was left over.
struct Place {
    scope: Scope,
    directory: PathBuf,
}

impl Place {
    fn new() -> Self {
        let scope = Scope::new();
        let directory = scope.path("place");
        fs::create_dir(&directory).expect("a new directory");
        let place = Self { scope, directory };
        place.tidy("pid");
        place
    }

    /// Makes the place what it was, with a left-over pid file of this name.
    fn tidy(&self, pid_file: &str) {
        let _ = fs::remove_file(self.directory.join("started"));
        fs::write(self.directory.join(pid_file), LEFT_OVER).expect("our own directory");
    }

    fn has_left_over(&self, name: &str) -> bool {
        fs::read_to_string(self.directory.join(name)).is_ok_and(|text| text == LEFT_OVER)
    }

    /// A start with these words behind the program's name.
    fn proxy<T: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = T>) -> Proxy<'_> {
        Proxy::new(&self.scope).directory(&self.directory).options(words)
    }

    /// Whether these words, with good ones around them, are refused because of the one named.
    fn check_refused<T: AsRef<OsStr>>(&self, words: &[T], named: &str) -> Result<(), String> {
        let words: Vec<OsString> = words.iter().map(|word| word.as_ref().to_owned()).collect();
        let proxy = self.proxy(["-f"]).options(&words);
        let finished = proxy.pid_file("pid").command(["touch", "started"]).run();
        self.check_nothing_happened(&finished, named).map_err(|fault| format!("{words:?}: {fault}"))
    }

    fn check_nothing_happened(&self, finished: &Finished, named: &str) -> Result<(), String> {
        let is_started = self.directory.join("started").exists();
        let is_changed = !self.has_left_over("pid");
        self.tidy("pid");
        finished.check_failure(named)?;
        match (is_started, is_changed) {
            (true, _) => Err("the command was started".to_owned()),
            (_, true) => Err("the pid file was removed".to_owned()),
            _ => Ok(()),
        }
    }
}

/// Panics with the faults of all rows of a table.
#[track_caller]
fn assert_no_faults(results: impl IntoIterator<Item = Result<(), String>>) {
    let faults: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

fn letters() -> impl Iterator<Item = (char, Option<&'static str>)> {
    OPTIONS.iter().filter_map(|&(option, argument)| match option.as_bytes() {
        [b'-', letter] if letter.is_ascii_alphabetic() => Some((char::from(*letter), argument)),
        _ => None,
    })
}

#[test]
fn every_option_is_taken() {
    let place = Place::new();
    let is_root = needs::root().is_ok();
    assert_no_faults(letters().filter_map(|(letter, argument)| {
        let words = match argument {
            // What follows would be the command.
            None if letter == 'x' => return None,
            // The command would be launched again and again.
            Some(_) if letter == 'R' => return None,
            None => vec![format!("-{letter}")],
            Some("PATH") => vec![format!("-{letter}"), "hook".to_owned()],
            // To oneself: only root can.
            Some("USER[:GROUP]" | "GROUP") if !is_root => return None,
            Some("USER[:GROUP]" | "GROUP") => vec![format!("-{letter}"), "0".to_owned()],
            // One has to be open for that.
            Some("FD") => return None,
            Some("FILE") => vec![format!("-{letter}"), "log".to_owned()],
            Some("CODE") => vec![format!("-{letter}"), "7".to_owned()],
            Some("FROM=TO") => vec![format!("-{letter}"), "15=1".to_owned()],
            Some("SIGNAL") => vec![format!("-{letter}"), "SIGUSR1".to_owned()],
            Some("SECONDS") => vec![format!("-{letter}"), "1".to_owned()],
            Some(other) => panic!("say here what is good for {other}"),
        };
        let attached = words.concat();
        let expected = if matches!(letter, 'h' | 'V') { 0 } else { RAN };
        let run = |words: &[String]| {
            place.tidy("pid");
            let proxy = place.proxy(words).pid_file("pid");
            let finished = proxy.command(["sh", "-c", "exit 42"]).run();
            let is_as_expected = finished.code() == Some(expected);
            is_as_expected.then_some(()).ok_or_else(|| format!("{words:?}: {}, {}", finished.status, finished.stderr))
        };
        Some(run(&words).and_then(|()| run(&[attached])))
    }));
}

#[test]
fn unknown_options_are_refused() {
    let place = Place::new();
    let known: BTreeSet<char> = letters().map(|(letter, _)| letter).collect();
    let unknown = (1..=0x7f_u8).map(char::from).chain(['\u{e4}', '\u{20ac}']);
    let mut results: Vec<Result<(), String>> = Vec::new();
    for letter in unknown.filter(|letter| !known.contains(letter) && !['-', '\n'].contains(letter)) {
        for word in [format!("-{letter}"), format!("-t{letter}"), format!("-tg{letter}v")] {
            let shown = if letter.is_control() { "-" } else { word.as_str() };
            results.push(place.check_refused(&[&word], shown));
        }
    }
    for bytes in [b"-\xff".as_slice(), b"-t\x80", b"-\xc3"] {
        results.push(place.check_refused(&[OsString::from_vec(bytes.to_vec())], "-"));
    }
    for word in [
        "---",
        "--=",
        "--h",
        "--hel",
        "--helpx",
        "--help=",
        "--help=1",
        "--help ",
        "--HELP",
        "--Help",
        "--version=",
        "--version=1",
        "--versions",
        "--versio",
        "--verbose",
        "--user=root",
        "--v",
        "--f",
        "--r=15=1",
        "--\u{e4}",
        "--t",
        "--0",
    ] {
        results.push(place.check_refused(&[word], word));
        results.push(place.check_refused(&["-t", word, "-v"], word));
    }
    assert_no_faults(results);
}

#[test]
fn values_that_are_missing_are_refused() {
    let place = Place::new();
    let mut results: Vec<Result<(), String>> = Vec::new();
    for (letter, argument) in letters() {
        if argument.is_none() {
            continue;
        }
        for word in [format!("-{letter}"), format!("-tv{letter}")] {
            // At the end there is nothing that could be one.
            let finished = place.proxy(["-f", word.as_str()]).run();
            results.push(place.check_nothing_happened(&finished, &word).map_err(|fault| format!("{word}: {fault}")));
            // An empty one can not be shown: the option is named in its place.
            results.push(place.check_refused(&[word.as_str(), ""], &word));
        }
    }
    assert_no_faults(results);
}

#[test]
fn a_command_line_without_a_pid_file_is_refused() {
    let place = Place::new();
    for words in [[].as_slice(), &["-f"], &["--"], &["-f", "--"], &["-w", "1"], &["-vt"], &["-tr15=1", "--"]] {
        let finished = place.proxy(words).run();
        assert_no_faults([place.check_nothing_happened(&finished, "")]);
    }
    // A pid file without a name is none.
    let nameless = [[].as_slice(), &["touch", "started"]].into_iter().flat_map(|command| {
        [[].as_slice(), &["-f"], &["--"], &["-a", "--"]].map(|options| [options, &[""], command].concat())
    });
    assert_no_faults(nameless.map(|words| {
        let finished = place.proxy(&words).run();
        let outcome = place.check_nothing_happened(&finished, "");
        outcome.map_err(|fault| format!("{words:?}: {fault}"))
    }));
}

#[test]
fn bad_numbers_are_refused() {
    let place = Place::new();
    let bad = [
        "x",
        "1x",
        "x1",
        "1 ",
        " 1",
        "1\t",
        "+1",
        "-1",
        "+0",
        "-0",
        "0x1",
        "0x",
        "1e1",
        "1.",
        "1.0",
        ".5",
        "1,0",
        "1_0",
        "1s",
        "1-",
        "--1",
        "-",
        "--",
        "-w",
        "one",
        "\u{661}",
        "\u{ff11}",
        // 2^32, 2^32 + 1, 2^63, 2^64, 2^64 + 1, 2^128: none of them wraps to a good one.
        "4294967296",
        "4294967297",
        "9223372036854775808",
        "18446744073709551616",
        "18446744073709551617",
        "340282366920938463463374607431768211456",
        "99999999999999999999999999999999999999999999999999999999999999999999",
    ];
    // The first is the first that is too long; in milliseconds the others are 2^32 + 704, 2^64 + 384.
    let too_long = ["2000001", "4294968", "18446744073709552"];
    // 2^8, 2^8 + 1, 2^16, 2^31, 2^32 - 1.
    let no_status = ["256", "257", "300", "999", "1000", "65536", "2147483648", "4294967295"];
    let refused = |option: &str, number: &str| {
        let next = place.check_refused(&[option, number], number);
        let attached = place.check_refused(&[format!("{option}{number}")], number);
        next.and(attached)
    };
    let mut results: Vec<Result<(), String>> = Vec::new();
    results.extend(bad.iter().chain(&too_long).map(|number| refused("-w", number)));
    results.extend(bad.iter().chain(&too_long).map(|number| refused("-k", number)));
    results.extend(bad.iter().chain(&too_long).map(|number| refused("-R", number)));
    results.extend(bad.iter().map(|number| refused("-d", number)));
    results.extend(bad.iter().chain(&no_status).map(|number| refused("-e", number)));
    assert_no_faults(results);
}

/// There has to be something to launch again: no daemon that runs already, no pause.
#[test]
fn a_restart_without_a_command_is_refused() {
    let place = Place::new();
    let refused = |proxy: Proxy<'_>, words: &[&str]| {
        let finished = proxy.run();
        let outcome = place.check_nothing_happened(&finished, "-R");
        let is_exact = finished.stderr == "pidproxy: -R: missing\n";
        outcome.and(is_exact.then_some(()).ok_or(finished.stderr)).map_err(|fault| format!("{words:?}: {fault}"))
    };
    let lines: [&[&str]; 9] = [
        &["-R", "1", "pid"],
        &["-R1", "pid"],
        &["-fR0", "pid"],
        &["-aR0", "--", "pid"],
        &["-R", "0", "-"],
        &["-R1", "--", "-"],
        &["-vR2000000", "-"],
        &["-R0", "-E", "touch", "-"],
        &["-R0", "-l", "started", "pid"],
    ];
    assert_no_faults(lines.map(|words| refused(place.proxy(words), words)));
    let with_words = |operand: &str| place.proxy([operand]).env("PIDPROXY_OPTIONS", "-f -R 1");
    assert_no_faults(["pid", "-"].map(|operand| refused(with_words(operand), &[operand])));
    let as_init = |words: &[&str]| place.proxy(words).argument_zero("/sbin/docker-init");
    assert_no_faults([&["-R1"][..], &["-R", "1", "--"]].map(|words| refused(as_init(words), words)));
}

#[test]
fn good_numbers_are_taken() {
    let place = Place::new();
    for number in ["0", "1", "10", "010", "00000000000000000000000000001", "86400", "1000000"] {
        for words in [vec!["-w".to_owned(), number.to_owned()], vec![format!("-w{number}")]] {
            let proxy = place.proxy(&words).pid_file("pid");
            proxy.command(["sh", "-c", "exit 42"]).run().expect_code(RAN);
        }
    }
    let table: [(&[&str], i32, i32); 10] = [
        (&["-e0"], 0, 0),
        (&["-e", "1"], 1, 0),
        (&["-e1"], 2, 2),
        (&["-e", "254"], 255, 255),
        (&["-e255"], 255, 0),
        (&["-e", "007"], 7, 0),
        (&["-e3", "-e", "5"], 3, 0),
        (&["-e3", "-e", "5"], 5, 0),
        (&["-e3", "-e", "5"], 4, 4),
        (&["-ve12", "-e12"], 12, 0),
    ];
    for (options, status, expected) in table {
        let finished = place
            .proxy(options)
            .pid_file("pid")
            .specimen(["daemon", "--pid-file=pid", &format!("--exit-after-ready={status}")])
            .run();
        assert_eq!(finished.code(), Some(expected), "{options:?}, {status}: {}", finished.stderr);
    }
}

/// What options are understood as shows in the pid file (`-f` removes it), on standard error (`-v`), and in the status.
#[test]
fn options_are_clustered_and_values_attached() {
    let place = Place::new();
    let cases: [(&[&str], &str); 33] = [
        (&[], ""),
        (&["-f"], "f"),
        (&["-v"], "v"),
        (&["-fv"], "fv"),
        (&["-vf"], "fv"),
        (&["-f", "-v"], "fv"),
        (&["-agHtfv"], "fv"),
        (&["-vtHgaf"], "fv"),
        (&["-ff", "-f"], "f"),
        (&["-a", "-g", "-H", "-t"], ""),
        (&["-w1", "-f"], "f"),
        (&["-w", "1", "-f"], "f"),
        (&["-fw1", "-v"], "fv"),
        (&["-fw", "1", "-v"], "fv"),
        (&["-fvw", "1"], "fv"),
        (&["-fr15=1"], "f"),
        (&["-fr", "15=1", "-v"], "fv"),
        (&["-r15=1", "-r", "15=2", "-fr1=0"], "f"),
        (&["-fe1", "-e", "2", "-ve3"], "fv"),
        // What follows an option with a value is the value, whatever it looks like.
        (&["-Ef"], ""),
        (&["-E-f"], ""),
        (&["-E", "-f"], ""),
        (&["-E", "-f", "-v"], "v"),
        (&["-E", "--", "-f"], "f"),
        (&["-E", "--help", "-f"], "f"),
        (&["-E", "-", "-f"], "f"),
        (&["-vE", "f"], "v"),
        (&["-Evf", "-f"], "f"),
        // The end of the options.
        (&["--"], ""),
        (&["-f", "--"], "f"),
        (&["-fw", "1", "--"], "f"),
        (&["-w1", "--"], ""),
        (&["-vE", "--", "--"], "v"),
    ];
    for (words, expected) in cases {
        place.tidy("pid");
        let proxy = place.proxy(words).pid_file("pid");
        let finished = proxy.command(["sh", "-c", "exit 42"]).run().expect_code(RAN);
        let seen: String = [
            (!place.has_left_over("pid")).then_some('f'),
            finished.stderr.contains("pidproxy: launched: ").then_some('v'),
        ]
        .into_iter()
        .flatten()
        .collect();
        assert_eq!(seen, expected, "{words:?}: {}", finished.stderr);
    }
}

#[test]
fn options_end_at_the_first_operand() {
    let place = Place::new();
    let print = ["sh", "-c", "printf '<%s>' \"$@\"; exit 42", "sh"];
    let arguments = ["-f", "", "--", "--help", "-V", "-w", "x y", "-", "--nonsense", "-z", "\n", "\u{e4}"];
    let shown = format!("<{}>", arguments.join("><"));
    for (options, pid_file, is_removed) in [
        ([].as_slice(), "pid", false),
        (&["-t"], "pid", false),
        (&["--"], "pid", false),
        // Behind the end of the options everything is an operand.
        (&["--"], "-f", false),
        (&["--"], "--", false),
        (&["--"], "--help", false),
        (&["-f", "--"], "-t", true),
        (&["-f", "--"], "--", true),
        // A hyphen alone is an operand anywhere.
        (&[], "-", false),
        (&["-t"], "-", false),
        (&["--"], "-", false),
    ] {
        place.tidy(pid_file);
        let proxy = place.proxy(options).pid_file(pid_file);
        let finished = proxy.command(print).command(arguments).run();
        assert_eq!(finished.code(), Some(RAN), "{options:?} {pid_file:?}: {}", finished.stderr);
        assert_eq!(
            (finished.stdout.as_str(), finished.stderr.as_str()),
            (shown.as_str(), ""),
            "{options:?} {pid_file:?}"
        );
        assert_eq!(place.has_left_over(pid_file), !is_removed, "{options:?} {pid_file:?}");
    }
}

/// Behind the pid file there are no options any more: `--` is a command like another, and there is none of this name.
#[test]
fn the_command_is_taken_as_it_is() {
    let place = Place::new();
    for command in ["--", "-f", "-v", "--help", "-", "", "no-such-command"] {
        place.tidy("pid");
        let finished = place.proxy(["pid", command, "touch", "started"]).run();
        // Of a name that is empty it is hard to say whether it is not there or can not be executed.
        let is_status_good = finished.code() == Some(127) || command.is_empty() && finished.code() == Some(126);
        assert!(is_status_good, "{command:?}: {}", finished.status);
        let named = finished.stderr.strip_prefix("pidproxy: ").is_some_and(|line| line.contains(command));
        assert!(named && finished.stderr.lines().count() == 1, "{command:?}: {:?}", finished.stderr);
        assert!(finished.stdout.is_empty() && !place.directory.join("started").exists(), "{command:?}");
        assert!(place.has_left_over("pid"), "{command:?}");
    }
}

#[test]
fn of_several_faults_the_first_is_told() {
    let place = Place::new();
    assert_no_faults([
        place.check_refused(&["-w", "first", "-e", "second"], "first"),
        place.check_refused(&["-e", "second", "-w", "first"], "second"),
        place.check_refused(&["-w", "first", "-z"], "first"),
        place.check_refused(&["-z", "-w", "first"], "-z"),
        place.check_refused(&["--nonsense", "--help"], "--nonsense"),
        place.check_refused(&["-e", "256", "-V"], "256"),
        place.check_refused(&["-zh"], "-zh"),
    ]);
}

/// A word may be anything but short and printable: the line about it is one line all the same, and gives the reason.
#[test]
fn strange_words_are_refused_in_one_line() {
    let place = Place::new();
    let long = "x".repeat(100_000);
    let words: [Vec<u8>; 7] = [
        long.clone().into_bytes(),
        b"two\nlines".to_vec(),
        b"\n".to_vec(),
        b"pidproxy: forged\npidproxy: to be trusted: x".to_vec(),
        b"\x1b[2J\x07\r\x08".to_vec(),
        b"\xff\xfe\x80".to_vec(),
        b"%s%n%d".to_vec(),
    ];
    let mut results: Vec<Result<(), String>> = Vec::new();
    for word in &words {
        for option in ["-w", "-e", "-r", "-r1=", "-rTERM=", "-z", "--"] {
            let attached = OsString::from_vec([option.as_bytes(), word].concat());
            results.push(place.check_refused(&[attached], ""));
        }
        for option in ["-w", "-e", "-r"] {
            results.push(place.check_refused(&[OsString::from(option), OsString::from_vec(word.clone())], ""));
        }
        if needs::root().is_ok() {
            for option in ["-U", "-G", "-U0:", "-U"] {
                let attached = OsString::from_vec([option.as_bytes(), word].concat());
                results.push(place.check_refused(&[attached], ""));
            }
        }
    }
    let shorten = |fault: String| fault.replace(&long, "(100,000 times x)").chars().take(300).collect::<String>();
    assert_no_faults(results.into_iter().map(|result| result.map_err(shorten)));
}

#[test]
fn what_is_refused_is_refused_without_a_reader() {
    let place = Place::new();
    for output in [Output::Closed, Output::Broken, Output::Full] {
        for words in [["-w", "x"].as_slice(), &["--nonsense"], &["-z"]] {
            let proxy = place.proxy(["-f"]).options(words).stderr(output).stdin(Input::Closed);
            let finished = proxy.pid_file("pid").command(["touch", "started"]).run();
            assert_eq!(finished.code(), Some(125), "{words:?}, {output:?}: {}", finished.status);
            assert!(!place.directory.join("started").exists() && place.has_left_over("pid"), "{words:?}, {output:?}");
        }
    }
}

//! Help, manual and README: each is complete, and they say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::{OPTIONS, Place, letters};
use crate::harness::needs::{self, skip};
use crate::harness::{Proxy, Scope};

/// The option and its argument in a text like `-E PATH`, or the options in one like `-h, --help`.
fn parse_definition(text: &str, options: &mut BTreeMap<String, Option<String>>) {
    for part in text.split(", ").filter(|part| part.starts_with('-')) {
        let (option, argument) = match part.split_once(' ') {
            Some((option, argument)) => (option, Some(argument.to_uppercase())),
            None => (part, None),
        };
        let before = options.insert(option.to_owned(), argument);
        assert!(before.is_none(), "{option} is there twice");
    }
}

/// What the help says: flags as in `[-abc]`, and options with an argument as in `[-p SIGNAL]`. What several options of a
/// kind have is told once, as in `[-ew NUMBER]`.
fn options_of_help(help: &str) -> BTreeMap<String, Option<String>> {
    let mut options = BTreeMap::new();
    let help = help.replace('\n', " ");
    let (options_shown, _) = help.split_once(" [--]").expect("the end of the options");
    for part in options_shown.split(" [-").skip(1) {
        let part = part.strip_suffix(']').expect("a bracket");
        let (letters, argument) =
            part.split_once(' ').map_or((part, None), |(letter, argument)| (letter, Some(argument.to_owned())));
        assert!(letters.chars().is_sorted(), "{part}");
        for letter in letters.chars() {
            let before = options.insert(format!("-{letter}"), argument.clone());
            assert!(before.is_none(), "-{letter} is there twice");
        }
    }
    options
}

/// What the manual says: its items of the form `.It Fl E Ar path`.
fn options_of_manual(manual: &str) -> BTreeMap<String, Option<String>> {
    let mut options = BTreeMap::new();
    for item in manual.lines().filter_map(|line| line.strip_prefix(".It Fl ")) {
        parse_definition(&rendered(&format!("Fl {item}")), &mut options);
    }
    options
}

/// The text of a line of mdoc(7), as far as definitions of options use it.
fn rendered(line: &str) -> String {
    let mut text = String::new();
    let mut is_joined = true;
    let mut is_option = false;
    let mut brackets = 0;
    for word in line.split(' ') {
        match word {
            "Ns" => is_joined = true,
            "Ar" => is_option = false,
            "Fl" => is_option = true,
            "," => text.push(','),
            word => {
                if !std::mem::replace(&mut is_joined, false) {
                    text.push(' ');
                }
                if word == "Op" {
                    text.push('[');
                    (is_joined, is_option) = (true, false);
                    brackets += 1;
                } else {
                    text.push_str(if is_option { "-" } else { "" });
                    text.push_str(word);
                }
            }
        }
    }
    text + &"]".repeat(brackets)
}

/// What the README says: the first column of the tables whose header begins with the word "option".
fn options_of_readme(readme: &str) -> BTreeMap<String, Option<String>> {
    let mut options = BTreeMap::new();
    let mut is_within = false;
    for line in readme.lines() {
        let Some(row) = line.trim().strip_prefix('|') else {
            is_within = false;
            continue;
        };
        let cell = row.split('|').next().unwrap_or_default().trim();
        is_within |= cell.to_lowercase().starts_with("option");
        let is_rule = cell.trim_matches(['-', ':']).is_empty();
        if is_within && !is_rule {
            parse_definition(&cell.replace('`', ""), &mut options);
        }
    }
    options
}

/// The options that there are, as the documents write them.
fn options_expected() -> BTreeMap<String, Option<String>> {
    let documented = OPTIONS.iter().filter(|(option, _)| *option != "--");
    documented.map(|&(option, argument)| (option.to_owned(), argument.map(str::to_owned))).collect()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn manual() -> String {
    fs::read_to_string(repository().join("man/pidproxy.8")).expect("the manual")
}

#[test]
fn help_is_shown() {
    let place = Place::new();
    let shown = place.proxy(["--help"]).run().expect_code(0);
    assert_eq!(shown.stderr, "");
    assert!(shown.stdout.ends_with("[--] pid-file|- [command...]\n"), "{}", shown.stdout);
    assert!(shown.stdout.lines().all(|line| line.len() <= 80), "{}", shown.stdout);
    for words in [
        ["-h"].as_slice(),
        &["-h", "pid", "touch", "started"],
        &["-fh", "pid", "touch", "started"],
        &["-f", "--help", "pid", "touch", "started"],
        &["-vth"],
    ] {
        let finished = place.proxy(words).run().expect_code(0);
        assert_eq!((&finished.stdout, finished.stderr.as_str()), (&shown.stdout, ""), "{words:?}");
        assert!(!place.directory.join("started").exists() && place.has_left_over("pid"), "{words:?}");
    }
}

#[test]
fn the_version_is_shown() {
    let manifest = fs::read_to_string(repository().join("Cargo.toml")).expect("the manifest");
    let package = manifest.split("[package]").nth(1).expect("a package");
    let version =
        package.lines().find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"')).expect("a version");
    let place = Place::new();
    for words in [
        ["--version"].as_slice(),
        &["-V"],
        &["-fV", "pid", "touch", "started"],
        &["-f", "--version", "pid", "touch", "started"],
    ] {
        let finished = place.proxy(words).run().expect_code(0);
        assert_eq!((finished.stdout, finished.stderr.as_str()), (format!("pidproxy {version}\n"), ""), "{words:?}");
        assert!(!place.directory.join("started").exists() && place.has_left_over("pid"), "{words:?}");
    }
}

/// The word of the help for an argument that the other documents call so.
fn word_of_help(argument: &str) -> &str {
    match argument {
        "PATH" | "FILE" => "PATH",
        "GROUP" | "USER[:GROUP]" => "NAME",
        "CODE" | "FD" | "SECONDS" => "N",
        "FROM=TO" => argument,
        "SIGNAL" => "SIG",
        other => panic!("say here what the help calls {other}"),
    }
}

#[test]
fn the_help_has_all_options() {
    let place = Place::new();
    let help = place.proxy(["--help"]).run().expect_code(0).stdout;
    let letters = options_expected().into_iter().filter(|(option, _)| !option.starts_with("--"));
    let in_short = letters
        .map(|(option, argument)| (option, argument.map(|argument| word_of_help(&argument).to_owned())))
        .collect::<BTreeMap<_, _>>();
    assert_eq!(options_of_help(&help), in_short, "{help}");
}

#[test]
fn the_manual_has_all_options() {
    assert_eq!(options_of_manual(&manual()), options_expected());
}

#[test]
fn the_synopsis_of_the_manual_has_all_letters() {
    let manual = manual();
    let synopsis = manual.split("\n.Sh ").find_map(|section| section.strip_prefix("SYNOPSIS\n")).expect("a synopsis");
    let shown: BTreeSet<char> = synopsis
        .lines()
        .filter_map(|line| line.split("Fl ").nth(1)?.split(' ').next())
        .flat_map(str::chars)
        .filter(char::is_ascii_alphabetic)
        .collect();
    assert_eq!(shown, letters().map(|(letter, _)| letter).collect());
}

#[test]
fn the_readme_has_all_options() {
    let readme = fs::read_to_string(repository().join("README.md")).expect("the README");
    assert_eq!(options_of_readme(&readme), options_expected());
}

#[test]
fn the_manual_is_well_formed() {
    if let Err(reason) = needs::program("mandoc") {
        return skip(&reason);
    }
    let scope = Scope::new();
    let manual = repository().join("man/pidproxy.8");
    let finished = Proxy::absent(&scope).command(["mandoc", "-T", "lint"]).command([&manual]).run().expect_code(0);
    // Which other manuals this machine has is no matter of ours.
    let output = finished.stdout + &finished.stderr;
    let complaints: Vec<&str> = output.lines().filter(|line| !line.contains("mandoc.db")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

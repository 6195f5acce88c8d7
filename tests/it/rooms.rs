//! The rooms of ARCHITECTURE.md: what a module may know of another, how long a function may be, where `unsafe` may stand.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The most lines that a function may have, from `fn` to its last brace.
const LINES_MOST: usize = 70;

/// Where unsafe code may stand: in these files and directories.
const UNSAFE: [&str; 4] = ["start", "mem", "main", "sys"];

/// The source as the tests read it: what is in comments and literals, and what is compiled for unit tests only, is blank.
struct Source {
    /// Its path below `src/`, without the ending: `sys/file`, `sys` for `sys/mod.rs`.
    name: String,
    code: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let name = path.strip_suffix(".rs").expect("a file of Rust");
        let name = name.strip_suffix("/mod").unwrap_or(name).to_owned();
        Self { name, code: without_unit_tests(without_texts(text)) }
    }

    /// All below `src/`.
    fn all() -> Vec<Self> {
        let mut sources = Vec::new();
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src");
        let mut directories = vec![top.clone()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).expect("a directory of the sources") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    directories.push(path);
                } else if path.extension().is_some_and(|ending| ending == "rs")
                    && path.file_stem() != Some("tests".as_ref())
                {
                    let text = fs::read_to_string(&path).expect("a source");
                    sources.push(Self::new(path.strip_prefix(&top).expect("below it").to_str().expect("UTF-8"), &text));
                }
            }
        }
        assert!(sources.len() > 10, "only {} sources", sources.len());
        sources
    }

    /// The words of the code: identifiers, and every other character by itself, with the lines (from 1) they stand on.
    fn words(&self) -> Vec<(usize, &str)> {
        let mut words = Vec::new();
        for (line, text) in (1..).zip(self.code.lines()) {
            let mut rest = text.trim_start();
            while let Some(first) = rest.chars().next() {
                let length = rest.find(|character| !is_of_identifier(character)).unwrap_or(rest.len());
                let (word, tail) = rest.split_at(length.max(first.len_utf8()));
                words.push((line, word));
                rest = tail.trim_start();
            }
        }
        words
    }
}

fn is_of_identifier(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The text with blanks in the place of all comments and literals but numbers. Lines stay lines.
fn without_texts(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let length = if is_of_identifier(before) { None } else { raw_string_length(rest) }
            .or_else(|| comment_length(rest))
            .or_else(|| literal_length(rest));
        let (taken, tail) = rest.split_at(length.unwrap_or(first.len_utf8()));
        if length.is_some() {
            code.extend(taken.chars().map(|character| if character == '\n' { '\n' } else { ' ' }));
        } else {
            code.push_str(taken);
        }
        before = first;
        rest = tail;
    }
    code
}

/// The length of the comment that `text` begins with.
fn comment_length(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if !text.starts_with("/*") {
        return None;
    }
    // They nest.
    let mut depth = 0;
    let mut position = 0;
    loop {
        let rest = &text[position..];
        let length = if rest.starts_with("/*") {
            depth += 1;
            2
        } else if rest.starts_with("*/") {
            depth -= 1;
            2
        } else {
            rest.chars().next().expect("an end of the comment").len_utf8()
        };
        position += length;
        if depth == 0 {
            return Some(position);
        }
    }
}

/// The length of the raw string that `text` begins with, as `r"..."`, `cr#"..."#`.
fn raw_string_length(text: &str) -> Option<usize> {
    let hashes = text.strip_prefix(['b', 'c']).unwrap_or(text).strip_prefix('r')?;
    let body = hashes.trim_start_matches('#');
    let end = format!("\"{}", &hashes[..hashes.len() - body.len()]);
    let start = text.len() - body.len() + 1;
    body.strip_prefix('"')?.find(&end).map(|length| start + length + end.len())
}

/// The length of the string or character that `text` begins with. A lifetime is none.
fn literal_length(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|first| matches!(first, '"' | '\''))?;
    let mut characters = text.char_indices().skip(1);
    while let Some((position, character)) = characters.next() {
        if character == quote {
            return Some(position + 1);
        }
        if character == '\\' {
            characters.next();
        } else if quote == '\'' && !text[position + character.len_utf8()..].starts_with(quote) {
            return None;
        }
    }
    None
}

/// Blanks what `#[cfg(test)]` stands before.
fn without_unit_tests(mut code: String) -> String {
    const MARK: &str = "#[cfg(test)]";
    while let Some(start) = code.find(MARK) {
        let mut depth = 0;
        let rest = &code[start + MARK.len()..];
        let length = rest.find(|character| {
            depth += i32::from(character == '{') - i32::from(character == '}');
            depth == 0 && matches!(character, '}' | ';')
        });
        let end = start + MARK.len() + length.expect("an end of the item") + 1;
        let blank = code[start..end].replace(|character| character != '\n', " ");
        code.replace_range(start..end, &blank);
    }
    code
}

/// Paths that are written in the code, from the root of the crate they are in: `["sys", "Text"]` for `crate::sys::Text`.
/// What begins with `pidproxy::` is meant as well: so the binary calls the library.
fn paths(source: &Source) -> Vec<(usize, Vec<String>)> {
    let words = source.words();
    let mut paths = Vec::new();
    for (index, &(line, word)) in words.iter().enumerate() {
        let is_path = words.get(index + 1).is_some_and(|next| next.1 == ":")
            && words.get(index + 2).is_some_and(|next| next.1 == ":");
        let is_continued = index >= 2 && words[index - 1].1 == ":" && words[index - 2].1 == ":";
        if !is_path || is_continued {
            continue;
        }
        let mut root = match word {
            "crate" | "pidproxy" => Vec::new(),
            "super" => source.name.split('/').map(str::to_owned).collect(),
            _ => continue,
        };
        if word == "super" {
            root.pop();
        }
        let mut rest = words[index + 3..].iter().map(|&(_, word)| word).peekable();
        let mut found = Vec::new();
        read_use_tree(&mut rest, &root, &mut found);
        paths.extend(found.into_iter().map(|path| (line, path)));
    }
    paths
}

/// Reads what follows `root::`, as `a::b`, `{self, a::{b, c}}` or `*`.
fn read_use_tree<'a>(
    words: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>,
    root: &[String],
    paths: &mut Vec<Vec<String>>,
) {
    let Some(word) = words.next() else { return };
    if word == "{" {
        while words.peek().is_some_and(|&word| word != "}") {
            if words.peek() == Some(&",") {
                words.next();
            } else {
                read_use_tree(words, root, paths);
            }
        }
        words.next();
        return;
    }
    let mut path = root.to_vec();
    match word {
        "super" => drop(path.pop()),
        "self" | "*" => {}
        name => path.push(name.to_owned()),
    }
    if words.peek() != Some(&":") {
        if words.peek() == Some(&"as") {
            words.next();
            words.next();
        }
        paths.push(path);
        return;
    }
    words.next();
    words.next();
    if words.peek() == Some(&"<") {
        paths.push(path);
    } else {
        read_use_tree(words, &path, paths);
    }
}

/// The rooms, from the uppermost: the list of ARCHITECTURE.md, whose lines begin with a path below `src/`.
fn rooms() -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ARCHITECTURE.md"));
    let text = text.expect("ARCHITECTURE.md");
    let paths = text.lines().filter_map(|line| line.trim_start().strip_prefix("src/")?.split_whitespace().next());
    paths.map(|path| path.trim_end_matches('/').trim_end_matches(".rs").to_owned()).collect()
}

/// The room of a source or a path: that of its longest beginning that is one.
fn room_of(rooms: &[String], name: &str) -> Option<usize> {
    let is_in = |room: &str| name.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let containing = rooms.iter().enumerate().filter(|(_, room)| is_in(room));
    containing.max_by_key(|(_, room)| room.len()).map(|(index, _)| index)
}

/// What `sys/mod.rs` hands on under its own name, with the file that has it: `Text` is of `text`.
fn facade(sources: &[Source]) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for source in sources.iter().filter(|source| source.name == "sys") {
        let words = source.words();
        let mut rest = words.as_slice();
        while let Some(start) = rest.windows(3).position(|words| words[0].1 == "pub" && words[1].1 == "use") {
            let mut tree = rest[start + 2..].iter().map(|&(_, word)| word).peekable();
            let mut paths = Vec::new();
            read_use_tree(&mut tree, &[], &mut paths);
            for path in paths {
                let [file, name] = path.as_slice() else { panic!("not of one of its files: {path:?}") };
                names.insert(name.clone(), file.clone());
            }
            rest = &rest[start + 2..];
        }
    }
    names
}

/// What is wrong with these sources: what has no room, and what knows something of a room above its own.
fn faults(rooms: &[String], sources: &[Source]) -> Vec<String> {
    let facade = facade(sources);
    let modules: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
    let mut faults = Vec::new();
    for source in sources {
        let Some(room) = room_of(rooms, &source.name) else {
            faults.push(format!("{} has no room in ARCHITECTURE.md", source.name));
            continue;
        };
        let is_of_binary = ["start", "main"].contains(&source.name.split('/').next().unwrap_or_default());
        for (line, path) in paths(source) {
            let name = match path.as_slice() {
                [first, second, ..] if first == "sys" => {
                    format!("sys/{}", facade.get(second).unwrap_or(second))
                }
                [first, ..] if modules.contains(&first.as_str()) => first.clone(),
                // An item of the crate's root. The binary has one of its own.
                [first, ..] if is_of_binary && first == "enter" => "main".to_owned(),
                _ => "lib".to_owned(),
            };
            match room_of(rooms, &name) {
                Some(other) if other >= room => {}
                Some(_) => faults.push(format!("{}:{line}: {name} is above it", source.name)),
                None => faults.push(format!("{}:{line}: {name} has no room in ARCHITECTURE.md", source.name)),
            }
        }
    }
    faults
}

#[test]
fn imports_go_down_only() {
    let rooms = rooms();
    let sources = Source::all();
    for (index, room) in rooms.iter().enumerate() {
        let is_inhabited = sources.iter().any(|source| room_of(&rooms, &source.name) == Some(index));
        assert!(is_inhabited, "{room} of ARCHITECTURE.md is empty");
    }
    let faults = faults(&rooms, &sources);
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn an_import_that_goes_up_is_found() {
    let rooms = ["start", "main", "lib", "policy", "sys", "numbers", "sys/text"].map(str::to_owned);
    let facade = ("sys/mod.rs", "mod file; mod text;\npub use file::{File, open};\npub use text::Text;");
    let cases: &[(&str, &str, &[&str])] = &[
        ("policy.rs", "use crate::sys::{self, Text};\nuse crate::numbers;", &[]),
        ("numbers.rs", "use crate::sys::Text;", &[]),
        ("numbers.rs", "\nuse crate::sys::{Text, File};", &["numbers:2: sys/file is above it"]),
        ("numbers.rs", "use crate::{\n    sys::{text::Text, self},\n};", &["numbers:1: sys is above it"]),
        ("numbers.rs", "use crate::sys;", &["numbers:1: sys is above it"]),
        ("numbers.rs", "fn f() { crate::policy::g::<u8>(); }", &["numbers:1: policy is above it"]),
        ("numbers.rs", "fn f() { super::policy::g() }", &["numbers:1: policy is above it"]),
        ("numbers.rs", "fn f() { crate::run() }", &["numbers:1: lib is above it"]),
        ("numbers.rs", "// crate::policy\nconst A: &str = \"crate::policy\"; /* crate::policy */", &[]),
        ("numbers.rs", "#[cfg(test)]\nmod tests {\n    use crate::policy;\n    fn f() {}\n}", &[]),
        ("sys/text.rs", "use super::File;", &["sys/text:1: sys/file is above it"]),
        ("sys/file.rs", "use super::Text;\nuse super::super::numbers;", &[]),
        ("sys/file.rs", "use crate::policy::{g as h, i};", &["sys/file:1: policy is above it"; 2]),
        ("start/x.rs", "sym crate::enter", &[]),
        ("main.rs", "fn f() { pidproxy::run() }", &[]),
        ("other.rs", "", &["other has no room in ARCHITECTURE.md"]),
    ];
    for (path, text, expected) in cases {
        let mut sources: Vec<Source> = ["lib.rs", "policy.rs", "numbers.rs"]
            .iter()
            .filter(|name| *name != path)
            .map(|name| Source::new(name, ""))
            .collect();
        sources.push(Source::new(facade.0, facade.1));
        sources.push(Source::new(path, text));
        assert_eq!(faults(&rooms, &sources), *expected, "{path}: {text}");
    }
}

/// The functions of a source: name, first line, number of lines.
fn functions(source: &Source) -> Vec<(String, usize, usize)> {
    let words = source.words();
    let mut functions = Vec::new();
    for (index, &(first, word)) in words.iter().enumerate() {
        // Without a name it is the type of a function.
        let Some(&(_, name)) = words.get(index + 1).filter(|_| word == "fn") else { continue };
        if !name.starts_with(is_of_identifier) {
            continue;
        }
        let (mut braces, mut others) = (0_i32, 0_i32);
        for &(line, word) in &words[index..] {
            others += i32::from(matches!(word, "(" | "[")) - i32::from(matches!(word, ")" | "]"));
            braces += i32::from(word == "{") - i32::from(word == "}");
            if others == 0 && braces == 0 && matches!(word, "}" | ";") {
                functions.push((name.to_owned(), first, line - first + 1));
                break;
            }
        }
    }
    functions
}

#[test]
fn functions_are_short() {
    let mut count = 0;
    let mut long = Vec::new();
    for source in Source::all() {
        for (name, line, length) in functions(&source) {
            count += 1;
            if length > LINES_MOST {
                long.push(format!("{}:{line}: {name} has {length} lines", source.name));
            }
        }
    }
    assert!(count > 50, "only {count} functions were found");
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn the_lines_of_functions_are_counted() {
    let text = "fn a() -> [u8; 4] {\n    let b: fn(u8) = \"}\"; // }\n    if c { '}' }\n}\nfn d();\nimpl E {\n    fn f(&'a self) {\n\n    }\n}";
    let found = functions(&Source::new("a.rs", text));
    assert_eq!(found, [("a".to_owned(), 1, 4), ("d".to_owned(), 5, 1), ("f".to_owned(), 7, 3)]);
}

#[test]
fn unsafe_code_stays_in_its_rooms() {
    let mut found = Vec::new();
    for source in Source::all() {
        let top = source.name.split('/').next().unwrap_or_default();
        let is_allowed = UNSAFE.contains(&top);
        let lines = source.words().into_iter().filter(|(_, word)| *word == "unsafe" && !is_allowed);
        found.extend(lines.map(|(line, _)| format!("{}:{line}", source.name)));
    }
    assert!(found.is_empty(), "{found:#?}");
}

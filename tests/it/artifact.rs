//! The file itself: what it weighs, what the kernel is asked to do with it, and what never gets into it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::harness::elf::Elf;
use crate::harness::needs::{self, skip};
use crate::harness::{Followed, Proxy, Scope, proc};

/// The architectures: the machine of elf(5) and its flags, class and byte order, and the most that the file may weigh, in
/// bytes; `just size` shows what it does weigh on `x86_64`, and of what.
const ARCHITECTURES: &[(&str, u16, u32, bool, bool, usize)] = &[
    ("x86_64", libc::EM_X86_64, 0, true, false, 8192),
    ("aarch64", libc::EM_AARCH64, 0, true, false, 9_856),
    ("armv7", libc::EM_ARM, 0x0500_0400, false, false, 8_064),
    ("i686", libc::EM_386, 0, false, false, 9_344),
    ("powerpc64le", libc::EM_PPC64, 2, true, false, 12_192),
    ("riscv64gc", 243, 5, true, false, 9_088),
    ("s390x", libc::EM_S390, 0, true, true, 10_400),
];

/// The most that the file may weigh on `x86_64` with nothing but what follows a daemon.
const FOLLOWER: usize = 6144;

#[test]
fn the_file_is_for_its_architecture_and_keeps_to_its_budget() {
    let elf = Elf::under_test();
    let row = ARCHITECTURES.iter().find(|row| row.1 == elf.machine());
    let &(name, _, flags, is_64_bit, is_big_endian, budget) = row.expect("one of the architectures");
    assert_eq!((elf.flags(), elf.is_64_bit, elf.is_big_endian()), (flags, is_64_bit, is_big_endian), "{name}");
    let size = elf.bytes.len();
    assert!(size <= budget, "{name}: {size} bytes, {} more than the budget", size - budget);
}

#[test]
fn the_kernel_is_asked_for_one_segment_that_nobody_can_write() {
    let elf = Elf::under_test();
    // With this type the kernel chooses a random base.
    assert_eq!(elf.kind(), libc::ET_DYN);
    let segments = elf.segments();
    // No interpreter, no dynamic section and so nobody who would relocate anything, nothing for thread-local variables,
    // and no note that says who built it.
    let kinds: Vec<u32> = segments.iter().map(|segment| segment.kind).collect();
    assert_eq!(kinds, [libc::PT_LOAD, libc::PT_GNU_STACK], "{segments:#x?}");
    let [program, stack] = segments.as_slice() else { unreachable!("two, as was seen") };

    assert_eq!(program.flags, libc::PF_R | libc::PF_X, "{program:#x?}");
    // Without the second program header, or with an executable one, the kernel makes the stack executable.
    assert_eq!(stack.flags, libc::PF_R | libc::PF_W, "{stack:#x?}");
    // Strings stand where nobody reads; but this some kernels take for the size that the stack should have.
    assert_eq!(stack.memory_size, 0, "{stack:#x?}");

    // It is the file, from its first byte to its last, and no memory behind that: no variables with static storage.
    assert_eq!((program.offset, program.file_size), (0, elf.bytes.len() as u64), "{program:#x?}");
    assert_eq!(program.file_size, program.memory_size, "{program:#x?}");
    let entry = elf.entry();
    assert!((program.address..program.address + program.memory_size).contains(&entry), "{entry:#x} in {program:#x?}");
}

#[test]
fn nothing_is_in_the_file_that_the_kernel_does_not_need() {
    let elf = Elf::under_test();
    assert_eq!(elf.section_headers(), (0, 0));
    // What panics and core::fmt would say, and the paths and versions that builds leave behind.
    for text in ["core::", "panicked", "called `", "index out of", "overflow", "/src/", "rustc", "LLD ", "GCC: "] {
        let is_there = elf.bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!is_there, "{text:?} is in the file");
    }
}

/// Whether the kernel loads what we start at random addresses.
fn is_randomized() -> bool {
    let number = |path: &str, radix: u32| {
        fs::read_to_string(path).ok().and_then(|text| u32::from_str_radix(text.trim(), radix).ok())
    };
    let has_been_told_not_to = number("/proc/self/personality", 16)
        .is_some_and(|personality| personality & libc::ADDR_NO_RANDOMIZE.cast_unsigned() != 0);
    number("/proc/sys/kernel/randomize_va_space", 10) != Some(0) && !has_been_told_not_to
}

#[test]
fn it_runs_at_a_random_address_and_nothing_is_writable_and_executable() {
    if let Err(reason) = needs::native() {
        return skip(&reason);
    }
    if !is_randomized() {
        return skip("needs address space layout randomization");
    }
    let mut addresses = BTreeSet::new();
    for _ in 0..3 {
        let scope = Scope::new();
        let followed = Followed::start(&scope, Proxy::new(&scope), &[]);
        let pid = followed.running.pid();
        let executable = fs::read_link(format!("/proc/{pid}/exe")).expect("our own child");
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("our own child");
        let mut of_the_file = Vec::new();
        for line in maps.lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let &[addresses, rights, ..] = fields.as_slice() else { panic!("not as in proc(5): {line}") };
            assert!(!(rights.contains('w') && rights.contains('x')), "{line}");
            if fields.get(5).is_some_and(|path| Path::new(path) == executable) {
                assert_eq!(rights, "r-xp", "{line}");
                of_the_file.push(addresses.to_owned());
            }
        }
        assert_eq!(of_the_file.len(), 1, "{maps}");
        addresses.extend(of_the_file);
        assert!(proc::lives(pid));
        followed.exit(0).expect_code(0);
    }
    assert!(addresses.len() > 1, "three times {addresses:?}");
}

/// A copy of the repository, without what was built.
struct Tree {
    directory: PathBuf,
}

impl Tree {
    /// Copies another copy, or the repository itself.
    fn new(directory: PathBuf, original: &Path) -> Self {
        copy_directory(original, &directory);
        Self { directory }
    }

    /// `cargo build --release` as everybody does it, whatever the surroundings of the test are, in this folder, with some
    /// options more; those behind `--` go to the compiler.
    fn build(&self, options: &[&OsStr]) -> Output {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text == "RUSTFLAGS" || text.starts_with("CARGO") && text != "CARGO_HOME" {
                cargo.env_remove(&name);
            }
        }
        cargo
            .args(["rustc", "--release", "--locked", "--offline", "--package=pidproxy", "--bin=pidproxy"])
            .args(options)
            .current_dir(&self.directory)
            .output()
            .expect("cargo runs")
    }

    #[track_caller]
    fn build_well(&self, options: &[&OsStr]) -> Vec<u8> {
        let output = self.build(options);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::read(self.directory.join("target/release/pidproxy")).expect("what was built")
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a new directory");
    for entry in fs::read_dir(from).expect("a directory of the repository") {
        let entry = entry.expect("a directory of the repository");
        let (path, kind) = (entry.path(), entry.file_type().expect("a file of the repository"));
        // Cargo marks its directories by such a file, wherever they are.
        if kind.is_dir() && entry.file_name() != ".git" && !path.join("CACHEDIR.TAG").exists() {
            copy_directory(&path, &to.join(entry.file_name()));
        } else if kind.is_file() {
            fs::copy(&path, to.join(entry.file_name())).expect("a file of the repository");
        }
    }
}

/// Whether this is one of the runs in which the proxy is refused some system calls: what is built is the same in all.
fn is_repeated() -> bool {
    std::env::var_os("REFUSED_CALLS").is_some_and(|calls| !calls.is_empty())
}

/// Some seconds: two builds from nothing.
#[test]
fn two_builds_in_two_folders_are_the_same_file() {
    if is_repeated() {
        return;
    }
    let scope = Scope::new();
    let one = Tree::new(scope.path("one"), &repository());
    let other = Tree::new(scope.path("another-folder/with a longer name"), &one.directory);
    let (one, other) = std::thread::scope(|threads| {
        let one = threads.spawn(|| one.build_well(&[]));
        let other = other.build_well(&[]);
        (one.join().expect("a build"), other)
    });
    assert_eq!(one.len(), other.len());
    let differences = one.iter().zip(&other).filter(|(one, other)| one != other).count();
    assert_eq!(differences, 0, "bytes are not the same");
}

/// Some seconds: a build from nothing.
#[test]
fn what_follows_a_daemon_and_no_more_is_smaller() {
    if is_repeated() {
        return;
    }
    let scope = Scope::new();
    let tree = Tree::new(scope.path("tree"), &repository());
    let size = tree.build_well(&["--no-default-features".as_ref()]).len();
    if cfg!(target_arch = "x86_64") {
        assert!(size <= FOLLOWER, "{size} bytes, {} more than the budget", size - FOLLOWER);
    }
    let run = |words: &[&str]| {
        let output =
            Command::new(tree.directory.join("target/release/pidproxy")).args(words).output().expect("it runs");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).expect("text"))
    };
    let (status, help) = run(&["-h"]);
    assert_eq!(status, Some(0));
    assert!(
        help.ends_with(
            "\npidproxy [-HVafghtv] [-E PATH] [-GU NAME] [-ew N]\n[-r FROM=TO] [--] pid-file [command...]\n"
        ),
        "{help}"
    );
    // What it does not have is refused.
    for (words, said) in [(["-", "true"], "pidproxy: -: unknown\n"), (["-K", "true"], "pidproxy: -K: unknown\n")] {
        assert_eq!(run(&words), (Some(125), said.to_owned()));
    }
}

/// What never gets into the file, each with a statement that would bring it in, and what the linker then names.
const UNWANTED: &[(&str, &str, &str)] = &[
    ("an index that may be out of bounds", "black_box([0_u8; 4][black_box(0)]);", "panic"),
    ("an unwrap", "black_box(black_box(Some(0_u8)).unwrap());", "panic"),
    ("formatting", "let _ = heapless::String::<8>::new().write_fmt(format_args!(\"{}\", black_box(0)));", ""),
    ("a table of pointers, which need relocation", "black_box(&[\"one\", \"two\"] as &[&str]);", ""),
    ("a variable", "static COUNT: AtomicU8 = AtomicU8::new(0); COUNT.fetch_add(1, Relaxed);", ""),
    ("a variable with a value", "static COUNT: AtomicU8 = AtomicU8::new(1); COUNT.fetch_add(1, Relaxed);", ""),
];

/// Some seconds: one build from nothing, and one more of the crate itself for each line of the table.
#[test]
fn what_is_unwanted_fails_the_build() {
    if is_repeated() {
        return;
    }
    let scope = Scope::new();
    let tree = Tree::new(scope.path("tree"), &repository());
    tree.build_well(&[]);
    let library = tree.directory.join("src/lib.rs");
    let source = fs::read_to_string(&library).expect("the library");
    for (what, statement, complaint) in UNWANTED {
        fs::write(&library, with_statement(&source, statement)).expect("our own copy");
        let output = tree.build(&[]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{what} does not fail the build");
        let mut complaints = said.lines().filter_map(|line| line.split_once("lld: error: "));
        assert!(complaints.any(|(_, text)| text.contains(complaint)), "{what}: {said}");
    }
    // It was for nothing else that they failed.
    fs::write(&library, with_statement(&source, "black_box(0);")).expect("our own copy");
    tree.build_well(&[]);
}

/// The library, with one statement more at the beginning of its `run`.
fn with_statement(source: &str, statement: &str) -> String {
    let (before, run) = source.split_once("pub fn run(").expect("a function that runs it all");
    let (head, body) = run.split_once('{').expect("its body");
    let names = "use core::{fmt::Write as _, hint::black_box, sync::atomic::{AtomicU8, Ordering::Relaxed}};";
    format!("{before}pub fn run({head}{{\n#[allow(unused_imports)]\n{names}\n{statement}\n{body}")
}

/// Some seconds: a build from nothing.
#[test]
fn nothing_of_a_c_library_or_of_formatting_is_linked() {
    if is_repeated() {
        return;
    }
    let scope = Scope::new();
    let map = scope.path("map");
    let mut option = std::ffi::OsString::from("-Clink-arg=-Wl,-Map=");
    option.push(&map);
    Tree::new(scope.path("tree"), &repository()).build_well(&["--".as_ref(), &option]);
    let map = fs::read_to_string(map).expect("the linker's map");
    assert!(map.contains("_start"), "no map of this program: {map}");
    // The compiler invents calls to these functions of C.
    for name in ["core::fmt", "core::panicking", "memcpy", "memmove", "memset", "memcmp", "bcmp", "strlen"] {
        let found: Vec<&str> = map.lines().filter(|line| line.contains(name)).collect();
        assert!(found.is_empty(), "{found:#?}");
    }
}

//! Links the binary without a C library, as linker.ld has it.
#![expect(clippy::expect_used, reason = "what is wrong here is for the builder to read")]

use std::env::var;
use std::path::Path;

/// The architectures that there are, with their `e_machine` and `e_flags` of elf(5), and the largest page that their
/// kernels use. The flags are those of the ABI that the targets' compilers write into their own files.
const MACHINES: [(&str, u32, u32, u32); 7] = [
    ("x86_64", 62, 0, 0x1000),
    ("aarch64", 183, 0, 0x10000),
    // EABI version 5, floating point in registers.
    ("arm", 40, 0x0500_0400, 0x1000),
    ("powerpc64", 21, 2, 0x10000),
    // Compressed instructions, floating point in registers for doubles.
    ("riscv64", 243, 5, 0x1000),
    ("s390x", 22, 0, 0x1000),
    ("x86", 3, 0, 0x1000),
];

fn main() {
    println!("cargo::rerun-if-changed=linker.ld");
    let setting = |name: &str| var(name).expect("cargo sets it");
    let architecture = setting("CARGO_CFG_TARGET_ARCH");
    // For another one src/start says what is missing.
    let Some((_, machine, flags, page)) = MACHINES.iter().find(|(name, ..)| *name == architecture) else { return };
    let is_64_bit = setting("CARGO_CFG_TARGET_POINTER_WIDTH") == "64";
    let is_big_endian = setting("CARGO_CFG_TARGET_ENDIAN") == "big";

    let script = Path::new(&setting("OUT_DIR")).join("linker.ld");
    let template = Path::new(&setting("CARGO_MANIFEST_DIR")).join("linker.ld");
    let template = std::fs::read_to_string(template).expect("the linker script");
    std::fs::write(&script, for_class(&template, is_64_bit)).expect("a file of our own");

    // What links for foreign architectures is the linker itself (.cargo/config.toml), for this machine's the C compiler.
    let is_bare = var("RUSTC_LINKER").is_ok_and(|linker| linker.ends_with("lld"));
    let (prefix, first) =
        if is_bare { ("", &["-static"][..]) } else { ("-Wl,", &["-nostartfiles", "-nostdlib", "-static-pie"][..]) };
    for argument in first {
        println!("cargo::rustc-link-arg-bin=pidproxy={argument}");
    }
    for argument in [
        "--no-dynamic-linker",
        "--build-id=none",
        "--no-eh-frame-hdr",
        "-znorelro",
        "-znosectionheader",
        "--oformat=binary",
        "--orphan-handling=error",
        &format!("--defsym=class={}", 1 + u32::from(is_64_bit)),
        &format!("--defsym=data={}", 1 + u32::from(is_big_endian)),
        &format!("--defsym=machine={machine}"),
        &format!("--defsym=flags={flags}"),
        &format!("--defsym=page={page}"),
        // Its address is the base for all data there, and in it is this address.
        &format!("--defsym=got_header={}", if architecture == "powerpc64" { 16 } else { 0 }),
        &format!("-T{}", script.display()),
    ] {
        println!("cargo::rustc-link-arg-bin=pidproxy={prefix}{argument}");
    }
}

/// The script for 64 or 32 bits: the lines marked with the other number are left out, and `WORD` becomes as long as an
/// address.
fn for_class(template: &str, is_64_bit: bool) -> String {
    let (ours, others, word) = if is_64_bit { ("64:", "32:", "QUAD(") } else { ("32:", "64:", "LONG(") };
    let lines = template.lines().filter(|line| !line.trim_start().starts_with(others));
    lines.map(|line| line.replacen(ours, "   ", 1).replace("WORD(", word) + "\n").collect()
}

//! Links the binary without a C library.
fn main() {
    let d = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    println!("cargo::rerun-if-changed=linker.ld");
    for a in [
        "-nostartfiles",
        "-nostdlib",
        "-static-pie",
        "-Wl,--no-dynamic-linker",
        "-Wl,--build-id=none",
        "-Wl,-z,norelro",
        "-Wl,-z,nosectionheader",
        "-Wl,--no-eh-frame-hdr",
        "-Wl,--orphan-handling=error",
        "-Wl,-Map=/tmp/pidproxy.map",
    ] {
        println!("cargo::rustc-link-arg-bin=pidproxy={a}");
    }
    println!("cargo::rustc-link-arg-bin=pidproxy=-Wl,-T,{d}/linker.ld");
}

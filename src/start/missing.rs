//! An architecture that is not there.
compile_error!(
    "this architecture is not there yet. It wants: a `_start` in a file of its own in src/start, named in src/start/mod.rs; \
     its e_machine, e_flags and largest page in build.rs; in src/sys/native.rs those calls and structures that are not as \
     on the others; and a linker for its target in .cargo/config.toml"
);

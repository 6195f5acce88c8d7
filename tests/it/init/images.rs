//! The examples of images: each is prepared, built and run as its README says, in each engine.

use std::path::PathBuf;
use std::process::Command;

use crate::harness::engines::{Engine, Kind, engine};
use crate::harness::needs::{self, skip};
use crate::harness::{DEADLINE, Scope, binary, eventually};

/// Prepares an example, and builds it as an image of its own name.
fn build(engine: &Engine, scope: &Scope, example: &str) {
    let context: PathBuf = scope.path("context");
    let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/images/prepare"))
        .arg(example)
        .arg(&context)
        .env("PIDPROXY", binary())
        .output()
        .expect("the script runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    engine.build(example, &context).expect("it builds as it stands");
}

fn static_program(kind: Kind) {
    let engine = match engine(kind) {
        Err(reason) => return skip(&reason),
        Ok(engine) => engine,
    };
    let scope = Scope::new();
    build(&engine, &scope, "static");
    let running = engine.run(&scope, "static", &["static"]).spawn();
    let greeting = || running.stdout().starts_with("hello, I am process ").then_some(());
    eventually(DEADLINE, greeting).unwrap_or_else(|| panic!("no greeting\n{}", running.evidence()));
    engine.expect(&["stop", "-t", "60", "static"]);
    running.wait().expect_code(143);
    // Without pidproxy it is process 1, and does not even notice TERM.
    let bare = engine.run(&scope, "bare", &["--entrypoint=/hello", "static"]).spawn();
    eventually(DEADLINE, || bare.stdout().contains("I am process 1\n").then_some(())).expect("it is process 1");
    engine.expect(&["stop", "-t", "1", "bare"]);
    bare.wait().expect_code(137);
}

fn server(kind: Kind) {
    let engine = match engine(kind).and_then(|engine| needs::program("redis-server").map(|()| engine)) {
        Err(reason) => return skip(&reason),
        Ok(engine) => engine,
    };
    let scope = Scope::new();
    build(&engine, &scope, "redis");
    let data = scope.directory_for("data", 6379, 6379);
    let volume = format!("{}:/data", data.display());
    let running = engine.run(&scope, "redis", &["-v", &volume, "redis"]).spawn();
    let log = || std::fs::read_to_string(data.join("log")).unwrap_or_default();
    let serves = || log().to_lowercase().contains("ready to accept connections").then_some(());
    eventually(DEADLINE, serves).unwrap_or_else(|| panic!("{}\n{}", log(), running.evidence()));
    assert!(data.join("socket").exists());
    engine.expect(&["stop", "-t", "60", "redis"]);
    running.wait().expect_code(0);
    assert!(log().contains("bye bye"), "{}", log());
    assert!(data.join("dump.rdb").exists(), "it has saved its data");
    // And as the README has it, where the directory is the image's own.
    let running = engine.run(&scope, "redis", &["redis"]).spawn();
    let processes = || {
        let text = engine.command(&["top", "redis"]).output().expect("the engine's client").stdout;
        String::from_utf8_lossy(&text).contains("redis-server").then_some(())
    };
    eventually(DEADLINE, processes).unwrap_or_else(|| panic!("it does not run\n{}", running.evidence()));
    engine.expect(&["stop", "-t", "60", "redis"]);
    running.wait().expect_code(0);
}

#[test]
fn podman_runs_the_static_program() {
    static_program(Kind::Podman);
}

#[test]
fn docker_runs_the_static_program() {
    static_program(Kind::Docker);
}

#[test]
fn podman_runs_the_server() {
    server(Kind::Podman);
}

#[test]
fn docker_runs_the_server() {
    server(Kind::Docker);
}

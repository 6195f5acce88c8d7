# Lists what there is.
_list:
    @just --list --unsorted

# The release build: target/release/pidproxy.
build:
    cargo build --release --locked

# All tests (see tests/run for the options).
test *options:
    tests/run {{ options }}

# Formatting and lints, as CI has them.
check:
    .ci/run --no-tests

# What the file weighs, by function and by text.
size:
    tests/size

# What it costs to start a program through it, and to keep it, beside other inits.
bench:
    benches/run

# The manual page.
man:
    man --local-file man/pidproxy.8

# Ten lives in a row of every real daemon.
soak:
    cargo build --release --locked
    DAEMON_RUNS=10 cargo test --locked -p pidproxy-it -- daemons::

# The release binaries of an architecture or of all, in dist/ (see tests/cross for the options).
cross *options:
    tests/cross {{ options }}

# Real kernels in emulated machines, with pidproxy as their first process (see tests/boot for the options).
boot *options:
    tests/boot {{ options }}

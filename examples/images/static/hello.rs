//! Says who it is, and stays. It handles no signal: as process 1 it would survive TERM.

fn main() {
    println!("hello, I am process {}", std::process::id());
    loop {
        std::thread::park();
    }
}

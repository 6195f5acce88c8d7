//! Asking a daemon for what it serves, in its own protocol, with nothing installed for it. `None`: it does not answer
//! (yet).

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// A daemon that has accepted a question answers it, or closes the connection, well before this.
const PATIENCE: Duration = Duration::from_secs(5);

/// A port that nobody uses, below those that the kernel gives out by itself. No two calls in one process give the same, and
/// test runs beside each other begin at different ones.
pub(super) fn free_port() -> u16 {
    static CALLS: AtomicU16 = AtomicU16::new(0);
    let first = std::process::id().wrapping_mul(16) % 20_000;
    let is_free = |port: u16| {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() && UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
    };
    (0..20_000)
        .map(|_| 10_000 + (first + u32::from(CALLS.fetch_add(1, Ordering::Relaxed))) % 20_000)
        .map(|port| u16::try_from(port).expect("below 30,000"))
        .find(|&port| is_free(port))
        .expect("a free port")
}

/// Sends this, and gives all that comes until the other side closes. So the request must ask for that.
pub(super) fn exchange(port: u16, request: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(request).ok()?;
    let mut answer = Vec::new();
    // What was read before a reset counts too.
    let _ = stream.read_to_end(&mut answer);
    Some(answer)
}

/// [`exchange`] for protocols of text.
pub(super) fn talk(port: u16, request: &str) -> Option<String> {
    Some(String::from_utf8_lossy(&exchange(port, request.as_bytes())?).into_owned())
}

/// The body of the answer to a GET.
pub(super) fn http(port: u16, url: &str) -> Option<String> {
    let request = format!("GET {url} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let answer = talk(port, &request)?;
    Some(answer.split_once("\r\n\r\n")?.1.to_owned())
}

/// What a `FastCGI` application answers to a GET.
pub(super) fn fastcgi(port: u16, script: &str) -> Option<String> {
    let record = |kind: u8, contents: &[u8]| {
        let length = u8::try_from(contents.len()).expect("short contents");
        [&[1, kind, 0, 1, 0, length, 0, 0], contents].concat()
    };
    let parameter = |name: &str, value: &str| {
        let lengths = [name.len(), value.len()].map(|length| u8::try_from(length).expect("a short parameter"));
        [lengths.as_slice(), name.as_bytes(), value.as_bytes()].concat()
    };
    let parameters =
        [parameter("REQUEST_METHOD", "GET"), parameter("SCRIPT_NAME", script), parameter("SCRIPT_FILENAME", script)];
    let request = [
        // Begins as a responder that closes the connection afterwards.
        record(1, &[0, 1, 0, 0, 0, 0, 0, 0]),
        record(4, &parameters.concat()),
        record(4, &[]),
        record(5, &[]),
    ];
    let answer = exchange(port, &request.concat())?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}

/// The code with which an MQTT broker accepts (0) or refuses (5: not authorized) somebody without a name.
pub(super) fn mqtt(port: u16) -> Option<u8> {
    let connect = *b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01x";
    let disconnect = *b"\xe0\0";
    match exchange(port, &[&connect[..], &disconnect].concat())?.as_slice() {
        [0x20, 2, _, code, ..] => Some(*code),
        _ => None,
    }
}

/// What a `PostgreSQL` server says to a new session: the settings that it reports, as `NAME\0VALUE\0`.
pub(super) fn postgres(port: u16, user: &str) -> Option<String> {
    let parameters = format!("user\0{user}\0database\0postgres\0\0");
    let length = u32::try_from(8 + parameters.len()).expect("a short message");
    let start = [&length.to_be_bytes(), &[0, 3, 0, 0], parameters.as_bytes()].concat();
    let terminate = *b"X\0\0\0\x04";
    let answer = exchange(port, &[&start[..], &terminate].concat())?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}

/// Whether a name server knows `name.test` under this address.
pub(super) fn name_server_knows(port: u16, address: Ipv4Addr) -> bool {
    // Identity, flags (recursion desired), one question: an address (1) of the Internet (1).
    let query = *b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x04name\x04test\0\0\x01\0\x01";
    let ask = || {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
        socket.connect((Ipv4Addr::LOCALHOST, port)).ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
        socket.send(&query).ok()?;
        let mut answer = [0; 512];
        let length = socket.recv(&mut answer).ok()?;
        Some(answer[..length].to_vec())
    };
    ask().is_some_and(|answer| answer.windows(4).any(|bytes| bytes == address.octets()))
}

/// Sends a datagram.
pub(super) fn tell(port: u16, message: &str) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    // A refusal is of an earlier datagram, by a receiver that is not there yet.
    let _ = socket.send_to(message.as_bytes(), (Ipv4Addr::LOCALHOST, port));
}

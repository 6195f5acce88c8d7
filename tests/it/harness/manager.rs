//! What is at the other end of `NOTIFY_SOCKET` (`sd_notify(3)`).

use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{DEADLINE, Proxy, Running, Scope};

/// A service manager: who started the proxy, and hears from it.
pub(crate) struct Manager {
    socket: UnixDatagram,
    /// What is in the variable.
    pub(crate) name: String,
}

impl Manager {
    /// With a path.
    pub(crate) fn new(scope: &Scope) -> Self {
        let path = scope.path("notify");
        let socket = UnixDatagram::bind(&path).expect("a new socket");
        Self { name: path.to_str().expect("a path of ASCII").to_owned(), socket }.ready()
    }

    /// With a name that is in no file system.
    pub(crate) fn with_abstract_name() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("pidproxy-test@{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let socket = UnixDatagram::bind_addr(&address).expect("a new socket");
        Self { name: format!("@{name}"), socket }.ready()
    }

    fn ready(self) -> Self {
        self.socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        self
    }

    /// The proxy under it.
    pub(crate) fn over<'scope>(&self, proxy: Proxy<'scope>) -> Proxy<'scope> {
        proxy.env("NOTIFY_SOCKET", &self.name)
    }

    /// Waits for a message.
    #[track_caller]
    pub(crate) fn next(&self) -> String {
        let mut buffer = [0; 4096];
        let count = self.socket.recv(&mut buffer).expect("a message in time");
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    }

    /// Waits for a message, which has to be this one.
    #[track_caller]
    pub(crate) fn expect(&self, message: &str) {
        assert_eq!(self.next(), message);
    }

    #[track_caller]
    pub(crate) fn expect_ready(&self, proxy: &Running) {
        self.expect(&format!("READY=1\nMAINPID={}", proxy.pid()));
    }

    #[track_caller]
    pub(crate) fn expect_end(&self) {
        self.expect("STOPPING=1");
        self.expect_nothing();
    }

    /// Of a target that ends at once it is not always said that it was there.
    #[track_caller]
    pub(crate) fn expect_a_short_life(&self) {
        let message = self.next();
        if message.starts_with("READY=1\n") {
            self.expect_end();
        } else {
            assert_eq!(message, "STOPPING=1");
            self.expect_nothing();
        }
    }

    /// Nothing more has come.
    #[track_caller]
    pub(crate) fn expect_nothing(&self) {
        self.socket.set_nonblocking(true).expect("a socket");
        let mut buffer = [0; 4096];
        match self.socket.recv(&mut buffer) {
            Ok(count) => panic!("came: {:?}", String::from_utf8_lossy(&buffer[..count])),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
        }
        self.socket.set_nonblocking(false).expect("a socket");
    }
}

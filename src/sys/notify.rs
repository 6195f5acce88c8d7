//! The socket of a service manager (`sd_notify(3)`).

use core::ptr::NonNull;

use linux_raw_sys::net::{AF_UNIX, SOCK_DGRAM};
use syscalls::Sysno;

use super::call::raw_syscall;
use super::close;
use super::memory::of_unknown_origin;

/// A socket's address (unix(7)), made of the variable that names it in its own place: the family is where the name ended.
#[derive(Clone, Copy, Debug)]
pub struct Address(
    /// The path; or the NUL that an abstract name begins with. Both end at a NUL.
    NonNull<u8>,
);

impl Address {
    const FAMILY: u16 = AF_UNIX as u16;

    /// The address of a path, or behind an `@` of an abstract name; `None` for an empty one.
    ///
    /// # Safety
    ///
    /// It is a variable's value, of more than one letter and an equals sign, and the variable is nobody else's.
    pub(super) unsafe fn new(value: *mut u8) -> Option<Self> {
        // SAFETY: a value ends at a NUL.
        let first = unsafe { *value };
        if first == 0 {
            return None;
        }
        // SAFETY: before the value there are two bytes of its name,
        let family = unsafe { value.sub(size_of::<u16>()) };
        // SAFETY: which are ours to write.
        unsafe { family.cast::<u16>().write_unaligned(Self::FAMILY) };
        if first == b'@' {
            // SAFETY: the byte was there.
            unsafe { *value = 0 };
        }
        NonNull::new(value).map(Self)
    }

    /// Sends it a message (`sendto(2)`). Nobody may be there: then the message is lost.
    pub fn send(self, message: &[u8]) {
        let path = self.0.as_ptr();
        // SAFETY: there is at least one byte.
        let mut end = unsafe { path.add(1) };
        // SAFETY: up to the NUL there are others.
        while unsafe { *end } != 0 {
            // Else the compiler calls strlen(3).
            // SAFETY: as said.
            end = of_unknown_origin(unsafe { end.add(1) });
        }
        // SAFETY: the family stands there.
        let address = unsafe { path.sub(size_of::<u16>()) };
        let length = end.addr() - address.addr();
        // SAFETY: takes numbers only.
        let socket = unsafe { raw_syscall!(Sysno::socket, AF_UNIX, SOCK_DGRAM, 0) } as u32;
        // SAFETY: the kernel reads the message and the address.
        unsafe { raw_syscall!(Sysno::sendto, socket, message.as_ptr(), message.len(), 0, address, length) };
        close(socket);
    }
}

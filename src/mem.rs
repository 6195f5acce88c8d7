//! The functions of C that the compiler calls by itself, where the processor has no instructions for them. They are not
//! fast; what is not called is not linked.

/// `memset(3)`.
///
/// # Safety
///
/// `count` bytes from `to` on may be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, value: i32, count: usize) -> *mut u8 {
    for index in 0..count {
        // SAFETY: one of the bytes that may be written.
        let place = unsafe { to.add(index) };
        // SAFETY: as said. Volatile: else the compiler would see a call to this very function in the loop.
        unsafe { place.write_volatile(value as u8) };
    }
    to
}

/// `memcpy(3)`.
///
/// # Safety
///
/// `count` bytes from `from` on may be read, and as many from `to` on be written, which are none of them.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    for index in 0..count {
        // SAFETY: one of the bytes that may be read.
        let byte = unsafe { from.add(index) };
        // SAFETY: one of the bytes that may be written.
        let place = unsafe { to.add(index) };
        // SAFETY: as said.
        let byte = unsafe { byte.read() };
        // SAFETY: as said. Volatile: else the compiler would see a call to this very function in the loop.
        unsafe { place.write_volatile(byte) };
    }
    to
}

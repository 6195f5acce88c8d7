//! The binary: entry and panic handler around the library's `run`.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "entry and exit of the program are made here")]

#[cfg(feature = "std")]
compile_error!("the feature std is for users of the library: the binary is made without it");

#[cfg(not(target_arch = "x86_64"))]
mod mem;
mod start;

/// Called by `_start` with the stack pointer as the kernel set it.
extern "C" fn enter(stack: *mut usize) -> ! {
    // SAFETY: `_start` hands on the stack pointer that it got, once.
    let start = unsafe { pidproxy::sys::Start::new(stack) };
    pidproxy::run(start)
}

#[cfg(not(feature = "std"))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        /// There is no such function: a panic that the compiler could not prove away fails the link.
        #[link_name = "a panic is left in the program"]
        fn a_panic_is_left() -> !;
    }
    // SAFETY: never linked, so never called.
    unsafe { a_panic_is_left() }
}

//! 32-bit ARM.

/// The first instruction. The kernel has aligned the stack to 8 bytes, as functions expect it.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn _start() -> ! {
    core::arch::naked_asm!("mov r0, sp", "b {enter}", enter = sym crate::enter)
}

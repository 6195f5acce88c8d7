//! AArch64.

/// The first instruction. The kernel has aligned the stack to 16 bytes, as functions expect it.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn _start() -> ! {
    core::arch::naked_asm!("mov x0, sp", "b {enter}", enter = sym crate::enter)
}

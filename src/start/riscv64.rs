//! 64-bit RISC-V.

/// The first instruction. The kernel has aligned the stack to 16 bytes, as functions expect it. There is no global
/// pointer: nothing is addressed by it.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn _start() -> ! {
    core::arch::naked_asm!("mv a0, sp", "tail {enter}", enter = sym crate::enter)
}

//! 32-bit x86.

/// The first instruction. The kernel has aligned the stack to 16 bytes, and so it is where the argument stands; `call`
/// makes it what a function expects.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn _start() -> ! {
    core::arch::naked_asm!("mov eax, esp", "sub esp, 12", "push eax", "call {enter}", enter = sym crate::enter)
}

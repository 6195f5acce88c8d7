//! x86-64.

/// The first instruction. The kernel has aligned the stack to 16 bytes; `call` makes it what a function expects.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn _start() -> ! {
    core::arch::naked_asm!("mov rdi, rsp", "call {enter}", enter = sym crate::enter)
}

//! 64-bit Power, little-endian (ELF ABI version 2).

/// The first instruction, whose address the kernel gives in `r12`: from it comes the base of all addresses of data, which
/// functions expect in `r2`. They also expect 32 bytes above their frame, where they save registers: they must not be the
/// arguments.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn _start() -> ! {
    core::arch::naked_asm!(
        "addis 2, 12, .TOC. - _start@ha",
        "addi 2, 2, .TOC. - _start@l",
        "mr 3, 1",
        "stdu 1, -32(1)",
        "bl {enter}",
        "nop",
        enter = sym crate::enter
    )
}

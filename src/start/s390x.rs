//! IBM Z.

/// The first instruction. A function expects 160 bytes above its frame, where it saves registers: they must not be the
/// arguments. The first of them is the back chain, which ends here.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn _start() -> ! {
    core::arch::naked_asm!(
        "lgr %r2, %r15",
        "aghi %r15, -160",
        "xc 0(8, %r15), 0(%r15)",
        "jg {enter}",
        enter = sym crate::enter
    )
}

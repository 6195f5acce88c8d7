//! The stack: what lies on it, and what we leave behind.

use core::mem::MaybeUninit;

use syscalls::Sysno;

use super::Text;
use super::call::raw_syscall;
use super::native::PAGE;

/// Gives back the memory of the stack below the caller's frame (`madvise(2)`, `MADV_DONTNEED`): what a child that shared
/// our memory used there, and what start-up needed once.
pub(super) fn forget_stack_below() {
    /// More than the deepest use of the stack: frames stay below a page, and calls are not deep.
    const DEPTH: usize = 128 * 1024;
    /// Nothing of a small frame lies so far below a local variable in it.
    const FRAME: usize = 96;
    let here = MaybeUninit::<u8>::uninit();
    let start = (&raw const here as usize - FRAME - DEPTH) & !(PAGE - 1);
    // SAFETY: the range ends below the caller's frame, the lowest one there is, and nothing outlives the calls that used it.
    unsafe {
        raw_syscall!(Sysno::madvise, start, DEPTH, linux_raw_sys::general::MADV_DONTNEED);
    }
}

/// The same reference, of which the compiler no longer knows that it points to a variable of its caller: so it stays in a
/// register, from which offsets are shorter than from the stack pointer, and is not made anew for every use.
#[inline(always)]
#[expect(clippy::inline_always, reason = "there is no instruction in it")]
pub fn in_register<T>(variable: &mut T) -> &mut T {
    // There offsets have one length.
    if cfg!(target_arch = "powerpc64") {
        return variable;
    }
    // SAFETY: it is the same address.
    unsafe { &mut *of_unknown_origin(variable) }
}

/// The same text, of which the compiler no longer knows that it is a constant: so its address is not made anew for every use.
#[inline(always)]
#[expect(clippy::inline_always, reason = "there is no instruction in it")]
pub fn text_in_register(text: Text<'_>) -> Text<'_> {
    // SAFETY: it is the same address.
    unsafe { Text::from_start(of_unknown_origin(text.as_pointer().cast_mut())) }
}

/// The same address, of which the compiler knows nothing.
#[inline(always)]
#[expect(clippy::inline_always, clippy::pointers_in_nomem_asm_block, reason = "there is no instruction in it")]
pub(super) fn of_unknown_origin<T>(mut address: *mut T) -> *mut T {
    // SAFETY: this is a comment.
    unsafe { core::arch::asm!("/* {0} */", inout(reg) address, options(nomem, nostack, preserves_flags)) };
    address
}

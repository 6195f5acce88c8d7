//! The stack we leave behind.

use core::mem::MaybeUninit;

use syscalls::Sysno;

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
    let end = (&raw const here as usize - FRAME) & !(PAGE - 1);
    // SAFETY: the range ends below the caller's frame, the lowest one there is, and nothing outlives the calls that used it.
    unsafe {
        raw_syscall!(Sysno::madvise, end - DEPTH, DEPTH, linux_raw_sys::general::MADV_DONTNEED);
    }
}

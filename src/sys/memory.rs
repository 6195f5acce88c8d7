//! The stack we leave behind.

use syscalls::{Sysno, syscall};

/// Gives back the memory of the stack below the caller's frame (`madvise(2)`, `MADV_DONTNEED`): what a child that shared
/// our memory used there, and what start-up needed once.
#[inline(never)]
pub fn forget_stack_below() {
    const PAGE: usize = 4096;
    /// More than the deepest use of the stack, the group list of an identity.
    const DEPTH: usize = 512 * 1024;
    /// Nothing of this frame lies so far below the local variable in it.
    const FRAME: usize = 256;
    let here = 0_u8;
    let end = (&raw const here as usize - FRAME) & !(PAGE - 1);
    // SAFETY: the range ends below this frame, the lowest one there is, and nothing outlives the calls that used it.
    let _ = unsafe {
        syscall!(
            Sysno::madvise,
            end - DEPTH,
            DEPTH,
            linux_raw_sys::general::MADV_DONTNEED
        )
    };
}

//! The system call itself.

/// A system call: its number and up to six words. Gives what it gave, or the number of an error, negative.
#[cfg(not(target_arch = "powerpc64"))]
pub(super) use syscalls::raw_syscall;

/// A system call: its number and up to six words. Gives what it gave, or the number of an error, negative. This takes three
/// instructions here, which are shorter as a function.
#[cfg(target_arch = "powerpc64")]
macro_rules! raw_syscall {
    ($number:expr $(, $a:expr $(, $b:expr $(, $c:expr $(, $d:expr $(, $e:expr $(, $f:expr)?)?)?)?)?)?) => {{
        let result: usize;
        core::arch::asm!(
            "bl {call}",
            call = sym $crate::sys::call::call,
            in("r0") $number as usize,
            $(in("r3") $a as usize, $(in("r4") $b as usize, $(in("r5") $c as usize,
            $(in("r6") $d as usize, $(in("r7") $e as usize, $(in("r8") $f as usize,)?)?)?)?)?)?
            lateout("r3") result,
            lateout("r0") _, lateout("r4") _, lateout("r5") _, lateout("r6") _, lateout("r7") _, lateout("r8") _,
            lateout("r9") _, lateout("r10") _, lateout("r11") _, lateout("r12") _, lateout("cr0") _, lateout("lr") _,
        );
        result
    }};
}
#[cfg(target_arch = "powerpc64")]
#[allow(unused_imports, reason = "where this file is compared with libc")]
pub(super) use raw_syscall;

/// The call itself. The kernel gives errors as positive numbers, with a mark in the condition register.
#[cfg(target_arch = "powerpc64")]
#[unsafe(naked)]
pub(super) unsafe extern "C" fn call() {
    core::arch::naked_asm!("sc", "bnslr", "neg 3, 3", "blr")
}

//! Strings that stand in the program's own ELF header, where bytes mean nothing to whoever loads it: see linker.ld.

use core::ffi::CStr;

use super::Text;

/// The padding of `e_ident`, which begins at an odd address: there s390x can have nothing.
#[cfg_attr(not(target_arch = "s390x"), unsafe(link_section = ".header.identity"))]
static IDENTITY: [u8; 7] = *b"HOME=/\0";

/// The physical address of the segment, which is unspecified, where addresses have 64 bits.
#[unsafe(link_section = ".header.segment")]
static SEGMENT: [u8; 8] = *b"/bin/sh\0";

/// The offset, the addresses and the size in the file of the stack, which is not in the file, with 64 bits.
#[unsafe(link_section = ".header.stack")]
static STACK: [u8; 32] = *b"PATH=/usr/bin:/bin\0following\0-R\0";

/// The alignment of the stack, which is the system's affair, with 64 bits.
#[unsafe(link_section = ".header.alignment")]
static ALIGNMENT: [u8; 8] = *b"ended\0/\0";

/// The variable with the home directory of a user that has none.
pub const ROOT_HOME: Text<'static> = text(&IDENTITY);
/// What runs scripts that name no other program for it.
pub(super) const SHELL: Text<'static> = text(&SEGMENT);
/// Where commands are searched when `PATH` is not set.
pub const DEFAULT_PATH: Text<'static> = text(&STACK);
/// What is said of a process that signals go to from now on.
pub const FOLLOWING: Text<'static> = text(STACK.split_at("PATH=/usr/bin:/bin ".len()).1);
/// The option that wants a command.
pub const RESTART: Text<'static> = text(STACK.split_at("PATH=/usr/bin:/bin following ".len()).1);

/// What is said of a process that is gone.
pub const ENDED: Text<'static> = text(&ALIGNMENT);
/// The directory that no file system is pinned by.
pub(super) const ROOT: Text<'static> = text(ALIGNMENT.split_at("ended ".len()).1);

/// The text that some bytes begin with. Without a NUL it does not compile.
#[expect(clippy::panic, reason = "evaluated at compile time only")]
const fn text(bytes: &'static [u8]) -> Text<'static> {
    match CStr::from_bytes_until_nul(bytes) {
        Ok(string) => Text::new(string),
        Err(_) => panic!("no text"),
    }
}

//! Strings as the kernel has them: bytes that end at a NUL.

use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::ptr::from_ref;

use syscalls::Sysno;

use super::Outcome;
use super::call::raw_syscall;

/// A cursor on bytes that end at a NUL.
///
/// Holding one proves that every byte from here up to and including the next NUL may be read for as long as `'a` lasts.
/// It is one pointer wide, `None` included, and moving it can not fail: at the NUL it stays.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Text<'a>(&'a u8);

impl<'a> Text<'a> {
    /// The bytes of a C string.
    #[must_use]
    pub const fn new(string: &'a CStr) -> Self {
        // SAFETY: the pointer comes from a reference, and the bytes behind it end at a NUL.
        Self(unsafe { &*string.as_ptr().cast() })
    }

    /// The bytes of a buffer up to its first NUL; nothing at all unless the buffer ends with one.
    #[must_use]
    pub fn from_buffer(buffer: &'a [u8]) -> Self {
        match buffer {
            [first, .., 0] => Self(first),
            _ => Self(&0),
        }
    }

    /// The bytes from `start` up to the next NUL.
    ///
    /// # Safety
    ///
    /// They are all written, and stay as they are for as long as `'a` lasts.
    pub(super) unsafe fn from_start(start: *const u8) -> Self {
        // SAFETY: as said.
        Self(unsafe { &*start })
    }

    /// Where the cursor stands, for system calls.
    #[must_use]
    pub const fn as_pointer(self) -> *const u8 {
        from_ref(self.0)
    }

    /// How many bytes the cursor has moved since it stood at `start`.
    #[must_use]
    pub fn distance_from(self, start: Self) -> usize {
        self.as_pointer().addr() - start.as_pointer().addr()
    }

    /// The byte under the cursor; 0 at the end.
    #[must_use]
    pub const fn peek(self) -> u8 {
        *self.0
    }

    /// Takes the byte under the cursor; 0 at the end, however often it is asked.
    pub const fn take(&mut self) -> u8 {
        let byte = self.peek();
        // SAFETY: a byte that is not the NUL has a successor at or before the NUL.
        let next = unsafe { from_ref(self.0).add((byte != 0) as usize) };
        // SAFETY: up to the NUL all is readable, as the type says.
        self.0 = unsafe { &*next };
        byte
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.peek() == 0
    }

    /// Moves past `prefix` if it is what comes next, and tells whether it was.
    pub fn take_prefix(&mut self, mut prefix: Text<'_>) -> bool {
        let mut rest = *self;
        while !prefix.is_empty() {
            if rest.take() != prefix.take() {
                return false;
            }
        }
        *self = rest;
        true
    }

    /// The byte behind a name, which goes up to its end or to `end`, where it is what comes next; else 1.
    #[must_use]
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the file is smaller with it, see SIZE.md")]
    pub fn byte_behind(mut self, mut name: Text<'_>, end: u8) -> u8 {
        loop {
            let byte = name.peek();
            if byte == 0 || byte == end {
                return self.peek();
            }
            if byte != self.peek() {
                return 1;
            }
            name.take();
            self.take();
        }
    }

    /// What stands behind the first `wanted`; `None` where there is none.
    #[must_use]
    pub fn find(mut self, wanted: u8) -> Option<Self> {
        loop {
            match self.take() {
                0 => return None,
                byte if byte == wanted => return Some(self),
                _ => {}
            }
        }
    }
}

/// A string in the making. One that does not fit becomes an empty one.
#[derive(Debug)]
#[repr(C)]
pub struct TextBuffer {
    /// Where the string ends: there is a NUL.
    end: u32,
    /// Written up to and including `end`.
    bytes: [MaybeUninit<u8>; TextBuffer::CAPACITY],
}

impl TextBuffer {
    /// Enough for every path that is in use, and so little that a frame with one buffer stays below a page: above, each
    /// such function would begin with code that touches its pages.
    const CAPACITY: usize = 4008;

    /// Nothing yet.
    #[must_use]
    #[inline]
    #[expect(clippy::new_without_default, reason = "nobody needs a default")]
    pub const fn new() -> Self {
        let mut buffer = Self { end: 0, bytes: [MaybeUninit::uninit(); Self::CAPACITY] };
        buffer.clear();
        buffer
    }

    /// Adds a byte.
    pub fn put(&mut self, byte: u8) {
        if let Some([place, next]) = self.bytes.get_mut(self.end as usize..self.end as usize + 2) {
            *place = MaybeUninit::new(byte);
            *next = MaybeUninit::new(0);
            self.end += 1;
        } else {
            self.bytes[0] = MaybeUninit::new(0);
        }
    }

    /// The character of a digit, which is computed where this stands, and not anew where it is used.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "there is hardly an instruction in it")]
    #[allow(asm_sub_register, reason = "in a comment a register needs no format")]
    #[must_use]
    pub fn digit(value: i32) -> u8 {
        let mut character = value + i32::from(b'0');
        // SAFETY: this is a comment.
        unsafe { core::arch::asm!("/* {0} */", inout(reg) character, options(nomem, nostack, preserves_flags)) };
        character as u8
    }

    /// Adds what a text holds.
    #[cfg_attr(
        target_arch = "powerpc64",
        inline(always),
        expect(clippy::inline_always, reason = "the file is smaller with it, see SIZE.md")
    )]
    pub fn put_text(&mut self, text: Text<'_>) {
        self.put_until(text, 0);
    }

    /// Adds what a text holds up to a separator. Gives what is left of it: nothing, or the separator and what follows.
    pub fn put_until<'a>(&mut self, mut text: Text<'a>, separator: u8) -> Text<'a> {
        while !text.is_empty() && text.peek() != separator {
            self.put(text.take());
        }
        text
    }

    /// Adds the working directory and a slash, if there is such a directory (`getcwd(2)`).
    pub fn put_working_directory(&mut self) {
        let room = Self::CAPACITY - self.end as usize;
        // SAFETY: the end is in the buffer.
        let place = unsafe { self.bytes.as_mut_ptr().add(self.end as usize) };
        // SAFETY: the kernel writes at most as many bytes as there is room for.
        let outcome = Outcome::new(unsafe { raw_syscall!(Sysno::getcwd, place, room) });
        if !outcome.is_failure() {
            // So many bytes were written: the directory and its NUL, whose place the slash takes.
            self.end += outcome.number() as u32 - 1;
            self.put(b'/');
        }
    }

    /// The bytes so far.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: so many bytes were written.
        unsafe { core::slice::from_raw_parts(self.bytes.as_ptr().cast(), self.end as usize) }
    }

    /// How many bytes there are so far.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "whether it is empty is asked of its text")]
    pub const fn len(&self) -> u32 {
        self.end
    }

    /// The string.
    #[must_use]
    pub fn text(&self) -> Text<'_> {
        self.text_from(0)
    }

    /// The string from one of its bytes on.
    #[must_use]
    pub fn text_from(&self, start: u32) -> Text<'_> {
        let start = start.min(self.end) as usize;
        // SAFETY: the end is in the buffer.
        let first = unsafe { self.bytes.as_ptr().add(start) };
        // SAFETY: all up to and including `end` is written, and there is a NUL.
        Text(unsafe { &*first.cast() })
    }

    /// Begins anew.
    pub const fn clear(&mut self) {
        self.end = 0;
        self.bytes[0] = MaybeUninit::new(0);
        // Not needed, but eight bytes are one store.
        self.bytes[1] = MaybeUninit::new(0);
        self.bytes[2] = MaybeUninit::new(0);
        self.bytes[3] = MaybeUninit::new(0);
    }
}

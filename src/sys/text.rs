//! Strings as the kernel hands them over: bytes that end at a NUL.

use core::ffi::CStr;
use core::marker::PhantomData;

use heapless::Vec;

/// A cursor on bytes that end at a NUL.
///
/// Holding one proves that every byte up to and including the next NUL may be read for as long as `'a` lasts. It is
/// one pointer wide, and moving it can not fail: at the NUL it stays.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    at: *const u8,
    lifetime: PhantomData<&'a [u8]>,
}

impl<'a> Text<'a> {
    /// The bytes of a C string.
    #[must_use]
    pub const fn new(string: &'a CStr) -> Self {
        Self {
            at: string.as_ptr().cast(),
            lifetime: PhantomData,
        }
    }

    /// The bytes of a buffer up to its first NUL; nothing at all unless the buffer ends with one.
    #[must_use]
    pub fn from_buffer(buffer: &'a [u8]) -> Self {
        if buffer.last() == Some(&0) {
            Self {
                at: buffer.as_ptr(),
                lifetime: PhantomData,
            }
        } else {
            Self::new(c"")
        }
    }

    /// What a pointer from the start stack points to.
    ///
    /// # Safety
    ///
    /// The pointer is not null, and the bytes from it up to a NUL stay readable and unchanged during `'a`.
    #[must_use]
    pub const unsafe fn from_pointer(at: *const u8) -> Self {
        Self {
            at,
            lifetime: PhantomData,
        }
    }

    /// Where the cursor stands, for system calls.
    #[must_use]
    pub const fn as_pointer(self) -> *const u8 {
        self.at
    }

    /// The byte under the cursor; 0 at the end.
    #[must_use]
    pub const fn peek(self) -> u8 {
        // SAFETY: the cursor stands on a byte at or before the NUL, which the type's promise makes readable.
        unsafe { *self.at }
    }

    /// Takes the byte under the cursor; 0 at the end, however often it is asked.
    pub const fn take(&mut self) -> u8 {
        let byte = self.peek();
        // SAFETY: a byte that is not the NUL has a successor at or before the NUL.
        self.at = unsafe { self.at.add((byte != 0) as usize) };
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

/// Strings in the making, one behind the other. What does not fit is left out, and its string is empty.
#[derive(Debug)]
pub struct TextBuffer {
    bytes: Vec<u8, 4608>,
    /// Where the current string begins.
    start: usize,
}

impl TextBuffer {
    /// No string yet. Its capacity is that of the longest path, and some words more.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
        }
    }

    /// Adds a byte to the current string.
    #[inline(never)]
    pub fn put(&mut self, byte: u8) {
        let _ = self.bytes.push(byte);
    }

    /// Adds what a text holds.
    #[inline(never)]
    pub fn put_text(&mut self, mut text: Text<'_>) {
        while !text.is_empty() {
            self.put(text.take());
        }
    }

    /// The current string so far.
    #[must_use]
    pub fn current(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// Ends the current string with its NUL, and begins another.
    pub fn finish(&mut self) -> Text<'_> {
        self.put(0);
        let start = core::mem::replace(&mut self.start, self.bytes.len());
        Text::from_buffer(self.bytes.get(start..).unwrap_or_default())
    }

    /// Empties the buffer.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
    }
}

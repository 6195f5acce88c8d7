//! Files of lines with fields between colons, in memory.

use core::mem::{MaybeUninit, offset_of, size_of};

use heapless::Vec;
use linux_raw_sys::general::MADV_DONTNEED;
use syscalls::Sysno;

use super::call::raw_syscall;
use super::{Groups, Ids, Outcome, Text, TextBuffer, Variable, native, open, setgroups};

/// More fields than lines have that count; a power of two.
const FIELDS: usize = 8;
/// How many bytes the files may have, all together.
const ROOM: usize = 16 << 20;

/// Files of lines with fields between colons, and who was found in them. It lies in memory of its own, of which only what
/// is used counts: a line may have any length, and a field stays where it was read.
#[derive(Debug)]
#[repr(C)]
pub struct Table {
    /// Where the next line begins, and where the last one ends.
    next: *mut u8,
    end: *mut u8,
    /// Where the fields of the current line begin.
    fields: [*const u8; FIELDS],
    /// Who is looked for, for failures.
    pub name: Text<'static>,
    /// The ids that were found,
    pub ids: Ids,
    /// and those that we were started with,
    pub own: Ids,
    /// as `HOME` was.
    pub own_home: Option<Variable>,
    /// The supplementary groups that we were started with.
    pub own_groups: Groups,
    /// `HOME=` and the user's home directory.
    pub home: TextBuffer,
    /// What follows is given back: it has pages of its own.
    _gap: [MaybeUninit<u8>; native::PAGE],
    /// Supplementary groups: as many as the kernel takes (`NGROUPS_MAX`).
    groups: Vec<u32, 65536, u32>,
    bytes: [MaybeUninit<u8>; ROOM],
    /// Room for a line feed behind each file, and for a byte too many.
    _slack: [MaybeUninit<u8>; 8],
}

impl Table {
    /// A new one, with nothing in it.
    ///
    /// # Errors
    ///
    /// There is no memory for it.
    pub fn new(name: Text<'static>) -> Result<&'static mut Self, Outcome> {
        let place = native::map_memory(size_of::<Self>());
        if native::is_no_address(place) {
            return Err(Outcome::new(place));
        }
        let place = place as *mut Self;
        // SAFETY: it is large enough.
        let place_of_name = unsafe { &raw mut (*place).name };
        // SAFETY: as said.
        unsafe { place_of_name.write(name) };
        // SAFETY: but for the name all zeros is a value of it: of the groups an empty list, of `HOME` nothing, see the test.
        let table = unsafe { &mut *place };
        table.end = table.bytes.as_mut_ptr().cast();
        table.fields = [table.end; FIELDS];
        Ok(table)
    }

    /// Reads a whole file, whose lines then come next. One that can not be opened is an empty one.
    pub fn load(&mut self, path: Text<'_>) -> Outcome {
        let file = open(Some(path), 0);
        let mut outcome = file.outcome();
        self.next = self.end;
        let limit = self.bytes.as_ptr_range().end as usize;
        while !outcome.is_failure() {
            // Beyond the limit this is negative, which is an error.
            let room = limit.wrapping_sub(self.end as usize) | 1;
            // SAFETY: the kernel writes at most what there is room for.
            let count = unsafe { raw_syscall!(Sysno::read, file.raw(), self.end, room) };
            outcome = Outcome::new(count);
            if count.cast_signed() <= 0 {
                break;
            }
            // SAFETY: so much was read.
            self.end = unsafe { self.end.add(count) };
        }
        file.close();
        // SAFETY: one byte more is there.
        unsafe { *self.end = b'\n' };
        // SAFETY: it was this byte.
        self.end = unsafe { self.end.add(1) };
        outcome
    }

    /// Goes on to the next line that has so many colons, and tells whether there is one.
    ///
    /// A line ends at its line feed only. One with a NUL in it does not count. What ends a field becomes its NUL.
    pub fn next(&mut self, colons: usize) -> bool {
        while self.next < self.end {
            let mut count = 0;
            let mut place = self.next;
            self.fields[0] = place;
            loop {
                let last = place;
                // SAFETY: the last line ends with a line feed too.
                let byte = unsafe { *last };
                // SAFETY: as said.
                place = unsafe { last.add(1) };
                if byte == 0 {
                    count += FIELDS;
                }
                if matches!(byte, b':' | b'\n') {
                    // SAFETY: as said.
                    unsafe { *last = 0 };
                    if byte == b'\n' {
                        break;
                    }
                    count += 1;
                    if let Some(field) = self.fields.get_mut(count % FIELDS) {
                        *field = place;
                    }
                }
            }
            self.next = place;
            if count == colons {
                return true;
            }
        }
        false
    }

    /// Adds a supplementary group, as long as there is room.
    pub fn add_group(&mut self, gid: u32) {
        let _ = self.groups.push(gid);
    }

    /// Makes those groups ours.
    pub fn set_groups(&mut self) -> Outcome {
        setgroups(&self.groups)
    }

    /// Gives back the memory of the groups and of what was read (`madvise(2)`, `MADV_DONTNEED`).
    pub fn forget(&'static mut self) -> &'static Self {
        const START: usize = offset_of!(Table, groups) & !(native::PAGE - 1);
        let place = &raw const *self;
        // SAFETY: it is in this value, whose memory begins with a page.
        let start = unsafe { place.cast::<u8>().add(START) };
        // SAFETY: these pages are a part of this value, and may become zeros: nobody can use the groups any more nor go on
        // to another line, for which it takes more than the reference that is given.
        unsafe { raw_syscall!(Sysno::madvise, start, size_of::<Self>() - START, MADV_DONTNEED) };
        self
    }

    /// A field of the current line; of some line where this has no such field.
    #[must_use]
    pub fn field(&self, index: usize) -> Text<'static> {
        // SAFETY: the line ends with a NUL, and the memory is never given back.
        self.fields.get(index % FIELDS).map_or(Text::new(c""), |&field| unsafe { Text::from_start(field) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_an_empty_list_and_no_variable() {
        let list = MaybeUninit::<Vec<u32, 4, u32>>::zeroed();
        // SAFETY: it is, as this shows, a value.
        assert!(unsafe { list.assume_init() }.is_empty());
        let variable = MaybeUninit::<Option<Variable>>::zeroed();
        // SAFETY: likewise.
        assert!(unsafe { variable.assume_init() }.is_none());
    }
}

//! ELF files (elf(5)) of any class and byte order.

use std::fs;
use std::mem::offset_of;
use std::path::Path;

use libc::{
    Elf32_Ehdr as Header32, Elf32_Phdr as ProgramHeader32, Elf64_Ehdr as Header64, Elf64_Phdr as ProgramHeader64,
};

use super::binary;

/// An ELF file.
pub(crate) struct Elf {
    pub(crate) bytes: Vec<u8>,
    pub(crate) is_64_bit: bool,
    is_big_endian: bool,
}

/// The offset of a field in the header of the file's class.
macro_rules! field {
    ($elf:expr, $field:ident) => {
        if $elf.is_64_bit { offset_of!(Header64, $field) } else { offset_of!(Header32, $field) }
    };
}

/// The offset of a field in a program header of the file's class.
macro_rules! program_field {
    ($elf:expr, $field:ident) => {
        if $elf.is_64_bit { offset_of!(ProgramHeader64, $field) } else { offset_of!(ProgramHeader32, $field) }
    };
}

impl Elf {
    /// The binary under test.
    pub(crate) fn under_test() -> Self {
        Self::read(&binary())
    }

    pub(crate) fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(
            bytes.starts_with(b"\x7fELF") && bytes.len() >= size_of::<Header32>(),
            "{}: no ELF file",
            path.display()
        );
        let is_64_bit = bytes[libc::EI_CLASS] == libc::ELFCLASS64;
        let is_big_endian = bytes[libc::EI_DATA] == libc::ELFDATA2MSB;
        Self { bytes, is_64_bit, is_big_endian }
    }

    /// Which processors it is for.
    pub(crate) fn machine(&self) -> u16 {
        self.half_word(field!(self, e_machine))
    }

    /// What it demands of them, and the ABI.
    pub(crate) fn flags(&self) -> u32 {
        self.word(field!(self, e_flags))
    }

    pub(crate) fn is_big_endian(&self) -> bool {
        self.is_big_endian
    }

    pub(crate) fn kind(&self) -> u16 {
        self.half_word(field!(self, e_type))
    }

    pub(crate) fn entry(&self) -> u64 {
        self.address(field!(self, e_entry))
    }

    /// Where section headers are, and how many; zeros where there are none.
    pub(crate) fn section_headers(&self) -> (u64, u16) {
        (self.address(field!(self, e_shoff)), self.half_word(field!(self, e_shnum)))
    }

    /// The program headers: what the kernel looks at.
    pub(crate) fn segments(&self) -> Vec<Segment> {
        let size = usize::from(self.half_word(field!(self, e_phentsize)));
        let expected = if self.is_64_bit { size_of::<ProgramHeader64>() } else { size_of::<ProgramHeader32>() };
        assert_eq!(size, expected);
        let first = usize::try_from(self.address(field!(self, e_phoff))).expect("an offset");
        let count = usize::from(self.half_word(field!(self, e_phnum)));
        (0..count)
            .map(|index| {
                let start = first + index * size;
                Segment {
                    kind: self.word(start + program_field!(self, p_type)),
                    flags: self.word(start + program_field!(self, p_flags)),
                    offset: self.address(start + program_field!(self, p_offset)),
                    address: self.address(start + program_field!(self, p_vaddr)),
                    file_size: self.address(start + program_field!(self, p_filesz)),
                    memory_size: self.address(start + program_field!(self, p_memsz)),
                }
            })
            .collect()
    }

    fn number(&self, offset: usize, size: usize) -> u64 {
        let bytes = &self.bytes[offset..][..size];
        let append = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        if self.is_big_endian { bytes.iter().fold(0, append) } else { bytes.iter().rev().fold(0, append) }
    }

    fn half_word(&self, offset: usize) -> u16 {
        u16::try_from(self.number(offset, 2)).expect("two bytes")
    }

    fn word(&self, offset: usize) -> u32 {
        u32::try_from(self.number(offset, 4)).expect("four bytes")
    }

    fn address(&self, offset: usize) -> u64 {
        self.number(offset, if self.is_64_bit { 8 } else { 4 })
    }
}

/// A program header.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) kind: u32,
    pub(crate) flags: u32,
    pub(crate) offset: u64,
    pub(crate) address: u64,
    pub(crate) file_size: u64,
    pub(crate) memory_size: u64,
}

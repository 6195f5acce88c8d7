//! `/etc/passwd` and `/etc/group`: who a command runs as.
//!
//! A line that does not have the form of passwd(5) or group(5) is skipped, never guessed from.

use crate::decimal;
use crate::sys::{Table, Text};

/// How many colons a line of passwd(5) has.
pub const USER: usize = 6;
/// How many colons a line of group(5) has.
pub const GROUP: usize = 3;

/// The field with the names of an entry.
pub const NAME: usize = 0;
/// The field with the id of an entry.
const ID: usize = 2;
/// The field of passwd(5) with the gid.
pub const GID: usize = 3;
/// The field of passwd(5) with the home directory.
pub const HOME: usize = 5;
/// The field of group(5) with the members.
pub const MEMBERS: usize = 3;

/// No id.
pub const NONE: u32 = u32::MAX;

/// A name that is in no line.
pub const NOBODY: Text<'static> = Text::new(c"\n");

/// Goes on to the next entry with the id `known`, or, where that is `NONE`, with a name in one of its fields: gives its id,
/// or `NONE` behind the last one.
pub fn next(known: u32, table: &mut Table, colons: usize, index: usize, name: Text<'_>) -> u32 {
    while table.next(colons) {
        let id = id(table.field(ID));
        // Comments and what nsswitch.conf(5) has for NIS begin with `#`, `+` or `-`. Neither is a name empty.
        if id == NONE || table.field(NAME).peek() <= b'-' {
            continue;
        }
        if known == NONE {
            // Only members are several.
            let separator = if index == NAME { 0 } else { b',' };
            let mut names = Some(table.field(index));
            while let Some(text) = names {
                let byte = text.byte_behind(name, b':');
                if byte == 0 || byte == separator {
                    return id;
                }
                names = text.find(separator);
            }
        } else if known == id {
            return id;
        }
    }
    NONE
}

/// The id of a user or a group that a text spells out, up to its end or a colon.
#[must_use]
pub fn id(text: Text<'_>) -> u32 {
    let (id, rest) = decimal::parse(text);
    if rest.is_empty() || rest.peek() == b':' { id } else { NONE }
}

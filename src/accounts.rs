//! `/etc/passwd` and `/etc/group`: bytes to an [`Identity`].
//!
//! Both files are read as a stream, field by field, so that they may have any size and any line length. A line that
//! does not have the form of passwd(5) or group(5) is skipped, never guessed from.

use heapless::Vec;

use crate::decimal;
use crate::sys::Text;

/// As many supplementary groups as the kernel takes (`NGROUPS_MAX`).
const GROUPS_MOST: usize = 65536;

/// The highest user or group id: the number above it means "leave it as it is" to the kernel.
const ID_MOST: u32 = u32::MAX - 1;

/// The id that a name or a field spells out, up to its end or a colon.
fn id(mut text: Text<'_>) -> Option<u32> {
    decimal::parse(&mut text).filter(|&id| id <= ID_MOST && matches!(text.peek(), 0 | b':'))
}

/// Whether a name, up to its end or a colon, is what a field holds.
fn is_name(mut name: Text<'_>, mut field: Text<'_>) -> bool {
    loop {
        match name.take() {
            0 | b':' => return field.is_empty(),
            byte if byte == field.take() => {}
            _ => return false,
        }
    }
}

/// Who a command runs as: user, group and supplementary groups, always together.
#[derive(Debug)]
pub struct Identity {
    /// The user; `None` where only a group was named.
    pub uid: Option<u32>,
    /// The group.
    pub gid: u32,
    /// The supplementary groups, the group itself among them as initgroups(3) has it.
    pub groups: Vec<u32, GROUPS_MOST>,
    /// The user's home directory; empty where it has none.
    pub home: Field,
}

impl Identity {
    /// Nobody in particular yet.
    pub const UNKNOWN: Self = Self {
        uid: None,
        gid: 0,
        groups: Vec::new(),
        home: Field::EMPTY,
    };

    /// Finds the identity for a user and a group, of which at least one is named: a colon ends the name, which can not
    /// have one. A number is always an id, and needs no entry.
    ///
    /// A group that is named takes the place of the user's own and of the supplementary ones. `Err` has the name that
    /// is not there.
    pub fn find<'a>(
        &mut self,
        user: Option<Text<'a>>,
        group: Option<Text<'a>>,
        passwd: impl Iterator<Item = u8>,
        group_file: impl Iterator<Item = u8>,
    ) -> Result<(), Text<'a>> {
        let mut login = Field::EMPTY;
        if let Some(user) = user {
            self.find_user(user, &mut login, passwd)?;
        }
        if let Some(gid) = group.and_then(id) {
            self.gid = gid;
        } else if group.is_some() || !login.text().is_empty() {
            self.find_groups(group, login.text(), group_file)?;
        }
        // Where the list is full the group counts all the same: it is the effective one.
        let _ = self.groups.push(self.gid);
        Ok(())
    }

    /// Looks a user up in passwd(5): login name, ids and home directory of the first entry that fits.
    fn find_user<'a>(
        &mut self,
        user: Text<'a>,
        login: &mut Field,
        bytes: impl Iterator<Item = u8>,
    ) -> Result<(), Text<'a>> {
        let number = id(user);
        let mut fields = Fields::new(bytes);
        while fields.next_line() {
            fields.read(login);
            fields.read(&mut self.home);
            let uid = fields.read_id(&mut self.home);
            let gid = fields.read_id(&mut self.home);
            fields.read(&mut self.home);
            fields.read(&mut self.home);
            let (Some(uid), Some(gid), b':') = (uid, gid, fields.end) else {
                continue;
            };
            if number.map_or_else(|| is_name(user, login.text()), |number| number == uid) {
                self.uid = Some(uid);
                self.gid = gid;
                return Ok(());
            }
        }
        // Without an entry the group is the one of the same number, as useradd(8) pairs them.
        self.uid = Some(number.ok_or(user)?);
        self.gid = number.ok_or(user)?;
        *login = Field::EMPTY;
        self.home = Field::EMPTY;
        Ok(())
    }

    /// Looks up in group(5) the id of a group or, where none is named, the groups with a certain member.
    fn find_groups<'a>(
        &mut self,
        group: Option<Text<'a>>,
        member: Text<'_>,
        bytes: impl Iterator<Item = u8>,
    ) -> Result<(), Text<'a>> {
        let mut field = Field::EMPTY;
        let mut fields = Fields::new(bytes);
        while fields.next_line() {
            fields.read(&mut field);
            let named = group.is_some_and(|group| is_name(group, field.text()));
            fields.read(&mut field);
            let gid = fields.read_id(&mut field);
            let (Some(gid), b':') = (gid, fields.end) else { continue };
            if named {
                self.gid = gid;
                return Ok(());
            }
            while group.is_none() && fields.is_within_line() {
                fields.read_member(&mut field);
                if is_name(member, field.text()) && gid != self.gid {
                    let _ = self.groups.push(gid);
                    break;
                }
            }
        }
        group.map_or(Ok(()), Err)
    }
}

/// One field of a line, with a NUL behind it. A longer one counts as empty, and matches nothing.
#[derive(Debug)]
pub struct Field(Vec<u8, 4096>);

impl Field {
    const EMPTY: Self = Self(Vec::new());

    /// What the field holds.
    #[must_use]
    pub fn text(&self) -> Text<'_> {
        Text::from_buffer(&self.0)
    }
}

/// The fields of a file, line by line.
struct Fields<Bytes> {
    bytes: Bytes,
    /// What ended the last field: a separator, a new-line, or 0 for the end of the file.
    end: u8,
}

impl<Bytes: Iterator<Item = u8>> Fields<Bytes> {
    const fn new(bytes: Bytes) -> Self {
        Self { bytes, end: b'\n' }
    }

    /// Whether the line has a field more.
    const fn is_within_line(&self) -> bool {
        self.end > b'\n'
    }

    /// Goes to the next line; false at the end of the file.
    fn next_line(&mut self) -> bool {
        while self.is_within_line() {
            self.step();
        }
        let is_there = self.end != 0;
        self.end = b':';
        is_there
    }

    fn step(&mut self) {
        // A NUL in the file is a byte like any other that no name has.
        self.end = self.bytes.next().map_or(0, |byte| byte.max(1));
    }

    /// Reads the next field; an empty one where the line has no more.
    fn read(&mut self, field: &mut Field) {
        self.read_until(field, b':');
    }

    /// Reads the next of the names between commas.
    fn read_member(&mut self, field: &mut Field) {
        self.read_until(field, b',');
    }

    fn read_until(&mut self, field: &mut Field, separator: u8) {
        field.0.clear();
        while self.is_within_line() {
            self.step();
            if self.end == separator || !self.is_within_line() {
                break;
            }
            let _ = field.0.push(self.end);
        }
        let _ = field.0.push(0);
    }

    /// Reads the next field as an id.
    fn read_id(&mut self, field: &mut Field) -> Option<u32> {
        self.read(field);
        id(field.text())
    }
}

//! What the kernel leaves on the stack of a new program: arguments and environment.
//!
//! ```text
//!   stack pointer -> argc
//!                    argv[0] .. argv[argc-1], null
//!                    envp[0] .. envp[n-1],    null
//!                    the auxiliary vector, two words an entry, ended by AT_NULL
//! ```

use core::ptr::null;

use syscalls::{Errno, Sysno, syscall};

use super::Text;

const SHELL: Text<'static> = Text::new(c"/bin/sh");

/// `execve(2)`: returns only where it failed.
fn execve(path: Text<'_>, arguments: *const *const u8, environment: Environment) -> Errno {
    // SAFETY: a string with its NUL, and two null-terminated arrays of such strings.
    let result = unsafe { syscall!(Sysno::execve, path.as_pointer(), arguments, environment.entries) };
    result.err().unwrap_or(Errno::EINVAL)
}

/// The arguments that are left, a cursor on the null-terminated array of the start stack.
#[derive(Clone, Copy, Debug)]
pub struct Arguments {
    at: *mut *const u8,
}

impl Arguments {
    /// The next argument, which stays where it is.
    #[must_use]
    pub fn peek(self) -> Option<Text<'static>> {
        // SAFETY: the cursor stands at or before the array's null.
        let pointer = unsafe { *self.at };
        // SAFETY: entries of the array point to strings that the kernel put there for the life of the process.
        (!pointer.is_null()).then(|| unsafe { Text::from_pointer(pointer) })
    }

    /// A command without arguments, in an array that the caller lends: it has to stay until the command is executed.
    #[must_use]
    pub fn of_one(command: Text<'_>, array: &mut [*const u8; 3]) -> Self {
        // The first word is for the shell, see `execute`.
        *array = [null(), command.as_pointer(), null()];
        let [_, at, _] = array;
        Self { at }
    }

    /// Puts another string in the place of the next argument. Nothing happens where there is none.
    pub fn replace(self, argument: Text<'static>) {
        if self.peek().is_some() {
            // SAFETY: the cursor stands on an entry, and the array is the process's own to write.
            unsafe { *self.at = argument.as_pointer() };
        }
    }

    /// `execve(2)` of the first argument's path `path`: returns only where it failed.
    ///
    /// What the kernel does not know how to execute is run by `/bin/sh`, as execvp(3) and the shells do.
    pub fn execute(self, path: Text<'_>, environment: Environment) -> Errno {
        let errno = execve(path, self.at, environment);
        if errno != Errno::ENOEXEC {
            return errno;
        }
        // SAFETY: the cursor stands on an entry.
        unsafe { *self.at = path.as_pointer() };
        // SAFETY: before the first entry of the start stack there is argc, and before the others an entry.
        let shell = unsafe { self.at.sub(1) };
        // SAFETY: as said, a word of the start stack, which is ours to write.
        unsafe { *shell = SHELL.as_pointer() };
        execve(SHELL, shell, environment)
    }
}

impl Iterator for Arguments {
    type Item = Text<'static>;

    fn next(&mut self) -> Option<Text<'static>> {
        let argument = self.peek()?;
        // SAFETY: an entry that is not the null has a successor.
        self.at = unsafe { self.at.add(1) };
        Some(argument)
    }
}

/// The environment, changed in place: new variables grow over the auxiliary vector behind it, which nothing here reads.
/// It has two words for each of its entries, and no kernel gives fewer than ten.
#[derive(Clone, Copy, Debug)]
pub struct Environment {
    entries: *mut *const u8,
}

impl Environment {
    /// The entry of a variable, `NAME=` and its value, or the place for one.
    fn slot(self, name: Text<'_>) -> *mut *const u8 {
        let mut slot = self.entries;
        loop {
            // SAFETY: the cursor stands at or before the null of the array.
            let entry = unsafe { *slot };
            // SAFETY: an entry that is not null points to a string.
            if entry.is_null() || unsafe { Text::from_pointer(entry) }.take_prefix(name) {
                return slot;
            }
            // SAFETY: an entry that is not the null has a successor.
            slot = unsafe { slot.add(1) };
        }
    }

    /// The value of a variable. `name` ends with `=`.
    #[must_use]
    pub fn get(self, name: Text<'_>) -> Option<Text<'static>> {
        // SAFETY: the slot is within the array.
        let entry = unsafe { *self.slot(name) };
        if entry.is_null() {
            return None;
        }
        // SAFETY: as above, an entry that is not null points to a string.
        let mut text = unsafe { Text::from_pointer(entry) };
        text.take_prefix(name).then_some(text)
    }

    /// Puts `entry` (`NAME=value`) in the place of the variable `name`, which ends with `=`.
    ///
    /// The array keeps the bare pointer: `entry` has to stay until the program that it is for was executed. What is set
    /// in a child that shares our memory is taken back with [`Environment::save`].
    pub fn set(self, name: Text<'_>, entry: Text<'_>) {
        let slot = self.slot(name);
        // SAFETY: the slot is within the array, or is its null.
        let replaced = unsafe { slot.replace(entry.as_pointer()) };
        if replaced.is_null() {
            // SAFETY: the word behind the array's null belongs to the auxiliary vector, see the type.
            unsafe { slot.add(1).write(null()) };
        }
    }

    /// Remembers how a variable stands now.
    #[must_use]
    pub fn save(self, name: Text<'_>) -> SavedVariable {
        let slot = self.slot(name);
        // SAFETY: the slot is within the array, or is its null.
        SavedVariable {
            slot,
            entry: unsafe { *slot },
        }
    }
}

/// How a variable of the environment stood.
#[derive(Debug)]
pub struct SavedVariable {
    slot: *mut *const u8,
    entry: *const u8,
}

impl SavedVariable {
    /// Lets the variable stand as it stood: a new one is cut off the end again.
    pub fn restore(self) {
        // SAFETY: the slot was found in the array, or at its null, which became an entry at most.
        unsafe { *self.slot = self.entry };
    }
}

/// What the kernel left on the stack.
#[derive(Debug)]
pub struct Start {
    /// The program's own name and its arguments.
    pub arguments: Arguments,
    /// The environment.
    pub environment: Environment,
}

impl Start {
    /// Walks the start stack.
    ///
    /// # Safety
    ///
    /// `stack` is the stack pointer as the kernel set it for this program, and nobody else uses what it points to.
    #[must_use]
    pub unsafe fn new(stack: *mut usize) -> Self {
        // SAFETY: the first word is argc.
        let argument_count = unsafe { *stack };
        // SAFETY: the arguments follow it.
        let arguments = unsafe { stack.add(1) };
        // SAFETY: behind the arguments and their null the environment begins.
        let environment = unsafe { arguments.add(argument_count + 1) };
        Self {
            arguments: Arguments { at: arguments.cast() },
            environment: Environment {
                entries: environment.cast(),
            },
        }
    }
}

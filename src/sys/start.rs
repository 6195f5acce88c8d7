//! What the kernel leaves on the stack of a new program: arguments and environment.
//!
//! ```text
//!   stack pointer -> argc
//!                    argv[0] .. argv[argc-1], null
//!                    envp[0] .. envp[n-1],    null
//!                    the auxiliary vector, two words an entry, ended by AT_NULL
//! ```

use core::ptr::{NonNull, null_mut};

use linux_raw_sys::auxvec::{AT_NULL, AT_SECURE};
use syscalls::Sysno;

use super::call::raw_syscall;
use super::header::SHELL;
use super::memory::of_unknown_origin;
use super::{Address, Outcome, Text};

/// An entry of the start stack's arrays. A null pointer, which ends them, is `None`.
type Entry = Option<Text<'static>>;

/// The arguments that are left, a cursor on the array of the start stack.
#[derive(Clone, Copy, Debug)]
pub struct Arguments(*mut Entry);

impl Arguments {
    /// None yet: a placeholder, with nothing to take from it.
    pub const NONE: Self = Self(null_mut());

    /// Arguments that are no program's.
    #[must_use]
    pub const fn of(words: &mut Words) -> Self {
        Self(words.0.as_mut_ptr())
    }

    /// The next argument, which stays where it is.
    #[must_use]
    pub fn peek(self) -> Entry {
        // SAFETY: the cursor stands at or before the null of an array whose entries are strings, for the process's life.
        unsafe { *self.0 }
    }

    /// Takes the next argument.
    pub fn take(&mut self) -> Entry {
        let argument = self.peek()?;
        // SAFETY: an entry that is not the null has a successor.
        self.0 = unsafe { self.0.add(1) };
        Some(argument)
    }

    /// The next argument and its place, to be restored.
    #[must_use]
    pub fn hold(self) -> Variable {
        // SAFETY: a cursor on an array is no null pointer.
        Variable { place: unsafe { NonNull::new_unchecked(self.0) }, entry: self.peek() }
    }

    /// Makes one string all that is left, in the place of the argument that was taken last, or of argc.
    pub fn replace(&mut self, argument: Text<'static>) {
        // SAFETY: at the cursor there is an entry, or the null behind the last one.
        unsafe { *self.0 = None };
        // SAFETY: before the first entry there is argc, before the others an entry: words that are ours to write.
        self.0 = unsafe { self.0.sub(1) };
        // SAFETY: as said.
        unsafe { *self.0 = Some(argument) };
    }

    /// `execve(2)` of the file `path`: returns only where it failed.
    ///
    /// What the kernel does not know how to execute is run by `/bin/sh`, as execvp(3) and the shells do.
    #[cfg_attr(target_arch = "x86_64", inline(never))]
    pub fn execute(path: Text<'_>, arguments: Self, environment: Environment) -> Outcome {
        let outcome = execve(path, arguments.0, environment);
        if outcome != Outcome::ENOEXEC {
            return outcome;
        }
        // SAFETY: before the first entry there is argc, before the others an entry: words that are ours to write.
        let shell = unsafe { arguments.0.sub(1) };
        // SAFETY: as said.
        unsafe { *shell = Some(SHELL) };
        // SAFETY: the cursor stands on the command's entry. No more than the pointer is kept, until the exec.
        unsafe { *arguments.0.cast::<*const u8>() = path.as_pointer() };
        execve(SHELL, shell, environment)
    }
}

/// `execve(2)`: returns only where it failed.
fn execve(path: Text<'_>, arguments: *const Entry, environment: Environment) -> Outcome {
    // SAFETY: a string with its NUL, and two null-terminated arrays of such strings.
    Outcome::new(unsafe { raw_syscall!(Sysno::execve, path.as_pointer(), arguments, environment.0) })
}

/// The environment, changed in place: new variables grow over the auxiliary vector behind it, which nothing here reads.
/// It has two words for each of its entries, and every kernel gives more than ten.
#[derive(Clone, Copy, Debug)]
pub struct Environment(*mut Entry);

impl Environment {
    /// None yet: a placeholder, with nothing to find in it.
    pub const NONE: Self = Self(null_mut());

    /// The place of the variable that `name` begins with (`NAME=`): its entry, or the null behind the last one.
    #[must_use]
    pub fn find(self, name: Text<'_>) -> Variable {
        let mut entries = Arguments(self.0);
        while let Some(entry) = entries.peek() {
            if entry.byte_behind(name, b'=') == b'=' {
                break;
            }
            entries.take();
        }
        entries.hold()
    }

    /// The value of a variable, or that of the entry `default`, which names it too; with `take` it is no variable any more.
    #[must_use]
    pub fn get(self, default: Text<'static>, take: bool) -> Text<'static> {
        let mut variable = self.find(default);
        let entry = variable.entry.unwrap_or(default);
        // What follows moves up, with the null at the end.
        while take && variable.entry.is_some() {
            let place = variable.place.as_ptr();
            // SAFETY: an entry that is not the null has a successor.
            variable = Arguments(unsafe { place.add(1) }).hold();
            // SAFETY: the array is the process's own to write.
            unsafe { *place = variable.entry };
        }
        entry.find(b'=').unwrap_or(entry)
    }

    /// Takes the variable out of the environment by which a service manager names its socket.
    pub fn take_service_manager(self) -> Option<Address> {
        let value = self.get(Text::new(c"NOTIFY_SOCKET="), true).as_pointer().cast_mut();
        // What is behind a reference may be written only when nobody knows that there was one.
        let value = of_unknown_origin(value);
        // SAFETY: a variable's value, and none that the command gets; where it is not set, it is empty.
        unsafe { Address::new(value) }
    }

    /// Takes a variable out of the environment, and its value apart at the blanks. What does not fit stays in one piece
    /// with the last word.
    #[inline]
    pub fn take_words(self, name: Text<'static>, words: &mut Words) {
        let mut rest = self.get(name, true);
        for word in &mut words.0[..Words::MOST] {
            while rest.peek() == b' ' {
                rest.take();
            }
            if rest.is_empty() {
                break;
            }
            *word = Some(rest);
            let Some(next) = rest.find(b' ') else { break };
            // SAFETY: the byte before is the blank,
            let blank = unsafe { next.as_pointer().sub(1) };
            // SAFETY: in a string that is the process's own to write.
            unsafe { *blank.cast_mut() = 0 };
            rest = next;
        }
    }

    /// Sets a variable to the string `NAME=value`.
    ///
    /// The array keeps the bare pointer: the string has to stay until the program that it is for was executed. What is
    /// set in a child that shares our memory stays set. Gives the variable as it was.
    #[cfg_attr(
        target_arch = "powerpc64",
        inline(always),
        expect(clippy::inline_always, reason = "the file is smaller with it, see SIZE.md")
    )]
    pub fn set(self, entry: Text<'_>) -> Variable {
        let variable = self.find(entry);
        // SAFETY: the place is one of the array's, or its null.
        unsafe { *variable.place.as_ptr().cast::<*const u8>() = entry.as_pointer() };
        if variable.entry.is_none() {
            // SAFETY: the word behind the array's null belongs to the auxiliary vector, see the type.
            let next = unsafe { variable.place.as_ptr().add(1) };
            // SAFETY: as said.
            unsafe { *next = None };
        }
        variable
    }
}

/// Room for words, and a null behind them.
#[derive(Debug)]
pub struct Words([Entry; Words::MOST + 1]);

impl Words {
    /// More than anybody needs.
    const MOST: usize = 31;

    /// No words.
    pub const NONE: Self = Self([None; Self::MOST + 1]);
}

/// A variable of the environment as it stood when it was found.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    place: NonNull<Entry>,
    entry: Entry,
}

impl Variable {
    /// Lets the variable stand again as it stood; one that was not there is cut off.
    pub fn restore(self) {
        // SAFETY: the place is one of the array's, or was its null.
        unsafe { *self.place.as_ptr() = self.entry };
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
    #[cfg_attr(
        target_arch = "powerpc64",
        inline(always),
        expect(clippy::inline_always, reason = "the file is smaller with it, see SIZE.md")
    )]
    pub unsafe fn new(stack: *mut usize) -> Self {
        // SAFETY: the first word is argc.
        let argument_count = unsafe { *stack };
        // SAFETY: the arguments follow it.
        let arguments = unsafe { stack.add(1) };
        // SAFETY: behind the arguments and their null the environment begins.
        let environment = unsafe { arguments.add(argument_count + 1) };
        Self { arguments: Arguments(arguments.cast()), environment: Environment(environment.cast()) }
    }

    /// Whether the file that was executed gives more rights than its caller had, as a set-uid file does (`AT_SECURE`). To be
    /// asked before the environment is changed.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        let mut environment = Arguments(self.environment.0);
        while environment.take().is_some() {}
        // SAFETY: behind the null of the environment the auxiliary vector begins.
        let mut vector = unsafe { environment.0.add(1) }.cast::<[usize; 2]>();
        loop {
            // SAFETY: it is pairs of a type and a value, the last one of type `AT_NULL`, which was not met.
            let [kind, value] = unsafe { *vector };
            if kind == AT_NULL as usize || kind == AT_SECURE as usize {
                return value & kind != 0;
            }
            // SAFETY: behind a pair that is not the last one there is the next.
            vector = unsafe { vector.add(1) };
        }
    }
}

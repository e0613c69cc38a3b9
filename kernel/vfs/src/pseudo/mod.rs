//! File systems whose contents are generated: the framework below procfs and sysfs.
//!
//! A tree is static tables of entries. What differs from one place to the next (which process, which descriptor)
//! travels in a [`Context`], so the functions that show, list and follow are plain functions.
mod file;
mod inode;

use crate::Result;
use crate::host::Host;
use crate::inode::{InodeRef, Link};
use crate::procfs::ProcSource;
use crate::types::FileType;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// What a generated object is about.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) source: Arc<dyn ProcSource>,
    pub(crate) pid: u32,
    pub(crate) tid: u32,
    /// When the process began: its number may come to be another one's.
    pub(crate) since: u64,
    /// A descriptor, a CPU: whatever number names the object.
    pub(crate) number: i32,
}

/// Text under construction; bytes, for command lines need not be UTF-8.
#[derive(Default)]
pub(crate) struct Text(pub(crate) Vec<u8>);

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Appends formatted text; this cannot fail.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => {{
        let _ = core::fmt::Write::write_fmt($out, format_args!($($arg)*));
    }};
}
pub(crate) use put;

/// A file that always holds the same line.
macro_rules! value {
    ($name:literal, $value:literal) => {
        $crate::pseudo::text($name, |_, out| {
            $crate::pseudo::put!(out, concat!($value, "\n"));
            Ok(())
        })
    };
}
pub(crate) use value;

pub(crate) type Show = fn(&Context, &mut Text) -> Result<()>;
pub(crate) type Store = fn(&Context, &[u8]) -> Result<()>;

/// What an entry is.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Dir(&'static Directory),
    /// Text, generated when it is read from its start.
    Text(Show),
    /// Text that can be written to.
    Stored(Show, Store),
    /// A link: its text, and where it leads if that is not simply the path.
    Link(Show, Option<fn(&Context) -> Result<Link>>),
}

/// An entry of a table.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    /// Permission bits.
    pub(crate) mode: u32,
    pub(crate) kind: Kind,
}

/// Entries that depend on the context.
pub(crate) struct Dynamic {
    /// The entry `name` and its context.
    pub(crate) find: fn(&Context, &[u8]) -> Option<(Entry, Context)>,
    /// Names and numbers of the entries whose number is at least the one given, in ascending order.
    pub(crate) list: fn(&Context, u32, &mut dyn FnMut(u32) -> bool),
    /// What stands before the number in the name.
    pub(crate) prefix: &'static str,
    /// What they are.
    pub(crate) kind: FileType,
}

/// A directory: fixed entries, then numbered ones.
pub(crate) struct Directory {
    pub(crate) entries: &'static [Entry],
    pub(crate) dynamic: Option<&'static Dynamic>,
}

/// What all inodes of one such file system share.
pub(crate) struct PseudoFs {
    pub(crate) dev: u64,
    pub(crate) magic: u64,
    pub(crate) host: Arc<dyn Host>,
}

/// A read-only text file.
pub(crate) const fn text(name: &'static str, show: Show) -> Entry {
    Entry {
        name,
        mode: 0o444,
        kind: Kind::Text(show),
    }
}

/// A subdirectory.
pub(crate) const fn dir(name: &'static str, directory: &'static Directory) -> Entry {
    Entry {
        name,
        mode: 0o555,
        kind: Kind::Dir(directory),
    }
}

/// A directory without numbered entries.
pub(crate) const fn fixed(entries: &'static [Entry]) -> Directory {
    Directory {
        entries,
        dynamic: None,
    }
}

impl Entry {
    pub(crate) const fn with_mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    pub(crate) const fn file_type(&self) -> FileType {
        match self.kind {
            Kind::Dir(_) => FileType::Directory,
            Kind::Text(_) | Kind::Stored(..) => FileType::Regular,
            Kind::Link(..) => FileType::Symlink,
        }
    }
}

/// Makes a file system of the tree `root`; answers its root.
pub(crate) fn mount(
    fs: PseudoFs,
    source: Arc<dyn ProcSource>,
    root: &'static Directory,
) -> InodeRef {
    let context = Context {
        source,
        pid: 0,
        tid: 0,
        since: 0,
        number: 0,
    };
    inode::root(Arc::new(fs), dir("", root), context)
}

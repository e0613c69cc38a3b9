//! The open files of a process: /proc/pid/fd and fdinfo.
use super::number;
use super::process::require;
use super::source::ProcPlace;
use crate::Result;
use crate::file::File;
use crate::inode::Link;
use crate::pseudo::{Context, Directory, Dynamic, Entry, Kind, Text, put};
use crate::types::FileType;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_abi::Errno;

pub(super) static FD: Directory = Directory {
    entries: &[],
    dynamic: Some(&LINKS),
};
pub(super) static FDINFO: Directory = Directory {
    entries: &[],
    dynamic: Some(&INFOS),
};

static LINKS: Dynamic = Dynamic {
    find: find_link,
    list: list_open,
    prefix: "",
    kind: FileType::Symlink,
};
static INFOS: Dynamic = Dynamic {
    find: find_info,
    list: list_open,
    prefix: "",
    kind: FileType::Regular,
};

/// The context of descriptor `name`, if it is open.
fn descriptor(context: &Context, name: &[u8]) -> Option<(Context, Arc<File>)> {
    let fd = i32::try_from(number(name)?).ok()?;
    let file = context.source.files(context.pid)?.get(fd).ok()?;
    Some((
        Context {
            number: fd,
            ..context.clone()
        },
        file,
    ))
}

fn find_link(context: &Context, name: &[u8]) -> Option<(Entry, Context)> {
    let (context, file) = descriptor(context, name)?;
    let mode =
        if file.is_readable() { 0o500 } else { 0 } | if file.is_writable() { 0o300 } else { 0 };
    Some((
        Entry {
            name: "",
            mode,
            kind: Kind::Link(show_link, Some(follow)),
        },
        context,
    ))
}

fn find_info(context: &Context, name: &[u8]) -> Option<(Entry, Context)> {
    let (context, _) = descriptor(context, name)?;
    Some((
        Entry {
            name: "",
            mode: 0o444,
            kind: Kind::Text(show_info),
        },
        context,
    ))
}

fn list_open(context: &Context, first: u32, emit: &mut dyn FnMut(u32) -> bool) {
    let Some(files) = context.source.files(context.pid) else {
        return;
    };
    let mut from = i32::try_from(first).ok();
    while let Some(fd) = from.and_then(|from| files.next_open(from)) {
        if !u32::try_from(fd).is_ok_and(&mut *emit) {
            return;
        }
        from = fd.checked_add(1);
    }
}

fn open_file(context: &Context) -> Result<Arc<File>> {
    require(context.source.files(context.pid))?
        .get(context.number)
        .map_err(|_| Errno::ENOENT)
}

fn show_link(context: &Context, out: &mut Text) -> Result<()> {
    let root = require(
        context
            .source
            .place(context.source.current().0, ProcPlace::Root),
    )?;
    out.0 = open_file(context)?.place().path(&root).into_link_text();
    Ok(())
}

fn follow(context: &Context) -> Result<Link> {
    open_file(context).map(|file| Link::Place(file.place().clone()))
}

fn show_info(context: &Context, out: &mut Text) -> Result<()> {
    let file = open_file(context)?;
    let cloexec = require(context.source.files(context.pid))?
        .cloexec(context.number)
        .unwrap_or(false);
    let flags = file.flags()
        | if cloexec {
            linux_abi::raw::general::O_CLOEXEC
        } else {
            0
        };
    put!(
        out,
        "pos:\t{}\nflags:\t0{flags:o}\nmnt_id:\t{}\nino:\t{}\n",
        file.position(),
        file.place().mount.id,
        file.inode().ino()
    );
    if let Some(ops) = file.ops() {
        let mut more = Vec::new();
        ops.fdinfo(&mut more);
        out.0.extend(more);
    }
    Ok(())
}

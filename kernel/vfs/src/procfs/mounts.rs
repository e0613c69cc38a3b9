//! The mounts that a process sees.
use super::process::require;
use super::source::ProcPlace;
use crate::Result;
use crate::mount::{Mount, Place};
use crate::pseudo::{Context, Text, put};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Spaces and their kin are written as octal escapes, for the fields are separated by spaces.
fn escaped(bytes: &[u8]) -> Vec<u8> {
    let mut out = Text::default();
    for &byte in bytes {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' => put!(&mut out, "\\{byte:03o}"),
            _ => out.0.push(byte),
        }
    }
    out.0
}

/// Calls `show` for each mount below (and with) `mount`, with its path.
fn each(mount: &Arc<Mount>, root: &Place, show: &mut dyn FnMut(&Mount, &[u8])) {
    let here = Place {
        mount: mount.clone(),
        inode: mount.root.clone(),
    };
    let path = here.path(root);
    if path.reachable {
        show(mount, &escaped(&path.bytes));
    }
    for child in mount.children() {
        each(&child, root, show);
    }
}

fn walk(context: &Context, show: &mut dyn FnMut(&Mount, &[u8])) -> Result<()> {
    let root = require(context.source.place(context.pid, ProcPlace::Root))?;
    each(&root.mount, &root, show);
    Ok(())
}

pub(super) fn mounts(context: &Context, out: &mut Text) -> Result<()> {
    walk(context, &mut |mount, path| {
        out.0.extend(escaped(mount.source.as_bytes()));
        out.0.push(b' ');
        out.0.extend_from_slice(path);
        put!(out, " {} {} 0 0\n", mount.fs_type, mount.options);
    })
}

pub(super) fn mountinfo(context: &Context, out: &mut Text) -> Result<()> {
    walk(context, &mut |mount, path| {
        let parent = mount.covers.as_ref().map_or(0, |place| place.mount.id);
        let dev = mount.root.metadata().dev;
        put!(out, "{} {parent} {}:{} / ", mount.id, dev >> 8, dev & 0xff);
        out.0.extend_from_slice(path);
        put!(out, " {} - {} ", mount.options, mount.fs_type);
        out.0.extend(escaped(mount.source.as_bytes()));
        put!(out, " {}\n", mount.options);
    })
}

//! /sys/class/net: a directory for each interface.
use crate::procfs::NetInterface;
use crate::pseudo::{Context, Directory, Dynamic, Entry, Text, dir, fixed, put, text};
use crate::types::FileType;
use crate::{Errno, Result};

/// `IFF_LOOPBACK`
const LOOPBACK: u32 = 8;

/// Interfaces besides `lo` are called `eth0` and so on.
pub(super) static NET: Directory = Directory {
    entries: &[dir("lo", &INTERFACE)],
    dynamic: Some(&CARDS),
};

static CARDS: Dynamic = Dynamic {
    find,
    list,
    prefix: "eth",
    kind: FileType::Directory,
};

static INTERFACE: Directory = fixed(&[
    text("address", |context, out| {
        let [a, b, c, d, e, f] = this(context)?.hardware_address;
        put!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}\n");
        Ok(())
    }),
    text("carrier", |_, out| number(out, 1)),
    text("flags", |context, out| {
        put!(out, "{:#x}\n", this(context)?.flags & 0xffff);
        Ok(())
    }),
    text("ifindex", |context, out| {
        number(out, this(context)?.index.into())
    }),
    text("iflink", |context, out| {
        number(out, this(context)?.index.into())
    }),
    text("mtu", |context, out| number(out, this(context)?.mtu.into())),
    text("operstate", |context, out| {
        let loopback = this(context)?.flags & LOOPBACK != 0;
        put!(out, "{}\n", if loopback { "unknown" } else { "up" });
        Ok(())
    }),
    dir("statistics", &STATISTICS),
    text("tx_queue_len", |_, out| number(out, 1000)),
    text("type", |context, out| {
        number(out, this(context)?.hardware_type.into())
    }),
]);

static STATISTICS: Directory = fixed(&[
    text("rx_bytes", |context, out| {
        number(out, this(context)?.received[1])
    }),
    text("rx_dropped", |context, out| {
        number(out, this(context)?.received[3])
    }),
    text("rx_errors", |context, out| {
        number(out, this(context)?.received[2])
    }),
    text("rx_packets", |context, out| {
        number(out, this(context)?.received[0])
    }),
    text("tx_bytes", |context, out| {
        number(out, this(context)?.sent[1])
    }),
    text("tx_dropped", |context, out| {
        number(out, this(context)?.sent[3])
    }),
    text("tx_errors", |context, out| {
        number(out, this(context)?.sent[2])
    }),
    text("tx_packets", |context, out| {
        number(out, this(context)?.sent[0])
    }),
]);

fn number(out: &mut Text, value: u64) -> Result<()> {
    put!(out, "{value}\n");
    Ok(())
}

/// The interface that a file is about: the context's number is its place in the list, 0 for `lo`.
fn this(context: &Context) -> Result<NetInterface> {
    let place = usize::try_from(context.number).map_err(|_| Errno::ENODEV)?;
    let mut all = context.source.interfaces().into_iter();
    all.nth(place).ok_or(Errno::ENODEV)
}

fn find(context: &Context, name: &[u8]) -> Option<(Entry, Context)> {
    let all = context.source.interfaces();
    let place = all.iter().position(|one| one.name.as_bytes() == name)?;
    let context = Context {
        number: i32::try_from(place).ok()?,
        ..context.clone()
    };
    Some((dir("", &INTERFACE), context))
}

fn list(context: &Context, first: u32, emit: &mut dyn FnMut(u32) -> bool) {
    let others = context.source.interfaces().len().saturating_sub(1) as u32;
    let _ = (first..others).all(emit);
}

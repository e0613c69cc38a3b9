//! What the kernel tells about itself when the monitor asks: one line of JSON, see `compat/schema/instance-stats.schema.json`.
use crate::mm::{frame, layout::PAGE};
use crate::net::network;
use crate::task::Thread;
use crate::time;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use net::Interface;

pub fn report() -> String {
    let (free, total) = frame::counts();
    format!(
        r#"{{"uptime_ns":{},"memory":{{"total":{},"free":{}}},"threads":{},"net":{}}}"#,
        time::monotonic(),
        total * PAGE,
        free * PAGE,
        Thread::count(),
        net_stats()
    )
}

fn net_stats() -> String {
    let interfaces = network()
        .uplink()
        .map_or_else(Vec::new, |uplink| uplink.interfaces());
    let interfaces: Vec<String> = interfaces.iter().map(interface).collect();
    format!(r#"{{"interfaces":[{}]}}"#, interfaces.join(","))
}

fn interface(interface: &Interface) -> String {
    // Names are plain words, for which JSON and Rust write the same.
    format!(
        r#"{{"name":{:?},"mtu":{},"rx":{},"tx":{}}}"#,
        interface.name,
        interface.mtu,
        traffic(interface.received),
        traffic(interface.sent)
    )
}

fn traffic([packets, bytes, errors, dropped]: [u64; 4]) -> String {
    format!(r#"{{"packets":{packets},"bytes":{bytes},"errors":{errors},"dropped":{dropped}}}"#)
}

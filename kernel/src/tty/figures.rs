//! What the kernel tells about itself when the monitor asks: one line of JSON, see `compat/schema/instance-stats.schema.json`.
use crate::mm::{frame, layout::PAGE};
use crate::net;
use crate::task::Thread;
use crate::time;
use alloc::format;
use alloc::string::String;

pub fn report() -> String {
    let (free, total) = frame::counts();
    format!(
        r#"{{"uptime_ns":{},"memory":{{"total":{},"free":{}}},"threads":{},"net":{}}}"#,
        time::uptime(),
        total * PAGE,
        free * PAGE,
        Thread::count(),
        net::stats()
    )
}

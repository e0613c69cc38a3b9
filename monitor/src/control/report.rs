//! What is told: figures of the monitor and its devices, and what runs here.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use virtio_bindings::virtio_ids::{VIRTIO_ID_CONSOLE, VIRTIO_ID_NET, VIRTIO_ID_RNG};

use crate::args::Options;
use crate::devices::virtio::Registers;
use crate::network::Opened;
use crate::source;
use crate::stats::Stats;

pub struct Sources {
    pub stats: Arc<Stats>,
    pub devices: Vec<Arc<dyn Registers>>,
}

impl Sources {
    /// `guest`: what the guest told about itself.
    pub fn stats(&self, guest: Option<Value>) -> Value {
        let mut report = self.stats.figures();
        if let Value::Object(report) = &mut report {
            let devices = self.devices.iter().map(|device| counters(&**device));
            report.insert("devices".to_owned(), devices.collect());
            report.insert("guest".to_owned(), guest.unwrap_or(Value::Null));
        }
        report
    }
}

fn counters(device: &dyn Registers) -> Value {
    let (id, counters) = device.counters();
    let name = match id {
        VIRTIO_ID_NET => "net",
        VIRTIO_ID_CONSOLE => "console",
        VIRTIO_ID_RNG => "rng",
        boot_abi::hostnet::DEVICE_ID => "sockets",
        _ => "other",
    };
    let counters = counters
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()));
    std::iter::once(("device".to_owned(), Value::from(name)))
        .chain(counters)
        .collect()
}

/// The answer to `info`, which does not change while the machine runs.
pub fn describe(options: &Options, network: &Opened) -> Value {
    let image = options.image.as_deref().unwrap_or(source::SELF.as_ref());
    let image = std::fs::canonicalize(image).unwrap_or_else(|_| image.to_owned());
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    json!({
        "schema_version": 1,
        "image": image.to_string_lossy(),
        "pid": std::process::id(),
        "start_time": now.unwrap_or_default().as_secs(),
        "ports": network.ports,
        "memory": options.memory,
        "cpus": options.cpus,
        "interface": network.interface,
    })
}

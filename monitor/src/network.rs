//! The machine's way out: the socket device, or a network card on a tap interface.

use std::sync::{Arc, Barrier};

use serde_json::{Value, json};

use crate::args::Options;
use crate::devices::hostnet::{self, HostNet, Turns};
use crate::devices::net::{self, Net};
use crate::devices::virtio::{Bell, Transport};
use crate::error::{Error, Result};
use crate::machine::confine;
use crate::memory::GuestMemory;
use crate::outcome::Verdict;
use crate::pcap::Capture;
use crate::seccomp;
use crate::stats::{NetCounters, Stats};
use crate::tap::{self, Tap};

/// What was opened on the host, before there is a machine.
pub struct Opened {
    device: Option<Device>,
    /// The text of the guest's configuration record.
    pub record: Option<String>,
    /// The host's interface, and the published ports: for whoever asks.
    pub interface: Option<String>,
    pub ports: Value,
}

enum Device {
    Sockets(Box<HostNet>),
    Card(Box<Net>),
}

/// The device in its machine.
#[derive(Clone)]
pub enum Network {
    None,
    Sockets(Arc<Transport<HostNet>>),
    Card(Arc<Transport<Net>>),
}

impl Opened {
    /// Binds the published ports or opens the interface: what cannot be had is known before the program runs.
    pub fn open(options: &Options, stats: &Stats) -> Result<Self> {
        let mut opened = Self {
            device: None,
            record: options.net.record(),
            interface: None,
            ports: json!([]),
        };
        let sockets = options.net.build(&stats.net)?;
        let tap = options.tap.as_ref().map(Tap::open).transpose()?;
        let capture = capture(options)?;
        if let Some(mut sockets) = sockets {
            opened.ports = sockets
                .published()
                .iter()
                .map(ToString::to_string)
                .collect();
            sockets.capture_to(capture);
            opened.device = Some(Device::Sockets(Box::new(sockets)));
        } else if let (Some(options), Some(tap)) = (&options.tap, tap) {
            opened.record = Some(options.record(tap.mtu));
            opened.interface = Some(tap.name);
            let mac = options.mac().map_or_else(tap::random_mac, Ok)?;
            let card = Net::new(tap.fd, mac, tap.mtu, capture);
            opened.device = Some(Device::Card(Box::new(card)));
        }
        Ok(opened)
    }

    pub fn into_machine(self, memory: &Arc<GuestMemory>) -> Result<Network> {
        let memory = Arc::clone(memory);
        Ok(match self.device {
            None => Network::None,
            Some(Device::Sockets(device)) => {
                Network::Sockets(Arc::new(Transport::new(*device, memory)?))
            }
            Some(Device::Card(device)) => Network::Card(Arc::new(Transport::new(*device, memory)?)),
        })
    }
}

fn capture(options: &Options) -> Result<Option<Arc<Capture>>> {
    let Some(path) = options.pcap.as_deref() else {
        return Ok(None);
    };
    if options.tap.is_none() && !options.net.enabled {
        return Err(Error::Usage("--pcap needs a network".to_owned()));
    }
    Ok(Some(Arc::new(Capture::create(path)?)))
}

impl Network {
    /// Whether it has a thread, which waits at the gate with the CPUs'.
    pub fn has_thread(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Starts the device's thread, if there is one. Some: idle CPUs are to help it.
    pub fn start(
        self,
        cpus: u32,
        counters: &Arc<NetCounters>,
        verdict: &Arc<Verdict>,
        bell: &Arc<Bell>,
        gate: &Arc<Barrier>,
    ) -> Result<Option<Arc<Turns>>> {
        let prepare = |filter| confine(Arc::new(filter), Arc::clone(gate));
        let verdict = Arc::clone(verdict);
        match self {
            Self::None => Ok(None),
            Self::Sockets(device) => hostnet::serve(
                device,
                Arc::clone(counters),
                verdict,
                Arc::clone(bell),
                hostnet::Service::choose(cpus),
                prepare(seccomp::socket_filter()?),
            ),
            Self::Card(device) => {
                net::spawn(device, verdict, prepare(seccomp::card_filter()?)).map(|()| None)
            }
        }
    }

    /// The machine has ended: what the program sent is to leave.
    pub fn see_out(&self, verdict: &Verdict) {
        match self {
            Self::None => {}
            Self::Sockets(device) => hostnet::see_out(device, verdict),
            // What the guest queued last may not have been looked at.
            Self::Card(device) => {
                device.process();
            }
        }
    }
}

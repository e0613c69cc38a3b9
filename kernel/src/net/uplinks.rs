//! The ways out of the guest, each a part of its own: the monitor's sockets, and a network card.
#![allow(unsafe_code)]

use super::network;
use crate::drivers::virtio::hostnet::{self, Hostnet};
use crate::drivers::virtio::netcard;
use crate::mm::frame;
use crate::mm::layout::PAGE;
use crate::parts::Uplink;
use crate::{drivers, gate, percpu, time};
use ::net::NetConfig;
use ::net::forward::Forward;
use ::net::stack::{Lease, Setup, Stack};
use alloc::boxed::Box;
use alloc::sync::Arc;

/// What programs have not read yet may fill this part of the memory.
const RECEIVED_PART: u64 = 8;

/// How long boot waits for DHCP, in ns.
const LEASE_PATIENCE: u64 = 10 * time::SECOND;

// SAFETY: the name is this static's alone; `parts::forward` reads it as what it is.
#[unsafe(export_name = "compat.part.network.forward")]
static FORWARD: Uplink = Uplink {
    init: init_forward,
    exists: || hostnet::gsi().is_some(),
    has_news: hostnet::has_news,
    interrupt: hostnet::interrupt,
    look: hostnet::look,
    // The socket device's is not acknowledged: the line is an edge, nobody reads the status, and each access is an exit.
    is_interrupted: |bits| hostnet::gsi().is_some_and(|gsi| bits & 1 << gsi != 0),
    served_by_monitor: true,
};

// SAFETY: the name is this static's alone; `parts::card` reads it as what it is.
#[unsafe(export_name = "compat.part.network.card")]
static CARD: Uplink = Uplink {
    init: init_card,
    exists: netcard::exists,
    has_news: netcard::has_news,
    interrupt: netcard::interrupt,
    look: netcard::look,
    is_interrupted: netcard::is_interrupted,
    served_by_monitor: false,
};

/// The device is not touched: that waits for the first use.
fn init_forward(config: &mut NetConfig) {
    let (_, pages) = frame::counts();
    let heap = (pages * PAGE / RECEIVED_PART) as usize;
    let forward = Arc::new(Forward::new(Box::new(Hostnet), config.clone(), heap));
    hostnet::attach(forward.clone());
    network().set_uplink(forward);
}

/// Brings the card up, and waits for DHCP where that is wanted. What it gives goes into the configuration.
fn init_card(config: &mut NetConfig) {
    let (card, line) = match netcard::find(config.mtu) {
        Ok(found) => found,
        Err(why) => return say!("the network card cannot be used: {why}"),
    };
    let setup = Setup::new(config);
    let wants_lease = setup.dhcp;
    let stack = Stack::new(time::host(), card, setup);
    netcard::attach(stack.clone(), line);
    if wants_lease {
        match wait_for_lease(&stack) {
            Some(lease) => lease.complete(config),
            None => say!("no DHCP server has answered: the network has no IPv4 address yet"),
        }
    }
    network().set_uplink(stack);
}

/// Before there are threads.
fn wait_for_lease(stack: &Stack) -> Option<Lease> {
    let until = time::monotonic() + LEASE_PATIENCE;
    while stack.lease().is_none() && time::monotonic() < until {
        drivers::poll();
        time::run_timers();
        if stack.lease().is_none() && !drivers::network::before_halt() {
            // The stack's own timers end this at the latest.
            time::arm_for_idle();
            gate::halt();
            drivers::handle_interrupts(percpu::take_interrupts());
        }
    }
    stack.lease()
}

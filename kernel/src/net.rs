//! The machine's network.

use crate::boot::Config;
use crate::drivers::virtio::hostnet::{self, Hostnet};
use crate::drivers::virtio::netcard;
use crate::mm::frame;
use crate::mm::layout::PAGE;
use crate::{drivers, gate, percpu, time};
use ::net::forward::Forward;
use ::net::stack::{Lease, Setup, Stack};
use ::net::{NetConfig, NetMode, Network};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use spin::Once;

/// What programs have not read yet may fill this part of the memory.
const RECEIVED_PART: u64 = 8;

/// How long boot waits for DHCP, in ns.
const LEASE_PATIENCE: u64 = 10 * time::SECOND;

static NETWORK: Once<Arc<Network>> = Once::new();

/// The one network.
pub fn network() -> &'static Arc<Network> {
    NETWORK.call_once(|| Network::new(time::host()))
}

/// Sets up the way out that the configuration names. The socket device is not touched: that waits for the first use. A card is, and
/// with DHCP it is waited for.
pub fn init(config: &Config) -> Option<NetConfig> {
    let text = String::from_utf8_lossy(config.net.as_deref()?);
    match NetConfig::parse(&text) {
        Ok(mut net) => {
            match net.mode {
                NetMode::Forward => init_forward(net.clone()),
                NetMode::Card => init_card(&mut net),
            }
            Some(net)
        }
        Err(why) => {
            say!("the network's configuration is not understood: {}", why.0);
            None
        }
    }
}

fn init_forward(config: NetConfig) {
    let (_, pages) = frame::counts();
    let heap = (pages * PAGE / RECEIVED_PART) as usize;
    let forward = Arc::new(Forward::new(Box::new(Hostnet), config, heap));
    hostnet::attach(forward.clone());
    network().set_uplink(forward);
}

/// Brings the card up. What DHCP gives goes into the configuration.
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

//! The machine's network.

use crate::boot::Config;
use crate::drivers::virtio::hostnet::{self, Hostnet};
use crate::mm::frame;
use crate::mm::layout::PAGE;
use crate::time;
use ::net::forward::Forward;
use ::net::{NetConfig, NetMode, Network};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use spin::Once;

/// What programs have not read yet may fill this part of the memory.
const RECEIVED_PART: u64 = 8;

static NETWORK: Once<Arc<Network>> = Once::new();

/// The one network.
pub fn network() -> &'static Arc<Network> {
    NETWORK.call_once(|| Network::new(time::host()))
}

/// Sets up the way out that the configuration names. Touches no device: that waits for the first use.
pub fn init(config: &Config) -> Option<NetConfig> {
    let text = String::from_utf8_lossy(config.net.as_deref()?);
    match NetConfig::parse(&text) {
        Ok(net) => {
            match net.mode {
                NetMode::Forward => init_forward(net.clone()),
                NetMode::Card => say!("a network card is not supported yet: there is only lo"),
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

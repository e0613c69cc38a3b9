//! The machine's network.

use crate::time;
use ::net::Network;
use alloc::sync::Arc;
use spin::Once;

static NETWORK: Once<Arc<Network>> = Once::new();

/// The one network.
pub fn network() -> &'static Arc<Network> {
    NETWORK.call_once(|| Network::new(time::host()))
}

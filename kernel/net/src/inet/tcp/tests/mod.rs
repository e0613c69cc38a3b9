mod connecting;
mod data;
mod listening;
mod options;

use super::{Tcp, TcpSocket};
use crate::Errno;
use crate::inet::testing::*;
use crate::uplink::{Connection, StreamOption};
use linux_abi::raw::net::*;
use vfs::poll::{ERR, HUP, IN, OUT, RDHUP, RDNORM, WRNORM};

const READABLE: u32 = IN | RDNORM;
const WRITABLE: u32 = OUT | WRNORM;
const OVER: u32 = READABLE | WRITABLE | RDHUP | HUP;

fn client_of(world: &World, to: &str) -> crate::Result<()> {
    let family = if to.starts_with('[') { TCP6 } else { TCP4 };
    world.socket(family).connect(to)
}

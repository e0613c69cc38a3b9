//! The guest's own TCP/IP over a network card: an [`Uplink`] made of smoltcp and what it lacks.
//!
//! smoltcp walks all sockets of a set whenever it is polled. So every connection has a set of its own with one socket, and this
//! module does what cost would grow with: it finds the connection of each frame, keeps the list of those that have
//! something to send, and their timers. smoltcp does the protocol: TCP's state machine,
//! reassembly of the stream, resets; and, over another of its interfaces that sees Ethernet frames, answers to ARP and
//! neighbour discovery, SLAAC, multicast membership and DHCP. What is lost, and how much may be under way, is found
//! out here (`flight`); so are asking for neighbours, routing, UDP, ICMP, IP fragments and checksums.
//!
//! There is one lock. Nobody else's code is called with it held, except the card's.
mod addresses;
pub(crate) mod checksum;
mod config;
mod congestion;
mod connection;
mod cookies;
mod datagrams;
mod ether;
mod flight;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod grow;
mod icmp;
mod info;
mod input;
mod link;
mod listeners;
mod neighbours;
mod notice;
mod options;
mod output;
pub(crate) mod packet;
mod path;
mod path_mtu;
mod reassembly;
mod segment;
#[cfg(any(test, feature = "fuzz"))]
mod simulation;
mod state;
mod stream;
mod tap;
#[cfg(test)]
mod tests;
mod time_wait;
mod upkeep;
mod uplink;
mod wire;

pub use ether::{Lease, Setup};
pub use link::{Arrival, Features, Link, Offload, Segmentation};
pub use output::Counters;
pub use tap::Tap;
pub use uplink::Stack;

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use spin::Mutex;
use state::State;
use vfs::{Host, Wake};

/// The index of the card's interface; `lo` is 1.
const INDEX: u32 = 2;
/// `CLOCK_MONOTONIC`
const CLOCK: u32 = 1;
/// Frames that are taken before connections get their turn to answer.
const BATCH: usize = 64;
/// How many batches are taken before the caller gets its turn.
const BATCHES: usize = 8;

pub struct Shared {
    host: Arc<dyn Host>,
    state: Mutex<State>,
    /// Itself, for timers.
    me: Weak<Shared>,
}

impl Shared {
    /// Does something with the state, then what follows from it, and tells everybody afterwards.
    fn turn<R>(self: &Arc<Self>, act: impl FnOnce(&mut State) -> R) -> R {
        let (result, notices, alarm) = {
            let mut state = self.state.lock();
            state.output.now = self.host.clock(CLOCK);
            let result = act(&mut state);
            state.settle();
            let notices = core::mem::take(&mut state.notices);
            (result, notices, state.alarm())
        };
        if let Some(at) = alarm {
            let me: Weak<dyn Wake> = self.me.clone();
            self.host.wake_at(CLOCK, at, me);
        }
        notices.into_iter().for_each(|notice| notice.deliver(self));
        result
    }

    /// Takes what the card has received. Answers whether there was something.
    fn poll(self: &Arc<Self>) -> bool {
        for batch in 0..BATCHES {
            if !self.state.lock().has_work() {
                return batch != 0;
            }
            self.turn(|state| state.receive_batch(BATCH));
        }
        true
    }
}

impl Wake for Shared {
    fn wake(&self, _events: u32) {
        if let Some(me) = self.me.upgrade() {
            me.turn(|_| ());
        }
    }
}

impl State {
    fn has_work(&mut self) -> bool {
        self.output.link.has_news() || self.is_blocked() && self.output.link.has_room()
    }

    fn receive_batch(&mut self, most: usize) {
        let mut frame: Vec<u8> = core::mem::take(&mut self.frame);
        for _ in 0..most {
            frame.clear();
            let Some(arrival) = self.output.link.receive(&mut frame) else {
                break;
            };
            self.receive(&mut frame, arrival);
        }
        self.frame = frame;
    }
}

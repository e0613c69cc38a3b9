//! What is to be told once the lock is open again: who is told may come back at once.
use super::Shared;
use super::stream::CardStream;
use super::tap::Tap;
use crate::uplink::{Acceptor, DatagramReceiver};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use linux_abi::Errno;
use vfs::WaitList;

pub enum Notice {
    Events(Arc<WaitList>, u32),
    Offer {
        acceptor: Weak<dyn Acceptor>,
        listener: u64,
        connection: u64,
    },
    Deliver {
        receiver: Weak<dyn DatagramReceiver>,
        from: SocketAddr,
        to: IpAddr,
        hop_limit: u8,
        bytes: Arc<Vec<u8>>,
    },
    Error {
        receiver: Weak<dyn DatagramReceiver>,
        errno: Errno,
        remote: SocketAddr,
    },
    Writable(Weak<dyn DatagramReceiver>),
    Tap(Weak<dyn Tap>),
}

impl Notice {
    pub fn deliver(self, shared: &Arc<Shared>) {
        match self {
            Self::Events(events, bits) => events.notify(bits),
            Self::Offer {
                acceptor,
                listener,
                connection,
            } => offer(shared, &acceptor, listener, connection),
            Self::Deliver {
                receiver,
                from,
                to,
                hop_limit,
                bytes,
            } => {
                if let Some(receiver) = receiver.upgrade() {
                    receiver.deliver(from, to, hop_limit, &bytes);
                }
            }
            Self::Error {
                receiver,
                errno,
                remote,
            } => {
                if let Some(receiver) = receiver.upgrade() {
                    receiver.error(errno, remote);
                }
            }
            Self::Writable(receiver) => {
                if let Some(receiver) = receiver.upgrade() {
                    receiver.writable();
                }
            }
            Self::Tap(tap) => {
                if let Some(tap) = tap.upgrade() {
                    tap.wake();
                }
            }
        }
    }
}

fn offer(shared: &Arc<Shared>, acceptor: &Weak<dyn Acceptor>, listener: u64, connection: u64) {
    let Some(stream) = CardStream::adopt(shared, connection) else {
        return;
    };
    let taken = match acceptor.upgrade() {
        None => false,
        Some(acceptor) => match acceptor.offer(stream.clone()) {
            Ok(()) => true,
            Err(_) => false,
        },
    };
    if !taken {
        stream.disown();
    }
    shared.turn(|state| state.offered(listener, connection, taken));
}

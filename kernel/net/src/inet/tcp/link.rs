//! The stream of a socket: one of two kinds.
use crate::inet::loopback::{LoopStream, TcpState};
use crate::uplink::{Connection, Stream};
use alloc::sync::Arc;
use core::ops::Deref;
use vfs::poll;

#[derive(Clone)]
pub(crate) enum Link {
    /// To a socket of the guest.
    Loop(Arc<LoopStream>),
    /// To somewhere else.
    Up(Arc<dyn Stream>),
}

impl Deref for Link {
    type Target = dyn Stream;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Loop(stream) => &**stream,
            Self::Up(stream) => &**stream,
        }
    }
}

impl Link {
    pub(crate) fn state(&self) -> TcpState {
        let stream = match self {
            Self::Loop(stream) => return stream.state(),
            Self::Up(stream) => stream,
        };
        match stream.connection() {
            Connection::Connecting => TcpState::SynSent,
            Connection::Failed => TcpState::Close,
            Connection::Established => {
                let events = stream.poll();
                if events & poll::HUP != 0 {
                    TcpState::Close
                } else if events & poll::RDHUP != 0 {
                    TcpState::CloseWait
                } else {
                    TcpState::Established
                }
            }
        }
    }
}

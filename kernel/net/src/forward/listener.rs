//! A port on which the guest listens.
use super::shared::{Endpoint, Shared};
use super::stream::ForwardStream;
use crate::Result;
use crate::uplink::{Acceptor, Connection, Listening, Stream};
use alloc::sync::{Arc, Weak};
use boot_abi::hostnet::{
    FLAG_ABORT, NAMED_BY_DEVICE, REQ_ACCEPTED, REQ_CLOSE, REQ_LISTEN, encode_address,
};
use core::net::SocketAddr;
use spin::Mutex;
use vfs::WaitList;

/// Counts connections, as the device does: it has at most `backlog` of them announced and not accepted.
struct Room {
    backlog: u32,
    /// Announced, and not told to be accepted.
    open: u32,
    /// Accepted, and not told.
    accepted: u32,
}

impl Room {
    /// How many to tell the device about now: not each, but before it might run out of room.
    fn due(&mut self) -> u32 {
        if self.accepted >= (self.backlog / 4).max(1) || self.open >= self.backlog {
            let count = core::mem::take(&mut self.accepted);
            self.open = self.open.saturating_sub(count);
            count
        } else {
            0
        }
    }
}

pub struct ForwardListener {
    shared: Arc<Shared>,
    name: u64,
    acceptor: Weak<dyn Acceptor>,
    room: Mutex<Room>,
}

impl ForwardListener {
    pub fn open(
        shared: &Arc<Shared>,
        local: SocketAddr,
        backlog: usize,
        acceptor: Weak<dyn Acceptor>,
    ) -> Result<Arc<Self>> {
        shared.outbox.admit()?;
        let backlog = u32::try_from(backlog).unwrap_or(u32::MAX).max(1);
        let listener = Arc::new(Self {
            shared: shared.clone(),
            name: shared.new_name(),
            acceptor,
            room: Mutex::new(Room {
                backlog,
                open: 0,
                accepted: 0,
            }),
        });
        shared.introduce(listener.name, Endpoint::Listener(Arc::downgrade(&listener)));
        shared.outbox.tell(
            REQ_LISTEN,
            0,
            listener.name,
            &[&encode_address(local), &backlog.to_le_bytes()],
        );
        Ok(listener)
    }

    /// The device has a connection. False: it is not as it should be.
    pub fn incoming(&self, name: u64, peer: SocketAddr, local: SocketAddr) -> bool {
        if name & NAMED_BY_DEVICE == 0 || self.shared.find(name).is_some() {
            return false;
        }
        {
            let mut room = self.room.lock();
            if room.open >= room.backlog {
                drop(room);
                Self::refuse(&self.shared, name);
                return false;
            }
            room.open += 1;
        }
        let stream = ForwardStream::new(
            &self.shared,
            name,
            Connection::Established,
            local,
            peer,
            Arc::new(WaitList::new()),
        );
        self.shared
            .introduce(name, Endpoint::Stream(Arc::downgrade(&stream)));
        let refused = match self.acceptor.upgrade() {
            Some(acceptor) => acceptor.offer(stream).err(),
            None => Some(stream as Arc<dyn Stream>),
        };
        match refused {
            Some(stream) => {
                stream.abort();
                self.accepted();
            }
            None => self.tell_accepted(0),
        }
        true
    }

    fn tell_accepted(&self, more: u32) {
        let due = {
            let mut room = self.room.lock();
            room.accepted += more;
            room.due()
        };
        if due > 0 {
            self.shared
                .outbox
                .tell(REQ_ACCEPTED, 0, self.name, &[&due.to_le_bytes()]);
        }
    }

    pub fn accepted(&self) {
        self.tell_accepted(1);
    }

    /// Somebody connects to a listener that is gone.
    pub fn refuse(shared: &Shared, stream: u64) {
        if stream & NAMED_BY_DEVICE != 0 {
            shared.outbox.tell(REQ_CLOSE, FLAG_ABORT, stream, &[]);
        }
    }
}

impl Drop for ForwardListener {
    fn drop(&mut self) {
        self.shared.forget(self.name);
        self.shared.outbox.tell(REQ_CLOSE, 0, self.name, &[]);
    }
}

/// What the socket holds.
pub struct Held(pub Arc<ForwardListener>);

impl Listening for Held {
    fn accepted(&self) {
        self.0.accepted();
    }
}

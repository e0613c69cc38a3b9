//! A connection as the sockets see it.
use super::Shared;
use super::connection::{Connection, Owner, Pair};
use super::grow::Grower;
use super::info;
use super::output::Output;
use crate::Result;
use crate::uplink::{Connection as Progress, Stream, StreamOption};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use linux_abi::Errno;
use smoltcp::socket::tcp::State as TcpState;
use vfs::{Sink, Source, WaitList, poll};

pub struct CardStream {
    shared: Arc<Shared>,
    id: u64,
    events: Arc<WaitList>,
    pair: Pair,
    is_disowned: AtomicBool,
}

impl CardStream {
    /// Takes a connection over. None: it is gone.
    pub fn adopt(shared: &Arc<Shared>, id: u64) -> Option<Arc<Self>> {
        shared.turn(|state| {
            let connection = state.connections.get_mut(&id)?;
            connection.owner = Owner::Stream;
            Some(Arc::new(Self {
                shared: shared.clone(),
                id,
                events: connection.events.clone(),
                pair: connection.pair,
                is_disowned: AtomicBool::new(false),
            }))
        })
    }

    /// The connection goes on without this.
    pub fn disown(&self) {
        self.is_disowned.store(true, Relaxed);
    }

    fn with<R>(&self, look: impl FnOnce(&mut Connection) -> Result<R>) -> Result<R> {
        let mut state = self.shared.state.lock();
        let connection = state.connections.get_mut(&self.id);
        connection.map_or(Err(Errno::ENOTCONN), |connection| look(connection))
    }

    /// As `with`, and what follows from it is sent.
    fn act<R>(&self, act: impl FnOnce(&mut Connection, &mut Around) -> Result<R>) -> Result<R> {
        self.shared.turn(|state| {
            let Some(connection) = state.connections.get_mut(&self.id) else {
                return Err(Errno::ENOTCONN);
            };
            let mut around = Around {
                id: self.id,
                output: &mut state.output,
                grower: &mut state.grower,
            };
            let result = act(connection, &mut around);
            state.touch(self.id);
            result
        })
    }
}

/// What a connection's operations need of the rest of the stack.
pub struct Around<'a> {
    id: u64,
    output: &'a mut Output,
    grower: &'a mut Grower,
}

/// Fills the socket's send buffer from `source`.
fn fill(connection: &mut Connection, source: &mut dyn Source) -> Result<usize> {
    let mut total = 0;
    while source.remaining() > 0 {
        let sent = connection.tcp().send(|room| {
            let count = room.len().min(source.remaining());
            match source.take(room.get_mut(..count).unwrap_or_default()) {
                Ok(()) => (count, Ok(count)),
                Err(errno) => (0, Err(errno)),
            }
        });
        match sent {
            Ok(Ok(0)) => break,
            Ok(Ok(count)) => total += count,
            // What was taken before is on its way.
            Ok(Err(errno)) if total == 0 => return Err(errno),
            Ok(Err(_)) => break,
            Err(_) => return Err(Errno::EPIPE),
        }
    }
    Ok(total)
}

/// With a cork or `MSG_MORE`: whole segments leave, the rest is held back.
fn fill_held(
    connection: &mut Connection,
    source: &mut dyn Source,
    around: &Around<'_>,
) -> Result<usize> {
    let size = connection.segment_size(around.output.mtu_to(connection.pair.remote.0));
    let room = size.saturating_sub(connection.held());
    let mut bytes = alloc::vec![0; room.min(source.remaining())];
    source.take(&mut bytes)?;
    connection.hold(&bytes, around.output.now);
    if connection.held() >= size {
        connection.let_go();
    }
    Ok(bytes.len())
}

impl Stream for CardStream {
    fn events(&self) -> &Arc<WaitList> {
        &self.events
    }

    fn local(&self) -> SocketAddr {
        self.pair.local_address()
    }

    fn peer(&self) -> SocketAddr {
        self.pair.remote_address()
    }

    fn connection(&self) -> Progress {
        self.with(|connection| Ok(connection.progress()))
            .unwrap_or(Progress::Failed)
    }

    fn take_error(&self) -> Option<Errno> {
        self.with(|connection| Ok(connection.error.take()))
            .unwrap_or(None)
    }

    fn send(&self, source: &mut dyn Source, more: bool) -> Result<usize> {
        self.act(|connection, around| {
            if let Some(errno) = connection.error.take() {
                return Err(errno);
            }
            match connection.state() {
                _ if connection.write_shut => return Err(Errno::EPIPE),
                TcpState::SynSent | TcpState::SynReceived => {
                    connection.starved = true;
                    return Err(Errno::EAGAIN);
                }
                TcpState::Established | TcpState::CloseWait => {}
                _ => return Err(Errno::EPIPE),
            }
            let wanted = source.remaining();
            if wanted == 0 {
                return Ok(0);
            }
            if connection.is_about_to_grow() {
                connection.starved = true;
                return Err(Errno::EAGAIN);
            }
            let bytes = wanted + connection.held();
            around
                .grower
                .before_send(around.id, connection, bytes, around.output);
            let mut total = 0;
            if more || connection.is_corked() {
                while source.remaining() > 0 {
                    match fill_held(connection, source, around)? {
                        0 => break,
                        count => total += count,
                    }
                }
            } else {
                connection.let_go();
                if connection.held() == 0 {
                    total = fill(connection, source)?;
                }
            }
            if total < wanted {
                connection.starved = true;
                connection.wants_room.1 = true;
            }
            if total == 0 {
                Err(Errno::EAGAIN)
            } else {
                Ok(total)
            }
        })
    }

    fn receive(&self, sink: &mut dyn Sink, peek: bool) -> Result<usize> {
        if peek {
            return self.with(|connection| copy_out(connection, sink, true));
        }
        self.act(|connection, _| copy_out(connection, sink, false))
    }

    fn poll(&self) -> u32 {
        self.with(|connection| {
            let events = connection.events_now();
            if events & poll::OUT == 0 {
                connection.starved = true;
            }
            Ok(events)
        })
        .unwrap_or(poll::HUP | poll::ERR)
    }

    fn readable(&self) -> usize {
        self.with(|connection| Ok(connection.peek_tcp().recv_queue()))
            .unwrap_or(0)
    }

    fn unsent(&self) -> usize {
        self.with(|connection| Ok(connection.peek_tcp().send_queue() + connection.held()))
            .unwrap_or(0)
    }

    fn shutdown(&self, read: bool, write: bool) -> Result<()> {
        self.act(|connection, _| {
            if matches!(connection.state(), TcpState::Closed | TcpState::SynSent) {
                return Err(Errno::ENOTCONN);
            }
            connection.read_shut |= read;
            if write {
                connection.write_shut = true;
                connection.let_go();
            }
            Ok(())
        })
    }

    fn set_option(&self, option: StreamOption) -> Result<()> {
        self.act(|connection, _| {
            connection.set_option(option);
            Ok(())
        })
    }

    fn info(&self) -> Result<Vec<u8>> {
        let mut state = self.shared.state.lock();
        let mtu = state.output.link.mtu();
        let connection = state.connections.get_mut(&self.id);
        connection
            .map(|connection| info::bytes(connection, mtu))
            .ok_or(Errno::ENOTCONN)
    }

    fn abort(&self) {
        // The connection may be gone already.
        let _ = self.act(|connection, _| {
            connection.abort();
            Ok(())
        });
    }
}

fn copy_out(connection: &mut Connection, sink: &mut dyn Sink, peek: bool) -> Result<usize> {
    let queued = connection.peek_tcp().recv_queue();
    if queued == 0 {
        return if connection.has_ended || connection.read_shut {
            Ok(0)
        } else if let Some(errno) = connection.error.take() {
            Err(errno)
        } else if matches!(connection.state(), TcpState::Closed) {
            Ok(0)
        } else {
            Err(Errno::EAGAIN)
        };
    }
    if peek {
        let mut bytes = alloc::vec![0; queued.min(sink.remaining())];
        let count = connection.tcp().peek_slice(&mut bytes).unwrap_or(0);
        sink.put(bytes.get(..count).unwrap_or(&[]))?;
        return Ok(count);
    }
    let mut total = 0;
    while sink.remaining() > 0 {
        let got = connection.tcp().recv(|bytes| {
            let count = bytes.len().min(sink.remaining());
            match sink.put(bytes.get(..count).unwrap_or(&[])) {
                Ok(()) => (count, Ok(count)),
                Err(errno) => (0, Err(errno)),
            }
        });
        match got {
            Ok(Ok(0)) | Err(_) => break,
            Ok(Ok(count)) => total += count,
            Ok(Err(errno)) if total == 0 => return Err(errno),
            Ok(Err(_)) => break,
        }
    }
    connection.delivered += total as u64;
    Ok(total)
}

impl Drop for CardStream {
    fn drop(&mut self) {
        if self.is_disowned.load(Relaxed) {
            return;
        }
        self.shared.turn(|state| {
            let Some(connection) = state.connections.get_mut(&self.id) else {
                return;
            };
            connection.owner = Owner::Nobody;
            let is_unread = connection.peek_tcp().recv_queue() > 0;
            if is_unread || connection.state() == TcpState::SynSent {
                // RFC 2525: what was never read makes the end a reset.
                connection.abort();
            } else {
                connection.write_shut = true;
                connection.let_go();
            }
            state.touch(self.id);
        });
    }
}

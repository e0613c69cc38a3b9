//! `AF_UNIX`, see unix(7).
//!
//! What a descriptor refers to is a [`UnixSocket`]; it owns an [`Endpoint`], which peers, queued messages and the table
//! of names refer to as well. Closing the descriptor releases the endpoint: it lets go of everything it refers to, so
//! endpoints that refer to each other do not keep each other.
//!
//! No two endpoints are locked at once, files are dropped and waiters told with none locked.
mod ancillary;
mod connect;
mod endpoint;
mod flight;
mod garbage;
mod names;
mod options;
mod packets;
mod stream;
#[cfg(test)]
mod tests;

pub(crate) use names::Names;
pub use names::UnixEntry;

use crate::Result;
use crate::address::{Address, UnixName};
use crate::env::Env;
use crate::message::{Outgoing, Received};
use crate::socket::{Accepted, Socket, SocketOps, SocketType};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::Ordering::Relaxed;
use endpoint::Endpoint;
use linux_abi::Errno;
use linux_abi::raw::net::AF_UNIX;
use vfs::{Sink, UserMemory, WaitList};

/// A Unix socket that a descriptor refers to.
struct UnixSocket(Arc<Endpoint>);

/// socket(2)
pub(crate) fn socket(
    names: &Arc<Names>,
    kind: u32,
    protocol: u32,
    env: &dyn Env,
) -> Result<Arc<Socket>> {
    let kind = type_of(kind, protocol)?;
    Ok(open(Endpoint::new(names, kind, env.credentials())))
}

/// socketpair(2)
pub(crate) fn pair(
    names: &Arc<Names>,
    kind: u32,
    protocol: u32,
    env: &dyn Env,
) -> Result<[Arc<Socket>; 2]> {
    let kind = type_of(kind, protocol)?;
    let credentials = env.credentials();
    let one = Endpoint::new(names, kind, credentials);
    let other = Endpoint::new(names, kind, credentials);
    one.join(&other, credentials);
    other.join(&one, credentials);
    Ok([open(one), open(other)])
}

fn open(endpoint: Arc<Endpoint>) -> Arc<Socket> {
    Socket::new(Box::new(UnixSocket(endpoint)))
}

fn type_of(kind: u32, protocol: u32) -> Result<SocketType> {
    match SocketType::new(kind) {
        Err(Errno::EINVAL) => Err(Errno::EINVAL),
        _ if protocol != 0 && protocol != AF_UNIX => Err(Errno::EPROTONOSUPPORT),
        // As in BSD, raw is another word for datagram.
        Ok(SocketType::Raw) => Ok(SocketType::Datagram),
        other => other,
    }
}

impl SocketOps for UnixSocket {
    fn family(&self) -> u32 {
        AF_UNIX
    }

    fn kind(&self) -> SocketType {
        self.0.kind
    }

    fn protocol(&self) -> u32 {
        0
    }

    fn bind(&self, address: &Address, env: &dyn Env) -> Result<()> {
        self.0.bind(address, env)
    }

    fn connect(&self, address: &Address, env: &dyn Env) -> Result<()> {
        match self.0.kind {
            SocketType::Datagram => self.0.connect_datagrams(address, env),
            _ => self.0.connect_stream(address, env),
        }
    }

    fn listen(&self, backlog: i32, env: &dyn Env) -> Result<()> {
        self.0.listen(backlog, env)
    }

    fn accept(&self) -> Result<Accepted> {
        let accepted = self.0.accept()?;
        let unnamed = Address::Unix(UnixName::Unnamed);
        let peer = accepted.peer().map_or(unnamed, |peer| peer.address());
        Ok(Accepted {
            socket: Box::new(Self(accepted)),
            peer,
        })
    }

    fn local_address(&self) -> Result<Address> {
        Ok(self.0.address())
    }

    fn peer_address(&self) -> Result<Address> {
        self.0
            .peer()
            .map(|peer| peer.address())
            .ok_or(Errno::ENOTCONN)
    }

    fn send(&self, message: &mut Outgoing<'_>, env: &dyn Env) -> Result<usize> {
        match self.0.kind {
            SocketType::Stream => self.0.send_bytes(message, env),
            _ => self.0.send_packet(message, env),
        }
    }

    fn receive(&self, sink: &mut dyn Sink, flags: u32) -> Result<Received> {
        match self.0.kind {
            SocketType::Stream => self.0.receive_bytes(sink, flags),
            _ => self.0.receive_packet(sink, flags),
        }
    }

    fn shutdown(&self, read: bool, write: bool) -> Result<()> {
        self.0.shutdown(read, write);
        Ok(())
    }

    fn set_option(&self, level: u32, name: u32, value: &[u8], env: &dyn Env) -> Result<()> {
        self.0.set_option(level, name, value, env)
    }

    fn option(&self, level: u32, name: u32, _argument: &[u8]) -> Result<Vec<u8>> {
        self.0.option(level, name)
    }

    fn poll(&self) -> u32 {
        self.0.poll()
    }

    fn wait_list(&self) -> &WaitList {
        &self.0.waiters
    }

    fn ioctl(&self, command: u32, argument: u64, memory: &dyn UserMemory) -> Result<usize> {
        self.0.ioctl(command, argument, memory)
    }

    fn set_inode(&self, ino: u64) {
        self.0.inode.store(ino, Relaxed);
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        self.0.release(false);
        self.0.names.collect_garbage();
    }
}

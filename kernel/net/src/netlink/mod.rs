//! `AF_NETLINK`: how C libraries, `ip` and language runtimes ask for the interfaces. Only the route family.
mod message;
mod route;
#[cfg(test)]
mod tests;

use crate::address::Address;
use crate::message::{Outgoing, Received};
use crate::network::Network;
use crate::socket::{self, Socket, SocketOps, SocketType};
use crate::{Env, Result};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};
use linux_abi::Errno;
use linux_abi::raw::ioctl::FIONREAD;
use linux_abi::raw::net::{
    AF_NETLINK, MSG_PEEK, MSG_TRUNC, SO_ERROR, SO_PASSCRED, SO_RCVBUF, SO_RCVBUFFORCE, SO_SNDBUF,
    SO_SNDBUFFORCE, SOL_SOCKET,
};
use linux_abi::raw::netlink as raw;
use message::{Answer, Request};
use spin::Mutex;
use vfs::{Sink, UserMemory, WaitList, poll};

/// `SOL_NETLINK`
const LEVEL: u32 = 270;
/// Longest request; nobody sends more than a few hundred bytes.
const REQUEST_MAX: usize = 32 * 1024;
/// Answers waiting for a reader, in datagrams.
const QUEUE_MAX: usize = 1024;
/// `net.core.rmem_default`
const BUFFER: usize = 212_992;

/// A netlink socket.
pub(crate) struct Netlink {
    network: Arc<Network>,
    kind: SocketType,
    /// The port id; 0: none yet.
    port: AtomicU32,
    groups: AtomicU32,
    queue: Mutex<VecDeque<Vec<u8>>>,
    readers: WaitList,
    receive_buffer: AtomicUsize,
    send_buffer: AtomicUsize,
    cap_ack: AtomicBool,
    ext_ack: AtomicBool,
    strict: AtomicBool,
}

/// socket(2) for `AF_NETLINK`.
pub(crate) fn socket(
    network: &Arc<Network>,
    kind: SocketType,
    protocol: u32,
    env: &dyn Env,
) -> Result<Arc<Socket>> {
    if !matches!(kind, SocketType::Raw | SocketType::Datagram) {
        return Err(Errno::ESOCKTNOSUPPORT);
    }
    if protocol != raw::NETLINK_ROUTE {
        env.unsupported_part("netlink: families other than NETLINK_ROUTE");
        return Err(Errno::EPROTONOSUPPORT);
    }
    Ok(Socket::new(Box::new(Netlink {
        network: network.clone(),
        kind,
        port: AtomicU32::new(0),
        groups: AtomicU32::new(0),
        queue: Mutex::new(VecDeque::new()),
        readers: WaitList::new(),
        receive_buffer: AtomicUsize::new(BUFFER),
        send_buffer: AtomicUsize::new(BUFFER),
        cap_ack: AtomicBool::new(false),
        ext_ack: AtomicBool::new(false),
        strict: AtomicBool::new(false),
    })))
}

impl Netlink {
    /// Gives the socket a port id: `wanted`, or (0) the process's for its first socket and made-up ones after that.
    fn assign_port(&self, wanted: u32, env: &dyn Env) -> Result<()> {
        let port = self.network.netlink_ports.take(wanted, env)?;
        if self
            .port
            .compare_exchange(0, port, Relaxed, Relaxed)
            .is_err()
        {
            self.network.netlink_ports.give_back(port);
        }
        Ok(())
    }

    fn queue_answers(&self, answers: Vec<Vec<u8>>) -> Result<()> {
        {
            let mut queue = self.queue.lock();
            if queue.len() + answers.len() > QUEUE_MAX {
                return Err(Errno::ENOBUFS);
            }
            queue.extend(answers);
        }
        self.readers.notify(poll::IN | poll::RDNORM);
        Ok(())
    }

    fn handle(&self, request: &Request<'_>, env: &dyn Env) -> Vec<Vec<u8>> {
        let mut answer = Answer::new(request, self.port.load(Relaxed));
        if !request.has(raw::NLM_F_REQUEST) {
            return Vec::new();
        }
        // Control messages mean nothing to the kernel, and are acknowledged.
        let control = u32::from(request.kind) < raw::NLMSG_MIN_TYPE;
        let dump = request.has(raw::NLM_F_DUMP) && !control;
        let outcome = if control {
            Ok(())
        } else {
            route::answer(&self.network, request, &mut answer, env)
        };
        match outcome {
            Err(errno) => answer.error(Some(errno), request, self.cap_ack.load(Relaxed)),
            Ok(()) if dump => answer.done(),
            Ok(()) if request.has(raw::NLM_F_ACK) => answer.error(None, request, true),
            Ok(()) => {}
        }
        answer.into_datagrams()
    }

    fn switch(&self, name: u32) -> Option<&AtomicBool> {
        match name {
            raw::NETLINK_CAP_ACK => Some(&self.cap_ack),
            raw::NETLINK_EXT_ACK => Some(&self.ext_ack),
            raw::NETLINK_GET_STRICT_CHK => Some(&self.strict),
            _ => None,
        }
    }
}

impl Drop for Netlink {
    fn drop(&mut self) {
        self.network
            .netlink_ports
            .give_back(self.port.load(Relaxed));
    }
}

fn integer(value: &[u8]) -> Result<u32> {
    let bytes = value.first_chunk().ok_or(Errno::EINVAL)?;
    Ok(u32::from_ne_bytes(*bytes))
}

impl SocketOps for Netlink {
    fn deliver(&self, datagram: &[u8]) -> Result<()> {
        self.queue_answers(vec![datagram.to_vec()])
    }

    fn family(&self) -> u32 {
        AF_NETLINK
    }

    fn kind(&self) -> SocketType {
        self.kind
    }

    fn protocol(&self) -> u32 {
        raw::NETLINK_ROUTE
    }

    fn bind(&self, address: &Address, env: &dyn Env) -> Result<()> {
        let &Address::Netlink { pid, groups } = address else {
            return Err(Errno::EINVAL);
        };
        match self.port.load(Relaxed) {
            0 => self.assign_port(pid, env)?,
            port if port != pid => return Err(Errno::EINVAL),
            _ => {}
        }
        // The guest's network does not change while it runs, so there is nothing to tell the groups.
        self.groups.store(groups, Relaxed);
        Ok(())
    }

    fn connect(&self, address: &Address, env: &dyn Env) -> Result<()> {
        match address {
            Address::Unspecified => Ok(()),
            Address::Netlink { pid: 0, .. } if self.port.load(Relaxed) == 0 => {
                self.assign_port(0, env)
            }
            Address::Netlink { pid: 0, .. } => Ok(()),
            Address::Netlink { .. } => Err(Errno::ECONNREFUSED),
            _ => Err(Errno::EINVAL),
        }
    }

    fn local_address(&self) -> Result<Address> {
        Ok(Address::Netlink {
            pid: self.port.load(Relaxed),
            groups: self.groups.load(Relaxed),
        })
    }

    fn peer_address(&self) -> Result<Address> {
        Ok(Address::Netlink { pid: 0, groups: 0 })
    }

    fn send(&self, message: &mut Outgoing<'_>, env: &dyn Env) -> Result<usize> {
        match message.to {
            None | Some(Address::Netlink { pid: 0, .. }) => {}
            Some(Address::Netlink { .. }) => return Err(Errno::ECONNREFUSED),
            Some(_) => return Err(Errno::EINVAL),
        }
        let len = message.source.remaining();
        if len > REQUEST_MAX {
            return Err(Errno::EMSGSIZE);
        }
        if self.port.load(Relaxed) == 0 {
            self.assign_port(0, env)?;
        }
        let mut bytes = vec![0; len];
        message.source.take(&mut bytes)?;
        let mut rest = bytes.as_slice();
        while let Some((request, after)) = Request::split(rest) {
            self.queue_answers(self.handle(&request, env))?;
            rest = after;
        }
        Ok(len)
    }

    fn receive(&self, sink: &mut dyn Sink, flags: u32) -> Result<Received> {
        let mut queue = self.queue.lock();
        let datagram = queue.front().ok_or(Errno::EAGAIN)?;
        let count = datagram.len().min(sink.remaining());
        sink.put(datagram.get(..count).unwrap_or(&[]))?;
        let received = Received {
            count,
            full_length: datagram.len(),
            from: Some(Address::Netlink { pid: 0, groups: 0 }),
            control: Vec::new(),
            flags: if count < datagram.len() { MSG_TRUNC } else { 0 },
        };
        if flags & MSG_PEEK == 0 {
            queue.pop_front();
        }
        Ok(received)
    }

    fn set_option(&self, level: u32, name: u32, value: &[u8], _env: &dyn Env) -> Result<()> {
        if level == SOL_SOCKET {
            let double = |buffer: &AtomicUsize| {
                buffer.store(
                    (integer(value)? as usize)
                        .clamp(1152, BUFFER)
                        .wrapping_mul(2),
                    Relaxed,
                );
                Ok(())
            };
            return match name {
                SO_RCVBUF | SO_RCVBUFFORCE => double(&self.receive_buffer),
                SO_SNDBUF | SO_SNDBUFFORCE => double(&self.send_buffer),
                // Every answer comes from the kernel: pid, uid and gid 0 would be all there is to tell.
                SO_PASSCRED if integer(value)? == 0 => Ok(()),
                _ => Err(Errno::ENOPROTOOPT),
            };
        }
        if level != LEVEL {
            return Err(Errno::ENOPROTOOPT);
        }
        match name {
            // Nothing is ever told to groups, see `bind`.
            raw::NETLINK_ADD_MEMBERSHIP | raw::NETLINK_DROP_MEMBERSHIP => {
                integer(value).map(|_| ())
            }
            raw::NETLINK_NO_ENOBUFS | raw::NETLINK_BROADCAST_ERROR => Ok(()),
            _ => {
                let switch = self.switch(name).ok_or(Errno::ENOPROTOOPT)?;
                switch.store(integer(value)? != 0, Relaxed);
                Ok(())
            }
        }
    }

    fn option(&self, level: u32, name: u32, _argument: &[u8]) -> Result<Vec<u8>> {
        let value = match (level, name) {
            (SOL_SOCKET, SO_RCVBUF) => self.receive_buffer.load(Relaxed) as u32,
            (SOL_SOCKET, SO_SNDBUF) => self.send_buffer.load(Relaxed) as u32,
            (SOL_SOCKET, SO_ERROR) => 0,
            (LEVEL, _) => self
                .switch(name)
                .ok_or(Errno::ENOPROTOOPT)?
                .load(Relaxed)
                .into(),
            _ => return Err(Errno::ENOPROTOOPT),
        };
        Ok(value.to_ne_bytes().to_vec())
    }

    fn poll(&self) -> u32 {
        poll::ready(!self.queue.lock().is_empty(), true)
    }

    fn wait_list(&self) -> &WaitList {
        &self.readers
    }

    fn ioctl(&self, command: u32, argument: u64, memory: &dyn UserMemory) -> Result<usize> {
        if command != FIONREAD {
            return Err(Errno::ENOTTY);
        }
        let len = self.queue.lock().front().map_or(0, Vec::len);
        socket::answer_count(memory, argument, len)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Port ids in use.
#[derive(Default)]
pub(crate) struct Ports(Mutex<Vec<u32>>);

impl Ports {
    /// Sockets that have one; those that were never used have none.
    pub fn count(&self) -> usize {
        self.0.lock().len()
    }

    fn take(&self, wanted: u32, env: &dyn Env) -> Result<u32> {
        let mut used = self.0.lock();
        let free = |port: &u32| !used.contains(port);
        let port = if wanted != 0 {
            Some(wanted).filter(free).ok_or(Errno::EADDRINUSE)?
        } else {
            // As Linux: negative numbers where the process id is taken.
            let made_up = (0..=u32::MAX / 2).map(|n| u32::MAX - 4095 - n);
            core::iter::once(env.credentials().pid as u32)
                .chain(made_up)
                .find(free)
                .ok_or(Errno::EADDRINUSE)?
        };
        used.push(port);
        Ok(port)
    }

    fn give_back(&self, port: u32) {
        self.0.lock().retain(|used| *used != port);
    }
}

//! connect(2).
use super::link::Link;
use super::{Phase, State, Tcp};
use crate::Result;
use crate::address::Address;
use crate::inet::binding::{Binding, claim};
use crate::inet::ip::{Family, destination, is_broadcast};
use crate::inet::loopback::{Lo, LoopStream, TcpState};
use crate::inet::options::{Options, Slot};
use crate::inet::own::LOOPBACK_INDEX;
use crate::uplink::{ConnectRequest, Connection};
use core::net::SocketAddr;
use linux_abi::Errno;
use vfs::poll;

impl Tcp {
    /// Always `EINPROGRESS` for a new connection, as Linux does even over loopback; then `connected` tells.
    pub(super) fn connect(&self, address: &Address) -> Result<()> {
        if *address == Address::Unspecified {
            return self.dissolve();
        }
        let mut state = self.state.lock();
        match &state.phase {
            Phase::Listening(_) | Phase::Active { told: true, .. } => Err(Errno::EISCONN),
            Phase::Active { .. } => {
                drop(state);
                self.connected().map_err(|error| match error {
                    Errno::EAGAIN => Errno::EALREADY,
                    error => error,
                })
            }
            Phase::Idle => {
                let options = self.options.lock().clone();
                let remote = self.remote(address, &options)?;
                let begun = self.begin(&mut state, remote, &options);
                state.error = None;
                if begun.is_err() {
                    // An ephemeral port that was taken for nothing.
                    state.disconnect();
                }
                drop(state);
                let served = begun?;
                self.network.inet().counters.tcp_active_opens.add(1);
                match served {
                    Some((client, server)) => self.knock(&client, server),
                    // What the uplink told before this socket had the stream.
                    None => self.events.notify(poll::ALWAYS | poll::HUP | poll::ERR),
                }
                Err(Errno::EINPROGRESS)
            }
        }
    }

    fn remote(&self, address: &Address, options: &Options) -> Result<SocketAddr> {
        let remote = match self.family.parse(address, false)? {
            v4 if v4.is_ipv4() && self.family == Family::V6 && options.is_set(Slot::V6Only) => {
                return Err(Errno::ENETUNREACH);
            }
            remote => destination(remote),
        };
        let ip = remote.ip();
        if ip.is_multicast() || is_broadcast(ip) || self.network.is_own_broadcast(ip) {
            return Err(Errno::ENETUNREACH);
        }
        Ok(remote)
    }

    /// Takes a port and makes the stream. For a connection inside: both its ends, still without a listener.
    fn begin(
        &self,
        state: &mut State,
        remote: SocketAddr,
        options: &Options,
    ) -> Result<Option<(alloc::sync::Arc<LoopStream>, alloc::sync::Arc<LoopStream>)>> {
        let bound = state.bound.unwrap_or(self.family.unspecified());
        if !bound.is_unspecified() && Family::of(bound) != Family::of(remote.ip()) {
            return Err(Errno::ENETUNREACH);
        }
        let device = options.get(Slot::Device).cast_unsigned();
        let source = self.network.source_for(bound, remote.ip(), device)?;
        let inside = self.network.is_own(remote.ip());
        let uplink = self.network.uplink();
        if !inside && uplink.is_none() {
            return Err(Errno::ENETUNREACH);
        }
        if state.binding.is_none() {
            let claim = claim(self.family, SocketAddr::new(source, 0), options, self.uid);
            let binding = Binding::for_connection(&self.network, claim, source, remote)?;
            state.binding = Some(binding);
        }
        let binding = state.binding.as_mut().ok_or(Errno::EADDRNOTAVAIL)?;
        let local = SocketAddr::new(source, binding.claim().port);
        binding.set_pair(local, remote)?;
        let streams = options.changed_for_stream(remote.is_ipv6());
        let (link, ends) = match uplink {
            Some(uplink) if !inside => {
                let stream = uplink.connect(ConnectRequest {
                    local,
                    remote,
                    options: &streams,
                    events: self.events.clone(),
                })?;
                (Link::Up(stream), None)
            }
            _ => {
                let lo = Lo {
                    counters: self.network.inet().counters.clone(),
                    observers: self.network.observers.clone(),
                };
                let (client, server) = LoopStream::pair(local, remote, self.events.clone(), lo);
                let link = Link::Loop(client.clone());
                for option in streams {
                    link.set_option(option)?;
                }
                (link, Some((client, server)))
            }
        };
        state.phase = Phase::Active {
            link,
            local,
            remote,
            told: false,
        };
        Ok(ends)
    }

    /// A connection inside finds its listener, or not.
    fn knock(&self, client: &LoopStream, server: alloc::sync::Arc<LoopStream>) {
        use crate::uplink::Stream;
        let inet = self.network.inet();
        client.show_attempt();
        let (from, to) = (client.local(), client.peer());
        let listener = inet.listeners.lock().find(from, to, LOOPBACK_INDEX);
        match listener {
            Some(listener) => listener.take_local(client, server, self.patience()),
            None => client.fail(Errno::ECONNREFUSED),
        }
    }

    /// How long a SYN is sent again, in seconds: `TCP_SYNCNT` times, each after twice the time.
    fn patience(&self) -> u64 {
        let count = self.option(Slot::SynCount).clamp(1, 16);
        (2 << count) - 1
    }

    /// How the connection goes that was begun. A failure is told once, and leaves the socket as before connect(2).
    pub(super) fn connected(&self) -> Result<()> {
        let mut state = self.state.lock();
        let Phase::Active { link, told, .. } = &mut state.phase else {
            return Err(Errno::ECONNABORTED);
        };
        if *told {
            return Ok(());
        }
        match link.connection() {
            Connection::Connecting => Err(Errno::EAGAIN),
            Connection::Established => {
                *told = true;
                Ok(())
            }
            Connection::Failed => {
                let error = link.take_error();
                let over = state.disconnect();
                drop(state);
                drop(over);
                self.network.inet().counters.tcp_attempt_fails.add(1);
                Err(error.unwrap_or(Errno::ECONNABORTED))
            }
        }
    }

    /// `AF_UNSPEC`: whatever there was is over.
    fn dissolve(&self) -> Result<()> {
        let phase = {
            let mut state = self.state.lock();
            let phase = state.disconnect();
            state.error = match &phase {
                // As if a reset had come, unless everything was over.
                Phase::Active { link, .. } if link.state() != TcpState::Close => {
                    Some(Errno::ECONNRESET)
                }
                _ => None,
            };
            phase
        };
        self.stop(phase);
        self.events.notify(poll::HUP);
        Ok(())
    }
}

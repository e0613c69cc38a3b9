//! bind(2) and connect(2) of datagram sockets, and their ways out.
use super::receivers::Interest;
use super::{Dgram, Kind, State};
use crate::Result;
use crate::address::Address;
use crate::env::Env;
use crate::inet::binding::{Binding, claim};
use crate::inet::ip::{Cover, Family, canonical, destination, is_broadcast};
use crate::inet::options::{Options, Slot};
use crate::inet::own::LOOPBACK_INDEX;
use crate::uplink::{DatagramKind, DatagramReceiver, Datagrams};
use alloc::sync::{Arc, Weak};
use core::net::{IpAddr, SocketAddr};
use linux_abi::Errno;

impl Dgram {
    pub(super) fn bind(&self, address: &Address, env: &dyn Env) -> Result<()> {
        let options = self.options.lock().clone();
        let v6_only = options.is_set(Slot::V6Only);
        let mut address = self.family.parse(address, v6_only)?;
        if self.kind == Kind::Udp {
            self.network.check_bind(address, &options, false, env)?;
        } else {
            // Identifiers are no ports that somebody would protect, and a raw socket has none.
            let ip = SocketAddr::new(address.ip(), 0);
            self.network.check_bind(ip, &options, false, env)?;
        }
        if self.kind == Kind::Raw {
            address.set_port(0);
        }
        let mut state = self.state.lock();
        if self.kind != Kind::Raw && (state.bound.is_some() || state.binding.is_some()) {
            return Err(Errno::EINVAL);
        }
        let late = address.port() == 0 && options.is_set(Slot::NoPortYet);
        if self.kind != Kind::Raw && !late {
            self.take_port(&mut state, address, &options)?;
            state.keeps_port = true;
        }
        state.bound = Some(address.ip());
        self.update_interest(&state, &options);
        if self.kind == Kind::Udp && !late && self.network.uplink().is_some() {
            let device = options.get(Slot::Device).cast_unsigned();
            if device != LOOPBACK_INDEX {
                let opened = self.open_way(&mut state, Family::of(address.ip()), None);
                // A published port reaches a loopback address as well, but an uplink need not have any.
                if !address.ip().is_loopback() {
                    opened?;
                }
            }
        }
        Ok(())
    }

    fn take_port(&self, state: &mut State, at: SocketAddr, options: &Options) -> Result<()> {
        let claim = claim(self.family, at, options, self.uid);
        let binding = Binding::new(&self.network, self.port_space(), claim)?;
        let key = self.key(binding.claim().port);
        state.binding = Some(binding);
        self.update_interest(state, options);
        if let Some(this) = self.this.upgrade() {
            self.network.inet().receivers.lock().add(key, this);
        }
        Ok(())
    }

    /// A port for a socket that sends or is connected without one. `EAGAIN`: there is none.
    pub(super) fn autobind(&self, state: &mut State) -> Result<()> {
        if state.binding.is_some() || self.kind == Kind::Raw {
            return Ok(());
        }
        let options = self.options.lock().clone();
        let ip = state.bound.unwrap_or(self.family.unspecified());
        self.take_port(state, SocketAddr::new(ip, 0), &options)
            .map_err(|_| Errno::EAGAIN)
    }

    /// Tells the lookup what has changed.
    pub(super) fn update_interest(&self, state: &State, options: &Options) {
        let local = state.local(self.family).ip();
        *self.interest.lock() = Interest {
            cover: Cover::new(self.family, local, options.is_set(Slot::V6Only)),
            device: options.get(Slot::Device).cast_unsigned(),
            peer: state.peer,
            reuse_port: options.is_set(Slot::ReusePort),
        };
    }

    /// The port is given back, and the way out that it had.
    pub(super) fn release_port(&self) {
        let (binding, ways) = {
            let mut state = self.state.lock();
            state.way_identifier = None;
            (state.binding.take(), core::mem::take(&mut state.ways))
        };
        if let Some(binding) = &binding {
            let key = self.key(binding.claim().port);
            self.network.inet().receivers.lock().remove(key, self);
        }
        drop((binding, ways));
    }

    /// The destination that a program names. Unlike TCP, an IPv6 socket takes IPv4 addresses as they are.
    pub(super) fn remote(&self, address: SocketAddr, options: &Options) -> Result<SocketAddr> {
        if self.family == Family::V4 && address.is_ipv6() {
            return Err(Errno::EAFNOSUPPORT);
        }
        let remote = destination(canonical(address));
        if remote.is_ipv4() && self.family == Family::V6 && options.is_set(Slot::V6Only) {
            return Err(Errno::ENETUNREACH);
        }
        Ok(remote)
    }

    pub(super) fn connect(&self, address: &Address) -> Result<()> {
        let address = match address {
            Address::Unspecified => return self.dissolve(),
            Address::Inet(address) => *address,
            _ => return Err(Errno::EAFNOSUPPORT),
        };
        let options = self.options.lock().clone();
        let remote = self.remote(address, &options)?;
        let ip = remote.ip();
        let broadcast = is_broadcast(ip) || self.network.is_own_broadcast(ip);
        if broadcast && !options.is_set(Slot::Broadcast) {
            return Err(Errno::EACCES);
        }
        let mut state = self.state.lock();
        let source = self.source(&state, ip, &options)?;
        state.source = Some(source);
        if let Err(error) = self.autobind(&mut state) {
            state.source = None;
            return Err(error);
        }
        state.peer = Some(remote);
        self.update_interest(&state, &options);
        Ok(())
    }

    /// Where a datagram to `remote` leaves from.
    pub(super) fn source(
        &self,
        state: &State,
        remote: IpAddr,
        options: &Options,
    ) -> Result<IpAddr> {
        let bound = state.bound.unwrap_or(self.family.unspecified());
        let mut device = options.get(Slot::Device).cast_unsigned();
        if remote.is_multicast() && device == 0 {
            let slot = match remote {
                IpAddr::V4(_) => Slot::MulticastInterface,
                IpAddr::V6(_) => Slot::MulticastInterface6,
            };
            device = options.get(slot).cast_unsigned();
        }
        let family = Family::of(remote);
        let local = is_broadcast(remote) && remote != IpAddr::V4(core::net::Ipv4Addr::BROADCAST);
        if local || (remote.is_multicast() && device == LOOPBACK_INDEX) {
            return Ok(match bound.is_unspecified() || bound.is_multicast() {
                true => family.loopback(),
                false => bound,
            });
        }
        // A socket bound to a group or a broadcast address sends from an address of the machine.
        let bound = if bound.is_multicast() || is_broadcast(bound) {
            self.family.unspecified()
        } else {
            bound
        };
        self.network.source_for(bound, remote, device)
    }

    /// `AF_UNSPEC`
    fn dissolve(&self) -> Result<()> {
        let keeps_port = {
            let mut state = self.state.lock();
            state.peer = None;
            state.source = None;
            let options = self.options.lock().clone();
            self.update_interest(&state, &options);
            state.keeps_port
        };
        if !keeps_port {
            self.release_port();
        }
        Ok(())
    }

    /// The way out for datagrams of a family, opened when it is first needed. One that bind(2) opened for both families
    /// serves both. `identifier`: of echo requests of a raw socket, when the uplink has nothing rawer.
    pub(super) fn open_way(
        &self,
        state: &mut State,
        family: Family,
        identifier: Option<u16>,
    ) -> Result<Arc<dyn Datagrams>> {
        let uplink = self.network.uplink().ok_or(Errno::ENETUNREACH)?;
        let dual = state.keeps_port && state.bound.is_some_and(|ip| ip == Family::V6.unspecified());
        let index = usize::from(family == Family::V6 || dual);
        let known = state.ways.get(index).and_then(Clone::clone);
        if let Some(way) = known
            && identifier == state.way_identifier
        {
            return Ok(way);
        }
        let kind = match (self.kind, identifier) {
            (Kind::Udp, _) => DatagramKind::Udp,
            (Kind::Echo, _) | (_, Some(_)) => DatagramKind::Echo,
            (Kind::Raw, None) => DatagramKind::Raw {
                protocol: self.protocol() as u8,
            },
        };
        let mut local = state.local(self.family);
        if !dual && Family::of(local.ip()) != family {
            local.set_ip(family.unspecified());
        }
        if state.source.is_some() && state.bound.is_none() {
            // It was not bound to the address that connect(2) chose.
            local.set_ip(family.unspecified());
        }
        local.set_port(identifier.unwrap_or(local.port()));
        let this: Weak<Self> = self.this.clone();
        let receiver: Weak<dyn DatagramReceiver> = this;
        let way: Arc<dyn Datagrams> = Arc::from(uplink.datagrams(kind, local, receiver)?);
        for group in state
            .groups
            .iter()
            .filter(|group| group.interface != LOOPBACK_INDEX)
        {
            way.membership(group.group, group.interface, true)?;
        }
        if let Some(place) = state.ways.get_mut(index) {
            *place = Some(way.clone());
        }
        state.way_identifier = identifier;
        Ok(way)
    }
}

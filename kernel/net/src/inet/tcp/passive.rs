//! bind(2), listen(2), accept(2).
use super::link::Link;
use super::listener::Listener;
use super::{Phase, State, Tcp, TcpSocket};
use crate::Result;
use crate::address::Address;
use crate::env::Env;
use crate::inet::binding::{Binding, Protocol, claim};
use crate::inet::ip::Cover;
use crate::inet::options::Slot;
use crate::inet::own::LOOPBACK_INDEX;
use crate::inet::ports::Claim;
use crate::socket::Accepted;
use crate::uplink::Acceptor;
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use core::net::SocketAddr;
use core::sync::atomic::AtomicU64;
use linux_abi::Errno;
use spin::Mutex;

impl Tcp {
    pub(super) fn bind(self: &Arc<Self>, address: &Address, env: &dyn Env) -> Result<()> {
        let options = self.options.lock().clone();
        let address = self.family.parse(address, options.is_set(Slot::V6Only))?;
        self.network.check_bind(address, &options, true, env)?;
        let mut state = self.state.lock();
        if !matches!(state.phase, Phase::Idle) || state.bound.is_some() {
            return Err(Errno::EINVAL);
        }
        if state.binding.is_some() {
            return Err(Errno::EINVAL);
        }
        if address.port() != 0 || !options.is_set(Slot::NoPortYet) {
            let claim = claim(self.family, address, &options, self.uid);
            state.binding = Some(Binding::new(&self.network, Protocol::Tcp, claim)?);
            state.keeps_port = true;
        }
        state.bound = Some(address.ip());
        Ok(())
    }

    pub(super) fn listen(self: &Arc<Self>, backlog: i32) -> Result<()> {
        let mut state = self.state.lock();
        match &state.phase {
            Phase::Listening(listener) => {
                let listener = listener.clone();
                drop(state);
                listener.set_backlog(backlog);
                return Ok(());
            }
            Phase::Active { .. } => return Err(Errno::EINVAL),
            Phase::Idle => {}
        }
        let listener = self.start_listening(&mut state, backlog)?;
        state.phase = Phase::Listening(listener.clone());
        drop(state);
        if let Err(error) = self.listen_beyond(&listener) {
            let phase = self.state.lock().disconnect();
            self.stop(phase);
            return Err(error);
        }
        Ok(())
    }

    /// The port is the listener's from now on.
    fn start_listening(&self, state: &mut State, backlog: i32) -> Result<Arc<Listener>> {
        if state.binding.is_none() {
            let options = self.options.lock();
            let claim = claim(self.family, state.local(self.family), &options, self.uid);
            drop(options);
            state.binding = Some(Binding::new(&self.network, Protocol::Tcp, claim)?);
        }
        state.keeps_port = true;
        let binding = state.binding.as_mut().ok_or(Errno::EADDRINUSE)?;
        let listening = Claim {
            listening: true,
            ..*binding.claim()
        };
        binding.try_change(listening)?;
        let inet = self.network.inet();
        let listener = Listener::new(
            &listening,
            backlog,
            self.events.clone(),
            inet.counters.clone(),
            self.network.host().clone(),
        );
        listener.set_defer(self.option(Slot::DeferAccept));
        inet.listeners.lock().add(listener.clone());
        Ok(listener)
    }

    /// Connections from outside are wanted, too. Those for a loopback address as well: a published port reaches it.
    fn listen_beyond(&self, listener: &Arc<Listener>) -> Result<()> {
        let Some(uplink) = self.network.uplink() else {
            return Ok(());
        };
        if self.option(Slot::Device).cast_unsigned() == LOOPBACK_INDEX {
            return Ok(());
        }
        let local = self.state.lock().local(self.family);
        let weak: Weak<Listener> = Arc::downgrade(listener);
        let acceptor: Weak<dyn Acceptor> = weak;
        match uplink.listen(local, listener.backlog(), acceptor) {
            Ok(beyond) => listener.set_beyond(beyond),
            // An uplink that publishes no ports has nothing for loopback.
            Err(_) if local.ip().is_loopback() => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    pub(super) fn accept(self: &Arc<Self>) -> Result<Accepted> {
        let listener = match &self.state.lock().phase {
            Phase::Listening(listener) => listener.clone(),
            _ => return Err(Errno::EINVAL),
        };
        let link = listener.accept()?;
        let peer = self.show(crate::inet::ip::canonical(link.peer()));
        let socket = self.accepted(link);
        Ok(Accepted {
            socket: Box::new(socket),
            peer,
        })
    }

    /// A socket for a connection; it has the listener's options.
    fn accepted(&self, link: Link) -> TcpSocket {
        let local = crate::inet::ip::canonical(link.local());
        let remote = crate::inet::ip::canonical(link.peer());
        let options = self.options.lock().clone();
        for option in options.changed_for_stream(remote.is_ipv6()) {
            // What the stream cannot do was refused to nobody: the program set it on the listener.
            let _ = link.set_option(option);
        }
        let claim = Claim {
            cover: Cover::One(local.ip()),
            port: self.port(local),
            ..claim(self.family, local, &options, self.uid)
        };
        let binding = Binding::for_accepted(&self.network, claim);
        let events = link.events().clone();
        TcpSocket::register(Tcp {
            network: self.network.clone(),
            family: self.family,
            uid: self.uid,
            inode: AtomicU64::new(0),
            events,
            options: Mutex::new(options),
            state: Mutex::new(State {
                phase: Phase::Active {
                    link,
                    local,
                    remote,
                    told: true,
                },
                bound: Some(local.ip()),
                binding: Some(binding),
                keeps_port: true,
                error: None,
            }),
        })
    }

    /// The listener's port, which is that of its connections.
    fn port(&self, local: SocketAddr) -> u16 {
        let state = self.state.lock();
        state
            .binding
            .as_ref()
            .map_or(local.port(), |b| b.claim().port)
    }
}

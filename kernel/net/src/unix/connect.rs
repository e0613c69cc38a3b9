//! Names and connections: bind(2), connect(2), listen(2), accept(2).
use super::endpoint::{Endpoint, Phase, READABLE, State};
use crate::Result;
use crate::address::{Address, UnixName};
use crate::env::Env;
use alloc::sync::Arc;
use core::sync::atomic::Ordering::Relaxed;
use linux_abi::Errno;

/// /proc/sys/net/core/somaxconn
const MAX_BACKLOG: usize = 4096;

impl Endpoint {
    /// The name in an address that must have one. `EINVAL`
    pub fn check_address(address: Option<&Address>) -> Result<&UnixName> {
        match address {
            Some(Address::Unix(UnixName::Unnamed)) => Err(Errno::EINVAL),
            Some(Address::Unix(name)) => Ok(name),
            _ => Err(Errno::EINVAL),
        }
    }

    pub fn bind(self: &Arc<Self>, address: &Address, env: &dyn Env) -> Result<()> {
        match address {
            Address::Unix(UnixName::Unnamed) => self.bind_any(),
            Address::Unix(UnixName::Path(path)) => self.bind_path(path, env),
            Address::Unix(UnixName::Abstract(name)) => {
                self.check_unnamed()?;
                self.names.bind_abstract(name, self)?;
                self.set_name(UnixName::Abstract(name.clone()));
                Ok(())
            }
            _ => Err(Errno::EINVAL),
        }
    }

    fn check_unnamed(&self) -> Result<()> {
        if self.name.is_completed() {
            Err(Errno::EINVAL)
        } else {
            Ok(())
        }
    }

    fn set_name(&self, name: UnixName) {
        self.name.call_once(|| Arc::new(name));
    }

    fn bind_path(self: &Arc<Self>, path: &[u8], env: &dyn Env) -> Result<()> {
        if let Err(error) = self.check_unnamed() {
            // That the path is taken is said first.
            return Err(match env.find_node(path) {
                Ok(_) | Err(Errno::ECONNREFUSED | Errno::EACCES) => Errno::EADDRINUSE,
                Err(_) => error,
            });
        }
        let node = env.make_node(path)?;
        self.names.bind_node(&node, self);
        self.node.call_once(|| node);
        self.set_name(UnixName::Path(path.to_vec()));
        Ok(())
    }

    /// Autobind. Nothing to do for who has a name already.
    fn bind_any(self: &Arc<Self>) -> Result<()> {
        if self.name.is_completed() {
            return Ok(());
        }
        let name = self.names.bind_any(self)?;
        self.set_name(UnixName::Abstract(name));
        Ok(())
    }

    /// Who passes credentials gets a name when it first sends or connects.
    pub fn name_for_credentials(self: &Arc<Self>) -> Result<()> {
        if self.passes_credentials.load(Relaxed) {
            self.bind_any()?;
        }
        Ok(())
    }

    /// The socket of this one's type that is bound to `name`. `ECONNREFUSED`, `EPROTOTYPE`, and why the path leads nowhere.
    pub fn find(&self, name: &UnixName, env: &dyn Env) -> Result<Arc<Self>> {
        let found = match name {
            UnixName::Unnamed => return Err(Errno::EINVAL),
            UnixName::Path(path) => self.names.find_node(&env.find_node(path)?),
            UnixName::Abstract(name) => self.names.find_abstract(self.kind, name),
        };
        let found = found.ok_or(Errno::ECONNREFUSED)?;
        if found.kind != self.kind {
            return Err(Errno::EPROTOTYPE);
        }
        Ok(found)
    }

    pub fn connect_stream(self: &Arc<Self>, address: &Address, env: &dyn Env) -> Result<()> {
        let name = Self::check_address(Some(address))?;
        self.name_for_credentials()?;
        let listener = self.find(name, env)?;
        self.check_listener(&mut listener.state.lock())?;
        match self.state.lock().phase {
            Phase::Closed => {}
            Phase::Connected => return Err(Errno::EISCONN),
            Phase::Listening => return Err(Errno::EINVAL),
        }
        let arrival = listener.arrival();
        let theirs = listener.state.lock().peer_credentials;
        arrival.join(self, env.credentials());
        self.join(&arrival, theirs.unwrap_or_default());
        let queued = {
            let mut state = listener.state.lock();
            let checked = self.check_listener(&mut state);
            checked.map(|()| state.arrivals.push_back(arrival.clone()))
        };
        if let Err(error) = queued {
            // Another thread was faster.
            self.part();
            arrival.part();
            arrival.release(true);
            return Err(error);
        }
        listener.waiters.notify(READABLE);
        Ok(())
    }

    /// The end that accept(2) will give out.
    fn arrival(&self) -> Arc<Self> {
        let arrival = Self::new(&self.names, self.kind, self.creator);
        if let Some(name) = self.name.get() {
            arrival.name.call_once(|| name.clone());
        }
        let passes = self.passes_credentials.load(Relaxed);
        arrival.passes_credentials.store(passes, Relaxed);
        arrival
    }

    fn part(&self) {
        let mut state = self.state.lock();
        (state.phase, state.peer, state.peer_credentials) = (Phase::Closed, None, None);
    }

    /// Whether a listener takes a connection; if it has no room now, this endpoint is told when it has.
    fn check_listener(self: &Arc<Self>, listener: &mut State) -> Result<()> {
        if listener.phase != Phase::Listening || listener.shut_read || listener.is_dead {
            Err(Errno::ECONNREFUSED)
        } else if listener.is_full() {
            listener.block(self);
            Err(Errno::EAGAIN)
        } else {
            Ok(())
        }
    }

    pub fn connect_datagrams(self: &Arc<Self>, address: &Address, env: &dyn Env) -> Result<()> {
        let peer = match address {
            Address::Unspecified => None,
            _ => {
                let name = Self::check_address(Some(address))?;
                self.name_for_credentials()?;
                let peer = self.find(name, env)?;
                let theirs = peer.state.lock();
                if theirs.peer.is_some() && !theirs.is_peer(self) {
                    return Err(Errno::EPERM);
                }
                drop(theirs);
                Some(peer)
            }
        };
        let old = {
            let mut state = self.state.lock();
            state.phase = match peer {
                Some(_) => Phase::Connected,
                None => Phase::Closed,
            };
            core::mem::replace(&mut state.peer, peer.clone())
        };
        let same = |old: &Arc<Self>| peer.as_ref().is_some_and(|peer| Arc::ptr_eq(peer, old));
        if let Some(old) = old.filter(|old| !same(old)) {
            self.disconnected(&old);
        }
        Ok(())
    }

    pub fn listen(&self, backlog: i32, env: &dyn Env) -> Result<()> {
        if !self.is_connection() {
            return Err(Errno::EOPNOTSUPP);
        }
        if !self.name.is_completed() {
            return Err(Errno::EINVAL);
        }
        let blocked = {
            let mut state = self.state.lock();
            if state.phase == Phase::Connected {
                return Err(Errno::EINVAL);
            }
            state.phase = Phase::Listening;
            state.backlog = usize::try_from(backlog).map_or(MAX_BACKLOG, |n| n.min(MAX_BACKLOG));
            state.peer_credentials = Some(env.credentials());
            state.unblock()
        };
        blocked.tell();
        Ok(())
    }

    pub fn accept(&self) -> Result<Arc<Self>> {
        if !self.is_connection() {
            return Err(Errno::EOPNOTSUPP);
        }
        let (accepted, blocked) = {
            let mut state = self.state.lock();
            if state.phase != Phase::Listening {
                return Err(Errno::EINVAL);
            }
            let Some(accepted) = state.arrivals.pop_front() else {
                return Err(match state.shut_read {
                    true => Errno::EINVAL,
                    false => Errno::EAGAIN,
                });
            };
            (accepted, state.unblock())
        };
        blocked.tell();
        Ok(accepted)
    }
}

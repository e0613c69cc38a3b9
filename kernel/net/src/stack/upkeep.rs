//! Looking after connections: sending, timers, and telling what has become of them.
use super::connection::Owner;
use super::ether::instant;
use super::notice::Notice;
use super::segment;
use super::state::State;
use super::wire::Wire;
use linux_abi::Errno;
use smoltcp::iface::PollResult;
use smoltcp::socket::tcp::State as TcpState;
use vfs::poll;

/// A socket that wants to go on at once without sending anything is looked at again after this.
const STUCK: u64 = 1_000_000;

impl State {
    pub fn look_after(&mut self, id: u64) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let now = self.output.now;
        connection.is_dirty = false;
        let state = connection.state();
        connection.prepare(now);
        self.grower.grow(id, connection, &mut self.output);
        self.send_again(id);
        let is_blocked = !self.send(id);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        // Nothing is due: this winds the clock up for what has just been sent.
        connection.path.check_flight(now);
        if state != TcpState::Closed && connection.state() == TcpState::Closed {
            // smoltcp gave it up: its address is gone. Other reasons were noted where they came up.
            let lost = connection.error.is_none()
                && !connection.has_ended
                && connection.owner != Owner::Nobody
                && !self.output.addresses.is_own(connection.pair.local.0);
            if lost {
                connection.error = Some(Errno::ECONNABORTED);
            }
        }
        if self.bury(id) {
            return;
        }
        self.set_timer(id, is_blocked);
        self.announce(id);
    }

    /// Sends what is lost again, as far as the peer's silence or its acknowledgements tell.
    fn send_again(&mut self, id: u64) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        // What was under way when the peer reset the connection is lost.
        if connection.is_over() {
            return;
        }
        let now = self.output.now;
        let mut next = connection.path.check_flight(now);
        while let Some(part) = next.or_else(|| connection.path.flight.next_lost(now)) {
            segment::send_again(
                &mut self.output,
                &connection.pair,
                &mut connection.path,
                &part,
            );
            next = None;
        }
    }

    /// Lets the socket send what it can. False: the card is full.
    fn send(&mut self, id: u64) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else {
            return true;
        };
        let now = instant(self.output.now);
        loop {
            if !self.output.link.has_room() {
                self.blocked.push(id);
                return false;
            }
            self.output.counters.socket_polls += 1;
            let mut wire = Wire {
                packet: None,
                output: &mut self.output,
                path: Some(&mut connection.path),
            };
            let result = self.ip.poll_egress(now, &mut wire, &mut connection.set);
            if result == PollResult::None {
                return true;
            }
        }
    }

    fn set_timer(&mut self, id: u64, is_blocked: bool) {
        let now = self.output.now;
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let socket = self
            .ip
            .poll_at(instant(now), &connection.set)
            .filter(|_| !is_blocked)
            .map(|at| (at.total_micros().max(0) as u64 * 1000).max(now + STUCK));
        let alarm = connection.alarm().map(|at| at.max(now + STUCK));
        let next = [socket, alarm].into_iter().flatten().min();
        if next == connection.timer {
            return;
        }
        if let Some(at) = connection.timer.take() {
            self.timers.remove(&(at, id));
        }
        if let Some(at) = next {
            self.timers.insert((at, id));
        }
        connection.timer = next;
    }

    /// Removes a connection that nobody holds and that has come to its end.
    fn bury(&mut self, id: u64) -> bool {
        let Some(connection) = self.connections.get(&id) else {
            return true;
        };
        let state = connection.state();
        if connection.owner == Owner::Stream {
            return false;
        }
        match state {
            TcpState::TimeWait if connection.owner == Owner::Nobody => {
                let (pair, path) = (connection.pair, &connection.path);
                self.time_waits
                    .add(pair, path.next, path.acknowledged, self.output.now);
            }
            TcpState::Listen => {}
            TcpState::Closed if connection.is_over() => {}
            _ => return false,
        }
        self.remove_connection(id);
        true
    }

    /// Notes what has become of a connection, for those who wait for it.
    fn announce(&mut self, id: u64) {
        use TcpState::{CloseWait, Closing, Established, FinWait1, FinWait2, LastAck, TimeWait};
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let state = connection.state();
        let mut events = 0;
        if matches!(state, CloseWait | LastAck | Closing | TimeWait) && !connection.has_ended {
            connection.has_ended = true;
            events |= poll::IN | poll::RDNORM | poll::RDHUP;
        }
        if matches!(state, Established | CloseWait | FinWait1 | FinWait2)
            && !connection.is_established
        {
            connection.is_established = true;
            events |= poll::OUT | poll::WRNORM;
        }
        let queued = connection.peek_tcp().recv_queue();
        if queued > connection.announced {
            events |= poll::IN | poll::RDNORM;
        }
        connection.announced = queued;
        if connection.starved && connection.is_writable() {
            connection.starved = false;
            events |= poll::OUT | poll::WRNORM;
        }
        if state == TcpState::Closed || connection.error.is_some() {
            events |= connection.events_now();
        }
        match connection.owner {
            Owner::HalfOpen(listener) if connection.is_established => {
                self.offer(listener, id);
            }
            Owner::Nobody if queued > 0 => {
                // Data that nobody will read: the peer is told, as Linux does.
                connection.abort();
                self.touch(id);
            }
            Owner::Stream if events != 0 => {
                let events = Notice::Events(connection.events.clone(), events);
                self.notices.push(events);
            }
            _ => {}
        }
    }

    fn offer(&mut self, listener: u64, id: u64) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.owner = Owner::Ready(listener);
        if let Some(listener) = self.listeners.get_mut(listener) {
            listener.ended(id);
            listener.offered();
            let acceptor = listener.acceptor.clone();
            let notice = Notice::Offer {
                acceptor,
                listener: listener.id,
                connection: id,
            };
            self.notices.push(notice);
        }
    }

    /// The acceptor has taken a connection, or had no room for it.
    pub fn offered(&mut self, listener: u64, id: u64, taken: bool) {
        if taken {
            return;
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.owner = Owner::Ready(listener);
        }
        match self.listeners.get_mut(listener) {
            Some(listener) => {
                listener.taken();
                listener.waiting.push_back(id);
            }
            None => self.abandon(id),
        }
    }

    /// The program has accepted a connection of a listener.
    pub fn accepted(&mut self, listener: u64) {
        let Some(listener) = self.listeners.get_mut(listener) else {
            return;
        };
        listener.taken();
        let number = listener.id;
        if let Some(id) = listener.waiting.pop_front() {
            self.offer(number, id);
        }
    }

    /// Resets a connection that nobody will have.
    pub fn abandon(&mut self, id: u64) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.owner = Owner::Nobody;
            connection.abort();
            self.touch(id);
        }
    }
}

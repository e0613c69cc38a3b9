//! Options of a connection.
use super::connection::{
    ACK_DELAY, Connection, FIRST_RECEIVE, FIRST_SEND, KeepAlive, LIMIT, SECOND,
};
use crate::uplink::StreamOption;

impl Connection {
    pub fn set_option(&mut self, option: StreamOption) {
        match option {
            StreamOption::NoDelay(on) => {
                self.tcp().set_nagle_enabled(!on);
            }
            StreamOption::Cork(on) => {
                self.cork = on;
                if !on {
                    self.let_go();
                }
            }
            StreamOption::QuickAck(on) => {
                self.tcp().set_ack_delay(Some(ACK_DELAY).filter(|_| !on));
            }
            StreamOption::KeepAlive {
                on,
                idle,
                interval,
                count,
            } => {
                let nanos = |seconds: u32| u64::from(seconds.max(1)) * SECOND;
                self.keep_alive = on.then_some(KeepAlive {
                    idle: nanos(idle),
                    interval: nanos(interval),
                    count,
                });
                if !on {
                    self.tcp().set_keep_alive(None);
                }
            }
            StreamOption::UserTimeout(milliseconds) => {
                self.user_timeout = u64::from(milliseconds) * 1_000_000;
            }
            StreamOption::HopLimit(limit) => {
                self.tcp()
                    .set_hop_limit(Some(limit).filter(|limit| *limit != 0));
            }
            StreamOption::ReceiveBuffer(size) => {
                self.receive_limit = (size as usize).clamp(FIRST_RECEIVE, 4 * LIMIT);
            }
            StreamOption::SendBuffer(size) => {
                self.send_limit = (size as usize).clamp(FIRST_SEND, 4 * LIMIT);
            }
            StreamOption::TrafficClass(class) => self.path.traffic_class = class,
            StreamOption::MaxSegment(size) => self.path.max_segment = size,
        }
    }
}

//! Options of streams as the device takes them.
use crate::uplink::StreamOption;
use alloc::vec::Vec;
use boot_abi::hostnet::{
    OPT_CORK, OPT_HOP_LIMIT, OPT_KEEP_ALIVE, OPT_KEEP_COUNT, OPT_KEEP_IDLE, OPT_KEEP_INTERVAL,
    OPT_MAX_SEGMENT, OPT_NO_DELAY, OPT_QUICK_ACK, OPT_TRAFFIC_CLASS, OPT_USER_TIMEOUT, OPTION_SIZE,
};

fn push(out: &mut Vec<u8>, option: u16, value: u32) {
    let entry = u64::from(option) | u64::from(value) << 32;
    const { assert!(OPTION_SIZE == size_of::<u64>()) };
    out.extend_from_slice(&entry.to_le_bytes());
}

/// The payload that sets `options`. The sizes of buffers are the guest's business.
pub fn encode(options: &[StreamOption]) -> Vec<u8> {
    let mut out = Vec::new();
    for option in options {
        match *option {
            StreamOption::NoDelay(on) => push(&mut out, OPT_NO_DELAY, on.into()),
            StreamOption::Cork(on) => push(&mut out, OPT_CORK, on.into()),
            StreamOption::QuickAck(on) => push(&mut out, OPT_QUICK_ACK, on.into()),
            StreamOption::KeepAlive {
                on,
                idle,
                interval,
                count,
            } => {
                push(&mut out, OPT_KEEP_IDLE, idle);
                push(&mut out, OPT_KEEP_INTERVAL, interval);
                push(&mut out, OPT_KEEP_COUNT, count);
                push(&mut out, OPT_KEEP_ALIVE, on.into());
            }
            StreamOption::UserTimeout(ms) => push(&mut out, OPT_USER_TIMEOUT, ms),
            StreamOption::HopLimit(hops) => push(&mut out, OPT_HOP_LIMIT, hops.into()),
            StreamOption::TrafficClass(class) => push(&mut out, OPT_TRAFFIC_CLASS, class.into()),
            StreamOption::MaxSegment(bytes) => push(&mut out, OPT_MAX_SEGMENT, bytes.into()),
            StreamOption::ReceiveBuffer(_) | StreamOption::SendBuffer(_) => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_option_is_a_number_and_a_value() {
        let all = encode(&[
            StreamOption::NoDelay(true),
            StreamOption::ReceiveBuffer(1),
            StreamOption::UserTimeout(0x0102_0304),
        ]);
        assert_eq!(all, [1, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 4, 3, 2, 1]);
        let keep = encode(&[StreamOption::KeepAlive {
            on: true,
            idle: 7,
            interval: 8,
            count: 9,
        }]);
        let words: Vec<u8> = keep
            .chunks(4)
            .filter_map(|word| word.first().copied())
            .collect();
        assert_eq!(words, [5, 7, 6, 8, 7, 9, 4, 1]);
    }
}

use super::*;
use std::vec::Vec;

const MSS: u32 = 1000;
const RTT: u64 = 20 * MILLISECOND;

fn times() -> Times {
    Times {
        rtt: RTT,
        deviation: MILLISECOND,
    }
}

/// `count` segments are sent at `now`, the first number is `start`.
fn send(flight: &mut Flight, start: u32, count: u32, now: u64) {
    for index in 0..count {
        let bytes: Vec<u8> = (0..MSS).map(|at| (at + index) as u8).collect();
        flight.sends(start.wrapping_add(index * MSS), &bytes, false, start, now);
    }
    assert!(flight.check(times(), true, now).is_none());
}

fn new(start: u32, count: u32) -> Flight {
    let mut flight = Flight {
        congestion: Congestion::new(MSS),
        ..Flight::default()
    };
    send(&mut flight, start, count, 0);
    flight
}

fn hear(flight: &mut Flight, acknowledged: u32, blocks: &[(u32, u32)], now: u64) {
    let report = Report {
        acknowledged,
        blocks,
        is_duplicate: true,
        peer_has_sack: true,
        now,
    };
    flight.heard(&report, times());
}

fn lost(flight: &mut Flight, now: u64) -> Vec<(u32, usize)> {
    core::iter::from_fn(|| flight.next_lost(now))
        .map(|part| (part.start, part.bytes().len()))
        .collect()
}

#[test]
fn what_is_acknowledged_is_forgotten_and_makes_room() {
    // Numbers wrap around.
    let start = u32::MAX - 2500;
    let mut flight = new(start, 10);
    assert_eq!(flight.room(), 0);
    hear(&mut flight, start.wrapping_add(2500), &[], RTT);
    assert_eq!((flight.flying, flight.pieces.len()), (7500, 8));
    assert_eq!(flight.pieces[0].part().bytes()[0], (500 + 2) as u8);
    assert_eq!(flight.room(), 5000);
    hear(&mut flight, start.wrapping_add(10_000), &[], RTT);
    assert!(flight.pieces.is_empty() && flight.alarm().is_none());
}

#[test]
fn gaps_below_three_segments_are_sent_again_once_and_the_window_shrinks_once() {
    let mut flight = new(0, 10);
    hear(&mut flight, 0, &[(1000, 2000)], RTT);
    assert!(lost(&mut flight, RTT).is_empty());
    hear(&mut flight, 0, &[(3000, 4000), (1000, 2000)], RTT);
    hear(&mut flight, 0, &[(3000, 5000), (1000, 2000)], RTT);
    assert_eq!(lost(&mut flight, RTT), [(0, 1000), (2000, 1000)]);
    assert_eq!(flight.congestion.window, 7000);
    hear(&mut flight, 0, &[(3000, 10_000)], RTT);
    assert_eq!(lost(&mut flight, RTT), []);
    // The gap was filled, the other one was not: what is sent later and arrives shows that.
    hear(&mut flight, 2000, &[(3000, 10_000)], 2 * RTT);
    assert_eq!(flight.congestion.window, 7000);
    assert!(flight.congestion.recover.is_some());
    hear(&mut flight, 10_000, &[], 2 * RTT);
    assert!(flight.congestion.recover.is_none());
    assert_eq!((flight.flying, flight.lost, flight.arrived), (0, 0, 0));
}

#[test]
fn part_of_a_large_segment_is_lost() {
    let mut flight = Flight {
        congestion: Congestion::new(MSS),
        ..Flight::default()
    };
    flight.sends(0, &[7; 9500], true, 0, 0);
    hear(&mut flight, 1000, &[(4000, 9501)], RTT);
    assert_eq!(
        lost(&mut flight, RTT),
        [(1000, 1000), (2000, 1000), (3000, 1000)]
    );
    hear(&mut flight, 9501, &[], 2 * RTT);
    assert!(flight.pieces.is_empty());
}

#[test]
fn overtaking_is_learned_and_no_loss() {
    let mut flight = new(0, 10);
    // All but the first come; it is thought lost, and turns up before it could have come again.
    hear(&mut flight, 0, &[(1000, 5000)], RTT);
    assert_eq!(lost(&mut flight, RTT), [(0, 1000)]);
    let at = RTT + 5 * MILLISECOND;
    hear(&mut flight, 5000, &[], at);
    assert_eq!(
        (flight.congestion.window, flight.congestion.recover),
        (15_000, None)
    );
    // The next one may be as late.
    hear(&mut flight, 5000, &[(6000, 10_000)], at);
    assert!(lost(&mut flight, at).is_empty());
    let due = flight.look_at.unwrap();
    assert!(due > at);
    flight.check(times(), true, due);
    assert_eq!(lost(&mut flight, due), [(5000, 1000)]);
}

#[test]
fn silence_brings_a_probe_and_then_everything_again() {
    let mut flight = new(0, 4);
    let at = flight.alarm().unwrap();
    assert_eq!(at, 2 * RTT + PROBE_LEAST);
    assert!(flight.check(times(), true, at - 1).is_none());
    assert_eq!(flight.check(times(), true, at).unwrap().start, 3000);
    let at = flight.alarm().unwrap();
    assert!(flight.check(times(), true, at).is_none());
    assert_eq!(flight.congestion.window, MSS);
    assert_eq!(lost(&mut flight, at), [(0, 1000)]);
    // Answers open the window again, and the rest follows.
    hear(&mut flight, 1000, &[], at + RTT);
    assert_eq!(lost(&mut flight, at + RTT), [(1000, 1000), (2000, 1000)]);
}

#[test]
fn peers_without_selective_acknowledgements_repeat_themselves() {
    let mut flight = new(0, 10);
    let mut report = Report {
        acknowledged: 0,
        blocks: &[],
        is_duplicate: true,
        peer_has_sack: false,
        now: RTT,
    };
    for _ in 0..3 {
        assert!(lost(&mut flight, RTT).is_empty());
        flight.heard(&report, times());
    }
    assert_eq!(lost(&mut flight, RTT), [(0, 1000)]);
    // A part of what was under way: the next one is lost, too.
    (report.acknowledged, report.is_duplicate) = (4000, false);
    flight.heard(&report, times());
    assert_eq!(lost(&mut flight, RTT), [(4000, 1000)]);
}

#[test]
fn what_smoltcp_repeats_by_itself_is_no_news() {
    let mut flight = new(0, 4);
    flight.sends(0, &[0; 5000], false, 0, RTT);
    assert_eq!((flight.flying, flight.pieces.len()), (5000, 5));
    assert_eq!(flight.end(), Some(5000));
}

#[test]
fn nonsense_changes_nothing() {
    let mut flight = new(10_000, 4);
    for blocks in [
        [(0, 20_000)],
        [(11_000, 10_500)],
        [(11_000, 14_001)],
        [(9_000, 11_000)],
    ] {
        hear(&mut flight, 10_000, &blocks, RTT);
        assert_eq!((flight.flying, flight.arrived), (4000, 0));
    }
}

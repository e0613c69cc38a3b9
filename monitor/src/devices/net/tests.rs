//! The card, driven through its queues, with a socket that keeps frames apart in place of the tap.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use virtio_bindings::virtio_mmio::*;
use virtio_bindings::virtio_net::*;

use super::receive::QUEUE as RX;
use super::transmit::QUEUE as TX;
use super::{HEADER, LONGEST_FRAME, Net};
use crate::devices::virtio::driver::{Driver, SIZE, parts, read};
use crate::pcap::Capture;

const MERGE: u64 = 1 << VIRTIO_NET_F_MRG_RXBUF;
const SUMS: u64 = 1 << VIRTIO_NET_F_CSUM;
const SEGMENTS: u64 = 1 << VIRTIO_NET_F_GUEST_TSO4 | 1 << VIRTIO_NET_F_GUEST_CSUM;
const MAC: [u8; 6] = [2, 1, 2, 3, 4, 5];
const WRITE: u16 = 2;

/// The host's end of the pair keeps frames apart, whatever its type says.
fn card(features: u64) -> (Driver<Net>, UnixStream) {
    captured(features, None)
}

fn captured(features: u64, capture: Option<Arc<Capture>>) -> (Driver<Net>, UnixStream) {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let (tap, world) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).unwrap();
    let driver = Driver::new(Net::new(tap, MAC, 1500, capture), features);
    (driver, UnixStream::from(world))
}

fn frame(len: usize) -> Vec<u8> {
    (0..len).map(|i| ((i * 7) >> 3) as u8).collect()
}

fn behind_header(frame: &[u8]) -> Vec<u8> {
    [&[0; HEADER], frame].concat()
}

fn sent(world: &mut UnixStream) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 1 << 17];
    let len = world.read(&mut bytes).ok()?;
    bytes.truncate(len);
    Some(bytes)
}

fn count(driver: &Driver<Net>, name: &str) -> u64 {
    use crate::devices::virtio::Registers;
    let (_, counters) = driver.device.counters();
    counters.iter().find(|(n, _)| *n == name).unwrap().1
}

#[test]
fn the_configuration_tells_the_address_the_link_and_the_mtu() {
    use crate::devices::virtio::Registers;
    let (driver, _world) = card(0);
    let mut config = [0; 12];
    driver.device.read(VIRTIO_MMIO_CONFIG.into(), &mut config);
    assert_eq!(config[..6], MAC);
    assert_eq!(config[6..], [1, 0, 1, 0, 0xdc, 5]);
    assert_eq!(read(&driver.device, VIRTIO_MMIO_DEVICE_ID), 1);
}

#[test]
fn frames_go_out_behind_a_clean_header() {
    let (mut driver, mut world) = card(0);
    let frame = frame(60);
    let mut header = [0xee; HEADER];
    header[..2].fill(0);
    driver.give(TX, &[&header, &frame]);
    driver.give(
        TX,
        &[&header[..5], &header[5..], &frame[..1], &[], &frame[1..]],
    );
    assert!(driver.device.process().again);
    assert!(!driver.device.process().again);
    assert_eq!(driver.returned(TX), [(0, 0), (2, 0)]);
    for _ in 0..2 {
        assert_eq!(sent(&mut world).unwrap(), behind_header(&frame));
    }
    assert_eq!(
        (count(&driver, "tx_packets"), count(&driver, "tx_bytes")),
        (2, 120)
    );
}

#[test]
fn what_must_not_go_out_is_dropped_and_counted() {
    let (mut driver, mut world) = card(SUMS);
    let sums = [1, 0, 0, 0, 0, 0, 200, 0, 0, 0, 0, 0];
    driver.give(TX, &[&[0; HEADER], &frame(13)]);
    driver.give(TX, &[&sums, &frame(60)]);
    driver.give(TX, &[&[0; HEADER], &frame(LONGEST_FRAME + 1)]);
    driver.device.process();
    assert_eq!(driver.returned(TX).len(), 3);
    assert_eq!(count(&driver, "tx_dropped"), 3);
    assert_eq!(sent(&mut world), None);
    driver.give(TX, &[&sums, &frame(300)]);
    driver.device.process();
    assert_eq!(sent(&mut world).unwrap()[..HEADER], sums);
}

#[test]
fn frames_without_a_header_stop_the_card() {
    for pieces in [&[&[0; HEADER - 1][..]][..], &[&[][..]], &[&[0; 4], &[0; 4]]] {
        let (mut driver, _world) = card(0);
        driver.give(TX, pieces);
        driver.device.process();
        assert!(!driver.device.is_running());
    }
}

#[test]
fn a_full_tap_holds_frames_back_in_order() {
    let (mut driver, mut world) = card(0);
    let long = frame(60_000);
    let mut given = 0u8;
    while count(&driver, "tx_packets") == u64::from(given) {
        given += 1;
        driver.give(TX, &[&[0; HEADER], &long, &[given]]);
        driver.device.process();
        assert!(given < 16, "the socket takes everything");
    }
    assert_eq!(driver.returned(TX).len(), usize::from(given) - 1);
    driver.device.with_device(|net| net.resting = true);
    assert!(!driver.device.process().again, "it would spin");
    for expected in 1..=given {
        assert_eq!(sent(&mut world).unwrap().last(), Some(&expected));
        driver.device.process();
    }
    assert_eq!(driver.returned(TX).len(), 1);
}

#[test]
fn a_frame_comes_in_with_the_number_of_its_buffers() {
    for features in [0, MERGE] {
        let (mut driver, mut world) = card(features);
        let at = driver.lend(RX, 2048);
        driver.lend(RX, 2048);
        let frame = frame(1000);
        world.write_all(&behind_header(&frame)).unwrap();
        assert!(driver.device.process().again);
        assert_eq!(driver.returned(RX), [(0, 1012)]);
        let got = driver.bytes(at, 1012);
        assert_eq!(got[..HEADER], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
        assert_eq!(got[HEADER..], frame);
        assert_eq!(
            (count(&driver, "rx_packets"), count(&driver, "rx_bytes")),
            (1, 1000)
        );
    }
}

#[test]
fn a_long_frame_is_spread_over_buffers() {
    let (mut driver, mut world) = card(MERGE | SEGMENTS);
    let buffers: Vec<_> = (0..10).map(|_| driver.lend(RX, 1000)).collect();
    let frame = frame(2500);
    world.write_all(&behind_header(&frame)).unwrap();
    driver.device.process();
    assert_eq!(driver.returned(RX), [(0, 1000), (1, 1000), (2, 512)]);
    let all: Vec<u8> = [(0, 1000), (1, 1000), (2, 512)]
        .iter()
        .flat_map(|(i, len)| driver.bytes(buffers[*i], *len))
        .collect();
    assert_eq!(all[10..12], [3, 0]);
    assert_eq!(all[HEADER..], frame);
    // The next one begins in the next buffer.
    world.write_all(&behind_header(&frame[..100])).unwrap();
    driver.device.process();
    assert_eq!(driver.returned(RX), [(3, 112)]);
}

#[test]
fn a_frame_that_does_not_fit_waits_for_buffers() {
    let (mut driver, mut world) = card(MERGE | SEGMENTS);
    let first = driver.lend(RX, 1000);
    let frame = frame(2500);
    world.write_all(&behind_header(&frame)).unwrap();
    world.write_all(&behind_header(&frame[..60])).unwrap();
    driver.device.process();
    let second = driver.lend(RX, 1000);
    driver.device.process();
    assert_eq!(driver.returned(RX), []);
    driver.device.with_device(|net| net.resting = true);
    assert!(!driver.device.process().again);
    let third = driver.lend(RX, 1000);
    driver.lend(RX, 1000);
    driver.device.process();
    assert_eq!(
        driver.returned(RX),
        [(0, 1000), (1, 1000), (2, 512), (3, 72)]
    );
    let all = [
        driver.bytes(first, 1000),
        driver.bytes(second, 1000),
        driver.bytes(third, 512),
    ];
    let all = all.concat();
    assert_eq!((&all[10..12], &all[HEADER..]), (&[3, 0][..], &frame[..]));
}

#[test]
fn a_header_may_be_split_over_tiny_descriptors() {
    let (mut driver, mut world) = card(MERGE);
    let at = 0x20_0000;
    driver.add(
        RX,
        &[
            (at, 11, WRITE),
            (at + 100, 0, WRITE),
            (at + 200, 2000, WRITE),
        ],
    );
    world.write_all(&behind_header(&[9; 60])).unwrap();
    driver.device.process();
    assert_eq!(driver.returned(RX), [(0, 72)]);
    assert_eq!(
        (driver.bytes(at + 10, 1), driver.bytes(at + 200, 2)),
        (vec![1], vec![0, 9])
    );
}

#[test]
fn without_merging_a_frame_that_is_too_long_is_dropped() {
    let (mut driver, mut world) = card(0);
    driver.lend(RX, 200);
    driver.lend(RX, 200);
    world.write_all(&behind_header(&[1; 189])).unwrap();
    world.write_all(&[0; HEADER]).unwrap();
    world.write_all(&behind_header(&[2; 188])).unwrap();
    driver.device.process();
    assert_eq!(driver.returned(RX), [(0, 200)]);
    assert_eq!(
        (count(&driver, "rx_dropped"), count(&driver, "rx_packets")),
        (2, 1)
    );
}

#[test]
fn useless_receive_buffers_stop_the_card() {
    let cases: [&[(u64, u32, u16)]; 4] = [
        &[(0x20_0000, HEADER as u32 - 1, WRITE)],
        &[(0x20_0000, 2000, 0)],
        &[(u64::MAX - 8, 2000, WRITE)],
        &[(0x20_0000, u32::MAX, WRITE)],
    ];
    for buffers in cases {
        let (mut driver, mut world) = card(MERGE);
        driver.add(RX, buffers);
        world.write_all(&behind_header(&[0; 60])).unwrap();
        driver.device.process();
        assert!(!driver.device.is_running(), "{buffers:?}");
        let mut nothing = vec![0; 1 << 16];
        assert!(world.read(&mut nothing).is_err());
    }
}

#[test]
fn broken_rings_stop_the_card_until_it_is_reset() {
    let (mut driver, mut world) = card(MERGE);
    driver.lend(RX, 2048);
    driver.device.process();
    driver.set_avail_index(TX, 1000);
    driver.device.process();
    assert!(!driver.device.is_running());
    // After the reset nothing of the old buffers is used.
    for queue in [RX, TX] {
        driver.set_avail_index(queue, 0);
    }
    driver.start(MERGE);
    world.write_all(&behind_header(&[0; 60])).unwrap();
    driver.device.process();
    assert!(driver.device.is_running() && driver.returned(RX).is_empty());
}

#[test]
fn heads_out_of_range_stop_the_card() {
    use vm_memory::{Bytes, GuestAddress};
    for queue in [RX, TX] {
        let (driver, mut world) = card(MERGE);
        let avail = parts(queue)[1];
        driver
            .memory
            .write_obj(SIZE, GuestAddress(avail + 4))
            .unwrap();
        driver.set_avail_index(queue, 1);
        world.write_all(&behind_header(&[0; 60])).unwrap();
        driver.device.process();
        assert!(!driver.device.is_running());
    }
}

#[test]
fn the_doorbell_is_wanted_only_when_the_thread_rests() {
    use vm_memory::{Bytes, GuestAddress};
    let (mut driver, _world) = card(0);
    let silent = |driver: &Driver<Net>, queue: usize| -> bool {
        let flags: u16 = driver
            .memory
            .read_obj(GuestAddress(parts(queue)[2]))
            .unwrap();
        flags & 1 != 0
    };
    driver.device.process();
    assert!(silent(&driver, TX) && silent(&driver, RX));
    driver.device.with_device(|net| net.resting = true);
    driver.device.process();
    assert!(
        !silent(&driver, TX) && !silent(&driver, RX),
        "it has no buffers"
    );
    driver.lend(RX, 2048);
    driver.device.process();
    driver.device.with_device(|net| net.resting = true);
    driver.device.process();
    assert!(
        !silent(&driver, TX) && silent(&driver, RX),
        "it has buffers"
    );
}

#[test]
fn a_driver_that_wants_no_interrupt_gets_none() {
    use vm_memory::{Bytes, GuestAddress};
    let (mut driver, _world) = card(0);
    let flags = GuestAddress(parts(TX)[1]);
    driver.memory.write_obj(1u16, flags).unwrap();
    driver.give(TX, &[&[0; HEADER], &frame(60)]);
    driver.device.process();
    assert_eq!(read(&driver.device, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
    driver.memory.write_obj(0u16, flags).unwrap();
    driver.give(TX, &[&[0; HEADER], &frame(60)]);
    driver.device.process();
    assert_eq!(
        read(&driver.device, VIRTIO_MMIO_INTERRUPT_STATUS),
        VIRTIO_MMIO_INT_VRING
    );
}

#[test]
fn a_tap_that_disappears_takes_the_link_down() {
    use crate::devices::virtio::Registers;
    let (mut driver, world) = card(MERGE);
    driver.lend(RX, 2048);
    drop(world);
    driver.device.process();
    let mut status = [0; 2];
    driver
        .device
        .read(u64::from(VIRTIO_MMIO_CONFIG) + 6, &mut status);
    assert_eq!(status, [0, 0]);
    let reasons = read(&driver.device, VIRTIO_MMIO_INTERRUPT_STATUS);
    assert_eq!(reasons & VIRTIO_MMIO_INT_CONFIG, VIRTIO_MMIO_INT_CONFIG);
    assert!(!driver.device.process().again && driver.device.is_running());
}

#[test]
fn a_capture_has_the_frames_of_both_directions() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pcap");
    let capture = Arc::new(Capture::create(&path).unwrap());
    let (mut driver, mut world) = captured(MERGE, Some(capture));
    for _ in 0..4 {
        driver.lend(RX, 100);
    }
    let (out, back) = (frame(60), frame(150));
    driver.give(TX, &[&[0; HEADER], &out]);
    world.write_all(&behind_header(&back)).unwrap();
    driver.device.process();
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(bytes.len(), 24 + 16 + out.len() + 16 + back.len());
    assert_eq!(bytes[40..100], out);
    assert!(bytes.ends_with(&back));
}

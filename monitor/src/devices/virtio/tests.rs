//! The transport, driven through its registers with a device that does nothing.

use std::sync::Arc;

use boot_abi::virtio::QUEUE_TABLE;
use virtio_bindings::virtio_mmio::*;
use vm_memory::{Bytes, GuestAddress};

use super::driver::{Driver, memory, read, write};
use super::{Device, DeviceError, Registers, Rings, Transport};
use crate::memory::GuestMemory;

struct Idle {
    resets: u32,
}

impl Device for Idle {
    type Wants = bool;
    const ID: u32 = 42;
    const QUEUES: &'static [u16] = &[16, 64];

    fn features(&self) -> u64 {
        1 << 5
    }

    fn config(&self) -> &[u8] {
        &[1, 2, 3, 4, 5]
    }

    fn reset(&mut self) {
        self.resets += 1;
    }

    fn process(&mut self, rings: &mut Rings<'_>) -> Result<bool, DeviceError> {
        while let Some(chain) = rings.pop(0)? {
            rings.put(0, chain.head, 0)?;
        }
        Ok(true)
    }
}

fn idle() -> Transport<Idle> {
    Transport::new(Idle { resets: 0 }, memory()).unwrap()
}

#[test]
fn the_identity_registers_follow_the_specification() {
    let device = idle();
    assert_eq!(
        read(&device, VIRTIO_MMIO_MAGIC_VALUE),
        u32::from_le_bytes(*b"virt")
    );
    assert_eq!(read(&device, VIRTIO_MMIO_VERSION), 2);
    assert_eq!(read(&device, VIRTIO_MMIO_DEVICE_ID), 42);
    write(&device, VIRTIO_MMIO_QUEUE_SEL, 1);
    assert_eq!(read(&device, VIRTIO_MMIO_QUEUE_NUM_MAX), 64);
    write(&device, VIRTIO_MMIO_QUEUE_SEL, 2);
    assert_eq!(read(&device, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
}

#[test]
fn the_configuration_is_read_in_any_width_and_not_past_its_end() {
    let device = idle();
    let config = |at: u32, len| {
        let mut out = vec![0xff; len];
        device.read(u64::from(VIRTIO_MMIO_CONFIG + at), &mut out);
        out
    };
    assert_eq!(config(0, 1), [1]);
    assert_eq!(config(1, 2), [2, 3]);
    assert_eq!(config(2, 4), [3, 4, 5, 0]);
    assert_eq!(config(5, 8), [0; 8]);
    assert_eq!(config(0xff, 1), [0]);
}

#[test]
fn features_that_were_not_offered_are_refused() {
    let device = idle();
    for (low, high, fine) in [
        (1 << 5, 1, true),
        (1 << 6, 1, false),
        (0, 0, false),
        (0, 3, false),
    ] {
        write(&device, VIRTIO_MMIO_STATUS, 0);
        for (half, value) in [(0, low), (1, high), (2, u32::MAX)] {
            write(&device, VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
            write(&device, VIRTIO_MMIO_DRIVER_FEATURES, value);
        }
        write(&device, VIRTIO_MMIO_STATUS, 8 | 3);
        assert_eq!(
            read(&device, VIRTIO_MMIO_STATUS) & 8 != 0,
            fine,
            "{low:#x} {high:#x}"
        );
    }
}

#[test]
fn a_running_device_serves_its_queue_and_interrupts() {
    let mut driver = Driver::new(Idle { resets: 0 }, 0);
    let head = driver.give(0, &[b"x"]);
    assert!(driver.device.process());
    assert_eq!(driver.returned(0), [(head.into(), 0)]);
    assert_eq!(
        read(&driver.device, VIRTIO_MMIO_INTERRUPT_STATUS),
        VIRTIO_MMIO_INT_VRING
    );
    write(
        &driver.device,
        VIRTIO_MMIO_INTERRUPT_ACK,
        VIRTIO_MMIO_INT_VRING,
    );
    assert_eq!(read(&driver.device, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}

#[test]
fn what_is_given_back_together_comes_before_anything_else_and_at_the_end() {
    let mut driver = Driver::new(Idle { resets: 0 }, 0);
    let device = Arc::clone(&driver.device);
    let [a, b, c] = [b"a", b"b", b"c"].map(|byte| u32::from(driver.give(0, &[byte])));
    let other = driver.give(1, &[b"d"]).into();
    device.serve(|_, rings| {
        rings.put_soon(0, a as u16, 1)?;
        rings.put_soon(0, b as u16, 2)?;
        assert_eq!(driver.returned(0), []);
        rings.put(1, other as u16, 3)?;
        assert_eq!(driver.returned(0), [(a, 1), (b, 2)]);
        rings.put_soon(0, c as u16, 4)
    });
    assert_eq!(driver.returned(0), [(c, 4)]);
    assert_eq!(driver.returned(1), [(other, 3)]);
    assert_eq!(
        read(&driver.device, VIRTIO_MMIO_INTERRUPT_STATUS),
        VIRTIO_MMIO_INT_VRING
    );
}

#[test]
fn queues_of_a_running_device_do_not_move() {
    let driver = Driver::new(Idle { resets: 0 }, 0);
    write(&driver.device, VIRTIO_MMIO_QUEUE_SEL, 0);
    write(&driver.device, VIRTIO_MMIO_QUEUE_READY, 0);
    assert_eq!(read(&driver.device, VIRTIO_MMIO_QUEUE_READY), 1);
    write(&driver.device, VIRTIO_MMIO_QUEUE_DESC_HIGH, u32::MAX);
    assert!(driver.device.process());
}

#[test]
fn a_queue_outside_memory_stops_the_device() {
    let driver = Driver::new(Idle { resets: 0 }, 0);
    let device = Arc::clone(&driver.device);
    write(&device, VIRTIO_MMIO_STATUS, 0);
    assert!(!device.process());
    for queue in 0..2 {
        write(&device, VIRTIO_MMIO_QUEUE_SEL, queue);
        write(&device, VIRTIO_MMIO_QUEUE_USED_HIGH, 7);
        write(&device, VIRTIO_MMIO_QUEUE_READY, 1);
    }
    write(&device, VIRTIO_MMIO_STATUS, 15);
    assert_eq!(read(&device, VIRTIO_MMIO_STATUS) & 64, 64);
    assert!(!device.process());
    driver.start(0);
    assert!(device.process());
    assert_eq!(device.with_device(|d| d.resets), 3);
}

#[test]
fn nonsense_in_the_rings_stops_the_device_but_nothing_else() {
    // An index further ahead than the queue is long.
    let driver = Driver::new(Idle { resets: 0 }, 0);
    driver.set_avail_index(0, 1000);
    assert!(!driver.device.process());
    assert_eq!(read(&driver.device, VIRTIO_MMIO_STATUS) & 64, 64);
    assert_eq!(
        read(&driver.device, VIRTIO_MMIO_INTERRUPT_STATUS) & VIRTIO_MMIO_INT_CONFIG,
        VIRTIO_MMIO_INT_CONFIG
    );
    // Chains that loop or point outside end early; heads out of range are refused.
    let mut driver = Driver::new(Idle { resets: 0 }, 0);
    driver.add(0, &[(u64::MAX, u32::MAX, 1), (0, 0, 1)]);
    driver.device.process();
}

#[test]
fn accesses_of_odd_width_or_place_are_harmless() {
    let driver = Driver::new(Idle { resets: 0 }, 0);
    for offset in (0..0x220).step_by(3) {
        for len in [1, 2, 3, 4, 8] {
            let mut data = vec![0xff; len];
            driver.device.read(offset, &mut data);
            if offset != u64::from(VIRTIO_MMIO_STATUS) {
                driver.device.write(offset, &vec![0xff; len]);
            }
        }
    }
    assert!(driver.device.is_running());
}

/// Writes a table of queues and has the device read it.
fn hand_over(device: &Transport<Idle>, memory: &GuestMemory, words: &[u64]) {
    let at = 0x8000;
    for (i, word) in words.iter().enumerate() {
        memory
            .write_obj(*word, GuestAddress(at + 8 * i as u64))
            .unwrap();
    }
    write(device, QUEUE_TABLE, at as u32);
}

fn with_memory() -> (Transport<Idle>, Arc<GuestMemory>) {
    let memory = memory();
    let device = Transport::new(Idle { resets: 0 }, Arc::clone(&memory)).unwrap();
    write(&device, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
    write(&device, VIRTIO_MMIO_DRIVER_FEATURES, 1);
    write(&device, VIRTIO_MMIO_STATUS, 11);
    (device, memory)
}

#[test]
fn a_table_sets_up_several_queues_at_once() {
    let (device, memory) = with_memory();
    hand_over(
        &device,
        &memory,
        &[
            2, 0, 16, 0x1000, 0x2000, 0x3000, 1, 32, 0x4000, 0x5000, 0x6000,
        ],
    );
    for queue in 0..2 {
        write(&device, VIRTIO_MMIO_QUEUE_SEL, queue);
        assert_eq!(read(&device, VIRTIO_MMIO_QUEUE_READY), 1);
    }
    write(&device, VIRTIO_MMIO_STATUS, 15);
    assert_eq!(read(&device, VIRTIO_MMIO_STATUS), 15);
    // What the first queue's driver ring offers comes back in its device ring.
    memory.write_obj(1u16, GuestAddress(0x2002)).unwrap();
    assert!(device.process());
    assert_eq!(memory.read_obj::<u16>(GuestAddress(0x3002)).unwrap(), 1);
}

#[test]
fn a_table_that_cannot_be_is_refused() {
    const NEEDS_RESET: u32 = 64;
    for (words, why) in [
        (&[17][..], "too many queues"),
        (&[1, 2, 16, 0x1000, 0x2000, 0x3000], "no such queue"),
        (
            &[1, 0, 32, 0x1000, 0x2000, 0x3000],
            "larger than the device's",
        ),
        (&[1, 0, 3, 0x1000, 0x2000, 0x3000], "no power of two"),
        (&[1, 0, 1 << 32, 0x1000, 0x2000, 0x3000], "no 16 bits"),
    ] {
        let (device, memory) = with_memory();
        hand_over(&device, &memory, words);
        assert_eq!(
            read(&device, VIRTIO_MMIO_STATUS) & NEEDS_RESET,
            NEEDS_RESET,
            "{why}"
        );
    }
    let (device, _) = with_memory();
    write(&device, QUEUE_TABLE, u32::MAX - 7);
    assert_eq!(read(&device, VIRTIO_MMIO_STATUS) & NEEDS_RESET, NEEDS_RESET);
}

#[test]
fn a_table_moves_no_queue_in_use() {
    let driver = Driver::new(Idle { resets: 0 }, 0);
    hand_over(&driver.device, &driver.memory, &[17]);
    assert_eq!(read(&driver.device, VIRTIO_MMIO_STATUS), 15);
}

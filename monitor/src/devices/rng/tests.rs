use super::Rng;
use crate::devices::virtio::driver::Driver;

#[test]
fn buffers_come_back_full_and_different() {
    let mut driver = Driver::new(Rng, 0);
    let (a, b) = (driver.lend(0, 64), driver.lend(0, 64));
    driver.device.process();
    assert_eq!(driver.returned(0), [(0, 64), (1, 64)]);
    assert_ne!(driver.bytes(a, 64), driver.bytes(b, 64));
    assert_ne!(driver.bytes(a, 64), [0; 64]);
}

#[test]
fn a_huge_buffer_is_filled_in_part() {
    let mut driver = Driver::new(Rng, 0);
    driver.lend(0, 1 << 20);
    driver.device.process();
    assert_eq!(driver.returned(0), [(0, 16 << 10)]);
}

#[test]
fn buffers_that_cannot_be_filled_are_harmless() {
    let mut driver = Driver::new(Rng, 0);
    driver.give(0, &[b"read only"]);
    driver.device.process();
    assert_eq!(driver.returned(0), [(0, 0)]);
    driver.add(0, &[(u64::MAX - 8, 64, 2)]);
    driver.device.process();
    assert!(!driver.device.is_running());
}

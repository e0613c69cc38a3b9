use super::*;
use crate::memory::GuestMemory;
use vm_memory::GuestAddress;

/// A bus for a machine of a second CPU, which waits to be started.
pub fn bus(idle: Option<Arc<Turns>>) -> Bus {
    let memory = GuestMemory::from_ranges(&[(GuestAddress(0), 1 << 16)]).unwrap();
    Bus {
        windows: Vec::new(),
        stats: Arc::new(Stats::new()),
        debug: DebugPort::default(),
        trace: Arc::new(Trace::new(&Arc::new(memory)).unwrap()),
        input: None,
        idle,
        starts: vec![Arc::default()],
    }
}

fn write(bus: &Bus, port: u16, value: u32) -> Written {
    bus.port_write(0, port, &value.to_le_bytes())
}

#[test]
fn the_kernel_ends_the_machine() {
    let bus = bus(None);
    for status in [0, 1, 255] {
        let ended = write(&bus, EXIT_PORT, EXIT_TAG | u32::from(status));
        assert_eq!(ended, Written::Ends(Outcome::Exited(status)));
    }
    let ended = write(&bus, EXIT_PORT, EXIT_TAG | EXIT_PANIC);
    assert_eq!(ended, Written::Ends(Outcome::KernelPanic));
}

#[test]
fn nobody_else_does() {
    let bus = bus(None);
    for value in [0, 1, EXIT_PANIC, EXIT_TAG >> 1, EXIT_TAG | 0x101, u32::MAX] {
        assert_eq!(write(&bus, EXIT_PORT, value), Written::Refused, "{value:x}");
    }
}

#[test]
fn only_a_write_of_one_word_counts() {
    let bus = bus(None);
    let value = EXIT_TAG.to_le_bytes().repeat(2);
    let ports = [
        EXIT_PORT,
        IDLE_PORT,
        CPU_PORT,
        boot_abi::input::PORT,
        boot_abi::trace::PORT,
    ];
    for port in ports {
        for width in [0, 1, 2, 3, 5, 8] {
            let written = bus.port_write(0, port, &value[..width]);
            assert_eq!(written, Written::Refused, "{width} bytes to {port:#x}");
        }
    }
}

#[test]
fn a_cpu_is_started_once() {
    let bus = bus(None);
    for other in [0x1000, 0x1002, 0x1000 | CPU_PORT_NUMBER, u32::MAX] {
        assert_eq!(write(&bus, CPU_PORT, other), Written::Refused, "{other:x}");
    }
    assert_eq!(write(&bus, CPU_PORT, 0x1001), Written::Done);
    assert_eq!(write(&bus, CPU_PORT, 0x2001), Written::Refused);
}

#[test]
fn what_the_machine_does_not_have_is_refused() {
    let bus = bus(None);
    for value in [0, 1, IDLE_TAG, IDLE_RING, u32::MAX] {
        for port in [IDLE_PORT, boot_abi::input::PORT, boot_abi::trace::PORT] {
            assert_eq!(write(&bus, port, value), Written::Refused, "{port:#x}");
        }
    }
}

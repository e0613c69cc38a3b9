//! Guest-physical addresses.

pub const PAGE: u64 = 4096;
pub const HUGE_PAGE: u64 = 2 << 20;

/// The first megabyte belongs to what the monitor passes to the kernel; images start above it.
pub const BOOT_END: u64 = 1 << 20;
pub const START_INFO: u64 = 0x6000;
pub const MODULE_LIST: u64 = 0x6100;
pub const MEMORY_MAP: u64 = 0x6200;
pub const COMMAND_LINE: u64 = 0x7000;
pub const COMMAND_LINE_MAX: usize = 0x1000;
pub const CONFIG: u64 = 0x10000;
/// A longer configuration goes to the end of low memory.
pub const CONFIG_MAX: u64 = 512 << 10;

/// RAM lies below this address and from [`HIGH_RAM`] on; device registers between.
pub const LOW_RAM_MAX: u64 = 3 << 30;
pub const HIGH_RAM: u64 = 4 << 30;

/// Register windows of the virtio devices, one after the other, and their first interrupt line.
pub const VIRTIO_MMIO: u64 = 0xfeb0_0000;
pub const VIRTIO_MMIO_SIZE: u64 = 0x200;
pub const VIRTIO_FIRST_IRQ: u32 = 5;

/// Registered and taken away again, see [`crate::settle`]. Behind all devices.
pub const SPARE_DOORBELL: u64 = VIRTIO_MMIO + 0xf_0000;

/// Three pages that KVM on VT-x wants for itself.
pub const KVM_TSS: usize = 0xfffb_d000;

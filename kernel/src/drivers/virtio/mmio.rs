//! The virtio-mmio transport (version 2), with as few register accesses as the specification allows: each is an exit.
#![allow(unsafe_code)]

use crate::mm::layout::{phys_to_virt, virt_to_phys};
use alloc::vec::Vec;
use boot_abi::virtio::{DESCRIPTORS, DEVICE, DRIVER, QUEUE, QUEUE_TABLE, QUEUES_MAX, SIZE, WORDS};
use core::fmt::Debug;
use core::ops::BitAnd;
use core::sync::atomic::{AtomicBool, Ordering, fence};
use linux_abi::zerocopy::{FromBytes, Immutable, IntoBytes};
use spin::Mutex;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{Error, PhysAddr, Result};

const MAGIC: u64 = 0x000;
const VERSION: u64 = 0x004;
const DEVICE_ID: u64 = 0x008;
const DEVICE_FEATURES: u64 = 0x010;
const DEVICE_FEATURES_SEL: u64 = 0x014;
const DRIVER_FEATURES: u64 = 0x020;
const DRIVER_FEATURES_SEL: u64 = 0x024;
const QUEUE_SEL: u64 = 0x030;
const QUEUE_NUM_MAX: u64 = 0x034;
const QUEUE_NUM: u64 = 0x038;
const QUEUE_READY: u64 = 0x044;
const QUEUE_NOTIFY: u64 = 0x050;
const INTERRUPT_STATUS: u64 = 0x060;
const INTERRUPT_ACK: u64 = 0x064;
const STATUS: u64 = 0x070;
const QUEUE_DESC: u64 = 0x080;
const QUEUE_DRIVER: u64 = 0x090;
const QUEUE_DEVICE: u64 = 0x0a0;
const CONFIG_GENERATION: u64 = 0x0fc;
const CONFIG: u64 = 0x100;

const MAGIC_VALUE: u32 = 0x7472_6976;
const MODERN: u32 = 2;
/// `VIRTIO_F_VERSION_1`
const VERSION_1: u64 = 1 << 32;

/// Where the kernel maps device registers; see `mm::kernel_space`.
const REGISTERS: core::ops::Range<u64> = 0xfea0_0000..0x1_0000_0000;

/// The devices take queues by a table; see `boot_abi::virtio`.
static BY_TABLE: AtomicBool = AtomicBool::new(false);

/// Queues for a device, as it reads them: how many, and the words of each. In the kernel's own memory, which lies below 4 GiB.
static TABLE: Mutex<Table> = Mutex::new(Table {
    count: 0,
    queues: [[0; WORDS]; QUEUES_MAX],
});

#[repr(C)]
struct Table {
    count: u64,
    queues: [[u64; WORDS]; QUEUES_MAX],
}

/// Reads off the command line whether the devices take queues by a table.
pub fn init(cmdline: &str) {
    let offered = crate::boot::option(cmdline, boot_abi::KEY_QUEUE_TABLE).is_some();
    BY_TABLE.store(offered, Ordering::Relaxed);
}

fn by_table() -> bool {
    BY_TABLE.load(Ordering::Relaxed)
}

/// What the command line says about a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    pub address: u64,
    pub size: u64,
    pub gsi: u8,
}

/// A device's QueueNotify register.
#[derive(Clone, Copy)]
pub struct Doorbell {
    address: u64,
}

impl Doorbell {
    /// Tells the device that a queue has new buffers.
    pub fn ring(self, queue: u16) {
        // SAFETY: a register of a window that is mapped uncached, checked in `Mmio::open`.
        unsafe { (self.address as *mut u32).write_volatile(queue.into()) };
    }
}

/// One device's register window.
pub struct Mmio {
    base: u64,
    size: u64,
    /// The device's type; 0 where there is none.
    id: u32,
    /// The queue that QueueSel holds, so that it is not written twice.
    selected: Option<u16>,
    /// Queues that it is to be told of.
    queues: Vec<[u64; WORDS]>,
}

impl Mmio {
    /// Looks at the window.
    pub fn open(location: &Location) -> core::result::Result<Self, &'static str> {
        let end = location
            .address
            .checked_add(location.size)
            .ok_or("its address is out of range")?;
        if location.address < REGISTERS.start
            || end > REGISTERS.end
            || location.size < CONFIG
            || !location.address.is_multiple_of(4)
        {
            return Err("its address is out of range");
        }
        let (base, size) = (phys_to_virt(location.address), location.size);
        let mut mmio = Self {
            base,
            size,
            id: 0,
            selected: None,
            queues: Vec::new(),
        };
        if !by_table() && mmio.read(MAGIC) != MAGIC_VALUE {
            return Err("no virtio device is there");
        }
        mmio.id = mmio.read(DEVICE_ID);
        Ok(mmio)
    }

    /// Whether it speaks the interface of virtio 1; asked of devices that are used.
    pub fn is_modern(&self) -> bool {
        by_table() || self.read(VERSION) == MODERN
    }

    /// The number of its type.
    pub fn id(&self) -> u32 {
        self.id
    }

    fn read(&self, register: u64) -> u32 {
        // SAFETY: inside a register window that is mapped uncached, checked in `open`.
        unsafe { ((self.base + register) as *const u32).read_volatile() }
    }

    fn write(&self, register: u64, value: u32) {
        // SAFETY: as for `read`. What the device does to memory is bounded by the queues that it was given.
        unsafe { ((self.base + register) as *mut u32).write_volatile(value) };
    }

    pub fn doorbell(&self) -> Doorbell {
        Doorbell {
            address: self.base + QUEUE_NOTIFY,
        }
    }

    /// Ends an interrupt, whatever it was for: asking would be one more access.
    pub fn acknowledge(&self) {
        self.write(INTERRUPT_ACK, 3);
    }

    fn select(&mut self, queue: u16) {
        if self.selected != Some(queue) {
            self.write(QUEUE_SEL, queue.into());
            self.selected = Some(queue);
        }
    }

    /// Tells the device of its queues.
    fn hand_over_queues(&mut self) {
        let mut table = TABLE.lock();
        for queues in self.queues.chunks(QUEUES_MAX) {
            table.count = queues.len() as u64;
            for (to, from) in table.queues.iter_mut().zip(queues) {
                *to = *from;
            }
            let at = virt_to_phys(&raw const *table as u64);
            // The device reads what was written before this.
            fence(Ordering::SeqCst);
            self.write(QUEUE_TABLE.into(), at as u32);
        }
        self.queues.clear();
    }

    /// Upper halves are 0 from reset.
    fn write_address(&self, register: u64, address: u64) {
        self.write(register, address as u32);
        if address >> 32 != 0 {
            self.write(register + 4, (address >> 32) as u32);
        }
    }
}

impl Transport for Mmio {
    fn device_type(&self) -> DeviceType {
        // The crate asks only where it looks for one of its own drivers, which are for types that it knows.
        DeviceType::try_from(self.id).unwrap_or(DeviceType::IoMemory)
    }

    fn read_device_features(&mut self) -> u64 {
        if !by_table() {
            self.write(DEVICE_FEATURES_SEL, 0);
        }
        // Version 2 of the transport implies VIRTIO_F_VERSION_1; no driver here uses another feature of the upper half.
        u64::from(self.read(DEVICE_FEATURES)) | VERSION_1
    }

    fn write_driver_features(&mut self, features: u64) {
        for half in 0..2 {
            if half != 0 || !by_table() {
                self.write(DRIVER_FEATURES_SEL, half);
            }
            self.write(DRIVER_FEATURES, (features >> (32 * half)) as u32);
        }
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        if by_table() {
            // Of its own accord it refuses what is too large.
            return u32::MAX;
        }
        self.select(queue);
        self.read(QUEUE_NUM_MAX)
    }

    fn notify(&mut self, queue: u16) {
        self.doorbell().ring(queue);
    }

    fn get_status(&self) -> DeviceStatus {
        DeviceStatus::from_bits_truncate(self.read(STATUS))
    }

    fn set_status(&mut self, status: DeviceStatus) {
        self.write(STATUS, status.bits());
    }

    fn set_guest_page_size(&mut self, _size: u32) {}

    fn requires_legacy_layout(&self) -> bool {
        false
    }

    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        descriptors: PhysAddr,
        driver: PhysAddr,
        device: PhysAddr,
    ) {
        if by_table() {
            let mut words = [0; WORDS];
            (words[QUEUE], words[SIZE]) = (queue.into(), size.into());
            (words[DESCRIPTORS], words[DRIVER], words[DEVICE]) = (descriptors, driver, device);
            return self.queues.push(words);
        }
        self.select(queue);
        self.write(QUEUE_NUM, size);
        self.write_address(QUEUE_DESC, descriptors);
        self.write_address(QUEUE_DRIVER, driver);
        self.write_address(QUEUE_DEVICE, device);
        self.write(QUEUE_READY, 1);
    }

    fn queue_unset(&mut self, queue: u16) {
        self.select(queue);
        self.write(QUEUE_READY, 0);
    }

    fn queue_used(&mut self, _queue: u16) -> bool {
        // Devices are reset before queues are set up, and nobody sets one up twice.
        false
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        let status = self.read(INTERRUPT_STATUS);
        self.write(INTERRUPT_ACK, status);
        InterruptStatus::from_bits_truncate(status)
    }

    fn begin_init<F>(&mut self, supported: F) -> F
    where
        F: bitflags::Flags<Bits = u64> + BitAnd<Output = F> + Debug,
    {
        self.set_status(DeviceStatus::empty());
        self.selected = None;
        self.queues.clear();
        let mut status = DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER;
        self.set_status(status);
        let features = F::from_bits_truncate(self.read_device_features()) & supported;
        self.write_driver_features(features.bits());
        status |= DeviceStatus::FEATURES_OK;
        self.set_status(status);
        features
    }

    fn finish_init(&mut self) {
        self.hand_over_queues();
        self.set_status(
            DeviceStatus::ACKNOWLEDGE
                | DeviceStatus::DRIVER
                | DeviceStatus::FEATURES_OK
                | DeviceStatus::DRIVER_OK,
        );
    }

    fn read_config_generation(&self) -> u32 {
        self.read(CONFIG_GENERATION)
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T> {
        let mut value = T::new_zeroed();
        let at = self.config(offset, size_of::<T>())?;
        for (i, byte) in value.as_mut_bytes().iter_mut().enumerate() {
            // SAFETY: inside the window, see `config`.
            *byte = unsafe { ((at + i as u64) as *const u8).read_volatile() };
        }
        Ok(value)
    }

    fn write_config_space<T: IntoBytes + Immutable>(
        &mut self,
        offset: usize,
        value: T,
    ) -> Result<()> {
        let at = self.config(offset, size_of::<T>())?;
        for (i, byte) in value.as_bytes().iter().enumerate() {
            // SAFETY: as above.
            unsafe { ((at + i as u64) as *mut u8).write_volatile(*byte) };
        }
        Ok(())
    }
}

impl Mmio {
    /// The address of a part of the configuration space.
    fn config(&self, offset: usize, len: usize) -> Result<u64> {
        let end = offset.checked_add(len).ok_or(Error::ConfigSpaceTooSmall)? as u64;
        if end > self.size - CONFIG {
            Err(Error::ConfigSpaceTooSmall)
        } else {
            Ok(self.base + CONFIG + offset as u64)
        }
    }
}

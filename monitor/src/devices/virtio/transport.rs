//! The virtio-mmio transport, version 2: registers on one side, a [`Device`] on the other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use boot_abi::virtio::QUEUE_TABLE;
use virtio_bindings::virtio_config::{
    VIRTIO_CONFIG_S_DRIVER_OK, VIRTIO_CONFIG_S_FEATURES_OK, VIRTIO_CONFIG_S_NEEDS_RESET,
    VIRTIO_F_VERSION_1,
};
use virtio_bindings::virtio_mmio::*;
use virtio_bindings::virtio_ring::{VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC};
use virtio_queue::{Queue, QueueT};
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

use super::{Device, DeviceError, Interrupt, Rings, queue_table};
use crate::error::{Result, host};
use crate::memory::GuestMemory;
use crate::stats::Counter;
use crate::terminal;

/// "virt" in little-endian.
const MAGIC: u32 = 0x7472_6976;
const VERSION: u32 = 2;
/// "CMPT"; drivers do not look at it.
const VENDOR: u32 = 0x5450_4d43;

/// A window of device registers. Called on CPU threads.
pub trait Registers: Send + Sync {
    fn read(&self, offset: u64, data: &mut [u8]);
    fn write(&self, offset: u64, data: &[u8]);
    /// The device's type, and its counters by name.
    fn counters(&self) -> (u32, Vec<(&'static str, u64)>);
}

pub struct Transport<D: Device> {
    state: Mutex<State<D>>,
    memory: Arc<GuestMemory>,
    pub interrupt: Interrupt,
    /// The driver's doorbell: KVM writes it when the guest writes `QueueNotify`.
    pub doorbell: EventFd,
    /// How often it was rung.
    kicks: Counter,
}

struct State<D> {
    device: D,
    queues: Vec<Queue>,
    status: u32,
    queue_select: u32,
    offered_select: u32,
    accepted_select: u32,
    accepted: u64,
}

impl<D: Device> Transport<D> {
    pub fn new(device: D, memory: Arc<GuestMemory>) -> Result<Self> {
        let queues = D::QUEUES
            .iter()
            .filter_map(|size| Queue::new(*size).ok())
            .collect();
        Ok(Self {
            state: Mutex::new(State {
                device,
                queues,
                status: 0,
                queue_select: 0,
                offered_select: 0,
                accepted_select: 0,
                accepted: 0,
            }),
            memory,
            interrupt: Interrupt::new()?,
            doorbell: EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC).map_err(host("eventfd"))?,
            kicks: Counter::default(),
        })
    }

    /// Takes notice of the doorbell, so that it can be waited for again.
    pub fn answer_doorbell(&self) {
        self.kicks.add(self.doorbell.read().unwrap_or(0));
    }

    fn lock(&self) -> MutexGuard<'_, State<D>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Talks to the device itself, outside of its queues.
    pub fn with_device<T>(&self, f: impl FnOnce(&mut D) -> T) -> T {
        f(&mut self.lock().device)
    }

    /// The driver has started the device, and both are well.
    pub fn is_running(&self) -> bool {
        self.lock().running()
    }

    /// Lets the device work on its queues, on the device thread.
    pub fn process(&self) -> D::Wants {
        self.serve(D::process)
    }

    /// Lets a device with a thread of its own do `work` on its queues.
    pub fn serve<T: Default>(
        &self,
        work: impl FnOnce(&mut D, &mut Rings<'_>) -> std::result::Result<T, DeviceError>,
    ) -> T {
        self.work(false, work).0
    }

    /// As `serve`, for a thread that tells the driver by itself. `true`: the driver wants to hear of what was given back.
    pub fn serve_quietly<T: Default>(
        &self,
        work: impl FnOnce(&mut D, &mut Rings<'_>) -> std::result::Result<T, DeviceError>,
    ) -> (T, bool) {
        self.work(true, work)
    }

    fn work<T: Default>(
        &self,
        quiet: bool,
        work: impl FnOnce(&mut D, &mut Rings<'_>) -> std::result::Result<T, DeviceError>,
    ) -> (T, bool) {
        let mut state = self.lock();
        let state = &mut *state;
        if !state.running() {
            return (T::default(), false);
        }
        let mut rings = Rings::new(&mut state.queues, &self.memory, &self.interrupt);
        if quiet {
            rings = rings.quiet();
        }
        let result = work(&mut state.device, &mut rings);
        let result = result.and_then(|done| rings.put_rest().map(|()| done));
        rings.signal();
        let wanted = rings.wanted();
        let done = result.unwrap_or_else(|e| {
            self.give_up(state, &e);
            T::default()
        });
        (done, wanted)
    }

    /// The driver broke the rules: nothing more is done for it until it resets the device.
    fn give_up(&self, state: &mut State<D>, error: &DeviceError) {
        terminal::message(format!("compat-monitor: virtio device {}: {error}\n", D::ID).as_bytes());
        state.status |= VIRTIO_CONFIG_S_NEEDS_RESET;
        self.interrupt.config_changed();
    }

    fn write_status(&self, state: &mut State<D>, value: u32) {
        if value == 0 {
            state.reset();
            self.interrupt.acknowledge(u32::MAX);
            return;
        }
        let mut new = value | state.status & VIRTIO_CONFIG_S_NEEDS_RESET;
        if new & VIRTIO_CONFIG_S_FEATURES_OK != 0 && !state.features_acceptable() {
            new &= !VIRTIO_CONFIG_S_FEATURES_OK;
        }
        let starts =
            new & VIRTIO_CONFIG_S_DRIVER_OK != 0 && state.status & VIRTIO_CONFIG_S_DRIVER_OK == 0;
        state.status = new;
        if starts {
            self.start(state);
        }
    }

    fn start(&self, state: &mut State<D>) {
        let event_idx = state.accepted & (1 << VIRTIO_RING_F_EVENT_IDX) != 0;
        for queue in state.queues.iter_mut().filter(|queue| queue.ready()) {
            queue.set_event_idx(event_idx);
        }
        if state
            .queues
            .iter()
            .any(|queue| queue.ready() && !queue.is_valid(&*self.memory))
        {
            self.give_up(
                state,
                &DeviceError::Protocol("placed a queue outside memory"),
            );
        } else {
            state.device.start(state.accepted);
            // The driver may have made buffers available before.
            let _ = self.doorbell.write(1);
        }
    }

    /// As many register writes at once. A queue in use does not move.
    fn set_up_queues(&self, state: &mut State<D>, table: u32) {
        if !state.running()
            && let Err(error) = queue_table::apply(&self.memory, table, &mut state.queues)
        {
            self.give_up(state, &error);
        }
    }

    fn read_register(&self, register: u32) -> u32 {
        // Read in every interrupt; the device may be working under its lock just then.
        if register == VIRTIO_MMIO_INTERRUPT_STATUS {
            return self.interrupt.status();
        }
        let state = self.lock();
        let queue = state.queues.get(state.queue_select as usize);
        match register {
            VIRTIO_MMIO_MAGIC_VALUE => MAGIC,
            VIRTIO_MMIO_VERSION => VERSION,
            VIRTIO_MMIO_DEVICE_ID => D::ID,
            VIRTIO_MMIO_VENDOR_ID => VENDOR,
            VIRTIO_MMIO_DEVICE_FEATURES => half(state.offered(), state.offered_select),
            VIRTIO_MMIO_QUEUE_NUM_MAX => queue.map_or(0, |queue| queue.max_size().into()),
            VIRTIO_MMIO_QUEUE_READY => queue.map_or(0, |queue| queue.ready().into()),
            VIRTIO_MMIO_STATUS => state.status,
            // A length of all ones: there is no shared memory region.
            VIRTIO_MMIO_SHM_LEN_LOW
            | VIRTIO_MMIO_SHM_LEN_HIGH
            | VIRTIO_MMIO_SHM_BASE_LOW
            | VIRTIO_MMIO_SHM_BASE_HIGH => u32::MAX,
            _ => 0,
        }
    }

    fn write_register(&self, register: u32, value: u32) {
        match register {
            VIRTIO_MMIO_INTERRUPT_ACK => return self.interrupt.acknowledge(value),
            // Only when KVM did not take it for the doorbell.
            VIRTIO_MMIO_QUEUE_NOTIFY => {
                let _ = self.doorbell.write(1);
                return;
            }
            _ => {}
        }
        let mut state = self.lock();
        let state = &mut *state;
        match register {
            VIRTIO_MMIO_DEVICE_FEATURES_SEL => state.offered_select = value,
            VIRTIO_MMIO_DRIVER_FEATURES_SEL => state.accepted_select = value,
            VIRTIO_MMIO_DRIVER_FEATURES => state.accept(value),
            VIRTIO_MMIO_QUEUE_SEL => state.queue_select = value,
            VIRTIO_MMIO_STATUS => self.write_status(state, value),
            QUEUE_TABLE => self.set_up_queues(state, value),
            _ => state.write_queue(register, value),
        }
    }
}

fn half(value: u64, select: u32) -> u32 {
    match select {
        0 => value as u32,
        1 => (value >> 32) as u32,
        _ => 0,
    }
}

impl<D: Device> State<D> {
    fn running(&self) -> bool {
        self.status & (VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_NEEDS_RESET)
            == VIRTIO_CONFIG_S_DRIVER_OK
    }

    fn offered(&self) -> u64 {
        self.device.features()
            | 1 << VIRTIO_F_VERSION_1
            | 1 << VIRTIO_RING_F_EVENT_IDX
            | 1 << VIRTIO_RING_F_INDIRECT_DESC
    }

    /// Features can only be chosen before they are agreed on.
    fn accept(&mut self, value: u32) {
        if self.status & VIRTIO_CONFIG_S_FEATURES_OK == 0 {
            match self.accepted_select {
                0 => self.accepted = self.accepted & !0xffff_ffff | u64::from(value),
                1 => self.accepted = self.accepted & 0xffff_ffff | u64::from(value) << 32,
                _ => {}
            }
        }
    }

    fn features_acceptable(&self) -> bool {
        self.accepted & !self.offered() == 0 && self.accepted & (1 << VIRTIO_F_VERSION_1) != 0
    }

    /// A queue in use does not move.
    fn write_queue(&mut self, register: u32, value: u32) {
        let running = self.running();
        let Some(queue) = self.queues.get_mut(self.queue_select as usize) else {
            return;
        };
        if running {
            return;
        }
        match register {
            VIRTIO_MMIO_QUEUE_NUM => queue.set_size(u16::try_from(value).unwrap_or(0)),
            VIRTIO_MMIO_QUEUE_READY => queue.set_ready(value == 1),
            VIRTIO_MMIO_QUEUE_DESC_LOW => queue.set_desc_table_address(Some(value), None),
            VIRTIO_MMIO_QUEUE_DESC_HIGH => queue.set_desc_table_address(None, Some(value)),
            VIRTIO_MMIO_QUEUE_AVAIL_LOW => queue.set_avail_ring_address(Some(value), None),
            VIRTIO_MMIO_QUEUE_AVAIL_HIGH => queue.set_avail_ring_address(None, Some(value)),
            VIRTIO_MMIO_QUEUE_USED_LOW => queue.set_used_ring_address(Some(value), None),
            VIRTIO_MMIO_QUEUE_USED_HIGH => queue.set_used_ring_address(None, Some(value)),
            _ => {}
        }
    }

    fn reset(&mut self) {
        self.status = 0;
        self.queue_select = 0;
        self.offered_select = 0;
        self.accepted_select = 0;
        self.accepted = 0;
        self.queues.iter_mut().for_each(QueueT::reset);
        self.device.reset();
    }
}

impl<D: Device> Registers for Transport<D> {
    fn read(&self, offset: u64, data: &mut [u8]) {
        let offset = offset as u32;
        if let Some(at) = offset.checked_sub(VIRTIO_MMIO_CONFIG) {
            let state = self.lock();
            let source = state.device.config().get(at as usize..).unwrap_or(&[]);
            data.fill(0);
            data.iter_mut()
                .zip(source)
                .for_each(|(to, from)| *to = *from);
        } else {
            // The specification has registers read by 32 bits; anything else reads zero.
            match <&mut [u8; 4]>::try_from(&mut *data) {
                Ok(word) => *word = self.read_register(offset).to_le_bytes(),
                Err(_) => data.fill(0),
            }
        }
    }

    fn counters(&self) -> (u32, Vec<(&'static str, u64)>) {
        let mut counters = vec![
            ("kicks", self.kicks.get()),
            ("interrupts", self.interrupt.raised.get()),
        ];
        counters.extend(self.lock().device.counters());
        (D::ID, counters)
    }

    fn write(&self, offset: u64, data: &[u8]) {
        // No device has a writable configuration.
        if let (Ok(word), true) = (
            <[u8; 4]>::try_from(data),
            offset < u64::from(VIRTIO_MMIO_CONFIG),
        ) {
            self.write_register(offset as u32, u32::from_le_bytes(word));
        }
    }
}

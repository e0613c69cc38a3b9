//! The port control protocol of the specification ("Multiport Device Operation"), as a state machine.

use std::collections::VecDeque;

use boot_abi::{PORT_CONTROL, PORT_STDERR, PORT_STDIO};

use crate::devices::virtio::DeviceError;

pub const STDIO: u32 = 1;
pub const STDERR: u32 = 2;
pub const CONTROL: u32 = 3;
/// Port 0 counts, though it is not announced.
pub const PORTS: usize = 4;

/// Receive and transmit queue of a port.
pub const fn queues(port: u32) -> (usize, usize) {
    match port {
        0 => (0, 1),
        n => (2 + 2 * n as usize, 3 + 2 * n as usize),
    }
}

const DEVICE_READY: u16 = 0;
const PORT_ADD: u16 = 1;
const PORT_READY: u16 = 3;
const PORT_OPEN: u16 = 6;
const PORT_NAME: u16 = 7;

/// `struct virtio_console_control`: u32 id, u16 event, u16 value.
pub const MESSAGE_LEN: usize = 8;
/// A driver that asks and asks without taking the answers is not served any more.
const MOST_ANSWERS: usize = 256;

pub struct Control {
    pub to_driver: VecDeque<Vec<u8>>,
    /// The driver has the port open.
    open: [bool; PORTS],
    /// We have something behind the port.
    host_open: [bool; PORTS],
}

impl Control {
    pub fn new() -> Self {
        Self {
            to_driver: VecDeque::new(),
            open: [false; PORTS],
            host_open: [false, true, true, true],
        }
    }

    /// What the driver did is forgotten; what the host's streams did is not.
    pub fn reset(&mut self) {
        self.to_driver.clear();
        self.open = [false; PORTS];
    }

    pub fn is_open(&self, port: u32) -> bool {
        self.open.get(port as usize).copied().unwrap_or(false)
    }

    /// A message from the driver.
    pub fn receive(&mut self, message: [u8; MESSAGE_LEN]) -> Result<(), DeviceError> {
        let [i0, i1, i2, i3, e0, e1, v0, v1] = message;
        let port = u32::from_le_bytes([i0, i1, i2, i3]);
        let value = u16::from_le_bytes([v0, v1]);
        match u16::from_le_bytes([e0, e1]) {
            DEVICE_READY if value == 1 => {
                for port in STDIO..PORTS as u32 {
                    self.send(port, PORT_ADD, 1, b"")?;
                }
                Ok(())
            }
            PORT_READY if value == 1 => self.introduce(port),
            PORT_OPEN => {
                if let Some(open) = self.open.get_mut(port as usize) {
                    *open = value == 1;
                }
                Ok(())
            }
            // The driver could not use it, or speaks of events that a device need not know.
            _ => Ok(()),
        }
    }

    fn introduce(&mut self, port: u32) -> Result<(), DeviceError> {
        let name = match port {
            STDIO => PORT_STDIO,
            STDERR => PORT_STDERR,
            CONTROL => PORT_CONTROL,
            _ => return Ok(()),
        };
        self.send(port, PORT_NAME, 1, name.as_bytes())?;
        match self.host_open.get(port as usize) {
            Some(true) => self.send(port, PORT_OPEN, 1, b""),
            _ => Ok(()),
        }
    }

    /// The stream behind the port has ended.
    pub fn close(&mut self, port: u32) -> Result<(), DeviceError> {
        if let Some(open) = self.host_open.get_mut(port as usize) {
            *open = false;
        }
        self.send(port, PORT_OPEN, 0, b"")
    }

    fn send(&mut self, port: u32, event: u16, value: u16, text: &[u8]) -> Result<(), DeviceError> {
        if self.to_driver.len() >= MOST_ANSWERS {
            return Err(DeviceError::Protocol("does not take control messages"));
        }
        let (id, event, value) = (port.to_le_bytes(), event.to_le_bytes(), value.to_le_bytes());
        self.to_driver
            .push_back([&id, &event[..], &value, text].concat());
        Ok(())
    }
}

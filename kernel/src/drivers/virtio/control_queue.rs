//! The control queues of a virtio console: which ports there are, what they are called, whether they are open.
use super::mmio::Mmio;
use super::rx::RxQueue;
use super::tx::TxQueue;

const RECEIVE: u16 = 2;
const TRANSMIT: u16 = 3;
const TRANSMIT_BUFFERS: usize = 16;
const HEADER: usize = 8;
/// A name may be this long; the kernel's own are short.
const MESSAGE: usize = 256;

const DEVICE_READY: u16 = 0;
const DEVICE_ADD: u16 = 1;
const DEVICE_REMOVE: u16 = 2;
const PORT_READY: u16 = 3;
const RESIZE: u16 = 5;
const PORT_OPEN: u16 = 6;
const PORT_NAME: u16 = 7;

/// What the device says about a port.
pub enum Event<'a> {
    Added,
    Removed,
    Named(&'a str),
    Opened(bool),
    Resized {
        rows: u16,
        columns: u16,
    },
    /// Nothing that matters here.
    Other,
}

pub struct ControlQueue {
    receive: RxQueue,
    transmit: TxQueue<TRANSMIT_BUFFERS>,
}

impl ControlQueue {
    /// Sets both queues up; to be called before the device is told that its driver is ready. None: it cannot be done.
    pub fn new(mmio: &mut Mmio) -> Option<Self> {
        let mut receive = RxQueue::new(mmio, RECEIVE).ok()?;
        let mut transmit = TxQueue::new(mmio, TRANSMIT).ok()?;
        (receive.start(1, MESSAGE) && transmit.open(1)).then_some(Self { receive, transmit })
    }

    /// Asks for the ports. The messages follow, and need to be looked for.
    pub fn start(&mut self) {
        self.receive.interrupt(false);
        self.send(0, DEVICE_READY);
        self.transmit.kick();
    }

    /// From now on messages are announced by interrupts.
    pub fn listen(&mut self) {
        self.receive.interrupt(true);
    }

    pub fn port_ready(&mut self, port: u32) {
        self.send(port, PORT_READY);
    }

    pub fn port_open(&mut self, port: u32) {
        self.send(port, PORT_OPEN);
    }

    /// Lets the device see what was sent and the buffers that were read.
    pub fn kick(&mut self) {
        self.transmit.kick();
        self.receive.kick();
    }

    fn send(&mut self, port: u32, event: u16) {
        let message = u64::from(port) | u64::from(event) << 32 | 1 << 48;
        let mut bytes = message.to_le_bytes().into_iter();
        let pushed = self.transmit.push(HEADER, |span| {
            span.iter_mut()
                .zip(&mut bytes)
                .for_each(|(to, from)| *to = from);
            Ok::<(), ()>(())
        });
        if pushed != Ok(HEADER) {
            say!("the console device takes no control messages");
        }
    }

    pub fn has_event(&self) -> bool {
        self.receive.has_data()
    }

    /// Hands the next message to `handle`: the port and what happened to it. False if there is none.
    pub fn next(&mut self, handle: &mut dyn FnMut(u32, Event<'_>)) -> bool {
        let message = self.receive.unread();
        if message.is_empty() {
            return false;
        }
        if let Some((header, rest)) = message.split_first_chunk::<HEADER>() {
            let word = u64::from_le_bytes(*header);
            handle(
                word as u32,
                event((word >> 32) as u16, (word >> 48) as u16, rest),
            );
        }
        self.receive.consume_all();
        true
    }
}

fn event(event: u16, value: u16, rest: &[u8]) -> Event<'_> {
    match event {
        DEVICE_ADD => Event::Added,
        DEVICE_REMOVE => Event::Removed,
        PORT_OPEN => Event::Opened(value != 0),
        // QEMU sends a terminating zero along.
        PORT_NAME => core::str::from_utf8(rest).map_or(Event::Other, |name| {
            Event::Named(name.trim_end_matches('\0'))
        }),
        RESIZE => match rest {
            [c0, c1, r0, r1, ..] => Event::Resized {
                rows: u16::from_le_bytes([*r0, *r1]),
                columns: u16::from_le_bytes([*c0, *c1]),
            },
            _ => Event::Other,
        },
        _ => Event::Other,
    }
}

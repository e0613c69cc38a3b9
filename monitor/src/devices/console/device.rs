//! The console: four pairs of port queues and one pair for control messages.

use std::io;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use virtio_bindings::virtio_ids::VIRTIO_ID_CONSOLE;
use vm_memory::{Bytes, Permissions};

use super::control::{CONTROL, Control, MESSAGE_LEN, PORTS, STDERR, STDIO, queues};
use super::input::{Input, Next};
use super::lines::{self, Lines};
use super::output::{Flow, Output};
use super::reports::Reports;
use crate::devices::virtio::{Device, DeviceError, Rings};
use crate::error::Result as HostResult;
use crate::scatter;

const CONTROL_RECEIVE: usize = 2;
const CONTROL_TRANSMIT: usize = 3;
const SIZE: u16 = 256;
const F_MULTIPORT: u64 = 1 << 1;
/// How long to look for more output, and at most before other events get their turn.
const POLL: Duration = Duration::from_micros(50);
const POLL_MOST: Duration = Duration::from_millis(2);
/// The control port is read in pieces of so many bytes.
const PIECE: usize = 4096;

/// Descriptors that the device thread should watch until they are ready.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Wants {
    pub stdin: Option<RawFd>,
    pub stdout: Option<RawFd>,
    pub stderr: Option<RawFd>,
    /// Call again without waiting.
    pub again: bool,
}

pub struct Console {
    control: Control,
    lines: Lines,
    pub reports: Reports,
    input: Input,
    /// stdin polled readable since the last call.
    pub input_ready: bool,
    stdout: Output,
    stderr: Output,
    /// All output has left or was dropped.
    pub drained: bool,
    /// Output could not be written, though somebody wants it: a full disk, say.
    pub lost: bool,
    /// There is a CPU for it while the guest runs on another.
    polls: bool,
    config: [u8; 12],
}

impl Console {
    pub fn new(input: Input, stdout: Output, stderr: Output) -> HostResult<Self> {
        // cols and rows (unused: F_SIZE is not offered), then max_nr_ports.
        let mut config = [0; 12];
        config[4] = PORTS as u8;
        Ok(Self {
            control: Control::new(),
            lines: Lines::default(),
            reports: Reports::new()?,
            input,
            input_ready: false,
            stdout,
            stderr,
            drained: true,
            lost: false,
            polls: crate::host::cpus() > 1,
            config,
        })
    }

    /// A line for the guest, sent when it has a buffer on the control port.
    pub fn tell(&mut self, line: String) {
        self.lines.push(line);
    }

    /// The guest listens on the control port.
    pub fn listening(&self) -> bool {
        self.control.is_open(CONTROL)
    }

    fn read_control(&mut self, rings: &mut Rings<'_>) -> Result<(), DeviceError> {
        rings.silence(CONTROL_TRANSMIT)?;
        loop {
            while let Some(chain) = rings.pop(CONTROL_TRANSMIT)? {
                let first = chain
                    .readable
                    .first()
                    .filter(|b| b.len as usize >= MESSAGE_LEN);
                let first = first.ok_or(DeviceError::Protocol("sent a short control message"))?;
                self.control
                    .receive(rings.memory.read_obj(first.address)?)?;
                rings.put(CONTROL_TRANSMIT, chain.head, 0)?;
            }
            if !rings.listen(CONTROL_TRANSMIT)? {
                return Ok(());
            }
        }
    }

    /// What the guest tells on the control port.
    fn read_lines(&mut self, rings: &mut Rings<'_>) -> Result<(), DeviceError> {
        let (_, queue) = queues(CONTROL);
        rings.silence(queue)?;
        loop {
            while let Some(chain) = rings.pop(queue)? {
                let mut slices = Vec::new();
                Rings::slices(
                    rings.memory,
                    &chain.readable,
                    Permissions::Read,
                    &mut slices,
                )?;
                let mut piece = [0; PIECE];
                while let len @ 1.. = scatter::take(&mut slices, &mut piece) {
                    self.reports.push(piece.get(..len).unwrap_or(&[]));
                }
                rings.put(queue, chain.head, 0)?;
            }
            if !rings.listen(queue)? {
                return Ok(());
            }
        }
    }

    /// What the guest sends where nobody reads: port 0 is not announced.
    fn discard(rings: &mut Rings<'_>, queue: usize) -> Result<(), DeviceError> {
        rings.silence(queue)?;
        loop {
            while let Some(chain) = rings.pop(queue)? {
                rings.put(queue, chain.head, 0)?;
            }
            if !rings.listen(queue)? {
                return Ok(());
            }
        }
    }

    /// Writes all output; then looks for more a little while, as long as more comes: a guest that finds the device
    /// awake need not ring, which costs it far more than the memory access of a ring.
    fn write_output(
        &mut self,
        rings: &mut Rings<'_>,
        wants: &mut Wants,
    ) -> Result<(), DeviceError> {
        let start = Instant::now();
        let mut last = start;
        loop {
            self.flush(rings, wants)?;
            rings.signal();
            let now = Instant::now();
            if self.stdout.take_moved() | self.stderr.take_moved() {
                last = now;
            } else if last == start {
                break;
            }
            let stuck = wants.again || wants.stdout.is_some() || wants.stderr.is_some();
            if !self.polls || stuck || now - last > POLL {
                break;
            }
            if now - start > POLL_MOST {
                wants.again = true;
                return Ok(());
            }
            std::hint::spin_loop();
        }
        wants.again |= self.stdout.listen(rings)? | self.stderr.listen(rings)?;
        Ok(())
    }

    fn flush(&mut self, rings: &mut Rings<'_>, wants: &mut Wants) -> Result<(), DeviceError> {
        self.drained = true;
        for (output, want, name) in [
            (&mut self.stdout, &mut wants.stdout, "stdio"),
            (&mut self.stderr, &mut wants.stderr, "stderr"),
        ] {
            match output.flush(rings)? {
                Flow::Idle => {}
                Flow::More => wants.again = true,
                Flow::Blocked => *want = Some(output.watched()),
                Flow::Closed(e) => {
                    self.lost |= report_loss(name, &e);
                    self.lines.push(format!("hangup {name}"));
                    wants.again = true;
                }
            }
            self.drained &= !wants.again && want.is_none();
        }
        Ok(())
    }

    fn read_input(&mut self, rings: &mut Rings<'_>, wants: &mut Wants) -> Result<(), DeviceError> {
        let ready = std::mem::take(&mut self.input_ready);
        if !self.control.is_open(STDIO) {
            return Ok(());
        }
        match self.input.fill(rings, ready)? {
            Next::NeedsBuffer => {}
            Next::NeedsData => wants.stdin = self.input.watched(),
            Next::More => wants.again = true,
            Next::End => {
                self.control.close(STDIO)?;
                self.lines.push("eof".to_owned());
            }
        }
        Ok(())
    }

    fn send_lines(&mut self, rings: &mut Rings<'_>) -> Result<(), DeviceError> {
        let (queue, _) = queues(CONTROL);
        while self.control.is_open(CONTROL) && !self.lines.is_empty() {
            let Some(chain) = rings.pop(queue)? else {
                if rings.listen(queue)? {
                    continue;
                } else {
                    break;
                };
            };
            let buffer = chain.writable.first().filter(|b| b.len > 0);
            let buffer = buffer.ok_or(DeviceError::Protocol("gave an empty receive buffer"))?;
            let text = self.lines.take((buffer.len as usize).min(16 * lines::MOST));
            rings.memory.write_slice(&text, buffer.address)?;
            rings.put(queue, chain.head, text.len() as u32)?;
        }
        Ok(())
    }

    fn send_control(&mut self, rings: &mut Rings<'_>) -> Result<(), DeviceError> {
        while let Some(message) = self.control.to_driver.front() {
            let Some(chain) = rings.pop(CONTROL_RECEIVE)? else {
                if rings.listen(CONTROL_RECEIVE)? {
                    continue;
                } else {
                    break;
                };
            };
            let buffer = chain
                .writable
                .first()
                .filter(|b| b.len as usize >= message.len());
            let buffer = buffer.ok_or(DeviceError::Protocol("gave a short control buffer"))?;
            rings.memory.write_slice(message, buffer.address)?;
            rings.put(CONTROL_RECEIVE, chain.head, message.len() as u32)?;
            self.control.to_driver.pop_front();
        }
        Ok(())
    }
}

/// A reader that left is ordinary; anything else a person should know. Answers whether it is such.
fn report_loss(name: &str, error: &io::Error) -> bool {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return false;
    }
    crate::terminal::message(
        format!("compat-monitor: cannot write the program's {name} output: {error}\n").as_bytes(),
    );
    true
}

impl Device for Console {
    type Wants = Wants;
    const ID: u32 = VIRTIO_ID_CONSOLE;
    const QUEUES: &'static [u16] = &[SIZE; 2 + 2 * PORTS];

    fn features(&self) -> u64 {
        F_MULTIPORT
    }

    fn config(&self) -> &[u8] {
        &self.config
    }

    fn reset(&mut self) {
        self.control.reset();
        self.reports.reset();
        self.input.reset();
        self.stdout.reset();
        self.stderr.reset();
        self.drained = true;
    }

    fn process(&mut self, rings: &mut Rings<'_>) -> Result<Wants, DeviceError> {
        let mut wants = Wants::default();
        self.read_control(rings)?;
        self.write_output(rings, &mut wants)?;
        Self::discard(rings, queues(0).1)?;
        self.read_lines(rings)?;
        self.read_input(rings, &mut wants)?;
        self.send_lines(rings)?;
        self.send_control(rings)?;
        Ok(wants)
    }
}

const _: () = assert!(
    queues(STDIO).1 == 5 && queues(STDERR).1 == 7 && queues(CONTROL).1 + 1 == 2 + 2 * PORTS
);

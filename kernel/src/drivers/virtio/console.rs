//! The virtio console with its named ports: the program's streams and the line to the monitor.
use super::control_queue::{ControlQueue, Event};
use super::mmio::Mmio;
use super::port::{Port, Sizes};
use crate::drivers::{apic, ioapic};
use crate::{gate, percpu, time};
use core::hint::spin_loop;
use spin::{Mutex, Once};
use virtio_drivers::transport::{DeviceStatus, DeviceType, Transport};

bitflags::bitflags! {
    #[derive(Clone, Copy, Debug)]
    struct Features: u64 {
        const MULTIPORT = 1 << 1;
        const VERSION_1 = 1 << 32;
    }
}

/// What a port is for, by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Stdio,
    Stderr,
    Control,
}

const NAMES: [(Role, &str, Sizes); 3] = [
    (
        Role::Stdio,
        boot_abi::PORT_STDIO,
        Sizes {
            tx_pages: 64,
            rx_pages: 64,
            rx_buffer: 65536,
        },
    ),
    (
        Role::Stderr,
        boot_abi::PORT_STDERR,
        Sizes {
            tx_pages: 16,
            rx_pages: 1,
            rx_buffer: 4096,
        },
    ),
    (
        Role::Control,
        boot_abi::PORT_CONTROL,
        Sizes {
            tx_pages: 1,
            rx_pages: 1,
            rx_buffer: 1024,
        },
    ),
];

/// Port 0 is no stream by the specification. Which of the others is which the device says.
static PORTS: [Port; 3] = [Port::new(1), Port::new(2), Port::new(3)];
/// By role.
static NAMED: [Once<&'static Port>; 3] = [const { Once::new() }; 3];

fn named(role: Role) -> Option<&'static Port> {
    NAMED.get(role as usize)?.get().copied()
}

/// The port for `role`, if the device has one. The first call waits until the device has told.
pub fn port(role: Role) -> Option<&'static Port> {
    let console = CONSOLE.get()?;
    console.found.call_once(|| console.find_ports());
    named(role)
}

/// How long to wait for the device to name its ports, in ns.
const PATIENCE: u64 = 1_000_000_000;
/// How often to look at a queue before sleeping until an interrupt.
const SPINS: u32 = 5_000;

struct Console {
    mmio: Mmio,
    gsi: u8,
    control: Mutex<ControlQueue>,
    found: Once<()>,
}

static CONSOLE: Once<Console> = Once::new();

/// Finds the device and asks it for its ports, which it names while the kernel goes on.
pub fn init() {
    let Some((mmio, gsi)) = super::find_with_gsi(DeviceType::Console) else {
        return say!("there is no virtio console: the program has no standard streams");
    };
    if let Err(why) = start(mmio, gsi) {
        say!("the virtio console does not work: {why}");
    }
}

fn start(mut mmio: Mmio, gsi: u8) -> Result<(), &'static str> {
    if !mmio.is_modern() {
        return Err(
            "it is a legacy device, which is not supported (QEMU: -global virtio-mmio.force-legacy=false)",
        );
    }
    let features = mmio.begin_init(Features::all());
    if !features.contains(Features::MULTIPORT)
        || !mmio.get_status().contains(DeviceStatus::FEATURES_OK)
    {
        return Err("it does not offer several ports");
    }
    let mut control = ControlQueue::new(&mut mmio).ok_or("its control queues cannot be set up")?;
    PORTS
        .iter()
        .try_for_each(|port| port.set_up(&mut mmio))
        .map_err(|_| "its ports cannot be set up")?;
    mmio.finish_init();
    if !ioapic::enable(gsi) {
        return Err("its interrupt line has no vector");
    }
    control.start();
    CONSOLE.call_once(|| Console {
        mmio,
        gsi,
        control: Mutex::new(control),
        found: Once::new(),
    });
    Ok(())
}

impl Console {
    /// Waits until the device has named all ports, and opens them. At boot, before anyone else uses the timer.
    fn find_ports(&self) {
        let missing = || NAMES.iter().filter(|(role, ..)| named(*role).is_none());
        let is_done = || {
            self.handle_events();
            missing().next().is_none()
        };
        if !spin_until(is_done) {
            self.sleep_until(is_done);
        }
        missing().for_each(|(_, name, _)| say!("the virtio console has no port {name}"));
        let mut control = self.control.lock();
        control.listen();
        for (role, name, sizes) in NAMES {
            if let Some(port) = named(role) {
                if !port.open(sizes) {
                    say!("no memory for the virtio console's port {name}");
                }
                control.port_open(port.id());
            }
        }
        control.kick();
        drop(control);
        self.handle_events();
    }

    /// Lets the host have the CPU, which its device may need, until `is_done` or for [`PATIENCE`].
    fn sleep_until(&self, is_done: impl Fn() -> bool) {
        const TIMER: u32 = 1 << gate::IRQ_TIMER;
        if percpu::this().cpu != 0 {
            return look_until(PATIENCE, is_done);
        }
        self.control.lock().listen();
        apic::arm_timer(PATIENCE);
        while !is_done() {
            gate::halt();
            let bits = percpu::take_interrupts();
            handle_interrupts(bits);
            if bits & TIMER != 0 {
                break;
            }
        }
        apic::disarm();
    }

    fn handle_events(&self) {
        let mut control = self.control.lock();
        if !control.has_event() {
            return;
        }
        loop {
            // An answer can only be sent once the message has been let go.
            let mut added = None;
            if !control.next(&mut |id, event| added = Self::handle_event(id, &event).then_some(id))
            {
                break;
            }
            if let Some(id) = added {
                control.port_ready(id);
            }
        }
        control.kick();
    }

    /// Answers whether the device wants to hear that the port is ready.
    fn handle_event(id: u32, event: &Event<'_>) -> bool {
        let port = PORTS.iter().find(|port| port.id() == id);
        match (event, port) {
            (Event::Added, _) => return true,
            (Event::Named(name), Some(port)) => {
                if let Some(named) = NAMES
                    .iter()
                    .position(|(_, known, _)| known == name)
                    .and_then(|at| NAMED.get(at))
                {
                    named.call_once(|| port);
                }
            }
            (Event::Named(name), None) if NAMES.iter().any(|(_, known, _)| known == name) => {
                say!(
                    "the virtio console's port {name} is number {id}, and only 1 to 3 are supported"
                );
            }
            (Event::Opened(false) | Event::Removed, Some(port)) => port.end_at(0),
            (Event::Resized { rows, columns }, Some(_)) => crate::tty::resize(*rows, *columns),
            _ => {}
        }
        false
    }
}

/// What device interrupts with these pending bits ask for.
pub fn handle_interrupts(bits: u32) {
    if let Some(console) = CONSOLE.get()
        && bits & 1 << console.gsi != 0
    {
        // First, so that what comes in while the queues are looked at interrupts again.
        console.mmio.acknowledge();
        look();
    }
}

/// Looks at the queues without an interrupt. Memory reads only, unless there is something to do.
pub fn look() {
    if let Some(console) = CONSOLE.get() {
        console.handle_events();
        PORTS.iter().for_each(Port::look);
    }
}

/// Where the device's interrupts do not come.
fn look_until(ns: u64, is_done: impl Fn() -> bool) {
    let until = time::monotonic() + ns;
    while !is_done() && time::monotonic() < until {
        spin_loop();
    }
}

/// Looks for a short while.
fn spin_until(is_done: impl Fn() -> bool) -> bool {
    (0..SPINS).any(|_| {
        spin_loop();
        is_done()
    })
}

/// How long the program's output is waited for before something is said of the program.
const SETTLING: u64 = time::SECOND / 5;

/// Gives the device time to take what was sent, while the machine goes on.
pub fn settle() {
    look_until(SETTLING, || PORTS.iter().all(Port::is_drained));
}

/// Waits until the device has taken all that was sent. At the end of the machine: nobody hears the timer any more.
pub fn flush() {
    let drained = || PORTS.iter().all(Port::is_drained);
    while !spin_until(drained) {
        PORTS.iter().for_each(Port::watch_output);
        if drained() {
            return;
        }
        wait_for_interrupt();
    }
}

/// The interrupts go to the first CPU; another one must look by itself.
fn wait_for_interrupt() {
    if percpu::this().cpu == 0 {
        gate::halt();
        handle_interrupts(percpu::take_interrupts());
    } else {
        look();
    }
}

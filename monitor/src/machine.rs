//! Puts a machine together and runs it to its end.

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use boot_abi::{
    KEY_CPU_PORT, KEY_CPUS, KEY_FAULTS, KEY_IDLE_PORT, KEY_QUEUE_TABLE, KEY_REALTIME, KEY_TSC_KHZ,
    KEY_VIRTIO_MMIO, STATUS_CANNOT_RUN, STATUS_INTERNAL,
};
use event_manager::{EventManager, MutEventSubscriber, SubscriberOps};
use kvm_bindings::CpuId;
use nix::sys::signalfd::SignalFd;
use seccompiler::BpfProgram;
use serde_json::Value;

use crate::args::Options;
use crate::bus::{Bus, Window};
use crate::control::{self, ControlEvents};
use crate::debug_port::DebugPort;
use crate::devices::console::{self, Console, ConsoleEvents, Input, Output, Sink};
use crate::devices::rng::{Rng, RngEvents};
use crate::devices::virtio::{Bell, Device, Registers, Transport};
use crate::error::{Error, Result, host};
use crate::host::Streams;
use crate::image::{Image, ImageFile, Segment};
use crate::input_file::{self, InputFile};
use crate::layout::{START_INFO, VIRTIO_FIRST_IRQ, VIRTIO_MMIO, VIRTIO_MMIO_SIZE};
use crate::memory::{self, GuestMemory, RamSizes};
use crate::network::{Network, Opened};
use crate::outcome::{Outcome, Verdict, VerdictEvents};
use crate::settle::Settling;
use crate::signals::{self, SignalEvents};
use crate::stats::Stats;
use crate::trace::{Trace, TraceEvents};
use crate::vcpu::{StartLine, Vcpu};
use crate::vm::Vm;
use crate::{boot, config, cpuid, seccomp, source, terminal};

const STREAMS_FAIL: &str = "cannot use the standard streams";
const CLOCK_TRIES: usize = 4;

/// Everything that exists before the guest runs.
struct Machine {
    vm: Vm,
    memory: Arc<GuestMemory>,
    image: Image,
    bus: Bus,
    /// `virtio_mmio.device=...` of each device.
    command_line: Vec<String>,
    console: Arc<Transport<Console>>,
    rng: Arc<Transport<Rng>>,
    network: Network,
    bell: Arc<Bell>,
    stats: Arc<Stats>,
    trace: Arc<Trace>,
    control: Option<control::Socket>,
    /// The answer to `info`.
    info: Value,
}

pub fn run(options: &Options, stats: Stats) -> Result<u8> {
    let stats = Arc::new(stats);
    let mut stats_file = create_stats_file(options)?;
    let signals = signals::block()?;
    let machine = Machine::build(options, &stats)?;
    let console = Arc::clone(&machine.console);
    let outcome = machine.run(options.cpus, signals)?;
    let status = match report(&outcome) {
        // The program did well, and could not know that its output would not arrive.
        0 if console.with_device(|console| console.lost) => STATUS_CANNOT_RUN,
        status => status,
    };
    if let Some(file) = &mut stats_file {
        stats.write(file, &outcome, status)?;
    }
    Ok(status)
}

/// Opened first, so that a path that does not work is known before the program runs.
fn create_stats_file(options: &Options) -> Result<Option<File>> {
    let create = |path: &std::path::PathBuf| {
        File::create(path).map_err(|source| Error::Open {
            path: path.clone(),
            source,
        })
    };
    options.json_stats.as_ref().map(create).transpose()
}

/// Opened early as well; it may be a pipe, by the name of a descriptor.
fn create_trace_file(options: &Options) -> Result<Option<File>> {
    let open = |path: &std::path::PathBuf| {
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path);
        file.map_err(|source| Error::Open {
            path: path.clone(),
            source,
        })
    };
    options
        .trace
        .as_ref()
        .map(|(path, _)| open(path))
        .transpose()
}

fn open_image(options: &Options) -> Result<(ImageFile, Image)> {
    let path = options.image.as_deref().unwrap_or(source::SELF.as_ref());
    let from = match options.image {
        Some(_) => source::open(path)?,
        None => source::embedded()?.ok_or(Error::Usage("no image given".to_owned()))?,
    };
    let image = Image::parse(&from).map_err(|source| Error::Image {
        path: path.to_owned(),
        source,
    })?;
    Ok((from, image))
}

impl Machine {
    fn build(options: &Options, stats: &Arc<Stats>) -> Result<Self> {
        let streams = Streams::look();
        // First, so that a port that cannot be had is known before the program runs.
        let opened = Opened::open(options, stats)?;
        let info = control::describe(options, &opened);
        let (from, image) = open_image(options)?;
        let sizes = RamSizes::new(options.memory, &image)?;
        let stdin_position = input_file::position(&streams);
        let blob = config::build(options, &streams, stdin_position, opened.record.as_deref())?;
        let memory = Arc::new(memory::reserve(&image, sizes, &from)?);
        // Copying the kernel takes as long as making the machine.
        let vm = thread::scope(|scope| {
            let copying = scope.spawn(|| memory::copy(&memory, &image, &from));
            let vm = Vm::new().and_then(|vm| vm.set_up(&memory).map(|()| vm));
            let copied = copying
                .join()
                .unwrap_or(Err(Error::ReadImage(std::io::ErrorKind::Other.into())));
            vm.and_then(|vm| copied.map(|()| vm))
        })?;
        let image_end = image.segments.iter().map(Segment::end).max().unwrap_or(0);
        boot::write_tables(&memory, sizes, image_end, &blob)?;

        let console = Arc::new(Transport::new(
            build_console(&streams, stats)?,
            Arc::clone(&memory),
        )?);
        let rng = Arc::new(Transport::new(Rng, Arc::clone(&memory))?);
        let network = opened.into_machine(&memory)?;
        let trace = Arc::new(Trace::new(&memory)?);
        if let Some(file) = create_trace_file(options)? {
            trace.attach(file.into());
        }
        let input = stdin_position
            .map(|_| std::io::stdin().as_fd().try_clone_to_owned())
            .transpose()
            .map_err(host(STREAMS_FAIL))?
            .map(|fd| InputFile::new(fd, &memory, Arc::clone(&stats.stdin_bytes)));
        let bus = Bus {
            windows: Vec::new(),
            stats: Arc::clone(stats),
            debug: DebugPort::default(),
            trace: Arc::clone(&trace),
            input,
            idle: None,
            starts: Vec::new(),
        };
        let mut machine = Self {
            vm,
            memory,
            image,
            bus,
            command_line: options
                .faults
                .iter()
                .map(|plan| format!("{KEY_FAULTS}={plan}"))
                .collect(),
            console,
            rng,
            network,
            bell: Bell::new()?,
            stats: Arc::clone(stats),
            trace,
            control: control::Socket::create(&options.control)?,
            info,
        };
        machine.attach(Arc::clone(&machine.console))?;
        machine.attach(Arc::clone(&machine.rng))?;
        match machine.network.clone() {
            Network::None => {}
            Network::Sockets(device) => machine.attach(device)?,
            Network::Card(device) => machine.attach(device)?,
        }
        Ok(machine)
    }

    /// Gives a device its window, doorbell and interrupt line.
    fn attach<D: Device>(&mut self, device: Arc<Transport<D>>) -> Result<()> {
        let index = self.bus.windows.len() as u64;
        let base = VIRTIO_MMIO + index * VIRTIO_MMIO_SIZE;
        let line = VIRTIO_FIRST_IRQ + index as u32;
        self.vm.doorbell(base, &device.doorbell)?;
        self.vm.interrupt(&device.interrupt.line, line)?;
        device.interrupt.bell.get_or_init(|| Arc::clone(&self.bell));
        self.command_line.push(format!(
            "{KEY_VIRTIO_MMIO}={VIRTIO_MMIO_SIZE:#x}@{base:#x}:{line}"
        ));
        let device: Arc<dyn Registers> = device;
        self.bus.windows.push(Window {
            base,
            size: VIRTIO_MMIO_SIZE,
            device,
        });
        Ok(())
    }

    fn run(mut self, cpus: u32, signals: SignalFd) -> Result<Outcome> {
        let verdict = Arc::new(Verdict::new()?);
        let mut events = EventManager::<Box<dyn MutEventSubscriber>>::new()?;
        events.add_subscriber(Box::new(VerdictEvents(Arc::clone(&verdict))));
        events.add_subscriber(Box::new(ConsoleEvents::new(Arc::clone(&self.console))));
        events.add_subscriber(Box::new(RngEvents(Arc::clone(&self.rng))));
        let console = Arc::clone(&self.console);
        let (signal_console, signal_verdict) = (Arc::clone(&console), Arc::clone(&verdict));
        events.add_subscriber(Box::new(SignalEvents::new(
            signals,
            signal_console,
            signal_verdict,
        )));

        events.add_subscriber(Box::new(TraceEvents {
            trace: Arc::clone(&self.trace),
            console: Arc::clone(&console),
        }));
        if let Some(socket) = self.control.take() {
            let sources = control::Sources {
                stats: Arc::clone(&self.stats),
                devices: self
                    .bus
                    .windows
                    .iter()
                    .map(|w| Arc::clone(&w.device))
                    .collect(),
            };
            let (info, console) = (self.info.take(), Arc::clone(&console));
            let trace = Arc::clone(&self.trace);
            events.add_subscriber(Box::new(ControlEvents::new(
                socket, info, sources, console, trace,
            )?));
        }

        terminal::catch_fatal_signals();
        let raw = terminal::enter_raw();
        let (network, trace) = (self.network.clone(), Arc::clone(&self.trace));
        self.start(cpus, &verdict)?;
        let outcome = wait(&mut events, &console, &verdict)?;
        trace.finish(verdict.is_hurried());
        if !verdict.is_hurried() {
            network.see_out(&verdict);
        }
        drop(raw);
        Ok(outcome)
    }

    /// Starts a thread for each CPU. They run when all filters are in place.
    fn start(mut self, cpus: u32, verdict: &Arc<Verdict>) -> Result<()> {
        let settling = Settling::begin(Arc::clone(&self.vm.fd))?;
        let base: CpuId = cpuid::supported(&self.vm.kvm)?;
        let vcpus = (0..cpus)
            .map(|i| Vcpu::new(&self.vm, &base, i, cpus))
            .collect::<Result<Vec<_>>>()?;
        let threads = vcpus.len() + 1 + usize::from(self.network.has_thread());
        let gate = Arc::new(Barrier::new(threads));
        self.bus.idle = self
            .network
            .start(cpus, &self.stats.net, verdict, &self.bell, &gate)?;
        let xcr0 = cpuid::xcr0(&base);
        vcpus.iter().try_for_each(|vcpu| vcpu.prepare(xcr0))?;
        self.bus.starts = (1..cpus).map(|_| Arc::default()).collect();
        if let Some(first) = vcpus.first() {
            first.start_at(self.image.entry, START_INFO)?;
            let idle = self.bus.idle.as_ref().map(|_| format!("{KEY_IDLE_PORT}=1"));
            let others = (cpus > 1).then(|| format!("{KEY_CPUS}={cpus} {KEY_CPU_PORT}=1"));
            let line = self
                .command_line
                .iter()
                .cloned()
                .chain([clock_keys(first)?, format!("{KEY_QUEUE_TABLE}=1")])
                .chain(idle)
                .chain(others)
                .collect::<Vec<_>>()
                .join(" ");
            boot::write_command_line(&self.memory, &line)?;
        }
        let input = self.bus.input.as_ref().map(InputFile::fd);
        let filter = Arc::new(seccomp::vcpu_filter(self.bus.idle.is_some(), input)?);
        let bus = Arc::new(self.bus);
        let lines: Vec<Option<Arc<StartLine>>> = std::iter::once(None)
            .chain(bus.starts.iter().cloned().map(Some))
            .collect();
        for (vcpu, line) in vcpus.into_iter().zip(lines) {
            vcpu.spawn(
                line,
                Arc::clone(&bus),
                Arc::clone(verdict),
                Arc::clone(&self.stats),
                confine(Arc::clone(&filter), Arc::clone(&gate)),
            )?;
        }
        seccomp::install(&seccomp::device_filter()?)?;
        self.stats
            .boot_us
            .add(self.stats.start.elapsed().as_micros() as u64);
        settling.confined()?;
        gate.wait();
        // The descriptors of the machine stay open until the process ends, which takes them all down at once.
        std::mem::forget(self.vm);
        Ok(())
    }
}

/// What a thread does before its work: it confines itself, and waits until all have.
pub fn confine(filter: Arc<BpfProgram>, gate: Arc<Barrier>) -> impl FnOnce() -> Result<()> + Send {
    move || {
        let installed = seccomp::install(&filter);
        gate.wait();
        installed
    }
}

fn build_console(streams: &Streams, stats: &Stats) -> Result<Console> {
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let [in_kind, out_kind, err_kind] = streams.kinds;
    let failed = host(STREAMS_FAIL);
    let fd = stdin.as_fd().try_clone_to_owned().map_err(failed)?;
    let input = Input::new(
        fd,
        in_kind,
        console::queues(console::STDIO).0,
        Arc::clone(&stats.stdin_bytes),
    );
    let sink = |fd, kind| Sink::new(fd, kind).map_err(host(STREAMS_FAIL));
    let out = Output::new(
        sink(stdout.as_fd(), out_kind)?,
        console::queues(console::STDIO).1,
        Arc::clone(&stats.stdout_bytes),
    );
    let err = Output::new(
        sink(stderr.as_fd(), err_kind)?,
        console::queues(console::STDERR).1,
        Arc::clone(&stats.stderr_bytes),
    );
    Console::new(input, out, err)
}

/// The time-stamp counter's rate, and a moment read on both clocks: the tightest of a few tries.
fn clock_keys(vcpu: &Vcpu) -> Result<String> {
    let khz = vcpu.tsc_khz()?;
    let mut best: Option<(u128, String)> = None;
    for _ in 0..CLOCK_TRIES {
        let before = realtime_ns();
        let tsc = vcpu.tsc()?;
        let width = realtime_ns().saturating_sub(before);
        if best.as_ref().is_none_or(|(least, _)| width < *least) {
            best = Some((
                width,
                format!("{KEY_REALTIME}={tsc}:{}", before + width / 2),
            ));
        }
    }
    let pair = best.map_or(String::new(), |(_, pair)| pair);
    Ok(format!("{KEY_TSC_KHZ}={khz} {pair}"))
}

fn realtime_ns() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos()
}

/// Serves the devices until the machine ends and its output has left.
fn wait(
    events: &mut EventManager<Box<dyn MutEventSubscriber>>,
    console: &Transport<Console>,
    verdict: &Verdict,
) -> Result<Outcome> {
    let mut draining = false;
    loop {
        if let Some(outcome) = verdict.get() {
            if !draining {
                // What the guest queued last may not have been looked at.
                console.with_device(|console| console.drained = false);
                let _ = console.doorbell.write(1);
                draining = true;
            }
            let done = console.with_device(|console| console.drained) || !console.is_running();
            if done || verdict.is_hurried() {
                return Ok(outcome);
            }
        }
        events.run()?;
    }
}

/// Says what a person must know about the end; gives the exit status.
fn report(outcome: &Outcome) -> u8 {
    let text = match outcome {
        Outcome::Exited(status) => return *status,
        Outcome::Killed(signal) => return 128u8.saturating_add(*signal),
        Outcome::KernelPanic => {
            "compat-monitor: the kernel failed (its report is above)\n".to_owned()
        }
        Outcome::Crashed(text) => format!("compat-monitor: the machine stopped: {text}"),
        Outcome::Failed(text) => format!("compat-monitor: {text}\n"),
    };
    terminal::message(text.as_bytes());
    STATUS_INTERNAL
}

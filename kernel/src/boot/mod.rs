//! From the PVH entry to the first thread.
#![allow(unsafe_code)]

mod config;
mod cpus;
pub mod exec;
mod files;
mod image;
mod start_info;

pub use config::Config;
pub use files::ROOT_DEV;
pub use image::image;
pub use start_info::MemoryMap;

use crate::mm::{frame, kernel_space};
use crate::{drivers, faults, gate, net, task, time, tty};
use alloc::format;
use alloc::string::String;
use image::Image;
use spin::Once;
use start_info::StartInfo;

static CONFIG: Once<Config> = Once::new();
static CMDLINE: Once<String> = Once::new();

/// What the machine was started to do.
pub fn config() -> Option<&'static Config> {
    CONFIG.get()
}

/// The kernel command line (/proc/cmdline).
pub fn command_line() -> String {
    CMDLINE.get().cloned().unwrap_or_default()
}

/// Ring 3's first function; see `gate/boot.s`. `start_info` is the physical address of `hvm_start_info`.
#[unsafe(no_mangle)]
extern "C" fn kernel_start_rust(start_info: u64) -> ! {
    // SAFETY: called once, first.
    unsafe { gate::install() };
    let why = match start(start_info) {
        Ok(()) => task::sched::start(),
        Err(why) => why,
    };
    say!("cannot start: {why}");
    crate::console::exit(u32::from(boot_abi::STATUS_CANNOT_RUN))
}

fn start(start_info: u64) -> Result<(), String> {
    let info = StartInfo::read(start_info).ok_or("the monitor's start information is damaged")?;
    let map = init_memory(&info)?;
    kernel_space::init(&map)
        .map_err(|_| "not enough memory for the page tables: give the machine more with -m")?;
    task::frame::init_xsave();
    let config = Config::read(image().config, info.config);
    if config.exe.is_empty() {
        return Err(String::from(
            "the image's configuration is damaged: it names no program",
        ));
    }
    let cmdline = String::from_utf8_lossy(info.cmdline);
    CMDLINE.call_once(|| cmdline.clone().into_owned());
    init_time(&cmdline);
    drivers::init(&cmdline, &config.seed);
    let streams = tty::Streams {
        kinds: config.streams,
        flags: config.stream_flags,
        stdin_position: config.stdin_position,
        rows: config.rows,
        columns: config.columns,
    };
    // Before the mounts: they ask for the terminal.
    let std_files = tty::open_std_files(&streams);
    let files = files::mount(&config)
        .map_err(|why| format!("the root file system cannot be mounted: {why:?}"))?;
    net::init(&config, &files);
    let config = CONFIG.call_once(|| config);
    if let Some(text) = &config.trace {
        let asked = core::str::from_utf8(text).ok();
        asked.and_then(crate::trace::begin).ok_or(
            "the configuration asks for a trace in words that the kernel does not understand",
        )?;
    }
    exec::start_first(config, files, std_files)?;
    cpus::start(&cmdline);
    faults::init(&cmdline)
}

/// Hands the frames that nothing lies in to the allocator.
fn init_memory(info: &StartInfo) -> Result<MemoryMap, String> {
    let top = info.ram.iter().map(|range| range.1).max().unwrap_or(0);
    let image = Image::find(top)?;
    let kernel_end = kernel_space::kernel_end_phys();
    let mut taken = [(0, 0); 16];
    let all = [(0, kernel_end), image.ranges[0], image.ranges[1]]
        .into_iter()
        .chain(info.handed);
    taken
        .iter_mut()
        .zip(all)
        .for_each(|(slot, range)| *slot = range);
    taken.sort_unstable();
    let mut free = [(0, 0); 16];
    let mut count = 0;
    for &range in info.ram.iter().filter(|range| range.0 < range.1) {
        subtract(range, &taken, &mut free, &mut count);
    }
    // SAFETY: RAM by the monitor's map, without the kernel, the image and what lies below them; mapped by the boot tables
    // below 4 GiB, and the allocator's bookkeeping comes from there.
    unsafe { frame::init(&free[..count]) }?;
    let map = MemoryMap {
        top,
        image: image.ranges,
    };
    image::set(image);
    Ok(map)
}

/// Appends `range` without the (ascending) `taken` ranges to `free`.
fn subtract(
    range: (u64, u64),
    taken: &[(u64, u64)],
    free: &mut [(u64, u64); 16],
    count: &mut usize,
) {
    let mut start = range.0.next_multiple_of(4096);
    let end = range.1 & !4095;
    let gaps = taken
        .iter()
        .copied()
        .filter(|taken| taken.0 < taken.1)
        .chain([(end, end)]);
    for (from, to) in gaps {
        let from = from & !4095;
        if from > start && start < end && *count < free.len() {
            free[*count] = (start, from.min(end));
            *count += 1;
        }
        start = start.max(to.next_multiple_of(4096));
    }
}

/// A `key=value` of the command line.
pub fn option<'a>(cmdline: &'a str, key: &str) -> Option<&'a str> {
    cmdline
        .split_ascii_whitespace()
        .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

fn init_time(cmdline: &str) {
    let khz = option(cmdline, boot_abi::KEY_TSC_KHZ).and_then(|text| text.parse().ok());
    let pair = option(cmdline, boot_abi::KEY_REALTIME).and_then(|text| text.split_once(':'));
    let (tsc, realtime) = pair
        .and_then(|(tsc, ns)| Some((tsc.parse().ok()?, ns.parse().ok()?)))
        .unwrap_or((0, 0));
    time::init(khz, tsc, realtime);
}

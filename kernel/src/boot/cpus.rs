//! The CPUs after the first.
#![allow(unsafe_code)]

use super::option;
use crate::drivers::apic;
use crate::mm::kernel_space::{self, KernelStack};
use crate::mm::layout::phys_to_virt;
use crate::percpu::{self, MAX_CPUS};
use crate::{gate, task, time};

/// Where the real-mode code goes: nothing that the monitor passes lies there, or is needed any more.
const REAL_MODE_PAGE: u32 = 0x8000;
/// What the specification of the start-up protocol has between its steps, in ns.
const AFTER_INIT: u64 = 10_000_000;
const AFTER_START_UP: u64 = 200_000;

/// Starts what the command line says there is. They come to the scheduler when they are ready; nobody waits for them.
pub fn start(cmdline: &str) {
    let wanted = option(cmdline, boot_abi::KEY_CPUS)
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    let count = wanted.min(MAX_CPUS);
    if wanted > count {
        say!("the machine has {wanted} CPUs; {count} are used");
    }
    let prepared = (1..count as u32).take_while(|&cpu| prepare(cpu)).count() as u32;
    task::sched::set_cpu_count(1 + prepared);
    if option(cmdline, boot_abi::KEY_CPU_PORT).is_some() {
        (1..=prepared).for_each(gate::start_by_monitor);
    } else if prepared > 0 {
        start_by_interrupts(prepared);
    }
}

fn prepare(cpu: u32) -> bool {
    let (Ok(stack), Ok(root)) = (KernelStack::new(), kernel_space::root()) else {
        say!("there is no memory for CPU {cpu}; it is not used");
        return false;
    };
    // SAFETY: the CPU has not been started, and its stack is never given back.
    unsafe { gate::prepare_cpu(cpu, stack.top(), root) };
    core::mem::forget(stack);
    true
}

/// INIT and start-up interrupts, as MP systems have them.
fn start_by_interrupts(count: u32) {
    let code = gate::real_mode_start();
    let page = phys_to_virt(REAL_MODE_PAGE.into()) as *mut u8;
    // SAFETY: memory below the kernel is never handed out; what the monitor left there has been read.
    unsafe { core::ptr::copy_nonoverlapping(code.as_ptr(), page, code.len()) };
    (1..=count).for_each(apic::send_init);
    pause(AFTER_INIT);
    // Those who missed the first one heed the second.
    for _ in 0..2 {
        (1..=count).for_each(|cpu| apic::send_start_up(cpu, REAL_MODE_PAGE));
        pause(AFTER_START_UP);
    }
}

fn pause(ns: u64) {
    let until = time::monotonic() + ns;
    while time::monotonic() < until {
        core::hint::spin_loop();
    }
}

/// Ring 3's first function on the other CPUs; see `gate/boot.s`.
#[unsafe(no_mangle)]
extern "C" fn kernel_start_ap_rust(cpu: u64) -> ! {
    // SAFETY: once on this CPU, whose block `prepare` made.
    unsafe { percpu::load(cpu as u32) };
    task::frame::init_xsave();
    apic::init();
    task::sched::start()
}

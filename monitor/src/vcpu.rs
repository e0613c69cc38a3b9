//! A virtual CPU: its first registers, and the loop that runs it.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use kvm_bindings::{
    CpuId, KVM_MP_STATE_RUNNABLE, Msrs, kvm_mp_state, kvm_msr_entry, kvm_segment, kvm_sregs,
    kvm_xcr, kvm_xcrs,
};
use kvm_ioctls::{VcpuExit, VcpuFd};

use crate::bus::{Bus, Written};
use crate::cpuid;
use crate::dump;
use crate::error::{Error, Result, host, kvm};
use crate::outcome::{Outcome, Verdict};
use crate::stats::Stats;
use crate::vm::Vm;

const MSR_TSC: u32 = 0x10;
const CR0_PE_ET: u64 = 0x11;
/// FSGSBASE, OSXSAVE, OSXMMEXCPT, OSFXSR, PAE. PVH leaves CR4 to the kernel, which sets the same; set here it works
/// too where KVM emulates ring 0 without `xsetbv`.
const CR4: u64 = 1 << 18 | 1 << 16 | 1 << 10 | 1 << 9 | 1 << 5;
const RFLAGS_RESERVED: u64 = 2;
/// #GP.
const GENERAL_PROTECTION: u8 = 13;

/// Where a CPU waits until the guest starts it, see [`boot_abi::CPU_PORT`].
#[derive(Default)]
pub struct StartLine {
    entry: Mutex<Option<u32>>,
    started: Condvar,
}

impl StartLine {
    /// Only the first time counts; false: it is a later one.
    pub fn start(&self, entry: u32) -> bool {
        let mut known = self.entry.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = known.is_none();
        known.get_or_insert(entry);
        self.started.notify_one();
        is_first
    }

    fn wait(&self) -> u32 {
        let mut entry = self.entry.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match *entry {
                Some(entry) => return entry,
                None => {
                    entry = self
                        .started
                        .wait(entry)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

pub struct Vcpu {
    fd: VcpuFd,
    index: u32,
}

impl Vcpu {
    pub fn new(vm: &Vm, base: &CpuId, index: u32, count: u32) -> Result<Self> {
        let fd = vm
            .fd
            .create_vcpu(index.into())
            .map_err(kvm("KVM_CREATE_VCPU"))?;
        fd.set_cpuid2(&cpuid::for_cpu(base, index, count))
            .map_err(kvm("KVM_SET_CPUID2"))?;
        Ok(Self { fd, index })
    }

    /// The state that PVH asks for, but for where to begin.
    pub fn prepare(&self, xcr0: u64) -> Result<()> {
        let mut sregs = self.fd.get_sregs().map_err(kvm("KVM_GET_SREGS"))?;
        flat_protected_mode(&mut sregs);
        self.fd.set_sregs(&sregs).map_err(kvm("KVM_SET_SREGS"))?;
        let mut xcrs = kvm_xcrs {
            nr_xcrs: 1,
            ..Default::default()
        };
        xcrs.xcrs[0] = kvm_xcr {
            xcr: 0,
            reserved: 0,
            value: xcr0,
        };
        self.fd.set_xcrs(&xcrs).map_err(kvm("KVM_SET_XCRS"))?;
        // CPUs after the first would wait for a start-up interrupt.
        self.fd
            .set_mp_state(kvm_mp_state {
                mp_state: KVM_MP_STATE_RUNNABLE,
            })
            .map_err(kvm("KVM_SET_MP_STATE"))
    }

    /// Where to begin, and what is in EBX then.
    pub fn start_at(&self, entry: u32, ebx: u64) -> Result<()> {
        let mut regs = self.fd.get_regs().map_err(kvm("KVM_GET_REGS"))?;
        regs.rip = entry.into();
        regs.rbx = ebx;
        regs.rflags = RFLAGS_RESERVED;
        self.fd.set_regs(&regs).map_err(kvm("KVM_SET_REGS"))
    }

    pub fn tsc_khz(&self) -> Result<u32> {
        self.fd.get_tsc_khz().map_err(kvm("KVM_GET_TSC_KHZ"))
    }

    /// The guest's time-stamp counter, now.
    pub fn tsc(&self) -> Result<u64> {
        let entry = kvm_msr_entry {
            index: MSR_TSC,
            ..Default::default()
        };
        let mut msrs = Msrs::from_entries(&[entry]).map_err(|_| Error::Host {
            what: "MSR list",
            source: std::io::ErrorKind::InvalidInput.into(),
        })?;
        self.fd.get_msrs(&mut msrs).map_err(kvm("KVM_GET_MSRS"))?;
        Ok(msrs.as_slice().first().map_or(0, |e| e.data))
    }

    /// Runs on a thread of its own until the process ends; from the time on when the guest starts it, if it has a line to wait at.
    pub fn spawn(
        mut self,
        line: Option<Arc<StartLine>>,
        bus: Arc<Bus>,
        verdict: Arc<Verdict>,
        stats: Arc<Stats>,
        prepare: impl FnOnce() -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let name = format!("vcpu{}", self.index);
        let body = move || {
            let started = prepare().and_then(|()| match line {
                Some(line) => self.start_at(line.wait(), self.index.into()),
                None => Ok(()),
            });
            let outcome = match started {
                Ok(()) => self.run(&bus, &stats),
                Err(e) => Outcome::Failed(e.to_string()),
            };
            verdict.give(outcome);
            // The process ends soon, and takes the CPU down with it; closing it here is not allowed by the filter.
            loop {
                std::thread::park();
            }
        };
        std::thread::Builder::new()
            .name(name)
            .stack_size(256 << 10)
            .spawn(body)
            .map_err(host("cannot start a thread"))?;
        Ok(())
    }

    fn run(&mut self, bus: &Bus, stats: &Stats) -> Outcome {
        loop {
            let why = match self.fd.run() {
                Ok(VcpuExit::IoOut(port, data)) => {
                    stats.exits.io.add(1);
                    match bus.port_write(self.index, port, data) {
                        Written::Done => continue,
                        Written::Ends(outcome) => return outcome,
                        Written::Refused => {
                            let what = format!("a stray write to port {port:#x}, {data:02x?}");
                            match self.fault_instead() {
                                Ok(true) => continue,
                                Ok(false) => what,
                                Err(e) => format!("{what}: {e}"),
                            }
                        }
                    }
                }
                Ok(VcpuExit::IoIn(_, data)) => {
                    stats.exits.io.add(1);
                    data.fill(0xff);
                    match self.fault_instead() {
                        Ok(_) => continue,
                        Err(e) => e.to_string(),
                    }
                }
                Ok(VcpuExit::MmioRead(address, data)) => {
                    stats.exits.mmio.add(1);
                    bus.read(address, data);
                    continue;
                }
                Ok(VcpuExit::MmioWrite(address, data)) => {
                    stats.exits.mmio.add(1);
                    bus.write(address, data);
                    continue;
                }
                Ok(VcpuExit::Intr) => {
                    stats.exits.other.add(1);
                    continue;
                }
                Ok(VcpuExit::Shutdown) => "triple fault".to_owned(),
                Ok(VcpuExit::SystemEvent(kind, _)) => format!("system event {kind}"),
                Ok(VcpuExit::FailEntry(reason, _)) => {
                    format!("the CPU refused to enter the guest, reason {reason:#x}")
                }
                Ok(VcpuExit::InternalError) => {
                    "KVM internal error (an instruction it cannot emulate?)".to_owned()
                }
                Ok(other) => format!("unexpected exit {other:?}"),
                Err(e) if matches!(e.errno(), libc::EINTR | libc::EAGAIN) => continue,
                Err(e) if e.errno() == libc::EFAULT => {
                    "the guest touched memory that the host cannot provide (was the image file truncated?)"
                        .to_owned()
                }
                Err(e) => format!("KVM_RUN: {e}"),
            };
            let registers = dump::registers(&self.fd);
            return Outcome::Crashed(format!("CPU {}: {why}\n{registers}", self.index));
        }
    }

    /// Has ring 3 get what the hardware gives a program for `in` and `out`: a fault at the instruction, which the kernel makes a
    /// signal of. (Where KVM emulates the instruction, as on PVM, RIP has moved by now, and the fault comes after it.) False: it was
    /// ring 0, in which only the kernel's own start-up code is.
    fn fault_instead(&mut self) -> Result<bool> {
        let sregs = self.fd.get_sregs().map_err(kvm("KVM_GET_SREGS"))?;
        if sregs.ss.dpl != 3 {
            return Ok(false);
        }
        let regs = self.fd.get_regs().map_err(kvm("KVM_GET_REGS"))?;
        self.complete_exit()?;
        self.fd.set_regs(&regs).map_err(kvm("KVM_SET_REGS"))?;
        let events = self.fd.get_vcpu_events();
        let mut events = events.map_err(kvm("KVM_GET_VCPU_EVENTS"))?;
        events.exception.injected = 1;
        events.exception.nr = GENERAL_PROTECTION;
        events.exception.has_error_code = 1;
        events.exception.error_code = 0;
        let told = self.fd.set_vcpu_events(&events);
        told.map_err(kvm("KVM_SET_VCPU_EVENTS"))?;
        Ok(true)
    }

    /// KVM goes past the instruction that it stopped for when the CPU next runs: it does so here, and runs nothing.
    fn complete_exit(&mut self) -> Result<()> {
        self.fd.set_kvm_immediate_exit(1);
        let stopped = self.fd.run().map(drop);
        self.fd.set_kvm_immediate_exit(0);
        match stopped {
            Err(e) if e.errno() != libc::EINTR => Err(kvm("KVM_RUN")(e)),
            _ => Ok(()),
        }
    }
}

fn flat_protected_mode(sregs: &mut kvm_sregs) {
    let data = kvm_segment {
        base: 0,
        limit: u32::MAX,
        selector: 0x18,
        type_: 3,
        present: 1,
        s: 1,
        db: 1,
        g: 1,
        ..Default::default()
    };
    sregs.cs = kvm_segment {
        selector: 0x10,
        type_: 11,
        ..data
    };
    (sregs.ds, sregs.es, sregs.fs, sregs.gs, sregs.ss) = (data, data, data, data, data);
    sregs.tr = kvm_segment {
        limit: 0x67,
        type_: 11,
        present: 1,
        ..Default::default()
    };
    sregs.cr0 = CR0_PE_ET;
    sregs.cr4 = CR4;
    sregs.efer = 0;
}

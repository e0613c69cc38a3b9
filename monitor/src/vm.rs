//! The virtual machine as KVM sees it: memory slots, interrupt controllers, doorbells.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use kvm_bindings::{KVM_API_VERSION, kvm_userspace_memory_region};
use kvm_ioctls::{IoEventAddress, Kvm, NoDatamatch, VmFd};
use virtio_bindings::virtio_mmio::VIRTIO_MMIO_QUEUE_NOTIFY;
use vm_memory::{Address, GuestMemoryBackend, GuestMemoryRegion};
use vmm_sys_util::eventfd::EventFd;

use crate::error::{Error, Result, kvm};
use crate::layout::KVM_TSS;
use crate::memory::GuestMemory;

const DEVICE: &str = "/dev/kvm";
const GROUP_MAY_USE: u32 = 0o060;

pub struct Vm {
    pub kvm: Kvm,
    pub fd: Arc<VmFd>,
}

impl Vm {
    pub fn new() -> Result<Self> {
        let kvm = open()?;
        let fd = kvm.create_vm().map_err(self::kvm("KVM_CREATE_VM"))?;
        Ok(Self {
            kvm,
            fd: Arc::new(fd),
        })
    }

    /// Memory first: a slot waits for readers of KVM's tables, which takes milliseconds longer when the interrupt
    /// controllers' registration is being waited for in the background.
    pub fn set_up(&self, memory: &GuestMemory) -> Result<()> {
        for (slot, region) in (0..).zip(memory.iter()) {
            let slot = kvm_userspace_memory_region {
                slot,
                flags: 0,
                guest_phys_addr: region.start_addr().raw_value(),
                memory_size: region.len(),
                userspace_addr: region.get_mmap().as_ptr() as u64,
            };
            set_slot(&self.fd, slot)?;
        }
        self.fd
            .set_tss_address(KVM_TSS)
            .map_err(kvm("KVM_SET_TSS_ADDR"))?;
        self.fd.create_irq_chip().map_err(kvm("KVM_CREATE_IRQCHIP"))
    }

    /// Guest writes of 32 bits to `QueueNotify` of the device at `base` are counted in `fd` and do not stop the CPU.
    pub fn doorbell(&self, base: u64, fd: &EventFd) -> Result<()> {
        let address = IoEventAddress::Mmio(base + u64::from(VIRTIO_MMIO_QUEUE_NOTIFY));
        self.fd
            .register_ioevent(fd, &address, NoDatamatch)
            .map_err(kvm("KVM_IOEVENTFD"))
    }

    /// A write to `fd` is an edge on the interrupt line.
    pub fn interrupt(&self, fd: &EventFd, line: u32) -> Result<()> {
        self.fd.register_irqfd(fd, line).map_err(kvm("KVM_IRQFD"))
    }
}

#[allow(unsafe_code)]
fn set_slot(fd: &VmFd, slot: kvm_userspace_memory_region) -> Result<()> {
    // SAFETY: the range is guest RAM, which stays mapped until the process ends, and which the monitor itself
    // only touches by volatile access.
    unsafe { fd.set_user_memory_region(slot) }.map_err(kvm("KVM_SET_USER_MEMORY_REGION"))
}

fn open() -> Result<Kvm> {
    let kvm = Kvm::new().map_err(|e| Error::NoKvm(explain(&std::io::Error::from(e))))?;
    match kvm.get_api_version() {
        v if v == KVM_API_VERSION as i32 => Ok(kvm),
        v => Err(Error::NoKvm(format!(
            "{DEVICE} speaks version {v} of its interface, not {KVM_API_VERSION}"
        ))),
    }
}

fn explain(error: &std::io::Error) -> String {
    let hint = "`compat run --platform qemu` works without it";
    match error.kind() {
        ErrorKind::NotFound => format!(
            "there is no {DEVICE}: this host offers no KVM (or the module is not loaded); {hint}"
        ),
        ErrorKind::PermissionDenied => format!("no permission to open {DEVICE}: {}; {hint}", who()),
        _ => format!("cannot open {DEVICE}: {error}; {hint}"),
    }
}

/// Who may use KVM, and how to become one of them.
fn who() -> String {
    let Ok(meta) = std::fs::metadata(DEVICE) else {
        return "its owner is unknown".to_owned();
    };
    if meta.mode() & GROUP_MAY_USE != GROUP_MAY_USE {
        return "only its owner may use it (`chgrp kvm /dev/kvm && chmod 660 /dev/kvm`, as root, lets group kvm)".to_owned();
    }
    let gid = meta.gid().to_string();
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let name = groups
        .lines()
        .find(|line| line.split(':').nth(2) == Some(&gid))
        .and_then(|line| line.split(':').next());
    let name = name.unwrap_or(&gid);
    format!(
        "it belongs to group {name}; join it (`adduser USER {name}` as root, then log in again)"
    )
}

//! Has KVM finish, beside the boot, what it does in the background after the machine was made.
//!
//! Each device that is registered replaces a table, and KVM gives the old one back once no CPU can be reading it: it takes its time
//! (20 ms are usual), and the end of the machine waits for it. Taking a doorbell away again is in a hurry, and all that was
//! registered before has to be done first. So a program that ends at once need not wait for what nobody needs.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};

use kvm_ioctls::{IoEventAddress, NoDatamatch, VmFd};
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

use crate::error::{Result, host, kvm};
use crate::layout::SPARE_DOORBELL;
use crate::seccomp;

/// A thread that hurries KVM.
pub struct Settling {
    confined: Receiver<Result<()>>,
}

impl Settling {
    /// Begins, once all devices are registered.
    pub fn begin(vm: Arc<VmFd>) -> Result<Self> {
        let bell = EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC).map_err(host("eventfd"))?;
        let at = IoEventAddress::Mmio(SPARE_DOORBELL);
        vm.register_ioevent(&bell, &at, NoDatamatch)
            .map_err(kvm("KVM_IOEVENTFD"))?;
        let (tell, confined) = mpsc::channel();
        let body = move || {
            let filter = seccomp::settling_filter();
            let installed = filter.and_then(|filter| seccomp::install(&filter));
            let may_go_on = installed.is_ok();
            // Nobody asks any more if the start has failed meanwhile.
            let _ = tell.send(installed);
            if may_go_on {
                // If it fails, the end takes longer, and nothing else.
                let _ = vm.unregister_ioevent(&bell, &at, NoDatamatch);
            }
        };
        std::thread::Builder::new()
            .name("settle".to_owned())
            .stack_size(64 << 10)
            .spawn(body)
            .map_err(host("cannot start a thread"))?;
        Ok(Self { confined })
    }

    /// Waits until the thread can do nothing else.
    pub fn confined(&self) -> Result<()> {
        // A thread that has gone is confined as well.
        self.confined.recv().unwrap_or(Ok(()))
    }
}

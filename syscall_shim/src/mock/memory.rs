use super::Mock;
use crate::kernel::{Memory, MmapRequest, Remap};
use alloc::format;
use linux_abi::{Advice, Errno, MlockallFlags, MsyncFlags, Prot};

/// Remembers what it was asked.
impl Memory for Mock {
    fn mmap(&self, request: &MmapRequest) -> Result<u64, Errno> {
        let MmapRequest {
            addr,
            len,
            prot,
            flags,
            file,
            offset,
        } = request;
        let file = if file.is_some() { "file" } else { "anonymous" };
        self.note(format!(
            "mmap {addr:#x} {len:#x} {prot:?} {flags:?} {file} {offset:#x}"
        ));
        Ok(if *addr == 0 { 0x7000_0000 } else { *addr })
    }

    fn munmap(&self, addr: u64, len: u64) -> Result<(), Errno> {
        self.note(format!("munmap {addr:#x} {len:#x}"));
        Ok(())
    }

    fn mprotect(&self, addr: u64, len: u64, prot: Prot) -> Result<(), Errno> {
        self.note(format!("mprotect {addr:#x} {len:#x} {prot:?}"));
        Ok(())
    }

    fn mseal(&self, addr: u64, len: u64) -> Result<(), Errno> {
        self.note(format!("mseal {addr:#x} {len:#x}"));
        Ok(())
    }

    fn mremap(&self, remap: &Remap) -> Result<u64, Errno> {
        self.note(format!(
            "mremap {:#x} {:#x} {:#x}",
            remap.old_addr, remap.old_len, remap.new_len
        ));
        Ok(remap.old_addr)
    }

    fn remap_file(&self, addr: u64, len: u64, offset: u64) -> Result<(), Errno> {
        self.note(format!("remap_file {addr:#x} {len:#x} {offset:#x}"));
        Ok(())
    }

    fn madvise(&self, addr: u64, len: u64, advice: Advice) -> Result<(), Errno> {
        self.note(format!("madvise {addr:#x} {len:#x} {advice:?}"));
        Ok(())
    }

    fn brk(&self, addr: u64) -> u64 {
        addr.max(0x1000)
    }

    fn msync(&self, addr: u64, len: u64, flags: MsyncFlags) -> Result<(), Errno> {
        self.note(format!("msync {addr:#x} {len:#x} {flags:?}"));
        Ok(())
    }

    fn mincore(&self, _addr: u64, present: &mut [u8]) -> Result<(), Errno> {
        present.fill(1);
        Ok(())
    }

    fn mlock(&self, addr: u64, len: u64, on_fault: bool) -> Result<(), Errno> {
        self.note(format!("mlock {addr:#x} {len:#x} {on_fault}"));
        Ok(())
    }

    fn munlock(&self, addr: u64, len: u64) -> Result<(), Errno> {
        self.note(format!("munlock {addr:#x} {len:#x}"));
        Ok(())
    }

    fn mlockall(&self, flags: MlockallFlags) -> Result<(), Errno> {
        self.note(format!("mlockall {flags:?}"));
        Ok(())
    }

    fn munlockall(&self) -> Result<(), Errno> {
        self.note("munlockall");
        Ok(())
    }
}

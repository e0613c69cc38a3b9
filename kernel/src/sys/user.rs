//! The program's memory.

use super::Caller;
use crate::mm::fault::Access;
use crate::mm::layout::PAGE;
use crate::mm::user;
use linux_abi::Errno;
use syscall_shim::kernel::UserMemory;

impl vfs::UserMemory for Caller<'_> {
    fn read(&self, addr: u64, into: &mut [u8]) -> Result<(), Errno> {
        user::read(addr, into)
    }

    fn write(&self, addr: u64, from: &[u8]) -> Result<(), Errno> {
        user::write(addr, from)
    }

    fn zero(&self, addr: u64, len: usize) -> Result<(), Errno> {
        user::zero(addr, len)
    }
}

impl UserMemory for Caller<'_> {
    fn read_some(&self, addr: u64, into: &mut [u8]) -> usize {
        let usable = user::prepare(addr, into.len() as u64, Access::Read) as usize;
        match into.get_mut(..usable) {
            Some(part) => user::read(addr, part).map_or(0, |()| usable),
            None => 0,
        }
    }

    fn write_some(&self, addr: u64, from: &[u8]) -> usize {
        let usable = user::prepare(addr, from.len() as u64, Access::Write) as usize;
        match from.get(..usable) {
            Some(part) if user::write(addr, part).is_ok() => usable,
            _ => 0,
        }
    }

    fn read_cstr<'a>(&self, addr: u64, into: &'a mut [u8]) -> Result<&'a [u8], Errno> {
        let mut done = 0;
        while done < into.len() {
            let at = addr.wrapping_add(done as u64);
            let chunk = ((PAGE - at % PAGE) as usize).min(64).min(into.len() - done);
            let part = into.get_mut(done..done + chunk).ok_or(Errno::EFAULT)?;
            user::read(at, part)?;
            if let Some(nul) = part.iter().position(|&byte| byte == 0) {
                return into.get(..done + nul).ok_or(Errno::EFAULT);
            }
            done += chunk;
        }
        Err(Errno::ENAMETOOLONG)
    }
}

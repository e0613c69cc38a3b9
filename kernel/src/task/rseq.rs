//! Restartable sequences, rseq(2): the area in which a thread is told its CPU, and which names the critical section that it
//! is in. One that is left by a switch or for a signal handler does not go on but begins again.

use super::frame::Frame;
use super::signal;
use super::thread::Thread;
use crate::mm::layout::USER_END;
use crate::mm::user;
use crate::percpu;
use linux_abi::zerocopy::{FromBytes, IntoBytes};
use linux_abi::{Errno, Rseq, RseqCs, Siginfo, Signal};

const CS_OFFSET: u64 = core::mem::offset_of!(Rseq, rseq_cs) as u64;
const NODE_OFFSET: u64 = core::mem::offset_of!(Rseq, node_id) as u64;
/// `RSEQ_CPU_ID_UNINITIALIZED`
const UNINITIALIZED: u32 = u32::MAX;

/// The registered area; address 0 is none.
#[derive(Clone, Copy, Default)]
struct Area {
    address: u64,
    len: u32,
    signature: u32,
}

fn area(thread: &Thread) -> Area {
    let (address, len, signature) = *thread.rseq.lock();
    Area {
        address,
        len,
        signature,
    }
}

/// Registers an area: EBUSY if it is already, EINVAL or EPERM if it is another.
pub fn register(thread: &Thread, address: u64, len: u32, signature: u32) -> Result<(), Errno> {
    let old = area(thread);
    if old.address != 0 {
        return Err(
            match (
                old.address == address && old.len == len,
                old.signature == signature,
            ) {
                (true, true) => Errno::EBUSY,
                (true, false) => Errno::EPERM,
                (false, _) => Errno::EINVAL,
            },
        );
    }
    tell_cpu(address, percpu::this().cpu, percpu::this().cpu)?;
    *thread.rseq.lock() = (address, len, signature);
    Ok(())
}

/// Forgets the area.
pub fn unregister(thread: &Thread, address: u64, len: u32, signature: u32) -> Result<(), Errno> {
    let old = area(thread);
    if old.address == 0 || old.address != address || old.len != len {
        return Err(Errno::EINVAL);
    }
    if old.signature != signature {
        return Err(Errno::EPERM);
    }
    tell_cpu(address, 0, UNINITIALIZED)?;
    *thread.rseq.lock() = (0, 0, 0);
    Ok(())
}

/// cpu_id_start and cpu_id; node_id and mm_cid, which are 0.
fn tell_cpu(address: u64, start: u32, cpu: u32) -> Result<(), Errno> {
    user::write(address, [start, cpu].as_bytes())?;
    user::write(address + NODE_OFFSET, &[0; 8])
}

/// The thread is about to go on in the program after a switch, or to enter a signal handler: leaves a critical section by its
/// abort address. A broken description ends in SIGSEGV, as under Linux.
pub fn rseq_check(thread: &Thread, frame: &mut Frame) {
    let area = area(thread);
    if area.address != 0 && check(&area, frame).is_err() {
        signal::force(Siginfo::kernel(Signal::SIGSEGV));
    }
}

fn check(area: &Area, frame: &mut Frame) -> Result<(), Errno> {
    let cpu = percpu::this().cpu;
    let told = read::<[u32; 2]>(area.address)?;
    if told != [cpu, cpu] {
        tell_cpu(area.address, cpu, cpu)?;
    }
    let at = read::<u64>(area.address + CS_OFFSET)?;
    if at == 0 {
        return Ok(());
    }
    let section = read::<RseqCs>(at)?;
    let end = section
        .start_ip
        .checked_add(section.post_commit_offset)
        .filter(|end| *end <= USER_END)
        .ok_or(Errno::EINVAL)?;
    let inside = section.start_ip..end;
    if section.version != 0 || inside.contains(&section.abort_ip) || section.abort_ip >= USER_END {
        return Err(Errno::EINVAL);
    }
    if inside.contains(&frame.rip) {
        let signature = read::<u32>(section.abort_ip.checked_sub(4).ok_or(Errno::EINVAL)?)?;
        if signature != area.signature {
            return Err(Errno::EINVAL);
        }
        frame.rip = section.abort_ip;
    }
    user::write(area.address + CS_OFFSET, &[0; 8])
}

fn read<T: FromBytes + IntoBytes>(address: u64) -> Result<T, Errno> {
    let mut value = T::new_zeroed();
    user::read(address, value.as_mut_bytes())?;
    Ok(value)
}

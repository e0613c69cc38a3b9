//! io_uring_register(2): what an instance knows by number.
use super::instance::{State, Uring};
use super::ops::operation;
use super::request::{Request, Step};
use crate::Fd;
use crate::kernel::Kernel;
use crate::user::UserPtr;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use linux_abi::raw::io_uring as raw;
use linux_abi::{Errno, IoUringFilesUpdate, IoUringProbe, IoUringProbeOp, Iovec, SysResult};
use vfs::{EventFd, File};

const BUFFERS_MAX: u32 = 1 << 14;
const FILES_MAX: u32 = 1 << 15;
/// Leaves a slot as it is.
const FILES_SKIP: i32 = -2;
/// `IO_URING_OP_SUPPORTED`
const SUPPORTED: u16 = 1;

/// The operations, as the header numbers them.
mod nr {
    use linux_abi::raw::io_uring::io_uring_register_op as op;

    pub(super) const BUFFERS: u32 = op::IORING_REGISTER_BUFFERS as u32;
    pub(super) const NO_BUFFERS: u32 = op::IORING_UNREGISTER_BUFFERS as u32;
    pub(super) const FILES: u32 = op::IORING_REGISTER_FILES as u32;
    pub(super) const NO_FILES: u32 = op::IORING_UNREGISTER_FILES as u32;
    pub(super) const EVENTFD: u32 = op::IORING_REGISTER_EVENTFD as u32;
    pub(super) const NO_EVENTFD: u32 = op::IORING_UNREGISTER_EVENTFD as u32;
    pub(super) const FILES_UPDATE: u32 = op::IORING_REGISTER_FILES_UPDATE as u32;
    pub(super) const EVENTFD_ASYNC: u32 = op::IORING_REGISTER_EVENTFD_ASYNC as u32;
    pub(super) const PROBE: u32 = op::IORING_REGISTER_PROBE as u32;
    pub(super) const ENABLE_RINGS: u32 = op::IORING_REGISTER_ENABLE_RINGS as u32;
}

/// io_uring_register(2)
pub fn io_uring_register<K: Kernel>(
    k: &K,
    fd: Fd,
    opcode: u32,
    arg: u64,
    nr_args: u32,
) -> SysResult {
    let file = k.files().get(fd)?;
    let ring = Uring::of(&file)?;
    let none = arg == 0 && nr_args == 0;
    match opcode {
        nr::BUFFERS => buffers(k, &ring, arg, nr_args)?,
        nr::FILES => files(k, &ring, arg, nr_args)?,
        nr::FILES_UPDATE => {
            let update = UserPtr::<IoUringFilesUpdate>::new(arg).read(k)?;
            if update.resv != 0 {
                return Err(Errno::EINVAL);
            }
            return update_files(k, &ring, update.offset, update.fds, nr_args);
        }
        nr::EVENTFD | nr::EVENTFD_ASYNC if nr_args == 1 => eventfd(k, &ring, arg)?,
        nr::PROBE => probe(k, arg, nr_args)?,
        nr::NO_BUFFERS if none => forget(&ring, |state| state.buffers.take().is_some())?,
        nr::NO_FILES if none => forget(&ring, |state| state.files.take().is_some())?,
        nr::NO_EVENTFD if none => forget(&ring, |state| state.eventfd.take().is_some())?,
        nr::ENABLE_RINGS if none => {
            if !core::mem::replace(&mut ring.state.lock().disabled, false) {
                return Err(Errno::EBADFD);
            }
        }
        nr::EVENTFD
        | nr::EVENTFD_ASYNC
        | nr::NO_BUFFERS
        | nr::NO_FILES
        | nr::NO_EVENTFD
        | nr::ENABLE_RINGS => return Err(Errno::EINVAL),
        _ => {
            k.unsupported_part("io_uring_register: other than buffers, files, eventfd, probe");
            return Err(Errno::EINVAL);
        }
    }
    Ok(0)
}

fn forget(ring: &Uring, take: fn(&mut State) -> bool) -> Result<(), Errno> {
    if take(&mut ring.state.lock()) {
        Ok(())
    } else {
        Err(Errno::ENXIO)
    }
}

fn buffers<K: Kernel>(k: &K, ring: &Uring, arg: u64, count: u32) -> Result<(), Errno> {
    if ring.state.lock().buffers.is_some() {
        return Err(Errno::EBUSY);
    }
    if count == 0 || count > BUFFERS_MAX {
        return Err(Errno::EINVAL);
    }
    let mut given = vec![Iovec::default(); count as usize];
    UserPtr::new(arg).read_slice(k, &mut given)?;
    if given
        .iter()
        .any(|buffer| !k.access_ok(buffer.base, buffer.len))
    {
        return Err(Errno::EFAULT);
    }
    let known = given.iter().map(|buffer| (buffer.base, buffer.len));
    ring.state.lock().buffers = Some(known.collect());
    Ok(())
}

/// The file for a slot; none for -1. An instance among its own files would never end.
fn slot<K: Kernel>(k: &K, fd: i32) -> Result<Option<Arc<File>>, Errno> {
    if fd == -1 {
        return Ok(None);
    }
    let file = k.files().get(fd)?;
    if file.ops_as::<Uring>().is_some() || file.is_path() {
        Err(Errno::EBADF)
    } else {
        Ok(Some(file))
    }
}

fn files<K: Kernel>(k: &K, ring: &Uring, arg: u64, count: u32) -> Result<(), Errno> {
    if ring.state.lock().files.is_some() {
        return Err(Errno::EBUSY);
    }
    if count == 0 {
        return Err(Errno::EINVAL);
    }
    if count > FILES_MAX {
        return Err(Errno::EMFILE);
    }
    let mut fds = vec![0_i32; count as usize];
    UserPtr::new(arg).read_slice(k, &mut fds)?;
    let known = fds
        .iter()
        .map(|&fd| slot(k, fd))
        .collect::<Result<Vec<_>, _>>()?;
    ring.state.lock().files = Some(known);
    Ok(())
}

/// Puts other files into the slots from `offset` on: how many it came to.
fn update_files<K: Kernel>(k: &K, ring: &Uring, offset: u32, fds: u64, count: u32) -> SysResult {
    let known = ring.state.lock().files.as_ref().map(Vec::len);
    let known = known.ok_or(Errno::ENXIO)?;
    let end = (offset as usize).saturating_add(count as usize);
    if count == 0 || end > known {
        return Err(Errno::EINVAL);
    }
    for at in 0..count as usize {
        let file = match UserPtr::<i32>::new(fds).at(at).read(k) {
            Ok(FILES_SKIP) => continue,
            Ok(fd) => slot(k, fd),
            Err(errno) => Err(errno),
        };
        let file = match file {
            Err(errno) if at == 0 => return Err(errno),
            Err(_) => return Ok(at),
            Ok(file) => file,
        };
        let old = {
            let mut state = ring.state.lock();
            let files = state.files.as_deref_mut().unwrap_or(&mut []);
            let place = files.get_mut(offset as usize + at).ok_or(Errno::ENXIO)?;
            core::mem::replace(place, file)
        };
        drop(old);
    }
    Ok(count as usize)
}

/// `IORING_OP_FILES_UPDATE`
pub(super) fn files_update<K: Kernel>(
    k: &K,
    ring: &Arc<Uring>,
    request: &Request,
) -> Result<Step, Errno> {
    let sqe = &request.sqe;
    let offset = u32::try_from(sqe.off).map_err(|_| Errno::EINVAL)?;
    let count = update_files(k, ring, offset, sqe.addr, sqe.len)?;
    Ok(Step::Done(count as i32, true))
}

fn eventfd<K: Kernel>(k: &K, ring: &Uring, arg: u64) -> Result<(), Errno> {
    let file = k.files().get(UserPtr::<i32>::new(arg).read(k)?)?;
    file.ops_as::<EventFd>().ok_or(Errno::EINVAL)?;
    let mut state = ring.state.lock();
    if state.eventfd.is_some() {
        return Err(Errno::EBUSY);
    }
    state.eventfd = Some(file);
    Ok(())
}

fn probe<K: Kernel>(k: &K, arg: u64, count: u32) -> Result<(), Errno> {
    if count > 256 {
        return Err(Errno::EINVAL);
    }
    let header = UserPtr::<IoUringProbe>::new(arg);
    if header.read(k)? != IoUringProbe::default() {
        return Err(Errno::EINVAL);
    }
    let known = raw::io_uring_op::IORING_OP_LAST as u8;
    let listed = count.min(u32::from(known)) as u8;
    let answer = IoUringProbe {
        last_op: known - 1,
        ops_len: listed,
        ..IoUringProbe::default()
    };
    header.write(k, &answer)?;
    for op in 0..listed {
        let flags = if operation::<K>(op).is_some() {
            SUPPORTED
        } else {
            0
        };
        let entry = IoUringProbeOp {
            op,
            flags,
            ..IoUringProbeOp::default()
        };
        header
            .at(1)
            .cast::<IoUringProbeOp>()
            .at(usize::from(op))
            .write(k, &entry)?;
    }
    Ok(())
}

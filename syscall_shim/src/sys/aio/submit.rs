use super::context::{Context, PollRequest};
use crate::kernel::Kernel;
use crate::sys::files::{blocking, fsync, limit_size, write_from};
use crate::user::{IoBuffers, UserPtr};
use alloc::sync::Arc;
use linux_abi::*;
use vfs::{EventFd, File, Wake, poll};

/// io_submit(2): how many were submitted; the error of the first is only told if none was.
pub fn io_submit<K: Kernel>(k: &K, ctx: u64, nr: i64, iocbpp: UserPtr<u64>) -> SysResult {
    let count = usize::try_from(nr).map_err(|_| Errno::EINVAL)?;
    let context = Context::find(k, ctx)?;
    for at in 0..count {
        let submitted = iocbpp
            .at(at)
            .read(k)
            .and_then(|iocb| submit(k, &context, UserPtr::new(iocb)));
        match submitted {
            Ok(()) => {}
            Err(errno) if at == 0 => return Err(errno),
            Err(_) => return Ok(at),
        }
    }
    Ok(count)
}

fn submit<K: Kernel>(k: &K, context: &Arc<Context>, place: UserPtr<Iocb>) -> Result<(), Errno> {
    let iocb = place.read(k)?;
    if iocb.reserved != 0 || i64::try_from(iocb.nbytes).is_err() {
        return Err(Errno::EINVAL);
    }
    context.check_room()?;
    let file = k.files().get(iocb.fildes)?;
    if file.is_path() {
        return Err(Errno::EBADF);
    }
    let resfd = if iocb.flags & IOCB_FLAG_RESFD != 0 {
        let resfd = k.files().get(iocb.resfd)?;
        resfd.ops_as::<EventFd>().ok_or(Errno::EINVAL)?;
        Some(resfd)
    } else {
        None
    };
    place.cast::<u32>().at(2).write(k, &0)?;
    let event = IoEvent {
        data: iocb.data,
        obj: place.addr(),
        ..IoEvent::default()
    };
    if iocb.opcode == IOCB_CMD_POLL {
        return watch(context, file, &iocb, event, resfd);
    }
    let res = match run(k, &file, &iocb)? {
        Ok(count) => count as i64,
        // A signal does not restart what is not a call.
        Err(Errno::ERESTARTSYS) => -(Errno::EINTR.raw() as i64),
        Err(errno) => -(errno.raw() as i64),
    };
    context.complete(IoEvent { res, ..event }, resfd.as_ref());
    Ok(())
}

/// Does it. The outer error is that of the submission, the inner one that of the operation.
fn run<K: Kernel>(k: &K, file: &File, iocb: &Iocb) -> Result<SysResult, Errno> {
    let offset = u64::try_from(iocb.offset).map_err(|_| Errno::EINVAL)?;
    match iocb.opcode {
        IOCB_CMD_FSYNC | IOCB_CMD_FDSYNC => return fsync(k, iocb.fildes).map(Ok),
        IOCB_CMD_PREAD | IOCB_CMD_PREADV | IOCB_CMD_PWRITE | IOCB_CMD_PWRITEV => {}
        _ => return Err(Errno::EINVAL),
    }
    RwFlags::from_bits(iocb.rw_flags)
        .filter(|flags| (RwFlags::RWF_DSYNC | RwFlags::RWF_SYNC).contains(*flags))
        .ok_or(Errno::EOPNOTSUPP)?;
    let count = iocb.nbytes as usize;
    let mut buffers = if matches!(iocb.opcode, IOCB_CMD_PREADV | IOCB_CMD_PWRITEV) {
        IoBuffers::vector(k, UserPtr::new(iocb.buf), count)?
    } else {
        IoBuffers::single(k, UserPtr::new(iocb.buf), count)?
    };
    if matches!(iocb.opcode, IOCB_CMD_PREAD | IOCB_CMD_PREADV) {
        if !file.is_readable() {
            return Err(Errno::EBADF);
        }
        return Ok(blocking(k, file, || {
            let mut sink = buffers.sink(k);
            if file.is_seekable() {
                file.read_at(offset, &mut sink)
            } else {
                file.read(&mut sink)
            }
        }));
    }
    if !file.is_writable() {
        return Err(Errno::EBADF);
    }
    if !file.is_seekable() {
        return Ok(write_from(k, file, &buffers));
    }
    limit_size(k, file, &mut buffers, Some(offset))?;
    Ok(file.write_at(offset, &mut buffers.source(k)))
}

/// `IOCB_CMD_POLL`
fn watch(
    context: &Arc<Context>,
    file: Arc<File>,
    iocb: &Iocb,
    event: IoEvent,
    resfd: Option<Arc<File>>,
) -> Result<(), Errno> {
    let mask = u16::try_from(iocb.buf).map_err(|_| Errno::EINVAL)?;
    if (iocb.offset, iocb.nbytes, iocb.rw_flags) != (0, 0, 0) {
        return Err(Errno::EINVAL);
    }
    let request = Arc::new_cyclic(|this| PollRequest {
        context: Arc::downgrade(context),
        this: this.clone(),
        file,
        mask: u32::from(mask) | poll::ERR | poll::HUP,
        event,
        resfd,
    });
    context.add_poll(&request);
    if let Some(list) = request.file.wait_list() {
        let waker: Arc<dyn Wake> = request.clone();
        list.add(&waker);
    }
    request.look();
    Ok(())
}

/// io_cancel(2): EINPROGRESS says that it worked, and that the event comes. Only polls can be cancelled.
pub fn io_cancel<K: Kernel>(
    k: &K,
    ctx: u64,
    iocb: UserPtr<Iocb>,
    _result: UserPtr<IoEvent>,
) -> SysResult {
    if iocb.read(k)?.key != 0 {
        return Err(Errno::EINVAL);
    }
    match Context::find(k, ctx)?.cancel(iocb.addr()) {
        Some(()) => Err(Errno::EINPROGRESS),
        None => Err(Errno::EINVAL),
    }
}

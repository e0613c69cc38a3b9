//! eventfd(2).
use crate::Result;
use crate::file::File;
use crate::io::{Sink, Source};
use crate::ops::FileOps;
use crate::types::poll;
use crate::wait::WaitList;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_abi::Errno;
use linux_abi::raw::general::{O_CLOEXEC, O_NONBLOCK, O_RDWR};
use spin::Mutex;

const EFD_SEMAPHORE: u32 = 1;
/// The counter never becomes larger than this.
const MAX: u64 = u64::MAX - 1;

pub struct EventFd {
    counter: Mutex<u64>,
    semaphore: bool,
    waiters: WaitList,
}

/// eventfd2(2).
pub fn eventfd(initial: u32, flags: u32) -> Result<Arc<File>> {
    if flags & !(EFD_SEMAPHORE | O_NONBLOCK | O_CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    let ops = EventFd {
        counter: Mutex::new(u64::from(initial)),
        semaphore: flags & EFD_SEMAPHORE != 0,
        waiters: WaitList::new(),
    };
    Ok(File::from_ops(Arc::new(ops), O_RDWR | (flags & O_NONBLOCK)))
}

impl EventFd {
    /// Adds to the counter from inside the kernel; what does not fit is dropped.
    pub fn signal(&self, count: u64) {
        {
            let mut counter = self.counter.lock();
            *counter = counter.saturating_add(count).min(MAX);
        }
        self.waiters.notify(poll::IN | poll::RDNORM);
    }
}

impl FileOps for EventFd {
    fn read(&self, _offset: u64, sink: &mut dyn Sink) -> Result<usize> {
        if sink.remaining() < 8 {
            return Err(Errno::EINVAL);
        }
        {
            let mut counter = self.counter.lock();
            if *counter == 0 {
                return Err(Errno::EAGAIN);
            }
            let taken = if self.semaphore { 1 } else { *counter };
            sink.put(&taken.to_le_bytes())?;
            *counter -= taken;
        }
        self.waiters.notify(poll::OUT | poll::WRNORM);
        Ok(8)
    }

    fn write(&self, _offset: u64, source: &mut dyn Source) -> Result<usize> {
        if source.remaining() < 8 {
            return Err(Errno::EINVAL);
        }
        let mut bytes = [0; 8];
        source.take(&mut bytes)?;
        let count = u64::from_le_bytes(bytes);
        if count == u64::MAX {
            return Err(Errno::EINVAL);
        }
        {
            let mut counter = self.counter.lock();
            if MAX - *counter < count {
                return Err(Errno::EAGAIN);
            }
            *counter += count;
        }
        self.waiters.notify(poll::IN | poll::RDNORM);
        Ok(8)
    }

    fn poll(&self) -> u32 {
        let counter = *self.counter.lock();
        poll::ready(counter > 0, counter < MAX)
    }

    fn wait_list(&self) -> Option<&WaitList> {
        Some(&self.waiters)
    }

    fn describe(&self) -> Option<Vec<u8>> {
        Some(b"anon_inode:[eventfd]".to_vec())
    }

    fn fdinfo(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("eventfd-count: {:16x}\n", *self.counter.lock()).as_bytes());
    }
}

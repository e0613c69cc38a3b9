//! sendfile(2) and splice(2) into a socket: the bytes go there from where they are, and only what the socket takes.
use super::transfer::blocking;
use crate::kernel::Kernel;
use crate::sys::sockets::{Envelope, send_from};
use linux_abi::{Errno, MsgFlags, SpliceFlags, SysResult};
use net::Socket;
use vfs::{File, PipeEnd, SliceSink, SliceSource, Source, poll};

/// A stretch of a file.
struct FileSource<'a> {
    file: &'a File,
    at: u64,
    left: usize,
}

impl Source for FileSource<'_> {
    fn remaining(&self) -> usize {
        self.left
    }

    fn take(&mut self, into: &mut [u8]) -> Result<(), Errno> {
        let mut sink = SliceSink::new(into);
        while vfs::Sink::remaining(&sink) > 0 {
            match self.file.read_at(self.at, &mut sink)? {
                // It has become shorter meanwhile.
                0 => return Err(Errno::EIO),
                count => self.skip(count)?,
            }
        }
        Ok(())
    }

    fn skip(&mut self, count: usize) -> Result<(), Errno> {
        self.at = self.at.saturating_add(count as u64);
        self.left = self.left.saturating_sub(count);
        Ok(())
    }
}

/// What is in a pipe. It is gone from there when it has been taken.
struct PipeSource<'a> {
    pipe: &'a File,
    left: usize,
}

impl Source for PipeSource<'_> {
    fn remaining(&self) -> usize {
        self.left
    }

    fn take(&mut self, into: &mut [u8]) -> Result<(), Errno> {
        let mut sink = SliceSink::new(into);
        while vfs::Sink::remaining(&sink) > 0 {
            let count = self.pipe.read(&mut sink)?;
            // Somebody else reads the same pipe.
            self.left = self.left.checked_sub(count).ok_or(Errno::EIO)?;
            if count == 0 {
                return Err(Errno::EIO);
            }
        }
        Ok(())
    }
}

/// sendfile(2) of a regular file from `start` on.
pub(super) fn send_file<K: Kernel>(
    k: &K,
    (input, start): (&File, u64),
    to: (&File, &Socket),
    count: usize,
) -> SysResult {
    let left = input.metadata().size.saturating_sub(start);
    let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(count);
    if wanted == 0 {
        return Ok(0);
    }
    let bytes = |done: usize| {
        Ok(FileSource {
            file: input,
            at: start.saturating_add(done as u64),
            left: wanted - done,
        })
    };
    send_from(k, to, wanted, bytes, Envelope::default())
}

/// Sends bytes of the kernel's own.
pub(super) fn send_bytes<K: Kernel>(k: &K, to: (&File, &Socket), bytes: &[u8]) -> SysResult {
    let from = |done: usize| Ok(SliceSource::new(bytes.get(done..).unwrap_or(&[])));
    send_from(k, to, bytes.len(), from, Envelope::default())
}

/// splice(2) from a pipe.
pub(super) fn send_pipe<K: Kernel>(
    k: &K,
    (input, pipe): (&File, &PipeEnd),
    to: (&File, &Socket),
    len: usize,
    flags: SpliceFlags,
) -> SysResult {
    let filled = || match input.poll() {
        events if events & poll::IN != 0 => Ok(pipe.waiting()),
        events if events & poll::HUP != 0 => Ok(0),
        _ => Err(Errno::EAGAIN),
    };
    let waiting = if flags.contains(SpliceFlags::SPLICE_F_NONBLOCK) {
        filled()?
    } else {
        blocking(k, input, filled)?
    };
    let wanted = waiting.min(len);
    if wanted == 0 {
        return Ok(0);
    }
    let bytes = |done: usize| {
        Ok(PipeSource {
            pipe: input,
            left: wanted - done,
        })
    };
    let mut envelope = Envelope::default();
    envelope.flags.set(
        MsgFlags::MSG_MORE,
        flags.contains(SpliceFlags::SPLICE_F_MORE),
    );
    send_from(k, to, wanted, bytes, envelope)
}

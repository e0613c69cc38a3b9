//! Copies between files inside the kernel.
use super::to_socket::{send_bytes, send_file};
use super::transfer::{blocking, broken_pipe};
use crate::Fd;
use crate::kernel::Kernel;
use crate::user::UserPtr;
use alloc::vec;
use linux_abi::raw::general::{O_APPEND, SEEK_CUR, SEEK_SET};
use linux_abi::{Errno, MAX_RW_COUNT, SysResult};
use net::{Socket, SocketType};
use vfs::{File, FileType, SliceSink, SliceSource, Source};

/// How much is moved at a time.
const STEP: usize = 64 * 1024;

/// Where the bytes of one side are: at an offset, or wherever the file stands.
#[derive(Clone, Copy)]
pub(super) enum Spot {
    At(u64),
    Current,
}

impl Spot {
    fn advanced(self, count: usize) -> Self {
        match self {
            Self::At(offset) => Self::At(offset.saturating_add(count as u64)),
            Self::Current => Self::Current,
        }
    }
}

pub(super) fn read_step<K: Kernel>(k: &K, file: &File, spot: Spot, buffer: &mut [u8]) -> SysResult {
    blocking(k, file, || {
        let mut sink = SliceSink::new(buffer);
        match spot {
            Spot::At(offset) => file.read_at(offset, &mut sink),
            Spot::Current => file.read(&mut sink),
        }
    })
}

/// Writes all of `bytes` unless something stops it: how many, and what stopped it.
pub(super) fn write_step<K: Kernel>(
    k: &K,
    file: &File,
    spot: Spot,
    bytes: &[u8],
) -> (usize, Option<Errno>) {
    if let Some(socket) = file.ops_as::<Socket>() {
        return match send_bytes(k, (file, socket), bytes) {
            Ok(count) => (count, None),
            Err(errno) => (0, Some(errno)),
        };
    }
    let mut done = 0;
    while done < bytes.len() {
        let attempt = || {
            let mut source = SliceSource::new(bytes);
            source.skip(done)?;
            match spot.advanced(done) {
                Spot::At(offset) => file.write_at(offset, &mut source),
                Spot::Current => file.write(&mut source),
            }
        };
        match blocking(k, file, attempt) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(Errno::EPIPE) => return (done, Some(broken_pipe(k))),
            Err(errno) => return (done, Some(errno)),
        }
    }
    (done, None)
}

/// Copies up to `len` bytes. The input must be seekable: what could not be written is read again some other time.
pub(super) fn copy<K: Kernel>(
    k: &K,
    from: (&File, u64),
    to: (&File, Spot),
    len: usize,
) -> SysResult {
    let (input, start) = from;
    let (output, mut spot) = to;
    let mut buffer = vec![0; len.min(STEP)];
    let mut done = 0;
    while done < len {
        let step = (len - done).min(STEP);
        let part = buffer.get_mut(..step).ok_or(Errno::EINVAL)?;
        let count = match read_step(k, input, Spot::At(start + done as u64), part) {
            Ok(0) => break,
            Ok(count) => count,
            Err(errno) => return if done > 0 { Ok(done) } else { Err(errno) },
        };
        let (written, stopped) = write_step(k, output, spot, part.get(..count).unwrap_or(&[]));
        done += written;
        spot = spot.advanced(written);
        match stopped {
            Some(errno) if done == 0 => return Err(errno),
            _ if written < count || k.signal_pending() => break,
            _ => {}
        }
    }
    Ok(done)
}

/// The input's start: `offset` if there is one, else the file's position.
fn start_of<K: Kernel>(k: &K, file: &File, offset: UserPtr<i64>) -> Result<u64, Errno> {
    match offset.read_if(k)? {
        Some(offset) => u64::try_from(offset).map_err(|_| Errno::EINVAL),
        None => file.seek(0, SEEK_CUR),
    }
}

/// Puts the new start where the old one came from.
fn store_start<K: Kernel>(
    k: &K,
    file: &File,
    offset: UserPtr<i64>,
    start: u64,
) -> Result<(), Errno> {
    if offset.is_null() {
        file.seek(start as i64, SEEK_SET).map(drop)
    } else {
        offset.write(k, &(start as i64))
    }
}

/// The socket that takes bytes of any number.
fn stream(file: &File) -> Option<&Socket> {
    file.ops_as::<Socket>()
        .filter(|socket| socket.ops().kind() == SocketType::Stream)
}

/// sendfile(2)
pub fn sendfile<K: Kernel>(
    k: &K,
    out_fd: Fd,
    in_fd: Fd,
    offset: UserPtr<i64>,
    count: usize,
) -> SysResult {
    let input = k.files().get(in_fd)?;
    let output = k.files().get(out_fd)?;
    if !input.is_readable() || !output.is_writable() {
        return Err(Errno::EBADF);
    }
    if !input.is_seekable() {
        return Err(if offset.is_null() {
            Errno::EINVAL
        } else {
            Errno::ESPIPE
        });
    }
    if output.flags() & O_APPEND != 0 || input.kind() == FileType::Directory {
        return Err(Errno::EINVAL);
    }
    let start = start_of(k, &input, offset)?;
    let count = count.min(MAX_RW_COUNT);
    let done = match stream(&output).filter(|_| input.ops().is_none()) {
        Some(socket) => send_file(k, (&input, start), (&output, socket), count)?,
        None => copy(k, (&input, start), (&output, Spot::Current), count)?,
    };
    store_start(k, &input, offset, start + done as u64)?;
    Ok(done)
}

/// copy_file_range(2)
pub fn copy_file_range<K: Kernel>(
    k: &K,
    fd_in: Fd,
    off_in: UserPtr<i64>,
    fd_out: Fd,
    off_out: UserPtr<i64>,
    len: usize,
    flags: u32,
) -> SysResult {
    let input = k.files().get(fd_in)?;
    let output = k.files().get(fd_out)?;
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    for file in [&input, &output] {
        match file.kind() {
            FileType::Regular if file.ops().is_none() => {}
            FileType::Directory => return Err(Errno::EISDIR),
            _ => return Err(Errno::EINVAL),
        }
    }
    if !input.is_readable() || !output.is_writable() || output.flags() & O_APPEND != 0 {
        return Err(Errno::EBADF);
    }
    let from = start_of(k, &input, off_in)?;
    let to = start_of(k, &output, off_out)?;
    let len = len.min(MAX_RW_COUNT);
    let same = input.metadata().ino == output.metadata().ino
        && input.metadata().dev == output.metadata().dev;
    if same && from < to.saturating_add(len as u64) && to < from.saturating_add(len as u64) {
        return Err(Errno::EINVAL);
    }
    let done = copy(k, (&input, from), (&output, Spot::At(to)), len)?;
    store_start(k, &input, off_in, from + done as u64)?;
    store_start(k, &output, off_out, to + done as u64)?;
    Ok(done)
}

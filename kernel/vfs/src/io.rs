//! Where bytes go to and come from. The kernel implements these over user memory, so that data is copied once,
//! straight between a page and the program's buffer.
use crate::Result;
use core::cmp::min;
use linux_abi::Errno;

/// A consumer of bytes: the buffers of a read(2).
pub trait Sink {
    /// How many more bytes fit.
    fn remaining(&self) -> usize;

    /// Takes all of `bytes`, at most `remaining()` of them, or fails with `EFAULT`.
    fn put(&mut self, bytes: &[u8]) -> Result<()>;

    /// Takes `count` zero bytes.
    fn put_zeros(&mut self, count: usize) -> Result<()> {
        const ZEROS: [u8; 512] = [0; 512];
        let mut left = count;
        while left > 0 {
            let step = min(left, ZEROS.len());
            self.put(ZEROS.get(..step).unwrap_or(&ZEROS))?;
            left -= step;
        }
        Ok(())
    }
}

/// A producer of bytes: the buffers of a write(2).
pub trait Source {
    /// How many more bytes there are.
    fn remaining(&self) -> usize;

    /// Fills all of `into`, at most `remaining()` bytes, or fails with `EFAULT`.
    fn take(&mut self, into: &mut [u8]) -> Result<()>;

    /// Passes over `count` bytes, for objects that swallow what they are given.
    fn skip(&mut self, count: usize) -> Result<()> {
        let mut scratch = [0; 512];
        let mut left = count;
        while left > 0 {
            let step = min(left, scratch.len());
            self.take(scratch.get_mut(..step).unwrap_or(&mut []))?;
            left -= step;
        }
        Ok(())
    }
}

/// Memory that an ioctl(2) argument points into.
pub trait UserMemory {
    /// Copies in; `EFAULT` if any byte is not readable.
    fn read(&self, addr: u64, into: &mut [u8]) -> Result<()>;
    /// Copies out; `EFAULT` if any byte is not writable.
    fn write(&self, addr: u64, from: &[u8]) -> Result<()>;

    /// Zeroes a range; `EFAULT` if any byte is not writable.
    fn zero(&self, addr: u64, len: usize) -> Result<()> {
        const ZEROS: [u8; 512] = [0; 512];
        let mut done = 0;
        while done < len {
            let here = (len - done).min(ZEROS.len());
            let zeros = ZEROS.get(..here).unwrap_or(&ZEROS);
            self.write(addr.wrapping_add(done as u64), zeros)?;
            done += here;
        }
        Ok(())
    }
}

/// A sink over memory of the kernel's own.
#[derive(Debug)]
pub struct SliceSink<'a> {
    rest: &'a mut [u8],
}

impl<'a> SliceSink<'a> {
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self { rest: buffer }
    }
}

impl Sink for SliceSink<'_> {
    fn remaining(&self) -> usize {
        self.rest.len()
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let rest = core::mem::take(&mut self.rest);
        let (here, after) = rest
            .split_at_mut_checked(bytes.len())
            .ok_or(Errno::EFAULT)?;
        here.copy_from_slice(bytes);
        self.rest = after;
        Ok(())
    }
}

/// A source over memory of the kernel's own.
#[derive(Debug)]
pub struct SliceSource<'a> {
    rest: &'a [u8],
}

impl<'a> SliceSource<'a> {
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl Source for SliceSource<'_> {
    fn remaining(&self) -> usize {
        self.rest.len()
    }

    fn take(&mut self, into: &mut [u8]) -> Result<()> {
        let (here, after) = self
            .rest
            .split_at_checked(into.len())
            .ok_or(Errno::EFAULT)?;
        into.copy_from_slice(here);
        self.rest = after;
        Ok(())
    }
}

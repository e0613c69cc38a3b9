//! The host's stdin where it is a file: read at any offset by the CPU that asks, see `boot_abi::input`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use boot_abi::config::STREAM_FILE;
use boot_abi::input as abi;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{Whence, lseek};
use vm_memory::{Bytes, GuestAddress, GuestMemory as _, Permissions};

use crate::host::Streams;
use crate::memory::GuestMemory;
use crate::scatter;
use crate::stats::Counter;

const PAGE: u64 = 4096;
/// A request asks for no more at a time.
const MOST: usize = 1 << 20;

pub struct InputFile {
    fd: OwnedFd,
    memory: Arc<GuestMemory>,
    counter: Arc<Counter>,
}

/// Where stdin begins, if it is a regular file that can be read.
pub fn position(streams: &Streams) -> Option<u64> {
    position_of(std::io::stdin().as_fd()).filter(|_| streams.kinds[0] == STREAM_FILE)
}

fn position_of(fd: impl AsFd + Copy) -> Option<u64> {
    let mode = SFlag::from_bits_truncate(fstat(fd).ok()?.st_mode) & SFlag::S_IFMT;
    let flags = OFlag::from_bits_truncate(fcntl(fd, FcntlArg::F_GETFL).ok()?);
    if mode != SFlag::S_IFREG || flags & OFlag::O_ACCMODE == OFlag::O_WRONLY {
        return None;
    }
    u64::try_from(lseek(fd, 0, Whence::SeekCur).ok()?).ok()
}

impl InputFile {
    pub fn new(fd: OwnedFd, memory: &Arc<GuestMemory>, counter: Arc<Counter>) -> Self {
        Self {
            fd,
            memory: Arc::clone(memory),
            counter,
        }
    }

    /// The one descriptor that is read, for the filter.
    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Carries out the request in a page of the guest. False: there is none, and the page is left alone.
    pub fn port_write(&self, frame: u32) -> bool {
        let page = u64::from(frame) * PAGE;
        let mut words = [0; abi::WORDS];
        for (index, word) in words.iter_mut().enumerate() {
            let Ok(value) = self.memory.read_obj::<u64>(at(page, index)) else {
                return false;
            };
            *word = u64::from_le(value);
        }
        let result = match words[abi::OPERATION] {
            abi::READ => self.read(words[abi::OFFSET], words[abi::BUFFER], words[abi::LENGTH]),
            abi::STAT => self.stat(&mut words),
            abi::LEAVE => self.leave(words[abi::OFFSET]),
            _ => return false,
        };
        let errno = |error: io::Error| -i64::from(error.raw_os_error().unwrap_or(libc::EINVAL));
        words[abi::RESULT] = result.unwrap_or_else(|error| errno(error) as u64);
        for (index, word) in words.iter().enumerate().skip(abi::RESULT) {
            // It was just read there, so it can be written.
            let _ = self.memory.write_obj(word.to_le(), at(page, index));
        }
        true
    }

    fn read(&self, offset: u64, buffer: u64, length: u64) -> io::Result<u64> {
        let length = usize::try_from(length).unwrap_or(MOST).min(MOST);
        let memory: &GuestMemory = &self.memory;
        let slices = memory
            .get_slices(GuestAddress(buffer), length, Permissions::Write)
            .and_then(|found| found.collect::<Result<Vec<_>, _>>())
            .map_err(|_| io::Error::from_raw_os_error(libc::EFAULT))?;
        loop {
            match scatter::read_at(self.fd.as_fd(), &slices, offset) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
                Ok(got) => {
                    self.counter.add(got as u64);
                    return Ok(got as u64);
                }
            }
        }
    }

    fn stat(&self, words: &mut [u64; abi::WORDS]) -> io::Result<u64> {
        let stat = fstat(&self.fd)?;
        words[abi::SIZE] = stat.st_size as u64;
        words[abi::BLOCKS] = stat.st_blocks as u64;
        words[abi::MODE] = stat.st_mode.into();
        words[abi::LINKS] = stat.st_nlink as u64;
        let times = [
            (stat.st_atime, stat.st_atime_nsec),
            (stat.st_mtime, stat.st_mtime_nsec),
            (stat.st_ctime, stat.st_ctime_nsec),
        ];
        for (words, (seconds, nanoseconds)) in words[abi::TIMES..].chunks_mut(2).zip(times) {
            words.copy_from_slice(&[seconds as u64, nanoseconds as u64]);
        }
        Ok(0)
    }

    fn leave(&self, position: u64) -> io::Result<u64> {
        let position = i64::try_from(position).map_err(|_| io::ErrorKind::InvalidInput)?;
        lseek(&self.fd, position, Whence::SeekSet)?;
        Ok(0)
    }
}

fn at(page: u64, index: usize) -> GuestAddress {
    GuestAddress(page + 8 * index as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Seek, Write};
    use vm_memory::GuestMemoryMmap;

    const REQUEST: u64 = 0x3000;

    struct Bench {
        input: InputFile,
        memory: Arc<GuestMemory>,
        file: File,
    }

    fn bench(content: &[u8]) -> Bench {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        let memory = Arc::new(GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 0x10000)]).unwrap());
        let fd = file.try_clone().unwrap().into();
        Bench {
            input: InputFile::new(fd, &memory, Arc::default()),
            memory,
            file,
        }
    }

    impl Bench {
        fn ask(&self, operation: u64, offset: u64, buffer: u64, length: u64) -> i64 {
            for (index, value) in [
                (abi::OPERATION, operation),
                (abi::OFFSET, offset),
                (abi::BUFFER, buffer),
                (abi::LENGTH, length),
            ] {
                self.memory.write_obj(value, at(REQUEST, index)).unwrap();
            }
            assert!(self.input.port_write((REQUEST / PAGE) as u32));
            self.word(abi::RESULT) as i64
        }

        fn word(&self, index: usize) -> u64 {
            self.memory.read_obj(at(REQUEST, index)).unwrap()
        }
    }

    #[test]
    fn reads_at_any_offset_and_leaves_the_position_alone() {
        let mut bench = bench(b"0123456789");
        assert_eq!(bench.ask(abi::READ, 4, 0x1000, 3), 3);
        let mut got = [0; 3];
        bench
            .memory
            .read_slice(&mut got, GuestAddress(0x1000))
            .unwrap();
        assert_eq!(&got, b"456");
        assert_eq!(bench.ask(abi::READ, 8, 0x1000, 100), 2);
        assert_eq!(bench.ask(abi::READ, 10, 0x1000, 100), 0);
        assert_eq!(bench.file.stream_position().unwrap(), 10);
        assert_eq!(bench.ask(abi::LEAVE, 4, 0, 0), 0);
        assert_eq!(bench.file.stream_position().unwrap(), 4);
    }

    #[test]
    fn tells_what_the_file_is_like_now() {
        let mut bench = bench(b"0123456789");
        assert_eq!(bench.ask(abi::STAT, 0, 0, 0), 0);
        assert_eq!(bench.word(abi::SIZE), 10);
        assert_eq!(bench.word(abi::MODE) as u32 & libc::S_IFMT, libc::S_IFREG);
        bench.file.write_all(b"more").unwrap();
        assert_eq!(bench.ask(abi::STAT, 0, 0, 0), 0);
        assert_eq!(bench.word(abi::SIZE), 14);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let bench = bench(b"0123456789");
        for (request, errno) in [
            ((abi::READ, u64::MAX, 0x1000, 1), libc::EINVAL),
            ((abi::READ, 0, 0xfffff, 1), libc::EFAULT),
            ((abi::READ, 0, 0xffff, 2), libc::EFAULT),
            ((abi::READ, 0, u64::MAX, 2), libc::EFAULT),
            ((abi::LEAVE, u64::MAX, 0, 0), libc::EINVAL),
        ] {
            let (operation, offset, buffer, length) = request;
            let got = bench.ask(operation, offset, buffer, length);
            assert_eq!(got, -i64::from(errno), "{request:?}");
        }
        // Not in memory: nothing happens.
        assert!(!bench.input.port_write(u32::MAX));
        assert!(!bench.input.port_write(0x10));
    }

    #[test]
    fn a_page_without_a_request_is_left_alone() {
        let bench = bench(b"0123456789");
        for operation in [0, 1, 2, 3, abi::READ + 9, u64::MAX] {
            let page = [operation; abi::WORDS].map(u64::to_le_bytes).concat();
            let to = GuestAddress(REQUEST);
            bench.memory.write_slice(&page, to).unwrap();
            assert!(!bench.input.port_write((REQUEST / PAGE) as u32));
            assert_eq!(bench.word(abi::RESULT), operation);
        }
    }

    #[test]
    fn only_files_that_can_be_read_have_a_position() {
        let bench = bench(b"0123456789");
        assert_eq!(position_of(bench.file.as_fd()), Some(10));
        let (reader, writer) = std::io::pipe().unwrap();
        assert_eq!(position_of(reader.as_fd()), None);
        let folder = File::open("/").unwrap();
        assert_eq!(position_of(folder.as_fd()), None);
        let path = format!("/proc/self/fd/{}", bench.file.as_raw_fd());
        let written = File::options().write(true).open(path).unwrap();
        assert_eq!(position_of(written.as_fd()), None);
        drop(writer);
    }
}

//! File data: the same random reads, writes and holes on a native file and on ours.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod common;
use common::*;
use rustix::fs::{FallocateFlags, MemfdFlags, SeekFrom};
use vfs::{Errno, File, PAGE_SIZE, PageRef, SliceSink, SliceSource};

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    /// Offsets like to be near page boundaries.
    fn offset(&mut self) -> u64 {
        let page = self.below(12) * PAGE_SIZE as u64;
        match self.below(4) {
            0 => page,
            1 => (page + self.below(3)).saturating_sub(1),
            _ => page + self.below(4096),
        }
    }
}

fn same<T: PartialEq + std::fmt::Debug>(
    mine: Result<T, Errno>,
    theirs: rustix::io::Result<T>,
    what: &str,
) {
    let mine = mine.map_err(|error| i32::from(error.raw()));
    let theirs = theirs.map_err(|error| error.raw_os_error());
    assert_eq!(mine, theirs, "{what}");
}

/// Pages allocated but never written count as holes in some file systems and as data in others, so a run has either
/// fallocate(2) or `SEEK_DATA`.
fn step(random: &mut Random, mine: &File, native: &std::os::fd::OwnedFd, allocate: bool) {
    let (offset, len) = (random.offset(), random.offset() / 2);
    match random.below(8) {
        0..=2 => {
            let data: Vec<u8> = (0..len).map(|i| (i + offset) as u8 | 1).collect();
            same(
                mine.write_at(offset, &mut SliceSource::new(&data)),
                rustix::io::pwrite(native, &data, offset),
                "pwrite",
            );
        }
        3 => same(
            mine.truncate(offset),
            rustix::fs::ftruncate(native, offset),
            "truncate",
        ),
        4 => {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            same(
                mine.fallocate(flags.bits(), offset, len),
                rustix::fs::fallocate(native, flags, offset, len),
                "punch",
            );
        }
        5 if allocate => {
            let flags = if random.below(2) == 0 {
                FallocateFlags::empty()
            } else {
                FallocateFlags::KEEP_SIZE
            };
            let len = len / 4;
            same(
                mine.fallocate(flags.bits(), offset, len),
                rustix::fs::fallocate(native, flags, offset, len),
                "fallocate",
            );
        }
        6 if !allocate => {
            let hole = random.below(2) == 0;
            let whence = if hole {
                SeekFrom::Hole(offset)
            } else {
                SeekFrom::Data(offset)
            };
            same(
                mine.seek(offset as i64, if hole { 4 } else { 3 }),
                rustix::fs::seek(native, whence),
                "seek",
            );
        }
        _ => {
            let (mut a, mut b) = (vec![0; len as usize], vec![0; len as usize]);
            let got = mine.read_at(offset, &mut SliceSink::new(&mut a));
            let theirs = rustix::io::pread(native, &mut b, offset);
            same(got, theirs, "pread");
            assert!(a == b, "contents differ");
        }
    }
}

#[test]
fn agrees_with_the_native_kernel() {
    for seed in 1..150_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let native = rustix::fs::memfd_create("test", MemfdFlags::empty()).unwrap();
        let process = Process::empty();
        let mine = process.open("/file", O_RDWR | O_CREAT).unwrap();
        for _ in 0..120 {
            step(&mut random, &mine, &native, seed % 2 == 0);
        }
        let theirs = rustix::fs::fstat(&native).unwrap();
        assert_eq!(mine.metadata().size, theirs.st_size as u64);
    }
}

#[test]
fn sparse_files_hold_only_what_was_written() {
    let process = Process::empty();
    let file = process.open("/sparse", O_RDWR | O_CREAT).unwrap();
    file.truncate(1 << 50).unwrap();
    file.write_at(1 << 49, &mut SliceSource::new(b"x")).unwrap();
    assert_eq!(file.metadata().blocks, 8);
    assert_eq!(file.seek(0, 3), Ok(1 << 49));
    assert_eq!(pread(&file, (1 << 49) - 2, 4).unwrap(), b"\0\0x\0");
    assert_eq!(file.truncate(u64::MAX), Err(Errno::EFBIG));
    assert_eq!(
        file.write_at(i64::MAX as u64, &mut SliceSource::new(b"x")),
        Err(Errno::EFBIG)
    );
}

#[test]
fn runs_out_of_space_and_gets_it_back() {
    let process = Process::over(vfs::MemFs::tmpfs(1, host(), 4, 0o755));
    let file = process.open("/file", O_RDWR | O_CREAT).unwrap();
    assert_eq!(write(&file, &[1; 3 * PAGE_SIZE]), Ok(3 * PAGE_SIZE));
    assert_eq!(
        write(&file, &[1; 3 * PAGE_SIZE]),
        Ok(PAGE_SIZE),
        "as much as fits"
    );
    assert_eq!(write(&file, b"x"), Err(Errno::ENOSPC));
    assert_eq!(process.root.inode.statfs().blocks_free, 0);
    process.at().unlink(b"/file").unwrap();
    assert_eq!(process.root.inode.statfs().blocks_free, 0, "still open");
    drop(file);
    assert_eq!(process.root.inode.statfs().blocks_free, 4);
    process.write_file("/other", &[1; 4 * PAGE_SIZE]);
}

#[test]
fn appends_at_the_end_whatever_the_position() {
    let process = Process::empty();
    process.write_file("/log", b"one");
    let file = process.open("/log", O_WRONLY | O_APPEND).unwrap();
    file.seek(0, 0).unwrap();
    write(&file, b"two").unwrap();
    assert_eq!(file.position(), 6);
    file.write_at(0, &mut SliceSource::new(b"three")).unwrap();
    assert_eq!(process.read_file("/log").unwrap(), b"onetwothree");
    assert_eq!(read(&file, 1), Err(Errno::EBADF));
}

#[test]
fn mappings_and_reads_see_the_same_bytes() {
    let process = Process::empty();
    process.write_file("/mapped", &[7; 5000]);
    let file = process.open("/mapped", O_RDWR).unwrap();
    let Ok(PageRef::Memory(page)) = file.inode().map_page(1, true) else {
        panic!("no page")
    };
    page.store(0, b"through the mapping");
    assert_eq!(pread(&file, 4096, 19).unwrap(), b"through the mapping");
    file.write_at(4096, &mut SliceSource::new(b"through"))
        .unwrap();
    let mut seen = [0; 7];
    page.read(0, 7, &mut SliceSink::new(&mut seen)).unwrap();
    assert_eq!(&seen, b"through");
    assert_eq!(file.inode().map_page(2, true).err(), Some(Errno::ENXIO));
}

#[test]
fn mappers_hear_of_truncation() {
    use std::sync::{Arc, Mutex, Weak};
    #[derive(Default)]
    struct Heard(Mutex<Vec<(std::ops::Range<u64>, bool)>>);
    impl vfs::Mapper for Heard {
        fn invalidate(&self, _dev: u64, _ino: u64, pages: std::ops::Range<u64>, truncated: bool) {
            self.0.lock().unwrap().push((pages, truncated));
        }
    }
    let process = Process::empty();
    process.write_file("/f", &[1; 10 * PAGE_SIZE]);
    let file = process.open("/f", O_RDWR).unwrap();
    let heard = Arc::new(Heard::default());
    let weak: Weak<dyn vfs::Mapper> = {
        let strong: Arc<dyn vfs::Mapper> = heard.clone();
        Arc::downgrade(&strong)
    };
    file.inode().add_mapper(weak);
    file.truncate(4097).unwrap();
    file.truncate(20_000).unwrap();
    let heard = heard.0.lock().unwrap();
    assert_eq!(*heard, [(1..10, false), (2..10, true)]);
}

#[test]
fn memfd_seals_hold() {
    let store = vfs::MemfdStore::new(9, host(), 64);
    let file = store.create(b"name", 2, 0, 0).unwrap();
    assert_eq!(write(&file, b"data"), Ok(4));
    let inode = file.inode();
    assert_eq!(inode.seals(), Ok(0));
    inode.add_seals(0x2).unwrap();
    assert_eq!(file.truncate(1), Err(Errno::EPERM));
    inode.add_seals(0x4).unwrap();
    assert_eq!(file.truncate(100), Err(Errno::EPERM));
    assert_eq!(
        file.write_at(0, &mut SliceSource::new(b"DATAMORE")),
        Ok(4),
        "up to the end only"
    );
    inode.add_seals(0x8 | 0x1).unwrap();
    assert_eq!(write(&file, b"x"), Err(Errno::EPERM));
    assert_eq!(inode.add_seals(0x2), Err(Errno::EPERM));
    assert!(
        file.mapping(true, true)
            .is_err_and(|error| error == Errno::EPERM)
    );
    assert!(file.mapping(false, true).is_ok());
    assert_eq!(
        file.place().path(file.place()).bytes,
        b"/memfd:name (deleted)"
    );
    let plain = store.create(b"plain", 0, 0, 0).unwrap();
    assert_eq!(plain.inode().seals(), Ok(1));
    assert_eq!(store.create(b"x", 4, 0, 0).err(), Some(Errno::EINVAL));
}

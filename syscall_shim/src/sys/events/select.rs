use super::poll::store_left;
use super::timeout::Timeout;
use crate::kernel::Kernel;
use crate::sys::signals::with_sigmask;
use crate::user::UserPtr;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use linux_abi::{Errno, PollEvents, PselectMask, SysResult, Timespec, Timeval};
use vfs::{File, WaitList};

/// Descriptors that are looked at even if the table is smaller: a closed one among them is EBADF.
const ALWAYS_LOOKED_AT: usize = 1024;

/// select(2). Linux updates the timeout.
pub fn select<K: Kernel>(
    k: &K,
    nfds: i32,
    readfds: u64,
    writefds: u64,
    exceptfds: u64,
    timeout: UserPtr<Timeval>,
) -> SysResult {
    let until = Timeout::from_timeval(k, timeout)?;
    let answer = select_until(k, nfds, [readfds, writefds, exceptfds], until);
    if let Some(left) = until.left(k) {
        // As on Linux, one that cannot be written to is left alone.
        let _ = timeout.write_if(k, &Timeval::from_ns(left));
    }
    answer
}

/// pselect(2)
pub fn pselect6<K: Kernel>(
    k: &K,
    nfds: i32,
    readfds: u64,
    writefds: u64,
    exceptfds: u64,
    timeout: UserPtr<Timespec>,
    sigmask: UserPtr<PselectMask>,
) -> SysResult {
    let mask = sigmask.read_if(k)?.unwrap_or_default();
    let until = Timeout::from_timespec(k, timeout)?;
    let answer = with_sigmask(k, UserPtr::new(mask.mask), mask.size as usize, || {
        select_until(k, nfds, [readfds, writefds, exceptfds], until)
    });
    store_left(k, timeout, until);
    answer
}

/// The events of each of the three sets.
const MEANING: [PollEvents; 3] = [
    PollEvents::SELECT_READ,
    PollEvents::SELECT_WRITE,
    PollEvents::SELECT_EXCEPT,
];

/// The three sets, as words of 64 bits.
struct Sets {
    at: [UserPtr<u64>; 3],
    words: [Vec<u64>; 3],
}

impl Sets {
    fn read<K: Kernel>(k: &K, at: [u64; 3], count: usize) -> Result<Self, Errno> {
        let at = at.map(UserPtr::<u64>::new);
        let mut words = [const { Vec::new() }; 3];
        for (pointer, words) in at.iter().zip(&mut words) {
            *words = vec![0; count.div_ceil(64)];
            if !pointer.is_null() {
                pointer.read_slice(k, words)?;
            }
            // Bits from the count on do not count.
            if let Some(last) = words.last_mut().filter(|_| !count.is_multiple_of(64)) {
                *last &= (1 << (count % 64)) - 1;
            }
        }
        Ok(Self { at, words })
    }

    fn contains(&self, set: usize, fd: usize) -> bool {
        self.words
            .get(set)
            .and_then(|words| words.get(fd / 64))
            .is_some_and(|word| word >> (fd % 64) & 1 != 0)
    }

    /// The open files that are in any of the sets. EBADF if one is not open.
    fn files<K: Kernel>(&self, k: &K, count: usize) -> Result<Vec<(usize, Arc<File>)>, Errno> {
        let asked = (0..count).filter(|fd| (0..3).any(|set| self.contains(set, *fd)));
        asked
            .map(|fd| k.files().get(fd as i32).map(|file| (fd, file)))
            .collect()
    }

    /// The sets of those that are ready, and how many bits they have.
    fn look(&self, files: &[(usize, Arc<File>)]) -> ([Vec<u64>; 3], usize) {
        let mut ready = [const { Vec::new() }; 3];
        let mut bits = 0;
        for (set, (words, meaning)) in ready.iter_mut().zip(MEANING).enumerate() {
            *words = vec![0; self.words.get(set).map_or(0, Vec::len)];
            for (fd, file) in files.iter().filter(|(fd, _)| self.contains(set, *fd)) {
                if file.poll() & meaning.bits() != 0
                    && let Some(word) = words.get_mut(fd / 64)
                {
                    *word |= 1 << (fd % 64);
                    bits += 1;
                }
            }
        }
        (ready, bits)
    }

    fn write<K: Kernel>(&self, k: &K, ready: &[Vec<u64>; 3]) -> Result<(), Errno> {
        for (pointer, words) in self.at.iter().zip(ready) {
            if !pointer.is_null() {
                pointer.write_slice(k, words)?;
            }
        }
        Ok(())
    }
}

fn select_until<K: Kernel>(k: &K, nfds: i32, at: [u64; 3], timeout: Timeout) -> SysResult {
    let count = usize::try_from(nfds).map_err(|_| Errno::EINVAL)?;
    let count = count.min(k.files().size().max(ALWAYS_LOOKED_AT));
    let sets = Sets::read(k, at, count)?;
    let files = sets.files(k, count)?;
    let (mut ready, mut bits) = sets.look(&files);
    if bits == 0 && !timeout.is_zero() {
        let lists: Vec<&WaitList> = files
            .iter()
            .filter_map(|(_, file)| file.wait_list())
            .collect();
        k.wait(&lists, timeout.deadline(), &mut || {
            (ready, bits) = sets.look(&files);
            bits > 0
        })
        .map_err(|errno| timeout.interrupted(k, errno))?;
    }
    sets.write(k, &ready)?;
    Ok(bits)
}

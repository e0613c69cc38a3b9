//! What a stream has received and its program has not read yet.
use super::transport::EventBuffer;
use crate::Result;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use boot_abi::hostnet::FIRST_WINDOW;
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use vfs::Sink;

/// Up to this size, copying is cheaper than keeping a whole buffer from the device.
const SMALL: usize = 1024;
/// Copies are put together up to this size; what has been read of a larger piece would stay in memory for too long.
const TOGETHER: usize = 16 * 1024;

/// So much more of the heap may be used before the device has no buffers left, which would stop the whole network.
const NEED: usize = 3;

/// How much of the heap the queues of all streams may take.
pub struct Budget {
    used: AtomicUsize,
    /// What streams may have received beyond their first windows, read or not.
    reserved: AtomicUsize,
    limit: usize,
}

impl Budget {
    pub fn new(limit: usize) -> Self {
        Self {
            used: AtomicUsize::new(0),
            reserved: AtomicUsize::new(0),
            limit,
        }
    }

    /// `needed`: the device has hardly any buffers left.
    fn allows(&self, bytes: usize, needed: bool) -> bool {
        let limit = if needed {
            self.limit * NEED
        } else {
            self.limit
        };
        self.used.load(Relaxed) + bytes <= limit
    }

    /// A stream's window changes from `old` bytes. False: it does not, there is no memory for one of `new`; it should become
    /// smaller, even if it was only to stay. One that is smaller there always is.
    pub fn reserve(&self, old: u32, new: u32) -> bool {
        let beyond = |window: u32| window.saturating_sub(FIRST_WINDOW) as usize;
        let most = if new > old {
            self.limit / 2
        } else {
            self.limit / 8 * 3
        };
        let change = |reserved: usize| {
            let total = reserved.saturating_sub(beyond(old)) + beyond(new);
            (new < old || beyond(new) == 0 || total <= most).then_some(total)
        };
        self.reserved.fetch_update(Relaxed, Relaxed, change).is_ok()
    }

    fn charge(&self, bytes: usize) {
        self.used.fetch_add(bytes, Relaxed);
    }

    fn release(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Relaxed);
    }
}

enum Piece {
    /// Bytes on the heap, from an index on.
    Copied(Vec<u8>, usize),
    /// Bytes in a buffer of the device, which it misses.
    Held(Arc<dyn EventBuffer>, Range<usize>),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Copied(bytes, start) => bytes.get(*start..),
            Self::Held(buffer, range) => buffer.bytes().get(range.clone()),
        }
        .unwrap_or(&[])
    }

    fn skip(&mut self, count: usize) {
        match self {
            Self::Copied(_, start) => *start += count,
            Self::Held(_, range) => range.start += count,
        }
    }
}

#[derive(Default)]
pub struct ReceiveQueue {
    /// The oldest piece: most programs read it before there is another.
    first: Option<Piece>,
    /// Without storage while empty.
    others: VecDeque<Piece>,
    len: usize,
    held: usize,
}

impl ReceiveQueue {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether buffers of the device are kept here.
    pub fn holds_buffers(&self) -> bool {
        self.held > 0
    }

    /// Takes the bytes at `range` of `buffer`. `spare` says that the device can do without the buffer for a while.
    pub fn push(
        &mut self,
        buffer: &Arc<dyn EventBuffer>,
        range: Range<usize>,
        spare: bool,
        budget: &Budget,
    ) {
        let bytes = buffer.bytes().get(range.clone()).unwrap_or(&[]);
        if bytes.is_empty() {
            return;
        }
        self.len += bytes.len();
        let copy = bytes.len() <= SMALL || !spare;
        if !(copy && budget.allows(bytes.len(), !spare) && self.copy(bytes, budget)) {
            // Without memory for a copy the buffer stays here, and the device waits until something has been read.
            self.held += 1;
            self.append(Piece::Held(buffer.clone(), range));
        }
    }

    fn append(&mut self, piece: Piece) {
        if self.first.is_none() {
            self.first = Some(piece);
        } else {
            self.others.push_back(piece);
        }
    }

    /// False: there is no memory.
    fn copy(&mut self, bytes: &[u8], budget: &Budget) -> bool {
        let last = self.others.back_mut().or(self.first.as_mut());
        if let Some(Piece::Copied(last, _)) = last
            && last.len() + bytes.len() <= TOGETHER
            && last.try_reserve(bytes.len()).is_ok()
        {
            last.extend_from_slice(bytes);
        } else if let Some(copy) = copied(bytes) {
            self.append(copy);
        } else {
            return false;
        }
        budget.charge(bytes.len());
        true
    }

    /// Gives the sink what it has room for, oldest first; with `peek` it stays here as well. An error means that nothing
    /// was given.
    pub fn take(&mut self, sink: &mut dyn Sink, peek: bool, budget: &Budget) -> Result<usize> {
        let mut total = 0;
        let mut outcome = Ok(());
        for piece in self.first.iter().chain(&self.others) {
            let bytes = piece.bytes();
            let count = bytes.len().min(sink.remaining());
            if count == 0 {
                break;
            }
            outcome = sink.put(bytes.get(..count).unwrap_or(&[]));
            if outcome.is_err() {
                break;
            }
            total += count;
        }
        if total == 0 {
            return outcome.map(|()| 0);
        }
        if !peek {
            self.discard(total, budget);
        }
        Ok(total)
    }

    /// Drops the oldest `count` bytes.
    fn discard(&mut self, count: usize, budget: &Budget) {
        let mut left = count.min(self.len);
        self.len -= left;
        while left > 0 {
            let Some(front) = &mut self.first else {
                break;
            };
            let len = front.bytes().len();
            let step = len.min(left);
            left -= step;
            front.skip(step);
            match front {
                Piece::Copied(..) => budget.release(step),
                Piece::Held(..) if step == len => self.held -= 1,
                Piece::Held(..) => {}
            }
            if step == len {
                self.first = self.others.pop_front();
            }
        }
        if self.len == 0 {
            self.others = VecDeque::new();
        }
    }

    pub fn clear(&mut self, budget: &Budget) {
        self.discard(self.len, budget);
    }

    /// Gives the device's buffers back, as far as there is memory for copies.
    pub fn let_go(&mut self, budget: &Budget) {
        for piece in self.first.iter_mut().chain(&mut self.others) {
            let Piece::Held(buffer, range) = piece else {
                continue;
            };
            let bytes = buffer.bytes().get(range.clone()).unwrap_or(&[]);
            let len = bytes.len();
            if !budget.allows(len, true) {
                return;
            }
            let Some(copy) = copied(bytes) else { return };
            *piece = copy;
            budget.charge(len);
            self.held -= 1;
        }
    }
}

fn copied(bytes: &[u8]) -> Option<Piece> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).ok()?;
    copy.extend_from_slice(bytes);
    Some(Piece::Copied(copy, 0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use linux_abi::Errno;
    use vfs::SliceSink;

    struct Bytes(Vec<u8>);

    impl EventBuffer for Bytes {
        fn bytes(&self) -> &[u8] {
            &self.0
        }
    }

    fn buffer(byte: u8, len: usize) -> Arc<dyn EventBuffer> {
        Arc::new(Bytes(alloc::vec![byte; len]))
    }

    fn take(queue: &mut ReceiveQueue, room: usize, peek: bool, budget: &Budget) -> Vec<u8> {
        let mut bytes = alloc::vec![0; room];
        let count = queue
            .take(&mut SliceSink::new(&mut bytes), peek, budget)
            .unwrap();
        bytes.truncate(count);
        bytes
    }

    #[test]
    fn small_pieces_are_copied_and_large_ones_kept_in_order() {
        let budget = Budget::new(1 << 20);
        let mut queue = ReceiveQueue::default();
        let (small, large) = (buffer(1, 100), buffer(2, 5000));
        queue.push(&small, 0..100, true, &budget);
        queue.push(&large, 1000..5000, true, &budget);
        queue.push(&small, 50..100, true, &budget);
        assert_eq!(
            (Arc::strong_count(&small), Arc::strong_count(&large)),
            (1, 2)
        );
        assert_eq!((queue.len(), budget.used.load(Relaxed)), (4150, 150));
        let all = [
            alloc::vec![1; 100],
            alloc::vec![2; 4000],
            alloc::vec![1; 50],
        ]
        .concat();
        assert_eq!(take(&mut queue, 9000, true, &budget), all);
        assert_eq!(take(&mut queue, 150, false, &budget), all[..150]);
        assert_eq!(take(&mut queue, 9000, false, &budget), all[150..]);
        assert_eq!(
            (Arc::strong_count(&large), budget.used.load(Relaxed)),
            (1, 0)
        );
        assert_eq!((queue.others.capacity(), queue.holds_buffers()), (0, false));
    }

    #[test]
    fn buffers_that_are_missed_are_copied() {
        let budget = Budget::new(1 << 20);
        let mut queue = ReceiveQueue::default();
        let large = buffer(3, 5000);
        queue.push(&large, 0..5000, false, &budget);
        assert_eq!(Arc::strong_count(&large), 1);
        queue.push(&large, 0..5000, true, &budget);
        assert!(queue.holds_buffers());
        take(&mut queue, 5010, false, &budget);
        queue.let_go(&budget);
        assert_eq!(Arc::strong_count(&large), 1);
        assert!(!queue.holds_buffers());
        assert_eq!(budget.used.load(Relaxed), 4990);
        assert_eq!(take(&mut queue, 9000, false, &budget).len(), 4990);
        assert_eq!(budget.used.load(Relaxed), 0);
    }

    #[test]
    fn beyond_the_budget_buffers_stay() {
        let budget = Budget::new(1000);
        let mut queue = ReceiveQueue::default();
        let small = buffer(4, 600);
        for _ in 0..2 {
            queue.push(&small, 0..600, true, &budget);
        }
        assert_eq!(Arc::strong_count(&small), 2);
        // More where the device has none left.
        for _ in 0..4 {
            queue.push(&small, 0..600, false, &budget);
        }
        assert_eq!(Arc::strong_count(&small), 2);
        queue.push(&small, 0..600, false, &budget);
        queue.let_go(&budget);
        assert_eq!(Arc::strong_count(&small), 3);
        queue.clear(&budget);
        assert_eq!(Arc::strong_count(&small), 1);
        assert_eq!((queue.len(), budget.used.load(Relaxed)), (0, 0));
    }

    #[test]
    fn a_bad_address_takes_nothing() {
        struct Bad;
        impl Sink for Bad {
            fn remaining(&self) -> usize {
                10
            }
            fn put(&mut self, _bytes: &[u8]) -> Result<()> {
                Err(Errno::EFAULT)
            }
        }
        let budget = Budget::new(1000);
        let mut queue = ReceiveQueue::default();
        queue.push(&buffer(5, 8), 0..8, true, &budget);
        assert_eq!(queue.take(&mut Bad, false, &budget), Err(Errno::EFAULT));
        assert_eq!(queue.len(), 8);
    }
}

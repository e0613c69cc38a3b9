//! Bytes on their way from a writer to a reader: the store of pipes and of stream sockets.
use crate::Result;
use crate::io::{Sink, Source};
use alloc::vec::Vec;
use linux_abi::Errno;

/// Storage up to this size is kept when the queue runs empty; more is given back, so that an idle queue is small
/// whatever passed through it.
const KEPT: usize = 4096;
/// The first storage.
const SMALLEST: usize = 256;

/// Bytes in order of arrival. Storage comes with the first byte and grows up to the limit as it is needed.
#[derive(Debug)]
pub struct ByteQueue {
    /// Empty, or a power of two in size.
    storage: Vec<u8>,
    head: usize,
    len: usize,
    limit: usize,
}

impl ByteQueue {
    /// An empty queue for at most `limit` bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self {
            storage: Vec::new(),
            head: 0,
            len: 0,
            limit,
        }
    }

    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// A limit below `len` drops nothing; there is just no room.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// How many more bytes it takes.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.limit.saturating_sub(self.len)
    }

    /// Takes at most `max` bytes of `source`, as far as there is room, and answers how many. An error means that none
    /// was taken: `ENOMEM`, or `EFAULT` for a bad address right at the start.
    pub fn put(&mut self, source: &mut dyn Source, max: usize) -> Result<usize> {
        let count = source.remaining().min(max).min(self.room());
        if count == 0 {
            return Ok(0);
        }
        self.reserve(count)?;
        let size = self.storage.len();
        let start = (self.head + self.len) % size;
        let first = count.min(size - start);
        self.fill(source, start, first)?;
        // What came before a bad address counts.
        if count > first && self.fill(source, 0, count - first).is_err() {
            return Ok(first);
        }
        Ok(count)
    }

    fn fill(&mut self, source: &mut dyn Source, start: usize, count: usize) -> Result<()> {
        let place = self.storage.get_mut(start..start + count);
        source.take(place.unwrap_or(&mut []))?;
        self.len += count;
        Ok(())
    }

    /// Gives `sink` the oldest bytes, at most `max`, as far as it has room, and answers how many; none leave the queue.
    /// An error means that none was given.
    pub fn peek(&self, sink: &mut dyn Sink, max: usize) -> Result<usize> {
        let wanted = sink.remaining().min(max).min(self.len);
        let (first, second) = self.pieces();
        let first = first.get(..wanted).unwrap_or(first);
        let second = second.get(..wanted - first.len()).unwrap_or(&[]);
        if !first.is_empty() {
            sink.put(first)?;
        }
        if !second.is_empty() && sink.put(second).is_err() {
            return Ok(first.len());
        }
        Ok(wanted)
    }

    /// As [`Self::peek`], and what was given leaves the queue.
    pub fn take(&mut self, sink: &mut dyn Sink, max: usize) -> Result<usize> {
        let count = self.peek(sink, max)?;
        self.discard(count);
        Ok(count)
    }

    /// Drops the oldest `count` bytes.
    pub fn discard(&mut self, count: usize) {
        self.len -= count.min(self.len);
        if self.len > 0 {
            self.head = (self.head + count) % self.storage.len();
            return;
        }
        self.head = 0;
        if self.storage.len() > KEPT {
            self.storage = Vec::new();
        }
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.discard(self.len);
    }

    /// The stored bytes: two pieces when they wrap around.
    fn pieces(&self) -> (&[u8], &[u8]) {
        let end = self.head + self.len;
        let size = self.storage.len();
        let first = self.storage.get(self.head..end.min(size)).unwrap_or(&[]);
        let second = self.storage.get(..end.saturating_sub(size)).unwrap_or(&[]);
        (first, second)
    }

    /// Makes the storage big enough for `extra` more bytes.
    fn reserve(&mut self, extra: usize) -> Result<()> {
        let needed = self.len + extra;
        if needed <= self.storage.len() {
            return Ok(());
        }
        let size = needed.next_power_of_two().max(SMALLEST);
        let mut bigger = Vec::new();
        bigger.try_reserve_exact(size).map_err(|_| Errno::ENOMEM)?;
        let (first, second) = self.pieces();
        bigger.extend_from_slice(first);
        bigger.extend_from_slice(second);
        bigger.resize(size, 0);
        (self.storage, self.head) = (bigger, 0);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::io::{SliceSink, SliceSource};
    use alloc::collections::VecDeque;
    use alloc::vec;

    fn put(queue: &mut ByteQueue, bytes: &[u8], max: usize) -> usize {
        queue.put(&mut SliceSource::new(bytes), max).unwrap()
    }

    fn get(queue: &mut ByteQueue, room: usize, max: usize, peek: bool) -> Vec<u8> {
        let mut bytes = vec![0; room];
        let sink = &mut SliceSink::new(&mut bytes);
        let count = if peek {
            queue.peek(sink, max)
        } else {
            queue.take(sink, max)
        };
        bytes.truncate(count.unwrap());
        bytes
    }

    #[test]
    fn behaves_as_a_deque_with_a_limit() {
        let mut queue = ByteQueue::new(1000);
        let mut model = VecDeque::new();
        let mut state = 1_u32;
        let mut next = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % below
        };
        for step in 0..5000_u32 {
            let size = next(700) as usize;
            let max = next(900) as usize;
            if next(2) == 0 {
                let bytes = vec![step as u8; size];
                let count = put(&mut queue, &bytes, max);
                assert_eq!(count, size.min(max).min(1000 - model.len()));
                model.extend(bytes.iter().take(count));
            } else {
                let expected: Vec<u8> = model.iter().take(size.min(max)).copied().collect();
                assert_eq!(get(&mut queue, size, max, true), expected);
                assert_eq!(get(&mut queue, size, max, false), expected);
                model.drain(..expected.len());
            }
            assert_eq!(
                (queue.len(), queue.room()),
                (model.len(), 1000 - model.len())
            );
        }
    }

    #[test]
    fn storage_comes_late_and_goes_when_it_was_large() {
        let mut queue = ByteQueue::new(1 << 20);
        assert_eq!(queue.storage.capacity(), 0);
        put(&mut queue, b"x", 9);
        assert_eq!(queue.storage.len(), SMALLEST);
        get(&mut queue, 1, 1, false);
        assert_eq!(queue.storage.len(), SMALLEST);
        put(&mut queue, &[7; 100_000], usize::MAX);
        get(&mut queue, 99_999, usize::MAX, false);
        assert!(queue.storage.len() >= 100_000);
        queue.clear();
        assert_eq!(queue.storage.capacity(), 0);
    }

    #[test]
    fn a_lower_limit_drops_nothing() {
        let mut queue = ByteQueue::new(10);
        put(&mut queue, b"0123456789", 10);
        queue.set_limit(4);
        assert_eq!((queue.room(), queue.limit()), (0, 4));
        assert_eq!(get(&mut queue, 20, 20, false), b"0123456789");
    }

    /// A buffer that ends in a bad address after `good` pieces.
    struct Broken {
        good: usize,
    }

    impl Source for Broken {
        fn remaining(&self) -> usize {
            200
        }

        fn take(&mut self, _into: &mut [u8]) -> Result<()> {
            self.good = self.good.checked_sub(1).ok_or(Errno::EFAULT)?;
            Ok(())
        }
    }

    impl Sink for Broken {
        fn remaining(&self) -> usize {
            200
        }

        fn put(&mut self, _bytes: &[u8]) -> Result<()> {
            self.good = self.good.checked_sub(1).ok_or(Errno::EFAULT)?;
            Ok(())
        }
    }

    #[test]
    fn what_came_before_a_bad_address_counts() {
        let mut queue = ByteQueue::new(256);
        put(&mut queue, &[1; 100], 100);
        put(&mut queue, &[1; 100], 100);
        get(&mut queue, 100, 100, false);
        assert_eq!(queue.put(&mut Broken { good: 0 }, 156), Err(Errno::EFAULT));
        assert_eq!(queue.len(), 100);
        assert_eq!(queue.put(&mut Broken { good: 1 }, 156), Ok(56));
        assert_eq!(queue.put(&mut Broken { good: 1 }, 100), Ok(100));
        assert_eq!(queue.take(&mut Broken { good: 0 }, 200), Err(Errno::EFAULT));
        assert_eq!(queue.take(&mut Broken { good: 1 }, 200), Ok(156));
        assert_eq!(queue.len(), 100);
    }
}

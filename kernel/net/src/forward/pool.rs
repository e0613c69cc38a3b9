//! Buffers for requests: in size classes, and kept for the next one, since a large buffer is dear to make.
use crate::Result;
use alloc::boxed::Box;
use alloc::vec::Vec;
use linux_abi::Errno;

/// The size of each class, and how many free buffers are kept of it.
const CLASSES: [(usize, usize); 6] = [
    (64, 64),
    (256, 64),
    (1024, 32),
    (4096, 32),
    (16 * 1024, 16),
    (64 * 1024, 16),
];

#[derive(Default)]
pub struct Pool {
    free: [Vec<Box<[u8]>>; CLASSES.len()],
}

impl Pool {
    /// A buffer of at least `size` bytes, with something in it. `ENOBUFS`: there is no memory.
    pub fn take(&mut self, size: usize) -> Result<Box<[u8]>> {
        let class = CLASSES.iter().position(|(room, _)| *room >= size);
        let kept = class
            .and_then(|class| self.free.get_mut(class))
            .and_then(Vec::pop);
        if let Some(buffer) = kept {
            return Ok(buffer);
        }
        let size = class
            .and_then(|class| CLASSES.get(class))
            .map_or(size, |(room, _)| *room);
        let mut buffer = Vec::new();
        buffer.try_reserve_exact(size).map_err(|_| Errno::ENOBUFS)?;
        buffer.resize(size, 0);
        Ok(buffer.into_boxed_slice())
    }

    pub fn give(&mut self, buffer: Box<[u8]>) {
        let class = CLASSES.iter().position(|(size, _)| *size == buffer.len());
        if let Some(class) = class
            && let Some(free) = self.free.get_mut(class)
            && CLASSES
                .get(class)
                .is_some_and(|(_, most)| free.len() < *most)
        {
            free.push(buffer);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_by_size() {
        let mut pool = Pool::default();
        let mut small = pool.take(10).unwrap();
        small.fill(7);
        assert_eq!(small.len(), 64);
        pool.give(small);
        assert_eq!(pool.take(65).unwrap().len(), 256);
        assert_eq!(*pool.take(64).unwrap(), [7; 64]);
        assert_eq!(*pool.take(64).unwrap(), [0; 64]);
    }

    #[test]
    fn not_everything_is_kept() {
        let mut pool = Pool::default();
        for _ in 0..100 {
            pool.give(alloc::vec![0; 64 * 1024].into());
        }
        assert_eq!(pool.free.last().unwrap().len(), 16);
        // Larger than any class.
        let odd = pool.take(70_000).unwrap();
        assert_eq!(odd.len(), 70_000);
        pool.give(odd);
        assert!(pool.free.iter().rev().skip(1).all(Vec::is_empty));
    }
}

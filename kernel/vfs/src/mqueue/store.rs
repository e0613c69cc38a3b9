//! The messages of a queue, by priority and age.
use crate::Result;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use linux_abi::Errno;

/// A message and its priority.
pub type Message = (Box<[u8]>, u32);

#[derive(Default)]
pub(super) struct Store {
    by_priority: BTreeMap<u32, VecDeque<Box<[u8]>>>,
    count: usize,
    bytes: usize,
}

impl Store {
    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, priority: u32, bytes: &[u8]) -> Result<()> {
        let mut copy = Vec::new();
        copy.try_reserve_exact(bytes.len())
            .map_err(|_| Errno::ENOMEM)?;
        copy.extend_from_slice(bytes);
        self.by_priority
            .entry(priority)
            .or_default()
            .push_back(copy.into());
        self.count += 1;
        self.bytes += bytes.len();
        Ok(())
    }

    pub(super) fn pop(&mut self) -> Option<Message> {
        let mut last = self.by_priority.last_entry()?;
        let priority = *last.key();
        let message = last.get_mut().pop_front()?;
        if last.get().is_empty() {
            last.remove();
        }
        self.count -= 1;
        self.bytes -= message.len();
        Some((message, priority))
    }
}

//! The entries of a directory: found by name through a hash table, listed in the order in which they were made.
//! A position in the listing is a sequence number, so it stays valid whatever is added or removed.
use super::node::Node;
use crate::types::FileType;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::Hasher;
use hashbrown::HashTable;
use rustc_hash::FxHasher;

/// A file name: in the image, or of our own.
#[derive(Clone)]
pub(super) enum Name {
    Image(&'static [u8]),
    Own(Arc<[u8]>),
}

impl Name {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Image(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }
}

impl From<&[u8]> for Name {
    fn from(bytes: &[u8]) -> Self {
        Self::Own(bytes.into())
    }
}

/// What an entry leads to.
#[derive(Clone)]
pub(super) enum Child {
    Node(Arc<Node>),
    /// An inode of the image that nobody has asked for yet.
    Backed {
        nid: u64,
        kind: FileType,
    },
    /// The entry has been removed; its place is used again when the table is packed.
    Gone,
}

struct Slot {
    sequence: u64,
    name: Name,
    child: Child,
}

/// The first two positions are "." and "..".
const FIRST_SEQUENCE: u64 = 2;

pub(super) struct Entries {
    /// Sorted by sequence number.
    slots: Vec<Slot>,
    by_name: HashTable<u32>,
    next_sequence: u64,
}

fn hash(name: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(name);
    hasher.finish()
}

impl Entries {
    pub(super) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            by_name: HashTable::new(),
            next_sequence: FIRST_SEQUENCE,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    fn position(&self, name: &[u8]) -> Option<usize> {
        let same = |&at: &u32| {
            self.slots
                .get(at as usize)
                .is_some_and(|slot| slot.name.bytes() == name)
        };
        self.by_name.find(hash(name), same).map(|&at| at as usize)
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<&Child> {
        let at = self.position(name)?;
        self.slots.get(at).map(|slot| &slot.child)
    }

    /// The child and its name.
    pub(super) fn get_mut(&mut self, name: &[u8]) -> Option<(&mut Child, &Name)> {
        let at = self.position(name)?;
        self.slots
            .get_mut(at)
            .map(|slot| (&mut slot.child, &slot.name))
    }

    /// Adds an entry whose name is not there yet. Answers false, and does nothing, if the directory is full.
    pub(super) fn insert(&mut self, name: Name, child: Child) -> bool {
        let Ok(at) = u32::try_from(self.slots.len()) else {
            return false;
        };
        let slots = &self.slots;
        let rehash = |&at: &u32| {
            slots
                .get(at as usize)
                .map_or(0, |slot| hash(slot.name.bytes()))
        };
        self.by_name.insert_unique(hash(name.bytes()), at, rehash);
        self.slots.push(Slot {
            sequence: self.next_sequence,
            name,
            child,
        });
        self.next_sequence += 1;
        true
    }

    pub(super) fn remove(&mut self, name: &[u8]) -> Option<Child> {
        let slots = &self.slots;
        let same = |&at: &u32| {
            slots
                .get(at as usize)
                .is_some_and(|slot| slot.name.bytes() == name)
        };
        let (at, _) = self.by_name.find_entry(hash(name), same).ok()?.remove();
        let slot = self.slots.get_mut(at as usize)?;
        let child = core::mem::replace(&mut slot.child, Child::Gone);
        slot.name = Name::Image(&[]);
        if self.slots.len() > 32 && self.by_name.len() < self.slots.len() / 2 {
            self.pack();
        }
        Some(child)
    }

    /// Drops the places of removed entries.
    fn pack(&mut self) {
        self.slots.retain(|slot| !matches!(slot.child, Child::Gone));
        self.by_name.clear();
        let slots = &self.slots;
        let rehash = |&at: &u32| {
            slots
                .get(at as usize)
                .map_or(0, |slot| hash(slot.name.bytes()))
        };
        for (at, slot) in (0_u32..).zip(slots) {
            self.by_name
                .insert_unique(hash(slot.name.bytes()), at, rehash);
        }
    }

    /// The entries from position `from` on, each with its own position.
    pub(super) fn listing(&self, from: u64) -> impl Iterator<Item = (u64, &[u8], &Child)> {
        let start = self.slots.partition_point(|slot| slot.sequence < from);
        let rest = self.slots.get(start..).unwrap_or(&[]).iter();
        rest.filter(|slot| !matches!(slot.child, Child::Gone))
            .map(|slot| (slot.sequence, slot.name.bytes(), &slot.child))
    }
}

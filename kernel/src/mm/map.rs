//! The list of mappings of an address space: what `/proc/self/maps` shows. No page tables here.

use super::gaps::Seen;
use super::layout::{KERNEL_END, KERNEL_START, USER_END};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use linux_abi::Prot;
use vfs::{InodeRef, Place};

/// What lies behind a mapping.
#[derive(Clone)]
pub enum Backing {
    Anonymous,
    /// `offset` is the file position of the mapping's first byte.
    File {
        file: Arc<FileBacking>,
        offset: u64,
    },
    /// The kernel's own slot, and regions it made for the program that have a name only.
    Named(&'static str),
}

/// The file of a mapping.
pub struct FileBacking {
    pub inode: InodeRef,
    /// For /proc/self/maps.
    pub place: Option<Place>,
    pub shared: bool,
    /// The descriptor allowed writing, so `mprotect` may.
    pub may_write: bool,
}

impl Backing {
    fn advanced(&self, by: u64) -> Self {
        match self {
            Self::File { file, offset } => Self::File {
                file: file.clone(),
                offset: offset + by,
            },
            other => other.clone(),
        }
    }

    /// Whether `next`, which begins `len` bytes on, continues this.
    fn continues(&self, len: u64, next: &Self) -> bool {
        match (self, next) {
            (Self::Anonymous, Self::Anonymous) => true,
            (Self::File { file: a, offset: x }, Self::File { file: b, offset: y }) => {
                Arc::ptr_eq(a, b) && x + len == *y
            }
            _ => false,
        }
    }

    /// The file, and the position in it of the mapping's first byte.
    #[must_use]
    pub fn file(&self) -> Option<(&Arc<FileBacking>, u64)> {
        match self {
            Self::File { file, offset } => Some((file, *offset)),
            Self::Anonymous | Self::Named(_) => None,
        }
    }

    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::File { file, .. } if file.shared)
    }
}

/// What a mapping becomes in a child process, by madvise(2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnFork {
    Keep,
    /// `MADV_WIPEONFORK`: zeros.
    Wipe,
    /// `MADV_DONTFORK`: it is not there.
    Omit,
}

/// One mapping; the start is its key in the map.
#[derive(Clone)]
pub struct Area {
    pub start: u64,
    pub end: u64,
    pub prot: Prot,
    pub backing: Backing,
    /// `MAP_GROWSDOWN`, `MAP_STACK`, or the main thread's stack: no huge pages, which a thread would hardly use.
    pub stack: bool,
    pub on_fork: OnFork,
    /// By mlock(2) or mlockall(2). Nothing is ever paged out; it counts, and its pages cannot be discarded.
    pub locked: bool,
    /// By mseal(2).
    pub sealed: bool,
}

impl Area {
    #[must_use]
    pub fn len(&self) -> u64 {
        self.end - self.start
    }

    /// The part of the mapping inside `range`, which must overlap it.
    #[must_use]
    pub fn clipped(&self, range: &Range<u64>) -> Self {
        let start = self.start.max(range.start);
        Self {
            start,
            end: self.end.min(range.end),
            backing: self.backing.advanced(start - self.start),
            ..self.clone()
        }
    }

    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.start..self.end
    }
}

/// All mappings, not overlapping, by start address.
pub struct AreaMap {
    areas: BTreeMap<u64, Area>,
    /// Bytes mapped.
    pub total: u64,
    /// Bytes of it that are locked.
    pub locked: u64,
    pub(super) seen: Seen,
}

impl AreaMap {
    /// A map in which only the kernel's slot is taken.
    #[must_use]
    pub fn new() -> Self {
        let kernel = Area {
            start: KERNEL_START,
            end: KERNEL_END,
            prot: Prot::empty(),
            backing: Backing::Named(""),
            stack: false,
            on_fork: OnFork::Keep,
            locked: false,
            sealed: false,
        };
        Self {
            areas: BTreeMap::from([(kernel.start, kernel)]),
            total: 0,
            locked: 0,
            seen: Seen::nothing(USER_END),
        }
    }

    #[must_use]
    pub fn find(&self, address: u64) -> Option<&Area> {
        self.areas
            .range(..=address)
            .next_back()
            .map(|(_, area)| area)
            .filter(|area| address < area.end)
    }

    /// The mappings that overlap `range`, in order.
    pub fn overlapping(&self, range: Range<u64>) -> impl Iterator<Item = &Area> {
        let first = self
            .find(range.start)
            .map_or(range.start, |area| area.start);
        self.areas
            .range(first..range.end.max(first))
            .map(|(_, area)| area)
    }

    /// All of the program's mappings.
    pub fn iter(&self) -> impl Iterator<Item = &Area> {
        self.areas
            .values()
            .filter(|area| area.start != KERNEL_START)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.areas.len() - 1
    }

    #[must_use]
    pub fn is_free(&self, range: Range<u64>) -> bool {
        self.overlapping(range).next().is_none()
    }

    /// Whether all of `range` is mapped.
    #[must_use]
    pub fn covers(&self, range: Range<u64>) -> bool {
        let mut at = range.start;
        for area in self.overlapping(range.clone()) {
            if area.start > at {
                return false;
            }
            at = area.end;
        }
        at >= range.end
    }

    /// Cuts the mapping that `address` lies inside of in two.
    fn split_at(&mut self, address: u64) {
        let Some(area) = self
            .find(address)
            .filter(|area| area.start < address)
            .cloned()
        else {
            return;
        };
        let upper = area.clipped(&(address..area.end));
        if let Some(lower) = self.areas.get_mut(&area.start) {
            lower.end = address;
        }
        self.areas.insert(address, upper);
    }

    /// Takes everything inside `range` out.
    pub fn remove(&mut self, range: Range<u64>) {
        self.take_out(range.clone());
        let before = self.before(range.start).next().map_or(0, |area| area.end);
        let after = self.areas.range(range.end..).next();
        let end = after.map_or(USER_END, |(&start, _)| start);
        self.seen.note(&(before..end));
    }

    /// Changes everything inside `range`.
    pub fn change(&mut self, range: Range<u64>, change: impl Fn(&mut Area)) {
        for mut area in self.take_out(range) {
            change(&mut area);
            self.insert(area);
        }
    }

    fn take_out(&mut self, range: Range<u64>) -> Vec<Area> {
        self.split_at(range.start);
        self.split_at(range.end);
        let keys: Vec<u64> = self.areas.range(range).map(|(&start, _)| start).collect();
        let removed: Vec<Area> = keys
            .iter()
            .filter_map(|start| self.areas.remove(start))
            .collect();
        for area in &removed {
            self.total -= area.len();
            self.locked -= if area.locked { area.len() } else { 0 };
        }
        removed
    }

    /// The mappings that begin below `address`, from there down; the kernel's slot is one of them.
    pub(super) fn before(&self, address: u64) -> impl Iterator<Item = &Area> {
        self.areas.range(..address).rev().map(|(_, area)| area)
    }

    /// Puts a mapping into free space and joins it with equal neighbours.
    pub fn insert(&mut self, mut area: Area) {
        self.total += area.len();
        self.locked += if area.locked { area.len() } else { 0 };
        let joins = |a: &Area, b: &Area| {
            a.end == b.start
                && a.prot == b.prot
                && a.stack == b.stack
                && a.on_fork == b.on_fork
                && a.locked == b.locked
                && a.sealed == b.sealed
                && a.backing.continues(a.len(), &b.backing)
        };
        if let Some((&start, before)) = self.areas.range(..area.start).next_back()
            && joins(before, &area)
        {
            area = Area {
                start,
                backing: before.backing.clone(),
                ..area
            };
        }
        if let Some(after) = self
            .areas
            .get(&area.end)
            .filter(|after| joins(&area, after))
        {
            area.end = after.end;
            let start = after.start;
            self.areas.remove(&start);
        }
        self.areas.insert(area.start, area);
    }
}

//! Record locks, fcntl(2).
use alloc::sync::Weak;
use alloc::vec::Vec;
use vfs::File;

/// Who holds a record lock.
#[derive(Clone)]
pub enum RecordOwner {
    /// The traditional kind: a process, by its pid.
    Process(i32),
    /// An open file description.
    Description(Weak<File>),
}

impl RecordOwner {
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Process(a), Self::Process(b)) => a == b,
            (Self::Description(a), Self::Description(b)) => a.ptr_eq(b),
            _ => false,
        }
    }

    fn is_gone(&self) -> bool {
        matches!(self, Self::Description(file) if file.strong_count() == 0)
    }
}

/// Bytes `start..end` of a file; `end` is `u64::MAX` for "to the end, wherever that comes to be".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordLock {
    pub start: u64,
    pub end: u64,
    pub exclusive: bool,
}

impl RecordLock {
    /// All of a file.
    pub const WHOLE: RecordLock = RecordLock {
        start: 0,
        end: u64::MAX,
        exclusive: false,
    };

    const fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// What is left of it outside `hole`.
    fn without(self, hole: &Self) -> [Option<Self>; 2] {
        if !self.overlaps(hole) {
            return [Some(self), None];
        }
        let before = (self.start < hole.start).then_some(Self {
            end: hole.start,
            ..self
        });
        let after = (hole.end < self.end).then_some(Self {
            start: hole.end,
            ..self
        });
        [before, after]
    }
}

/// A lock that is held.
pub(super) struct Record {
    owner: RecordOwner,
    lock: RecordLock,
}

/// The lock of somebody else that `wanted` cannot stand beside; of several the lowest.
pub(super) fn conflict(
    held: &[Record],
    owner: &RecordOwner,
    wanted: &RecordLock,
) -> Option<(RecordLock, RecordOwner)> {
    let in_the_way = |record: &&Record| {
        !record.owner.same(owner)
            && !record.owner.is_gone()
            && record.lock.overlaps(wanted)
            && (wanted.exclusive || record.lock.exclusive)
    };
    let first = held
        .iter()
        .filter(in_the_way)
        .min_by_key(|record| record.lock.start)?;
    Some((first.lock, first.owner.clone()))
}

/// Replaces what `owner` holds in the range by the lock (`take`) or by nothing.
pub(super) fn put(held: &mut Vec<Record>, owner: &RecordOwner, lock: &RecordLock, take: bool) {
    let mut after = Vec::with_capacity(held.len() + 2);
    for record in held.drain(..).filter(|record| !record.owner.is_gone()) {
        if !record.owner.same(owner) {
            after.push(record);
            continue;
        }
        let pieces = record.lock.without(lock).into_iter().flatten();
        after.extend(pieces.map(|lock| Record {
            owner: owner.clone(),
            lock,
        }));
    }
    if take {
        after.push(Record {
            owner: owner.clone(),
            lock: *lock,
        });
    }
    *held = after;
}

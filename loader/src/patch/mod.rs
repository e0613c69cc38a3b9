//! System calls and `cpuid` become jumps.
//!
//! [`Plans`] reads what the analysis of the files found out, [`apply`] patches one executable mapping and yields a
//! [`PatchMap`], which keeps trampolines out of the program's sight. The format and the techniques are in
//! `ARCHITECTURE.md`, "Patch plans".
//!
//! A record is applied wholly or not at all: everything about it is checked against the mapped bytes first, and the
//! bytes at the site change last.

mod apply;
mod claims;
mod encode;
mod map;
mod plan;
mod shape;
#[cfg(test)]
mod tests;

pub use apply::{
    Applied, Area, CodeMemory, Mapping, MemoryFault, OutOfMemory, apply, pages_touched,
    trampoline_size,
};
pub use map::PatchMap;
pub use plan::{PlanError, Plans, SiteRecord, Sites};
pub use shape::{Instruction, Technique};

/// Why a record was left alone; the site keeps working through the trap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// The record contradicts itself.
    Malformed = 0,
    /// The window or the padding is not inside the mapping.
    OutOfRange = 1,
    /// It shares bytes with a record that was applied before.
    Overlap = 2,
    /// The mapped bytes are not the ones that were analysed.
    Mismatch = 3,
    /// A jump or a displacement would exceed 2 GiB.
    OutOfReach = 4,
    /// The trampoline area is full.
    AreaFull = 5,
    /// The code could not be read or written.
    Memory = 6,
}

impl Skip {
    /// Every reason, in the order of the counters.
    pub const ALL: [Skip; 7] = [
        Skip::Malformed,
        Skip::OutOfRange,
        Skip::Overlap,
        Skip::Mismatch,
        Skip::OutOfReach,
        Skip::AreaFull,
        Skip::Memory,
    ];
}

/// What became of the records of one mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    patched: [u32; Technique::ALL.len()],
    skipped: [u32; Skip::ALL.len()],
}

impl Counts {
    fn add(&mut self, outcome: Result<Technique, Skip>) {
        let counter = match outcome {
            Ok(technique) => self.patched.get_mut(technique.index()),
            Err(skip) => self.skipped.get_mut(skip as usize),
        };
        if let Some(counter) = counter {
            *counter = counter.saturating_add(1);
        }
    }

    /// Sites patched by one technique.
    pub fn patched(&self, technique: Technique) -> u32 {
        self.patched
            .get(technique.index())
            .copied()
            .unwrap_or_default()
    }

    /// Records left alone for one reason.
    pub fn skipped(&self, skip: Skip) -> u32 {
        self.skipped.get(skip as usize).copied().unwrap_or_default()
    }

    /// All sites that became jumps.
    pub fn total_patched(&self) -> u32 {
        self.patched
            .iter()
            .fold(0, |sum, &count| sum.saturating_add(count))
    }

    /// All records left alone.
    pub fn total_skipped(&self) -> u32 {
        self.skipped
            .iter()
            .fold(0, |sum, &count| sum.saturating_add(count))
    }
}

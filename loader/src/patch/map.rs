//! From program counters in patched code to the ones that the program may see, and back.

use super::encode::CALL_SIZE;
use super::shape::{JUMP_SIZE, Shape, Technique};
use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::ops::Range;

/// Where one mapping was patched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchMap {
    module: u64,
    area: Range<u64>,
    /// In ascending order of site and of trampoline.
    entries: Vec<Entry>,
}

/// Offsets are 32 bits wide: jumps do not reach farther.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    /// Offset of the instruction in the module's mapping.
    site: u32,
    /// Offset of the trampoline in the area.
    trampoline: u32,
    technique: Technique,
    head: u8,
    tail: u8,
    /// Distance from the site to a hop's padding.
    pad: i16,
}

/// A hop's padding is at most this far from its site.
const MAX_PAD_DISTANCE: u64 = 130;

impl PatchMap {
    pub(super) fn new(module: u64, area: u64, sites: usize) -> Result<Self, TryReserveError> {
        let mut entries = Vec::new();
        entries.try_reserve_exact(sites)?;
        Ok(PatchMap {
            module,
            area: area..area,
            entries,
        })
    }

    /// The same for a module that lies at another address, with its trampolines at the same distance.
    pub fn at(&self, module: u64) -> Result<Self, TryReserveError> {
        let mut entries = Vec::new();
        entries.try_reserve_exact(self.entries.len())?;
        entries.extend_from_slice(&self.entries);
        let moved = |address: u64| address.wrapping_sub(self.module).wrapping_add(module);
        Ok(PatchMap {
            module,
            area: moved(self.area.start)..moved(self.area.end),
            entries,
        })
    }

    /// Whether the offsets fit; `push` needs it.
    pub(super) fn fits(&self, site: u64, trampoline: u64) -> bool {
        u32::try_from(site.wrapping_sub(self.module)).is_ok()
            && u32::try_from(trampoline.wrapping_sub(self.area.start)).is_ok()
    }

    /// Records a patch behind all others.
    pub(super) fn push(&mut self, shape: &Shape, site: u64, trampoline: Range<u64>) {
        self.entries.push(Entry {
            site: site.wrapping_sub(self.module) as u32,
            trampoline: trampoline.start.wrapping_sub(self.area.start) as u32,
            technique: shape.technique,
            head: shape.head,
            tail: shape.tail,
            pad: shape.pad,
        });
        self.area.end = trampoline.end;
    }

    /// The addresses that hold trampolines.
    pub fn trampolines(&self) -> Range<u64> {
        self.area.clone()
    }

    /// The number of patched sites.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no site was patched.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What the program may see for `pc`; `None` when that is `pc` itself.
    pub fn visible_pc(&self, pc: u64) -> Option<u64> {
        if self.area.contains(&pc) {
            return self.visible_in_trampoline(pc);
        }
        let hop = self.near(pc).find(|entry| {
            entry.technique == Technique::Hop
                && self.site(entry).checked_add_signed(entry.pad.into()) == Some(pc)
        });
        hop.map(|entry| self.site(entry))
    }

    /// Where a context with the visible `pc` has to be resumed; `None` when that is `pc` itself.
    ///
    /// The first byte of a patched window is a jump, so it needs no translation.
    pub fn resume_pc(&self, pc: u64) -> Option<u64> {
        self.near(pc).find_map(|entry| self.resume_in(entry, pc))
    }

    fn visible_in_trampoline(&self, pc: u64) -> Option<u64> {
        let offset = pc.checked_sub(self.area.start)?;
        let next = self
            .entries
            .partition_point(|entry| u64::from(entry.trampoline) <= offset);
        let entry = self.entries.get(next.checked_sub(1)?)?;
        let inside = offset.checked_sub(entry.trampoline.into())?;
        let site = self.site(entry);
        let head = u64::from(entry.head);
        let visible = match (entry.technique, inside.checked_sub(CALL_SIZE as u64)) {
            (Technique::After, Some(behind)) => {
                site.saturating_add(2 + behind.min(entry.tail.into()))
            }
            _ if inside < head => site.saturating_sub(head - inside),
            _ => site,
        };
        Some(visible)
    }

    fn resume_in(&self, entry: &Entry, pc: u64) -> Option<u64> {
        let site = self.site(entry);
        let trampoline = self.area.start.checked_add(entry.trampoline.into())?;
        match entry.technique {
            Technique::Mov | Technique::Before => {
                let start = site.checked_sub(entry.head.into())?;
                // At the site itself `0f 05` would work too where it is still there, but slowly.
                (start < pc && pc <= site).then(|| trampoline.saturating_add(pc - start))
            }
            Technique::Hop => None,
            Technique::After => {
                let behind = pc.checked_sub(site)?.checked_sub(2)?;
                let moved = trampoline
                    .checked_add(CALL_SIZE as u64)?
                    .checked_add(behind)?;
                (behind < entry.tail.into()).then_some(moved)
            }
        }
    }

    fn site(&self, entry: &Entry) -> u64 {
        self.module.saturating_add(entry.site.into())
    }

    /// The entries whose window or padding can hold `pc`.
    fn near(&self, pc: u64) -> impl Iterator<Item = &Entry> {
        let reach = MAX_PAD_DISTANCE + JUMP_SIZE;
        let low = pc.saturating_sub(reach);
        let high = pc.saturating_add(reach);
        let first = self.entries.partition_point(|entry| self.site(entry) < low);
        let rest = self.entries.get(first..).unwrap_or_default();
        rest.iter()
            .take_while(move |entry| self.site(entry) <= high)
    }
}

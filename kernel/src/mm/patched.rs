//! Patched code of the image, kept for the next program that maps the same file: its pages are mapped there instead of being
//! copied and patched anew. All that patching writes is relative, so code and trampolines fit wherever they lie at the same
//! distance from each other. What a space then does to such a page it does to a copy, as after fork(2).

use super::frame::{self, Pfn};
use super::layout::{PAGE, virt_to_phys};
use super::map::Area;
use crate::parts;
use crate::rank::{self, Ranked};
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_abi::Errno;
use loader::patch::{Counts, PatchMap};
use vfs::{Inode, PageRef};

/// The most that is kept: mappings, and frames as a share of all memory.
const MAPPINGS: usize = 16;
const SHARE: u64 = 64;

/// Which code: the file's number in the image, and what of it is mapped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key {
    pub nid: u64,
    pub offset: u64,
    pub len: u64,
}

/// A page of code: where in the mapping, its page of the image, and the frame with the patched copy.
struct Page {
    at: u64,
    source: u64,
    frame: Pfn,
}

/// One mapping's code. It holds a reference to each frame.
pub struct Patched {
    key: Key,
    pages: Vec<Page>,
    trampolines: Vec<Pfn>,
    /// From the mapping's start to the trampolines, wrapping.
    distance: u64,
    map: PatchMap,
    pub counts: Counts,
}

static KEPT: Ranked<Vec<Arc<Patched>>, { rank::PATCHED }> = Ranked::new(Vec::new());

/// What is kept of this code.
#[must_use]
pub fn find(key: Key) -> Option<Arc<Patched>> {
    let kept = KEPT.lock();
    kept.iter().find(|patched| patched.key == key).cloned()
}

/// Keeps it, if another program can come to run. What was there of the same code, and what is too much, goes.
pub fn keep(patched: Patched) {
    if parts::processes().is_none() {
        return;
    }
    let patched = Arc::new(patched);
    let most = frame::counts().1 / SHARE;
    // Frames are given back after the lock.
    let mut gone = Vec::new();
    let mut kept = KEPT.lock();
    if let Some(at) = kept.iter().position(|other| other.key == patched.key) {
        gone.push(kept.remove(at));
    }
    kept.push(patched);
    while kept.len() > MAPPINGS || kept.iter().map(|one| one.frames()).sum::<u64>() > most {
        gone.push(kept.remove(0));
    }
    drop(kept);
}

impl Patched {
    /// What has just been patched in `area`, with `sources` beside the pages. None: some of it is not the image's.
    pub fn new(
        key: Key,
        (area, pages, sources): (&Area, &[u64], &[u64]),
        (trampolines_at, trampolines): (u64, Vec<Pfn>),
        (map, counts): (PatchMap, Counts),
        frame_of: impl Fn(u64) -> Option<Pfn>,
    ) -> Option<Self> {
        let pages: Option<Vec<Page>> = pages
            .iter()
            .zip(sources)
            .map(|(&page, &source)| {
                Some(Page {
                    at: page - area.start,
                    source,
                    frame: frame_of(page)?,
                })
            })
            .collect();
        let pages = pages?;
        let frames = pages.iter().map(|page| page.frame);
        frames
            .chain(trampolines.iter().copied())
            .for_each(frame::get);
        Some(Self {
            key,
            pages,
            trampolines,
            distance: trampolines_at.wrapping_sub(area.start),
            map,
            counts,
        })
    }

    fn frames(&self) -> u64 {
        (self.pages.len() + self.trampolines.len()) as u64
    }

    /// How much room the trampolines take.
    #[must_use]
    pub fn trampolines_len(&self) -> u64 {
        self.trampolines.len() as u64 * PAGE
    }

    /// Whether it is right for a mapping whose trampolines would lie there: the distance is the same, and the file's pages are
    /// still those of the image, which nothing can write.
    #[must_use]
    pub fn fits(&self, area: &Area, trampolines_at: u64, inode: &dyn Inode) -> bool {
        let first = self.key.offset / PAGE;
        trampolines_at.wrapping_sub(area.start) == self.distance
            && self
                .pages
                .iter()
                .all(|page| image_page(inode, first + page.at / PAGE) == Some(page.source))
    }

    /// The pages of code for a mapping at `start`.
    pub fn code(&self, start: u64) -> impl Iterator<Item = (u64, Pfn)> {
        self.pages
            .iter()
            .map(move |page| (start + page.at, page.frame))
    }

    #[must_use]
    pub fn trampolines(&self) -> &[Pfn] {
        &self.trampolines
    }

    /// The translation for a mapping at `start`. ENOMEM
    pub fn map_at(&self, start: u64) -> Result<PatchMap, Errno> {
        self.map.at(start).map_err(|_| Errno::ENOMEM)
    }
}

impl Drop for Patched {
    fn drop(&mut self) {
        let frames = self.pages.iter().map(|page| page.frame);
        frames
            .chain(self.trampolines.iter().copied())
            .for_each(frame::put);
    }
}

/// The physical address of a file's page, if it is one of the image's.
#[must_use]
pub fn image_page(inode: &dyn Inode, index: u64) -> Option<u64> {
    match inode.map_page(index, false) {
        Ok(PageRef::Image(bytes)) => Some(virt_to_phys(bytes.as_ptr() as u64)),
        _ => None,
    }
}

//! Memory that the program and the kernel work on together: the rings of io_uring(7) and packet(7). It is mapped like a file.
use crate::Result;
use crate::inode::Inode;
use crate::page::{PAGE_SIZE, Page, PageRef};
use crate::types::{FileType, Metadata, StatFs};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::AtomicU32;
use linux_abi::Errno;

/// Pages `pages` of the memory are what a mapping of the file sees from page `from` on.
pub struct RingWindow {
    pub from: u64,
    pub pages: Range<usize>,
}

pub struct RingMemory {
    pages: Vec<Arc<Page>>,
    windows: Vec<RingWindow>,
}

impl RingMemory {
    /// `pages` pages of zeros.
    pub fn new(pages: usize, windows: Vec<RingWindow>) -> Result<Arc<Self>> {
        let pages = (0..pages)
            .map(|_| Page::zeroed())
            .collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(Self { pages, windows }))
    }

    /// Memory that is mapped as it lies.
    pub fn whole(pages: usize) -> Result<Arc<Self>> {
        let window = RingWindow {
            from: 0,
            pages: 0..pages,
        };
        Self::new(pages, Vec::from([window]))
    }

    #[must_use]
    pub fn page(&self, index: usize) -> Option<&Arc<Page>> {
        self.pages.get(index)
    }

    /// The 32-bit word at byte `at`. None if that is no word of the memory.
    #[must_use]
    pub fn word(&self, at: usize) -> Option<&AtomicU32> {
        self.pages.get(at / PAGE_SIZE)?.word(at % PAGE_SIZE)
    }
}

impl Inode for RingMemory {
    fn kind(&self) -> FileType {
        FileType::Regular
    }

    fn ino(&self) -> u64 {
        0
    }

    fn metadata(&self) -> Metadata {
        Metadata::default()
    }

    fn statfs(&self) -> StatFs {
        StatFs::default()
    }

    fn map_page(&self, index: u64, _write: bool) -> Result<PageRef> {
        let page = self.windows.iter().find_map(|window| {
            let inside = usize::try_from(index.checked_sub(window.from)?).ok()?;
            let at = window.pages.start.checked_add(inside)?;
            window.pages.contains(&at).then(|| self.pages.get(at))?
        });
        page.cloned().map(PageRef::Memory).ok_or(Errno::ENXIO)
    }
}

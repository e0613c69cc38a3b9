//! Flags of mmap(2) and its relatives.

flags! {
    /// Protection of a mapping. The empty set is `PROT_NONE`.
    Prot: u32, general { PROT_READ PROT_WRITE PROT_EXEC PROT_SEM PROT_GROWSDOWN PROT_GROWSUP }
}

flags! {
    /// mmap(2) flags. The mapping type is [`MapFlags::map_type`].
    MapFlags: u32, general {
        MAP_SHARED MAP_PRIVATE MAP_DROPPABLE MAP_FIXED MAP_ANONYMOUS MAP_32BIT MAP_ABOVE4G MAP_GROWSDOWN MAP_DENYWRITE
        MAP_EXECUTABLE MAP_LOCKED MAP_NORESERVE MAP_POPULATE MAP_NONBLOCK MAP_STACK MAP_HUGETLB MAP_SYNC
        MAP_FIXED_NOREPLACE MAP_UNINITIALIZED
    }
}

/// The type bits of [`MapFlags`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapType {
    Shared,
    Private,
    /// As `Shared`, but unknown flags are an error.
    SharedValidate,
    Droppable,
}

impl MapFlags {
    /// The four type bits; `None` is not a type.
    #[must_use]
    pub const fn map_type(self) -> Option<MapType> {
        match self.bits() & linux_raw_sys::general::MAP_TYPE {
            linux_raw_sys::general::MAP_SHARED => Some(MapType::Shared),
            linux_raw_sys::general::MAP_PRIVATE => Some(MapType::Private),
            linux_raw_sys::general::MAP_SHARED_VALIDATE => Some(MapType::SharedValidate),
            linux_raw_sys::general::MAP_DROPPABLE => Some(MapType::Droppable),
            _ => None,
        }
    }
}

flags! {
    /// mremap(2).
    MremapFlags: u32, general { MREMAP_MAYMOVE MREMAP_FIXED MREMAP_DONTUNMAP }
}

flags! {
    /// msync(2).
    MsyncFlags: u32, general { MS_ASYNC MS_INVALIDATE MS_SYNC }
}

flags! {
    /// mlockall(2).
    MlockallFlags: u32, general { MCL_CURRENT MCL_FUTURE MCL_ONFAULT }
}

macro_rules! advice {
    ($($name:ident = $raw:ident,)*) => {
        /// madvise(2) advice.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(clippy::enum_variant_names)]
        pub enum Advice {
            $($name,)*
        }

        impl Advice {
            #[must_use]
            pub const fn from_raw(raw: u32) -> Option<Self> {
                match raw {
                    $(linux_raw_sys::general::$raw => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

advice! {
    Normal = MADV_NORMAL,
    Random = MADV_RANDOM,
    Sequential = MADV_SEQUENTIAL,
    WillNeed = MADV_WILLNEED,
    DontNeed = MADV_DONTNEED,
    Free = MADV_FREE,
    Remove = MADV_REMOVE,
    DontFork = MADV_DONTFORK,
    DoFork = MADV_DOFORK,
    HwPoison = MADV_HWPOISON,
    SoftOffline = MADV_SOFT_OFFLINE,
    Mergeable = MADV_MERGEABLE,
    Unmergeable = MADV_UNMERGEABLE,
    HugePage = MADV_HUGEPAGE,
    NoHugePage = MADV_NOHUGEPAGE,
    DontDump = MADV_DONTDUMP,
    DoDump = MADV_DODUMP,
    WipeOnFork = MADV_WIPEONFORK,
    KeepOnFork = MADV_KEEPONFORK,
    Cold = MADV_COLD,
    PageOut = MADV_PAGEOUT,
    PopulateRead = MADV_POPULATE_READ,
    PopulateWrite = MADV_POPULATE_WRITE,
    DontNeedLocked = MADV_DONTNEED_LOCKED,
    Collapse = MADV_COLLAPSE,
    GuardInstall = MADV_GUARD_INSTALL,
    GuardRemove = MADV_GUARD_REMOVE,
}

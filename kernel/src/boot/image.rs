//! The image's own segments: configuration, patch plans, root file system. `compat wrap` fills in the header.
#![allow(unsafe_code)]

use crate::mm::layout::{HUGE_PAGE, phys_to_virt};
use loader::patch::Plans;
use spin::Once;

const MAGIC: u64 = 0x3147_4d49_5450_4d43;

/// See ARCHITECTURE.md, "Image header".
#[repr(C)]
struct Header {
    magic: u64,
    config: [u64; 2],
    plans: [u64; 2],
    root: [u64; 2],
    flags: u64,
}

#[unsafe(no_mangle)]
#[unsafe(link_section = ".compat.header")]
static mut compat_image_header: Header = Header {
    magic: MAGIC,
    config: [0; 2],
    plans: [0; 2],
    root: [0; 2],
    flags: 0,
};

/// The segments, as they lie in the direct map.
pub struct Image {
    pub config: &'static [u8],
    pub root: &'static [u8],
    plans: Option<Plans<'static>>,
    /// Physical ranges, rounded to 2 MiB.
    pub ranges: [(u64, u64); 2],
}

impl Image {
    /// Reads the header. `top`: end of RAM.
    pub fn find(top: u64) -> Result<Self, &'static str> {
        // SAFETY: written by nobody; volatile, since the file differs from what was compiled.
        let header = unsafe { (&raw const compat_image_header).read_volatile() };
        let inside = |[start, len]: [u64; 2]| start.checked_add(len).is_some_and(|end| end <= top);
        if header.magic != MAGIC
            || !inside(header.config)
            || !inside(header.plans)
            || !inside(header.root)
        {
            return Err(
                "the image header is damaged, or the machine has too little memory for the image",
            );
        }
        if header.root[1] == 0 {
            return Err("the image has no root file system: it was not made by `compat wrap`");
        }
        let plans = Plans::new(slice(header.plans)).ok();
        if plans.is_none() && header.plans[1] != 0 {
            say!("the image's patch plans are damaged: its system calls take the slower trap");
        }
        let data_start = if header.config[1] == 0 {
            header.plans[0]
        } else {
            header.config[0]
        };
        let data_end = (header.config[0] + header.config[1]).max(header.plans[0] + header.plans[1]);
        Ok(Self {
            config: slice(header.config),
            root: slice(header.root),
            plans,
            ranges: [
                round(data_start, data_end),
                round(header.root[0], header.root[0] + header.root[1]),
            ],
        })
    }

    #[must_use]
    pub fn plans(&self) -> Option<&Plans<'static>> {
        self.plans.as_ref()
    }
}

fn slice([start, len]: [u64; 2]) -> &'static [u8] {
    if len == 0 {
        return &[];
    }
    // SAFETY: inside RAM (checked by the caller), never allocated, never written.
    unsafe { core::slice::from_raw_parts(phys_to_virt(start) as *const u8, len as usize) }
}

fn round(start: u64, end: u64) -> (u64, u64) {
    if start == end {
        (0, 0)
    } else {
        (start & !(HUGE_PAGE - 1), end.next_multiple_of(HUGE_PAGE))
    }
}

static IMAGE: Once<Image> = Once::new();

/// Keeps the image for the life of the machine.
pub fn set(image: Image) {
    IMAGE.call_once(|| image);
}

/// The image. There is one from the first thread on.
pub fn image() -> &'static Image {
    static EMPTY: Image = Image {
        config: &[],
        root: &[],
        plans: None,
        ranges: [(0, 0); 2],
    };
    IMAGE.get().unwrap_or(&EMPTY)
}

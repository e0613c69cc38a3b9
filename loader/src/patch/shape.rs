//! What a record claims, checked against itself and against the bytes that are mapped.

use super::{SiteRecord, Skip};
use core::ops::Range;
use crc::{CRC_32_ISO_HDLC, Crc, Table};

/// `jmp rel32`.
pub(super) const JUMP_SIZE: u64 = 5;
/// Of either instruction.
pub(super) const SITE_SIZE: u64 = 2;
/// `mov $imm32,%eax`.
const MOV_EAX: u8 = 0xb8;

/// The jump may take bytes of the site as well.
const LEAST_BEFORE: u8 = (JUMP_SIZE - SITE_SIZE) as u8;
/// No technique displaces more: five bytes of whole instructions are at most 4 + 15.
const MAX_DISPLACED: u8 = 32;
/// The largest window.
pub(super) const MAX_WINDOW: usize = MAX_DISPLACED as usize + SITE_SIZE as usize;

const CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

/// What becomes a jump. The values are those of a record, where they are added to the technique's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instruction {
    Syscall = 0,
    Cpuid = 0x10,
}

impl Instruction {
    fn from_number(number: u8) -> Option<Self> {
        [Instruction::Syscall, Instruction::Cpuid]
            .into_iter()
            .find(|instruction| *instruction as u8 == number)
    }

    pub(super) fn code(self) -> [u8; 2] {
        match self {
            Instruction::Syscall => [0x0f, 0x05],
            Instruction::Cpuid => [0x0f, 0xa2],
        }
    }
}

/// How a site becomes a jump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Technique {
    /// The `mov $nr,%eax` before it moves into the trampoline.
    Mov = 1,
    /// Whole instructions before it move.
    Before = 2,
    /// A short jump to padding, which holds the long one.
    Hop = 3,
    /// Whole instructions after it move.
    After = 4,
}

impl Technique {
    /// All techniques, in the order of the counters.
    pub const ALL: [Technique; 4] = [
        Technique::Mov,
        Technique::Before,
        Technique::Hop,
        Technique::After,
    ];

    pub(super) fn index(self) -> usize {
        self as usize - 1
    }

    fn from_number(number: u8) -> Option<Self> {
        Technique::ALL
            .into_iter()
            .find(|technique| *technique as u8 == number)
    }
}

/// The one rip-relative displacement among the displaced bytes; both offsets count from the first of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RipFix {
    pub disp: u8,
    pub end: u8,
}

/// A record that makes sense by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub technique: Technique,
    pub instruction: Instruction,
    /// File offset of the instruction.
    pub site: u64,
    pub head: u8,
    pub tail: u8,
    pub rip: Option<RipFix>,
    /// Distance from the site to the padding; 0 for all but [`Technique::Hop`].
    pub pad: i16,
    nr: Option<u32>,
    check: u32,
}

impl Shape {
    pub fn new(record: &SiteRecord) -> Result<Self, Skip> {
        const TECHNIQUE: u8 = 0xf;
        let technique = Technique::from_number(record.kind & TECHNIQUE).ok_or(Skip::Malformed)?;
        let instruction =
            Instruction::from_number(record.kind & !TECHNIQUE).ok_or(Skip::Malformed)?;
        let &SiteRecord {
            site,
            head,
            tail,
            check,
            nr,
            ..
        } = record;
        let sizes_fit = match technique {
            Technique::Mov => head == 5 && tail == 0,
            Technique::Before => (LEAST_BEFORE..=MAX_DISPLACED).contains(&head) && tail == 0,
            Technique::Hop => head == 0 && tail == 0,
            Technique::After => head == 0 && (3..=MAX_DISPLACED).contains(&tail),
        };
        let in_file =
            site >= u64::from(head) && site.checked_add(SITE_SIZE + u64::from(tail)).is_some();
        if !sizes_fit || !in_file {
            return Err(Skip::Malformed);
        }
        let pad = if technique == Technique::Hop {
            hop_pad(record)?
        } else {
            0
        };
        let rip = rip_fix(record, technique)?;
        Ok(Shape {
            technique,
            instruction,
            site,
            head,
            tail,
            rip,
            pad,
            nr,
            check,
        })
    }

    /// File offsets of all bytes that the patch owns at the site, changed or not.
    pub fn window(&self) -> Range<u64> {
        let end = self.site.saturating_add(SITE_SIZE + u64::from(self.tail));
        self.site.saturating_sub(self.head.into())..end
    }

    /// File offsets of the padding that a hop takes.
    pub fn pad_range(&self) -> Option<Range<u64>> {
        let start = self.site.checked_add_signed(self.pad.into())?;
        (self.technique == Technique::Hop).then_some(start..start.checked_add(JUMP_SIZE)?)
    }

    /// Whether the mapped window holds the bytes that were analysed.
    pub fn matches(&self, window: &[u8]) -> bool {
        let Some((before, rest)) = window.split_at_checked(self.head.into()) else {
            return false;
        };
        let mov = match (self.technique, self.nr, before) {
            (Technique::Mov, Some(nr), [MOV_EAX, imm @ ..]) => imm == nr.to_le_bytes(),
            (Technique::Mov, ..) => false,
            _ => true,
        };
        mov && rest.starts_with(&self.instruction.code()) && CRC.checksum(window) == self.check
    }

    /// The displaced bytes of a window.
    pub fn displaced<'w>(&self, window: &'w [u8]) -> &'w [u8] {
        let range = match self.technique {
            Technique::Mov | Technique::Before => 0..usize::from(self.head),
            Technique::Hop => 0..0,
            Technique::After => SITE_SIZE as usize..window.len(),
        };
        window.get(range).unwrap_or_default()
    }
}

/// Whether five bytes can be padding: what assemblers and linkers fill gaps with, and parts thereof.
pub(super) fn is_padding(bytes: &[u8]) -> bool {
    const FILLERS: [u8; 11] = [
        0x00, 0x0f, 0x1f, 0x2e, 0x40, 0x44, 0x66, 0x80, 0x84, 0x90, 0xcc,
    ];
    bytes.iter().all(|byte| FILLERS.contains(byte))
}

fn hop_pad(record: &SiteRecord) -> Result<i16, Skip> {
    let pad = i16::try_from(record.pad).map_err(|_| Skip::Malformed)?;
    let in_file = record
        .site
        .checked_add_signed(pad.into())
        .is_some_and(|pad| pad.checked_add(JUMP_SIZE).is_some());
    let reached = i8::try_from(i32::from(pad) - SITE_SIZE as i32).is_ok();
    let beside = pad <= -(JUMP_SIZE as i16) || pad >= SITE_SIZE as i16;
    if in_file && reached && beside {
        Ok(pad)
    } else {
        Err(Skip::Malformed)
    }
}

fn rip_fix(record: &SiteRecord, technique: Technique) -> Result<Option<RipFix>, Skip> {
    let displaced = match technique {
        Technique::Before => record.head,
        Technique::After => record.tail,
        Technique::Mov | Technique::Hop if record.rip_fix == 0 => return Ok(None),
        Technique::Mov | Technique::Hop => return Err(Skip::Malformed),
    };
    let Some(disp) = record.rip_fix.checked_sub(1) else {
        return Ok(None);
    };
    let end = u8::try_from(record.pad).map_err(|_| Skip::Malformed)?;
    let inside = disp.checked_add(4).is_some_and(|disp_end| disp_end <= end) && end <= displaced;
    if inside {
        Ok(Some(RipFix { disp, end }))
    } else {
        Err(Skip::Malformed)
    }
}

//! Where the pieces of a program go: the choices of Linux on x86-64 with 4-level paging.
//!
//! Pure functions from random numbers to addresses. All zeros are one possible draw: the highest stack and mappings,
//! the lowest program and heap.

use crate::elf::{Placement, Program};
use crate::page::{KERNEL_SLOT, PAGE_SIZE, USER_END, USER_START, page_down, page_up};

/// `ELF_ET_DYN_BASE`: two thirds of the address space, rounded down to a page.
pub const PIE_BASE: u64 = 0x5555_5555_4000;

/// `vm.mmap_rnd_bits` of Linux on x86-64, in pages: for PIE and mappings.
const MMAP_RND_BITS: u32 = 28;
/// `STACK_RND_MASK`: 16 GiB of pages.
const STACK_RND_BITS: u32 = 22;
/// `arch_randomize_brk`: 1 GiB of pages.
const BRK_RND_BITS: u32 = 18;

/// `mmap_base` of Linux keeps this much between stack and mappings at least.
const MIN_GAP: u64 = 128 << 20;
const STACK_GUARD_GAP: u64 = 256 * PAGE_SIZE;
/// Mappings begin above the kernel's slot, with room below them for programs that map a lot.
const LOWEST_MMAP_BASE: u64 = 0x7000_0000_0000;

/// Random numbers, one for each choice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Entropy {
    pub stack: u64,
    pub mmap: u64,
    pub pie: u64,
    pub brk: u64,
}

const fn random_bytes(rnd: u64, bits: u32) -> u64 {
    (rnd & ((1 << bits) - 1)) * PAGE_SIZE
}

/// The end of the stack mapping.
pub const fn stack_top(rnd: u64) -> u64 {
    USER_END - random_bytes(rnd, STACK_RND_BITS)
}

/// Mappings grow down from here. `stack_limit` is `RLIMIT_STACK`; "unlimited" gives the lowest base (Linux would
/// switch to its bottom-up layout, which programs cannot rely on).
pub fn mmap_base(rnd: u64, stack_limit: u64) -> u64 {
    let stack_rnd = PAGE_SIZE << STACK_RND_BITS;
    let gap = stack_limit
        .saturating_add(stack_rnd + STACK_GUARD_GAP)
        .max(MIN_GAP);
    let base = USER_END
        .saturating_sub(gap)
        .saturating_sub(random_bytes(rnd, MMAP_RND_BITS));
    page_down(base).max(LOWEST_MMAP_BASE)
}

/// Where a position-independent executable of `len` bytes goes; `None` when it does not fit below the kernel's slot.
pub fn pie_base(rnd: u64, len: u64, align: u64) -> Option<u64> {
    let base = align_down(PIE_BASE + random_bytes(rnd, MMAP_RND_BITS), align);
    let fits = base >= USER_START && base.checked_add(len)? <= KERNEL_SLOT.start;
    fits.then_some(base)
}

/// Where an interpreter or a static PIE of `len` bytes goes: directly below the mappings' base.
pub fn base_below(mmap_base: u64, len: u64, align: u64) -> Option<u64> {
    let base = align_down(mmap_base.checked_sub(len)?, align);
    (base >= KERNEL_SLOT.end).then_some(base)
}

/// The start of the heap behind a program that ends at `data_end` (bias included).
pub fn brk_start(rnd: u64, data_end: u64) -> Option<u64> {
    page_up(data_end)?.checked_add(random_bytes(rnd, BRK_RND_BITS))
}

const fn align_down(addr: u64, align: u64) -> u64 {
    if align.is_power_of_two() {
        addr & !(align - 1)
    } else {
        addr
    }
}

/// All addresses of one program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// The end of the stack mapping; the initial stack is built downwards from it.
    pub stack_top: u64,
    /// Mappings grow down from here; an interpreter or static PIE lies below it already.
    pub mmap_base: u64,
    /// Where the program's [`span`](Program::span) starts.
    pub program_base: u64,
    /// To add to the program's addresses.
    pub program_bias: u64,
    /// Where the interpreter's span starts, when there is one.
    pub interp_base: Option<u64>,
    /// To add to the interpreter's addresses; `AT_BASE`. 0 without interpreter.
    pub interp_bias: u64,
    /// The initial program break.
    pub brk_start: u64,
}

impl Layout {
    /// Chooses every address; `None` when a piece does not fit (`ENOMEM`).
    pub fn choose(
        entropy: &Entropy,
        stack_limit: u64,
        program: &Program,
        interp: Option<&Program>,
    ) -> Option<Self> {
        let mmap_base = mmap_base(entropy.mmap, stack_limit);
        let (program_base, free_below) = match program.placement {
            Placement::Fixed => (program.span.start, mmap_base),
            Placement::Pie => (
                pie_base(entropy.pie, program.len(), program.align)?,
                mmap_base,
            ),
            Placement::MmapArea => {
                let base = base_below(mmap_base, program.len(), program.align)?;
                (base, base)
            }
        };
        let program_bias = program.bias(program_base);
        let interp_base = match interp {
            Some(interp) if interp.placement == Placement::Fixed => Some(interp.span.start),
            Some(interp) => Some(base_below(free_below, interp.len(), interp.align)?),
            None => None,
        };
        let interp_bias = interp
            .zip(interp_base)
            .map_or(0, |(interp, base)| interp.bias(base));
        // A static PIE or an interpreter run by itself sits among the mappings; its heap goes where a PIE would be.
        let data_end = match program.placement {
            Placement::MmapArea => PIE_BASE,
            Placement::Fixed | Placement::Pie => program.data_end().wrapping_add(program_bias),
        };
        let brk_start = brk_start(entropy.brk, data_end)?;
        let stack_top = stack_top(entropy.stack);
        Some(Layout {
            stack_top,
            mmap_base,
            program_base,
            program_bias,
            interp_base,
            interp_bias,
            brk_start,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zero_draw() {
        assert_eq!(stack_top(0), 0x7fff_ffff_f000);
        assert_eq!(pie_base(0, 0x1000, 0x1000), Some(0x5555_5555_4000));
        // An 8 MiB stack: the guard gap and all the room that its top may be moved by come on top.
        assert_eq!(
            mmap_base(0, 8 << 20),
            0x7fff_ffff_f000 - (16 << 30) - (9 << 20)
        );
        assert_eq!(brk_start(0, 0x40_1234), Some(0x40_2000));
    }

    #[test]
    fn extremes_stay_in_place() {
        let all = u64::MAX;
        assert!(stack_top(all) > 0x7ffb_0000_0000);
        for stack in [0, 8 << 20, 1 << 40, u64::MAX] {
            let base = mmap_base(all, stack);
            assert!(base >= LOWEST_MMAP_BASE && base < stack_top(all).saturating_sub(MIN_GAP));
            assert_eq!(base % PAGE_SIZE, 0);
        }
        let pie = pie_base(all, 1 << 30, 2 << 20).unwrap();
        assert!(pie > PIE_BASE && pie < KERNEL_SLOT.start && pie.is_multiple_of(2 << 20));
        assert_eq!(pie_base(0, KERNEL_SLOT.start - PIE_BASE + 1, 4096), None);
        assert_eq!(pie_base(0, 0x1000, 1 << 46), Some(1 << 46));
        assert_eq!(pie_base(0, u64::MAX, 4096), None);
        assert_eq!(
            base_below(0x7000_0000_0000, 0x1234_5000, 2 << 20),
            Some(0x6fff_edc0_0000)
        );
        assert_eq!(base_below(0x7000_0000_0000, 0x1000_0000_0000, 4096), None);
        assert_eq!(base_below(1, 2, 4096), None);
        assert_eq!(brk_start(all, u64::MAX), None);
    }
}

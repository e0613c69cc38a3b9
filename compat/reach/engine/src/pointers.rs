//! Every place in a file's data that holds an address once the file is loaded.

use elf::abi;
use elf::endian::LittleEndian;
use elf::file::Class;
use elf::relocation::RelaIterator;

use crate::image::Image;

const DT_RELRSZ: i64 = 35;
const DT_RELR: i64 = 36;
const MAX_TABLE: u64 = 256 << 20;
const R_X86_64_RELATIVE64: u32 = 38;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    Address(u64),
    /// Index of a dynamic symbol, and what is added to it.
    Symbol(u32, i64),
    /// The program's copy of a library's object.
    Copy(u32),
    /// A function that answers the address.
    Resolver(u64),
}

#[derive(Clone, Copy, Debug)]
pub struct Pointer {
    pub at: u64,
    pub to: To,
    /// An entry of the linkage table: only instructions that name it use it.
    pub linkage: bool,
}

/// All pointers, sorted by where they lie.
pub fn read(image: &Image) -> Vec<Pointer> {
    let mut found = Vec::new();
    for (table, size) in [
        (abi::DT_RELA, abi::DT_RELASZ),
        (abi::DT_JMPREL, abi::DT_PLTRELSZ),
    ] {
        if let Some(at) = image.table(table) {
            rela(
                image,
                image.read(at, image.tag(size).min(MAX_TABLE)),
                &mut found,
            );
        }
    }
    relr(image, &mut found);
    // Static programs have their IRELATIVE relocations outside of any dynamic section.
    if image.dynamic.is_empty() {
        for section in image
            .sections
            .iter()
            .filter(|s| s.sh_type == abi::SHT_RELA && s.sh_addr != 0)
        {
            if let Some(at) = image.relative(section.sh_addr) {
                rela(
                    image,
                    image.read(at, section.sh_size.min(MAX_TABLE)),
                    &mut found,
                );
            }
        }
    }
    if image.fixed {
        words(image, &mut found);
    }
    found.sort_by_key(|p| p.at);
    found.dedup_by_key(|p| p.at);
    found
}

fn rela(image: &Image, bytes: &[u8], found: &mut Vec<Pointer>) {
    for row in RelaIterator::new(LittleEndian, Class::ELF64, bytes) {
        let Some(at) = image.relative(row.r_offset) else {
            continue;
        };
        let addend = image.relative(row.r_addend as u64);
        let to = match (row.r_type, addend) {
            (abi::R_X86_64_RELATIVE | R_X86_64_RELATIVE64, Some(value)) => To::Address(value),
            (abi::R_X86_64_IRELATIVE, Some(value)) => To::Resolver(value),
            (abi::R_X86_64_64, Some(value)) if row.r_sym == 0 => To::Address(value),
            (abi::R_X86_64_64, _) => To::Symbol(row.r_sym, row.r_addend),
            (abi::R_X86_64_GLOB_DAT | abi::R_X86_64_JUMP_SLOT, _) => To::Symbol(row.r_sym, 0),
            (abi::R_X86_64_COPY, _) => To::Copy(row.r_sym),
            _ => continue,
        };
        let linkage = matches!(row.r_type, abi::R_X86_64_GLOB_DAT | abi::R_X86_64_JUMP_SLOT);
        found.push(Pointer { at, to, linkage });
    }
}

/// Compact RELATIVE relocations: an even word is a place, an odd one a bitmap of the 63 places that follow.
fn relr(image: &Image, found: &mut Vec<Pointer>) {
    let Some(table) = image.table(DT_RELR) else {
        return;
    };
    let mut add = |at: u64| {
        if let Some(value) = image.word(at).and_then(|value| image.relative(value)) {
            found.push(Pointer {
                at,
                to: To::Address(value),
                linkage: false,
            });
        }
    };
    let mut next = 0u64;
    for row in image
        .read(table, image.tag(DT_RELRSZ).min(MAX_TABLE))
        .chunks_exact(8)
    {
        let entry = u64::from_le_bytes(row.try_into().unwrap_or([0; 8]));
        if entry & 1 == 0 {
            let at = entry.wrapping_sub(image.base);
            add(at);
            next = at.wrapping_add(8);
        } else {
            for bit in (0..63).filter(|bit| entry >> (bit + 1) & 1 == 1) {
                add(next.wrapping_add(8 * bit));
            }
            next = next.wrapping_add(8 * 63);
        }
    }
}

/// Programs with a fixed address have no relocations for their own pointers: every aligned word may be one.
fn words(image: &Image, found: &mut Vec<Pointer>) {
    for segment in &image.segments {
        let skip = (segment.start.wrapping_neg() & 7) as usize;
        for (index, row) in segment
            .bytes
            .get(skip..)
            .unwrap_or(&[])
            .chunks_exact(8)
            .enumerate()
        {
            let value = u64::from_le_bytes(row.try_into().unwrap_or([0; 8]));
            if let Some(value) = image.relative(value) {
                let at = segment.start + (skip + 8 * index) as u64;
                found.push(Pointer {
                    at,
                    to: To::Address(value),
                    linkage: false,
                });
            }
        }
    }
}

//! The symbols of a file, with the versions that the dynamic linker compares.

use elf::abi;
use elf::endian::LittleEndian;
use elf::file::Class;
use elf::gnu_symver::{VerDefIterator, VerNeedIterator};
use elf::string_table::StringTable;
use elf::symbol::SymbolTable;
use rustc_hash::FxHashMap;

use crate::image::Image;

const SYM_SIZE: u64 = 24;
const MAX_SYMBOLS: u64 = 4 << 20;
const MAX_STRINGS: u64 = 256 << 20;
const HIDDEN: u16 = 0x8000;

pub struct Symbol {
    pub name: Box<str>,
    pub value: u64,
    pub size: u64,
    pub kind: u8,
    pub defined: bool,
    pub local: bool,
    /// The version that it has or asks for.
    pub version: Option<Box<str>>,
    /// Not what a reference without a version gets.
    pub hidden: bool,
}

impl Symbol {
    pub fn is_function(&self) -> bool {
        matches!(self.kind, abi::STT_FUNC | abi::STT_GNU_IFUNC)
    }
}

/// A table's symbols in its own order.
pub fn dynamic_symbols(image: &Image) -> Vec<Symbol> {
    let Some(table) = image.table(abi::DT_SYMTAB) else {
        return Vec::new();
    };
    let strings = strings(image);
    let versions = Versions::read(image, &strings);
    let bytes = image.read(
        table,
        symbol_count(image, table).min(MAX_SYMBOLS) * SYM_SIZE,
    );
    let numbers = image.table(abi::DT_VERSYM);
    let parsed = SymbolTable::new(LittleEndian, Class::ELF64, bytes);
    parsed
        .iter()
        .enumerate()
        .map(|(index, raw)| {
            let mut symbol = symbol(image, &raw, &strings);
            if let Some(number) = numbers.and_then(|at| half_word(image, at + 2 * index as u64)) {
                symbol.hidden = number & HIDDEN != 0;
                symbol.version = versions.names.get(&(number & !HIDDEN)).cloned();
            }
            symbol
        })
        .collect()
}

/// What `.symtab` adds in files that are not stripped.
pub fn static_symbols(image: &Image) -> Vec<Symbol> {
    let Some(section) = image.sections.iter().find(|s| s.sh_type == abi::SHT_SYMTAB) else {
        return Vec::new();
    };
    let Some(names) = image.sections.get(section.sh_link as usize) else {
        return Vec::new();
    };
    let (bytes, names) = (image.section_bytes(section), image.section_bytes(names));
    let strings = StringTable::new(&names);
    let parsed = SymbolTable::new(LittleEndian, Class::ELF64, &bytes);
    let wanted = [abi::STT_FUNC, abi::STT_GNU_IFUNC, abi::STT_OBJECT];
    parsed
        .iter()
        .take(MAX_SYMBOLS as usize)
        .filter(|raw| wanted.contains(&raw.st_symtype()) && !raw.is_undefined())
        .map(|raw| symbol(image, &raw, &strings))
        .collect()
}

pub fn strings(image: &Image) -> StringTable<'_> {
    let size = image.tag(abi::DT_STRSZ).min(MAX_STRINGS);
    StringTable::new(
        image
            .table(abi::DT_STRTAB)
            .map_or(&[], |at| image.read(at, size)),
    )
}

fn symbol(image: &Image, raw: &elf::symbol::Symbol, strings: &StringTable) -> Symbol {
    let value = image.relative(raw.st_value);
    let absolute = raw.st_shndx == abi::SHN_ABS || raw.st_symtype() == abi::STT_TLS;
    Symbol {
        name: strings.get(raw.st_name as usize).unwrap_or("").into(),
        value: value.unwrap_or(0),
        size: raw.st_size,
        kind: raw.st_symtype(),
        defined: !raw.is_undefined() && value.is_some() && !absolute,
        local: raw.st_bind() == abi::STB_LOCAL,
        version: None,
        hidden: false,
    }
}

/// Nothing states the number of dynamic symbols but the hash tables.
fn symbol_count(image: &Image, table: u64) -> u64 {
    if let Some(section) = image.sections.iter().find(|s| s.sh_type == abi::SHT_DYNSYM) {
        return section.sh_size / SYM_SIZE;
    }
    if let Some(count) = image.table(abi::DT_HASH).and_then(|at| image.half(at + 4)) {
        return u64::from(count);
    }
    if let Some(count) = image
        .table(abi::DT_GNU_HASH)
        .and_then(|at| gnu_hash_count(image, at))
    {
        return count;
    }
    // By custom the strings follow.
    image
        .table(abi::DT_STRTAB)
        .map_or(0, |end| end.saturating_sub(table) / SYM_SIZE)
}

fn gnu_hash_count(image: &Image, at: u64) -> Option<u64> {
    let buckets = u64::from(image.half(at)?);
    let first = u64::from(image.half(at + 4)?);
    let chains = at + 16 + u64::from(image.half(at + 8)?) * 8 + buckets.min(MAX_SYMBOLS) * 4;
    let starts = chains - buckets.min(MAX_SYMBOLS) * 4;
    let last = (0..buckets.min(MAX_SYMBOLS))
        .filter_map(|i| image.half(starts + 4 * i))
        .max()?;
    let mut index = u64::from(last);
    if index < first {
        return Some(first);
    }
    while image.half(chains + (index - first) * 4)? & 1 == 0 {
        index += 1;
    }
    Some(index + 1)
}

fn half_word(image: &Image, at: u64) -> Option<u16> {
    Some(u16::from_le_bytes(image.read(at, 2).try_into().ok()?))
}

#[derive(Default)]
struct Versions {
    names: FxHashMap<u16, Box<str>>,
}

impl Versions {
    fn read(image: &Image, strings: &StringTable) -> Self {
        let mut names = FxHashMap::default();
        let name = |offset: u32| -> Box<str> { strings.get(offset as usize).unwrap_or("").into() };
        let rest = |at: u64| image.read(at, MAX_STRINGS);
        if let Some(at) = image.table(abi::DT_VERDEF) {
            let count = image.tag(abi::DT_VERDEFNUM).min(u64::from(u16::MAX));
            for (definition, mut parts) in
                VerDefIterator::new(LittleEndian, Class::ELF64, count, 0, rest(at))
            {
                if let Some(part) = parts.next().filter(|_| definition.vd_ndx > 1) {
                    names.insert(definition.vd_ndx, name(part.vda_name));
                }
            }
        }
        if let Some(at) = image.table(abi::DT_VERNEED) {
            let count = image.tag(abi::DT_VERNEEDNUM).min(u64::from(u16::MAX));
            for (_, parts) in VerNeedIterator::new(LittleEndian, Class::ELF64, count, 0, rest(at)) {
                for part in parts {
                    names.insert(part.vna_other & !HIDDEN, name(part.vna_name));
                }
            }
        }
        Versions { names }
    }
}

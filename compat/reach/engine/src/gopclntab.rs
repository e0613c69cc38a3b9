//! Go's own table of functions, which stripped programs keep. It is found by its magic.

use crate::functions::Range;
use crate::image::Image;

const MAGICS: [u32; 3] = [0xffff_fff1, 0xffff_fff0, 0xffff_fffa];
const GO_1_16: u32 = 0xffff_fffa;
/// The magic's common bytes, zeros, instruction size 1, pointer size 8.
const COMMON: [u8; 7] = [0xff, 0xff, 0xff, 0, 0, 1, 8];
const MAX_FUNCTIONS: u64 = 1 << 24;
const MAX_NAME: u64 = 512;
/// Words of runtime.moduledata after the address of the table: limits of the code, and what offsets count from.
const MIN_PC: u64 = 20;
const MAX_PC: u64 = 21;
const TEXT: u64 = 22;

/// What the table of a Go program says; `names` only since Go 1.18.
pub struct Table {
    pub functions: Vec<Range>,
    pub names: Vec<(u64, Box<str>)>,
}

pub fn find(image: &Image) -> Option<Table> {
    image.segments.iter().find_map(|segment| {
        let hits = memchr::memmem::find_iter(&segment.bytes, &COMMON);
        let tables = hits.filter_map(|hit| (segment.start + hit as u64).checked_sub(1));
        tables.into_iter().find_map(|table| table_at(image, table))
    })
}

fn table_at(image: &Image, table: u64) -> Option<Table> {
    let magic = image.half(table).filter(|m| MAGICS.contains(m))?;
    let count = image
        .word(table + 8)
        .filter(|n| (1..MAX_FUNCTIONS).contains(n))?;
    let mut names = Vec::new();
    let starts: Vec<u64> = if magic == GO_1_16 {
        let rows = image.read(
            table.checked_add(image.word(table + 48)?)?,
            (count + 1) * 16,
        );
        rows.chunks(16)
            .filter_map(|row| image.relative(le(row.get(..8)?)))
            .collect()
    } else {
        let functions = table.checked_add(image.word(table + 64)?)?;
        let strings = table.checked_add(image.word(table + 32)?)?;
        let rows = image.read(functions, (count + 1) * 8);
        let offsets: Vec<u64> = rows
            .chunks(8)
            .filter_map(|row| Some(le(row.get(..4)?)))
            .collect();
        let text = text_start(image, table, *offsets.first()?, *offsets.last()?)?;
        names = rows
            .chunks(8)
            .filter_map(|row| name(image, functions, strings, text, row))
            .collect();
        offsets.iter().map(|offset| text + offset).collect()
    };
    let sorted = starts.len() as u64 == count + 1 && starts.is_sorted();
    if !sorted || !image.is_code(*starts.first()?) {
        return None;
    }
    let pairs = starts.iter().zip(starts.iter().skip(1));
    let functions = pairs
        .map(|(&start, &end)| Range {
            start,
            end,
            vouched: true,
        })
        .collect();
    Some(Table { functions, names })
}

/// A row leads to the function's record, whose second word leads to its name.
fn name(
    image: &Image,
    functions: u64,
    strings: u64,
    text: u64,
    row: &[u8],
) -> Option<(u64, Box<str>)> {
    let record = functions.checked_add(le(row.get(4..8)?))?;
    let at = strings.checked_add(u64::from(image.half(record.checked_add(4)?)?))?;
    let name = std::str::from_utf8(image.string(at, MAX_NAME)?).ok()?;
    Some((text + le(row.get(..4)?), name.into()))
}

/// The table says what its offsets count from, until Go 1.26; run-time data do always.
fn text_start(image: &Image, table: u64, first: u64, last: u64) -> Option<u64> {
    let stated = image.word(table + 24)?;
    if stated != 0
        && let Some(at) = image.relative(stated).filter(|&at| image.is_code(at))
    {
        return Some(at);
    }
    let pointers = crate::pointers::read(image);
    let value = |at: u64| match pointers.get(pointers.partition_point(|p| p.at < at)) {
        Some(p) if p.at == at => match p.to {
            crate::pointers::To::Address(value) => Some(value),
            _ => None,
        },
        _ => None,
    };
    pointers
        .iter()
        .filter(|p| p.to == crate::pointers::To::Address(table))
        .find_map(|p| {
            let text = value(p.at + 8 * TEXT)?;
            let fits = value(p.at + 8 * MIN_PC)? == text + first
                && value(p.at + 8 * MAX_PC)? == text + last;
            fits.then_some(text)
        })
}

fn le(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |value, &byte| value << 8 | u64::from(byte))
}

//! Where functions begin and end: unwind tables, Go's table, symbols.

use gimli::{
    BaseAddresses, CieOrFde, EhFrame, EhFrameHdr, EndianSlice, LittleEndian, Pointer, UnwindSection,
};

use crate::gopclntab;
use crate::image::Image;
use crate::symbols::Symbol;

const MAX_FRAMES: usize = 8 << 20;
const DW_EH_PE_APPLICATION: u8 = 0x70;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub start: u64,
    pub end: u64,
    /// Its table lists code only. Symbols name data between instructions as functions too.
    pub vouched: bool,
}

/// Names of Go's functions, by address.
pub type GoNames = Vec<(u64, Box<str>)>;

/// The functions that a table or a symbol names, sorted and disjoint; and Go's own names if this is Go's code.
pub fn listed(image: &Image, symbols: &[&[Symbol]]) -> (Vec<Range>, Option<GoNames>) {
    let mut found = frames(image);
    let go = gopclntab::find(image);
    let names = go.map(|table| {
        found.extend(table.functions);
        table.names
    });
    let sized = symbols
        .iter()
        .flat_map(|t| t.iter())
        .filter(|s| s.is_function() && s.defined && s.size > 0);
    let mut ranges = disjoint(image, found);
    let extra = sized.map(|s| Range {
        vouched: false,
        start: s.value,
        end: s.value.saturating_add(s.size),
    });
    let mut outside: Vec<Range> = extra
        .filter(|r| containing(&ranges, r.start).is_none())
        .collect();
    outside.append(&mut ranges);
    (disjoint(image, outside), names)
}

/// Index of the range that holds an address.
pub fn containing(ranges: &[Range], at: u64) -> Option<usize> {
    let index = ranges.partition_point(|r| r.start <= at).checked_sub(1)?;
    (at < ranges.get(index)?.end).then_some(index)
}

/// Executable bytes between the ranges.
pub fn gaps(image: &Image, ranges: &[Range]) -> Vec<Range> {
    let mut found = Vec::new();
    for &(start, end) in &image.code {
        let mut at = start;
        let first = ranges.partition_point(|r| r.end <= at);
        for range in ranges.iter().skip(first).take_while(|r| r.start < end) {
            if range.start > at {
                found.push(Range {
                    vouched: false,
                    start: at,
                    end: range.start,
                });
            }
            at = at.max(range.end);
        }
        if at < end {
            found.push(Range {
                start: at,
                end,
                vouched: false,
            });
        }
    }
    found
}

fn disjoint(image: &Image, mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.sort_by_key(|r| (r.start, std::cmp::Reverse(r.end)));
    let mut kept: Vec<Range> = Vec::with_capacity(ranges.len());
    for mut range in ranges {
        let Some(segment) = image.segment(range.start).filter(|s| s.exec) else {
            continue;
        };
        range.end = range.end.min(segment.end());
        if let Some(last) = kept.last_mut() {
            if range.start == last.start {
                continue;
            }
            last.end = last.end.min(range.start);
        }
        if range.start < range.end {
            kept.push(range);
        }
    }
    kept
}

fn frames(image: &Image) -> Vec<Range> {
    let Some(at) = eh_frame(image) else {
        return Vec::new();
    };
    let bytes = image.read(at, u64::from(u32::MAX));
    let section = EhFrame::new(bytes, LittleEndian);
    let bases = BaseAddresses::default().set_eh_frame(at);
    let mut entries = section.entries(&bases);
    let mut found = Vec::new();
    while let Ok(Some(entry)) = entries.next() {
        let CieOrFde::Fde(partial) = entry else {
            continue;
        };
        let Ok(fde) = partial.parse(EhFrame::cie_from_offset) else {
            continue;
        };
        let absolute = fde
            .cie()
            .fde_address_encoding()
            .is_none_or(|e| e.0 & DW_EH_PE_APPLICATION == 0);
        let mut start = fde.initial_address();
        if absolute {
            start = start.wrapping_sub(image.base);
        }
        if fde.is_signal_trampoline() {
            // The record begins a byte early, so that unwinders find it by the return address.
            start += 1;
        }
        found.push(Range {
            vouched: true,
            start,
            end: fde.initial_address().wrapping_add(fde.len()).max(start),
        });
        if absolute && let Some(last) = found.last_mut() {
            last.end = start.saturating_add(fde.len());
        }
        if found.len() >= MAX_FRAMES {
            break;
        }
    }
    found
}

fn eh_frame(image: &Image) -> Option<u64> {
    let indexed = image.eh_frame_hdr.and_then(|at| {
        let header = EhFrameHdr::from(EndianSlice::new(image.read(at, 64), LittleEndian));
        match header
            .parse(&BaseAddresses::default().set_eh_frame_hdr(at), 8)
            .ok()?
            .eh_frame_ptr()
        {
            Pointer::Direct(at) => Some(at),
            Pointer::Indirect(_) => None,
        }
    });
    indexed.or_else(|| image.section_at(".eh_frame"))
}

//! Builds functions with system calls and the records that a correct analysis would write for them.

use super::machine::{FILE_OFFSET, MODULE};
use crate::patch::{Instruction, SiteRecord, Technique};
use alloc::vec::Vec;
use crc::{CRC_32_ISO_HDLC, Crc};
use iced_x86::{Decoder, DecoderOptions};

/// Instructions that can be moved, two of them rip-relative.
pub const MOVABLE: [&[u8]; 10] = [
    b"\x48\x89\xfe",                             // mov %rdi,%rsi
    b"\x31\xd2",                                 // xor %edx,%edx
    b"\xbf\x01\x00\x00\x00",                     // mov $1,%edi
    b"\x4c\x8d\x44\x24\xe0",                     // lea -32(%rsp),%r8
    b"\x48\x3d\x01\xf0\xff\xff",                 // cmp $-4095,%rax
    b"\x90",                                     // nop
    b"\x4d\x31\xd2",                             // xor %r10,%r10
    b"\x64\x48\x8b\x14\x25\x10\x00\x00\x00",     // mov %fs:16,%rdx
    b"\x48\x8d\x35\x78\x56\x34\x12",             // lea 0x12345678(%rip),%rsi
    b"\xc7\x05\x00\x10\x00\x00\x2a\x00\x00\x00", // movl $42,0x1000(%rip)
];
const RIP_RELATIVE: [(usize, u8, u8); 2] = [(8, 3, 7), (9, 2, 10)];

pub fn crc(bytes: &[u8]) -> u32 {
    Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(bytes)
}

/// One function: instructions around one site, then `ret` and padding.
#[derive(Debug, Clone)]
pub struct Function {
    pub technique: Technique,
    pub instruction: Instruction,
    pub nr: u32,
    pub before: Vec<usize>,
    pub after: Vec<usize>,
    pub padding: u8,
    /// Hops only: take the padding of the function before, not one's own.
    pub backwards: bool,
}

/// Code and where things are in it.
#[derive(Debug, Default, Clone)]
pub struct Built {
    pub code: Vec<u8>,
    pub records: Vec<SiteRecord>,
    /// Addresses of the functions.
    pub entries: Vec<u64>,
}

pub fn build(functions: &[Function]) -> Built {
    let mut built = Built {
        code: [0xcc; 16].to_vec(),
        ..Built::default()
    };
    for function in functions {
        let previous_pad = built.code.len() - 16;
        built.entries.push(MODULE + built.code.len() as u64);
        emit(function, previous_pad, &mut built);
    }
    built
}

fn emit(function: &Function, previous_pad: usize, built: &mut Built) {
    let mut head = instructions(&function.before, &mut built.code);
    if function.technique == Technique::Mov {
        head = (5, None);
        built.code.push(0xb8);
        built.code.extend_from_slice(&function.nr.to_le_bytes());
    }
    let site = built.code.len();
    built.code.extend_from_slice(&function.instruction.code());
    let tail = instructions(&function.after, &mut built.code);
    built.code.push(0xc3);
    let pad = if function.backwards {
        previous_pad
    } else {
        built.code.len()
    };
    built.code.extend_from_slice(&[function.padding; 16]);
    let mut record = SiteRecord {
        site: FILE_OFFSET + site as u64,
        nr: Some(function.nr),
        kind: function.technique as u8 | function.instruction as u8,
        head: 0,
        tail: 0,
        rip_fix: 0,
        pad: 0,
        check: 0,
    };
    match function.technique {
        Technique::Mov => record.head = 5,
        Technique::Before => (record.head, (record.rip_fix, record.pad)) = (head.0, fix(head.1)),
        Technique::Hop => record.pad = pad as i32 - site as i32,
        Technique::After => (record.tail, (record.rip_fix, record.pad)) = (tail.0, fix(tail.1)),
    }
    let window = site - usize::from(record.head)..site + 2 + usize::from(record.tail);
    record.check = crc(&built.code[window]);
    built.records.push(record);
}

fn fix(rip: Option<(u8, u8)>) -> (u8, i32) {
    rip.map_or((0, 0), |(disp, end)| (disp + 1, end.into()))
}

/// Appends instructions; their size, and place and end of the rip-relative displacement. A second one is left out.
fn instructions(indexes: &[usize], code: &mut Vec<u8>) -> (u8, Option<(u8, u8)>) {
    let start = code.len();
    let mut rip = None;
    for &index in indexes {
        let at = (code.len() - start) as u8;
        if let Some(&(_, disp, end)) = RIP_RELATIVE.iter().find(|(which, ..)| *which == index) {
            if rip.is_some() {
                continue;
            }
            rip = Some((at + disp, at + end));
        }
        code.extend_from_slice(MOVABLE[index]);
    }
    ((code.len() - start) as u8, rip)
}

#[test]
fn movable_instructions_are_what_the_comments_say() {
    for bytes in MOVABLE {
        let instruction = Decoder::with_ip(64, bytes, 0, DecoderOptions::NONE).decode();
        assert_eq!(instruction.len(), bytes.len());
    }
    for (index, disp, end) in RIP_RELATIVE {
        let mut decoder = Decoder::with_ip(64, MOVABLE[index], 0, DecoderOptions::NONE);
        let instruction = decoder.decode();
        assert!(instruction.is_ip_rel_memory_operand());
        let offsets = decoder.get_constant_offsets(&instruction);
        assert_eq!(
            (offsets.displacement_offset(), instruction.len()),
            (disp.into(), end.into())
        );
    }
}

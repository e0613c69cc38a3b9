//! Real programs of the host, and the arithmetic of segments.

use super::*;
use crate::page::PAGE_SIZE;
use alloc::vec::Vec;

fn parse(bytes: &[u8]) -> Result<Program, LoadError<core::convert::Infallible>> {
    Program::parse(bytes)
}

fn segment(vaddr: u64, memsz: u64, offset: u64, filesz: u64, prot: Prot) -> Segment {
    Segment {
        vaddr,
        memsz,
        offset,
        filesz,
        prot,
    }
}

const RX: Prot = Prot {
    read: true,
    write: false,
    exec: true,
};
const RW: Prot = Prot {
    read: true,
    write: true,
    exec: false,
};

/// The test binary itself is a PIE that Linux accepted.
#[test]
fn this_program() {
    let bytes = std::fs::read("/proc/self/exe").unwrap();
    let program = parse(&bytes).unwrap();
    assert_eq!(program.placement, Placement::Pie);
    assert!(program.interp.as_ref().unwrap().starts_with(b"/lib64/ld-"));
    assert!(program.has_abi_tag && !program.exec_stack);
    assert_eq!(program.phdr_vaddr, 64);
    assert_eq!(program.span.start, 0);
    assert_eq!(program.bias(0x5555_5555_4000), 0x5555_5555_4000);

    let auxv = std::fs::read("/proc/self/auxv").unwrap();
    let value = |key: u64| {
        let words: Vec<u64> = auxv
            .chunks_exact(8)
            .map(|w| u64::from_le_bytes(w.try_into().unwrap()))
            .collect();
        words.chunks_exact(2).find(|pair| pair[0] == key).unwrap()[1]
    };
    assert_eq!(value(5), program.phnum.into());
    assert_eq!(value(9) - value(3), program.entry - program.phdr_vaddr);

    let interp =
        std::fs::read(std::str::from_utf8(program.interp.as_ref().unwrap()).unwrap()).unwrap();
    let interp = parse(&interp).unwrap();
    assert_eq!(interp.placement, Placement::MmapArea);
    assert!(!interp.has_abi_tag);
}

#[test]
fn parts_of_a_data_segment() {
    let data = segment(0x40_3e10, 0x5000, 0x2e10, 0x230, RW);
    let file = FilePart {
        vaddr: 0x40_3000,
        len: 0x2000,
        offset: 0x2000,
        prot: RW,
    };
    assert_eq!(data.file_part(), Some(file));
    assert_eq!(
        data.zero_tail(),
        Some(ZeroTail {
            vaddr: 0x40_4040,
            len: 0xfc0
        })
    );
    assert_eq!(
        data.anon_part(),
        Some(AnonPart {
            vaddr: 0x40_5000,
            len: 0x4000,
            prot: RW
        })
    );
    assert_eq!(data.pages(), 0x40_3000..0x40_9000);
}

#[test]
fn parts_without_file_data_or_without_bss() {
    let bss = segment(0x5000, 0x1001, 0x1234, 0, RW);
    assert_eq!((bss.file_part(), bss.zero_tail()), (None, None));
    assert_eq!(
        bss.anon_part(),
        Some(AnonPart {
            vaddr: 0x5000,
            len: 0x2000,
            prot: RW
        })
    );
    let text = segment(0x1000, 0x800, 0x1000, 0x800, RX);
    assert_eq!((text.zero_tail(), text.anon_part()), (None, None));
    assert_eq!(
        text.file_part(),
        Some(FilePart {
            vaddr: 0x1000,
            len: PAGE_SIZE,
            offset: 0x1000,
            prot: RX
        })
    );
}

#[test]
fn read_only_bss_keeps_the_file_bytes_and_gets_writable_pages() {
    let text = segment(0x1000, 0x2000, 0x1000, 0x800, RX);
    assert_eq!(text.zero_tail(), None);
    let prot = Prot {
        read: true,
        write: true,
        exec: true,
    };
    assert_eq!(
        text.anon_part(),
        Some(AnonPart {
            vaddr: 0x2000,
            len: 0x1000,
            prot
        })
    );
}

#[test]
fn prot_bits() {
    assert_eq!((RX.bits(), RW.bits(), Prot::default().bits()), (5, 3, 0));
}

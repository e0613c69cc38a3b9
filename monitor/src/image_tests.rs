//! Every way an image can be broken that a header can express, and the good ones beside them.

use std::io::Write;

use object::elf::ELFCLASS32;

use super::*;

const TEXT: u64 = 0x20_0000;

/// A small good image, whose fields tests then spoil.
#[derive(Clone)]
struct Builder {
    class: u8,
    machine: u16,
    phentsize: u16,
    phoff: u64,
    /// Type, flags, offset, paddr, filesz, memsz.
    headers: Vec<(u32, u32, u64, u64, u64, u64)>,
    notes: Vec<u8>,
    len: usize,
}

const NOTES_AT: u64 = 0x800;
const LOAD: u32 = 1;
const NOTE: u32 = 4;
const R: u32 = 4;
const RX: u32 = 5;
const RW: u32 = 6;

fn note(name: &str, kind: u32, desc: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for word in [name.len() as u32 + 1, desc.len() as u32, kind] {
        out.extend(word.to_le_bytes());
    }
    for part in [[name.as_bytes(), b"\0"].concat(), desc.to_vec()] {
        out.extend(part);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
}

fn good() -> Builder {
    let notes = [
        note("Xen", 18, &(TEXT as u32).to_le_bytes()),
        note("compat", 1, &boot_abi::ABI_VERSION.to_le_bytes()),
    ]
    .concat();
    Builder {
        class: 2,
        machine: 62,
        phentsize: 56,
        phoff: 64,
        headers: vec![
            (LOAD, RX, 0x1000, TEXT, 0x800, 0x800),
            (LOAD, RW, 0x2000, TEXT + 0x10_0000, 0x10, 0x4000),
            (LOAD, R, 0x3000, TEXT + 0x20_0000, 0x1000, 0x1000),
            (NOTE, R, NOTES_AT, 0, notes.len() as u64, notes.len() as u64),
        ],
        notes,
        len: 0x4000,
    }
}

impl Builder {
    fn bytes(&self) -> Vec<u8> {
        let mut out = vec![0x7f, b'E', b'L', b'F', self.class, 1, 1];
        out.resize(16, 0);
        out.extend(2u16.to_le_bytes());
        out.extend(self.machine.to_le_bytes());
        out.extend(1u32.to_le_bytes());
        out.extend([0; 8]);
        out.extend(self.phoff.to_le_bytes());
        out.extend([0; 8 + 4]);
        out.extend(64u16.to_le_bytes());
        out.extend(self.phentsize.to_le_bytes());
        out.extend((self.headers.len() as u16).to_le_bytes());
        out.resize(64, 0);
        for (kind, flags, offset, paddr, filesz, memsz) in &self.headers {
            out.extend(kind.to_le_bytes());
            out.extend(flags.to_le_bytes());
            for word in [*offset, *paddr, *paddr, *filesz, *memsz, 4] {
                out.extend(word.to_le_bytes());
            }
        }
        out.resize(out.len().max(NOTES_AT as usize), 0);
        out.extend(&self.notes);
        out.resize(self.len, 0);
        out
    }

    fn parse(&self) -> Result<Image, ImageError> {
        parse(&self.bytes())
    }
}

fn image_file(bytes: &[u8], offset: u64) -> ImageFile {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&vec![0xcc; offset as usize]).unwrap();
    file.write_all(bytes).unwrap();
    ImageFile {
        file,
        offset,
        len: bytes.len() as u64,
    }
}

fn parse(bytes: &[u8]) -> Result<Image, ImageError> {
    Image::parse(&image_file(bytes, 0))
}

fn spoiled(change: impl FnOnce(&mut Builder)) -> String {
    let mut builder = good();
    change(&mut builder);
    builder.parse().unwrap_err().to_string()
}

#[test]
fn a_good_image_is_understood() {
    let image = good().parse().unwrap();
    assert_eq!(u64::from(image.entry), TEXT);
    let mappable: Vec<bool> = image.segments.iter().map(Segment::mappable).collect();
    assert_eq!(mappable, [false, false, true]);
}

#[test]
fn an_image_inside_another_file_is_found_at_its_offset() {
    let image = Image::parse(&image_file(&good().bytes(), 8192)).unwrap();
    assert_eq!(image.segments[2].file_offset, 0x3000 + 8192);
    assert!(image.segments[2].mappable());
}

#[test]
fn what_is_not_an_image_says_so() {
    assert!(parse(b"").unwrap_err().to_string().contains("too short"));
    assert!(
        parse(&[0; 4096])
            .unwrap_err()
            .to_string()
            .contains("not an ELF")
    );
    assert!(spoiled(|b| b.class = ELFCLASS32.0).contains("x86-64"));
    assert!(spoiled(|b| b.machine = 183).contains("x86-64"));
}

#[test]
fn program_headers_must_lie_in_the_file() {
    assert!(spoiled(|b| b.phentsize = 55).contains("wrong size"));
    assert!(spoiled(|b| b.headers.clear()).contains("no program headers"));
    assert!(spoiled(|b| b.headers = vec![b.headers[0]; 65]).contains("too many"));
    for phoff in [0x3ff0, u64::MAX, u64::MAX - 100] {
        assert!(
            spoiled(|b| b.phoff = phoff).contains("outside the file"),
            "{phoff:#x}"
        );
    }
}

#[test]
fn segments_must_be_possible() {
    let text =
        |change: fn(&mut (u32, u32, u64, u64, u64, u64))| spoiled(|b| change(&mut b.headers[0]));
    assert!(text(|h| h.4 = 0x801).contains("larger in the file"));
    assert!(text(|h| h.2 = 0x4000).contains("truncated"));
    assert!(text(|h| h.2 = u64::MAX).contains("truncated"));
    assert!(text(|h| h.3 = 0x1000).contains("first megabyte"));
    assert!(text(|h| h.3 = 3 << 30).contains("3 GiB"));
    assert!(text(|h| h.3 = u64::MAX).contains("3 GiB"));
    assert!(text(|h| h.5 = u64::MAX).contains("3 GiB"));
    assert!(text(|h| h.5 = 4 << 30).contains("3 GiB"));
}

#[test]
fn segments_must_not_overlap() {
    assert!(spoiled(|b| b.headers[1].3 = TEXT + 0x400).contains("overlap"));
    assert!(spoiled(|b| b.headers[1].5 = 0x20_0000).contains("overlap"));
    assert!(spoiled(|b| b.headers.push(b.headers[0])).contains("overlap"));
    // A mapped segment takes its last page whole.
    let tail = |b: &mut Builder| {
        (b.headers[2].4, b.headers[2].5) = (0x100, 0x100);
        b.headers
            .push((LOAD, RW, 0x2000, b.headers[2].3 + 0x800, 0x10, 0x10));
    };
    assert!(spoiled(tail).contains("overlap"));
}

#[test]
fn the_notes_must_be_there_and_agree() {
    assert!(spoiled(|b| b.headers[3].0 = 0).contains("no compat note"));
    assert!(spoiled(|b| b.notes[8] = 17).contains("no PVH note"));
    assert!(spoiled(|b| b.notes[4] = 200).contains("malformed"));
    let other = |b: &mut Builder| {
        let at = b.notes.len() - 4;
        b.notes[at] = 9;
    };
    assert!(spoiled(other).contains("version is 9"));
    assert!(spoiled(|b| b.headers[3].2 = u64::MAX).contains("outside the file"));
    assert!(spoiled(|b| b.headers[3].4 = 1 << 20).contains("too long"));
    for cut in 1..good().notes.len() as u64 {
        assert!(!spoiled(|b| b.headers[3].4 -= cut).is_empty(), "{cut}");
    }
}

#[test]
fn the_entry_must_be_code() {
    for entry in [
        0u32,
        TEXT as u32 - 1,
        TEXT as u32 + 0x800,
        TEXT as u32 + 0x10_0000,
        u32::MAX,
    ] {
        let text = spoiled(|b| b.notes[16..20].copy_from_slice(&entry.to_le_bytes()));
        assert!(text.contains("entry point"), "{entry:#x}: {text}");
    }
}

/// No prefix of an image, and no image with one byte changed, does worse than being refused.
#[test]
fn truncation_and_noise_never_panic() {
    let whole = good().bytes();
    for len in (0..0x900).chain([0xfff, 0x1000, 0x2000, 0x3fff]) {
        assert!(parse(&whole[..len]).is_err(), "{len}");
    }
    for at in (0..300).chain(0x800..0x850) {
        for value in [0u8, 1, 0x7f, 0x80, 0xff] {
            let mut noisy = whole.clone();
            noisy[at] = value;
            let _ = parse(&noisy);
        }
    }
}

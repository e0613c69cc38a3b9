//! The machine code of trampolines and patched windows.

use super::Skip;
use super::shape::{Instruction, MAX_WINDOW, SITE_SIZE, Shape, Technique};

const INT3: u8 = 0xcc;
const JMP_REL32: u8 = 0xe9;
const JMP_REL8: u8 = 0xeb;

/// The way into the kernel, from where it finds its entries in the per-CPU block. A context may be resumed at its start, so
/// it changes nothing that the instruction takes.
struct Call {
    /// `lea rel32(%rip),REGISTER`, without the displacement: where to go on.
    lea: [u8; 3],
    /// `jmp *%gs:OFFSET`.
    jmp: [u8; 8],
}

/// By rcx, which a `syscall` overwrites, and `%gs:8`.
const SYSCALL: Call = Call {
    lea: [0x48, 0x8d, 0x0d],
    jmp: [0x65, 0xff, 0x24, 0x25, 0x08, 0x00, 0x00, 0x00],
};
/// By rdx, which a `cpuid` overwrites and does not take, and `%gs:16`.
const CPUID: Call = Call {
    lea: [0x48, 0x8d, 0x15],
    jmp: [0x65, 0xff, 0x24, 0x25, 0x10, 0x00, 0x00, 0x00],
};

impl Call {
    fn of(instruction: Instruction) -> &'static Self {
        match instruction {
            Instruction::Syscall => &SYSCALL,
            Instruction::Cpuid => &CPUID,
        }
    }
}

/// `lea` and `jmp`.
pub(super) const CALL_SIZE: usize = 15;
/// Every trampoline starts at a multiple of this.
pub(super) const ALIGN: usize = 16;
/// The largest trampoline: technique 4 with a full window, rounded up.
const MAX_CODE: usize = (CALL_SIZE + MAX_WINDOW + 5).next_multiple_of(ALIGN);

/// The bytes that the trampoline of `shape` takes, alignment included.
pub(super) fn trampoline_size(shape: &Shape) -> usize {
    let displaced = usize::from(shape.head) + usize::from(shape.tail);
    let way_back = if shape.technique == Technique::After {
        5
    } else {
        0
    };
    (CALL_SIZE + displaced + way_back).next_multiple_of(ALIGN)
}

/// Code under construction for a known address.
#[derive(Debug)]
pub(super) struct Code {
    addr: u64,
    bytes: [u8; MAX_CODE],
    len: usize,
}

impl Code {
    fn at(addr: u64) -> Self {
        Code {
            addr,
            bytes: [INT3; MAX_CODE],
            len: 0,
        }
    }

    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn here(&self) -> u64 {
        self.addr.wrapping_add(self.len as u64)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Skip> {
        let end = self.len + bytes.len();
        self.bytes
            .get_mut(self.len..end)
            .ok_or(Skip::Malformed)?
            .copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    /// Puts a displacement that ends the instruction.
    fn put_rel32(&mut self, target: u64) -> Result<(), Skip> {
        let rel = distance(self.here().wrapping_add(4), target)?;
        self.put(&rel.to_le_bytes())
    }

    fn put_jump(&mut self, target: u64) -> Result<(), Skip> {
        self.put(&[JMP_REL32])?;
        self.put_rel32(target)
    }

    fn put_call(&mut self, instruction: Instruction, back: u64) -> Result<(), Skip> {
        let call = Call::of(instruction);
        self.put(&call.lea)?;
        self.put_rel32(back)?;
        self.put(&call.jmp)
    }

    /// Puts displaced bytes that were at `from`, with their displacement corrected for the new place.
    fn put_displaced(&mut self, shape: &Shape, bytes: &[u8], from: u64) -> Result<(), Skip> {
        let start = self.len;
        let moved_from = self.here();
        self.put(bytes)?;
        let Some(rip) = shape.rip else { return Ok(()) };
        let field = self
            .bytes
            .get_mut(start + usize::from(rip.disp)..)
            .and_then(|rest| rest.first_chunk_mut::<4>());
        let field = field.ok_or(Skip::Malformed)?;
        let end = u64::from(rip.end);
        let target = from
            .wrapping_add(end)
            .wrapping_add_signed(i32::from_le_bytes(*field).into());
        *field = distance(moved_from.wrapping_add(end), target)?.to_le_bytes();
        Ok(())
    }

    fn fill_to(&mut self, len: usize) {
        self.len = len.min(MAX_CODE);
    }
}

fn distance(from: u64, to: u64) -> Result<i32, Skip> {
    i32::try_from(to.wrapping_sub(from) as i64).map_err(|_| Skip::OutOfReach)
}

/// The trampoline at `addr` for a site at `site` whose window holds `window`.
pub(super) fn trampoline(shape: &Shape, window: &[u8], site: u64, addr: u64) -> Result<Code, Skip> {
    let mut code = Code::at(addr);
    let displaced = shape.displaced(window);
    let after_site = site.wrapping_add(SITE_SIZE);
    match shape.technique {
        Technique::Mov | Technique::Before | Technique::Hop => {
            code.put_displaced(shape, displaced, site.wrapping_sub(shape.head.into()))?;
            code.put_call(shape.instruction, after_site)?;
        }
        Technique::After => {
            code.put_call(shape.instruction, addr.wrapping_add(CALL_SIZE as u64))?;
            code.put_displaced(shape, displaced, after_site)?;
            code.put_jump(after_site.wrapping_add(shape.tail.into()))?;
        }
    }
    code.fill_to(trampoline_size(shape));
    Ok(code)
}

/// The new bytes at the window's start, `addr`; the rest of the window stays as it is.
pub(super) fn window(shape: &Shape, addr: u64, trampoline: u64) -> Result<Code, Skip> {
    let mut code = Code::at(addr);
    match shape.technique {
        Technique::Mov | Technique::Before => {
            code.put_jump(trampoline)?;
            // Where less than the jump is displaced, it ends in the site.
            let end = code.len.max(shape.head.into());
            code.fill_to(end);
        }
        Technique::Hop => {
            let rel = i8::try_from(shape.pad - 2).map_err(|_| Skip::Malformed)?;
            code.put(&[JMP_REL8, rel.cast_unsigned()])?;
        }
        Technique::After => {
            code.put_jump(trampoline)?;
            code.fill_to(2 + usize::from(shape.tail));
        }
    }
    Ok(code)
}

/// The long jump that goes into the padding at `addr`.
pub(super) fn pad(addr: u64, trampoline: u64) -> Result<Code, Skip> {
    let mut code = Code::at(addr);
    code.put_jump(trampoline)?;
    Ok(code)
}

/// Filler for what no trampoline uses.
pub(super) const FILLER: [u8; ALIGN] = [INT3; ALIGN];

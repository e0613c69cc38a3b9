//! One pass over all code: what each instruction refers to.

use std::sync::atomic::{AtomicUsize, Ordering};

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register,
};

use crate::functions::Range;
use crate::image::Image;
use crate::pointers::Pointer;

/// Far beyond any compiler's output; bounds the memory that hostile code takes.
pub const MAX_REFS: usize = 48 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Direct call, or jump into another function.
    Call,
    Jump,
    /// Call or jump through a pointer in memory.
    SlotCall,
    SlotJump,
    /// Reads memory that holds a pointer.
    Load,
    /// Takes an address.
    Address,
    /// Runs on into the next function.
    Fall,
    Syscall,
    /// `int 0x80` or `sysenter`.
    Compat,
}

/// 12 bytes, since large programs have millions.
#[derive(Clone, Copy, Debug)]
pub struct Ref {
    pub ip: u32,
    pub target: u32,
    pub kind: Kind,
    pub size: u8,
}

pub struct Swept {
    pub refs: Vec<Ref>,
    /// Whether all bytes decode.
    pub whole: bool,
    /// Whether the last instruction runs on past the end.
    pub falls: bool,
}

pub struct Sweeper<'a> {
    pub image: &'a Image,
    pub pointers: &'a [Pointer],
    /// How many references were found, by all threads.
    pub count: &'a AtomicUsize,
}

impl Sweeper<'_> {
    pub fn sweep(&self, range: Range) -> Swept {
        let bytes = self.image.read(range.start, range.end - range.start);
        let mut decoder = Decoder::with_ip(64, bytes, range.start, DecoderOptions::NONE);
        let mut insn = Instruction::default();
        let mut swept = Swept {
            refs: Vec::new(),
            whole: true,
            falls: false,
        };
        while decoder.can_decode() {
            decoder.decode_out(&mut insn);
            if insn.is_invalid() {
                swept.whole = false;
                continue;
            }
            if is_padding(&insn) {
                continue;
            }
            swept.falls = runs_on(&insn);
            self.note(&insn, range, &mut swept.refs);
        }
        if self.count.fetch_add(swept.refs.len(), Ordering::Relaxed) > MAX_REFS {
            swept.refs = Vec::new();
        }
        swept
    }

    fn note(&self, insn: &Instruction, range: Range, refs: &mut Vec<Ref>) {
        let ip = insn.ip() as u32;
        let mut add = |kind, target: u64, size| {
            if let Ok(target) = u32::try_from(target) {
                refs.push(Ref {
                    ip,
                    target,
                    kind,
                    size,
                });
            }
        };
        match insn.flow_control() {
            FlowControl::Call if insn.code() == Code::Syscall => return add(Kind::Syscall, 0, 0),
            FlowControl::Call if insn.mnemonic() == Mnemonic::Sysenter => {
                return add(Kind::Compat, 0, 0);
            }
            FlowControl::Interrupt
                if insn.mnemonic() == Mnemonic::Int && insn.immediate8() == 0x80 =>
            {
                return add(Kind::Compat, 0, 0);
            }
            FlowControl::Call => return add(Kind::Call, insn.near_branch_target(), 0),
            FlowControl::UnconditionalBranch
            | FlowControl::ConditionalBranch
            | FlowControl::XbeginXabortXend => {
                let target = insn.near_branch_target();
                if target != 0 && !(range.start..range.end).contains(&target) {
                    add(Kind::Jump, target, 0);
                }
                return;
            }
            _ => {}
        }
        self.operands(insn, &mut add);
    }

    fn operands(&self, insn: &Instruction, add: &mut impl FnMut(Kind, u64, u8)) {
        for operand in 0..insn.op_count() {
            match insn.op_kind(operand) {
                OpKind::Memory => self.memory(insn, operand, add),
                OpKind::Immediate32 | OpKind::Immediate32to64 | OpKind::Immediate64
                    if self.image.fixed =>
                {
                    if let Some(at) = self.image.relative(insn.immediate(operand)) {
                        add(Kind::Address, at, 0);
                    }
                }
                _ => {}
            }
        }
    }

    fn memory(&self, insn: &Instruction, operand: u32, add: &mut impl FnMut(Kind, u64, u8)) {
        let Some(at) = static_address(self.image, insn) else {
            return;
        };
        let indexed = insn.memory_index() != Register::None || insn.memory_base() != Register::None;
        let direct = insn.is_ip_rel_memory_operand() || !indexed;
        if insn.mnemonic() == Mnemonic::Lea || !direct {
            return add(Kind::Address, at, 0);
        }
        match insn.flow_control() {
            FlowControl::IndirectCall => return add(Kind::SlotCall, at, 8),
            FlowControl::IndirectBranch => return add(Kind::SlotJump, at, 8),
            _ => {}
        }
        let size = insn.memory_size().size().min(64) as u64;
        let stores = operand == 0 && insn.op_count() > 1 && insn.mnemonic() == Mnemonic::Mov;
        let next = self.pointers.partition_point(|p| p.at < at);
        if !stores && self.pointers.get(next).is_some_and(|p| p.at < at + size) {
            add(Kind::Load, at, size as u8);
        }
    }
}

/// The address that a memory operand names without registers, or counts from.
pub fn static_address(image: &Image, insn: &Instruction) -> Option<u64> {
    if insn.segment_prefix() == Register::FS || insn.segment_prefix() == Register::GS {
        return None;
    }
    if insn.is_ip_rel_memory_operand() {
        let at = insn.ip_rel_memory_address();
        return (at < image.end).then_some(at);
    }
    if image.fixed && insn.memory_displ_size() >= 4 {
        return image.relative(insn.memory_displacement64());
    }
    None
}

pub fn is_padding(insn: &Instruction) -> bool {
    matches!(insn.mnemonic(), Mnemonic::Nop | Mnemonic::Int3) || insn.code() == Code::Xchg_rm16_r16
}

/// Whether the next instruction may follow. A call that ends a function does not return.
fn runs_on(insn: &Instruction) -> bool {
    let ends = matches!(
        insn.flow_control(),
        FlowControl::UnconditionalBranch
            | FlowControl::IndirectBranch
            | FlowControl::Return
            | FlowControl::Exception
            | FlowControl::Interrupt
            | FlowControl::IndirectCall
    );
    let calls = insn.flow_control() == FlowControl::Call && insn.code() != Code::Syscall;
    !ends && !calls && insn.mnemonic() != Mnemonic::Hlt
}

//! Classic BPF, as `SO_ATTACH_FILTER` and seccomp(2) take it: see the kernel's Documentation/networking/filter.rst. A program is
//! checked once, so running it cannot fail: it ends after its last instruction at the latest, since jumps only go forward.
use crate::Result;
use alloc::vec::Vec;
use linux_abi::Errno;

/// `BPF_MAXINSNS`
const LONGEST: usize = 4096;
/// `struct sock_filter`
const INSTRUCTION: usize = 8;
/// `BPF_MEMWORDS`
const WORDS: usize = 16;

/// Offsets from here on are not into the data: `SKF_AD_OFF`, and the end.
const ANCILLARY: u32 = -0x1000_i32 as u32;
/// `SKF_AD_MAX`: what `SO_BPF_EXTENSIONS` answers.
pub(crate) const EXTENSIONS: u32 = 64;

/// What a program looks at.
pub trait Data {
    fn length(&self) -> u32;

    /// None: there are no such bytes; the program's answer is 0 then.
    fn load(&self, width: Width, offset: u32) -> Option<u32>;

    fn ancillary(&self, _what: Ancillary) -> u32 {
        0
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Width {
    Word,
    Half,
    Byte,
}

/// `SKF_AD_*`, of a machine with one queue and without VLANs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ancillary {
    Protocol,
    PacketType,
    Interface,
    HardwareType,
    /// What is always 0: the mark, the queue, the hash, the CPU, VLAN's tag and its presence.
    Zero,
    XorX,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Alu {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    And,
    Or,
    Xor,
    Left,
    Right,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Test {
    Always,
    Equal,
    Greater,
    GreaterEqual,
    Set,
}

/// The second operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Operand {
    Constant(u32),
    X,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Instruction {
    LoadConstant(u32),
    LoadLength,
    LoadMemory(u32),
    LoadAncillary(Ancillary),
    /// `indexed`: `X` is added to the offset.
    Load {
        width: Width,
        offset: u32,
        indexed: bool,
    },
    LoadXConstant(u32),
    LoadXLength,
    LoadXMemory(u32),
    /// Four times the low half of a byte: the length of an IP header.
    LoadXHeader(u32),
    Store(u32),
    StoreX(u32),
    Alu(Alu, Operand),
    Negate,
    /// How many instructions to leave out, if so and if not.
    Jump(Test, Operand, u32, u32),
    Return(Operand),
    ReturnA,
    ToX,
    ToA,
}

/// A program that was found to be sound.
#[derive(Clone, Debug)]
pub struct Program(Vec<Instruction>);

impl Program {
    /// From an array of `struct sock_filter`. `EINVAL`: what Linux does not take, and its extensions for netlink attributes, payload
    /// offsets and random numbers.
    pub fn parse(program: &[u8]) -> Result<Self> {
        let (raw, rest) = program.as_chunks::<INSTRUCTION>();
        if raw.is_empty() || raw.len() > LONGEST || !rest.is_empty() {
            return Err(Errno::EINVAL);
        }
        let parsed: Result<Vec<Instruction>> = raw.iter().map(parse).collect();
        let parsed = parsed?;
        for (at, instruction) in parsed.iter().enumerate() {
            if let Instruction::Jump(_, _, yes, no) = instruction {
                let last = at + 1 + (*yes).max(*no) as usize;
                if last >= parsed.len() {
                    return Err(Errno::EINVAL);
                }
            }
        }
        match parsed.last() {
            Some(Instruction::Return(_) | Instruction::ReturnA) => Ok(Self(parsed)),
            _ => Err(Errno::EINVAL),
        }
    }

    /// How many instructions it has.
    #[must_use]
    pub fn length(&self) -> usize {
        self.0.len()
    }

    /// Whether seccomp(2) takes it, which gives it data of `size` bytes: it loads whole words of them, and no remainders.
    #[must_use]
    pub fn suits_seccomp(&self, size: u32) -> bool {
        self.0.iter().all(|instruction| match *instruction {
            Instruction::Load {
                width,
                offset,
                indexed,
            } => width == Width::Word && !indexed && offset.is_multiple_of(4) && offset < size,
            Instruction::LoadAncillary(_)
            | Instruction::LoadXHeader(_)
            | Instruction::Alu(Alu::Mod, _) => false,
            _ => true,
        })
    }

    /// Of a packet: how many bytes of it are wanted; 0: it is not.
    pub fn run<D: Data>(&self, data: &D) -> u32 {
        let mut machine = Machine {
            data,
            a: 0,
            x: 0,
            memory: [0; WORDS],
        };
        let mut at = 0;
        while let Some(instruction) = self.0.get(at) {
            match machine.step(*instruction) {
                Step::Next(skipped) => at += 1 + skipped as usize,
                Step::Return(length) => return length,
            }
        }
        0
    }
}

fn parse(raw: &[u8; INSTRUCTION]) -> Result<Instruction> {
    let [c0, c1, yes, no, k @ ..] = *raw;
    let (code, k) = (u16::from_ne_bytes([c0, c1]), u32::from_ne_bytes(k));
    let word = |k: u32| {
        if (k as usize) < WORDS {
            Ok(k)
        } else {
            Err(Errno::EINVAL)
        }
    };
    Ok(match code {
        0x00 => Instruction::LoadConstant(k),
        0x80 => Instruction::LoadLength,
        0x60 => Instruction::LoadMemory(word(k)?),
        0x20 | 0x28 | 0x30 if (ANCILLARY..ANCILLARY + EXTENSIONS).contains(&k) => {
            Instruction::LoadAncillary(ancillary(k - ANCILLARY)?)
        }
        0x20 | 0x28 | 0x30 | 0x40 | 0x48 | 0x50 => Instruction::Load {
            width: match code & 0x18 {
                0x00 => Width::Word,
                0x08 => Width::Half,
                _ => Width::Byte,
            },
            offset: k,
            indexed: code & 0x40 != 0,
        },
        0x01 => Instruction::LoadXConstant(k),
        0x81 => Instruction::LoadXLength,
        0x61 => Instruction::LoadXMemory(word(k)?),
        0xb1 => Instruction::LoadXHeader(k),
        0x02 => Instruction::Store(word(k)?),
        0x03 => Instruction::StoreX(word(k)?),
        0x84 => Instruction::Negate,
        0x05 => Instruction::Jump(Test::Always, Operand::X, k, k),
        0x06 => Instruction::Return(Operand::Constant(k)),
        0x16 => Instruction::ReturnA,
        0x07 => Instruction::ToX,
        0x87 => Instruction::ToA,
        _ => {
            let operand = if code & 8 == 0 {
                Operand::Constant(k)
            } else {
                Operand::X
            };
            match code & 7 {
                4 => Instruction::Alu(alu(code, operand)?, operand),
                5 => Instruction::Jump(test(code)?, operand, yes.into(), no.into()),
                _ => return Err(Errno::EINVAL),
            }
        }
    })
}

fn alu(code: u16, operand: Operand) -> Result<Alu> {
    let alu = match code & !0xf {
        0x00 => Alu::Add,
        0x10 => Alu::Sub,
        0x20 => Alu::Mul,
        0x30 => Alu::Div,
        0x40 => Alu::Or,
        0x50 => Alu::And,
        0x60 => Alu::Left,
        0x70 => Alu::Right,
        0x90 => Alu::Mod,
        0xa0 => Alu::Xor,
        _ => return Err(Errno::EINVAL),
    };
    match (alu, operand) {
        (Alu::Div | Alu::Mod, Operand::Constant(0))
        | (Alu::Left | Alu::Right, Operand::Constant(32..)) => Err(Errno::EINVAL),
        _ => Ok(alu),
    }
}

const fn test(code: u16) -> Result<Test> {
    match code & !0xf {
        0x10 => Ok(Test::Equal),
        0x20 => Ok(Test::Greater),
        0x30 => Ok(Test::GreaterEqual),
        0x40 => Ok(Test::Set),
        _ => Err(Errno::EINVAL),
    }
}

const fn ancillary(offset: u32) -> Result<Ancillary> {
    match offset {
        0 => Ok(Ancillary::Protocol),
        4 => Ok(Ancillary::PacketType),
        8 => Ok(Ancillary::Interface),
        20 | 24 | 32 | 36 | 44 | 48 | 60 => Ok(Ancillary::Zero),
        28 => Ok(Ancillary::HardwareType),
        40 => Ok(Ancillary::XorX),
        // Netlink attributes (12, 16), the payload's offset (52), a random number (56).
        _ => Err(Errno::EINVAL),
    }
}

enum Step {
    Next(u32),
    Return(u32),
}

struct Machine<'a, D> {
    data: &'a D,
    a: u32,
    x: u32,
    memory: [u32; WORDS],
}

impl<D: Data> Machine<'_, D> {
    fn step(&mut self, instruction: Instruction) -> Step {
        match instruction {
            Instruction::LoadConstant(k) => self.a = k,
            Instruction::LoadLength => self.a = self.data.length(),
            Instruction::LoadMemory(k) => self.a = self.word(k),
            Instruction::LoadAncillary(Ancillary::XorX) => self.a ^= self.x,
            Instruction::LoadAncillary(what) => self.a = self.data.ancillary(what),
            Instruction::Load {
                width,
                offset,
                indexed,
            } => {
                let index = if indexed { self.x } else { 0 };
                match self.data.load(width, offset.wrapping_add(index)) {
                    Some(value) => self.a = value,
                    // Beyond the packet: it does not match.
                    None => return Step::Return(0),
                }
            }
            Instruction::LoadXConstant(k) => self.x = k,
            Instruction::LoadXLength => self.x = self.data.length(),
            Instruction::LoadXMemory(k) => self.x = self.word(k),
            Instruction::LoadXHeader(k) => match self.data.load(Width::Byte, k) {
                Some(value) => self.x = (value & 15) * 4,
                None => return Step::Return(0),
            },
            Instruction::Store(k) => self.store(k, self.a),
            Instruction::StoreX(k) => self.store(k, self.x),
            Instruction::Alu(alu, operand) => match self.compute(alu, self.value(operand)) {
                Some(value) => self.a = value,
                None => return Step::Return(0),
            },
            Instruction::Negate => self.a = self.a.wrapping_neg(),
            Instruction::Jump(test, operand, yes, no) => {
                return Step::Next(if self.holds(test, self.value(operand)) {
                    yes
                } else {
                    no
                });
            }
            Instruction::Return(operand) => return Step::Return(self.value(operand)),
            Instruction::ReturnA => return Step::Return(self.a),
            Instruction::ToX => self.x = self.a,
            Instruction::ToA => self.a = self.x,
        }
        Step::Next(0)
    }

    const fn value(&self, operand: Operand) -> u32 {
        match operand {
            Operand::Constant(k) => k,
            Operand::X => self.x,
        }
    }

    fn word(&self, index: u32) -> u32 {
        self.memory.get(index as usize).copied().unwrap_or(0)
    }

    fn store(&mut self, index: u32, value: u32) {
        if let Some(word) = self.memory.get_mut(index as usize) {
            *word = value;
        }
    }

    /// None: a division by 0.
    const fn compute(&self, alu: Alu, value: u32) -> Option<u32> {
        let a = self.a;
        Some(match alu {
            Alu::Add => a.wrapping_add(value),
            Alu::Sub => a.wrapping_sub(value),
            Alu::Mul => a.wrapping_mul(value),
            Alu::Div => return a.checked_div(value),
            Alu::Mod => return a.checked_rem(value),
            Alu::And => a & value,
            Alu::Or => a | value,
            Alu::Xor => a ^ value,
            // As the processor shifts.
            Alu::Left => a.wrapping_shl(value),
            Alu::Right => a.wrapping_shr(value),
        })
    }

    const fn holds(&self, test: Test, value: u32) -> bool {
        match test {
            Test::Always => true,
            Test::Equal => self.a == value,
            Test::Greater => self.a > value,
            Test::GreaterEqual => self.a >= value,
            Test::Set => self.a & value != 0,
        }
    }
}

//! The program's `cpuid`, which comes by a jump like a system call: natively it is an exit to the hypervisor, and the dynamic
//! linker asks some seventy times before a program starts.
//!
//! The instruction also serialises, which programs rely on that write code. Here the way out does, by `iretq`.
#![allow(unsafe_code)]

use super::frame::Frame;
use crate::percpu;
use crate::rank::{self, Ranked};
use core::arch::x86_64::{__cpuid_count, CpuidResult};

/// More than a processor has leaves with all their subleaves. What finds no place is asked for again.
const PLACES: usize = 128;

/// What was asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Question {
    leaf: u32,
    subleaf: u32,
    /// The CPU, where it is the CPU's own number that is told; else 0.
    cpu: u32,
}

impl Question {
    fn new(leaf: u32, subleaf: u32, cpu: u32) -> Self {
        Self {
            leaf,
            subleaf: if has_subleaves(leaf) { subleaf } else { 0 },
            cpu: if tells_the_cpu(leaf) { cpu } else { 0 },
        }
    }

    fn ask(self) -> CpuidResult {
        __cpuid_count(self.leaf, self.subleaf)
    }
}

/// Whether ecx may matter: these are the leaves for which it is known not to.
fn has_subleaves(leaf: u32) -> bool {
    !matches!(leaf, 0..=3 | 5 | 6 | 9 | 0xa | 0x15 | 0x16 | 0x8000_0000..=0x8000_001c)
}

/// Leaves with the number of the local APIC.
fn tells_the_cpu(leaf: u32) -> bool {
    matches!(leaf, 1 | 0xb | 0x1f | 0x8000_001e | 0x8000_0026)
}

/// The answers so far. Nothing in a virtual machine changes them after the boot.
struct Known {
    answers: [Option<(Question, CpuidResult)>; PLACES],
}

static KNOWN: Ranked<Known, { rank::CPUID }> = Ranked::new(Known {
    answers: [None; PLACES],
});

impl Known {
    fn answer(&mut self, question: Question) -> CpuidResult {
        for place in &mut self.answers {
            match place {
                Some((known, answer)) if *known == question => return *answer,
                Some(_) => {}
                None => return place.insert((question, question.ask())).1,
            }
        }
        question.ask()
    }
}

/// From `cpuid_entry`: eax and ecx are the program's, as it executes the instruction.
#[unsafe(no_mangle)]
extern "C" fn cpuid_from_ring3(frame: &mut Frame) {
    let question = Question::new(frame.rax as u32, frame.rcx as u32, percpu::this().cpu);
    let answer = KNOWN.lock().answer(question);
    frame.rax = answer.eax.into();
    frame.rbx = answer.ebx.into();
    frame.rcx = answer.ecx.into();
    frame.rdx = answer.edx.into();
}

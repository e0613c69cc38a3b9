//! The frame of a signal handler on the program's stack: `struct rt_sigframe` and, above it, the XSAVE area.

use super::frame::{Frame, Vector, xsave_mask, xsave_size};
use super::signal::on_alternate;
use super::thread::Thread;
use crate::mm::user;
use crate::vdso;
use alloc::vec;
use linux_abi::{Errno, SaFlags, SigAction, SigSet, Siginfo, Signal, SsFlags, StackT};

const MAGIC1: u32 = 0x4650_5853;
const MAGIC2: u32 = 0x4650_5845;
/// Offset of `sw_reserved` in the legacy region.
const SOFTWARE: usize = 464;
const LEGACY: usize = 512;
const MXCSR: usize = 24;
const MXCSR_MASK: u32 = 0xffff;
const XSTATE_BV: usize = 512;

const UC_FP_XSTATE: u64 = 1;
const UC_SIGCONTEXT_SS: u64 = 2;
const UC_STRICT_RESTORE_SS: u64 = 4;

/// pretcode, ucontext (flags, link, stack, sigcontext, mask), siginfo; in 8-byte words.
const WORDS: usize = 1 + 2 + 3 + 32 + 1 + 16;
const FRAME_BYTES: u64 = WORDS as u64 * 8;
const UC: usize = 1;
const STACK: usize = 3;
const CONTEXT: usize = 6;
const MASK: usize = 38;
const INFO: usize = 39;

/// `mov $15, %rax` or `mov $15, %eax`, and `syscall`.
const RESTORERS: [&[u8]; 2] = [b"\x48\xc7\xc0\x0f\0\0\0\x0f\x05", b"\xb8\x0f\0\0\0\x0f\x05"];

/// The least stack that a handler needs (AT_MINSIGSTKSZ).
#[must_use]
pub fn min_stack() -> u64 {
    FRAME_BYTES + xsave_size() as u64 + 4 + 64 + 128 + 16
}

/// Builds the frame and makes `frame` enter the handler.
pub fn push(
    thread: &Thread,
    frame: &mut Frame,
    action: &SigAction,
    signal: Signal,
    info: &Siginfo,
) -> Result<(), Errno> {
    let (mask, alternate) = {
        let mut signals = thread.signals.lock();
        (
            signals.saved_mask.take().unwrap_or(signals.mask),
            signals.alternate,
        )
    };
    let flags = action.sa_flags();
    let top = stack_top(frame, flags, &alternate);
    let xsave_len = xsave_size();
    let vector_at = (top - xsave_len as u64 - 4) & !63;
    let at = ((vector_at - FRAME_BYTES) & !15) - 8;
    user::write(vector_at, &vector_image(frame))?;
    let words = frame_words(thread, frame, action, info, mask, &alternate, vector_at);
    let mut bytes = [0u8; WORDS * 8];
    bytes
        .chunks_exact_mut(8)
        .zip(words)
        .for_each(|(chunk, word)| chunk.copy_from_slice(&word.to_le_bytes()));
    user::write(at, &bytes)?;

    let mut signals = thread.signals.lock();
    signals.mask = mask.union(action.mask).without(SigSet::UNBLOCKABLE);
    if !flags.contains(SaFlags::SA_NODEFER) {
        signals.mask = signals.mask.union(SigSet::of(signal));
    }
    if SsFlags::from_bits_retain(alternate.flags).contains(SsFlags::SS_AUTODISARM)
        && flags.contains(SaFlags::SA_ONSTACK)
    {
        signals.alternate = StackT {
            flags: SsFlags::SS_DISABLE.bits(),
            ..StackT::default()
        };
    }
    drop(signals);
    frame.rdi = u64::from(signal.number());
    frame.rsi = at + INFO as u64 * 8;
    frame.rdx = at + UC as u64 * 8;
    frame.rax = 0;
    frame.rip = action.handler;
    frame.rsp = at;
    frame.rflags = Frame::safe_flags(frame.rflags & !0x400 & !0x100);
    *frame.xmm() = Vector::initial().load();
    Ok(())
}

fn stack_top(frame: &Frame, flags: SaFlags, alternate: &StackT) -> u64 {
    let usable = alternate.size != 0
        && !SsFlags::from_bits_retain(alternate.flags).contains(SsFlags::SS_DISABLE);
    if flags.contains(SaFlags::SA_ONSTACK) && usable && !on_alternate(alternate, frame.rsp) {
        alternate.sp + alternate.size
    } else {
        frame.rsp - 128
    }
}

/// The XSAVE area as the program sees it, with the software bytes and the second magic number.
fn vector_image(frame: &mut Frame) -> vec::Vec<u8> {
    let mut vector = Vector::initial();
    vector.save(Some(frame.xmm()));
    let mut image = vec::Vec::with_capacity(xsave_size() + 4);
    image.extend_from_slice(vector.bytes());
    let software = [
        MAGIC1,
        xsave_size() as u32 + 4,
        xsave_mask() as u32,
        (xsave_mask() >> 32) as u32,
        xsave_size() as u32,
    ];
    let bytes = software.iter().flat_map(|word| word.to_le_bytes());
    image
        .iter_mut()
        .skip(SOFTWARE)
        .zip(bytes)
        .for_each(|(slot, byte)| *slot = byte);
    image.extend_from_slice(&MAGIC2.to_le_bytes());
    image
}

/// Where the handler returns to. It is the program's restorer, but an ordinary one has a `syscall` that would trap, and whose bytes
/// unwinders know, so that it is not replaced by a jump. The vDSO's does the same without.
fn way_back(thread: &Thread, restorer: u64) -> u64 {
    let mut code = [0; 9];
    let is_ordinary = user::read(restorer, &mut code).is_ok()
        && RESTORERS.iter().any(|known| code.starts_with(known));
    let vdso = thread.process.exec.lock().vdso;
    let other = is_ordinary.then(|| vdso::sigreturn(&thread.space, vdso));
    other.flatten().unwrap_or(restorer)
}

fn frame_words(
    thread: &Thread,
    frame: &Frame,
    action: &SigAction,
    info: &Siginfo,
    mask: SigSet,
    alternate: &StackT,
    vector_at: u64,
) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    words[0] = way_back(thread, action.restorer);
    words[UC] = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
    words[STACK] = alternate.sp;
    words[STACK + 1] = u64::from(alternate.flags);
    words[STACK + 2] = alternate.size;
    let visible = thread.space.visible_pc(frame.rip);
    let fault = super::fault::last(thread, info);
    let context = [
        frame.r8,
        frame.r9,
        frame.r10,
        frame.r11,
        frame.r12,
        frame.r13,
        frame.r14,
        frame.r15,
        frame.rdi,
        frame.rsi,
        frame.rbp,
        frame.rbx,
        frame.rdx,
        frame.rax,
        frame.rcx,
        frame.rsp,
        visible,
        frame.rflags,
        frame.cs | frame.ss << 48,
        fault.error,
        fault.vector,
        mask.bits,
        fault.cr2,
        vector_at,
    ];
    words[CONTEXT..CONTEXT + context.len()].copy_from_slice(&context);
    words[MASK] = mask.bits;
    words[INFO] = u64::from(info.signo as u32) | u64::from(info.errno as u32) << 32;
    words[INFO + 1] = u64::from(info.code as u32);
    words[INFO + 2..INFO + 16].copy_from_slice(&info.fields);
    words
}

/// rt_sigreturn(2): the restorer has popped the first word.
pub fn pop(thread: &Thread, frame: &mut Frame) -> Result<(), Errno> {
    let mut bytes = [0u8; WORDS * 8];
    user::read(frame.rsp - 8, &mut bytes)?;
    let mut words = [0u64; WORDS];
    for (word, chunk) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*chunk);
    }
    let c = &words[CONTEXT..CONTEXT + 24];
    let vector = if c[23] == 0 {
        Vector::initial()
    } else {
        read_vector(c[23])?
    };
    let resume = thread.space.resume_pc(c[16]);
    *frame = Frame {
        r8: c[0],
        r9: c[1],
        r10: c[2],
        r11: c[3],
        r12: c[4],
        r13: c[5],
        r14: c[6],
        r15: c[7],
        rdi: c[8],
        rsi: c[9],
        rbp: c[10],
        rbx: c[11],
        rdx: c[12],
        rax: c[13],
        rcx: c[14],
        rsp: c[15],
        rip: resume,
        rflags: Frame::safe_flags(c[17]),
        cs: 0x33,
        ss: 0x2b,
        orig_rax: u64::MAX,
    };
    *frame.xmm() = vector.load();
    let mut signals = thread.signals.lock();
    signals.mask = SigSet { bits: words[MASK] }.without(SigSet::UNBLOCKABLE);
    let stack = StackT {
        sp: words[STACK],
        flags: words[STACK + 1] as u32,
        pad: 0,
        size: words[STACK + 2],
    };
    if !on_alternate(&signals.alternate, frame.rsp) {
        signals.alternate = stack;
    }
    drop(signals);
    crate::percpu::request_work();
    Ok(())
}

/// The vector state that a frame refers to, made safe to load.
fn read_vector(at: u64) -> Result<Vector, Errno> {
    let mut vector = Vector::initial();
    let mut legacy = [0; LEGACY];
    user::read(at, &mut legacy)?;
    let word = |offset: usize| {
        legacy
            .get(offset..offset + 4)
            .and_then(|b| b.try_into().ok())
            .map_or(0, u32::from_le_bytes)
    };
    let extended = word(SOFTWARE) == MAGIC1 && word(SOFTWARE + 16) as usize == xsave_size();
    let bytes = vector.bytes_mut();
    let mut header = xsave_mask() & 3;
    if extended {
        user::read(at, bytes)?;
        header = bytes
            .get(XSTATE_BV..XSTATE_BV + 8)
            .and_then(|b| b.try_into().ok())
            .map_or(0, u64::from_le_bytes);
    } else {
        bytes[..LEGACY].copy_from_slice(&legacy);
    }
    // A reserved bit in MXCSR or in the header would fault in `xrstor`.
    let mxcsr = word(MXCSR) & MXCSR_MASK;
    bytes[MXCSR..MXCSR + 4].copy_from_slice(&mxcsr.to_le_bytes());
    bytes[XSTATE_BV..XSTATE_BV + 64].fill(0);
    bytes[XSTATE_BV..XSTATE_BV + 8].copy_from_slice(&(header & xsave_mask()).to_le_bytes());
    Ok(vector)
}

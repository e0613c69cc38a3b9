//! A CPU's registers as text, for the report of a crash.

use std::fmt::Write;

use kvm_ioctls::VcpuFd;

pub fn registers(fd: &VcpuFd) -> String {
    let (Ok(r), Ok(s)) = (fd.get_regs(), fd.get_sregs()) else {
        return "its registers cannot be read".to_owned();
    };
    let general = [
        ("rax", r.rax),
        ("rbx", r.rbx),
        ("rcx", r.rcx),
        ("rdx", r.rdx),
        ("rsi", r.rsi),
        ("rdi", r.rdi),
        ("rbp", r.rbp),
        ("rsp", r.rsp),
        ("r8", r.r8),
        ("r9", r.r9),
        ("r10", r.r10),
        ("r11", r.r11),
        ("r12", r.r12),
        ("r13", r.r13),
        ("r14", r.r14),
        ("r15", r.r15),
        ("rip", r.rip),
        ("rflags", r.rflags),
        ("cr0", s.cr0),
        ("cr2", s.cr2),
        ("cr3", s.cr3),
        ("cr4", s.cr4),
        ("efer", s.efer),
        ("apic", s.apic_base),
        ("gdt", s.gdt.base),
        ("idt", s.idt.base),
        ("fsbase", s.fs.base),
        ("gsbase", s.gs.base),
        ("tss", s.tr.base),
    ];
    let mut out = String::new();
    for row in general.chunks(4) {
        for (name, value) in row {
            let _ = write!(out, "  {name:>6} {value:016x}");
        }
        out.push('\n');
    }
    let _ = writeln!(
        out,
        "  cs {:04x} ss {:04x} ds {:04x} fs {:04x} gs {:04x} tr {:04x}  cpl {}",
        s.cs.selector,
        s.ss.selector,
        s.ds.selector,
        s.fs.selector,
        s.gs.selector,
        s.tr.selector,
        s.ss.dpl
    );
    out
}

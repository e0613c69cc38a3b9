//! The program's registers as the entry code leaves them on the kernel stack, and its vector registers.
#![allow(unsafe_code)]

use alloc::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use core::arch::asm;
use core::arch::x86_64::{__cpuid_count, _xgetbv};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The order is known to `gate/entry.s`; the tail is an `iretq` frame.
#[repr(C)]
#[derive(Clone, Copy, Default, Debug)]
pub struct Frame {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    /// The system call's number; -1 in an exception or interrupt, and once a restart has been decided.
    pub orig_rax: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

pub const FRAME_SIZE: u64 = 168;
/// Padding and xmm0-15 below the frame.
pub const XMM_SIZE: u64 = 264;
const _: () = assert!(size_of::<Frame>() as u64 == FRAME_SIZE);

/// Flags that a program may set: CF, PF, AF, ZF, SF, TF, DF, OF, AC, ID.
const SETTABLE_FLAGS: u64 = 0x24_0dd5;

impl Frame {
    /// RFLAGS as they may be loaded, given what the program wants.
    #[must_use]
    pub fn safe_flags(wanted: u64) -> u64 {
        (wanted & SETTABLE_FLAGS) | crate::gate::USER_FLAGS
    }

    /// xmm0-15 as saved with this frame.
    pub fn xmm(&mut self) -> &mut [u128; 16] {
        // SAFETY: every frame is made by the entry code or by `Thread::new`, with the area right below it.
        unsafe { &mut *((core::ptr::from_mut(self) as u64 - XMM_SIZE) as *mut [u128; 16]) }
    }
}

static XSAVE_SIZE: AtomicU32 = AtomicU32::new(0);
static XSAVE_MASK: AtomicU64 = AtomicU64::new(0);

/// What the program's vector state needs: makes XCR0 hold every user component that the CPU has.
pub fn init_xsave() {
    let leaf = __cpuid_count(0xd, 0);
    let wanted = leaf.eax & 0xe7; // x87, SSE, AVX, AVX-512
    // SAFETY: CR4.OSXSAVE was set at boot.
    let have = unsafe { _xgetbv(0) } as u32;
    if have != wanted {
        // SAFETY: a combination that CPUID allows.
        unsafe { crate::gate::set_xcr0(wanted) };
    }
    XSAVE_MASK.store(u64::from(wanted), Ordering::Relaxed);
    XSAVE_SIZE.store(__cpuid_count(0xd, 0).ebx, Ordering::Relaxed);
}

/// Bytes of an XSAVE area, and the component mask.
#[must_use]
pub fn xsave_size() -> usize {
    XSAVE_SIZE.load(Ordering::Relaxed) as usize
}

#[must_use]
pub fn xsave_mask() -> u64 {
    XSAVE_MASK.load(Ordering::Relaxed)
}

/// An XSAVE area.
pub struct Vector {
    area: NonNull<u8>,
}

// SAFETY: plain memory, owned.
unsafe impl Send for Vector {}
// SAFETY: shared references only read it.
unsafe impl Sync for Vector {}

fn layout() -> Layout {
    Layout::from_size_align(xsave_size().max(576), 64).unwrap_or(Layout::new::<[u128; 64]>())
}

impl Vector {
    /// The state after `fninit` with the default MXCSR.
    #[must_use]
    pub fn initial() -> Self {
        // SAFETY: the layout is not empty.
        let Some(area) = NonNull::new(unsafe { alloc_zeroed(layout()) }) else {
            handle_alloc_error(layout())
        };
        // SAFETY: both words lie in the legacy region.
        unsafe {
            area.cast::<u16>().write(0x37f);
            area.add(24).cast::<u32>().write(0x1f80);
        }
        Self { area }
    }

    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the area has that size and is initialised.
        unsafe { core::slice::from_raw_parts(self.area.as_ptr(), xsave_size()) }
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, exclusively.
        unsafe { core::slice::from_raw_parts_mut(self.area.as_ptr(), xsave_size()) }
    }

    /// Stores the CPU's state, with the low registers as `xmm` has them (the kernel may have used them since).
    pub fn save(&mut self, xmm: Option<&[u128; 16]>) {
        let mask = xsave_mask();
        // SAFETY: the area is aligned and large enough.
        unsafe {
            asm!("xsave64 [{}]", in(reg) self.area.as_ptr(), in("eax") mask as u32, in("edx") (mask >> 32) as u32, options(nostack));
            if let Some(xmm) = xmm {
                core::ptr::copy_nonoverlapping(
                    xmm.as_ptr(),
                    self.area.as_ptr().add(160).cast(),
                    16,
                );
                let bits = self.area.as_ptr().add(512).cast::<u64>();
                *bits |= 2;
            }
        }
    }

    /// Loads the state into the CPU; hands the low registers out, for the frame.
    pub fn load(&self) -> [u128; 16] {
        let mask = xsave_mask();
        // SAFETY: the area holds a state that `save` made or that was checked.
        unsafe {
            asm!("xrstor64 [{}]", in(reg) self.area.as_ptr(), in("eax") mask as u32, in("edx") (mask >> 32) as u32, options(nostack),
                out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
                out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _, out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _);
            let has_sse = self.area.as_ptr().add(512).cast::<u64>().read() & 2 != 0;
            if has_sse {
                self.area.as_ptr().add(160).cast::<[u128; 16]>().read()
            } else {
                [0; 16]
            }
        }
    }
}

impl Drop for Vector {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.area.as_ptr(), layout()) };
    }
}

#[must_use]
pub fn read_fs_base() -> u64 {
    let base;
    // SAFETY: CR4.FSGSBASE is set.
    unsafe { asm!("rdfsbase {}", out(reg) base, options(nostack, nomem, preserves_flags)) };
    base
}

/// FS is the program's; the kernel does not use it.
pub fn write_fs_base(base: u64) {
    // SAFETY: CR4.FSGSBASE is set; a non-canonical address was refused before.
    unsafe { asm!("wrfsbase {}", in(reg) base, options(nostack, preserves_flags)) };
}

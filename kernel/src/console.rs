//! The debug port: what the kernel has to say to a person, and its last words.
#![allow(unsafe_code)]

use core::arch::asm;
use core::fmt::{self, Write};

/// Gathers text, so that a message is one `rep outsb`. KVM brings it to the monitor byte by byte, which tells whole lines.
pub struct Message {
    buffer: [u8; 1024],
    len: usize,
}

impl Message {
    pub const fn new() -> Self {
        Self {
            buffer: [0; 1024],
            len: 0,
        }
    }

    pub fn send(&mut self) {
        // SAFETY: reads `len` initialised bytes of the buffer; the port has no effect on memory.
        unsafe {
            asm!("rep outsb", inout("rcx") self.len => _, inout("rsi") self.buffer.as_ptr() => _, in("dx") boot_abi::DEBUG_PORT,
                options(nostack, preserves_flags, readonly));
        }
        self.len = 0;
    }
}

impl Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            if self.len == self.buffer.len() {
                self.send();
            }
            self.buffer[self.len] = byte;
            self.len += 1;
        }
        Ok(())
    }
}

/// Prints a line on the monitor's stderr, as from `compat`.
macro_rules! say {
    ($($arg:tt)*) => {{
        let mut message = $crate::console::Message::new();
        let _ = core::fmt::Write::write_fmt(&mut message, format_args!("compat: {}\n", format_args!($($arg)*)));
        message.send();
    }};
}

/// Ends the machine, with a status or `EXIT_PANIC`.
pub fn exit(value: u32) -> ! {
    let value = boot_abi::EXIT_TAG | value;
    loop {
        // SAFETY: the write ends the machine; nothing runs after it.
        unsafe {
            asm!("out dx, eax", in("dx") boot_abi::EXIT_PORT, in("eax") value, options(nostack))
        };
        crate::gate::halt();
    }
}

/// What the last words of `alloc` begin with when there is no memory for an object.
const NO_MEMORY: &[u8] = b"memory allocation of ";
/// As of a program that Linux's out-of-memory killer has chosen.
const KILLED: u32 = 128 + 9;

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let mut message = Message::new();
    let _ = write!(message, "{}", info.message());
    if message.buffer.starts_with(NO_MEMORY) {
        crate::proc_source::report_kernel();
        exit(KILLED)
    }
    say!("the kernel failed, which is a bug in compat: {}", info);
    exit(boot_abi::EXIT_PANIC)
}

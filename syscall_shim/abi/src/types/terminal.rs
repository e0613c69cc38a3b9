//! Terminals: what the `TC*` and `TIOC*` ioctls exchange.

abi_struct! {
    /// The kernel's `struct termios` (`TCGETS`), 36 bytes; the C library's is larger.
    Termios [36] { iflag: u32, oflag: u32, cflag: u32, lflag: u32, line: u8, cc: [u8; 19], }
    /// `struct termios2` (`TCGETS2`).
    Termios2 [44] {
        iflag: u32,
        oflag: u32,
        cflag: u32,
        lflag: u32,
        line: u8,
        cc: [u8; 19],
        ispeed: u32,
        ospeed: u32,
    }
    /// `struct winsize`.
    Winsize [8] { row: u16, col: u16, xpixel: u16, ypixel: u16, }
}

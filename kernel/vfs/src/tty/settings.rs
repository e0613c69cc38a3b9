//! The settings of a new terminal, and reading them.
use linux_abi::Termios;
use linux_abi::raw::general as raw;

/// `_POSIX_VDISABLE`: a special character that is switched off.
const DISABLED: u8 = 0;

const fn ctrl(letter: u8) -> u8 {
    letter & 0x1f
}

/// What a terminal starts with: as on Linux, with `IUTF8`, which terminal emulators set.
pub(super) fn initial() -> Termios {
    let mut cc = [DISABLED; 19];
    let characters = [
        (raw::VINTR, ctrl(b'C')),
        (raw::VQUIT, ctrl(b'\\')),
        (raw::VERASE, 0x7f),
        (raw::VKILL, ctrl(b'U')),
        (raw::VEOF, ctrl(b'D')),
        (raw::VMIN, 1),
        (raw::VSTART, ctrl(b'Q')),
        (raw::VSTOP, ctrl(b'S')),
        (raw::VSUSP, ctrl(b'Z')),
        (raw::VREPRINT, ctrl(b'R')),
        (raw::VDISCARD, ctrl(b'O')),
        (raw::VWERASE, ctrl(b'W')),
        (raw::VLNEXT, ctrl(b'V')),
    ];
    for (index, value) in characters {
        if let Some(slot) = cc.get_mut(index as usize) {
            *slot = value;
        }
    }
    Termios {
        iflag: raw::ICRNL | raw::IXON | raw::IUTF8,
        oflag: raw::OPOST | raw::ONLCR,
        cflag: raw::B38400 | raw::CS8 | raw::CREAD | raw::HUPCL,
        lflag: raw::ISIG
            | raw::ICANON
            | raw::ECHO
            | raw::ECHOE
            | raw::ECHOK
            | raw::ECHOCTL
            | raw::ECHOKE
            | raw::IEXTEN,
        line: 0,
        cc,
    }
}

/// Questions that the state machine asks of its settings.
pub(super) trait Settings {
    fn input(&self, flag: u32) -> bool;
    fn output(&self, flag: u32) -> bool;
    fn local(&self, flag: u32) -> bool;
    fn cc(&self, index: u32) -> u8;
    /// Whether `byte` is the special character `index`.
    fn is(&self, byte: u8, index: u32) -> bool;
}

impl Settings for Termios {
    fn input(&self, flag: u32) -> bool {
        self.iflag & flag != 0
    }

    fn output(&self, flag: u32) -> bool {
        self.oflag & flag != 0
    }

    fn local(&self, flag: u32) -> bool {
        self.lflag & flag != 0
    }

    fn cc(&self, index: u32) -> u8 {
        self.cc.get(index as usize).copied().unwrap_or(DISABLED)
    }

    fn is(&self, byte: u8, index: u32) -> bool {
        byte != DISABLED && self.cc(index) == byte
    }
}

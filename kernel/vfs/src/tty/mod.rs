//! The terminal line discipline (N_TTY), see termios(3): what happens between a keyboard and read(2), and between
//! write(2) and a screen. A state machine without a device: bytes go in, bytes and signals come out.

mod discipline;
mod edit;
mod input;
mod ioctl;
mod jobs;
mod output;
mod settings;
#[cfg(test)]
mod tests;
mod time_limit;

pub use discipline::{Flush, LineDiscipline, ReadState};
pub use input::{Effects, TtySignal};
pub use ioctl::{Line, load, run, store};
pub use jobs::{Holder, Job, Jobs, check_foreground, is_change};
pub use time_limit::TimeLimit;

//! The program's terminal and standard streams, and the line to the monitor that goes with them.

mod control;
mod figures;
mod host_file;
mod ioctl;
mod processes;
mod stdio;
mod stream;
mod terminal;

use alloc::sync::Arc;
use vfs::FileOps;

pub use control::start as start_control;
pub use host_file::{keep_position, leave_position};
pub use processes::{Processes, first_session};
pub use stdio::{Streams, open_std_files};
pub use terminal::resize;

/// The terminal, for /dev/tty and /dev/console; none if no standard stream is one.
pub fn console() -> Option<Arc<dyn FileOps>> {
    terminal::get().map(|terminal| terminal as Arc<dyn FileOps>)
}

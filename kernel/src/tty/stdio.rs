//! Standard input, output and error, as the configuration says that they are.
use super::host_file::HostFile;
use super::stream::{Kind, Null, Stream};
use super::terminal::Terminal;
use crate::drivers::virtio::console::{Role, port};
use alloc::sync::Arc;
use boot_abi::config::{
    SAME_OUTPUT, STREAM_CLOSED, STREAM_FILE, STREAM_NULL, STREAM_SOCKET, STREAM_TTY,
};
use vfs::FileOps;

/// The `STREAMS` record.
#[derive(Clone, Copy, Debug)]
pub struct Streams {
    /// `STREAM_*` of stdin, stdout, stderr.
    pub kinds: [u8; 3],
    pub flags: u8,
    /// Standard input is a [`HostFile`].
    pub stdin_position: Option<u64>,
    pub rows: u16,
    pub columns: u16,
}

impl Streams {
    fn is_tty(&self, fd: usize) -> bool {
        self.kinds.get(fd) == Some(&STREAM_TTY)
    }

    /// The port that the terminal's output goes to: that of a stream that is the terminal.
    fn terminal_output(&self) -> Option<Role> {
        match (self.is_tty(1), self.is_tty(2)) {
            (true, _) => Some(Role::Stdio),
            (false, true) => Some(Role::Stderr),
            (false, false) => None,
        }
    }
}

/// The files for descriptors 0, 1 and 2. A terminal is to be opened `O_RDWR`, the others for the direction of their stream.
/// Listens to the control port from here on.
pub fn open_std_files(streams: &Streams) -> [Option<Arc<dyn FileOps>>; 3] {
    let terminal = (0..3).any(|fd| streams.is_tty(fd)).then(|| {
        let input = if streams.is_tty(0) {
            port(Role::Stdio)
        } else {
            None
        };
        let output = streams.terminal_output().and_then(port);
        Terminal::open(input, output, streams.rows, streams.columns)
    });
    super::start_control();
    [0, 1, 2].map(|fd| open(streams, fd, terminal.as_ref()))
}

fn open(
    streams: &Streams,
    fd: usize,
    terminal: Option<&Arc<Terminal>>,
) -> Option<Arc<dyn FileOps>> {
    let own_port = fd == 2 && streams.flags & SAME_OUTPUT == 0;
    let role = if own_port { Role::Stderr } else { Role::Stdio };
    let kind = match *streams.kinds.get(fd)? {
        STREAM_CLOSED => return None,
        STREAM_TTY => return terminal.map(|terminal| terminal.clone() as Arc<dyn FileOps>),
        STREAM_NULL => return Some(Arc::new(Null)),
        STREAM_FILE if fd == 0 && streams.stdin_position.is_some() => {
            return HostFile::new().map(|file| Arc::new(file) as Arc<dyn FileOps>);
        }
        STREAM_FILE => Kind::File,
        STREAM_SOCKET => Kind::Socket,
        _ => Kind::Pipe,
    };
    Some(Arc::new(Stream::new(port(role), kind, fd == 0)))
}

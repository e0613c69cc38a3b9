//! Standard streams that are no terminal.
use crate::drivers::virtio::Port;
use alloc::sync::Arc;
use linux_abi::Errno;
use linux_abi::raw::ioctl::{FIONREAD, TIOCOUTQ};
use vfs::{
    FileOps, FileType, Metadata, Result, SeekKind, Sink, Source, UserMemory, WaitList, poll,
};

/// What the stream is on the host.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Pipe,
    Socket,
    /// Bytes flow as through a pipe; there is no position.
    File,
}

/// One direction of a port.
pub struct Stream {
    /// None: the monitor has no such port.
    port: Option<&'static Port>,
    kind: Kind,
    is_input: bool,
}

impl Stream {
    pub fn new(port: Option<&'static Port>, kind: Kind, is_input: bool) -> Self {
        Self {
            port,
            kind,
            is_input,
        }
    }
}

impl FileOps for Stream {
    fn read(&self, _offset: u64, sink: &mut dyn Sink) -> Result<usize> {
        if !self.is_input {
            return Err(Errno::EBADF);
        }
        let port = self.port.ok_or(Errno::EIO)?;
        port.start_input();
        port.read(sink)
    }

    fn write(&self, _offset: u64, source: &mut dyn Source) -> Result<usize> {
        if self.is_input {
            return Err(Errno::EBADF);
        }
        self.port.ok_or(Errno::EIO)?.write(source)
    }

    fn poll(&self) -> u32 {
        let Some(port) = self.port else {
            return poll::ERR;
        };
        if self.is_input {
            port.start_input();
            let data = if port.has_input() {
                poll::IN | poll::RDNORM
            } else {
                0
            };
            let end = match self.kind {
                _ if !port.at_end() => 0,
                Kind::Pipe => poll::HUP,
                Kind::Socket => poll::IN | poll::RDNORM | poll::RDHUP,
                Kind::File => poll::IN | poll::RDNORM,
            };
            data | end
        } else if port.is_hung_up() {
            poll::OUT | poll::WRNORM | poll::ERR
        } else if port.is_writable() {
            poll::OUT | poll::WRNORM
        } else {
            0
        }
    }

    fn wait_list(&self) -> Option<&WaitList> {
        self.port.map(Port::changed)
    }

    fn ioctl(&self, command: u32, argument: u64, memory: &dyn UserMemory) -> Result<usize> {
        let count = match (command, self.port) {
            (FIONREAD, Some(port)) if self.is_input => port.input_available(),
            (FIONREAD, _) => 0,
            (TIOCOUTQ, Some(port)) if self.kind == Kind::Socket => port.unsent(),
            _ => return Err(Errno::ENOTTY),
        };
        memory.write(
            argument,
            &i32::try_from(count).unwrap_or(i32::MAX).to_le_bytes(),
        )?;
        Ok(0)
    }

    fn kind(&self) -> Option<FileType> {
        Some(match self.kind {
            Kind::Pipe => FileType::Fifo,
            Kind::Socket => FileType::Socket,
            Kind::File => FileType::Regular,
        })
    }

    fn metadata(&self) -> Option<Metadata> {
        let (file_type, permissions) = match self.kind {
            Kind::Pipe => (FileType::Fifo, 0o600),
            Kind::Socket => (FileType::Socket, 0o777),
            Kind::File => (FileType::Regular, 0o644),
        };
        Some(Metadata {
            mode: file_type.mode_bits() | permissions,
            nlink: 1,
            blksize: 4096,
            ..Metadata::default()
        })
    }

    fn class(&self) -> &'static str {
        match self.kind {
            Kind::Pipe => "pipe",
            Kind::Socket => "socket",
            Kind::File => "stream",
        }
    }

    fn reopen(self: Arc<Self>, _flags: u32) -> Result<Arc<dyn FileOps>> {
        // open(2) of a socket in /proc/self/fd fails on Linux, too.
        if self.kind == Kind::Socket {
            Err(Errno::ENXIO)
        } else {
            Ok(self)
        }
    }
}

/// /dev/null as a standard stream; the host's need not be asked.
pub struct Null;

impl FileOps for Null {
    fn read(&self, _offset: u64, _sink: &mut dyn Sink) -> Result<usize> {
        Ok(0)
    }

    fn write(&self, _offset: u64, source: &mut dyn Source) -> Result<usize> {
        let count = source.remaining();
        source.skip(count)?;
        Ok(count)
    }

    fn seek_kind(&self) -> SeekKind {
        SeekKind::Null
    }

    fn kind(&self) -> Option<FileType> {
        Some(FileType::CharDevice)
    }

    fn metadata(&self) -> Option<Metadata> {
        const NULL_DEVICE: u64 = 1 << 8 | 3;
        let mode = FileType::CharDevice.mode_bits() | 0o666;
        Some(Metadata {
            mode,
            nlink: 1,
            rdev: NULL_DEVICE,
            blksize: 4096,
            ..Metadata::default()
        })
    }

    fn describe(&self) -> Option<alloc::vec::Vec<u8>> {
        Some(b"/dev/null".to_vec())
    }

    fn reopen(self: Arc<Self>, _flags: u32) -> Result<Arc<dyn FileOps>> {
        Ok(self)
    }
}

//! Where the socket lies. Only the user who runs the monitor gets at it.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::sys::signal::kill;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket,
};
use nix::unistd::{Pid, Uid};

use crate::args::Control;
use crate::error::{Error, Result};

/// Removed from the file system when dropped.
pub struct Socket {
    pub fd: OwnedFd,
    path: PathBuf,
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Who deleted it before did our work.
        let _ = fs::remove_file(&self.path);
    }
}

impl Socket {
    /// A socket that nobody asked for does without a place to be: a program must not fail, nor its output change, for that.
    pub fn create(wanted: &Control) -> Result<Option<Self>> {
        match wanted {
            Control::None => Ok(None),
            Control::Default => Ok(Self::at_default(&directory()).ok()),
            Control::At(path) => {
                let made = Self::at(path).map_err(|source| Error::Control {
                    path: path.clone(),
                    source,
                });
                made.map(Some)
            }
        }
    }

    pub(super) fn at_default(directory: &Path) -> io::Result<Self> {
        own_directory(directory)?;
        sweep(directory);
        Self::at(&directory.join(format!("{}.sock", std::process::id())))
    }

    pub(super) fn at(path: &Path) -> io::Result<Self> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let fd = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
        let address = UnixAddr::new(path)?;
        if let Err(e) = bind(std::os::fd::AsRawFd::as_raw_fd(&fd), &address) {
            if e != nix::Error::EADDRINUSE || !remove_stale(path) {
                return Err(e.into());
            }
            bind(std::os::fd::AsRawFd::as_raw_fd(&fd), &address)?;
        }
        let made = Self {
            fd,
            path: path.to_owned(),
        };
        // Before anybody can connect.
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        listen(&made.fd, Backlog::new(16)?)?;
        Ok(made)
    }
}

fn directory() -> PathBuf {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    match runtime.filter(|path| path.is_absolute()) {
        Some(path) => path.join("compat"),
        None => PathBuf::from(format!("/tmp/compat-{}", Uid::effective())),
    }
}

/// Makes it, or sees that it is ours alone: in /tmp anybody could have been first.
fn own_directory(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    let found = fs::symlink_metadata(path)?;
    let ours = found.is_dir() && found.uid() == Uid::effective().as_raw();
    if ours && found.mode() & 0o077 == 0 {
        Ok(())
    } else {
        Err(ErrorKind::PermissionDenied.into())
    }
}

/// Removes what monitors left behind that could not do it themselves.
fn sweep(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let pid = name.and_then(|name| name.strip_suffix(".sock")?.parse().ok());
        if let Some(pid) = pid
            && kill(Pid::from_raw(pid), None) == Err(nix::Error::ESRCH)
        {
            remove_stale(&path);
        }
    }
}

/// A socket that nobody listens on is of no use to anyone. Answers whether it was one.
fn remove_stale(path: &Path) -> bool {
    let refused = |e: &io::Error| e.kind() == ErrorKind::ConnectionRefused;
    let is_socket = fs::symlink_metadata(path)
        .is_ok_and(|found| std::os::unix::fs::FileTypeExt::is_socket(&found.file_type()));
    is_socket
        && UnixStream::connect(path).as_ref().is_err_and(refused)
        && fs::remove_file(path).is_ok()
}

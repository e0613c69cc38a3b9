//! What can go wrong before or while a machine runs, each with the words a user sees.

use std::path::PathBuf;

use thiserror::Error;

use crate::image::ImageError;

#[derive(Debug, Error)]
pub enum Error {
    #[error("{0} (try --help)")]
    Usage(String),
    #[error("cannot open {path}: {source}")]
    Open {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("cannot make the control socket {path}: {source}")]
    Control {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path}: {source}")]
    Image { path: PathBuf, source: ImageError },
    #[error("{path}: not a configuration blob")]
    BadConfig { path: PathBuf },
    #[error("{0}")]
    Publish(String),
    #[error("{0}")]
    NoKvm(String),
    #[error("{0}")]
    Network(String),
    #[error(
        "the image needs {need} MiB of memory below 3 GiB, the machine has {have} MiB: give it more with --mem"
    )]
    TooSmall { need: u64, have: u64 },
    #[error("a configuration of {0} bytes does not fit in guest memory")]
    ConfigTooBig(usize),
    #[error("cannot reserve {size} bytes of guest memory: {source}")]
    Reserve { size: u64, source: std::io::Error },
    #[error("cannot map the image into guest memory: {0}")]
    MapImage(std::io::Error),
    #[error("cannot read the image: {0}")]
    ReadImage(std::io::Error),
    #[error("{what}: {source}")]
    Kvm {
        what: &'static str,
        source: kvm_ioctls::Error,
    },
    #[error("{what}: {source}")]
    Host {
        what: &'static str,
        source: std::io::Error,
    },
    #[error("guest memory: {0}")]
    GuestMemory(#[from] vm_memory::GuestMemoryError),
    #[error("guest memory: {0}")]
    GuestRegions(#[from] vm_memory::GuestRegionCollectionError),
    #[error("event loop: {0}")]
    EventLoop(#[from] event_manager::Error),
    #[error("seccomp: {0}")]
    Seccomp(#[from] seccompiler::Error),
    #[error("seccomp: {0}")]
    SeccompFilter(#[from] seccompiler::BackendError),
}

pub type Result<T> = std::result::Result<T, Error>;

/// Names the KVM call that failed.
pub fn kvm(what: &'static str) -> impl FnOnce(kvm_ioctls::Error) -> Error {
    move |source| Error::Kvm { what, source }
}

/// Names the host call that failed.
pub fn host<E: Into<std::io::Error>>(what: &'static str) -> impl FnOnce(E) -> Error {
    move |source| Error::Host {
        what,
        source: source.into(),
    }
}

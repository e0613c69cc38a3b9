//! Files without a machine: inodes, file systems, open files, readiness.
//!
//! Nothing here blocks and nothing here knows a register or a page table. An operation that cannot go on answers
//! `EAGAIN`, and its [`WaitList`] says when to try again. User memory is reached through [`Sink`] and [`Source`],
//! pages for mappings leave as [`PageRef`]. So all of it runs under plain `cargo test`.
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod ahead;
mod anon;
mod at;
mod attr;
mod backoff;
mod bytes;
mod cgroupfs;
mod context;
mod devfs;
mod epoll;
mod erofs;
mod eventfd;
mod fdtable;
mod file;
mod host;
mod inode;
mod inotify;
mod io;
mod memfs;
mod mount;
mod mqueue;
mod notify;
mod open;
mod ops;
mod page;
mod pipe;
mod procfs;
mod pseudo;
pub mod pty;
mod ringmem;
mod signal_io;
mod sysfs;
pub mod sysv;
mod timerfd;
pub mod tty;
mod types;
mod wait;
mod walk;
mod xattr;

pub use ahead::{AROUND, AROUND_IN_PLACE, Ahead};
pub use at::{At, OpenHow};
pub use backoff::Backoff;
pub use bytes::ByteQueue;
pub use cgroupfs::cgroupfs;
pub use context::{Credentials, FsContext};
pub use devfs::{Terminals, devfs};
pub use epoll::{Epoll, EpollEvent, epoll};
pub use erofs::ErofsError;
pub use eventfd::{EventFd, eventfd};
pub use fdtable::{FdEntry, FdTable};
pub use file::{File, Mapping};
pub use host::Host;
pub use inode::{Inode, InodeRef, Link, Mapper, NewNode, Position};
pub use inotify::{Inotify, inotify};
pub use io::{Sink, SliceSink, SliceSource, Source, UserMemory};
pub use linux_abi::Errno;
pub use memfs::{MemFs, MemfdStore};
pub use mount::{Mount, MountSpec, PathText, Place};
pub use mqueue::{
    MqNotify, MqNotifyHow, MqOpen, MqSize, Mqueue, check_priority, mq_open, mq_unlink,
};
pub use ops::{FileOps, SeekKind};
pub use page::{PAGE_SIZE, Page, PageRef};
pub use pipe::{Pipe, PipeEnd, pipe};
pub use procfs::{
    CpuInfo, Limit, MAX_MAP_COUNT, MapEntry, MemoryUse, NetFile, NetInterface, ProcPlace,
    ProcSource, ProcessInfo, Residence, SystemMemory, Uname, procfs,
};
pub use ringmem::{RingMemory, RingWindow};
pub use sysfs::sysfs;
pub use timerfd::{TimerFd, TimerSpec, timerfd};
pub use types::{
    DirEntry, FileType, Metadata, SetAttr, StatFs, TimeChange, Timestamp, access, poll,
};
pub use wait::{WaitList, Wake};
pub use walk::{LookupFlags, Parent};
pub use xattr::XattrStore;

/// What almost everything here returns.
pub type Result<T> = core::result::Result<T, Errno>;

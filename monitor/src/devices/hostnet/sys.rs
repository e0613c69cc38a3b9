//! System calls on sockets that read and write guest memory where it lies.
#![allow(unsafe_code)]

use std::io;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::Duration;

use smallvec::SmallVec;
use socket2::SockAddr;
use vm_memory::GuestMemoryBackend as _;

use crate::devices::virtio::{Buffer, DeviceError};
use crate::memory::GuestMemory;

/// `UIO_MAXIOV`
const MOST_PIECES: usize = 1024;
/// Pieces of a message as the driver usually makes them.
const USUAL_PIECES: usize = 24;
/// Room for all control messages that a datagram may come with.
const CONTROL: usize = 256;

/// A range of guest memory as the host's system calls take it. Guest memory stays mapped until the process ends.
pub struct Pieces<'m> {
    list: SmallVec<[libc::iovec; USUAL_PIECES]>,
    memory: PhantomData<&'m GuestMemory>,
}

impl<'m> Pieces<'m> {
    /// `len` bytes, or fewer if there are not so many, that begin `skip` bytes into `buffers`.
    pub fn new(
        memory: &'m GuestMemory,
        buffers: &[Buffer],
        mut skip: usize,
        mut len: usize,
    ) -> Result<Self, DeviceError> {
        let mut list = SmallVec::new();
        for buffer in buffers {
            if len == 0 || list.len() >= MOST_PIECES {
                break;
            }
            let size = buffer.len as usize;
            if skip >= size {
                skip -= size;
                continue;
            }
            let part = (size - skip).min(len);
            let start = buffer.address.0.checked_add(skip as u64);
            let start = start.ok_or(DeviceError::Protocol("named a buffer outside memory"))?;
            let slice = memory.get_slice(vm_memory::GuestAddress(start), part)?;
            list.push(libc::iovec {
                iov_base: slice.ptr_guard_mut().as_ptr().cast(),
                iov_len: slice.len(),
            });
            len -= part;
            skip = 0;
        }
        list.truncate(MOST_PIECES);
        Ok(Self {
            list,
            memory: PhantomData,
        })
    }

    /// No bytes.
    pub fn none() -> Self {
        Self {
            list: SmallVec::new(),
            memory: PhantomData,
        }
    }

    fn header(&mut self) -> libc::msghdr {
        // SAFETY: all zeroes is a valid `msghdr`.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iov = self.list.as_mut_ptr();
        header.msg_iovlen = self.list.len();
        header
    }
}

fn count(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Sends what the socket takes at once.
pub fn send(fd: &impl AsRawFd, mut pieces: Pieces<'_>, more: bool) -> io::Result<usize> {
    let more = if more { libc::MSG_MORE } else { 0 };
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL | more;
    if let [piece] = pieces.list.as_slice() {
        // The usual case: the kernel has no header to read first.
        // SAFETY: the piece is guest memory; the kernel only reads it.
        return count(unsafe { libc::send(fd.as_raw_fd(), piece.iov_base, piece.iov_len, flags) });
    }
    let header = pieces.header();
    // SAFETY: `header` points to `pieces`, which name guest memory; the kernel only reads it.
    count(unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const header, flags) })
}

/// Reads what has come, without waiting.
pub fn receive(fd: &impl AsRawFd, mut pieces: Pieces<'_>) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT;
    if let [piece] = pieces.list.as_slice() {
        // SAFETY: the piece is guest memory, which all sides treat as volatile.
        return count(unsafe { libc::recv(fd.as_raw_fd(), piece.iov_base, piece.iov_len, flags) });
    }
    let mut header = pieces.header();
    // SAFETY: `header` points to `pieces`, which name guest memory, which all sides treat as volatile.
    count(unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut header, flags) })
}

/// Sends one datagram. `hop_limit` 0: the socket's.
pub fn send_to(
    fd: &impl AsRawFd,
    mut pieces: Pieces<'_>,
    to: SocketAddr,
    hop_limit: u8,
) -> io::Result<usize> {
    let mut header = pieces.header();
    let address = SockAddr::from(to);
    header.msg_name = address.as_ptr().cast_mut().cast();
    header.msg_namelen = address.len();
    let mut control = hop_limit_message(to, hop_limit);
    if hop_limit != 0 {
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = size_of_val(&control);
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: `header` points to live data, which the kernel only reads.
    count(unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const header, flags) })
}

/// A control message of one int: length, level and type, value and padding.
fn hop_limit_message(to: SocketAddr, hop_limit: u8) -> [u64; 3] {
    let (level, kind) = match to {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_TTL),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT),
    };
    [
        20,
        u64::from(level as u32) | u64::from(kind as u32) << 32,
        hop_limit.into(),
    ]
}

/// What came with a datagram, or with an error about one.
#[derive(Debug, Default)]
pub struct Datagram {
    /// All of it, even if there was less room.
    pub len: usize,
    /// Its sender; of an error: the destination of what was sent.
    pub from: Option<SocketAddr>,
    pub to: Option<IpAddr>,
    pub hop_limit: u8,
    pub errno: u32,
}

/// One datagram. `flags` may ask for a look only (`MSG_PEEK`) or for an error (`MSG_ERRQUEUE`).
pub fn receive_from(
    fd: &impl AsRawFd,
    mut pieces: Pieces<'_>,
    flags: libc::c_int,
) -> io::Result<Datagram> {
    let mut header = pieces.header();
    let mut control = [0u64; CONTROL / 8];
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = CONTROL;
    let flags = flags | libc::MSG_DONTWAIT | libc::MSG_TRUNC;
    // SAFETY: the name is the storage that `try_init` provides, the rest of `header` points to live data.
    let received = unsafe {
        SockAddr::try_init(|storage, len| {
            header.msg_name = storage.cast();
            header.msg_namelen = *len;
            let got = count(libc::recvmsg(fd.as_raw_fd(), &raw mut header, flags))?;
            *len = header.msg_namelen;
            Ok(got)
        })
    };
    let (len, from) = received?;
    let mut datagram = Datagram {
        len,
        from: from.as_socket(),
        ..Datagram::default()
    };
    let mut bytes = [0; CONTROL];
    for (to, from) in bytes.chunks_exact_mut(8).zip(control) {
        to.copy_from_slice(&from.to_ne_bytes());
    }
    let filled = header.msg_controllen.min(CONTROL);
    read_control(bytes.get(..filled).unwrap_or_default(), &mut datagram);
    Ok(datagram)
}

/// Control messages, see cmsg(3).
fn read_control(mut rest: &[u8], datagram: &mut Datagram) {
    while let Some((head, _)) = rest.split_first_chunk::<16>() {
        let word = |at| int(head.get(at..).unwrap_or_default());
        let len = word(0) as usize;
        let Some(data) = rest.get(16..len) else {
            return;
        };
        match (word(8), word(12)) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                let address = data.get(8..12).and_then(|b| <[u8; 4]>::try_from(b).ok());
                datagram.to = address.map(IpAddr::from);
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                let address = data.first_chunk::<16>();
                datagram.to = address.map(|bytes| IpAddr::from(*bytes));
            }
            (libc::IPPROTO_IP, libc::IP_TTL) | (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                datagram.hop_limit = int(data) as u8;
            }
            (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) => {
                datagram.errno = int(data) as u32;
            }
            _ => {}
        }
        rest = rest.get(len.next_multiple_of(8)..).unwrap_or_default();
    }
}

fn int(bytes: &[u8]) -> i32 {
    bytes
        .first_chunk()
        .map_or(0, |bytes| i32::from_ne_bytes(*bytes))
}

pub fn set_option(
    fd: &impl AsRawFd,
    level: libc::c_int,
    name: libc::c_int,
    value: u32,
) -> io::Result<()> {
    // SAFETY: the kernel reads one int.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<u32>() as libc::socklen_t,
        )
    };
    count(result as libc::ssize_t).map(drop)
}

/// `struct tcp_info` as the host's kernel has it.
pub fn tcp_info(fd: &impl AsRawFd) -> SmallVec<[u8; 256]> {
    let mut info = [MaybeUninit::<u8>::zeroed(); 256];
    let mut len = info.len() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    let len = if result == 0 { len as usize } else { 0 };
    // SAFETY: all bytes were zeroed, and any bytes are valid.
    info.iter()
        .take(len)
        .map(|byte| unsafe { byte.assume_init() })
        .collect()
}

/// `false`: the time is over.
pub fn wait_readable(fd: &impl AsRawFd, time: Duration) -> bool {
    let mut query = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    let timeout = libc::timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    };
    // SAFETY: the kernel reads the timeout and fills one `pollfd`.
    unsafe { libc::ppoll(&raw mut query, 1, &raw const timeout, std::ptr::null()) > 0 }
}

/// Lets this process have as many descriptors as it may. Returns how many.
pub fn raise_descriptor_limit() -> u64 {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return 0;
    };
    match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(_) => soft,
    }
}

pub fn errno(error: &io::Error) -> u32 {
    error.raw_os_error().unwrap_or(libc::EIO).unsigned_abs()
}

pub fn would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// No more descriptors, or no memory for one.
pub fn is_shortage(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
    )
}

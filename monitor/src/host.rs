//! Small questions to the host: what are the standard streams, how large is the terminal, what is random.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU8, Ordering};

use boot_abi::config::{
    SAME_OUTPUT, STREAM_CLOSED, STREAM_FILE, STREAM_NULL, STREAM_PIPE, STREAM_SOCKET, STREAM_TTY,
};
use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::Pid;

use crate::error::{Error, Result};

/// Device number of /dev/null.
const NULL_DEVICE: (u64, u64) = (1, 3);

/// Bit N: standard stream N was closed when we were started. Rust's runtime opens /dev/null there before `main`.
static CLOSED_AT_START: AtomicU8 = AtomicU8::new(0);

#[used]
#[allow(unsafe_code)]
// SAFETY: the C library calls the functions in this section before `main`; ours only needs the C library.
#[unsafe(link_section = ".init_array")]
static LOOK_AT_START: extern "C" fn() = look_at_start;

#[allow(unsafe_code)]
extern "C" fn look_at_start() {
    for fd in 0..3 {
        // SAFETY: a query.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
            CLOSED_AT_START.fetch_or(1 << fd, Ordering::Relaxed);
        }
    }
}

/// What stdin, stdout and stderr are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streams {
    pub kinds: [u8; 3],
    /// `SAME_OUTPUT` or 0.
    pub flags: u8,
    pub rows: u16,
    pub columns: u16,
}

impl Streams {
    pub fn look() -> Self {
        let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
        let mut kinds = [
            kind(stdin.as_fd()),
            kind(stdout.as_fd()),
            kind(stderr.as_fd()),
        ];
        for (fd, kind) in kinds.iter_mut().enumerate() {
            if CLOSED_AT_START.load(Ordering::Relaxed) & 1 << fd != 0 {
                *kind = STREAM_CLOSED;
            }
        }
        let is_open = kinds[1..].iter().all(|kind| *kind != STREAM_CLOSED);
        let same = is_open && is_same_file(stdout.as_fd(), stderr.as_fd());
        let (rows, columns) = terminal_size().unwrap_or((0, 0));
        Self {
            kinds,
            flags: if same { SAME_OUTPUT } else { 0 },
            rows,
            columns,
        }
    }

    pub fn any_terminal(&self) -> bool {
        self.kinds.contains(&STREAM_TTY)
    }
}

fn kind(fd: BorrowedFd<'_>) -> u8 {
    let Ok(stat) = fstat(fd) else {
        return STREAM_CLOSED;
    };
    let mode = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    let device = (
        nix::sys::stat::major(stat.st_rdev),
        nix::sys::stat::minor(stat.st_rdev),
    );
    if mode == SFlag::S_IFCHR && device == NULL_DEVICE {
        STREAM_NULL
    } else if mode == SFlag::S_IFSOCK {
        STREAM_SOCKET
    } else if mode == SFlag::S_IFIFO {
        STREAM_PIPE
    } else if nix::unistd::isatty(fd).unwrap_or(false) {
        STREAM_TTY
    } else {
        STREAM_FILE
    }
}

fn is_same_file(a: BorrowedFd<'_>, b: BorrowedFd<'_>) -> bool {
    match (fstat(a), fstat(b)) {
        (Ok(a), Ok(b)) => (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino),
        _ => false,
    }
}

/// Rows and columns of the first standard stream that is a terminal.
#[allow(unsafe_code)]
pub fn terminal_size() -> Option<(u16, u16)> {
    (0..3).find_map(|fd| {
        let mut size = libc::winsize {
            ws_row: 0,
            ws_col: 0,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        // SAFETY: TIOCGWINSZ writes one `winsize`.
        let got = unsafe { libc::ioctl(fd, libc::TIOCGWINSZ, &raw mut size) };
        (got == 0).then_some((size.ws_row, size.ws_col))
    })
}

/// CPUs that this process may use.
pub fn cpus() -> usize {
    let set = sched_getaffinity(Pid::from_raw(0)).unwrap_or_default();
    let used = |cpu: &usize| set.is_set(*cpu).unwrap_or(false);
    (0..CpuSet::count()).filter(used).count()
}

pub fn name() -> Option<Vec<u8>> {
    nix::unistd::gethostname()
        .ok()
        .map(std::ffi::OsString::into_encoded_bytes)
}

/// Fills `buf` from the host's random generator.
#[allow(unsafe_code)]
pub fn random(buf: &mut [u8]) -> Result<()> {
    let mut done = 0;
    while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
        // SAFETY: the kernel writes at most `rest.len()` bytes there.
        let got = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        match usize::try_from(got) {
            Ok(n) => done += n,
            Err(_) => {
                let source = std::io::Error::last_os_error();
                if source.kind() != std::io::ErrorKind::Interrupted {
                    return Err(Error::Host {
                        what: "getrandom",
                        source,
                    });
                }
            }
        }
    }
    Ok(())
}

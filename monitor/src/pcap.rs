//! `--pcap`: what the guest exchanges with the world, for tcpdump and its kin.

mod packets;

pub use packets::{Side, TcpTrace};

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use vm_memory::VolatileSlice;

use crate::error::{Error, Result};
use crate::{scatter, terminal};

/// Times in nanoseconds, see pcap-savefile(5).
const MAGIC: u32 = 0xa1b2_3c4d;
const VERSION: [u16; 2] = [2, 4];
const LINKTYPE_ETHERNET: u32 = 1;
/// More than any frame has.
const SNAPLEN: u32 = 256 << 10;

/// A capture file. Packets go to it whole, one system call each, so that a reader sees whole packets at any time.
pub struct Capture {
    file: Mutex<Option<Sink>>,
}

struct Sink {
    file: File,
    /// Bytes up to the end of the last whole packet.
    whole: u64,
}

impl Capture {
    pub fn create(path: &Path) -> Result<Self> {
        let open = || {
            let mut file = File::create(path)?;
            let [major, minor] = VERSION.map(u16::to_ne_bytes);
            let header = [
                &MAGIC.to_ne_bytes()[..],
                &major,
                &minor,
                &[0; 8],
                &SNAPLEN.to_ne_bytes(),
                &LINKTYPE_ETHERNET.to_ne_bytes(),
            ]
            .concat();
            file.write_all(&header)?;
            Ok(Sink {
                file,
                whole: header.len() as u64,
            })
        };
        let sink = open().map_err(|source| Error::Open {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            file: Mutex::new(Some(sink)),
        })
    }

    /// A frame in pieces, Ethernet header first.
    pub fn frame(&self, parts: &[VolatileSlice<'_>]) {
        self.bytes(&scatter::gather(parts));
    }

    pub fn bytes(&self, frame: &[u8]) {
        let mut guard = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sink) = guard.as_mut() else { return };
        if let Err(e) = sink.append(frame) {
            // Not all systems let a file be cut (a pipe does not); readers cope with a torn end.
            let _ = sink.file.set_len(sink.whole);
            *guard = None;
            terminal::message(
                format!("compat-monitor: the capture ends here, it cannot be written: {e}\n")
                    .as_bytes(),
            );
        }
    }
}

impl Sink {
    fn append(&mut self, frame: &[u8]) -> io::Result<()> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let len = frame.len() as u32;
        let record = [now.as_secs() as u32, now.subsec_nanos(), len, len].map(u32::to_ne_bytes);
        let record = record.concat();
        let total = record.len() + frame.len();
        let mut done = self
            .file
            .write_vectored(&[IoSlice::new(&record), IoSlice::new(frame)])?;
        // The disk is full, or a pipe is; the second try tells.
        while done < total {
            let rest = match done.checked_sub(record.len()) {
                None => &[record.get(done..).unwrap_or(&[]), frame].concat(),
                Some(at) => frame.get(at..).unwrap_or(&[]),
            };
            match self.file.write(rest)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                more => done += more,
            }
        }
        self.whole += total as u64;
        Ok(())
    }
}

#[cfg(test)]
#[path = "pcap/tests.rs"]
mod tests;

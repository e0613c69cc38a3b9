//! The events that wait to be read.
use crate::Result;
use crate::io::Sink;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use linux_abi::Errno;
use linux_abi::raw::general::{IN_IGNORED, IN_Q_OVERFLOW};

/// /proc/sys/fs/inotify/max_queued_events
pub(crate) const MAX_QUEUED_EVENTS: usize = 16384;
/// `sizeof(struct inotify_event)`; names take a multiple of it.
const HEADER: usize = 16;

#[derive(PartialEq, Eq)]
struct Entry {
    wd: i32,
    mask: u32,
    cookie: u32,
    name: Option<Box<[u8]>>,
}

impl Entry {
    /// The name, its NUL, and more NULs.
    fn name_space(&self) -> usize {
        self.name
            .as_ref()
            .map_or(0, |name| (name.len() + 1).next_multiple_of(HEADER))
    }

    fn size(&self) -> usize {
        HEADER + self.name_space()
    }

    fn put(&self, sink: &mut dyn Sink) -> Result<()> {
        let space = self.name_space();
        let mut header = [0; HEADER];
        let fields = [self.wd as u32, self.mask, self.cookie, space as u32];
        for (to, field) in header.chunks_exact_mut(4).zip(fields) {
            to.copy_from_slice(&field.to_le_bytes());
        }
        sink.put(&header)?;
        let name = self.name.as_deref().unwrap_or(&[]);
        sink.put(name)?;
        sink.put_zeros(space - name.len())
    }
}

#[derive(Default)]
pub(super) struct Queue {
    entries: VecDeque<Entry>,
    bytes: usize,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What `FIONREAD` answers.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends an event, unless it says what the last one says. A full queue ends in one that says so.
    pub(super) fn push(&mut self, wd: i32, mask: u32, cookie: u32, name: Option<&[u8]>) {
        let last = self.entries.back();
        let same = last
            .is_some_and(|last| last.wd == wd && last.mask == mask && last.name.as_deref() == name);
        if same && mask & IN_IGNORED == 0 {
            return;
        }
        let full = self.entries.len() >= MAX_QUEUED_EVENTS;
        let entry = if !full {
            let name = name.map(Box::from);
            Entry {
                wd,
                mask,
                cookie,
                name,
            }
        } else if last.is_some_and(|last| last.mask == IN_Q_OVERFLOW) {
            return;
        } else {
            let (wd, mask) = (-1, IN_Q_OVERFLOW);
            Entry {
                wd,
                mask,
                cookie: 0,
                name: None,
            }
        };
        self.bytes += entry.size();
        self.entries.push_back(entry);
    }

    /// Hands out as many events as fit. `EINVAL` if the first does not, `EAGAIN` if there is none.
    pub(super) fn take(&mut self, sink: &mut dyn Sink) -> Result<usize> {
        let mut done = 0;
        while let Some(entry) = self.entries.front() {
            let size = entry.size();
            let put = if size > sink.remaining() {
                Err(Errno::EINVAL)
            } else {
                entry.put(sink)
            };
            match put {
                Ok(()) => done += size,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
            self.bytes -= size;
            self.entries.pop_front();
        }
        if done == 0 {
            Err(Errno::EAGAIN)
        } else {
            Ok(done)
        }
    }
}

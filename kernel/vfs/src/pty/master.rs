//! The master: what a terminal emulator holds.
use super::Ptys;
use super::control::Side;
use super::pair::{CHUNK, Pty};
use crate::io::{Sink, Source, UserMemory};
use crate::ops::FileOps;
use crate::types::{FileType, poll};
use crate::wait::WaitList;
use crate::{Result, tty};
use alloc::sync::Arc;
use linux_abi::{Errno, Signal};

pub(super) struct Master {
    pty: Arc<Pty>,
    ptys: Arc<Ptys>,
}

impl Master {
    pub fn new(pty: Arc<Pty>, ptys: Arc<Ptys>) -> Self {
        Self { pty, ptys }
    }
}

impl FileOps for Master {
    fn read(&self, _offset: u64, sink: &mut dyn Sink) -> Result<usize> {
        let wanted = sink.remaining();
        let mut state = self.pty.state.lock();
        if state.output.is_empty() {
            return match () {
                () if wanted == 0 => Ok(0),
                () if state.is_left() => Err(Errno::EIO),
                () => Err(Errno::EAGAIN),
            };
        }
        let mut done = 0;
        while done < wanted {
            let (head, _) = state.output.as_slices();
            let piece = head.get(..head.len().min(wanted - done)).unwrap_or(head);
            let len = piece.len();
            if len == 0 {
                break;
            }
            match sink.put(piece) {
                Ok(()) => {}
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            }
            state.output.drain(..len);
            done += len;
        }
        drop(state);
        self.pty.slave_changed.notify(poll::OUT | poll::WRNORM);
        Ok(done)
    }

    fn write(&self, _offset: u64, source: &mut dyn Source) -> Result<usize> {
        let wanted = source.remaining();
        while source.remaining() > 0 {
            let mut chunk = [0; CHUNK];
            let effects = {
                let mut state = self.pty.state.lock();
                let room = if state.typed.is_empty() {
                    state.discipline.room()
                } else {
                    0
                };
                let count = source.remaining().min(CHUNK).min(room);
                let Some(chunk) = chunk.get_mut(..count).filter(|chunk| !chunk.is_empty()) else {
                    break;
                };
                match source.take(chunk) {
                    Ok(()) => {}
                    Err(errno) if source.remaining() == wanted => return Err(errno),
                    Err(_) => break,
                }
                Pty::feed(&mut state, chunk)
            };
            self.pty.carry_out(&effects);
        }
        match wanted - source.remaining() {
            0 if wanted > 0 => Err(Errno::EAGAIN),
            count => Ok(count),
        }
    }

    fn poll(&self) -> u32 {
        let state = self.pty.state.lock();
        let room = state.typed.is_empty() && state.discipline.room() > 0;
        let end = if state.is_left() { poll::HUP } else { 0 };
        poll::ready(!state.output.is_empty(), room) | end
    }

    fn wait_list(&self) -> Option<&WaitList> {
        Some(&self.pty.master_changed)
    }

    fn ioctl(&self, command: u32, argument: u64, memory: &dyn UserMemory) -> Result<usize> {
        let side = Side {
            pty: &self.pty,
            ptys: &self.ptys,
            is_master: true,
        };
        tty::run(&side, command, argument, memory)
    }

    fn kind(&self) -> Option<FileType> {
        Some(FileType::CharDevice)
    }
}

impl Drop for Master {
    /// Who has the slave open sees its end, and the session is told that its terminal is gone.
    fn drop(&mut self) {
        let session = {
            let mut state = self.pty.state.lock();
            state.master = false;
            state.output.clear();
            let session = state.session;
            state.leave_session();
            session
        };
        self.ptys.forget(self.pty.number);
        if session > 0 {
            self.pty.jobs.signal_process(session, Signal::SIGHUP);
            self.pty.jobs.signal_process(session, Signal::SIGCONT);
        }
        self.pty.notify_all();
    }
}

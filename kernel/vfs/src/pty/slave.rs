//! The slave: a terminal for the programs that have it open.
use super::Ptys;
use super::control::Side;
use super::pair::{CHUNK, CHUNK_ROOM, MONOTONIC, OUTPUT, Pty, State, check_foreground};
use crate::io::{Sink, Source, UserMemory};
use crate::ops::FileOps;
use crate::tty::ReadState;
use crate::types::{FileType, poll};
use crate::wait::{WaitList, Wake};
use crate::{Result, tty};
use alloc::format;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use linux_abi::raw::general::TOSTOP;
use linux_abi::{Errno, Signal};

/// One opening of it.
pub(super) struct Slave {
    pty: Arc<Pty>,
    ptys: Arc<Ptys>,
    /// How often it had been hung up by then.
    hangups: u32,
}

impl Slave {
    pub fn open(pty: &Arc<Pty>, ptys: Arc<Ptys>) -> Result<Arc<dyn FileOps>> {
        let hangups = {
            let mut state = pty.state.lock();
            if state.locked || !state.master {
                return Err(Errno::EIO);
            }
            state.slaves += 1;
            state.opened = true;
            state.hangups
        };
        pty.master_changed.notify(poll::OUT | poll::WRNORM);
        Ok(Arc::new(Self {
            pty: pty.clone(),
            ptys,
            hangups,
        }))
    }

    fn is_hung_up(&self, state: &State) -> bool {
        !state.master || state.hangups != self.hangups
    }

    /// Whether the time limit of a read is over; starts one if there is none.
    fn is_over(&self, state: &mut State, tenths: u8) -> bool {
        let host = &self.pty.host;
        let now = host.clock(MONOTONIC);
        state.limit.is_over(now, tenths, |deadline| {
            let alarm: Weak<dyn Wake> = self.pty.this.clone();
            host.wake_at(MONOTONIC, deadline, alarm);
        })
    }

    fn has_limit_passed(&self, state: &State) -> bool {
        state.limit.has_passed(|| self.pty.host.clock(MONOTONIC))
    }
}

impl FileOps for Slave {
    fn read(&self, _offset: u64, sink: &mut dyn Sink) -> Result<usize> {
        check_foreground(&self.pty, Signal::SIGTTIN)?;
        let wanted = sink.remaining();
        let mut state = self.pty.state.lock();
        if self.is_hung_up(&state) || wanted == 0 {
            return Ok(0);
        }
        let count = match state.discipline.read_state(wanted) {
            ReadState::Ready(count) => count,
            ReadState::Timed { tenths, .. } if self.is_over(&mut state, tenths) => wanted,
            ReadState::Wait | ReadState::Timed { .. } => return Err(Errno::EAGAIN),
        };
        let got = state.discipline.take(count, |bytes| sink.put(bytes))?;
        let effects = (!state.typed.is_empty()).then(|| Pty::feed(&mut state, &[]));
        drop(state);
        if let Some(effects) = effects {
            self.pty.carry_out(&effects);
        }
        self.pty.master_changed.notify(poll::OUT | poll::WRNORM);
        Ok(got)
    }

    fn write(&self, _offset: u64, source: &mut dyn Source) -> Result<usize> {
        let stops = self.pty.state.lock().discipline.termios().lflag & TOSTOP != 0;
        if stops {
            check_foreground(&self.pty, Signal::SIGTTOU)?;
        }
        let wanted = source.remaining();
        let mut processed = Vec::with_capacity(2 * wanted.min(CHUNK));
        while source.remaining() > 0 {
            let mut chunk = [0; CHUNK];
            let Some(chunk) = chunk.get_mut(..source.remaining().min(CHUNK)) else {
                break;
            };
            let mut state = self.pty.state.lock();
            if self.is_hung_up(&state) {
                return Err(Errno::EIO);
            }
            if state.discipline.is_stopped() || state.output.len() + CHUNK_ROOM > OUTPUT {
                break;
            }
            match source.take(chunk) {
                Ok(()) => {}
                Err(errno) if source.remaining() == wanted => return Err(errno),
                Err(_) => break,
            }
            processed.clear();
            state.discipline.process(chunk, &mut processed);
            state.output.extend(&processed);
        }
        self.pty.master_changed.notify(poll::IN | poll::RDNORM);
        match wanted - source.remaining() {
            0 if wanted > 0 => Err(Errno::EAGAIN),
            count => Ok(count),
        }
    }

    fn poll(&self) -> u32 {
        let state = self.pty.state.lock();
        if self.is_hung_up(&state) {
            return poll::ALWAYS | poll::HUP | poll::ERR;
        }
        let readable = state.discipline.is_readable() || self.has_limit_passed(&state);
        let writable = !state.discipline.is_stopped() && state.output.len() + CHUNK_ROOM <= OUTPUT;
        poll::ready(readable, writable)
    }

    fn wait_list(&self) -> Option<&WaitList> {
        Some(&self.pty.slave_changed)
    }

    fn ioctl(&self, command: u32, argument: u64, memory: &dyn UserMemory) -> Result<usize> {
        if self.is_hung_up(&self.pty.state.lock()) {
            return Err(Errno::EIO);
        }
        if tty::is_change(command) {
            check_foreground(&self.pty, Signal::SIGTTOU)?;
        }
        let side = Side {
            pty: &self.pty,
            ptys: &self.ptys,
            is_master: false,
        };
        tty::run(&side, command, argument, memory)
    }

    fn kind(&self) -> Option<FileType> {
        Some(FileType::CharDevice)
    }

    fn describe(&self) -> Option<Vec<u8>> {
        Some(format!("/dev/pts/{}", self.pty.number).into_bytes())
    }
}

impl Drop for Slave {
    fn drop(&mut self) {
        self.pty.state.lock().slaves -= 1;
        self.pty
            .master_changed
            .notify(poll::HUP | poll::IN | poll::RDNORM);
    }
}

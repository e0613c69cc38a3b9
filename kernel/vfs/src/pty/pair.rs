//! What both sides of a pair share.
use super::Ptys;
use crate::host::Host;
use crate::tty::{
    self, Effects, Flush, Holder, Job, Jobs, Line, LineDiscipline, TimeLimit, TtySignal,
};
use crate::types::{Timestamp, poll};
use crate::wait::{WaitList, Wake};
use crate::{Result, UserMemory};
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use linux_abi::{Signal, Termios, Winsize};
use spin::Mutex;

/// How much of the program's output waits for the master; echo may go beyond it by as much again, then it is lost.
pub(super) const OUTPUT: usize = 16384;
/// Bytes taken from a writer at a time.
pub(super) const CHUNK: usize = 512;
/// The most bytes of output that one chunk becomes: tabs.
pub(super) const CHUNK_ROOM: usize = 8 * CHUNK;
/// `CLOCK_MONOTONIC`
pub(super) const MONOTONIC: u32 = 1;
/// The major number of slaves.
const MAJOR: u64 = 136;

pub(super) struct Pty {
    pub number: u32,
    pub jobs: Arc<dyn Jobs>,
    pub host: Arc<dyn Host>,
    pub state: Mutex<State>,
    pub master_changed: WaitList,
    pub slave_changed: WaitList,
    pub this: Weak<Self>,
}

pub(super) struct State {
    pub discipline: LineDiscipline,
    pub size: Winsize,
    /// For the master to read.
    pub output: VecDeque<u8>,
    /// What the master wrote and the discipline has no room for.
    pub typed: Vec<u8>,
    /// `TIOCSPTLCK`: the slave cannot be opened yet.
    pub locked: bool,
    /// The master is open.
    pub master: bool,
    /// How often the slave is open, and whether it ever was.
    pub slaves: usize,
    pub opened: bool,
    /// How often the slave was hung up: who opened it before that has nothing of it any more.
    pub hangups: u32,
    /// The session whose terminal it is, and that one's foreground process group; 0: none.
    pub session: i32,
    pub foreground: i32,
    /// Of a read by a slave.
    pub limit: TimeLimit,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub made: Timestamp,
}

/// The group `tty` of Debian, as its /dev/pts is mounted.
const TTY_GROUP: u32 = 5;

impl Pty {
    pub fn new(number: u32, ptys: &Ptys) -> Arc<Self> {
        let state = State {
            discipline: LineDiscipline::new(),
            size: Winsize::default(),
            output: VecDeque::new(),
            typed: Vec::new(),
            locked: true,
            master: true,
            slaves: 0,
            opened: false,
            hangups: 0,
            session: 0,
            foreground: 0,
            limit: TimeLimit::default(),
            mode: 0o620,
            uid: ptys.jobs.caller().uid,
            gid: TTY_GROUP,
            made: ptys.host.wall_time(),
        };
        Arc::new_cyclic(|this| Self {
            number,
            jobs: ptys.jobs.clone(),
            host: ptys.host.clone(),
            state: Mutex::new(state),
            master_changed: WaitList::new(),
            slave_changed: WaitList::new(),
            this: this.clone(),
        })
    }

    pub fn rdev(&self) -> u64 {
        let minor = u64::from(self.number);
        MAJOR << 8 | minor & 0xff | (minor & !0xff) << 12
    }

    pub fn notify_all(&self) {
        self.slave_changed.notify(poll::ALWAYS | poll::HUP);
        self.master_changed.notify(poll::ALWAYS | poll::HUP);
    }

    /// Feeds the discipline with what it had no room for. Answers what that led to, for [`Self::carry_out`].
    pub fn feed(state: &mut State, bytes: &[u8]) -> Effects {
        let mut effects = Effects::default();
        state.typed.extend_from_slice(bytes);
        let taken = state.discipline.receive(&state.typed, &mut effects);
        state.typed.drain(..taken);
        if taken > 0 {
            state.limit.restart();
        }
        if effects.flush_output {
            state.output.clear();
        }
        let room = (2 * OUTPUT).saturating_sub(state.output.len());
        state.output.extend(effects.echo.iter().take(room));
        effects
    }

    /// Signals and news of what was typed. With no lock held.
    pub fn carry_out(&self, effects: &Effects) {
        let foreground = self.state.lock().foreground;
        for signal in &effects.signals {
            let signal = match signal {
                TtySignal::Interrupt => Signal::SIGINT,
                TtySignal::Quit => Signal::SIGQUIT,
                TtySignal::Suspend => Signal::SIGTSTP,
            };
            signal_all(&*self.jobs, foreground, &[signal]);
        }
        self.slave_changed
            .notify(poll::IN | poll::RDNORM | poll::OUT | poll::WRNORM);
        if !effects.echo.is_empty() {
            self.master_changed.notify(poll::IN | poll::RDNORM);
        }
    }
}

/// Sends signals to a process group; 0 is none.
pub(super) fn signal_all(jobs: &dyn Jobs, group: i32, signals: &[Signal]) {
    if group > 0 {
        signals
            .iter()
            .for_each(|signal| jobs.signal_group(group, *signal));
    }
}

impl State {
    /// It becomes the terminal of the caller's session.
    pub fn give_to(&mut self, caller: Job) {
        (self.session, self.foreground) = (caller.session, caller.group);
    }

    /// It is nobody's terminal any more. Answers the foreground process group that it had.
    pub fn leave_session(&mut self) -> i32 {
        self.session = 0;
        core::mem::take(&mut self.foreground)
    }

    /// Whether the master sees a hang-up: the slave was open, and is not.
    pub fn is_left(&self) -> bool {
        self.opened && self.slaves == 0
    }
}

impl Line for Pty {
    fn termios(&self) -> Termios {
        *self.state.lock().discipline.termios()
    }

    fn set_termios(&self, new: &Termios, flush: bool) -> Result<()> {
        let effects = {
            let mut state = self.state.lock();
            state.discipline.change_termios(new, flush);
            if flush {
                state.typed.clear();
            }
            Self::feed(&mut state, &[])
        };
        self.carry_out(&effects);
        Ok(())
    }

    fn size(&self) -> Winsize {
        self.state.lock().size
    }

    fn set_size(&self, size: Winsize) {
        let (old, group) = {
            let mut state = self.state.lock();
            (core::mem::replace(&mut state.size, size), state.foreground)
        };
        if old != size {
            signal_all(&*self.jobs, group, &[Signal::SIGWINCH]);
        }
    }

    fn flush(&self, what: Flush) -> Result<()> {
        let mut state = self.state.lock();
        if what != Flush::Output {
            state.discipline.flush_input();
            state.typed.clear();
        }
        if what != Flush::Input {
            state.output.clear();
        }
        drop(state);
        self.notify_all();
        Ok(())
    }

    fn set_stopped(&self, stopped: bool) {
        self.state.lock().discipline.set_stopped(stopped);
        if !stopped {
            self.slave_changed.notify(poll::OUT | poll::WRNORM);
        }
    }

    fn available(&self) -> usize {
        self.state.lock().discipline.available()
    }

    /// As on Linux: what the master has not read has left all the same.
    fn unsent(&self) -> usize {
        0
    }

    fn device(&self) -> u64 {
        self.rdev()
    }

    /// Each side has others.
    fn own(
        &self,
        _command: u32,
        _argument: u64,
        _memory: &dyn UserMemory,
    ) -> Option<Result<usize>> {
        None
    }
}

impl Wake for Pty {
    /// The time limit of a read is over.
    fn wake(&self, _events: u32) {
        self.slave_changed.notify(poll::IN | poll::RDNORM);
    }
}

/// Has the caller stop, if it is in the background of its own terminal.
pub(super) fn check_foreground(pty: &Pty, signal: Signal) -> Result<()> {
    let holder = {
        let state = pty.state.lock();
        Holder {
            session: state.session,
            foreground: state.foreground,
        }
    };
    tty::check_foreground(pty.jobs.as_ref(), holder, signal)
}

//! The terminal: the line discipline between the program and a port.
use super::{Processes, first_session, ioctl};
use crate::drivers::virtio::Port;
use crate::task::family::{self, INIT};
use crate::task::{self, signal};
use crate::time;
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicI32, Ordering};
use linux_abi::raw::general::TOSTOP;
use linux_abi::{Errno, Siginfo, Signal, Winsize};
use spin::{Mutex, Once};
use vfs::tty::{Effects, Holder, LineDiscipline, ReadState, TimeLimit, TtySignal};
use vfs::{FileOps, FileType, Metadata, Result, Sink, Source, UserMemory, WaitList, Wake, poll};

static TERMINAL: Once<Arc<Terminal>> = Once::new();

/// Bytes taken from the program at a time.
const CHUNK: usize = 512;
/// The most bytes of output that one chunk needs room for.
const CHUNK_ROOM: usize = 8 * CHUNK;

pub struct Terminal {
    /// The port behind the keyboard; none if stdin is something else.
    input: Option<&'static Port>,
    /// The port behind the screen.
    output: Option<&'static Port>,
    pub(super) state: Mutex<State>,
    pub(super) changed: WaitList,
    alarm: Arc<dyn Wake>,
}

pub(super) struct State {
    pub discipline: LineDiscipline,
    pub size: Winsize,
    /// Output (mostly echo) that found no room, or is held back by `VSTOP`.
    pub backlog: VecDeque<u8>,
    /// Of a read.
    limit: TimeLimit,
}

/// Wakes readers when a time limit is over.
struct Alarm;

impl Wake for Alarm {
    fn wake(&self, _events: u32) {
        if let Some(terminal) = TERMINAL.get() {
            terminal.changed.notify(poll::IN | poll::RDNORM);
        }
    }
}

pub fn get() -> Option<Arc<Terminal>> {
    TERMINAL.get().cloned()
}

/// The foreground process group; 0: the first process's, whatever that is.
static FOREGROUND: AtomicI32 = AtomicI32::new(0);

/// The foreground process group.
pub fn foreground() -> i32 {
    match FOREGROUND.load(Ordering::Relaxed) {
        0 => first_group(),
        group => group,
    }
}

/// The first process's group.
fn first_group() -> i32 {
    task::entry::init_process().map_or(INIT, |first| first.state.pgid.load(Ordering::Relaxed))
}

/// tcsetpgrp(3). The terminal is that of the first process's session. ESRCH: no such group. EPERM: one of another session.
pub fn set_foreground(group: i32) -> Result<()> {
    let members = family::group(group);
    let first = members.first().ok_or(Errno::ESRCH)?;
    if first.state.sid.load(Ordering::Relaxed) != first_session() {
        return Err(Errno::EPERM);
    }
    FOREGROUND.store(group, Ordering::Relaxed);
    Ok(())
}

/// Has the caller stop, if it is in the background of this terminal.
fn check_foreground(signal: Signal) -> Result<()> {
    let holder = Holder {
        session: first_session(),
        foreground: foreground(),
    };
    vfs::tty::check_foreground(&Processes, holder, signal)
}

/// A signal for the foreground process group. If nobody is left of it, the first process's gets it.
fn signal_foreground(signal: Signal) {
    let mut members = family::group(foreground());
    if members.is_empty() {
        members.extend(task::entry::init_process().cloned());
    }
    for process in members {
        // A full queue cannot be: these are no real-time signals.
        let _ = signal::send_to_process(&process, Siginfo::kernel(signal));
    }
}

/// The window has another size.
pub fn resize(rows: u16, columns: u16) {
    if let Some(terminal) = TERMINAL.get() {
        terminal.resize(Winsize {
            row: rows,
            col: columns,
            ..Winsize::default()
        });
    }
}

/// A port has something for the keyboard, or room for the screen.
fn receive(events: u32) {
    if let Some(terminal) = TERMINAL.get() {
        terminal.pump(events);
    }
}

impl State {
    /// Answers whether there was anything.
    fn feed(&mut self, input: &Port, effects: &mut Effects) -> bool {
        let mut fed = 0;
        let all = input.receive(|bytes| {
            let taken = self.discipline.receive(bytes, effects);
            fed += taken;
            Ok::<usize, core::convert::Infallible>(taken)
        });
        if let Err(never) = all {
            match never {}
        }
        let is_end = input.at_end();
        if is_end {
            self.discipline.end_input();
        }
        if fed > 0 {
            self.limit.restart();
        }
        fed > 0 || is_end
    }
}

impl Terminal {
    /// Makes the terminal. Its keyboard works from now on, whether the program reads or not: it sends signals.
    pub fn open(
        input: Option<&'static Port>,
        output: Option<&'static Port>,
        rows: u16,
        columns: u16,
    ) -> Arc<Self> {
        let terminal = TERMINAL.call_once(|| {
            Arc::new(Self {
                input,
                output,
                state: Mutex::new(State {
                    discipline: LineDiscipline::new(),
                    size: Winsize {
                        row: rows,
                        col: columns,
                        ..Winsize::default()
                    },
                    backlog: VecDeque::new(),
                    limit: TimeLimit::default(),
                }),
                changed: WaitList::new(),
                alarm: Arc::new(Alarm),
            })
        });
        [input, output]
            .into_iter()
            .flatten()
            .for_each(|port| port.listen(receive));
        if let Some(input) = input {
            input.start_input();
        }
        terminal.clone()
    }

    pub(super) fn resize(&self, size: Winsize) {
        let old = core::mem::replace(&mut self.state.lock().size, size);
        if old != size {
            signal_foreground(Signal::SIGWINCH);
        }
    }

    /// Feeds what has been typed to the discipline, as far as it has room, and sends what is held back. Called when something
    /// came or left, and when room was made. `events` have happened at the port and are passed on.
    pub(super) fn pump(&self, events: u32) {
        let mut effects = Effects::default();
        let mut state = self.state.lock();
        let was_stopped = state.discipline.is_stopped();
        let has_input = self
            .input
            .is_some_and(|input| state.feed(input, &mut effects));
        let restarted = was_stopped && !state.discipline.is_stopped();
        if effects.flush_output {
            state.backlog.clear();
        }
        state.backlog.extend(&effects.echo);
        self.drain(&mut state);
        drop(state);
        effects.signals.iter().for_each(|signal| send(*signal));
        let events = events & !(poll::IN | poll::RDNORM) | poll::ready(has_input, restarted);
        if events != 0 {
            self.changed.notify(events);
        }
    }

    /// Sends what is held back, if it may leave. Answers whether more may follow.
    pub(super) fn drain(&self, state: &mut State) -> bool {
        let Some(output) = self.output else {
            state.backlog.clear();
            return true;
        };
        while !state.discipline.is_stopped() && !state.backlog.is_empty() {
            let sent = output.send(state.backlog.as_slices().0);
            if sent == 0 {
                break;
            }
            state.backlog.drain(..sent);
        }
        state.backlog.is_empty() && !state.discipline.is_stopped()
    }

    pub(super) fn held_back(&self) -> usize {
        self.state.lock().backlog.len() + self.output.map_or(0, Port::unsent)
    }

    /// Whether the time limit of a read is over; starts one if there is none.
    fn is_over(&self, state: &mut State, tenths: u8) -> bool {
        state.limit.is_over(time::monotonic(), tenths, |deadline| {
            let alarm: Weak<dyn Wake> = Arc::downgrade(&self.alarm);
            time::add_timer(deadline, alarm);
        })
    }

    fn take(state: &mut State, count: usize, sink: &mut dyn Sink) -> Result<usize> {
        state.discipline.take(count, |bytes| sink.put(bytes))
    }

    fn at_end(&self) -> bool {
        self.input.is_none_or(Port::at_end)
    }
}

fn send(signal: TtySignal) {
    match signal {
        TtySignal::Interrupt => signal_foreground(Signal::SIGINT),
        TtySignal::Quit => signal_foreground(Signal::SIGQUIT),
        TtySignal::Suspend if foreground() != first_group() => signal_foreground(Signal::SIGTSTP),
        // There is no shell to go back to.
        TtySignal::Suspend => {
            say!("the program cannot be suspended: there is no job control in an image")
        }
    }
}

impl FileOps for Terminal {
    fn read(&self, _offset: u64, sink: &mut dyn Sink) -> Result<usize> {
        // As on Linux for a terminal that one does not belong to.
        self.input.ok_or(Errno::EIO)?;
        check_foreground(Signal::SIGTTIN)?;
        let wanted = sink.remaining();
        if wanted == 0 {
            return Ok(0);
        }
        let count = {
            let mut state = self.state.lock();
            match state.discipline.read_state(wanted) {
                ReadState::Ready(count) => Self::take(&mut state, count, sink)?,
                _ if self.at_end() => Self::take(&mut state, wanted, sink)?,
                ReadState::Timed { tenths, .. } if self.is_over(&mut state, tenths) => {
                    Self::take(&mut state, wanted, sink)?
                }
                ReadState::Wait | ReadState::Timed { .. } => return Err(Errno::EAGAIN),
            }
        };
        // There is room for what had to stay in the port.
        if self.input.is_some_and(Port::has_input) {
            self.pump(0);
        }
        Ok(count)
    }

    fn write(&self, _offset: u64, source: &mut dyn Source) -> Result<usize> {
        let output = self.output.ok_or(Errno::EIO)?;
        if self.state.lock().discipline.termios().lflag & TOSTOP != 0 {
            check_foreground(Signal::SIGTTOU)?;
        }
        let wanted = source.remaining();
        if output.is_hung_up() {
            return Err(Errno::EIO);
        }
        let mut processed = Vec::with_capacity(2 * wanted.min(CHUNK));
        while source.remaining() > 0 {
            let mut chunk = [0; CHUNK];
            let Some(chunk) = chunk.get_mut(..source.remaining().min(CHUNK)) else {
                break;
            };
            let mut state = self.state.lock();
            if !self.drain(&mut state) || output.send_room(CHUNK_ROOM) < CHUNK_ROOM {
                break;
            }
            if let Err(error) = source.take(chunk) {
                return if source.remaining() < wanted {
                    Ok(wanted - source.remaining())
                } else {
                    Err(error)
                };
            }
            processed.clear();
            state.discipline.process(chunk, &mut processed);
            let sent = output.send(&processed);
            state.backlog.extend(processed.get(sent..).unwrap_or(&[]));
        }
        match wanted - source.remaining() {
            0 if wanted > 0 => Err(Errno::EAGAIN),
            count => Ok(count),
        }
    }

    fn poll(&self) -> u32 {
        let state = self.state.lock();
        let readable = state.discipline.is_readable()
            || self.at_end()
            || state.limit.has_passed(time::monotonic);
        let writable = !state.discipline.is_stopped() && self.output.is_none_or(Port::is_writable);
        poll::ready(readable, writable)
    }

    fn wait_list(&self) -> Option<&WaitList> {
        Some(&self.changed)
    }

    fn ioctl(&self, command: u32, argument: u64, memory: &dyn UserMemory) -> Result<usize> {
        if vfs::tty::is_change(command) {
            check_foreground(Signal::SIGTTOU)?;
        }
        vfs::tty::run(self, command, argument, memory)
    }

    fn kind(&self) -> Option<FileType> {
        Some(FileType::CharDevice)
    }

    fn metadata(&self) -> Option<Metadata> {
        Some(Metadata {
            mode: FileType::CharDevice.mode_bits() | 0o620,
            nlink: 1,
            rdev: ioctl::DEVICE,
            blksize: 1024,
            ..Metadata::default()
        })
    }

    fn describe(&self) -> Option<Vec<u8>> {
        Some(b"/dev/console".to_vec())
    }

    fn reopen(self: Arc<Self>, _flags: u32) -> Result<Arc<dyn FileOps>> {
        Ok(self)
    }
}

//! Serves the control socket on the device thread.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use event_manager::{EventOps, EventSet, Events, MutEventSubscriber};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use serde_json::{Value, json};
use vmm_sys_util::eventfd::EventFd;

use super::clients::{Clients, Request};
use super::report::Sources;
use super::socket::Socket;
use crate::devices::console::Console;
use crate::devices::virtio::Transport;
use crate::error::{Result, host};
use crate::terminal;
use crate::trace::Trace;

/// How long the guest has for its part.
const PATIENCE: Duration = Duration::from_millis(500);
const NOT_LISTENING: &str = "the guest does not listen";

pub struct ControlEvents {
    socket: Socket,
    info: Value,
    sources: Sources,
    console: Arc<Transport<Console>>,
    trace: Arc<Trace>,
    /// Written when the guest has told its figures.
    told: EventFd,
    timer: TimerFd,
    clients: Clients,
    /// The guest was asked, and has not answered.
    asked: bool,
}

impl ControlEvents {
    pub fn new(
        socket: Socket,
        info: Value,
        sources: Sources,
        console: Arc<Transport<Console>>,
        trace: Arc<Trace>,
    ) -> Result<Self> {
        let told = console
            .with_device(|console| console.reports.told.try_clone())
            .map_err(host("eventfd"))?;
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags).map_err(host("timerfd"))?;
        Ok(Self {
            socket,
            info,
            sources,
            console,
            trace,
            told,
            timer,
            clients: Clients::default(),
            asked: false,
        })
    }

    fn accept(&mut self, ops: &mut EventOps<'_>) {
        while let Some(client) = Clients::accept(self.socket.fd.as_raw_fd()) {
            if self.clients.full() {
                self.forget_gone(ops);
            }
            let watch = Events::new_raw(client.as_raw_fd(), EventSet::IN);
            if !self.clients.full() && ops.add(watch).is_ok() {
                self.clients.add(client);
            }
        }
    }

    fn forget_gone(&mut self, ops: &mut EventOps<'_>) {
        for fd in self.clients.gone() {
            self.forget(fd, ops);
        }
    }

    fn read(&mut self, fd: RawFd, ops: &mut EventOps<'_>) {
        if !self.clients.read(fd) || self.serve(fd).is_err() {
            self.forget(fd, ops);
        }
    }

    fn forget(&mut self, fd: RawFd, ops: &mut EventOps<'_>) {
        let _ = ops.remove(Events::empty_raw(fd));
        self.clients.forget(fd);
    }

    fn serve(&mut self, fd: RawFd) -> std::result::Result<(), ()> {
        while let Some(request) = self.clients.next(fd)? {
            match request {
                Request::Info => self.clients.answer(fd, &self.info)?,
                Request::Trace(settings) => match self.refuse_trace(&settings) {
                    Some(why) => self.clients.answer(fd, &json!({ "error": why }))?,
                    None => return self.start_trace(fd, &settings),
                },
                Request::Threads => {
                    let answer = self.ask_for_threads();
                    self.clients.answer(fd, &answer)?;
                }
                Request::Stats if self.ask() => self.clients.wait(fd),
                Request::Stats => self.clients.answer(fd, &self.sources.stats(None))?,
            }
        }
        Ok(())
    }

    fn refuse_trace(&self, settings: &str) -> Option<&'static str> {
        if boot_abi::trace::Settings::parse(settings).is_none() {
            return Some("not settings of a trace");
        }
        if self.trace.is_attached() {
            return Some("this instance is traced already");
        }
        let listens = self.console.with_device(|console| console.listening());
        (!listens).then_some(NOT_LISTENING)
    }

    /// Answers, and gives the connection to the trace. `Err`: it is no client's any more.
    fn start_trace(&mut self, fd: RawFd, settings: &str) -> std::result::Result<(), ()> {
        self.clients
            .answer(fd, &json!({"schema_version": 1, "trace": settings}))?;
        if let Some(connection) = self.clients.take(fd)
            && self.trace.attach(connection)
        {
            let line = format!("{} {settings}", boot_abi::LINE_TRACE);
            self.console.with_device(|console| console.tell(line));
            // Overflow is out of reach; the console looks when it is rung.
            let _ = self.console.doorbell.write(1);
        }
        Err(())
    }

    /// The guest says it on standard error, if it still hears.
    fn ask_for_threads(&self) -> Value {
        if !self.console.with_device(|console| console.listening()) {
            return json!({"error": NOT_LISTENING});
        }
        let line = boot_abi::LINE_THREADS.to_owned();
        self.console.with_device(|console| console.tell(line));
        // Overflow is out of reach; the console looks when it is rung.
        let _ = self.console.doorbell.write(1);
        json!({"schema_version": 1, "asked": boot_abi::LINE_THREADS})
    }

    /// Asks the guest, unless that is under way. `false`: it does not listen.
    fn ask(&mut self) -> bool {
        let listens = self.console.with_device(|console| {
            if console.listening() && !self.asked {
                console.tell(boot_abi::LINE_STATS.to_owned());
            }
            console.listening()
        });
        if listens && !self.asked {
            let limit = Expiration::OneShot(TimeSpec::from_duration(PATIENCE));
            self.asked = self.timer.set(limit, TimerSetTimeFlags::empty()).is_ok();
            // Overflow is out of reach; the console looks when it is rung.
            let _ = self.console.doorbell.write(1);
        }
        listens && self.asked
    }

    /// Answers those who wait.
    fn settle(&mut self, guest: Option<Value>, ops: &mut EventOps<'_>) {
        self.asked = false;
        let waiting = self.clients.take_waiting();
        if waiting.is_empty() {
            return;
        }
        let report = self.sources.stats(guest);
        for fd in waiting {
            if self.clients.answer(fd, &report).is_err() || self.serve(fd).is_err() {
                self.forget(fd, ops);
            }
        }
    }
}

impl MutEventSubscriber for ControlEvents {
    fn init(&mut self, ops: &mut EventOps<'_>) {
        let fds = [
            self.socket.fd.as_raw_fd(),
            self.told.as_raw_fd(),
            std::os::fd::AsFd::as_fd(&self.timer).as_raw_fd(),
        ];
        for fd in fds {
            if let Err(e) = ops.add(Events::new_raw(fd, EventSet::IN)) {
                terminal::message(
                    format!("compat-monitor: cannot watch the control socket: {e}\n").as_bytes(),
                );
            }
        }
    }

    fn process(&mut self, event: Events, ops: &mut EventOps<'_>) {
        let fd = event.fd();
        if fd == self.socket.fd.as_raw_fd() {
            self.accept(ops);
        } else if fd == self.told.as_raw_fd() {
            let _ = self.told.read();
            let report = self.console.with_device(|console| console.reports.take());
            let _ = self.timer.unset();
            self.settle(report, ops);
        } else if fd == std::os::fd::AsFd::as_fd(&self.timer).as_raw_fd() {
            let _ = self.timer.wait();
            self.settle(None, ops);
        } else {
            self.read(fd, ops);
        }
    }
}

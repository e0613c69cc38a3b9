//! Who asks: connections, and the lines that came over them.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, SockFlag, accept4, recv, send};
use serde_json::{Value, json};

/// A request is never longer.
const LONGEST: usize = 4096;
/// More are turned away, when none of these is gone.
const MOST: usize = 16;

pub enum Request {
    Stats,
    Info,
    /// The guest is to say what its threads do.
    Threads,
    /// The connection is to carry records of system calls from now on, by these settings.
    Trace(String),
}

struct Client {
    fd: OwnedFd,
    input: Vec<u8>,
    /// Asked for statistics, and gets them when the guest has told its own.
    waits: bool,
}

#[derive(Default)]
pub struct Clients(Vec<Client>);

impl Clients {
    /// The next one that connects; None: nobody.
    #[allow(unsafe_code)]
    pub fn accept(listener: RawFd) -> Option<OwnedFd> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let raw = accept4(listener, flags).ok()?;
        // SAFETY: the descriptor is new, and nobody else's.
        Some(unsafe { OwnedFd::from_raw_fd(raw) })
    }

    pub fn full(&self) -> bool {
        self.0.len() >= MOST
    }

    pub fn add(&mut self, fd: OwnedFd) {
        self.0.push(Client {
            fd,
            input: Vec::new(),
            waits: false,
        });
    }

    /// Those who hung up, which may not have been noticed yet.
    pub fn gone(&self) -> Vec<RawFd> {
        let gone = |client: &&Client| {
            let mut watched = [PollFd::new(client.fd.as_fd(), PollFlags::empty())];
            poll(&mut watched, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
        };
        let clients = self.0.iter().filter(gone);
        clients.map(|client| client.fd.as_raw_fd()).collect()
    }

    fn find(&mut self, fd: RawFd) -> Option<&mut Client> {
        self.0.iter_mut().find(|client| client.fd.as_raw_fd() == fd)
    }

    /// Reads what came. `false`: the client is to be forgotten.
    pub fn read(&mut self, fd: RawFd) -> bool {
        let Some(client) = self.find(fd) else {
            return false;
        };
        let mut bytes = [0; LONGEST];
        match recv(fd, &mut bytes, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => false,
            Ok(len) => {
                client.input.extend(bytes.get(..len).unwrap_or(&[]));
                client.input.len() <= LONGEST
            }
            Err(e) => e == nix::Error::EAGAIN || e == nix::Error::EINTR,
        }
    }

    /// The next request that can be answered now. Lines that are none are answered here; `Err`: not even that worked.
    pub fn next(&mut self, fd: RawFd) -> Result<Option<Request>, ()> {
        loop {
            let Some(client) = self.find(fd).filter(|client| !client.waits) else {
                return Ok(None);
            };
            let Some(end) = client.input.iter().position(|b| *b == b'\n') else {
                return Ok(None);
            };
            let line: Vec<u8> = client.input.drain(..=end).collect();
            let asked: Option<Value> = serde_json::from_slice(&line).ok();
            match asked
                .as_ref()
                .and_then(|asked| asked.get("command")?.as_str())
            {
                Some("stats") => return Ok(Some(Request::Stats)),
                Some("info") => return Ok(Some(Request::Info)),
                Some("threads") => return Ok(Some(Request::Threads)),
                Some("trace") => {
                    let settings = asked.as_ref().and_then(|asked| asked.get("settings"));
                    let settings = settings.and_then(Value::as_str).unwrap_or_default();
                    return Ok(Some(Request::Trace(settings.to_owned())));
                }
                _ => self.answer(
                    fd,
                    &json!({"error": "not a command: stats, info, threads, trace"}),
                )?,
            }
        }
    }

    /// Sends one line. Who does not take it at once has stopped listening.
    pub fn answer(&mut self, fd: RawFd, value: &Value) -> Result<(), ()> {
        let line = format!("{value}\n");
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        match send(fd, line.as_bytes(), flags) {
            Ok(sent) if sent == line.len() => Ok(()),
            _ => Err(()),
        }
    }

    /// Gives the connection away.
    pub fn take(&mut self, fd: RawFd) -> Option<OwnedFd> {
        let at = self
            .0
            .iter()
            .position(|client| client.fd.as_raw_fd() == fd)?;
        Some(self.0.swap_remove(at).fd)
    }

    pub fn wait(&mut self, fd: RawFd) {
        if let Some(client) = self.find(fd) {
            client.waits = true;
        }
    }

    /// Those who wait, who then wait no more.
    pub fn take_waiting(&mut self) -> Vec<RawFd> {
        let waiting = self.0.iter_mut().filter(|client| client.waits);
        waiting
            .map(|client| {
                client.waits = false;
                client.fd.as_raw_fd()
            })
            .collect()
    }

    pub fn forget(&mut self, fd: RawFd) {
        self.0.retain(|client| client.fd.as_raw_fd() != fd);
    }
}

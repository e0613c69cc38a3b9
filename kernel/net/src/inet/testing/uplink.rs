//! An uplink that keeps what it is asked for.
use crate::Result;
use crate::network::{Interface, InterfaceFlags};
use crate::uplink::{
    Acceptor, ConnectRequest, Connection, DatagramKind, DatagramReceiver, Datagrams, Listening,
    Stream, StreamOption, Uplink,
};
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use linux_abi::Errno;
use std::sync::Mutex as StdMutex;
use vfs::{Sink, Source, WaitList, poll};

/// A stream of the uplink, which the test plays the peer of.
pub(crate) struct TestStream {
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub events: Arc<WaitList>,
    pub state: StdMutex<TestStreamState>,
}

pub(crate) struct TestStreamState {
    pub connection: Connection,
    pub error: Option<Errno>,
    pub incoming: Vec<u8>,
    pub outgoing: Vec<u8>,
    pub options: Vec<StreamOption>,
    pub shut: (bool, bool),
    pub aborted: bool,
}

impl TestStream {
    pub(crate) fn new(
        local: &str,
        remote: &str,
        connection: Connection,
        events: Arc<WaitList>,
    ) -> Arc<Self> {
        Arc::new(Self {
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
            events,
            state: StdMutex::new(TestStreamState {
                connection,
                error: None,
                incoming: Vec::new(),
                outgoing: Vec::new(),
                options: Vec::new(),
                shut: (false, false),
                aborted: false,
            }),
        })
    }

    pub(crate) fn change(&self, how: impl FnOnce(&mut TestStreamState)) {
        how(&mut self.state.lock().unwrap());
        self.events.notify(poll::ALWAYS | poll::HUP | poll::ERR);
    }
}

impl Stream for TestStream {
    fn events(&self) -> &Arc<WaitList> {
        &self.events
    }

    fn local(&self) -> SocketAddr {
        self.local
    }

    fn peer(&self) -> SocketAddr {
        self.remote
    }

    fn connection(&self) -> Connection {
        self.state.lock().unwrap().connection
    }

    fn take_error(&self) -> Option<Errno> {
        self.state.lock().unwrap().error.take()
    }

    fn send(&self, source: &mut dyn Source, _more: bool) -> Result<usize> {
        let mut bytes = alloc::vec![0; source.remaining()];
        source.take(&mut bytes)?;
        self.state.lock().unwrap().outgoing.extend(&bytes);
        Ok(bytes.len())
    }

    fn receive(&self, sink: &mut dyn Sink, _peek: bool) -> Result<usize> {
        let mut state = self.state.lock().unwrap();
        if state.incoming.is_empty() {
            return Err(Errno::EAGAIN);
        }
        let count = sink.remaining().min(state.incoming.len());
        let bytes: Vec<u8> = state.incoming.drain(..count).collect();
        sink.put(&bytes)?;
        Ok(count)
    }

    fn poll(&self) -> u32 {
        let state = self.state.lock().unwrap();
        match state.connection {
            Connection::Connecting => 0,
            Connection::Failed => poll::ALWAYS | poll::HUP | poll::ERR | poll::RDHUP,
            Connection::Established if state.incoming.is_empty() => poll::OUT | poll::WRNORM,
            Connection::Established => poll::ALWAYS,
        }
    }

    fn readable(&self) -> usize {
        self.state.lock().unwrap().incoming.len()
    }

    fn unsent(&self) -> usize {
        self.state.lock().unwrap().outgoing.len()
    }

    fn shutdown(&self, read: bool, write: bool) -> Result<()> {
        self.state.lock().unwrap().shut = (read, write);
        Ok(())
    }

    fn set_option(&self, option: StreamOption) -> Result<()> {
        self.state.lock().unwrap().options.push(option);
        Ok(())
    }

    fn info(&self) -> Result<Vec<u8>> {
        Ok(alloc::vec![1, 2, 3])
    }

    fn abort(&self) {
        self.state.lock().unwrap().aborted = true;
    }
}

/// A socket that listens beyond loopback.
pub(crate) struct TestListening {
    pub local: SocketAddr,
    pub acceptor: Weak<dyn Acceptor>,
    pub accepted: AtomicU32,
}

struct ListeningHandle(Arc<TestListening>);

impl Listening for ListeningHandle {
    fn accepted(&self) {
        self.0.accepted.fetch_add(1, SeqCst);
    }
}

/// A datagram socket's way out.
pub(crate) struct TestDatagrams {
    pub kind: DatagramKind,
    pub local: SocketAddr,
    pub receiver: Weak<dyn DatagramReceiver>,
    pub sent: StdMutex<Vec<(Vec<u8>, SocketAddr, u8)>>,
    pub groups: StdMutex<Vec<(IpAddr, bool)>>,
    pub full: std::sync::atomic::AtomicBool,
}

struct DatagramsHandle(Arc<TestDatagrams>);

impl Datagrams for DatagramsHandle {
    fn send(&self, source: &mut dyn Source, to: SocketAddr, hop_limit: u8) -> Result<usize> {
        if self.0.full.load(SeqCst) {
            return Err(Errno::EAGAIN);
        }
        let mut bytes = alloc::vec![0; source.remaining()];
        source.take(&mut bytes)?;
        let count = bytes.len();
        self.0.sent.lock().unwrap().push((bytes, to, hop_limit));
        Ok(count)
    }

    fn source_for(&self, _remote: IpAddr) -> Result<IpAddr> {
        Ok("10.0.2.15".parse().unwrap())
    }

    fn membership(&self, group: IpAddr, _interface: u32, join: bool) -> Result<()> {
        self.0.groups.lock().unwrap().push((group, join));
        Ok(())
    }
}

#[derive(Default)]
pub(crate) struct TestUplink {
    pub streams: StdMutex<Vec<Arc<TestStream>>>,
    pub asked: StdMutex<Vec<Vec<StreamOption>>>,
    pub listening: StdMutex<Vec<Weak<TestListening>>>,
    pub datagrams: StdMutex<Vec<Weak<TestDatagrams>>>,
    /// It has no raw datagrams.
    pub only_echo: std::sync::atomic::AtomicBool,
}

impl TestUplink {
    pub(crate) fn last_stream(&self) -> Arc<TestStream> {
        self.streams.lock().unwrap().last().unwrap().clone()
    }

    pub(crate) fn last_listening(&self) -> Option<Arc<TestListening>> {
        self.listening
            .lock()
            .unwrap()
            .last()
            .and_then(Weak::upgrade)
    }

    pub(crate) fn last_datagrams(&self) -> Option<Arc<TestDatagrams>> {
        self.datagrams
            .lock()
            .unwrap()
            .last()
            .and_then(Weak::upgrade)
    }
}

impl Uplink for TestUplink {
    fn interfaces(&self) -> Vec<Interface> {
        alloc::vec![Interface {
            index: 2,
            name: "eth0".to_string(),
            flags: InterfaceFlags::UP | InterfaceFlags::BROADCAST | InterfaceFlags::MULTICAST,
            mtu: 1500,
            hardware_type: 1,
            hardware_address: [2, 0, 0, 0, 0, 1],
            addresses: alloc::vec![
                ("10.0.2.15".parse().unwrap(), 24),
                ("fd00:c0::15".parse().unwrap(), 64),
            ],
            gateways: alloc::vec!["10.0.2.2".parse().unwrap()],
            received: [0; 4],
            sent: [0; 4],
        }]
    }

    fn connect(&self, request: ConnectRequest<'_>) -> Result<Arc<dyn Stream>> {
        let stream = TestStream::new(
            &request.local.to_string(),
            &request.remote.to_string(),
            Connection::Connecting,
            request.events,
        );
        self.asked.lock().unwrap().push(request.options.to_vec());
        self.streams.lock().unwrap().push(stream.clone());
        Ok(stream)
    }

    fn listen(
        &self,
        local: SocketAddr,
        _backlog: usize,
        acceptor: Weak<dyn Acceptor>,
    ) -> Result<Box<dyn Listening>> {
        let listening = Arc::new(TestListening {
            local,
            acceptor,
            accepted: AtomicU32::new(0),
        });
        self.listening
            .lock()
            .unwrap()
            .push(Arc::downgrade(&listening));
        Ok(Box::new(ListeningHandle(listening)))
    }

    fn datagrams(
        &self,
        kind: DatagramKind,
        local: SocketAddr,
        receiver: Weak<dyn DatagramReceiver>,
    ) -> Result<Box<dyn Datagrams>> {
        if self.only_echo.load(SeqCst) && matches!(kind, DatagramKind::Raw { .. }) {
            return Err(Errno::EPROTONOSUPPORT);
        }
        let datagrams = Arc::new(TestDatagrams {
            kind,
            local,
            receiver,
            sent: StdMutex::default(),
            groups: StdMutex::default(),
            full: false.into(),
        });
        self.datagrams
            .lock()
            .unwrap()
            .push(Arc::downgrade(&datagrams));
        Ok(Box::new(DatagramsHandle(datagrams)))
    }
}

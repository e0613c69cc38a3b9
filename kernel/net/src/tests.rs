//! Doubles that the tests of all families share.
use crate::uplink::{
    Acceptor, ConnectRequest, DatagramKind, DatagramReceiver, Datagrams, Listening, Stream,
};
use crate::{Env, Interface, Result, Ucred, Uplink};
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::net::SocketAddr;
use linux_abi::Errno;
use vfs::{Host, InodeRef, Timestamp, Wake};

/// A machine without time.
pub(crate) struct TestHost;

impl Host for TestHost {
    fn wall_time(&self) -> Timestamp {
        Timestamp::default()
    }

    fn clock(&self, _clock: u32) -> u64 {
        0
    }

    fn wake_at(&self, _clock: u32, _deadline: u64, _whom: Weak<dyn Wake>) {}

    fn random(&self, into: &mut [u8]) {
        into.fill(4);
    }
}

/// Process 1, which may do anything.
pub(crate) struct Root;

impl Env for Root {
    fn credentials(&self) -> Ucred {
        Ucred {
            pid: 1,
            uid: 0,
            gid: 0,
        }
    }

    fn make_node(&self, _path: &[u8]) -> Result<InodeRef> {
        Err(Errno::EROFS)
    }

    fn find_node(&self, _path: &[u8]) -> Result<InodeRef> {
        Err(Errno::ENOENT)
    }

    fn can(&self, _capability: linux_abi::Capability) -> bool {
        true
    }

    fn unsupported_part(&self, _what: &'static str) {}
}

/// A way out that has interfaces and leads nowhere.
pub(crate) struct FakeUplink(pub(crate) Vec<Interface>);

impl Uplink for FakeUplink {
    fn interfaces(&self) -> Vec<Interface> {
        self.0.clone()
    }

    fn connect(&self, _request: ConnectRequest<'_>) -> Result<Arc<dyn Stream>> {
        Err(Errno::ENETUNREACH)
    }

    fn listen(
        &self,
        _local: SocketAddr,
        _backlog: usize,
        _acceptor: Weak<dyn Acceptor>,
    ) -> Result<Box<dyn Listening>> {
        Err(Errno::ENETUNREACH)
    }

    fn datagrams(
        &self,
        _kind: DatagramKind,
        _local: SocketAddr,
        _receiver: Weak<dyn DatagramReceiver>,
    ) -> Result<Box<dyn Datagrams>> {
        Err(Errno::ENETUNREACH)
    }
}

mod interfaces;

//! Addresses on their way from and to the program.
use crate::kernel::Kernel;
use crate::user::UserPtr;
use linux_abi::Errno;
use linux_abi::raw::net::{AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNIX};
use net::{Address, RawAddress, Socket, SocketType};

/// What a program gave as an address.
pub(super) struct GivenAddress {
    bytes: [u8; RawAddress::MAX],
    len: usize,
}

impl GivenAddress {
    /// Copies it in. `EINVAL`: no address has that length.
    pub(super) fn read<K: Kernel>(k: &K, addr: UserPtr<u8>, len: i32) -> Result<Self, Errno> {
        let len = usize::try_from(len).map_err(|_| Errno::EINVAL)?;
        let mut bytes = [0; RawAddress::MAX];
        let place = bytes.get_mut(..len).ok_or(Errno::EINVAL)?;
        addr.read_slice(k, place)?;
        Ok(Self { bytes, len })
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    /// As bind(2) and connect(2) take it.
    pub(super) fn parse(&self, socket: &Socket) -> Result<Address, Errno> {
        let errno = match Address::parse(self.as_bytes()) {
            Err(errno) => errno,
            address => return address,
        };
        match socket.ops().family() {
            // These say so about every family that is not theirs.
            AF_UNIX | AF_NETLINK | AF_PACKET => Err(Errno::EINVAL),
            _ => Err(errno),
        }
    }

    /// As sendto(2) takes it: sockets that are always connected do not look at it.
    pub(super) fn destination(&self, socket: &Socket) -> Result<Option<Address>, Errno> {
        match (socket.ops().family(), socket.ops().kind()) {
            (AF_INET | AF_INET6, SocketType::Stream) | (AF_UNIX, SocketType::SeqPacket) => Ok(None),
            (AF_UNIX | AF_NETLINK, _) if self.len == 0 => Ok(None),
            _ => self.parse(socket).map(Some),
        }
    }
}

/// Stores as much of an address as there is room for, and its length, which may be more. None: of length 0.
pub(super) fn write_address<K: Kernel>(
    k: &K,
    address: Option<&Address>,
    addr: UserPtr<u8>,
    len: UserPtr<i32>,
) -> Result<(), Errno> {
    let raw = address.map(Address::encode);
    let bytes = raw.as_ref().map_or(&[][..], RawAddress::as_bytes);
    let room = usize::try_from(len.read(k)?).map_err(|_| Errno::EINVAL)?;
    addr.write_slice(k, bytes.get(..room).unwrap_or(bytes))?;
    len.write(k, &(bytes.len() as i32))
}

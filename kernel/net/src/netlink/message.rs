//! Netlink messages, see netlink(7): parsed from what programs send, built for what they get.
use alloc::vec::Vec;
use linux_abi::Errno;
use linux_abi::raw::netlink as raw;

/// `sizeof(struct nlmsghdr)`
pub(super) const HEADER: usize = 16;
/// Headers, payloads and attributes start at multiples of this.
const ALIGN: usize = 4;

/// A request: its header's fields, and what follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub kind: u16,
    pub flags: u16,
    pub sequence: u32,
    /// The whole message, header included.
    pub bytes: &'a [u8],
}

/// The `N` bytes at `at`.
fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

impl<'a> Request<'a> {
    /// The first message of a datagram and what comes after it. None: the rest is no whole message.
    pub fn split(datagram: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let len = u32::from_ne_bytes(field(datagram, 0)?) as usize;
        let bytes = datagram.get(..len).filter(|bytes| bytes.len() >= HEADER)?;
        let request = Self {
            kind: u16::from_ne_bytes(field(bytes, 4)?),
            flags: u16::from_ne_bytes(field(bytes, 6)?),
            sequence: u32::from_ne_bytes(field(bytes, 8)?),
            bytes,
        };
        let next = len.next_multiple_of(ALIGN);
        Some((request, datagram.get(next..).unwrap_or(&[])))
    }

    pub fn has(&self, flags: u32) -> bool {
        u32::from(self.flags) & flags == flags
    }

    /// The payload behind the header.
    pub fn payload(&self) -> &'a [u8] {
        self.bytes.get(HEADER..).unwrap_or(&[])
    }

    /// `ifi_family`, `rtgen_family` and their kin: the first byte of every route payload.
    pub fn family(&self) -> u8 {
        self.payload().first().copied().unwrap_or(0)
    }

    /// The i32 at `at` of the payload.
    pub fn word(&self, at: usize) -> i32 {
        field(self.payload(), at).map_or(0, i32::from_ne_bytes)
    }

    /// The value of attribute `kind`, where the family's own header has `header` bytes.
    pub fn attribute(&self, header: usize, kind: u16) -> Option<&'a [u8]> {
        let mut rest = self.payload().get(header..)?;
        loop {
            let len = usize::from(u16::from_ne_bytes(field(rest, 0)?));
            let found = u16::from_ne_bytes(field(rest, 2)?);
            let value = rest.get(4..len)?;
            if found == kind {
                return Some(value);
            }
            rest = rest.get(len.next_multiple_of(ALIGN)..)?;
        }
    }
}

/// Answers to one request, as the datagrams in which they go out.
pub(super) struct Answer {
    sequence: u32,
    port: u32,
    datagrams: Vec<Vec<u8>>,
    /// Where the message under construction starts in the last datagram.
    start: usize,
}

impl Answer {
    /// Linux fills datagrams of a dump up to about this size.
    const FULL: usize = 8192;

    pub fn new(request: &Request<'_>, port: u32) -> Self {
        Self {
            sequence: request.sequence,
            port,
            datagrams: Vec::new(),
            start: 0,
        }
    }

    pub fn into_datagrams(self) -> Vec<Vec<u8>> {
        self.datagrams
    }

    fn last(&mut self) -> &mut Vec<u8> {
        if self.datagrams.is_empty() {
            self.datagrams.push(Vec::new());
        }
        let last = self.datagrams.len() - 1;
        &mut self.datagrams[last]
    }

    /// Starts a message with the family's own header; attributes follow, then `end`.
    pub fn begin(&mut self, kind: u32, flags: u32, header: &[u8]) {
        if self.last().len() > Self::FULL {
            self.datagrams.push(Vec::new());
        }
        let (sequence, port) = (self.sequence, self.port);
        let last = self.last();
        let start = last.len();
        last.extend_from_slice(&[0; 4]);
        last.extend_from_slice(&(kind as u16).to_ne_bytes());
        last.extend_from_slice(&(flags as u16).to_ne_bytes());
        last.extend_from_slice(&sequence.to_ne_bytes());
        last.extend_from_slice(&port.to_ne_bytes());
        last.extend_from_slice(header);
        self.start = start;
        self.pad();
    }

    fn pad(&mut self) {
        let last = self.last();
        last.resize(last.len().next_multiple_of(ALIGN), 0);
    }

    pub fn attribute(&mut self, kind: u32, value: &[u8]) {
        let last = self.last();
        last.extend_from_slice(&((value.len() + 4) as u16).to_ne_bytes());
        last.extend_from_slice(&(kind as u16).to_ne_bytes());
        last.extend_from_slice(value);
        self.pad();
    }

    pub fn word(&mut self, kind: u32, value: u32) {
        self.attribute(kind, &value.to_ne_bytes());
    }

    pub fn text(&mut self, kind: u32, value: &str) {
        self.attribute(kind, &[value.as_bytes(), &[0]].concat());
    }

    /// Completes the message.
    pub fn end(&mut self) {
        let start = self.start;
        let last = self.last();
        let len = ((last.len() - start) as u32).to_ne_bytes();
        if let Some(place) = last.get_mut(start..start + len.len()) {
            place.copy_from_slice(&len);
        }
    }

    /// `NLMSG_DONE`: the end of a dump, in a datagram of its own.
    pub fn done(&mut self) {
        self.datagrams.retain(|datagram| !datagram.is_empty());
        self.datagrams.push(Vec::new());
        self.begin(raw::NLMSG_DONE, raw::NLM_F_MULTI, &[0; 4]);
        self.end();
    }

    /// `NLMSG_ERROR`: the errno (none: an acknowledgement), and the request it is for. `capped` leaves its payload out.
    pub fn error(&mut self, errno: Option<Errno>, request: &Request<'_>, capped: bool) {
        let code = errno.map_or(0, |errno| -i32::from(errno.raw()));
        let short = capped || errno.is_none();
        let quoted = if short {
            request.bytes.get(..HEADER).unwrap_or(&[])
        } else {
            request.bytes
        };
        let flags = if short { raw::NLM_F_CAPPED } else { 0 };
        self.begin(
            raw::NLMSG_ERROR,
            flags,
            &[&code.to_ne_bytes(), quoted].concat(),
        );
        self.end();
    }
}

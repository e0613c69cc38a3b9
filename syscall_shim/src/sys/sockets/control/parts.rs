use super::{HEADER, align};
use linux_abi::zerocopy::FromBytes;
use linux_abi::{Cmsghdr, Errno};

/// A control message as it lies in the program's buffer.
pub(super) struct Part<'a> {
    pub level: u32,
    pub kind: u32,
    pub data: &'a [u8],
}

impl Part<'_> {
    /// The data as an `int`, and nothing more. `EINVAL` otherwise.
    pub(super) fn int(&self) -> Result<i32, Errno> {
        let bytes = self.data.try_into().map_err(|_| Errno::EINVAL)?;
        Ok(i32::from_ne_bytes(bytes))
    }
}

/// `CMSG_FIRSTHDR`, `CMSG_NXTHDR`: the messages of a buffer; `EINVAL` for a length that does not fit.
pub(super) struct Parts<'a>(pub &'a [u8]);

impl<'a> Iterator for Parts<'a> {
    type Item = Result<Part<'a>, Errno>;

    fn next(&mut self) -> Option<Self::Item> {
        let (header, _) = Cmsghdr::read_from_prefix(self.0).ok()?;
        let len = usize::try_from(header.len).unwrap_or(usize::MAX);
        let Some(data) = self.0.get(HEADER..len) else {
            self.0 = &[];
            return Some(Err(Errno::EINVAL));
        };
        self.0 = self.0.get(align(len)..).unwrap_or(&[]);
        Some(Ok(Part {
            level: header.level as u32,
            kind: header.type_ as u32,
            data,
        }))
    }
}

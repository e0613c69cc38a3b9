//! uname(2) and sysinfo(2).

abi_struct! {
    /// `struct new_utsname`.
    Utsname [390] {
        sysname: [u8; 65],
        nodename: [u8; 65],
        release: [u8; 65],
        version: [u8; 65],
        machine: [u8; 65],
        domainname: [u8; 65],
    }
    /// `struct sysinfo`, with the padding the compiler puts in.
    Sysinfo [112] {
        uptime: i64,
        /// Fixed point, 16 bits after the point.
        loads: [u64; 3],
        totalram: u64,
        freeram: u64,
        sharedram: u64,
        bufferram: u64,
        totalswap: u64,
        freeswap: u64,
        procs: u16,
        pad: u16,
        pad1: u32,
        totalhigh: u64,
        freehigh: u64,
        mem_unit: u32,
        pad2: u32,
    }
}

/// A name in a [`Utsname`] field: cut at 64 bytes, NUL-padded.
#[must_use]
pub fn uts_field(name: &str) -> [u8; 65] {
    let mut field = [0; 65];
    for (slot, byte) in field.iter_mut().take(64).zip(name.bytes()) {
        *slot = byte;
    }
    field
}

//! How the guest's network is set up: the text of the configuration record [`NET`](crate::config::NET).
//!
//! Words of the form `key=value`, separated by spaces; unknown keys are ignored. Without the record there is only `lo`.
//!
//! | key | value |
//! |---|---|
//! | `mode` | `forward` (the socket device), `card` (virtio-net and the guest's own TCP/IP) |
//! | `ip` | `ADDRESS/PREFIX`, repeated for IPv6; or `dhcp` |
//! | `gateway` | an address, repeated for IPv6 |
//! | `dns` | an address, repeated |
//! | `search` | a domain, repeated |
//! | `mtu` | bytes |

/// The guest's addresses with the socket device, and what the device maps to the host.
pub const GUEST_V4: [u8; 4] = [10, 0, 2, 15];
pub const GATEWAY_V4: [u8; 4] = [10, 0, 2, 2];
pub const DNS_V4: [u8; 4] = [10, 0, 2, 3];
pub const PREFIX_V4: u8 = 24;
pub const GUEST_V6: [u16; 8] = [0xfd00, 0xc0, 0, 0, 0, 0, 0, 0x15];
pub const GATEWAY_V6: [u16; 8] = [0xfd00, 0xc0, 0, 0, 0, 0, 0, 2];
pub const DNS_V6: [u16; 8] = [0xfd00, 0xc0, 0, 0, 0, 0, 0, 3];
pub const PREFIX_V6: u8 = 64;

/// The values of `key`, in order.
pub fn values<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    text.split_ascii_whitespace()
        .filter_map(move |word| word.strip_prefix(key)?.strip_prefix('='))
}

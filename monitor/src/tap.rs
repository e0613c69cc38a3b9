//! A tap interface of the host: opened, given to a bridge, set up.
#![allow(unsafe_code)]

mod options;

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use virtio_bindings::virtio_net::*;

use crate::error::{Error, Result, host};
use crate::{host as host_system, terminal};

pub use options::TapOptions;

const DEVICE: &str = "/dev/net/tun";
/// The kernel puts a number for `%d`.
const ANY_NAME: &str = "compat%d";
/// `struct virtio_net_hdr_v1`
static HEADER: libc::c_int = 12;
/// `SIOCBRADDIF` of linux/sockios.h.
const BRIDGE_ADD: libc::Ioctl = 0x89a2;

pub struct Tap {
    pub fd: OwnedFd,
    pub name: String,
    pub mtu: u16,
}

/// `struct ifreq`, for one interface.
struct Request(libc::ifreq);

impl Request {
    /// The name was checked to be short enough; a longer one would be cut.
    fn new(name: &str) -> Self {
        // SAFETY: all zeroes is a valid `ifreq`.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        let room = request.ifr_name.len() - 1;
        let bytes = name.bytes().take(room);
        request
            .ifr_name
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = from as libc::c_char);
        Self(request)
    }

    fn name(&self) -> String {
        let bytes = self.0.ifr_name.iter().map(|c| *c as u8);
        String::from_utf8_lossy(&bytes.take_while(|b| *b != 0).collect::<Vec<_>>()).into_owned()
    }

    fn call(&mut self, fd: BorrowedFd<'_>, request: libc::Ioctl) -> io::Result<()> {
        // SAFETY: all requests made here read and write one `ifreq`.
        done(unsafe { libc::ioctl(fd.as_raw_fd(), request, &raw mut self.0) })
    }

    fn flags(&self) -> libc::c_int {
        // SAFETY: a union of plain integers.
        unsafe { self.0.ifr_ifru.ifru_flags.into() }
    }

    fn number(&self) -> libc::c_int {
        // SAFETY: as above.
        unsafe { self.0.ifr_ifru.ifru_mtu }
    }
}

fn done(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

fn refused(text: String) -> Error {
    Error::Network(text)
}

impl Tap {
    pub fn open(options: &TapOptions) -> Result<Self> {
        let file = open_device()?;
        let lasts = options.name.as_deref().is_some_and(exists);
        let name = attach(file.as_fd(), options.name.as_deref())?;
        // SAFETY: reads one int, which is in place for the whole program.
        done(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETVNETHDRSZ, &HEADER) })
            .map_err(host("TUNSETVNETHDRSZ"))?;
        let control = socket(
            AddressFamily::Inet,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC,
            None,
        )
        .map_err(host("socket"))?;
        let control = control.as_fd();
        let mtu = settle_mtu(control, &name, options.mtu)?;
        if !lasts {
            set_hardware_address(control, &name, high_mac()?)?;
        }
        if let Some(bridge) = &options.bridge {
            join(control, &name, bridge)?;
        }
        set_up(control, &name)?;
        Ok(Self {
            fd: file.into(),
            name,
            mtu,
        })
    }
}

/// Locally administered, of one card.
pub fn random_mac() -> Result<[u8; 6]> {
    let mut mac = [0; 6];
    host_system::random(&mut mac)?;
    mac[0] = mac[0] & !1 | 2;
    Ok(mac)
}

/// A bridge without an address of its own takes the lowest of its members. With one as high as can be, a tap that comes and goes leaves
/// the host's address on a bridge as it is, and neighbours go on reaching it.
fn high_mac() -> Result<[u8; 6]> {
    let [_, rest @ ..] = random_mac()?;
    let [b, c, d, e, f] = rest;
    Ok([0xfe, b, c, d, e, f])
}

fn exists(name: &str) -> bool {
    std::path::Path::new("/sys/class/net").join(name).exists()
}

fn open_device() -> Result<File> {
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(DEVICE);
    opened.map_err(|e| {
        refused(match e.kind() {
            ErrorKind::NotFound => format!(
                "--net tap: this system has no {DEVICE} (load the kernel module: modprobe tun)"
            ),
            ErrorKind::PermissionDenied => {
                format!("--net tap: no permission to open {DEVICE}: {e}")
            }
            _ => format!("--net tap: cannot open {DEVICE}: {e}"),
        })
    })
}

/// Makes the interface, or takes one that lasts. Answers its name.
fn attach(tun: BorrowedFd<'_>, name: Option<&str>) -> Result<String> {
    let mut request = Request::new(name.unwrap_or(ANY_NAME));
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    request.0.ifr_ifru.ifru_flags = flags as libc::c_short;
    request.call(tun, libc::TUNSETIFF).map_err(|e| {
        let shown = name.unwrap_or("NAME");
        refused(match e.raw_os_error() {
            Some(libc::EPERM) => format!(
                "--net tap: no permission to use interface {shown}: it takes CAP_NET_ADMIN, or an interface made for you by \
                 'ip tuntap add dev {shown} mode tap user $USER' and --net tap:{shown}"
            ),
            Some(libc::EBUSY) => {
                format!("--net tap: interface {shown} is in use by another program")
            }
            Some(libc::EINVAL) => format!(
                "--net tap: {shown} exists and is no tap interface with one queue"
            ),
            _ => format!("--net tap: cannot make interface {shown}: {e}"),
        })
    })?;
    Ok(request.name())
}

fn set_hardware_address(control: BorrowedFd<'_>, name: &str, mac: [u8; 6]) -> Result<()> {
    let mut request = Request::new(name);
    let mut address = libc::sockaddr {
        sa_family: libc::ARPHRD_ETHER,
        sa_data: [0; 14],
    };
    let bytes = address.sa_data.iter_mut().zip(mac);
    bytes.for_each(|(to, from)| *to = from as libc::c_char);
    request.0.ifr_ifru.ifru_hwaddr = address;
    request
        .call(control, libc::SIOCSIFHWADDR)
        .map_err(host("SIOCSIFHWADDR"))
}

/// The interface's MTU, which becomes `wanted` if that is given.
fn settle_mtu(control: BorrowedFd<'_>, name: &str, wanted: Option<u16>) -> Result<u16> {
    let mut request = Request::new(name);
    request
        .call(control, libc::SIOCGIFMTU)
        .map_err(host("SIOCGIFMTU"))?;
    let now = request.number();
    if let Some(mtu) = wanted.filter(|mtu| i32::from(*mtu) != now) {
        request.0.ifr_ifru.ifru_mtu = mtu.into();
        request.call(control, libc::SIOCSIFMTU).map_err(|e| {
            refused(format!(
                "--net tap: cannot change the MTU of {name} from {now} to {mtu}: {e}"
            ))
        })?;
        return Ok(mtu);
    }
    Ok(u16::try_from(now).unwrap_or(u16::MAX))
}

fn join(control: BorrowedFd<'_>, name: &str, bridge: &str) -> Result<()> {
    let index = |name: &str| {
        let mut request = Request::new(name);
        request
            .call(control, libc::SIOCGIFINDEX)
            .map(|()| request.number())
    };
    let own = index(name).map_err(host("SIOCGIFINDEX"))?;
    let mut request = Request::new(bridge);
    request.0.ifr_ifru.ifru_ifindex = own;
    let Err(e) = request.call(control, BRIDGE_ADD) else {
        return Ok(());
    };
    let master = std::fs::read_link(format!("/sys/class/net/{name}/master"));
    let is_member = master.is_ok_and(|path| path.file_name() == Some(bridge.as_ref()));
    refuse_bridge(&e, name, bridge, is_member)
}

fn refuse_bridge(e: &io::Error, name: &str, bridge: &str, is_member: bool) -> Result<()> {
    Err(refused(match e.raw_os_error() {
        Some(libc::EBUSY) if is_member => return Ok(()),
        Some(libc::EBUSY) => {
            format!("--net tap: interface {name} belongs to something else than {bridge}")
        }
        Some(libc::ENODEV) => format!("--net tap: there is no bridge {bridge}"),
        Some(libc::EOPNOTSUPP | libc::EINVAL) => format!("--net tap: {bridge} is no bridge"),
        Some(libc::EPERM) if is_member => return Ok(()),
        Some(libc::EPERM) => format!(
            "--net tap: no permission to add {name} to {bridge}: it takes CAP_NET_ADMIN, or 'ip link set {name} master {bridge}' before"
        ),
        _ => format!("--net tap: cannot add {name} to {bridge}: {e}"),
    }))
}

/// Who may not do it gets by with an interface that is up already, and is told otherwise.
fn set_up(control: BorrowedFd<'_>, name: &str) -> Result<()> {
    let mut request = Request::new(name);
    request
        .call(control, libc::SIOCGIFFLAGS)
        .map_err(host("SIOCGIFFLAGS"))?;
    let flags = request.flags();
    if flags & libc::IFF_UP != 0 {
        return Ok(());
    }
    request.0.ifr_ifru.ifru_flags = (flags | libc::IFF_UP) as libc::c_short;
    if let Err(e) = request.call(control, libc::SIOCSIFFLAGS) {
        terminal::message(
            format!(
                "compat-monitor: cannot set {name} up ({e}): nothing passes until somebody runs 'ip link set {name} up'\n"
            )
            .as_bytes(),
        );
    }
    Ok(())
}

/// Lets the host send frames in the forms that these features of virtio-net stand for.
pub fn set_offload(tap: BorrowedFd<'_>, features: u64) -> io::Result<()> {
    // SAFETY: takes its argument by value.
    done(unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETOFFLOAD, offload(features)) })
}

/// `TUN_F_*`; nothing goes without sums.
fn offload(features: u64) -> libc::c_ulong {
    let has = |bit: u32| features & (1 << bit) != 0;
    if !has(VIRTIO_NET_F_GUEST_CSUM) {
        return 0;
    }
    let flags = [
        (VIRTIO_NET_F_GUEST_TSO4, libc::TUN_F_TSO4),
        (VIRTIO_NET_F_GUEST_TSO6, libc::TUN_F_TSO6),
        (VIRTIO_NET_F_GUEST_ECN, libc::TUN_F_TSO_ECN),
    ];
    let chosen = flags.iter().filter(|(bit, _)| has(*bit));
    chosen
        .fold(libc::TUN_F_CSUM, |all, (_, flag)| all | flag)
        .into()
}

#[cfg(test)]
#[path = "tap/tests.rs"]
mod tests;

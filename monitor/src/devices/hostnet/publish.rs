//! Published ports: `--publish [IP:]HOST:GUEST[/tcp|/udp]`, bound before the machine is built.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::error::{Error, Result};
use crate::terminal;

/// Tries to find a port that is free for IPv4 and IPv6.
const PORT_TRIES: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Tcp,
    Udp,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// One port of the host that leads to one of the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// `None`: all addresses.
    ip: Option<IpAddr>,
    /// 0: any that is free.
    host: u16,
    guest: u16,
    kind: Kind,
}

/// A bound socket of the host.
#[derive(Debug)]
pub struct Bound {
    pub socket: Socket,
    pub kind: Kind,
    pub guest: u16,
}

/// The value of one `--publish`, which may name ranges.
pub fn parse(text: &str) -> Result<Vec<Publish>> {
    let bad = |why: &str| {
        Error::Usage(format!(
            "--publish '{text}': {why}; it is [IP:]HOST:GUEST[/tcp|/udp]"
        ))
    };
    let (ports, kind) = match text.rsplit_once('/') {
        None => (text, Kind::Tcp),
        Some((ports, "tcp")) => (ports, Kind::Tcp),
        Some((ports, "udp")) => (ports, Kind::Udp),
        Some(_) => return Err(bad("neither tcp nor udp")),
    };
    let (rest, guest) = ports
        .rsplit_once(':')
        .ok_or_else(|| bad("a port is missing"))?;
    let (ip, host) = match rest.rsplit_once(':') {
        None => (None, rest),
        Some((ip, host)) => (
            Some(address(ip).ok_or_else(|| bad("not an address"))?),
            host,
        ),
    };
    let (host, guest) = range(host)
        .zip(range(guest))
        .ok_or_else(|| bad("not a port"))?;
    if *guest.start() == 0 {
        return Err(bad("the guest has no port 0"));
    }
    if host == (0..=0) {
        return Ok(guest
            .map(|guest| Publish {
                ip,
                host: 0,
                guest,
                kind,
            })
            .collect());
    }
    if *host.start() == 0 || host.len() != guest.len() {
        return Err(bad("the ranges differ in length"));
    }
    Ok(host
        .zip(guest)
        .map(|(host, guest)| Publish {
            ip,
            host,
            guest,
            kind,
        })
        .collect())
}

/// IPv6 only in brackets.
fn address(text: &str) -> Option<IpAddr> {
    match text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
    {
        Some(v6) => v6.parse::<Ipv6Addr>().ok().map(IpAddr::from),
        None => text.parse::<Ipv4Addr>().ok().map(IpAddr::from),
    }
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = first.parse().ok()?..=last.parse().ok()?;
    (!range.is_empty()).then_some(range)
}

/// Binds all; says on stderr which ports were free.
pub fn bind_all(list: &[Publish]) -> Result<Vec<Bound>> {
    let mut bound = Vec::new();
    for publish in list {
        let sockets = publish.bind().map_err(|(at, e)| publish.explain(at, &e))?;
        if publish.host == 0 {
            publish.tell(&sockets);
        }
        bound.extend(sockets.into_iter().map(|socket| Bound {
            socket,
            kind: publish.kind,
            guest: publish.guest,
        }));
    }
    Ok(bound)
}

/// What failed, and where.
type Attempt<T> = std::result::Result<T, (SocketAddr, io::Error)>;

impl Publish {
    fn bind(&self) -> Attempt<Vec<Socket>> {
        if self.host != 0 {
            return self.bind_to(self.host);
        }
        for _ in 0..PORT_TRIES {
            match self.free_port().and_then(|port| self.bind_to(port)) {
                Err((_, e)) if e.kind() == ErrorKind::AddrInUse => {}
                result => return result,
            }
        }
        self.bind_to(self.free_port()?)
    }

    /// A port that is free now. Linux keeps a port through a shutdown only if it was asked for by number.
    fn free_port(&self) -> Attempt<u16> {
        let ip = self.ip.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        let at = SocketAddr::new(ip, 0);
        let probe = || {
            let socket = self.socket(at)?;
            socket.bind(&SockAddr::from(at))?;
            Ok(local_port(&socket))
        };
        probe().map_err(|e| (at, e))
    }

    fn bind_to(&self, port: u16) -> Attempt<Vec<Socket>> {
        if let Some(ip) = self.ip {
            return Ok(vec![self.bind_at(ip, port)?]);
        }
        let v4 = self.bind_at(Ipv4Addr::UNSPECIFIED.into(), port)?;
        match self.bind_at(Ipv6Addr::UNSPECIFIED.into(), port) {
            Ok(v6) => Ok(vec![v4, v6]),
            Err((_, e)) if is_without_ipv6(&e) => Ok(vec![v4]),
            Err(other) => Err(other),
        }
    }

    fn bind_at(&self, ip: IpAddr, port: u16) -> Attempt<Socket> {
        let at = SocketAddr::new(ip, port);
        let make = || {
            let socket = self.socket(at)?;
            if self.kind == Kind::Udp {
                socket.bind(&SockAddr::from(at))?;
                return Ok(socket);
            }
            socket.set_reuse_address(true)?;
            socket.bind(&SockAddr::from(at))?;
            // Only a port on which somebody has listened can be kept for oneself.
            socket.listen(1)?;
            stop_listening(&socket)?;
            Ok(socket)
        };
        make().map_err(|e| (at, e))
    }

    fn socket(&self, at: SocketAddr) -> io::Result<Socket> {
        let (kind, protocol) = match self.kind {
            Kind::Tcp => (Type::STREAM, Protocol::TCP),
            Kind::Udp => (Type::DGRAM, Protocol::UDP),
        };
        let socket = Socket::new(Domain::for_address(at), kind.nonblocking(), Some(protocol))?;
        if at.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        Ok(socket)
    }

    fn explain(&self, at: SocketAddr, error: &io::Error) -> Error {
        let kind = self.kind.name();
        let port = at.port();
        Error::Publish(match error.kind() {
            ErrorKind::AddrInUse => format!(
                "port {port}/{kind} of {} is in use; end the program that has it (`ss -lnp` shows it) or publish another port",
                at.ip()
            ),
            ErrorKind::PermissionDenied => format!(
                "no permission for port {port}/{kind}; publish a higher one, or allow low ports to users: `sysctl net.ipv4.ip_unprivileged_port_start={port}` as root"
            ),
            ErrorKind::AddrNotAvailable => format!(
                "the host has no address {}; `ip address` lists those it has",
                at.ip()
            ),
            _ => format!("cannot bind port {port}/{kind} of {}: {error}", at.ip()),
        })
    }

    fn tell(&self, sockets: &[Socket]) {
        let port = sockets.first().map_or(0, local_port);
        let (guest, kind) = (self.guest, self.kind.name());
        terminal::message(
            format!("compat-monitor: port {guest}/{kind} is published as {port}\n").as_bytes(),
        );
    }
}

fn is_without_ipv6(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL)
    )
}

/// As servers do: connections of before that linger are no hindrance.
pub fn start_listening(socket: &Socket, backlog: i32) -> io::Result<()> {
    socket.set_reuse_address(true)?;
    socket.listen(backlog)
}

/// The port stays bound, and can be listened on again. As long as nobody listens, Linux would let others have it too if
/// both sides permit that.
pub fn stop_listening(socket: &Socket) -> io::Result<()> {
    socket.shutdown(std::net::Shutdown::Both)?;
    socket.set_reuse_address(false)
}

fn local_port(socket: &Socket) -> u16 {
    let address = socket
        .local_addr()
        .ok()
        .and_then(|address| address.as_socket());
    address.map_or(0, |address| address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> (Option<IpAddr>, u16, u16, Kind) {
        let list = parse(text).unwrap();
        assert_eq!(list.len(), 1);
        (list[0].ip, list[0].host, list[0].guest, list[0].kind)
    }

    #[test]
    fn ports_addresses_and_protocols_are_read() {
        let v4 = Some("127.0.0.1".parse().unwrap());
        let v6 = Some("::1".parse().unwrap());
        assert_eq!(one("8080:80"), (None, 8080, 80, Kind::Tcp));
        assert_eq!(one("8080:80/udp"), (None, 8080, 80, Kind::Udp));
        assert_eq!(one("127.0.0.1:8080:80/tcp"), (v4, 8080, 80, Kind::Tcp));
        assert_eq!(one("[::1]:0:80"), (v6, 0, 80, Kind::Tcp));
        let range = parse("8000-8002:9000-9002").unwrap();
        assert_eq!(
            range.iter().map(|p| (p.host, p.guest)).collect::<Vec<_>>(),
            [(8000, 9000), (8001, 9001), (8002, 9002)]
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            "",
            "80",
            "x:80",
            "80:x",
            "80:0",
            "80:70000",
            "80:80/sctp",
            "1.2.3:80:80",
            "::1:80:80",
            "8000-8002:9000-9001",
            "0-2:1-3",
            "9-8:9-8",
            "80:",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    fn failure(text: &str) -> String {
        bind_all(&parse(text).unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn a_port_in_use_is_named() {
        let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = held.local_addr().unwrap().port();
        for text in [format!("127.0.0.1:{port}:80"), format!("{port}:80")] {
            let shown = failure(&text);
            assert!(
                shown.contains(&format!("port {port}/tcp")) && shown.contains("in use"),
                "{shown}"
            );
        }
        let held = std::net::UdpSocket::bind("[::1]:0").unwrap();
        let port = held.local_addr().unwrap().port();
        assert!(failure(&format!("[::1]:{port}:80/udp")).contains("in use"));
    }

    #[test]
    fn an_unknown_address_is_named() {
        assert!(failure("192.0.2.77:0:80").contains("no address 192.0.2.77"));
    }

    #[test]
    fn a_free_port_is_the_same_for_both_families() {
        let bound = bind_all(&parse("0:80").unwrap()).unwrap();
        let ports: Vec<u16> = bound
            .iter()
            .map(|bound| local_port(&bound.socket))
            .collect();
        assert!(
            ports[0] != 0 && ports.iter().all(|port| *port == ports[0]),
            "{ports:?}"
        );
    }

    #[test]
    fn a_port_is_kept_while_nobody_listens_and_free_after() {
        let spec = |port| parse(&format!("127.0.0.1:{port}:80")).unwrap();
        let bound = bind_all(&spec(0)).unwrap();
        let port = local_port(&bound[0].socket);
        assert!(bind_all(&spec(port)).is_err());
        assert!(std::net::TcpListener::bind(("127.0.0.1", port)).is_err());
        // A connection that was closed on this side lingers.
        start_listening(&bound[0].socket, 1).unwrap();
        let client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        drop(bound[0].socket.accept().unwrap());
        drop(client);
        stop_listening(&bound[0].socket).unwrap();
        start_listening(&bound[0].socket, 1).unwrap();
        drop(bound);
        bind_all(&spec(port)).unwrap();
    }

    #[test]
    fn a_low_port_without_permission_says_what_to_do() {
        let publish = &parse("80:80").unwrap()[0];
        let at = "0.0.0.0:80".parse().unwrap();
        let error = io::Error::from_raw_os_error(libc::EACCES);
        let shown = publish.explain(at, &error).to_string();
        assert!(
            shown.contains("port 80/tcp") && shown.contains("ip_unprivileged_port_start=80"),
            "{shown}"
        );
    }
}

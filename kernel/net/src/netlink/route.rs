//! `NETLINK_ROUTE`, see rtnetlink(7): asking about links, addresses and routes. The guest's network is set up from outside,
//! so changing it is refused.
use super::message::{Answer, Request};
use crate::network::{Interface, InterfaceFlags, Network};
use crate::route::{self, Route};
use crate::{Env, Result};
use alloc::vec::Vec;
use core::net::IpAddr;
use linux_abi::Errno;
use linux_abi::raw::net::{AF_INET, AF_INET6, AF_UNSPEC};
use linux_abi::raw::netlink::*;

const NEWLINK: u32 = 16;
const GETLINK: u32 = 18;
const NEWADDR: u32 = 20;
const GETADDR: u32 = 22;
const NEWROUTE: u32 = 24;
const GETROUTE: u32 = 26;
const GETNEIGH: u32 = 30;
const NEWRULE: u32 = 32;
const GETRULE: u32 = 34;

// Numbers of attributes; the generated constants are enumerations of different types.
const IFLA: [u32; 18] = [
    1, 2, 3, 4, 6, 7, 13, 16, 17, 23, 27, 30, 31, 32, 33, 35, 50, 51,
];
/// `IF_OPER_UNKNOWN`, which Linux shows for `lo`, and `IF_OPER_UP`.
const OPER: [u8; 2] = [0, 6];

/// `struct rtnl_link_stats64`'s size, as Linux 6.1 has it.
const STATS64: usize = 25 * 8;
const STATS: usize = 24 * 4;

/// Answers one request.
pub(super) fn answer(
    network: &Network,
    request: &Request<'_>,
    answer: &mut Answer,
    env: &dyn Env,
) -> Result<()> {
    let dump = request.has(NLM_F_DUMP);
    match u32::from(request.kind) {
        GETLINK => links(network, request, answer, dump),
        GETADDR if dump => {
            addresses(network, request, answer);
            Ok(())
        }
        GETROUTE if dump => {
            routes(network, request, answer);
            Ok(())
        }
        GETROUTE => route_to(network, request, answer),
        GETRULE if dump => {
            rules(request, answer);
            Ok(())
        }
        // Neighbours are kept below the guest's sockets, or there are none.
        GETNEIGH if dump => Ok(()),
        kind if kind < NEWLINK => Err(Errno::EOPNOTSUPP),
        // The other commands of each group of four change something.
        kind if kind % 4 != 2 => {
            env.unsupported_part(
                "netlink: the guest's network cannot be changed from inside; use --net",
            );
            Err(Errno::EPERM)
        }
        _ => Err(Errno::EOPNOTSUPP),
    }
}

fn multi(dump: bool) -> u32 {
    if dump { NLM_F_MULTI } else { 0 }
}

/// All links, or the one that the request names by index or name.
fn links(network: &Network, request: &Request<'_>, answer: &mut Answer, dump: bool) -> Result<()> {
    const IFINFOMSG: usize = 16;
    const IFLA_IFNAME: u16 = 3;
    let interfaces = network.interfaces();
    if dump {
        interfaces.iter().for_each(|one| link(answer, one, true));
        return Ok(());
    }
    let (index, name) = (request.word(4), request.attribute(IFINFOMSG, IFLA_IFNAME));
    let wanted = |one: &&Interface| match name {
        Some(name) if index == 0 => one.name.as_bytes() == name.strip_suffix(&[0]).unwrap_or(name),
        _ => one.index as i32 == index,
    };
    if index == 0 && name.is_none() {
        return Err(Errno::EINVAL);
    }
    let found = interfaces.iter().find(wanted).ok_or(Errno::ENODEV)?;
    link(answer, found, false);
    Ok(())
}

fn link(answer: &mut Answer, interface: &Interface, dump: bool) {
    let [
        address,
        broadcast,
        name,
        mtu,
        qdisc,
        stats,
        txqlen,
        oper,
        mode,
        stats64,
        group,
        promiscuity,
        tx_queues,
        rx_queues,
        carrier,
        carrier_changes,
        min_mtu,
        max_mtu,
    ] = IFLA;
    let mut header = [0; 16];
    let fields: [(usize, &[u8]); 3] = [
        (2, &interface.hardware_type.to_ne_bytes()),
        (4, &interface.index.to_ne_bytes()),
        (8, &interface.flags.bits().to_ne_bytes()),
    ];
    for (at, bytes) in fields {
        if let Some(place) = header.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }
    let loopback = interface.flags.contains(InterfaceFlags::LOOPBACK);
    answer.begin(NEWLINK, multi(dump), &header);
    answer.text(name, &interface.name);
    answer.word(txqlen, 1000);
    answer.attribute(oper, &[OPER[usize::from(!loopback)]]);
    answer.attribute(mode, &[0]);
    answer.word(mtu, interface.mtu);
    answer.word(min_mtu, 0);
    answer.word(max_mtu, 65535);
    answer.word(group, 0);
    answer.word(promiscuity, 0);
    answer.word(tx_queues, 1);
    answer.word(rx_queues, 1);
    answer.attribute(carrier, &[1]);
    answer.text(qdisc, "noqueue");
    answer.word(carrier_changes, 0);
    answer.attribute(address, &interface.hardware_address);
    answer.attribute(broadcast, &[if loopback { 0 } else { 0xff }; 6]);
    let counters = counters(interface);
    let mut wide: Vec<u8> = counters.iter().flat_map(|n| n.to_ne_bytes()).collect();
    wide.resize(STATS64, 0);
    answer.attribute(stats64, &wide);
    let mut narrow: Vec<u8> = counters
        .iter()
        .flat_map(|n| (*n as u32).to_ne_bytes())
        .collect();
    narrow.resize(STATS, 0);
    answer.attribute(stats, &narrow);
    answer.end();
}

/// The first fields of `struct rtnl_link_stats64`.
fn counters(interface: &Interface) -> [u64; 8] {
    let ([rp, rb, re, rd], [tp, tb, te, td]) = (interface.received, interface.sent);
    [rp, tp, rb, tb, re, te, rd, td]
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

fn family_of(address: IpAddr) -> u32 {
    if address.is_ipv4() { AF_INET } else { AF_INET6 }
}

fn asks_for(request: &Request<'_>, family: u32) -> bool {
    let asked = u32::from(request.family());
    asked == AF_UNSPEC || asked == family
}

/// `RT_SCOPE_HOST`, `RT_SCOPE_LINK`, `RT_SCOPE_UNIVERSE`
fn scope_of(address: IpAddr) -> u8 {
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    match (address.is_loopback(), link_local) {
        (true, _) => 254,
        (_, true) => 253,
        _ => 0,
    }
}

fn addresses(network: &Network, request: &Request<'_>, answer: &mut Answer) {
    let index = request.word(4);
    for interface in network.interfaces() {
        if index != 0 && index != interface.index as i32 {
            continue;
        }
        for &(address, prefix) in &interface.addresses {
            if asks_for(request, family_of(address)) {
                self::address(answer, &interface, address, prefix);
            }
        }
    }
}

fn address(answer: &mut Answer, interface: &Interface, address: IpAddr, prefix: u8) {
    const IFA_ADDRESS: u32 = 1;
    const IFA_LOCAL: u32 = 2;
    const IFA_LABEL: u32 = 3;
    const IFA_BROADCAST: u32 = 4;
    const IFA_CACHEINFO: u32 = 6;
    const IFA_FLAGS: u32 = 8;
    let [i0, i1, i2, i3] = interface.index.to_ne_bytes();
    let header = [
        family_of(address) as u8,
        prefix,
        IFA_F_PERMANENT as u8,
        scope_of(address),
        i0,
        i1,
        i2,
        i3,
    ];
    answer.begin(NEWADDR, NLM_F_MULTI, &header);
    answer.attribute(IFA_ADDRESS, &octets(address));
    if let IpAddr::V4(v4) = address {
        answer.attribute(IFA_LOCAL, &v4.octets());
        if let Some(broadcast) = route::broadcast(v4, prefix).filter(|_| !v4.is_loopback()) {
            answer.attribute(IFA_BROADCAST, &broadcast.octets());
        }
        answer.text(IFA_LABEL, &interface.name);
    }
    // Preferred and valid for ever; made and changed at boot.
    let mut cache = [0xff; 16];
    if let Some(times) = cache.get_mut(8..) {
        times.fill(0);
    }
    answer.attribute(IFA_CACHEINFO, &cache);
    answer.word(IFA_FLAGS, IFA_F_PERMANENT);
    answer.end();
}

fn routes(network: &Network, request: &Request<'_>, answer: &mut Answer) {
    for one in route::table(&network.interfaces()) {
        if asks_for(request, family_of(one.destination)) {
            self::route(answer, &one, NLM_F_MULTI);
        }
    }
}

/// `ip route get`.
fn route_to(network: &Network, request: &Request<'_>, answer: &mut Answer) -> Result<()> {
    const RTMSG: usize = 12;
    const RTA_DST: u16 = 1;
    let bytes = request.attribute(RTMSG, RTA_DST).ok_or(Errno::EINVAL)?;
    let destination = match (<[u8; 4]>::try_from(bytes), <[u8; 16]>::try_from(bytes)) {
        (Ok(v4), _) => IpAddr::from(v4),
        (_, Ok(v6)) => IpAddr::from(v6),
        _ => return Err(Errno::EINVAL),
    };
    let found = route::lookup(&network.interfaces(), destination).ok_or(Errno::ENETUNREACH)?;
    let prefix = if destination.is_ipv4() { 32 } else { 128 };
    let answered = Route {
        destination,
        prefix,
        ..found
    };
    route(answer, &answered, 0);
    Ok(())
}

fn route(answer: &mut Answer, route: &Route, flags: u32) {
    const RTA_DST: u32 = 1;
    const RTA_OIF: u32 = 4;
    const RTA_GATEWAY: u32 = 5;
    const RTA_PREFSRC: u32 = 7;
    const RTA_TABLE: u32 = 15;
    const MAIN: u32 = 254;
    const LOCAL: u32 = 255;
    // RTN_UNICAST and RTN_LOCAL; RT_SCOPE_UNIVERSE, _LINK and _HOST.
    let (table, kind, scope) = match (route.local, route.gateway) {
        (true, _) => (LOCAL, 2, 254),
        (false, Some(_)) => (MAIN, 1, 0),
        (false, None) => (MAIN, 1, 253),
    };
    let protocol = if route.gateway.is_some() {
        RTPROT_BOOT
    } else {
        RTPROT_KERNEL
    };
    let family = family_of(route.destination) as u8;
    let header = [
        family,
        route.prefix,
        0,
        0,
        table as u8,
        protocol as u8,
        scope,
        kind,
        0,
        0,
        0,
        0,
    ];
    answer.begin(NEWROUTE, flags, &header);
    answer.word(RTA_TABLE, table);
    if route.prefix > 0 {
        answer.attribute(RTA_DST, &octets(route.destination));
    }
    if let Some(gateway) = route.gateway {
        answer.attribute(RTA_GATEWAY, &octets(gateway));
    }
    if let Some(source) = route.source {
        answer.attribute(RTA_PREFSRC, &octets(source));
    }
    answer.word(RTA_OIF, route.index);
    answer.end();
}

/// The rules of a system where nobody made any: local, main, default.
fn rules(request: &Request<'_>, answer: &mut Answer) {
    const FRA_PRIORITY: u32 = 6;
    const FRA_TABLE: u32 = 15;
    const FR_ACT_TO_TBL: u8 = 1;
    let all: [(u32, &[(u8, u32)]); 2] = [
        (AF_INET, &[(255, 0), (254, 32766), (253, 32767)]),
        (AF_INET6, &[(255, 0), (254, 32766)]),
    ];
    for (family, rules) in all {
        for &(table, priority) in rules.iter().filter(|_| asks_for(request, family)) {
            let mut header = [0; 12];
            (header[0], header[4], header[7]) = (family as u8, table, FR_ACT_TO_TBL);
            answer.begin(NEWRULE, NLM_F_MULTI, &header);
            answer.word(FRA_TABLE, table.into());
            if priority != 0 {
                answer.word(FRA_PRIORITY, priority);
            }
            answer.end();
        }
    }
}

//! Interface ioctls and /proc/net.
use super::{FakeUplink, Root, TestHost};
use crate::{Interface, InterfaceFlags, Network, is_interface_ioctl};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use linux_abi::Errno;
use linux_abi::raw::ioctl as raw;
use spin::Mutex;
use vfs::{NetFile, UserMemory};

/// 4 KiB of program memory from address 0 on.
struct Memory(Mutex<Vec<u8>>);

impl UserMemory for Memory {
    fn read(&self, addr: u64, into: &mut [u8]) -> Result<(), Errno> {
        let memory = self.0.lock();
        let from = memory.get(addr as usize..).ok_or(Errno::EFAULT)?;
        into.copy_from_slice(from.get(..into.len()).ok_or(Errno::EFAULT)?);
        Ok(())
    }

    fn write(&self, addr: u64, from: &[u8]) -> Result<(), Errno> {
        let mut memory = self.0.lock();
        let to = memory.get_mut(addr as usize..).ok_or(Errno::EFAULT)?;
        to.get_mut(..from.len())
            .ok_or(Errno::EFAULT)?
            .copy_from_slice(from);
        Ok(())
    }
}

fn network() -> Arc<Network> {
    let network = Network::new(Arc::new(TestHost));
    network.set_uplink(Arc::new(FakeUplink(vec![Interface {
        index: 2,
        name: String::from("eth0"),
        flags: InterfaceFlags::UP | InterfaceFlags::RUNNING,
        mtu: 1500,
        hardware_type: 1,
        hardware_address: [2, 0, 0, 0, 0, 9],
        addresses: vec![
            ("10.0.2.15".parse().unwrap(), 24),
            ("fe80::1".parse().unwrap(), 64),
        ],
        gateways: vec!["10.0.2.2".parse().unwrap()],
        received: [1, 2, 3, 4],
        sent: [5, 6, 7, 8],
    }])));
    network
}

/// The union of the `struct ifreq` that the command answers for `name`.
fn ask(command: u32, name: &str) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; 4096];
    bytes[64..64 + name.len()].copy_from_slice(name.as_bytes());
    let memory = Memory(Mutex::new(bytes));
    assert!(is_interface_ioctl(command));
    network().ioctl(command, 64, &memory, &Root)?;
    let memory = memory.0.lock();
    Ok(memory[80..104].to_vec())
}

#[test]
fn what_an_interface_has() {
    assert_eq!(ask(raw::SIOCGIFINDEX, "eth0").unwrap()[..4], [2, 0, 0, 0]);
    assert_eq!(ask(raw::SIOCGIFFLAGS, "eth0").unwrap()[..2], [0x41, 0]);
    assert_eq!(ask(raw::SIOCGIFMTU, "eth0:1").unwrap()[..2], [0xdc, 5]);
    assert_eq!(
        ask(raw::SIOCGIFADDR, "eth0").unwrap()[..8],
        [2, 0, 0, 0, 10, 0, 2, 15]
    );
    assert_eq!(
        ask(raw::SIOCGIFNETMASK, "lo").unwrap()[4..8],
        [255, 0, 0, 0]
    );
    assert_eq!(
        ask(raw::SIOCGIFBRDADDR, "eth0").unwrap()[4..8],
        [10, 0, 2, 255]
    );
    assert_eq!(
        ask(raw::SIOCGIFHWADDR, "eth0").unwrap()[..8],
        [1, 0, 2, 0, 0, 0, 0, 9]
    );
    assert_eq!(ask(raw::SIOCGIFADDR, "eth7"), Err(Errno::ENODEV));
    assert_eq!(ask(raw::SIOCSIFADDR, "eth0"), Err(Errno::EOPNOTSUPP));
    assert_eq!(
        network().ioctl(
            raw::SIOCGIFADDR,
            4090,
            &Memory(Mutex::new(vec![0; 4096])),
            &Root
        ),
        Err(Errno::EFAULT)
    );
}

#[test]
fn all_interfaces_as_far_as_there_is_room() {
    for (room, expected) in [(200_u32, 80), (79, 40), (39, 0)] {
        let mut bytes = vec![0; 4096];
        bytes[..4].copy_from_slice(&room.to_ne_bytes());
        bytes[8..16].copy_from_slice(&1024_u64.to_ne_bytes());
        let memory = Memory(Mutex::new(bytes));
        network()
            .ioctl(raw::SIOCGIFCONF, 0, &memory, &Root)
            .unwrap();
        let memory = memory.0.lock();
        assert_eq!(memory[..4], u32::to_ne_bytes(expected));
        if expected == 80 {
            assert_eq!(&memory[1024..1026], b"lo");
            assert_eq!(&memory[1064..1068], b"eth0");
        }
    }
    let memory = Memory(Mutex::new(vec![0; 64]));
    memory.write(16, &2_u32.to_ne_bytes()).unwrap();
    network()
        .ioctl(raw::SIOCGIFNAME, 0, &memory, &Root)
        .unwrap();
    assert_eq!(&memory.0.lock()[..5], b"eth0\0");
}

#[test]
fn proc_net_in_the_format_of_linux() {
    let text = |file| {
        let mut out = Vec::new();
        network().show(file, &mut out);
        String::from_utf8(out).unwrap()
    };
    let dev = text(NetFile::Dev);
    let eth0: Vec<_> = dev
        .lines()
        .last()
        .unwrap()
        .split_ascii_whitespace()
        .collect();
    assert_eq!(
        eth0,
        "eth0: 2 1 3 4 0 0 0 0 6 5 7 8 0 0 0 0"
            .split(' ')
            .collect::<Vec<_>>()
    );
    let route = text(NetFile::Route);
    assert!(
        route.contains("eth0\t00000000\t0202000A\t0003\t0\t0\t0\t00000000"),
        "{route}"
    );
    assert!(route.contains("eth0\t0002000A\t00000000\t0001"), "{route}");
    assert!(
        text(NetFile::IfInet6).contains("fe800000000000000000000000000001 02 40 20 80     eth0\n")
    );
}

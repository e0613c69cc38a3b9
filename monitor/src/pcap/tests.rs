use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;

use super::packets::{Side, TcpTrace};
use super::*;

fn trace(what: impl FnOnce(&Arc<Capture>)) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pcap");
    let capture = Arc::new(Capture::create(&path).unwrap());
    what(&capture);
    let out = Command::new("tcpdump")
        .args(["-nvv", "-S", "-tt", "-r"])
        .arg(&path)
        .output()
        .expect("tcpdump is a part of the tests");
    let (shown, errors) = (out.stdout.as_slice(), out.stderr.as_slice());
    let shown = String::from_utf8_lossy(shown).into_owned();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(errors));
    assert!(
        !shown.contains("incorrect") && !shown.contains("bad"),
        "{shown}"
    );
    shown
}

fn has_all(shown: &str, expected: &[&str]) {
    let mut rest = shown;
    for text in expected {
        let at = rest
            .find(text)
            .unwrap_or_else(|| panic!("no {text} in {shown}"));
        rest = &rest[at + text.len()..];
    }
}

fn addresses(guest: &str, peer: &str) -> (SocketAddr, SocketAddr) {
    (guest.parse().unwrap(), peer.parse().unwrap())
}

#[test]
fn tcpdump_sees_a_whole_connection() {
    let (guest, peer) = addresses("10.0.2.15:1234", "1.2.3.4:80");
    let shown = trace(|capture| {
        let mut tcp = TcpTrace::new(Arc::clone(capture), guest, peer);
        tcp.connected(Side::Guest);
        tcp.data(Side::Guest, b"hello");
        tcp.data(Side::Peer, &[b'x'; 100_000]);
        tcp.end(Side::Peer);
        tcp.end(Side::Guest);
        tcp.end(Side::Guest);
    });
    assert_eq!(shown.matches("[F.]").count(), 2, "{shown}");
    has_all(
        &shown,
        &[
            "10.0.2.15.1234 > 1.2.3.4.80: Flags [S]",
            "seq 0,",
            "1.2.3.4.80 > 10.0.2.15.1234: Flags [S.]",
            "seq 0, ack 1,",
            "Flags [.]",
            "seq 1, ack 1,",
            "Flags [P.]",
            "seq 1:6, ack 1,",
            "length 5",
            "Flags [P.]",
            "seq 1:65496, ack 6,",
            "Flags [P.]",
            "seq 65496:100001, ack 6,",
            "Flags [F.]",
            "seq 100001, ack 6,",
            "Flags [.]",
            "seq 6, ack 100002,",
            "Flags [F.]",
            "seq 6, ack 100002,",
            "Flags [.]",
            "seq 100002, ack 7,",
        ],
    );
}

#[test]
fn tcpdump_sees_refusals_resets_datagrams_and_pings_of_both_versions() {
    for (guest, peer) in [
        addresses("10.0.2.15:9", "10.0.2.2:53"),
        addresses("[fd00:c0::15]:9", "[fd00:c0::2]:53"),
    ] {
        let shown = trace(|capture| {
            let tcp = || TcpTrace::new(Arc::clone(capture), guest, peer);
            tcp().failed(libc::ECONNREFUSED as u32);
            let mut reset = tcp();
            reset.connected(Side::Peer);
            reset.reset(Side::Guest);
            capture.udp(Side::Peer, guest, peer, &[0; 3]);
            let kind = if guest.is_ipv4() { 8 } else { 128 };
            capture.icmp(
                Side::Guest,
                guest.ip(),
                peer.ip(),
                &[kind, 0, 9, 9, 0, 7, 0, 1, b'a'],
            );
        });
        let reply = format!("{}.53 > {}.9: ", peer.ip(), guest.ip());
        has_all(
            &shown,
            &[
                "Flags [S]",
                &reply,
                "Flags [R.]",
                "ack 1,",
                "Flags [S]",
                "Flags [S.]",
                "Flags [.]",
                "Flags [R.]",
                "seq 1, ack 1",
                &reply,
                "echo request",
                "id 7, seq 1",
            ],
        );
    }
}

#[test]
fn addresses_of_different_versions_leave_no_packet() {
    let (guest, peer) = addresses("10.0.2.15:9", "[::1]:53");
    let shown = trace(|capture| {
        capture.udp(Side::Peer, guest, peer, b"x");
        capture.icmp(Side::Peer, guest.ip(), peer.ip(), b"short");
        TcpTrace::new(Arc::clone(capture), guest, peer).connected(Side::Guest);
    });
    assert_eq!(shown, "");
}

#[test]
fn packets_are_in_the_file_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pcap");
    let capture = Capture::create(&path).unwrap();
    let mut frame = *b"a frame of some bytes";
    let (a, b) = frame.split_at_mut(7);
    capture.frame(&[VolatileSlice::from(a), VolatileSlice::from(b)]);
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes[..4], 0xa1b2_3c4du32.to_ne_bytes());
    assert_eq!(bytes[32..36], 21u32.to_ne_bytes());
    assert!(bytes.ends_with(b"a frame of some bytes") && bytes.len() == 24 + 16 + 21);
}

#[test]
fn a_full_disk_ends_the_capture_after_a_whole_packet() {
    use nix::fcntl::{FcntlArg, SealFlag, fcntl};
    use nix::sys::memfd::{MFdFlags, memfd_create};
    assert!(Capture::create(Path::new("/dev/full")).is_err());
    // A file that cannot grow: a write past its end is cut short, and the next one fails.
    let file = File::from(memfd_create("pcap", MFdFlags::MFD_ALLOW_SEALING).unwrap());
    file.set_len(3 * 4096).unwrap();
    fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_GROW)).unwrap();
    let sink = Sink {
        file: file.try_clone().unwrap(),
        whole: 0,
    };
    let capture = Capture {
        file: Mutex::new(Some(sink)),
    };
    capture.bytes(&[b'a'; 100]);
    capture.bytes(&[b'b'; 20_000]);
    assert_eq!(file.metadata().unwrap().len(), 116);
    assert!(capture.file.lock().unwrap().is_none());
    capture.bytes(b"not even tried");
}

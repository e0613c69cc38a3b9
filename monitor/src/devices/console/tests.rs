//! The console with a mocked driver on one side and pipes on the other.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;

use boot_abi::config::{STREAM_FILE, STREAM_PIPE};

use super::*;
use crate::devices::virtio::driver::Driver;

const STDOUT: usize = 5;
const STDERR_OUT: usize = 7;
const STDIN: usize = 4;
const LINES: usize = 8;
const TO_DRIVER: usize = 2;
const FROM_DRIVER: usize = 3;

struct Bench {
    driver: Driver<Console>,
    /// The host's ends.
    stdin: Option<std::io::PipeWriter>,
    stdout: Option<std::io::PipeReader>,
    stderr: std::io::PipeReader,
}

fn bench() -> Bench {
    let ((in_read, stdin), (stdout, out_write), (stderr, err_write)) = (
        std::io::pipe().unwrap(),
        std::io::pipe().unwrap(),
        std::io::pipe().unwrap(),
    );
    let sink = |fd: &std::io::PipeWriter| Sink::new(fd.as_fd(), STREAM_PIPE).unwrap();
    let console = Console::new(
        Input::new(in_read.into(), STREAM_PIPE, STDIN, Arc::default()),
        Output::new(sink(&out_write), STDOUT, Arc::default()),
        Output::new(sink(&err_write), STDERR_OUT, Arc::default()),
    )
    .unwrap();
    Bench {
        driver: Driver::new(console, 0),
        stdin: Some(stdin),
        stdout: Some(stdout),
        stderr,
    }
}

fn message(port: u32, event: u16, value: u16) -> Vec<u8> {
    [
        &port.to_le_bytes()[..],
        &event.to_le_bytes(),
        &value.to_le_bytes(),
    ]
    .concat()
}

impl Bench {
    /// Sends a control message and returns the answers.
    fn control(&mut self, port: u32, event: u16, value: u16) -> Vec<Vec<u8>> {
        let lent: Vec<u64> = (0..6).map(|_| self.driver.lend(TO_DRIVER, 64)).collect();
        self.driver
            .give(FROM_DRIVER, &[&message(port, event, value)]);
        self.driver.device.process();
        let got = self.driver.returned(TO_DRIVER);
        // Buffers that stayed unused are taken up by the next answer; the mock forgets them with the device.
        got.iter()
            .zip(lent)
            .map(|((_, len), at)| self.driver.bytes(at, *len))
            .collect()
    }

    /// Does the handshake for all ports, with fresh control buffers in place throughout.
    fn open_all(&mut self) {
        self.driver.give(FROM_DRIVER, &[&message(0, 0, 1)]);
        for port in 1..4 {
            self.driver.give(FROM_DRIVER, &[&message(port, 3, 1)]);
            self.driver.give(FROM_DRIVER, &[&message(port, 6, 1)]);
        }
        self.driver.device.process();
    }

    fn process(&mut self) -> Wants {
        self.driver.device.process()
    }

    fn readable(&mut self) -> Wants {
        self.driver
            .device
            .with_device(|console| console.input_ready = true);
        self.process()
    }

    fn lines(&mut self, len: u32) -> Vec<u8> {
        let at = self.driver.lend(LINES, len as usize);
        self.process();
        self.driver
            .returned(LINES)
            .iter()
            .flat_map(|(_, len)| self.driver.bytes(at, *len))
            .collect()
    }
}

#[test]
fn the_handshake_announces_and_names_the_ports() {
    let mut bench = bench();
    assert_eq!(
        bench.control(0, 0, 1),
        [message(1, 1, 1), message(2, 1, 1), message(3, 1, 1)]
    );
    for (port, name) in [
        (1, "compat.stdio"),
        (2, "compat.stderr"),
        (3, "compat.control"),
    ] {
        let mut bench = self::bench();
        let named = [&message(port, 7, 1)[..], name.as_bytes()].concat();
        assert_eq!(bench.control(port, 3, 1), [named, message(port, 6, 1)]);
    }
    assert_eq!(self::bench().control(9, 3, 1), [] as [Vec<u8>; 0]);
    assert_eq!(self::bench().control(0, 0, 0), [] as [Vec<u8>; 0]);
}

#[test]
fn a_driver_that_never_takes_answers_is_stopped() {
    let mut bench = bench();
    for _ in 0..20 {
        for _ in 0..8 {
            bench.driver.give(FROM_DRIVER, &[&message(0, 0, 1)]);
        }
        bench.process();
    }
    assert!(!bench.driver.device.is_running());
}

#[test]
fn short_control_messages_stop_the_device() {
    let mut bench = bench();
    bench.driver.give(FROM_DRIVER, &[b"short"]);
    bench.process();
    assert!(!bench.driver.device.is_running());
}

#[test]
fn chains_leave_whole_and_in_order() {
    let mut bench = bench();
    bench.open_all();
    bench.driver.give(STDOUT, &[b"one ", b"", b"two "]);
    bench.driver.give(STDOUT, &[b""]);
    bench.driver.give(STDOUT, &[b"three"]);
    bench.driver.give(STDERR_OUT, &[b"err"]);
    bench.process();
    assert_eq!(bench.driver.returned(STDOUT).len(), 3);
    let mut text = [0; 13];
    bench
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut text)
        .unwrap();
    assert_eq!(&text, b"one two three");
    let mut text = [0; 3];
    bench.stderr.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"err");
}

#[test]
fn a_full_pipe_blocks_its_own_port_only() {
    let mut bench = bench();
    bench.open_all();
    let big: Vec<u8> = (0..200_000u32).map(|i| i as u8).collect();
    bench.driver.give(STDOUT, &[&big]);
    bench.driver.give(STDERR_OUT, &[b"still here"]);
    let wants = bench.process();
    assert!(wants.stdout.is_some() && wants.stderr.is_none());
    assert!(!bench.driver.device.with_device(|console| console.drained));
    let mut text = [0; 10];
    bench.stderr.read_exact(&mut text).unwrap();
    let mut got: Vec<u8> = Vec::new();
    while got.len() < big.len() {
        let mut part = vec![0; 30_000];
        let n = bench.stdout.as_mut().unwrap().read(&mut part).unwrap();
        got.extend(&part[..n]);
        bench.process();
    }
    assert!(got == big);
    assert_eq!(bench.driver.returned(STDOUT).len(), 1);
    assert!(bench.driver.device.with_device(|console| console.drained));
}

#[test]
fn output_without_reader_is_dropped_and_told() {
    let mut bench = bench();
    bench.open_all();
    bench.stdout = None;
    bench.driver.give(STDOUT, &[b"lost"]);
    assert!(bench.process().again);
    bench.process();
    assert_eq!(bench.driver.returned(STDOUT).len(), 1);
    assert_eq!(bench.lines(64), b"hangup stdio\n");
}

#[test]
fn input_is_read_when_there_is_room_and_ends_with_a_message() {
    let mut bench = bench();
    bench.open_all();
    let mut stdin = bench.stdin.take().unwrap();
    stdin.write_all(b"hello").unwrap();
    // Readable, but the guest has no buffer.
    assert_eq!(bench.readable().stdin, None);
    let at = bench.driver.lend(STDIN, 3);
    assert!(bench.process().stdin.is_some());
    bench.readable();
    assert_eq!(bench.driver.returned(STDIN), [(0, 3)]);
    assert_eq!(bench.driver.bytes(at, 3), b"hel");
    let at = bench.driver.lend(STDIN, 64);
    bench.readable();
    assert_eq!(bench.driver.returned(STDIN), [(1, 2)]);
    assert_eq!(bench.driver.bytes(at, 2), b"lo");
    drop(stdin);
    bench.driver.lend(STDIN, 64);
    bench.readable();
    assert_eq!(bench.lines(64), b"eof\n");
    assert_eq!(bench.readable().stdin, None);
}

#[test]
fn files_are_read_without_waiting() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"content").unwrap();
    let fd = File::open(file.path()).unwrap().into();
    let null = File::options().write(true).open("/dev/null").unwrap();
    let sink = || Sink::new(null.as_fd(), STREAM_FILE).unwrap();
    let console = Console::new(
        Input::new(fd, STREAM_FILE, STDIN, Arc::default()),
        Output::new(sink(), STDOUT, Arc::default()),
        Output::new(sink(), STDERR_OUT, Arc::default()),
    )
    .unwrap();
    let mut driver = Driver::new(console, 0);
    driver.give(FROM_DRIVER, &[&message(1, 6, 1)]);
    let at = driver.lend(STDIN, 64);
    driver.lend(STDIN, 64);
    driver.device.process();
    assert_eq!(driver.returned(STDIN), [(0, 7)]);
    assert_eq!(driver.bytes(at, 7), b"content");
}

#[test]
fn lines_wait_for_an_open_port_and_a_buffer() {
    let mut bench = bench();
    bench
        .driver
        .device
        .with_device(|console| console.tell("signal 2".to_owned()));
    assert_eq!(bench.lines(64), b"");
    bench.open_all();
    bench.process();
    assert_eq!(bench.driver.returned(LINES).len(), 1);
    bench
        .driver
        .device
        .with_device(|console| console.tell("winsize 1 2".to_owned()));
    assert_eq!(bench.lines(4), b"wins");
    assert_eq!(bench.lines(64), b"ize 1 2\n");
}

#[test]
fn the_guests_report_is_taken_from_the_control_port() {
    let mut bench = bench();
    bench.open_all();
    bench
        .driver
        .give(LINES + 1, &[b"stats {\"thr", b"eads\":3}\nexit 0\n"]);
    bench.process();
    assert_eq!(bench.driver.returned(LINES + 1).len(), 1);
    let report = bench
        .driver
        .device
        .with_device(|console| console.reports.take());
    assert_eq!(report, Some(serde_json::json!({"threads": 3})));
}

#[test]
fn buffers_outside_memory_stop_the_device_but_not_the_monitor() {
    for (queue, flags) in [
        (STDOUT, 0),
        (STDERR_OUT, 0),
        (STDIN, 2),
        (LINES, 2),
        (TO_DRIVER, 2),
        (FROM_DRIVER, 0),
    ] {
        let mut bench = bench();
        bench.open_all();
        bench.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        bench
            .driver
            .device
            .with_device(|console| console.tell("signal 2".to_owned()));
        bench.driver.add(queue, &[(1 << 40, 64, flags)]);
        bench.readable();
        bench.readable();
        assert!(!bench.driver.device.is_running(), "{queue}");
    }
}

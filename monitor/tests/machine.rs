//! The monitor, run as a user runs it, with guests that are a few lines of C. Needs /dev/kvm, a C compiler and ld.

// A test that cannot go on stops.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use boot_abi::config::{
    ARG, CWD, ENV, HOSTNAME, Records, SAME_OUTPUT, SEED, STREAM_CLOSED, STREAM_PIPE, STREAMS,
};
use common::{MONITOR, guest, text};
use nix::pty::Winsize;
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::tcgetattr;
use nix::unistd::Pid;
use tempfile::TempDir;

fn run(args: &[&str], image: &Path) -> Output {
    Command::new(MONITOR)
        .args(["--mem", "64M"])
        .args(args)
        .arg(image)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn pvh_and_the_configuration_reach_the_guest() {
    let args = ["--env", "A=b c", "--cwd", "/here", "--hostname", "box"];
    let out = Command::new(MONITOR)
        .args(args)
        .arg(guest("boot"))
        .args(["--", "one", ""])
        .output()
        .unwrap();
    let shown = text(&out.stderr);
    assert_eq!(out.status.code(), Some(42), "{shown}");
    let command_line = shown.lines().next().unwrap();
    assert!(command_line.starts_with(
        "virtio_mmio.device=0x200@0xfeb00000:5 virtio_mmio.device=0x200@0xfeb00200:6 "
    ));
    assert!(
        command_line.contains(" compat.tsc_khz=") && command_line.contains(" compat.realtime=")
    );
    assert_eq!(
        shown.lines().nth(1),
        Some("ram 0x0000000000000000 0x0000000020000000")
    );

    let at = out
        .stderr
        .windows(7)
        .position(|w| w == b"config\n")
        .unwrap()
        + 7;
    let records: Vec<_> = Records::new(&out.stderr[at..]).collect();
    let get = |tag| {
        records
            .iter()
            .filter(|(t, _)| *t == tag)
            .map(|(_, data)| text(data))
            .collect::<Vec<_>>()
    };
    assert_eq!(get(ARG), ["one", ""]);
    assert_eq!(get(ENV), ["A=b c"]);
    assert_eq!(
        (get(CWD), get(HOSTNAME)),
        (vec!["/here".to_owned()], vec!["box".to_owned()])
    );
    assert_eq!((get(STREAMS).len(), get(SEED).len()), (1, 1));
}

/// The `STREAMS` record that the boot guest shows on stderr when a shell starts it with these redirections.
fn streams(redirections: &str) -> [u8; 8] {
    let script = format!("exec {MONITOR} {} {redirections}", guest("boot").display());
    let out = Command::new("sh").args(["-c", &script]).output().unwrap();
    let shown = [out.stdout, out.stderr].concat();
    let at = shown.windows(7).position(|w| w == b"config\n").unwrap() + 7;
    let mut records = Records::new(&shown[at..]);
    let (_, data) = records.find(|(tag, _)| *tag == STREAMS).unwrap();
    data.try_into().unwrap()
}

#[test]
fn closed_streams_are_known_to_the_guest() {
    let expected = [STREAM_CLOSED, STREAM_CLOSED, STREAM_PIPE, 0];
    assert_eq!(streams("<&- >&-")[..4], expected);
}

#[test]
fn one_file_for_both_outputs_is_known_to_the_guest() {
    assert_eq!(streams("2>&1")[3], SAME_OUTPUT);
    assert_eq!(streams("")[3], 0);
}

#[test]
fn memory_above_three_gigabytes_is_split() {
    let out = run(&["--mem", "5G"], &guest("boot"));
    let shown = text(&out.stderr);
    let ram: Vec<_> = shown
        .lines()
        .filter(|line| line.starts_with("ram"))
        .collect();
    assert_eq!(
        ram,
        [
            "ram 0x0000000000000000 0x00000000c0000000",
            "ram 0x0000000100000000 0x0000000080000000"
        ]
    );
}

#[test]
fn interrupts_come_through_the_io_apic() {
    let out = run(&[], &guest("interrupt"));
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
}

#[test]
fn several_cpus_are_accepted() {
    assert_eq!(
        run(&["--cpus", "4"], &guest("boot")).status.code(),
        Some(42)
    );
}

#[test]
fn a_shut_down_cpu_is_reported_with_its_registers() {
    let out = run(&[], &guest("fault"));
    let shown = text(&out.stderr);
    assert_eq!(out.status.code(), Some(70), "{shown}");
    assert!(
        shown.contains("triple fault") && shown.contains("rip") && shown.contains("12345678"),
        "{shown}"
    );
}

#[test]
fn a_write_to_the_exit_port_that_is_no_exit_is_reported_with_the_registers() {
    let out = run(&[], &guest("stray"));
    let shown = text(&out.stderr);
    assert_eq!(out.status.code(), Some(70), "{shown}");
    assert!(
        shown.contains("port 0xf4") && shown.contains("rip") && shown.contains("12345678"),
        "{shown}"
    );
}

#[test]
fn a_kernel_panic_has_its_own_status() {
    let out = run(&[], &guest("panic"));
    assert_eq!(out.status.code(), Some(70));
    assert!(text(&out.stderr).starts_with("the reason\n"));
}

#[test]
fn bad_images_are_refused() {
    let dir = TempDir::new().unwrap();
    let bad = dir.path().join("bad");
    let good = fs::read(guest("boot")).unwrap();
    let cases: [(&[u8], &str); 3] = [
        (b"hello", "too short"),
        (&good[..good.len() / 2], "image"),
        (&[0; 5000], "not an ELF"),
    ];
    for (bytes, expected) in cases {
        fs::write(&bad, bytes).unwrap();
        let out = run(&[], &bad);
        assert_eq!(out.status.code(), Some(125));
        assert!(
            text(&out.stderr).contains(expected),
            "{}",
            text(&out.stderr)
        );
    }
    for (path, expected) in [
        (dir.path().join("none"), "cannot open"),
        (dir.path().to_owned(), "regular file"),
    ] {
        let out = run(&[], &path);
        assert_eq!(out.status.code(), Some(125));
        assert!(
            text(&out.stderr).contains(expected),
            "{}",
            text(&out.stderr)
        );
    }
}

#[test]
fn too_little_memory_says_how_much_is_needed() {
    let out = run(&["--mem", "1M"], &guest("boot"));
    assert_eq!(out.status.code(), Some(125));
    let shown = text(&out.stderr);
    assert!(shown.contains("at least 8M"), "{shown}");
}

#[test]
fn statistics_are_json() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("stats");
    let out = run(&["--json-stats", file.to_str().unwrap()], &guest("boot"));
    assert_eq!(out.status.code(), Some(42));
    let stats: serde_json::Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    assert_eq!(
        (&stats["status"], &stats["outcome"]),
        (&42.into(), &"exited".into())
    );
    assert!(
        stats["bytes"]["debug"].as_u64().unwrap() > 100
            && stats["exits"]["io"].as_u64().unwrap() > 1
    );
    let out = run(&["--json-stats", "/none/such"], &guest("boot"));
    assert_eq!(out.status.code(), Some(125));
}

#[test]
fn an_image_behind_the_monitor_runs_by_itself() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("alone");
    let mut bytes = fs::read(MONITOR).unwrap();
    bytes.resize(bytes.len().next_multiple_of(4096), 0);
    let (offset, image) = (bytes.len() as u64, fs::read(guest("boot")).unwrap());
    bytes.extend(&image);
    bytes.extend(offset.to_le_bytes());
    bytes.extend((image.len() as u64).to_le_bytes());
    bytes.extend(b"CMPTSELF");
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut alone = Command::new(&path);
    alone.args(["--mem", "x"]).env("COMPAT_MEM", "32M");
    // Another test's child, not yet at its exec, may still have the file open for writing.
    let out = loop {
        match alone.output() {
            Err(e) if e.kind() == ErrorKind::ExecutableFileBusy => sleep(Duration::from_millis(1)),
            result => break result.unwrap(),
        }
    };
    let shown = text(&out.stderr);
    assert_eq!(out.status.code(), Some(42), "{shown}");
    assert!(shown.contains("0x0000000002000000\n") && shown.contains("--mem"));
}

#[test]
fn a_read_only_segment_is_the_file_itself() {
    let image = guest("mapped");
    let before = fs::read(&image).unwrap();
    let dir = TempDir::new().unwrap();
    let stats = dir.path().join("stats");
    let out = run(&["--json-stats", stats.to_str().unwrap()], &image);
    assert_eq!(text(&out.stderr), "first page\nlast page\nwritten\n");
    assert_eq!(out.status.code(), Some(0));
    assert!(
        fs::read(&image).unwrap() == before,
        "the guest wrote into the image"
    );
}

/// A guest that copies its input, with pipes on all sides.
struct Running {
    child: Child,
    errors: BufReader<std::process::ChildStderr>,
}

impl Running {
    fn start(name: &str) -> Self {
        Self::with(name, &[])
    }

    fn with(name: &str, args: &[&str]) -> Self {
        let mut monitor = Command::new(MONITOR);
        monitor.args(["--mem", "64M"]).args(args).arg(guest(name));
        let mut child = monitor
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let errors = BufReader::new(child.stderr.take().unwrap());
        let mut running = Self { child, errors };
        assert_eq!(running.line(), "ready\n");
        running
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.errors.read_line(&mut line).unwrap();
        line
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    fn status(self) -> Option<i32> {
        wait_for(self.child)
    }
}

fn wait_for(mut child: Child) -> Option<i32> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(20) {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    panic!("the monitor does not end");
}

#[test]
fn input_comes_out_again_and_the_end_is_told() {
    let mut running = Running::start("console");
    let input: Vec<u8> = (0..300_000u32).map(|i| (i ^ i >> 7) as u8).collect();
    let mut stdin = running.child.stdin.take().unwrap();
    let mut stdout = running.child.stdout.take().unwrap();
    let expected = [&input[..], b"bye\n"].concat();
    let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let mut got = Vec::new();
    stdout.read_to_end(&mut got).unwrap();
    writer.join().unwrap();
    assert!(got == expected, "{} of {} bytes", got.len(), expected.len());
    assert_eq!(running.line(), "eof\n");
    assert_eq!(running.status(), Some(0));
}

#[test]
fn signals_reach_the_guest() {
    let mut running = Running::start("console");
    running.signal(Signal::SIGUSR1);
    assert_eq!(running.line(), "signal 10\n");
    running.signal(Signal::SIGTERM);
    assert_eq!(running.line(), "signal 15\n");
    assert_eq!(running.status(), Some(15));
}

#[test]
fn insistence_ends_a_guest_that_ignores_signals() {
    let running = Running::start("console");
    for _ in 0..3 {
        running.signal(Signal::SIGINT);
        sleep(Duration::from_millis(200));
    }
    assert_eq!(running.status(), Some(130));
}

#[test]
fn one_signal_ends_a_guest_that_cannot_hear() {
    let running = Running::start("deaf");
    running.signal(Signal::SIGTERM);
    assert_eq!(running.status(), Some(143));
}

#[test]
fn a_terminal_is_raw_meanwhile_and_restored_after() {
    let pty = nix::pty::openpty(
        &Winsize {
            ws_row: 33,
            ws_col: 99,
            ws_xpixel: 0,
            ws_ypixel: 0,
        },
        None,
    )
    .unwrap();
    let before = tcgetattr(&pty.slave).unwrap();
    let stream = || Stdio::from(pty.slave.try_clone().unwrap());
    let mut monitor = Command::new(MONITOR);
    monitor
        .arg(guest("console"))
        .stdin(stream())
        .stdout(stream())
        .stderr(stream());
    let child = monitor.spawn().unwrap();
    let mut master = fs::File::from(pty.master);
    let mut read = |len| {
        let mut bytes = vec![0; len];
        master.read_exact(&mut bytes).unwrap();
        (text(&bytes), master.try_clone().unwrap())
    };
    let (ready, mut keyboard) = read(6);
    assert_eq!(ready, "ready\n");
    // Neither echoed, nor turned into a signal, nor kept back until the line ends.
    keyboard.write_all(b"\x03\x04x").unwrap();
    assert_eq!(read(3).0, "\x03\x04x");
    let pid = Pid::from_raw(child.id() as i32);
    kill(pid, Signal::SIGWINCH).unwrap();
    assert_eq!(read(14).0, "winsize 33 99\n");
    kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(wait_for(child), Some(15));
    assert!(tcgetattr(&pty.slave).unwrap() == before);
}

#[test]
fn a_reader_that_leaves_is_told() {
    let mut running = Running::start("console");
    drop(running.child.stdout.take());
    let mut stdin = running.child.stdin.take().unwrap();
    stdin.write_all(b"x").unwrap();
    assert_eq!(running.line(), "hangup stdio\n");
    assert_eq!(running.status(), Some(13));
}

#[test]
fn output_that_cannot_be_written_is_no_success() {
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let out = Command::new(MONITOR)
        .arg(guest("console"))
        .stdin(Stdio::null())
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let shown = text(&out.stderr);
    assert_eq!(out.status.code(), Some(125), "{shown}");
    assert!(shown.contains("No space left"), "{shown}");
}

/// A port that was free just now.
fn free_port() -> u16 {
    let probe = TcpListener::bind("127.0.0.1:0").unwrap();
    probe.local_addr().unwrap().port()
}

fn dial(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

/// A guest that serves port 7, and the host's port for it.
fn serving(args: &[&str]) -> (Running, u16) {
    let port = free_port();
    let spec = format!("127.0.0.1:{port}:7");
    let args = [&["--publish", &spec], args].concat();
    (Running::with("hostnet", &args), port)
}

#[test]
fn a_published_port_reaches_the_guest() {
    let (running, port) = serving(&[]);
    let mut stream = dial(port);
    let bytes: Vec<u8> = (0..2_000_000u32).map(|i| (i ^ i >> 7) as u8).collect();
    let mut writer = stream.try_clone().unwrap();
    let sent = [&b"_"[..], &bytes].concat();
    let expected = sent.clone();
    let writer = std::thread::spawn(move || {
        // Neither command occurs at the start of what the guest gets at once.
        let sent: Vec<u8> = sent.iter().map(|b| b & 0x3f).collect();
        writer.write_all(&sent).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut got = Vec::new();
    stream.read_to_end(&mut got).unwrap();
    writer.join().unwrap();
    let expected: Vec<u8> = expected.iter().map(|b| b & 0x3f).collect();
    assert!(got == expected, "{} of {} bytes", got.len(), expected.len());
    // What it sends last arrives, though the machine ends at once.
    let mut stream = dial(port);
    stream.write_all(b"q").unwrap();
    let mut last = String::new();
    stream.read_to_string(&mut last).unwrap();
    assert_eq!(last, "bye");
    assert_eq!(running.status(), Some(0));
    assert!(TcpListener::bind(("127.0.0.1", port)).is_ok());
}

#[test]
fn the_net_thread_may_do_all_that_its_sockets_need() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("stats");
    let (mut running, port) = serving(&["--json-stats", file.to_str().unwrap()]);
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = server.local_addr().unwrap();
    let datagrams = UdpSocket::bind(to).unwrap();
    let mut stream = dial(port);
    let [low, high] = to.port().to_le_bytes();
    stream.write_all(&[b'x', low, high]).unwrap();
    let mut hello = String::new();
    server
        .accept()
        .unwrap()
        .0
        .read_to_string(&mut hello)
        .unwrap();
    assert_eq!(hello, "hello");
    let (_, from) = datagrams.recv_from(&mut [0; 16]).unwrap();
    datagrams.send_to(b"answer", from).unwrap();
    // Pings need a permission of the host.
    let lines: Vec<String> = std::iter::repeat_with(|| running.line())
        .filter(|line| !line.starts_with("compat-monitor: the host does not let this user"))
        .take(3)
        .collect();
    assert!(lines.contains(&"info\n".to_owned()), "{lines:?}");
    assert!(lines.contains(&"datagram\n".to_owned()), "{lines:?}");
    let mut stream = dial(port);
    stream.write_all(b"q").unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(running.status(), Some(0));
    let stats: serde_json::Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let net = &stats["net"];
    assert_eq!(
        (&net["connections_in"], &net["connections_out"]),
        (&2.into(), &1.into())
    );
    assert!(net["bytes_out"].as_u64().unwrap() >= 5 + 3 + 3, "{net}");
}

#[test]
fn ports_and_rules_that_do_not_work_are_told_before_the_start() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    let in_use = format!("{port}:80");
    for (args, expected) in [
        (["--publish", &in_use], "is in use"),
        (["--publish", "80"], "[IP:]HOST:GUEST"),
        (
            ["--publish", "203.0.113.1:8080:80"],
            "no address 203.0.113.1",
        ),
        (["--allow-net", "no.such.host.invalid:1"], "cannot resolve"),
        (
            ["--net", "carrier-pigeon"],
            "--net is 'user', 'none' or 'tap",
        ),
    ] {
        let out = run(&args, &guest("boot"));
        assert_eq!(out.status.code(), Some(125), "{args:?}");
        let shown = text(&out.stderr);
        assert!(shown.contains(expected), "{shown}");
    }
    let out = run(&["--net", "none", "--allow-net", "none"], &guest("boot"));
    assert!(text(&out.stderr).contains("--allow-net needs"));
    let out = run(&["--net", "none", "--publish", "0:80"], &guest("boot"));
    assert_eq!(out.status.code(), Some(125));
    let out = run(&["--net", "none"], &guest("boot"));
    assert!(!text(&out.stderr).contains("0xfeb00400"));
    assert!(!text(&out.stderr).contains("mode=forward"));
    let out = run(&["--publish", "127.0.0.1:0:80"], &guest("boot"));
    assert!(text(&out.stderr).contains("port 80/tcp is published as "));
    assert!(text(&out.stderr).contains("mode=forward ip=10.0.2.15/24"));
}

#[test]
fn connections_wait_when_descriptors_run_out() {
    let port = free_port();
    let script = format!(
        "ulimit -n 41; exec {MONITOR} --mem 64M --control none --publish 127.0.0.1:{port}:7 {}",
        guest("hostnet").display()
    );
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &script])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let mut child = shell.stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    errors.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    let serve = |stream: &mut TcpStream| {
        stream.write_all(b"hello").unwrap();
        stream.read_exact(&mut [0; 5]).unwrap();
    };
    // As many as there are descriptors for, and a few more.
    let mut streams: Vec<_> = (0..24).map(|_| dial(port)).collect();
    line.clear();
    errors.read_line(&mut line).unwrap();
    assert!(line.contains("no descriptors are left"), "{line}");
    let mut late = streams.split_off(20);
    serve(&mut streams[0]);
    drop(streams);
    late.iter_mut().for_each(serve);
    late[0].write_all(b"q").unwrap();
    assert_eq!(wait_for(child), Some(0));
}

//! The control socket of a running instance.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{MONITOR, guest, text};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

struct Instance {
    child: Child,
    /// Keeps the guest from seeing the end of its input.
    _errors: BufReader<std::process::ChildStderr>,
}

impl Instance {
    fn start(name: &str, runtime: &Path, args: &[&str]) -> Self {
        let mut monitor = Command::new(MONITOR);
        monitor.args(["--mem", "64M"]).args(args).arg(guest(name));
        let mut child = monitor
            .env("XDG_RUNTIME_DIR", runtime)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        errors.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Self {
            child,
            _errors: errors,
        }
    }

    fn end(mut self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
        self.child.wait().unwrap();
    }

    fn socket(&self, runtime: &Path) -> PathBuf {
        runtime.join(format!("compat/{}.sock", self.child.id()))
    }
}

impl Drop for Instance {
    /// A test that fails leaves no monitor behind.
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Client(BufReader<UnixStream>);

impl Drop for Client {
    /// To close is not enough: what another test starts has a copy of the descriptor until it executes.
    fn drop(&mut self) {
        // The monitor may have hung up before.
        let _ = self.0.get_ref().shutdown(Shutdown::Both);
    }
}

fn connect(path: &Path) -> Client {
    let stream = UnixStream::connect(path).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    Client(BufReader::new(stream))
}

/// None: the monitor hung up.
fn answer(client: &mut Client) -> Option<Value> {
    let mut line = String::new();
    client.0.read_line(&mut line).unwrap_or(0);
    serde_json::from_str(&line).ok()
}

fn ask(client: &mut Client, line: &str) -> Option<Value> {
    writeln!(client.0.get_mut(), "{line}").unwrap();
    answer(client)
}

const STATS: &str = r#"{"command":"stats"}"#;

#[test]
fn figures_of_the_monitor_and_the_guest() {
    let dir = TempDir::new().unwrap();
    let instance = Instance::start("console", dir.path(), &["--cpus", "1"]);
    let mut stream = connect(&instance.socket(dir.path()));
    let stats = ask(&mut stream, STATS).unwrap();
    assert_eq!(
        stats["guest"],
        serde_json::json!({"uptime_ns": 5, "threads": 1})
    );
    assert!(stats["exits"]["mmio"].as_u64().unwrap() > 0, "{stats}");
    let console = &stats["devices"][0];
    assert_eq!(console["device"], "console");
    assert!(console["kicks"].as_u64() > Some(0) && console["interrupts"].as_u64() > Some(0));

    // The guest answers only once.
    let start = Instant::now();
    let mut other = connect(&instance.socket(dir.path()));
    writeln!(other.0.get_mut(), "{STATS}").unwrap();
    let late = ask(&mut stream, STATS).unwrap();
    assert_eq!(
        (&late["guest"], answer(&mut other).unwrap()["guest"].clone()),
        (&Value::Null, Value::Null)
    );
    assert!((400..5000).contains(&start.elapsed().as_millis()));

    let info = ask(&mut stream, r#"{"command":"info"}"#).unwrap();
    assert_eq!(info["pid"], instance.child.id());
    assert_eq!(
        info["image"],
        fs::canonicalize(guest("console"))
            .unwrap()
            .to_str()
            .unwrap()
    );
    assert_eq!(
        (&info["memory"], &info["cpus"]),
        (&(64 << 20).into(), &1.into())
    );
    assert!(info["start_time"].as_u64().unwrap() > 1_600_000_000 && info["ports"].is_array());
    instance.end(Signal::SIGTERM);
}

#[test]
fn a_guest_that_does_not_listen_costs_no_time() {
    let dir = TempDir::new().unwrap();
    let instance = Instance::start("deaf", dir.path(), &[]);
    let start = Instant::now();
    let stats = ask(&mut connect(&instance.socket(dir.path())), STATS).unwrap();
    assert_eq!(stats["guest"], Value::Null);
    assert!(start.elapsed() < Duration::from_millis(400));
    instance.end(Signal::SIGKILL);
}

#[test]
fn a_trace_needs_settings_and_a_guest_that_listens() {
    let dir = TempDir::new().unwrap();
    let ask_for = |path: &Path, settings: &str| {
        let mut stream = connect(path);
        let line = format!(r#"{{"command":"trace","settings":"{settings}"}}"#);
        (ask(&mut stream, &line).unwrap(), stream)
    };
    let deaf = Instance::start("deaf", dir.path(), &[]);
    let (answer, _) = ask_for(&deaf.socket(dir.path()), "32 all");
    assert_eq!(answer["error"], "the guest does not listen");
    deaf.end(Signal::SIGKILL);

    let instance = Instance::start("console", dir.path(), &[]);
    let path = instance.socket(dir.path());
    for bad in ["", "32", "32 xyz", "100000 all"] {
        assert_eq!(
            ask_for(&path, bad).0["error"],
            "not settings of a trace",
            "{bad}"
        );
    }
    let (answer, first) = ask_for(&path, "32 all");
    assert_eq!(answer["trace"], "32 all");
    let (answer, _) = ask_for(&path, "32 all");
    assert_eq!(answer["error"], "this instance is traced already");
    drop(first);
    let limit = Instant::now() + Duration::from_secs(20);
    while ask_for(&path, "16 f").0["trace"] != "16 f" {
        assert!(
            Instant::now() < limit,
            "the first reader's leaving was not noticed"
        );
    }
    instance.end(Signal::SIGKILL);
}

#[test]
fn strange_clients_harm_nobody() {
    let dir = TempDir::new().unwrap();
    let instance = Instance::start("deaf", dir.path(), &[]);
    let path = instance.socket(dir.path());
    let mut stream = connect(&path);
    for line in [
        "",
        "nonsense",
        "[]",
        r#"{"command":1}"#,
        r#"{"command":"stop"}"#,
        &"[".repeat(2000),
    ] {
        assert!(
            ask(&mut stream, line).unwrap()["error"].is_string(),
            "{line}"
        );
    }
    // Two requests at once, in pieces.
    let two = format!("{STATS}\n{STATS}\n");
    for piece in two.as_bytes().chunks(7) {
        stream.0.get_mut().write_all(piece).unwrap();
    }
    assert!(answer(&mut stream).unwrap()["guest"].is_null() && answer(&mut stream).is_some());
    // A line without an end, a client that asks and leaves, and too many of them.
    let mut long = connect(&path);
    let _ = long.0.get_mut().write_all(&[b'x'; 100_000]);
    assert_eq!(answer(&mut long), None);
    for _ in 0..50 {
        writeln!(connect(&path).0.get_mut(), "{STATS}").unwrap();
    }
    let idle: Vec<_> = (0..30).map(|_| connect(&path)).collect();
    assert!(ask(&mut stream, STATS).is_some());
    drop(idle);
    assert!(ask(&mut connect(&path), STATS).is_some());
    instance.end(Signal::SIGKILL);
}

#[test]
fn clients_that_are_gone_take_no_place() {
    let dir = TempDir::new().unwrap();
    let instance = Instance::start("deaf", dir.path(), &[]);
    let path = instance.socket(dir.path());
    for _ in 0..50 {
        // The monitor may see them, their end and the next client in one turn.
        drop((0..16).map(|_| connect(&path)).collect::<Vec<_>>());
        assert!(ask(&mut connect(&path), STATS).is_some());
    }
    instance.end(Signal::SIGKILL);
}

#[test]
fn the_socket_is_private_and_goes_with_the_monitor() {
    let dir = TempDir::new().unwrap();
    let instance = Instance::start("console", dir.path(), &[]);
    let path = instance.socket(dir.path());
    let socket = fs::metadata(&path).unwrap();
    assert!(socket.file_type().is_socket() && socket.mode() & 0o777 == 0o600);
    assert_eq!(
        fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777,
        0o700
    );
    instance.end(Signal::SIGTERM);
    assert!(!path.exists());

    // What SIGKILL leaves behind the next monitor removes, and nothing else.
    let killed = Instance::start("console", dir.path(), &[]);
    let left = killed.socket(dir.path());
    killed.end(Signal::SIGKILL);
    assert!(left.exists());
    let listening = dir.path().join("compat/99999999.sock");
    let _listener = UnixListener::bind(&listening).unwrap();
    let file = dir.path().join("compat/99999998.sock");
    fs::write(&file, "").unwrap();
    Instance::start("console", dir.path(), &[]).end(Signal::SIGTERM);
    assert!(!left.exists() && listening.exists() && file.exists());
}

#[test]
fn a_directory_that_others_may_write_to_is_not_used() {
    let dir = TempDir::new().unwrap();
    let compat = dir.path().join("compat");
    fs::create_dir(&compat).unwrap();
    fs::set_permissions(&compat, fs::Permissions::from_mode(0o777)).unwrap();
    let instance = Instance::start("console", dir.path(), &[]);
    assert!(fs::read_dir(&compat).unwrap().next().is_none());
    instance.end(Signal::SIGTERM);
    let none = dir.path().join("none");
    fs::create_dir(&none).unwrap();
    Instance::start("console", &none, &["--control", "none"]).end(Signal::SIGTERM);
    assert!(fs::read_dir(&none).unwrap().next().is_none());
}

#[test]
fn a_path_of_the_users_choice_must_work() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("s");
    let chosen = path.to_str().unwrap();
    // A stale one is in nobody's way.
    drop(UnixListener::bind(&path).unwrap());
    let instance = Instance::start("console", dir.path(), &["--control", chosen]);
    assert!(ask(&mut connect(&path), STATS).is_some());
    for taken in [chosen, "/none/such", &"x".repeat(200)] {
        let out = Command::new(MONITOR)
            .args(["--control", taken])
            .arg(guest("boot"))
            .output()
            .unwrap();
        let shown = text(&out.stderr);
        assert_eq!(out.status.code(), Some(125), "{shown}");
        assert!(shown.contains("cannot make the control socket"), "{shown}");
    }
    instance.end(Signal::SIGTERM);
    assert!(!path.exists());
}

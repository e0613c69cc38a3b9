//! The network card on real tap interfaces, in network namespaces of their own. Needs root, ip, ping and tcpdump.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::path::Path;
use std::process::{Command, Output};

use common::{MONITOR, guest, text};
use tempfile::TempDir;

/// Runs a shell script in a new network namespace, which takes all its interfaces with it.
fn script(text: &str) -> Output {
    let image = guest("net");
    let mut shell = Command::new("unshare");
    shell.args(["--net", "sh", "-euc", text]);
    shell.env("MONITOR", MONITOR).env("IMAGE", image);
    shell.env("XDG_RUNTIME_DIR", "/none").output().unwrap()
}

fn may_run() -> bool {
    let root = nix::unistd::Uid::effective().is_root();
    if !root {
        println!("not tested: only root makes tap interfaces");
    }
    root
}

fn succeeds(script_text: &str) -> String {
    let out = script(script_text);
    let shown = text(&out.stdout) + &text(&out.stderr);
    assert!(out.status.success(), "{shown}");
    shown
}

/// Starts the guest; `$pid` is its monitor, and `$tap` its interface.
const START: &str = r#"
start() {
    tap=$1; shift
    "$MONITOR" --control none "$@" "$IMAGE" & pid=$!
    for i in $(seq 200); do ip link show "$tap" 2>&1 | grep -q LOWER_UP && break; sleep 0.02; done
}
trap 'test -z "${pid:-}" || kill -9 "$pid" 2> /dev/null' EXIT
stop() { kill "$pid"; wait "$pid" || test $? = 143; pid=; }
"#;

#[test]
fn a_guest_on_a_tap_answers_pings_and_the_capture_has_them() {
    if !may_run() {
        return;
    }
    let dir = TempDir::new().unwrap();
    let pcap = dir.path().join("pcap");
    let shown = succeeds(&format!(
        r#"{START}
        start ct0 --pcap {} --net tap:ct0,ip=10.9.0.2/24,mac=02:00:00:00:00:09
        ip addr add 10.9.0.1/24 dev ct0
        ping -c 3 -i 0.2 -W 5 10.9.0.2
        ping -c 2 -i 0.2 -W 5 -s 1400 10.9.0.2
        ip neigh show dev ct0
        stop
        ! ip link show ct0"#,
        pcap.display()
    ));
    assert!(
        shown.contains("3 received") && shown.contains("2 received"),
        "{shown}"
    );
    assert!(shown.contains("02:00:00:00:00:09"), "{shown}");
    let seen = tcpdump(&pcap);
    assert!(seen.contains("Request who-has 10.9.0.2"), "{seen}");
    assert_eq!(seen.matches("echo reply").count(), 5, "{seen}");
}

fn tcpdump(file: &Path) -> String {
    let out = Command::new("tcpdump")
        .args(["-n", "-r"])
        .arg(file)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    text(&out.stdout)
}

#[test]
fn two_guests_may_not_share_an_interface_and_a_lasting_one_stays() {
    if !may_run() {
        return;
    }
    let shown = succeeds(&format!(
        r#"{START}
        ip tuntap add dev ct1 mode tap
        start ct1 --net tap:ct1,mtu=1400
        ip link show ct1
        "$MONITOR" --net tap:ct1 "$IMAGE" || test $? = 125
        stop
        ip link show ct1 > /dev/null
        "#
    ));
    assert!(shown.contains("mtu 1400"), "{shown}");
    assert!(shown.contains("interface ct1 is in use"), "{shown}");
}

#[test]
fn a_tap_joins_a_bridge() {
    if !may_run() {
        return;
    }
    let shown = succeeds(&format!(
        r#"{START}
        ip link add br0 type bridge
        ip link set br0 up
        ip addr add 10.9.0.1/24 dev br0
        start compat0 --net tap,bridge=br0,ip=10.9.0.2/24
        ip link show compat0
        ping -c 2 -i 0.2 -W 5 10.9.0.2
        stop"#
    ));
    assert!(
        shown.contains("master br0") && shown.contains("2 received"),
        "{shown}"
    );
}

#[test]
fn what_cannot_be_had_is_refused_before_the_guest_runs() {
    if !may_run() {
        return;
    }
    for (command, expected) in [
        (
            "\"$MONITOR\" --net tap,bridge=nobridge",
            "there is no bridge nobridge",
        ),
        ("\"$MONITOR\" --net tap,bridge=lo", "lo is no bridge"),
        ("\"$MONITOR\" --net tap:lo", "lo exists and is no tap"),
        (
            "\"$MONITOR\" --net tap,nonsense=1",
            "unknown key: 'nonsense'",
        ),
        (
            "setpriv --bounding-set -net_admin \"$MONITOR\" --net tap:ct2",
            "ip tuntap add dev ct2 mode tap user $USER",
        ),
        (
            "unshare --mount sh -c 'mount -t tmpfs none /dev; exec \"$0\" \"$@\"' \"$MONITOR\" --net tap",
            "no /dev/net/tun",
        ),
    ] {
        let out = script(&format!("{command} \"$IMAGE\""));
        let shown = text(&out.stderr);
        assert_eq!(out.status.code(), Some(125), "{command}: {shown}");
        assert!(
            shown.contains(expected) && !shown.contains("ready"),
            "{shown}"
        );
    }
}

#[test]
fn an_interface_that_is_deleted_does_not_keep_the_monitor_busy() {
    if !may_run() {
        return;
    }
    succeeds(&format!(
        r#"{START}
        start ct3 --net tap:ct3
        ip link delete ct3
        sleep 0.3
        ticks() {{ for t in /proc/$pid/task/*; do
            if grep -qx net "$t/comm"; then awk '{{ print $14 + $15 }}' "$t/stat"; fi; done; }}
        before=$(ticks)
        sleep 0.5
        test $(($(ticks) - before)) -le 2
        stop"#
    ));
}

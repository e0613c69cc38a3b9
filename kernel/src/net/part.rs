//! The network as a part: everything by which the rest of the kernel reaches it.
#![allow(unsafe_code)]

use super::{files, polling, stats};
use crate::boot::Config;
use crate::parts::{self, Devices, Network as Part};
use crate::time;
use ::net::{NetConfig, NetMode, Network};
use alloc::string::String;
use alloc::sync::Arc;
use spin::Once;
use vfs::FsContext;

// SAFETY: the name is this static's alone; `parts::network` reads it as what it is.
#[unsafe(export_name = "compat.part.network")]
static PART: Part = Part {
    init,
    devices: Devices {
        poll: polling::poll,
        handle_interrupts: polling::handle_interrupts,
        rests_at_the_monitor: polling::rests_at_the_monitor,
        spin_time: polling::spin_time,
        spun_with_success: polling::spun_with_success,
        before_halt: polling::before_halt,
        after_halt: polling::after_halt,
    },
    show: |file, out| network().show(file, out),
    set_local_port_range: |text| network().set_local_port_range(text),
    interfaces: || network().sysfs_interfaces(),
    ioctl: |command, argument, memory, env| network().ioctl(command, argument, memory, env),
    stats: stats::report,
};

static NETWORK: Once<Arc<Network>> = Once::new();

/// The one network. Whoever calls this needs the part.
// SAFETY: the name is this function's alone, and nothing calls it by that.
#[unsafe(export_name = "compat.need.network")]
#[inline(never)]
pub fn network() -> &'static Arc<Network> {
    NETWORK.call_once(|| Network::new(time::host()))
}

fn init(config: &Config, files: &FsContext) {
    polling::init(&crate::boot::command_line());
    let net = config.net.as_deref().and_then(connect);
    files::write(files, config, net.as_ref());
}

/// Sets up the way out. The configuration comes back with what was learnt meanwhile.
fn connect(config: &[u8]) -> Option<NetConfig> {
    let mut net = NetConfig::parse(&String::from_utf8_lossy(config))
        .inspect_err(|why| say!("the network's configuration is not understood: {}", why.0))
        .ok()?;
    let (uplink, option) = match net.mode {
        NetMode::Forward => (parts::forward(), "user"),
        // Besides a tap interface, QEMU has it.
        NetMode::Card => (parts::card(), "tap"),
    };
    match uplink {
        Some(uplink) => {
            polling::watch(uplink);
            (uplink.init)(&mut net);
        }
        None => say!(
            "--net {option} was left out of this image: the network cannot be reached; wrap it with --net {option} or --net all"
        ),
    }
    Some(net)
}

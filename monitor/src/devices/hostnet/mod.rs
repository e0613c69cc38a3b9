//! The socket device: connections and datagrams of the guest are those of sockets of the monitor (see [`boot_abi::hostnet`]).
//!
//! Bytes go straight between the host's sockets and guest memory. Nothing depends on how many sockets there are: the host reports
//! changes once (edge-triggered epoll), and what has something to do stands in a list.

mod addresses;
mod context;
mod datagrams;
mod device;
mod message;
mod options;
mod policy;
mod ports;
mod publish;
mod server;
mod stream;
mod sys;
mod thread;
mod turns;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use addresses::configuration;
pub use device::HostNet;
pub use options::permitted as permitted_options;
pub use thread::{Service, see_out, serve};
pub use turns::Turns;

use crate::error::{Error, Result, host};
use crate::stats::NetCounters;

/// What the command line says about the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The guest has a way out.
    pub enabled: bool,
    publish: Vec<publish::Publish>,
    allow: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: true,
            publish: Vec::new(),
            allow: Vec::new(),
        }
    }
}

impl Settings {
    /// The value of `--net`.
    pub fn set_mode(&mut self, mode: &str) -> Result<()> {
        self.enabled = match mode {
            "user" => true,
            "none" => false,
            _ => {
                return Err(Error::Usage(format!(
                    "--net is 'user', 'none' or 'tap[:NAME][,KEY=VALUE]...', not '{mode}'"
                )));
            }
        };
        Ok(())
    }

    /// A value of `--publish`.
    pub fn add_port(&mut self, text: &str) -> Result<()> {
        self.publish.extend(publish::parse(text)?);
        Ok(())
    }

    /// A value of `--allow-net`.
    pub fn add_allowed(&mut self, text: &str) {
        self.allow.push(text.to_owned());
    }

    /// The text of the guest's configuration record.
    pub fn record(&self) -> Option<String> {
        let ipv6 = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
        self.enabled
            .then(|| configuration(addresses::has_ipv6(&ipv6), &resolver().search))
    }

    /// Binds the published ports and makes the device, if there is one.
    pub fn build(&self, counters: &Arc<NetCounters>) -> Result<Option<HostNet>> {
        if !self.enabled {
            return match (self.publish.is_empty(), self.allow.is_empty()) {
                (true, true) => Ok(None),
                (false, _) => Err(Error::Usage("--publish needs --net user".to_owned())),
                // Nobody would see to it.
                _ => Err(Error::Usage("--allow-net needs --net user".to_owned())),
            };
        }
        sys::raise_descriptor_limit();
        let bound = publish::bind_all(&self.publish)?;
        let policy = policy::Policy::new(&self.allow)?;
        let addresses = addresses::Addresses {
            server: resolver().server,
        };
        HostNet::new(bound, addresses, policy, Arc::clone(counters))
            .map(Some)
            .map_err(host("cannot set up the network"))
    }
}

fn resolver() -> addresses::Resolver {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    addresses::Resolver::read(&text)
}

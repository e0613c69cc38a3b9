//! The files by which programs find names and name servers: resolv.conf(5) and hosts(5).

use crate::boot::Config;
use ::net::NetConfig;
use alloc::string::String;
use linux_abi::Errno;
use linux_abi::raw::general::{O_CREAT, O_EXCL, O_WRONLY};
use vfs::{At, Credentials, FsContext, OpenHow, SliceSource};

const RESOLV_CONF: &[u8] = b"/etc/resolv.conf";
const HOSTS: &[u8] = b"/etc/hosts";

/// Writes them into the root's layer in memory: the name servers are those of this run, whatever the image has; names of
/// hosts are the image's, if it has any.
pub fn write(context: &FsContext, config: &Config, net: Option<&NetConfig>) {
    let credentials = Credentials::default();
    let at = At::cwd(context, &credentials);
    if let Some(text) = net.and_then(NetConfig::resolv_conf) {
        // What is there may be a link to a file that the image does not have.
        let removed = match at.unlink(RESOLV_CONF) {
            Err(Errno::ENOENT) => Ok(()),
            other => other,
        };
        complain(
            RESOLV_CONF,
            removed.and_then(|()| create(&at, RESOLV_CONF, &text)),
        );
    }
    let addresses = net.map_or(&[][..], |net| &net.addresses);
    let host_name = String::from_utf8_lossy(&config.hostname);
    let made = create(&at, HOSTS, &::net::hosts(&host_name, addresses));
    if made != Err(Errno::EEXIST) {
        complain(HOSTS, made);
    }
}

fn complain(path: &[u8], outcome: Result<(), Errno>) {
    if let Err(errno) = outcome {
        say!("cannot write {}: {errno:?}", String::from_utf8_lossy(path));
    }
}

fn create(at: &At<'_>, path: &[u8], text: &str) -> Result<(), Errno> {
    match at.mkdir(b"/etc", 0o755) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(errno),
    }
    let how = OpenHow {
        flags: O_WRONLY | O_CREAT | O_EXCL,
        mode: 0o644,
        resolve: None,
    };
    at.open(path, &how)?
        .write(&mut SliceSource::new(text.as_bytes()))
        .map(drop)
}

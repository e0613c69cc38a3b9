//! The run-time configuration: what this run adds to the image's own.

use std::path::Path;

use boot_abi::config::{self as abi, Records};

use crate::args::Options;
use crate::error::{Error, Result};
use crate::host::{self, Streams};

const SEED_LEN: usize = 64;

/// Collects records in the format of [`boot_abi::config`].
pub struct Blob(Vec<u8>);

impl Blob {
    pub fn new() -> Self {
        Self(abi::MAGIC.to_vec())
    }

    pub fn push(&mut self, tag: u32, data: &[u8]) -> Result<()> {
        let len = u32::try_from(data.len()).map_err(|_| Error::ConfigTooBig(data.len()))?;
        self.0.extend(tag.to_le_bytes());
        self.0.extend(len.to_le_bytes());
        self.0.extend(data);
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        Ok(())
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// `stdin`: where it begins, if it is a file that the guest may read at any offset. `network`: the text of the `NET` record, if the machine has one.
pub fn build(
    options: &Options,
    streams: &Streams,
    stdin: Option<u64>,
    network: Option<&str>,
) -> Result<Vec<u8>> {
    let mut blob = Blob::new();
    if let Some(path) = &options.config {
        copy_records(&mut blob, path)?;
    }
    if options.clear_env {
        blob.push(abi::CLEAR_ENV, &[])?;
    }
    for variable in inherited(options, streams).iter().chain(&options.env) {
        blob.push(abi::ENV, variable)?;
    }
    for arg in &options.args {
        blob.push(abi::ARG, arg)?;
    }
    for (tag, value) in [(abi::ARG0, &options.arg0), (abi::CWD, &options.cwd)] {
        if let Some(value) = value {
            blob.push(tag, value)?;
        }
    }
    let hostname = options.hostname.clone().or_else(host::name);
    if let Some(name) = hostname {
        blob.push(abi::HOSTNAME, &name)?;
    }
    blob.push(abi::STREAMS, &stream_record(streams))?;
    if let Some(position) = stdin {
        blob.push(abi::STDIN_FILE, &position.to_le_bytes())?;
    }
    if let Some(text) = network {
        blob.push(abi::NET, text.as_bytes())?;
    }
    if let Some((_, settings)) = &options.trace {
        blob.push(abi::TRACE, settings.as_bytes())?;
    }
    let mut seed = [0; SEED_LEN];
    host::random(&mut seed)?;
    blob.push(abi::SEED, &seed)?;
    Ok(blob.into_bytes())
}

/// A program on a terminal must know which; nothing else of the host's environment reaches it from here.
fn inherited(options: &Options, streams: &Streams) -> Vec<Vec<u8>> {
    if !streams.any_terminal() {
        return Vec::new();
    }
    let names = ["TERM", "COLORTERM"].into_iter();
    names
        .filter_map(|name| {
            let prefix = [name.as_bytes(), b"="].concat();
            let given = options.env.iter().any(|v| v.starts_with(&prefix));
            let value = std::env::var_os(name).filter(|_| !given)?;
            Some([&prefix, value.as_encoded_bytes()].concat())
        })
        .collect()
}

fn stream_record(streams: &Streams) -> [u8; 8] {
    let [stdin, stdout, stderr] = streams.kinds;
    let ([r0, r1], [c0, c1]) = (streams.rows.to_le_bytes(), streams.columns.to_le_bytes());
    [stdin, stdout, stderr, streams.flags, r0, r1, c0, c1]
}

fn copy_records(blob: &mut Blob, path: &Path) -> Result<()> {
    let raw = std::fs::read(path).map_err(|source| Error::Open {
        path: path.to_owned(),
        source,
    })?;
    if !raw.starts_with(abi::MAGIC) {
        return Err(Error::BadConfig {
            path: path.to_owned(),
        });
    }
    let mut read = abi::MAGIC.len();
    for (tag, data) in Records::new(&raw) {
        blob.push(tag, data)?;
        read += 8 + data.len().next_multiple_of(8);
    }
    // The iterator stops silently at a malformed record; the padding of the last one may be missing.
    if read < raw.len() {
        Err(Error::BadConfig {
            path: path.to_owned(),
        })
    } else {
        Ok(())
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;

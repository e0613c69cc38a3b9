//! The configuration: the image's records with the run-time ones laid over them.

use alloc::vec::Vec;
use boot_abi::config::{self, Records};

/// What to run and how.
#[derive(Default, Clone)]
pub struct Config {
    pub exe: Vec<u8>,
    /// argv, with argv[0].
    pub args: Vec<Vec<u8>>,
    pub env: Vec<Vec<u8>>,
    pub cwd: Vec<u8>,
    pub hostname: Vec<u8>,
    pub uid: u32,
    pub gid: u32,
    pub umask: u32,
    /// Kinds of stdin, stdout, stderr.
    pub streams: [u8; 3],
    pub stream_flags: u8,
    /// Where standard input begins, if it is a file that can be read at any offset.
    pub stdin_position: Option<u64>,
    pub rows: u16,
    pub columns: u16,
    pub seed: Vec<u8>,
    /// The text of `boot_abi::netconf`.
    pub net: Option<Vec<u8>>,
    /// The text of `boot_abi::trace::Settings`.
    pub trace: Option<Vec<u8>>,
}

impl Config {
    /// The image's records, overridden by the run-time ones.
    #[must_use]
    pub fn read(image: &[u8], run: &[u8]) -> Self {
        let mut config = Self {
            cwd: b"/".to_vec(),
            hostname: b"compat".to_vec(),
            umask: 0o022,
            streams: [config::STREAM_PIPE; 3],
            ..Self::default()
        };
        let mut arg0 = Vec::new();
        let replaces_args = Records::new(run).any(|(tag, _)| tag == config::ARG);
        for (tag, data) in Records::new(image)
            .filter(|(tag, _)| *tag != config::ARG || !replaces_args)
            .chain(Records::new(run))
        {
            match tag {
                config::ARG0 => arg0 = data.to_vec(),
                _ => config.apply(tag, data),
            }
        }
        let arg0 = if arg0.is_empty() {
            config.exe.clone()
        } else {
            arg0
        };
        config.args.insert(0, arg0);
        config
    }

    fn apply(&mut self, tag: u32, data: &[u8]) {
        let word = |at: usize| {
            data.get(at..at + 4)
                .and_then(|b| b.try_into().ok())
                .map_or(0, u32::from_le_bytes)
        };
        let half = |at: usize| {
            data.get(at..at + 2)
                .and_then(|b| b.try_into().ok())
                .map_or(0, u16::from_le_bytes)
        };
        match tag {
            config::EXE => self.exe = data.to_vec(),
            config::ARG => self.args.push(data.to_vec()),
            config::ENV => self.set_env(data),
            config::CLEAR_ENV => self.env.clear(),
            config::CWD => self.cwd = data.to_vec(),
            config::HOSTNAME => self.hostname = data.to_vec(),
            config::IDS => (self.uid, self.gid) = (word(0), word(4)),
            config::UMASK => self.umask = word(0) & 0o777,
            config::NET => self.net = Some(data.to_vec()),
            config::TRACE => self.trace = Some(data.to_vec()),
            config::SEED => self.seed.extend_from_slice(data),
            config::STDIN_FILE => {
                self.stdin_position = data.try_into().ok().map(u64::from_le_bytes);
            }
            config::STREAMS => {
                self.streams
                    .iter_mut()
                    .zip(data)
                    .for_each(|(slot, kind)| *slot = *kind);
                self.stream_flags = data.get(3).copied().unwrap_or(0);
                (self.rows, self.columns) = (half(4), half(6));
            }
            _ => {}
        }
    }

    /// Replaces the variable of the same name.
    fn set_env(&mut self, entry: &[u8]) {
        let key = |entry: &[u8]| entry.iter().position(|&b| b == b'=').unwrap_or(entry.len());
        let name = &entry[..key(entry)];
        match self.env.iter_mut().find(|old| old[..key(old)] == *name) {
            Some(old) => *old = entry.to_vec(),
            None => self.env.push(entry.to_vec()),
        }
    }
}

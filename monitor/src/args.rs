//! Command-line arguments, or their replacement when this executable carries an image.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use lexopt::prelude::{Long, Short, Value};

use crate::devices::hostnet;
use crate::error::{Error, Result};
use crate::tap::TapOptions;

pub const DEFAULT_MEMORY: u64 = 512 << 20;
/// Less does not hold the kernel's own tables; more does not fit its map of physical memory.
const MEMORY: std::ops::RangeInclusive<u64> = 8 << 20..=128 << 30;
const MAX_CPUS: u32 = 64;

pub const HELP: &str = "\
Usage: compat-monitor [OPTION]... IMAGE [-- ARGUMENT...]
Runs IMAGE in a virtual machine of its own.

  --mem SIZE         memory of the machine, with suffix K, M or G (default 512M)
  --cpus N           number of CPUs (default 1)
  --env KEY=VALUE    set a variable of the program's environment
  --clear-env        drop the environment that the image sets
  --arg0 NAME        the program's argv[0]
  --cwd DIR          the program's working directory
  --hostname NAME    the machine's name (default: the host's)
  --net MODE         'user' (default): sockets reach the outside as this user's; 'none'; or
        tap[:NAME][,KEY=VALUE]...
                     a network card on a tap interface of the host; keys: ip (ADDRESS/PREFIX or dhcp), gateway, dns,
                     mac, mtu, bridge; ip, gateway and dns may be repeated
  --publish [IP:]HOST:GUEST[/tcp|/udp]
                     connect a port of the host to one of the machine; HOST 0: any that is free
  --allow-net HOST:PORT
                     let the program reach nothing but this (a name, address, network or '*';
                     a port, a range or '*'), 'dns' (the name server) or 'none'
  --config FILE      more configuration records, as in an image
  --json-stats FILE  write counters and times to FILE
  --pcap FILE        write what the guest sends and receives to FILE, for tcpdump
  --trace FILE SETTINGS
                     write records of the program's system calls to FILE; SETTINGS: 'STRSIZE CALLS', see boot_abi::trace
  --debug-faults SPEC
                     have things go wrong in a kernel that was built for it, see boot_abi::faults
  --control PATH     where this run answers 'compat stats' (default: PID.sock in $XDG_RUNTIME_DIR/compat or
                     /tmp/compat-UID, if that can be made), or none
  --help, --version
";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// `None`: the image is at the end of this executable.
    pub image: Option<PathBuf>,
    pub memory: u64,
    pub cpus: u32,
    pub env: Vec<Vec<u8>>,
    pub clear_env: bool,
    pub arg0: Option<Vec<u8>>,
    pub cwd: Option<Vec<u8>>,
    pub hostname: Option<Vec<u8>>,
    pub net: hostnet::Settings,
    /// Instead of the socket device.
    pub tap: Option<TapOptions>,
    pub config: Option<PathBuf>,
    pub json_stats: Option<PathBuf>,
    pub pcap: Option<PathBuf>,
    /// File, and what `boot_abi::trace::Settings` reads.
    pub trace: Option<(PathBuf, String)>,
    /// For the kernel's fault injector.
    pub faults: Option<String>,
    pub control: Control,
    pub args: Vec<Vec<u8>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            image: None,
            memory: DEFAULT_MEMORY,
            cpus: 1,
            env: Vec::new(),
            clear_env: false,
            arg0: None,
            cwd: None,
            hostname: None,
            net: hostnet::Settings::default(),
            config: None,
            json_stats: None,
            tap: None,
            pcap: None,
            trace: None,
            faults: None,
            control: Control::Default,
            args: Vec::new(),
        }
    }
}

impl Options {
    /// The value of `--net`; the last one counts.
    fn set_network(&mut self, text: &str) -> Result<()> {
        self.tap = TapOptions::parse(text).transpose()?;
        let mode = if self.tap.is_some() { "none" } else { text };
        self.net.set_mode(mode)
    }
}

/// Where the control socket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    Default,
    None,
    At(PathBuf),
}

#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    Run(Box<Options>),
    Help,
    Version,
}

/// `args` without the monitor's own name.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command> {
    let mut parser = lexopt::Parser::from_args(args);
    let mut options = Options::default();
    while let Some(arg) = parser.next().map_err(usage)? {
        match arg {
            Short('h') | Long("help") => return Ok(Command::Help),
            Long("version") => return Ok(Command::Version),
            Long("mem") => options.memory = memory_size(&parser.value().map_err(usage)?)?,
            Long("cpus") => options.cpus = cpu_count(&parser.value().map_err(usage)?)?,
            Long("env") => options.env.push(variable(parser.value().map_err(usage)?)?),
            Long("clear-env") => options.clear_env = true,
            Long("arg0") => options.arg0 = Some(parser.value().map_err(usage)?.into_vec()),
            Long("cwd") => options.cwd = Some(parser.value().map_err(usage)?.into_vec()),
            Long("hostname") => options.hostname = Some(parser.value().map_err(usage)?.into_vec()),
            Long("net") => options.set_network(&text(&mut parser)?)?,
            Long("publish") => options.net.add_port(&text(&mut parser)?)?,
            Long("allow-net") => options.net.add_allowed(&text(&mut parser)?),
            Long("config") => options.config = Some(parser.value().map_err(usage)?.into()),
            Long("json-stats") => options.json_stats = Some(parser.value().map_err(usage)?.into()),
            Long("pcap") => options.pcap = Some(parser.value().map_err(usage)?.into()),
            Long("trace") => options.trace = Some(trace(&mut parser)?),
            Long("debug-faults") => options.faults = Some(faults(&mut parser)?),
            Long("control") => options.control = control(parser.value().map_err(usage)?),
            Value(image) => {
                options.image = Some(image.into());
                options.args = program_arguments(&mut parser)?;
            }
            other => return Err(usage(other.unexpected())),
        }
    }
    if options.image.is_none() {
        return Err(Error::Usage("no image given".to_owned()));
    }
    Ok(Command::Run(Box::new(options)))
}

fn trace(parser: &mut lexopt::Parser) -> Result<(PathBuf, String)> {
    let file = parser.value().map_err(usage)?.into();
    let settings = text(parser)?;
    match boot_abi::trace::Settings::parse(&settings) {
        Some(_) => Ok((file, settings)),
        None => Err(Error::Usage(format!(
            "not settings of a trace: '{settings}'"
        ))),
    }
}

/// It becomes a word of the kernel's command line.
fn faults(parser: &mut lexopt::Parser) -> Result<String> {
    let plan = text(parser)?;
    match boot_abi::faults::Plan::parse(&plan) {
        Some(_) => Ok(plan),
        None => Err(Error::Usage(format!("not a plan of faults: '{plan}'"))),
    }
}

fn text(parser: &mut lexopt::Parser) -> Result<String> {
    let value = parser.value().map_err(usage)?;
    let bad = |value: OsString| Error::Usage(format!("not text: '{}'", value.display()));
    value.into_string().map_err(bad)
}

/// All that follows the image belongs to the program, after `--` if it is there.
fn program_arguments(parser: &mut lexopt::Parser) -> Result<Vec<Vec<u8>>> {
    let mut rest = parser
        .raw_args()
        .map_err(usage)?
        .map(OsString::into_vec)
        .peekable();
    rest.next_if(|first| first == b"--");
    Ok(rest.collect())
}

/// What the user's environment says about language and time; so do all names that start with `LC_`.
const OF_USER: [&[u8]; 3] = [b"LANG", b"LANGUAGE", b"TZ"];
/// `COMPAT_ENV_NAME=VALUE` sets NAME for the program.
const FOR_PROGRAM: &[u8] = b"COMPAT_ENV_";
const MEMORY_VARIABLE: &[u8] = b"COMPAT_MEM";
/// As the options of these names; lists are separated by spaces.
const NET_VARIABLE: &[u8] = b"COMPAT_NET";
const PUBLISH_VARIABLE: &[u8] = b"COMPAT_PUBLISH";
const ALLOW_VARIABLE: &[u8] = b"COMPAT_ALLOW_NET";

/// An executable with an image takes no options: all arguments are the program's, and the environment says the rest.
pub fn standalone(
    mut argv: impl Iterator<Item = OsString>,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Options> {
    let mut options = Options {
        arg0: argv.next().map(OsString::into_vec),
        args: argv.map(OsString::into_vec).collect(),
        ..Options::default()
    };
    let mut for_program = Vec::new();
    for (name, value) in environment {
        let (name, value_bytes) = (name.as_bytes(), value.as_bytes());
        if name == MEMORY_VARIABLE {
            options.memory = memory_size(&value)?;
        } else if [NET_VARIABLE, PUBLISH_VARIABLE, ALLOW_VARIABLE].contains(&name) {
            let text = value.to_string_lossy();
            for word in text.split_ascii_whitespace() {
                match name {
                    NET_VARIABLE => options.set_network(word)?,
                    PUBLISH_VARIABLE => options.net.add_port(word)?,
                    _ => options.net.add_allowed(word),
                }
            }
        } else if let Some(name) = name.strip_prefix(FOR_PROGRAM).filter(|n| !n.is_empty()) {
            for_program.push([name, b"=", value_bytes].concat());
        } else if OF_USER.contains(&name) || name.starts_with(b"LC_") {
            options.env.push([name, b"=", value_bytes].concat());
        }
    }
    // Last, since the last of one name counts.
    options.env.extend(for_program);
    Ok(options)
}

fn usage(error: lexopt::Error) -> Error {
    Error::Usage(error.to_string())
}

/// A number with an optional suffix K, M or G.
fn memory_size(text: &std::ffi::OsStr) -> Result<u64> {
    let bad = || Error::Usage(format!("not a memory size: '{}'", text.display()));
    let bytes = text.as_bytes();
    let (digits, unit) = match bytes.split_last().ok_or_else(bad)? {
        (b'K' | b'k', rest) => (rest, 1u64 << 10),
        (b'M' | b'm', rest) => (rest, 1 << 20),
        (b'G' | b'g', rest) => (rest, 1 << 30),
        _ => (bytes, 1),
    };
    let number: u64 = std::str::from_utf8(digits)
        .ok()
        .and_then(|n| n.parse().ok())
        .ok_or_else(bad)?;
    let size = number.checked_mul(unit);
    size.filter(|size| MEMORY.contains(size)).ok_or_else(|| {
        Error::Usage(format!(
            "a machine has at least {}M and at most {}G of memory, not '{}'",
            MEMORY.start() >> 20,
            MEMORY.end() >> 30,
            text.display()
        ))
    })
}

fn control(text: OsString) -> Control {
    if text == "none" {
        Control::None
    } else {
        Control::At(text.into())
    }
}

fn cpu_count(text: &std::ffi::OsStr) -> Result<u32> {
    let count = text
        .to_str()
        .and_then(|t| t.parse().ok())
        .filter(|n| (1..=MAX_CPUS).contains(n));
    count.ok_or_else(|| {
        Error::Usage(format!(
            "not a number of CPUs from 1 to {MAX_CPUS}: '{}'",
            text.display()
        ))
    })
}

fn variable(text: OsString) -> Result<Vec<u8>> {
    let bytes = text.into_vec();
    match bytes.iter().position(|b| *b == b'=') {
        None | Some(0) => Err(Error::Usage(format!(
            "not KEY=VALUE: '{}'",
            bytes.escape_ascii()
        ))),
        Some(_) => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(args: &[&str]) -> Result<Options> {
        match parse(args.iter().map(OsString::from))? {
            Command::Run(options) => Ok(*options),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_stop_at_the_image() {
        let options = run(&["--mem", "64M", "--env", "A=1", "x.img", "--", "-l", "--mem"]).unwrap();
        assert_eq!(options.memory, 64 << 20);
        assert_eq!(options.env, [b"A=1".to_vec()]);
        assert_eq!(options.args, [b"-l".to_vec(), b"--mem".to_vec()]);
    }

    #[test]
    fn a_second_double_dash_is_the_programs() {
        assert_eq!(
            run(&["x", "--", "--", "a"]).unwrap().args,
            [b"--".to_vec(), b"a".to_vec()]
        );
        assert_eq!(
            run(&["x", "a", "--"]).unwrap().args,
            [b"a".to_vec(), b"--".to_vec()]
        );
    }

    #[test]
    fn a_network_and_what_watches_it() {
        let options = run(&["--net", "tap:t0", "--pcap", "f", "--control", "none", "x"]).unwrap();
        assert_eq!(options.tap.unwrap().name.as_deref(), Some("t0"));
        assert_eq!(options.pcap, Some("f".into()));
        assert_eq!(options.control, Control::None);
        assert!(!options.net.enabled);
        let options = run(&["--net", "tap", "--net", "user", "x"]).unwrap();
        assert_eq!((options.tap, options.net.enabled), (None, true));
        let options = run(&["--control", "/a/b", "x"]).unwrap();
        assert_eq!(options.control, Control::At("/a/b".into()));
    }

    #[test]
    fn a_trace_has_a_file_and_settings() {
        let options = run(&["--trace", "/dev/fd/3", "32 all", "x"]).unwrap();
        let trace = options.trace.unwrap();
        assert_eq!(trace, ("/dev/fd/3".into(), "32 all".to_owned()));
        for bad in [&["--trace", "f", "x y", "i"][..], &["--trace", "f"]] {
            assert!(run(bad).is_err());
        }
    }

    #[test]
    fn faults_are_one_word_of_the_command_line() {
        let options = run(&["--debug-faults", "frame=1/9,seed=2", "x"]).unwrap();
        assert_eq!(options.faults.as_deref(), Some("frame=1/9,seed=2"));
        for bad in ["", "frame=1/9 x=y", "disk=1/2"] {
            assert!(run(&["--debug-faults", bad, "x"]).is_err());
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            &["--mem", "x", "i"][..],
            &["--mem", "", "i"],
            &["--mem", "0", "i"],
            &["--mem", "8191K", "i"],
            &["--mem", "129G", "i"],
            &["--mem", "99999999999G", "i"],
            &["--cpus", "0", "i"],
            &["--cpus", "65", "i"],
            &["--env", "=x", "i"],
            &["--env", "x", "i"],
            &["--what", "i"],
            &["--net", "tape", "i"],
            &["--net", "tap,mtu=x", "i"],
            &[],
        ] {
            assert!(run(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn standalone_takes_all_arguments_and_some_of_the_environment() {
        let argv = ["./hello", "--mem", "1"].map(OsString::from);
        let environment = [
            ("COMPAT_ENV_TZ", "UTC"),
            ("COMPAT_ENV_A", "1=2"),
            ("TZ", "CET"),
            ("LC_ALL", "C"),
            ("HOME", "/root"),
            ("COMPAT_ENV_", "x"),
            ("COMPAT_MEM", "8M"),
            ("COMPAT_PUBLISH", "8080:80 5353:53/udp"),
            ("COMPAT_ALLOW_NET", "none"),
        ]
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let options = standalone(argv.into_iter(), environment.into_iter()).unwrap();
        assert_eq!(options.arg0.as_deref(), Some(b"./hello".as_slice()));
        assert_eq!(options.args, [b"--mem".to_vec(), b"1".to_vec()]);
        assert_eq!(options.memory, 8 << 20);
        let mut net = hostnet::Settings::default();
        net.add_port("8080:80").unwrap();
        net.add_port("5353:53/udp").unwrap();
        net.add_allowed("none");
        assert_eq!(options.net, net);
        let expected: [&[u8]; 4] = [b"TZ=CET", b"LC_ALL=C", b"TZ=UTC", b"A=1=2"];
        assert_eq!(options.env, expected);
    }
}

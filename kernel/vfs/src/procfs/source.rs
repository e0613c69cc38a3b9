//! What the kernel tells /proc and /sys.
use crate::fdtable::FdTable;
use crate::mount::Place;
use crate::{Errno, Result};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_abi::CapSet;

/// The answers that generated files are made of. A process or thread that is not there is none.
pub trait ProcSource: Send + Sync {
    /// Process and thread that ask.
    fn current(&self) -> (u32, u32);

    /// All processes, ascending.
    fn processes(&self) -> Vec<u32>;

    /// The threads of a process, ascending.
    fn threads(&self, pid: u32) -> Vec<u32>;

    /// When a thread of a process was started, in nanoseconds since the kernel was. In every path below /proc.
    fn started(&self, pid: u32, tid: u32) -> Option<u64>;

    /// A thread of a process; `tid == pid` is the process as a whole.
    fn process(&self, pid: u32, tid: u32) -> Option<ProcessInfo>;

    /// What a process holds of memory. All its pages are looked at.
    fn memory_use(&self, pid: u32) -> Option<MemoryUse>;

    /// The mappings of a process, ascending.
    fn maps(&self, pid: u32, emit: &mut dyn FnMut(&MapEntry<'_>)) -> Result<()>;

    /// Arguments, each with its terminating zero.
    fn command_line(&self, pid: u32) -> Option<Vec<u8>>;

    /// The environment that the process was started with, each string with its terminating zero.
    fn environment(&self, pid: u32) -> Option<Vec<u8>>;

    /// The auxiliary vector, as it lies in memory.
    fn auxv(&self, pid: u32) -> Option<Vec<u8>>;

    fn files(&self, pid: u32) -> Option<Arc<FdTable>>;

    fn place(&self, pid: u32, which: ProcPlace) -> Option<Place>;

    /// The resource limits, in the order of their numbers.
    fn limits(&self, pid: u32) -> Option<[Limit; 16]>;

    /// The threshold by which the kernel picks what to kill; -1000 to 1000.
    fn oom_score_adj(&self, _pid: u32) -> i32 {
        0
    }

    fn set_oom_score_adj(&self, _pid: u32, _value: i32) -> Result<()> {
        Err(Errno::EACCES)
    }

    /// Sets the name of a thread, at most 15 bytes.
    fn set_comm(&self, _pid: u32, _tid: u32, _name: &[u8]) -> Result<()> {
        Err(Errno::EACCES)
    }

    fn memory(&self) -> SystemMemory;

    /// How many CPUs there are; they are all alike and online.
    fn cpu_count(&self) -> u32;

    fn cpu(&self) -> CpuInfo;

    fn uname(&self) -> Uname;

    fn set_hostname(&self, _name: &[u8]) -> Result<()> {
        Err(Errno::EPERM)
    }

    /// Nanoseconds since the start.
    fn uptime(&self) -> u64;

    /// `CLOCK_REALTIME` at the start, in seconds.
    fn boot_time(&self) -> u64;

    /// Nanoseconds that all CPUs together spent in programs, in the kernel, and idle.
    fn cpu_times(&self) -> [u64; 3];

    /// Switches between threads, all in all.
    fn context_switches(&self) -> u64 {
        0
    }

    /// Load averages over 1, 5 and 15 minutes, in hundredths.
    fn load(&self) -> [u32; 3] {
        [0; 3]
    }

    /// A number for this run of the kernel.
    fn boot_id(&self) -> [u8; 16];

    /// Random bytes for a new UUID.
    fn random_id(&self) -> [u8; 16];

    /// Appends the text of a file of /proc/net.
    fn network(&self, _file: NetFile, _out: &mut Vec<u8>) {}

    /// A new text of /proc/sys/net/ipv4/ip_local_port_range. `EINVAL`
    fn set_local_port_range(&self, _text: &[u8]) -> Result<()> {
        Err(Errno::EINVAL)
    }

    /// The network interfaces, `lo` first.
    fn interfaces(&self) -> Vec<NetInterface> {
        Vec::new()
    }

    /// The kernel's own command line.
    fn kernel_command_line(&self) -> String {
        String::new()
    }
}

/// The files of /proc/net.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NetFile {
    Arp,
    Dev,
    Icmp,
    Icmp6,
    IfInet6,
    Ipv6Route,
    /// /proc/sys/net/ipv4/ip_local_port_range
    LocalPortRange,
    Netlink,
    Netstat,
    Packet,
    Protocols,
    Raw,
    Raw6,
    Route,
    Snmp,
    Sockstat,
    Sockstat6,
    Tcp,
    Tcp6,
    Udp,
    Udp6,
    Unix,
}

/// A network interface, as /sys/class/net shows it.
#[derive(Clone, Default, Debug)]
pub struct NetInterface {
    pub name: String,
    pub index: u32,
    /// `IFF_*`
    pub flags: u32,
    pub mtu: u32,
    /// `ARPHRD_*`
    pub hardware_type: u16,
    pub hardware_address: [u8; 6],
    /// Packets, bytes, errors and drops, received and sent.
    pub received: [u64; 4],
    pub sent: [u64; 4],
}

/// The places that a process keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProcPlace {
    Exe,
    Cwd,
    Root,
}

/// A resource limit; `u64::MAX` is unlimited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit {
    pub soft: u64,
    pub hard: u64,
}

/// One line of /proc/pid/maps.
#[derive(Clone, Copy, Default, Debug)]
pub struct MapEntry<'a> {
    pub start: u64,
    pub end: u64,
    pub read: bool,
    pub write: bool,
    pub execute: bool,
    pub shared: bool,
    pub offset: u64,
    pub dev: u64,
    pub ino: u64,
    /// A path, `[heap]`, `[stack]`, `[vdso]` or nothing.
    pub name: &'a [u8],
    pub resident: Residence,
    /// By mlock(2).
    pub locked: bool,
}

/// What of a mapping is in memory, in bytes.
#[derive(Clone, Copy, Default, Debug)]
pub struct Residence {
    /// Of the process alone: anonymous memory, and its copies of what a file has.
    pub anonymous: u64,
    /// Pages of files in private mappings, as they lie in the image or in a file system.
    pub file: u64,
    /// Of shared mappings.
    pub shared: u64,
    /// Of all these, what is mapped by huge pages.
    pub huge: u64,
}

impl Residence {
    #[must_use]
    pub fn total(&self) -> u64 {
        self.anonymous + self.file + self.shared
    }
}

impl core::ops::AddAssign for Residence {
    fn add_assign(&mut self, other: Self) {
        self.anonymous += other.anonymous;
        self.file += other.file;
        self.shared += other.shared;
        self.huge += other.huge;
    }
}

/// What a process uses, in bytes.
#[derive(Clone, Copy, Default, Debug)]
pub struct MemoryUse {
    pub size: u64,
    pub size_peak: u64,
    pub resident: u64,
    pub resident_peak: u64,
    pub resident_anonymous: u64,
    pub resident_file: u64,
    pub resident_shared: u64,
    pub locked: u64,
    pub data: u64,
    pub stack: u64,
    pub text: u64,
    pub libraries: u64,
    pub page_tables: u64,
}

/// A process or thread.
#[derive(Clone, Default, Debug)]
pub struct ProcessInfo {
    pub pid: u32,
    pub tid: u32,
    pub ppid: u32,
    pub pgid: u32,
    pub sid: u32,
    /// Device number of the controlling terminal, 0 if none.
    pub tty: u32,
    /// Foreground process group of the terminal, -1 if none.
    pub tpgid: i32,
    /// `R`, `S`, `D`, `T`, `Z`.
    pub state: u8,
    pub comm: Vec<u8>,
    /// Real, effective, saved, file system.
    pub uids: [u32; 4],
    /// Inheritable, permitted, effective, bounding, ambient.
    pub capabilities: [CapSet; 5],
    pub gids: [u32; 4],
    pub groups: Vec<u32>,
    pub umask: u32,
    pub threads: u32,
    pub nice: i32,
    /// Nanoseconds.
    pub user_time: u64,
    pub system_time: u64,
    /// Nanoseconds since the start of the kernel.
    pub start_time: u64,
    pub minor_faults: u64,
    pub major_faults: u64,
    pub signals_pending: u64,
    pub signals_shared_pending: u64,
    /// How many wait, real-time ones each by itself.
    pub signals_queued: u64,
    pub signals_blocked: u64,
    pub signals_ignored: u64,
    pub signals_caught: u64,
    pub start_code: u64,
    pub end_code: u64,
    pub start_stack: u64,
    pub start_data: u64,
    pub end_data: u64,
    pub start_brk: u64,
    pub arg_start: u64,
    pub arg_end: u64,
    pub env_start: u64,
    pub env_end: u64,
    pub cpu: u32,
    /// CPUs it may run on, one bit each.
    pub affinity: u64,
    pub voluntary_switches: u64,
    pub involuntary_switches: u64,
    pub no_new_privs: bool,
    /// The mode, and how many filters there are.
    pub seccomp: (u32, u32),
    pub bytes_read: u64,
    pub bytes_written: u64,
    pub read_calls: u64,
    pub write_calls: u64,
}

/// The memory of the machine, in bytes.
#[derive(Clone, Copy, Default, Debug)]
pub struct SystemMemory {
    pub total: u64,
    pub free: u64,
    /// Pages of files that are held in memory.
    pub cached: u64,
    /// Of those, what in-memory file systems and shared mappings hold.
    pub shared: u64,
    pub anonymous: u64,
    pub page_tables: u64,
    pub kernel: u64,
    pub kernel_stacks: u64,
    pub committed: u64,
}

/// What /proc/cpuinfo says about each CPU.
#[derive(Clone, Default, Debug)]
pub struct CpuInfo {
    pub vendor: String,
    pub family: u32,
    pub model: u32,
    pub stepping: u32,
    pub model_name: String,
    pub khz: u64,
    pub cache_kib: u32,
    pub cpuid_level: u32,
    /// As Linux names them, separated by spaces.
    pub flags: String,
    pub clflush_size: u32,
    pub physical_bits: u32,
    pub virtual_bits: u32,
}

/// uname(2)
#[derive(Clone, Default, Debug)]
pub struct Uname {
    pub sysname: String,
    pub nodename: String,
    pub release: String,
    pub version: String,
    pub machine: String,
    pub domainname: String,
}

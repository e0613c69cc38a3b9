//! Mounts, /proc and /sys over a made-up machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod common;
use common::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use vfs::{
    At, CpuInfo, Errno, FdTable, FsContext, Limit, LookupFlags, MapEntry, MemFs, MemoryUse, Mount,
    NetFile, NetInterface, Place, ProcPlace, ProcSource, ProcessInfo, SystemMemory, Terminals,
    Uname, devfs, procfs, sysfs,
};

struct Machine {
    files: Arc<FdTable>,
    root: Place,
    exe: Place,
    /// How often somebody asked what the process holds of memory.
    counted: AtomicU32,
}

impl ProcSource for Machine {
    fn current(&self) -> (u32, u32) {
        (7, 8)
    }
    fn processes(&self) -> Vec<u32> {
        vec![7]
    }
    fn threads(&self, _pid: u32) -> Vec<u32> {
        vec![7, 8]
    }
    fn started(&self, pid: u32, tid: u32) -> Option<u64> {
        self.process(pid, tid).map(|info| info.start_time)
    }
    fn memory_use(&self, pid: u32) -> Option<MemoryUse> {
        self.counted.fetch_add(1, Ordering::Relaxed);
        (pid == 7).then(MemoryUse::default)
    }
    fn process(&self, pid: u32, tid: u32) -> Option<ProcessInfo> {
        let comm = b"my (odd) name".to_vec();
        let info = ProcessInfo {
            pid,
            tid,
            ppid: 1,
            state: b'R',
            comm,
            threads: 2,
            tpgid: -1,
            ..ProcessInfo::default()
        };
        (pid == 7 && (tid == 7 || tid == 8)).then_some(info)
    }
    fn maps(&self, _pid: u32, emit: &mut dyn FnMut(&MapEntry<'_>)) -> Result<(), Errno> {
        emit(&MapEntry {
            start: 0x40_0000,
            end: 0x40_1000,
            read: true,
            execute: true,
            dev: 0x801,
            ino: 12,
            name: b"/bin/x",
            ..MapEntry::default()
        });
        emit(&MapEntry {
            start: 0x7fff_0000_0000,
            end: 0x7fff_0002_1000,
            read: true,
            write: true,
            ..MapEntry::default()
        });
        Ok(())
    }
    fn command_line(&self, _pid: u32) -> Option<Vec<u8>> {
        Some(b"x\0arg\0".to_vec())
    }
    fn environment(&self, _pid: u32) -> Option<Vec<u8>> {
        Some(b"A=1\0".to_vec())
    }
    fn auxv(&self, _pid: u32) -> Option<Vec<u8>> {
        Some(vec![0; 16])
    }
    fn files(&self, _pid: u32) -> Option<Arc<FdTable>> {
        Some(self.files.clone())
    }
    fn place(&self, _pid: u32, which: ProcPlace) -> Option<Place> {
        Some(if which == ProcPlace::Exe {
            self.exe.clone()
        } else {
            self.root.clone()
        })
    }
    fn limits(&self, _pid: u32) -> Option<[Limit; 16]> {
        Some(
            [Limit {
                soft: 1024,
                hard: u64::MAX,
            }; 16],
        )
    }
    fn memory(&self) -> SystemMemory {
        SystemMemory {
            total: 1 << 30,
            free: 1 << 29,
            ..SystemMemory::default()
        }
    }
    fn cpu_count(&self) -> u32 {
        2
    }
    fn network(&self, file: NetFile, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{file:?}\n").as_bytes());
    }
    fn interfaces(&self) -> Vec<NetInterface> {
        let named = |name: &str, index, flags| NetInterface {
            name: name.into(),
            index,
            flags,
            hardware_address: [2, 0, 0, 0, 0, index as u8],
            received: [1, 2, 3, 4],
            ..NetInterface::default()
        };
        vec![named("lo", 1, 0x10049), named("eth0", 2, 0x1043)]
    }
    fn cpu(&self) -> CpuInfo {
        CpuInfo {
            vendor: "GenuineIntel".into(),
            khz: 2_100_000,
            ..CpuInfo::default()
        }
    }
    fn uname(&self) -> Uname {
        Uname {
            sysname: "Linux".into(),
            release: "6.1.0".into(),
            nodename: "guest".into(),
            ..Uname::default()
        }
    }
    fn uptime(&self) -> u64 {
        12_340_000_000
    }
    fn boot_time(&self) -> u64 {
        1000
    }
    fn cpu_times(&self) -> [u64; 3] {
        [10_000_000_000, 0, 5_000_000_000]
    }
    fn boot_id(&self) -> [u8; 16] {
        [0xff; 16]
    }
    fn random_id(&self) -> [u8; 16] {
        [0; 16]
    }
}

fn machine() -> (Process, Arc<FdTable>) {
    let (process, source) = machine_and_source();
    (process, source.files.clone())
}

fn machine_and_source() -> (Process, Arc<Machine>) {
    let process = Process::empty();
    for dir in ["/dev", "/proc", "/sys", "/tmp"] {
        process.at().mkdir(dir.as_bytes(), 0o755).unwrap();
    }
    process.write_file("/exe", b"ELF");
    let exe = process.find("/exe").unwrap();
    let source = Arc::new(Machine {
        files: Arc::new(FdTable::new(100)),
        root: process.root.clone(),
        exe,
        counted: AtomicU32::new(0),
    });
    let mount = |at: &str, id, root, fs_type| {
        Mount::attach(&process.find(at).unwrap(), id, mount_spec(root, fs_type))
    };
    mount(
        "/dev",
        2,
        devfs(2, host(), Terminals::default()).unwrap(),
        "devtmpfs",
    );
    mount("/proc", 3, procfs(3, host(), source.clone()), "proc");
    mount("/sys", 4, sysfs(4, host(), source.clone()), "sysfs");
    mount("/tmp", 5, MemFs::tmpfs(5, host(), 100, 0o1777), "tmpfs");
    (process, source)
}

fn text(process: &Process, path: &str) -> String {
    String::from_utf8(
        process
            .read_file(path)
            .unwrap_or_else(|error| panic!("{path}: {error:?}")),
    )
    .unwrap()
}

#[test]
fn only_what_tells_of_memory_looks_at_it() {
    let (process, source) = machine_and_source();
    assert_eq!(process.find("/proc/self/ns/uts").err(), Some(Errno::ENOENT));
    text(&process, "/proc/self/comm");
    text(&process, "/proc/self/task/8/cgroup");
    assert_eq!(source.counted.load(Ordering::Relaxed), 0);
    for name in ["stat", "statm", "status"] {
        text(&process, &format!("/proc/self/{name}"));
    }
    assert_eq!(source.counted.load(Ordering::Relaxed), 3);
}

#[test]
fn mounts_cover_their_directories() {
    let (process, _) = machine();
    assert_eq!(process.find("/tmp").unwrap().inode.metadata().dev, 5);
    process.write_file("/tmp/a", b"");
    assert_eq!(
        process
            .find("/tmp/../tmp/./a")
            .unwrap()
            .path(&process.root)
            .bytes,
        b"/tmp/a"
    );
    assert_eq!(
        process.find("/tmp/..").unwrap().inode.ino(),
        process.root.inode.ino()
    );
    assert_eq!(process.at().rmdir(b"/tmp"), Err(Errno::EBUSY));
    assert_eq!(
        process.at().rename(b"/tmp", &process.at(), b"/other", 0),
        Err(Errno::EBUSY)
    );
    assert_eq!(
        process.at().rename(b"/exe", &process.at(), b"/tmp/exe", 0),
        Err(Errno::EXDEV)
    );
    let at = process.at();
    assert_eq!(
        err(at.resolve(b"/tmp/a", LookupFlags::NO_XDEV)),
        Errno::EXDEV
    );
    let context = FsContext::new(process.root.clone());
    context.set_root(process.find("/tmp").unwrap()).unwrap();
    let jailed = At::cwd(&context, &process.cred);
    assert!(jailed.resolve(b"/../../a", LookupFlags::empty()).is_ok());
}

#[test]
fn proc_tells_about_the_process() {
    let (process, files) = machine();
    assert_eq!(text(&process, "/proc/self/cmdline"), "x\0arg\0");
    let stat = text(&process, "/proc/self/stat");
    assert!(
        stat.starts_with("7 (my (odd) name) R 1 0 0 0 -1 4194304 "),
        "{stat}"
    );
    assert_eq!(
        stat.rsplit_once(')').unwrap().1.split_whitespace().count(),
        50,
        "{stat}"
    );
    let maps = text(&process, "/proc/self/maps");
    let expected = "00400000-00401000 r-xp 00000000 08:01 12                                 /bin/x\n7fff00000000-7fff00021000 rw-p 00000000 00:00 0 \n";
    assert_eq!(maps, expected);
    let status = text(&process, "/proc/thread-self/status");
    assert!(
        status.contains("Pid:\t8\n") && status.contains("Cpus_allowed_list:\t0-1\n"),
        "{status}"
    );
    assert_eq!(process.names("/proc/self/task"), [".", "..", "7", "8"]);
    assert_eq!(process.at().readlink(b"/proc/self/exe").unwrap(), b"/exe");
    assert_eq!(process.read_file("/proc/self/exe").unwrap(), b"ELF");
    let file = process.open("/tmp/gone", O_RDWR | O_CREAT).unwrap();
    write(&file, b"still here").unwrap();
    files.insert(file, true).unwrap();
    process.at().unlink(b"/tmp/gone").unwrap();
    assert_eq!(
        process.at().readlink(b"/proc/7/fd/0").unwrap(),
        b"/tmp/gone (deleted)"
    );
    assert_eq!(text(&process, "/dev/stdin"), "still here");
    assert_eq!(text(&process, "/dev/fd/0"), "still here");
    assert!(
        text(&process, "/proc/self/fdinfo/0")
            .starts_with("pos:\t10\nflags:\t02000002\nmnt_id:\t5\n")
    );
    assert_eq!(process.names("/proc/self/fd"), [".", "..", "0"]);
    assert_eq!(err(process.find("/proc/self/fd/1")), Errno::ENOENT);
    assert_eq!(err(process.find("/proc/8")), Errno::ENOENT);
    assert_eq!(err(process.find("/proc/007")), Errno::ENOENT);
    assert_eq!(
        err(process.open("/proc/x", O_CREAT | O_WRONLY)),
        Errno::EPERM
    );
}

#[test]
fn interfaces_are_shown() {
    let (process, _files) = machine();
    assert_eq!(process.names("/sys/class/net"), [".", "..", "eth0", "lo"]);
    assert_eq!(text(&process, "/sys/class/net/lo/operstate"), "unknown\n");
    assert_eq!(text(&process, "/sys/class/net/lo/flags"), "0x49\n");
    let eth0 = |file: &str| text(&process, &format!("/sys/class/net/eth0/{file}"));
    assert_eq!(eth0("address"), "02:00:00:00:00:02\n");
    assert_eq!(eth0("operstate"), "up\n");
    assert_eq!(eth0("statistics/rx_bytes"), "2\n");
    assert_eq!(err(process.find("/sys/class/net/eth1")), Errno::ENOENT);
    assert_eq!(text(&process, "/proc/net/tcp6"), "Tcp6\n");
    assert_eq!(process.at().readlink(b"/proc/net").unwrap(), b"self/net");
    assert_eq!(text(&process, "/proc/sys/net/core/somaxconn"), "4096\n");
}

#[test]
fn proc_opens_pipes_again() {
    let (process, files) = machine();
    let (reader, writer) = vfs::pipe(0).unwrap();
    files.insert(reader, false).unwrap();
    files.insert(writer, false).unwrap();
    let link = String::from_utf8(process.at().readlink(b"/proc/self/fd/0").unwrap()).unwrap();
    assert!(
        link.starts_with("pipe:[")
            && link.as_bytes() == process.at().readlink(b"/proc/self/fd/1").unwrap(),
        "{link}"
    );
    let again = process.open("/dev/stdout", O_WRONLY).unwrap();
    write(&again, b"x").unwrap();
    assert_eq!(read(&files.get(0).unwrap(), 9).unwrap(), b"x");
    drop((again, files.close(1)));
    assert_eq!(
        read(&files.get(0).unwrap(), 9).unwrap(),
        b"",
        "both write ends are gone"
    );
    let event = files.insert(vfs::eventfd(0, 0).unwrap(), false).unwrap();
    assert_eq!(
        process
            .at()
            .readlink(format!("/proc/self/fd/{event}").as_bytes())
            .unwrap(),
        b"anon_inode:[eventfd]"
    );
    assert_eq!(
        err(process.open(&format!("/proc/self/fd/{event}"), 0)),
        Errno::ENXIO
    );
}

#[test]
fn proc_and_sys_tell_about_the_machine() {
    let (process, _) = machine();
    assert_eq!(text(&process, "/proc/uptime"), "12.34 5.00\n");
    assert!(text(&process, "/proc/meminfo").starts_with("MemTotal:        1048576 kB\n"));
    assert_eq!(
        text(&process, "/proc/cpuinfo")
            .matches("processor\t: ")
            .count(),
        2
    );
    assert_eq!(text(&process, "/proc/sys/kernel/osrelease"), "6.1.0\n");
    assert_eq!(
        text(&process, "/proc/sys/kernel/random/boot_id"),
        "ffffffff-ffff-4fff-bfff-ffffffffffff\n"
    );
    let mounts = text(&process, "/proc/mounts");
    assert!(
        mounts.contains("proc /proc proc rw 0 0\n") && mounts.lines().count() == 5,
        "{mounts}"
    );
    assert!(
        text(&process, "/proc/self/mountinfo").contains("5 1 0:5 / /tmp rw - tmpfs tmpfs rw\n")
    );
    assert_eq!(text(&process, "/sys/devices/system/cpu/online"), "0-1\n");
    assert_eq!(
        process
            .names("/sys/devices/system/cpu")
            .iter()
            .filter(|name| name.starts_with("cpu"))
            .count(),
        2
    );
    assert_eq!(
        text(&process, "/sys/devices/system/cpu/cpu1/topology/core_id"),
        "1\n"
    );
}

/// Every generated file can be read, in pieces as well as at once.
#[test]
fn all_generated_files_are_readable() {
    fn visit(process: &Process, path: &str) {
        for name in process.names(path) {
            let here = format!("{path}/{name}");
            if name.starts_with('.') || path.ends_with("/task") && name != "7" {
                continue;
            }
            let place = process
                .at()
                .resolve(here.as_bytes(), LookupFlags::empty())
                .unwrap();
            match place.inode.kind() {
                vfs::FileType::Directory => visit(process, &here),
                vfs::FileType::Regular => {
                    let whole = process.read_file(&here).unwrap();
                    let file = process.open(&here, 0).unwrap();
                    let mut pieces = Vec::new();
                    while let Some(byte) = read(&file, 7)
                        .unwrap()
                        .get(..)
                        .filter(|part| !part.is_empty())
                    {
                        pieces.extend_from_slice(byte);
                    }
                    assert!(whole == pieces || here.ends_with("uuid"), "{here}");
                }
                _ => drop(process.at().readlink(here.as_bytes()).unwrap()),
            }
        }
    }
    let (process, _) = machine();
    visit(&process, "/proc");
    visit(&process, "/sys");
}

//! How long the hot operations take. Not a check: `cargo test --release -p vfs --test speed -- --ignored --nocapture`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod common;
use common::*;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;
use vfs::{FdTable, LookupFlags, MemFs, Mount, SliceSink, SliceSource, Terminals, devfs};

/// Uses a value, so that the compiler cannot leave its making out.
fn done<T>(value: T) {
    black_box(value);
}

fn time(name: &str, mut once: impl FnMut()) {
    // Short rounds, of which the best counts: what else runs on the machine then matters little.
    const ROUNDS: u32 = 1000;
    let mut best = f64::MAX;
    for _ in 0..500 {
        let start = Instant::now();
        for _ in 0..ROUNDS {
            once();
        }
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(ROUNDS));
    }
    println!("{name:32} {best:8.1} ns");
}

#[test]
#[ignore = "prints times, checks nothing"]
fn hot_operations() {
    let process = Process::empty();
    let host = host();
    for dir in [
        "/dev",
        "/usr",
        "/usr/lib",
        "/usr/lib/x86_64-linux-gnu",
        "/tmp",
    ] {
        process.at().mkdir(dir.as_bytes(), 0o755).unwrap();
    }
    for i in 0..1000 {
        process.write_file(&format!("/usr/lib/x86_64-linux-gnu/lib{i}.so"), b"x");
    }
    Mount::attach(
        &process.find("/dev").unwrap(),
        2,
        mount_spec(
            devfs(2, host.clone(), Terminals::default()).unwrap(),
            "devtmpfs",
        ),
    );
    Mount::attach(
        &process.find("/tmp").unwrap(),
        3,
        mount_spec(MemFs::tmpfs(3, host, 1000, 0o1777), "tmpfs"),
    );
    let at = process.at();
    let path = b"/usr/lib/x86_64-linux-gnu/lib500.so";
    time("stat of 4 components", || {
        done(at.metadata(black_box(path), LookupFlags::FOLLOW))
    });
    time("open and drop", || {
        done(process.open("/usr/lib/x86_64-linux-gnu/lib500.so", 0))
    });
    let table = FdTable::new(1024);
    for _ in 0..10 {
        table.insert(process.open("/", 0).unwrap(), false).unwrap();
    }
    time("open, insert, close", || {
        let fd = table
            .insert(
                process
                    .open("/usr/lib/x86_64-linux-gnu/lib500.so", 0)
                    .unwrap(),
                false,
            )
            .unwrap();
        drop(table.close(fd));
    });
    let zero = table
        .insert(process.open("/dev/zero", 0).unwrap(), false)
        .unwrap();
    let null = table
        .insert(process.open("/dev/null", O_WRONLY).unwrap(), false)
        .unwrap();
    let mut buffer = [0; 4096];
    time("read 1 B of /dev/zero", || {
        done(
            table
                .get(zero)
                .unwrap()
                .read(&mut SliceSink::new(&mut buffer[..1])),
        )
    });
    time("write 1 B to /dev/null", || {
        done(table.get(null).unwrap().write(&mut SliceSource::new(b"x")))
    });
    process.write_file("/tmp/data", &[1; 1 << 20]);
    let data = process.open("/tmp/data", O_RDWR).unwrap();
    let mut offset = 0;
    time("pread 4 KiB", || {
        offset = (offset + 4096) & 0xf_ffff;
        done(data.read_at(offset, &mut SliceSink::new(&mut buffer)));
    });
    time("pwrite 4 KiB", || {
        offset = (offset + 4096) & 0xf_ffff;
        done(data.write_at(offset, &mut SliceSource::new(&buffer)));
    });
    time("fstat", || done(data.metadata()));
    time("lseek", || done(data.seek(100, 0)));
    let (reader, writer) = vfs::pipe(0).unwrap();
    time("pipe write and read, 1 B", || {
        done(writer.write(&mut SliceSource::new(b"x")));
        done(reader.read(&mut SliceSink::new(&mut buffer[..1])));
    });
    let event = vfs::eventfd(0, 0).unwrap();
    time("eventfd write and read", || {
        done(event.write(&mut SliceSource::new(&1_u64.to_le_bytes())));
        done(event.read(&mut SliceSink::new(&mut buffer[..8])));
    });
    let _keep: Arc<_> = data;
}

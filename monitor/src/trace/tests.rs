use super::*;
use boot_abi::trace::{AT_DATA, AT_HEAD, AT_MAGIC, AT_SIZE, AT_TAIL, MAGIC, SIZE_MAX};
use std::io::Read;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use vm_memory::{Bytes, GuestAddress};

const PAGE_OF_RING: u32 = 2;
const BASE: u64 = 2 * 4096;
const SIZE: u64 = 64;

fn memory() -> Arc<GuestMemory> {
    Arc::new(GuestMemory::from_ranges(&[(GuestAddress(0), 1 << 16)]).unwrap())
}

fn set(memory: &GuestMemory, at: u64, value: u64) {
    let to = GuestAddress(BASE + at);
    memory.store(value, to, Ordering::Relaxed).unwrap();
}

fn tail(memory: &GuestMemory) -> u64 {
    let from = GuestAddress(BASE + AT_TAIL);
    memory.load(from, Ordering::Relaxed).unwrap()
}

fn ring(memory: &GuestMemory) {
    set(memory, AT_MAGIC, MAGIC);
    set(memory, AT_SIZE, SIZE);
}

fn put(memory: &GuestMemory, at: u64, bytes: &[u8]) {
    let to = GuestAddress(BASE + AT_DATA + at);
    memory.write_slice(bytes, to).unwrap();
}

fn attached(memory: &Arc<GuestMemory>) -> (Trace, std::io::PipeReader) {
    let trace = Trace::new(memory).unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    assert!(trace.attach(writer.into()));
    (trace, reader)
}

#[test]
fn bytes_arrive_in_order_across_the_end() {
    let memory = memory();
    ring(&memory);
    set(&memory, AT_TAIL, 60);
    set(&memory, AT_HEAD, 70);
    put(&memory, 60, b"abcd");
    put(&memory, 0, b"efghij");
    let (trace, mut reader) = attached(&memory);
    trace.port_write(PAGE_OF_RING);
    assert_eq!(tail(&memory), 70);
    set(&memory, AT_HEAD, 73);
    put(&memory, 6, b"klm");
    assert!(trace.look());
    drop(trace);
    let mut all = String::new();
    reader.read_to_string(&mut all).unwrap();
    assert_eq!(all, "abcdefghijklm");
}

#[test]
fn nonsense_of_the_guest_is_survived() {
    let memory = memory();
    let (trace, _reader) = attached(&memory);
    for page in [0, 1, 0xf, 0x10, u32::MAX] {
        assert!(!trace.port_write(page));
    }
    for size in [0, SIZE_MAX, SIZE_MAX + 1, u64::MAX, 1 << 16] {
        ring(&memory);
        set(&memory, AT_SIZE, size);
        trace.port_write(PAGE_OF_RING);
        assert!(trace.lock().ring.is_none(), "{size}");
    }
    ring(&memory);
    set(&memory, AT_TAIL, u64::MAX - 3);
    set(&memory, AT_HEAD, 10);
    trace.port_write(PAGE_OF_RING);
    assert_eq!(tail(&memory), 10);
    // The ring stays when another page is named, which has none.
    assert!(!trace.port_write(1));
    assert!(trace.port_write(EMPTY));
    // It claims more than fits.
    set(&memory, AT_HEAD, 1000);
    trace.port_write(EMPTY);
    assert_eq!(tail(&memory), 10);
}

#[test]
fn a_reader_that_is_slow_stops_nobody_but_the_guest() {
    let memory = memory();
    ring(&memory);
    let (trace, mut reader) = attached(&memory);
    trace.port_write(PAGE_OF_RING);
    let mut head = 0;
    // Until the pipe is full.
    while tail(&memory) == head {
        head += SIZE;
        set(&memory, AT_HEAD, head);
        assert!(trace.look());
    }
    assert!(trace.is_attached());
    let guest = std::thread::spawn(move || trace.port_write(EMPTY));
    let mut all = Vec::new();
    reader.read_to_end(&mut all).unwrap();
    guest.join().unwrap();
    assert_eq!((all.len() as u64, tail(&memory)), (head, head));
}

#[test]
fn without_a_reader_the_ring_empties_all_the_same() {
    let memory = memory();
    ring(&memory);
    let (trace, reader) = attached(&memory);
    trace.port_write(PAGE_OF_RING);
    let (_, second) = std::io::pipe().unwrap();
    assert!(!trace.attach(second.as_fd().try_clone_to_owned().unwrap()));
    drop(reader);
    set(&memory, AT_HEAD, 40);
    assert!(!trace.look());
    assert!(trace.look());
    assert!(!trace.is_attached());
    set(&memory, AT_HEAD, 80);
    trace.port_write(EMPTY);
    assert_eq!(tail(&memory), 80);
    assert!(trace.attach(second.into()));
}

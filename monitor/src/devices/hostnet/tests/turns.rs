//! Who serves the device: its thread, or a CPU that has nothing else to do. Times are only ever lower bounds here.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use boot_abi::hostnet::*;
use boot_abi::{IDLE_FOREVER, IDLE_PORT, IDLE_RING, IDLE_TAG};

use super::super::server::Server;
use super::super::{HostNet, Service, Turns, serve};
use super::guest::{Event, Guest, at, free_port, outside};
use crate::bus::{Written, tests::bus};
use crate::devices::virtio::{Bell, Transport};
use crate::outcome::Verdict;

const PATIENCE: Duration = Duration::from_secs(10);

/// A guest with the bell of its CPU, which hears of the device's interrupts.
fn guest() -> (Guest, Arc<Bell>) {
    let guest = Guest::new();
    let bell = Bell::new().unwrap();
    let line = &guest.driver.device.interrupt.bell;
    assert!(line.set(Arc::clone(&bell)).is_ok());
    (guest, bell)
}

/// Turns of which only the CPU's are taken.
fn turns(guest: &Guest, bell: &Arc<Bell>) -> Arc<Turns> {
    let device = Arc::clone(&guest.driver.device);
    let verdict = Arc::new(Verdict::new().unwrap());
    let counters = Arc::clone(&guest.counters);
    let server = Server::new(device, counters, verdict, bell, false).unwrap();
    Turns::new(server, Arc::clone(bell))
}

/// The CPU is idle for up to `us`; what is received says that it goes on.
fn rest(turns: &Arc<Turns>, us: u32) -> Receiver<()> {
    let (done, end) = channel();
    let turns = Arc::clone(turns);
    std::thread::spawn(move || {
        turns.visit(0, us).unwrap();
        let _ = done.send(());
    });
    end
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "no {what}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Puts a connection that will be refused into the queue, without telling the device.
fn ask_for_refusal(guest: &mut Guest, name: u64) {
    let to = encode_address(outside(at(&format!("127.0.0.1:{}", free_port()))));
    guest.ask(Header::new(REQ_CONNECT, name, ADDRESS_SIZE), &to);
}

/// Waits, without serving the device, until the refusal has come.
fn refused(guest: &mut Guest, name: u64) {
    let mut event: Option<Event> = None;
    wait_for("answer", || {
        guest.collect();
        event = event.take().or_else(|| guest.next_event());
        event.is_some()
    });
    let event = event.unwrap();
    assert_eq!((event.kind, event.socket), (EV_FAILED, name));
}

fn ring(device: &Transport<HostNet>) {
    device.doorbell.write(1).unwrap();
}

#[test]
fn a_visit_ends_at_its_deadline_and_not_before() {
    let (guest, bell) = guest();
    let turns = turns(&guest, &bell);
    for us in [0, 500, 30_000] {
        let start = Instant::now();
        rest(&turns, us).recv_timeout(PATIENCE).unwrap();
        assert!(start.elapsed() >= Duration::from_micros(us.into()));
    }
    assert_eq!(guest.counters.visits.get(), 3);
}

#[test]
fn a_write_to_the_port_without_a_tag_is_no_visit() {
    let (guest, bell) = guest();
    let bus = bus(Some(turns(&guest, &bell)));
    let write = |value: u32| bus.port_write(0, IDLE_PORT, &value.to_le_bytes());
    for value in [0, 1, IDLE_FOREVER, 1 << 31, i32::MAX as u32, u32::MAX] {
        assert_eq!(write(value), Written::Refused, "{value:x}");
    }
    assert_eq!(guest.counters.visits.get(), 0);
    assert_eq!(write(IDLE_TAG | 1), Written::Done);
    // A call that comes before the visit ends it as well.
    assert_eq!(write(IDLE_RING), Written::Done);
    assert_eq!(write(IDLE_TAG | IDLE_FOREVER), Written::Done);
}

#[test]
fn a_visit_does_what_was_asked_for_and_ends_with_the_answer() {
    let (mut guest, bell) = guest();
    let turns = turns(&guest, &bell);
    ask_for_refusal(&mut guest, 1);
    // Nobody rings: the CPU looks by itself. It may go on before the answer, when the request is done.
    while guest.next_event().is_none() {
        rest(&turns, IDLE_FOREVER).recv_timeout(PATIENCE).unwrap();
        guest.collect();
    }
    // It was the CPU, which needs no interrupt.
    assert_eq!((guest.counters.interrupts.get(), bell.raised()), (0, 0));
}

#[test]
fn an_interrupt_before_a_visit_ends_it() {
    let (guest, bell) = guest();
    let turns = turns(&guest, &bell);
    for _ in 0..3 {
        guest.driver.device.interrupt.queue_used();
        rest(&turns, IDLE_FOREVER).recv_timeout(PATIENCE).unwrap();
    }
    // Each ends one visit only.
    let start = Instant::now();
    rest(&turns, 20_000).recv_timeout(PATIENCE).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(20));
}

#[test]
fn an_interrupt_during_a_visit_ends_it() {
    let (guest, bell) = guest();
    let turns = turns(&guest, &bell);
    for number in 1..=20 {
        let end = rest(&turns, IDLE_FOREVER);
        wait_for("visit", || guest.counters.visits.get() == number);
        // Whether it sleeps already or only will, it notices.
        guest.driver.device.interrupt.queue_used();
        end.recv_timeout(PATIENCE).unwrap();
    }
}

#[test]
fn a_cpu_that_is_called_goes() {
    let (guest, bell) = guest();
    let turns = turns(&guest, &bell);
    // Called while it is here, or before it comes.
    let end = rest(&turns, IDLE_FOREVER);
    wait_for("visit", || guest.counters.visits.get() == 1);
    turns.call(0);
    end.recv_timeout(PATIENCE).unwrap();
    turns.call(0);
    rest(&turns, IDLE_FOREVER).recv_timeout(PATIENCE).unwrap();
    // Another one's call is none.
    turns.call(5);
    let start = Instant::now();
    rest(&turns, 20_000).recv_timeout(PATIENCE).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(20));
}

#[test]
fn a_second_cpu_takes_the_place_of_the_first() {
    let (guest, bell) = guest();
    let turns = turns(&guest, &bell);
    for number in 1..=10 {
        let first = rest(&turns, IDLE_FOREVER);
        wait_for("visit", || guest.counters.visits.get() == 2 * number - 1);
        let second = Arc::clone(&turns);
        let second = std::thread::spawn(move || second.visit(1, IDLE_FOREVER).unwrap());
        first.recv_timeout(PATIENCE).unwrap();
        wait_for("visit", || guest.counters.visits.get() == 2 * number);
        turns.call(1);
        second.join().unwrap();
    }
}

#[test]
fn of_two_cpus_that_come_at_once_one_stays() {
    let (guest, bell) = guest();
    let turns = turns(&guest, &bell);
    for _ in 0..300 {
        let (done, ends) = channel();
        let visit = |cpu| {
            let (turns, done) = (Arc::clone(&turns), done.clone());
            std::thread::spawn(move || {
                turns.visit(cpu, IDLE_FOREVER).unwrap();
                done.send(cpu).unwrap();
            })
        };
        let all = [0, 1, 2].map(visit);
        // Each goes for the next, whoever gets the server first.
        let gone = [(); 2].map(|()| ends.recv_timeout(PATIENCE).unwrap());
        let left = [0, 1, 2]
            .into_iter()
            .find(|cpu| !gone.contains(cpu))
            .unwrap();
        turns.call(left);
        assert_eq!(ends.recv_timeout(PATIENCE).unwrap(), left);
        all.into_iter().for_each(|one| one.join().unwrap());
    }
}

fn served(guest: &Guest, bell: Arc<Bell>, service: Service) -> Option<Arc<Turns>> {
    let device = Arc::clone(&guest.driver.device);
    let verdict = Arc::new(Verdict::new().unwrap());
    serve(
        device,
        Arc::clone(&guest.counters),
        verdict,
        bell,
        service,
        || Ok(()),
    )
    .unwrap()
}

#[test]
fn with_a_cpu_to_spare_the_thread_serves_alone() {
    let (mut guest, bell) = guest();
    let device = Arc::clone(&guest.driver.device);
    let turns = served(&guest, bell, Service::Looking);
    assert!(turns.is_none());
    for name in 1..=10 {
        ask_for_refusal(&mut guest, name);
        ring(&device);
        refused(&mut guest, name);
    }
    assert_eq!(guest.counters.visits.get(), 0);
}

#[test]
fn without_one_the_cpu_and_the_thread_take_turns() {
    let (mut guest, bell) = guest();
    let device = Arc::clone(&guest.driver.device);
    let turns = served(&guest, bell, Service::IdleCpu);
    let turns = turns.unwrap();
    for name in 1..=10 {
        // The CPU is busy, and nobody but the thread is there: it was left alone for long enough.
        ask_for_refusal(&mut guest, 2 * name);
        ring(&device);
        refused(&mut guest, 2 * name);
        // The CPU is idle: it gets the device from the thread, and serves until the answer is there.
        ask_for_refusal(&mut guest, 2 * name + 1);
        let visits = guest.counters.visits.get();
        let mut answer = None;
        while answer.is_none() {
            rest(&turns, 20_000).recv_timeout(PATIENCE).unwrap();
            guest.collect();
            answer = guest.next_event();
        }
        assert_eq!(answer.map(|event| event.socket), Some(2 * name + 1));
        assert!(guest.counters.visits.get() > visits);
    }
}

#[test]
fn a_thread_that_sleeps_during_long_visits_comes_back() {
    let (mut guest, bell) = guest();
    let device = Arc::clone(&guest.driver.device);
    let turns = served(&guest, bell, Service::IdleCpu);
    // Far longer than the thread watches.
    rest(&turns.unwrap(), 200_000)
        .recv_timeout(PATIENCE)
        .unwrap();
    ask_for_refusal(&mut guest, 1);
    ring(&device);
    refused(&mut guest, 1);
}

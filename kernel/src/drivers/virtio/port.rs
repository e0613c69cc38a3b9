//! One port of the console device: a stream of bytes each way. Nothing here waits; `changed` says when to try again.
use super::mmio::Mmio;
use super::rx::RxQueue;
use super::tx::TxQueue;
use alloc::boxed::Box;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use linux_abi::Errno;
use spin::{Mutex, Once};
use vfs::{Result, Sink, Source, WaitList, poll};

/// Writes of up to this size are not torn (`PIPE_BUF`), and this much must be free before a writer that waits is woken.
const ATOMIC: usize = 4096;
/// How often to look whether the device has made room, before a writer is put to sleep: some tens of microseconds.
const PATIENCE: u32 = 1000;

/// Buffers that the device may hold at a time.
const TX_BUFFERS: usize = 64;

/// How much memory a port takes: small where little is to be expected, since all of it may come to be used.
#[derive(Clone, Copy)]
pub struct Sizes {
    /// Bytes that can be sent without anyone waiting.
    pub tx_pages: usize,
    pub rx_pages: usize,
    /// Of one buffer that the device fills.
    pub rx_buffer: usize,
}

type Tx = TxQueue<TX_BUFFERS>;

pub struct Port {
    id: u32,
    sizes: Once<Sizes>,
    // Boxed: as parts of a static they would be a tenth of a small image's variables.
    tx: Mutex<Option<Box<Tx>>>,
    rx: Mutex<Option<Box<RxQueue>>>,
    changed: WaitList,
    /// Someone waits for room.
    blocked: AtomicBool,
    /// How many bytes have been read.
    received: AtomicU64,
    /// The host sends no more once so many bytes have come.
    end: AtomicU64,
    /// The host takes no more.
    hung_up: AtomicBool,
    listener: Once<fn(u32)>,
}

impl Port {
    pub const fn new(id: u32) -> Self {
        Self {
            id,
            sizes: Once::new(),
            tx: Mutex::new(None),
            rx: Mutex::new(None),
            changed: WaitList::new(),
            blocked: AtomicBool::new(false),
            received: AtomicU64::new(0),
            end: AtomicU64::new(u64::MAX),
            hung_up: AtomicBool::new(false),
            listener: Once::new(),
        }
    }

    /// The device's number for it.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Sets up both queues, before the device is told that its driver is ready.
    pub fn set_up(&self, mmio: &mut Mmio) -> virtio_drivers::Result<()> {
        let receive = 2 + 2 * self.id as u16;
        *self.rx.lock() = Some(Box::new(RxQueue::new(mmio, receive)?));
        *self.tx.lock() = Some(Box::new(TxQueue::new(mmio, receive + 1)?));
        Ok(())
    }

    /// What the port is for is known. Answers whether there was memory for it.
    pub fn open(&self, sizes: Sizes) -> bool {
        self.sizes.call_once(|| sizes);
        self.tx
            .lock()
            .as_deref_mut()
            .is_some_and(|tx| tx.open(sizes.tx_pages))
    }

    /// From now on the host's bytes are wanted. Until then they stay with the host, where other programs may read them.
    pub fn start_input(&self) {
        let Some(sizes) = self.sizes.get() else {
            return;
        };
        if let Some(rx) = self.rx.lock().as_deref_mut() {
            if !rx.start(sizes.rx_pages, sizes.rx_buffer) {
                say!("no memory for input");
            }
            rx.kick();
        }
    }

    /// Calls `listener` with the events whenever those who wait on `changed` are woken.
    pub fn listen(&self, listener: fn(u32)) {
        self.listener.call_once(|| listener);
    }

    fn announce(&self, events: u32) {
        self.changed.notify(events);
        if let Some(listener) = self.listener.get() {
            listener(events);
        }
    }

    pub fn changed(&self) -> &WaitList {
        &self.changed
    }

    /// The host sends `total` bytes in all; what is in the queue counts in any case.
    pub fn end_at(&self, total: u64) {
        self.end.store(total, Relaxed);
        self.announce(poll::IN | poll::RDNORM | poll::HUP);
    }

    pub fn hang_up(&self) {
        self.hung_up.store(true, Relaxed);
        self.announce(poll::OUT | poll::WRNORM | poll::ERR);
    }

    pub fn is_hung_up(&self) -> bool {
        self.hung_up.load(Relaxed)
    }

    /// Whether everything that will ever come has been read.
    pub fn at_end(&self) -> bool {
        // In this order: what came before the end was in the queue before the end was told.
        self.end.load(Relaxed) <= self.received.load(Relaxed) && !self.has_input()
    }

    pub fn has_input(&self) -> bool {
        self.rx.lock().as_deref().is_some_and(RxQueue::has_data)
    }

    /// How many bytes can be read at once.
    pub fn input_available(&self) -> usize {
        self.rx.lock().as_deref_mut().map_or(0, RxQueue::available)
    }

    /// Lets `take` look at the bytes that have come, buffer by buffer, and answer how many of them it took, until it
    /// takes less than all or nothing is left.
    pub fn receive<E>(
        &self,
        mut take: impl FnMut(&[u8]) -> core::result::Result<usize, E>,
    ) -> core::result::Result<(), E> {
        let mut guard = self.rx.lock();
        let Some(rx) = guard.as_mut() else {
            return Ok(());
        };
        let result = loop {
            let bytes = rx.unread();
            let len = bytes.len();
            if len == 0 {
                break Ok(());
            }
            match take(bytes) {
                Ok(taken) => {
                    rx.consume(taken);
                    self.received.fetch_add(taken as u64, Relaxed);
                    if taken < len {
                        break Ok(());
                    }
                }
                Err(error) => break Err(error),
            }
        };
        rx.kick();
        result
    }

    /// read(2) of a plain stream.
    pub fn read(&self, sink: &mut dyn Sink) -> Result<usize> {
        let wanted = sink.remaining();
        let result = self.receive(|bytes| {
            let count = bytes.len().min(sink.remaining());
            sink.put(bytes.get(..count).unwrap_or(&[])).map(|()| count)
        });
        match (wanted - sink.remaining(), result) {
            (0, Err(error)) => Err(error),
            (0, Ok(())) if wanted > 0 && !self.at_end() => Err(Errno::EAGAIN),
            (count, _) => Ok(count),
        }
    }

    /// write(2) of a plain stream: up to `PIPE_BUF` bytes go in one piece.
    pub fn write(&self, source: &mut dyn Source) -> Result<usize> {
        if self.is_hung_up() {
            return Err(Errno::EPIPE);
        }
        let wanted = source.remaining();
        let mut guard = self.tx.lock();
        let tx = guard.as_mut().ok_or(Errno::EIO)?;
        if self.room(tx, wanted.min(ATOMIC)) < wanted.min(ATOMIC) {
            return Err(Errno::EAGAIN);
        }
        let result = tx.push(wanted, |span| source.take(span));
        tx.kick();
        match wanted - source.remaining() {
            0 => result,
            count => Ok(count),
        }
    }

    /// Sends what fits; answers how much that was.
    pub fn send(&self, bytes: &[u8]) -> usize {
        let mut guard = self.tx.lock();
        let Some(tx) = guard.as_mut() else { return 0 };
        let mut rest = bytes;
        let sent = tx.push(bytes.len(), |span| {
            let (now, later) = rest.split_at_checked(span.len()).ok_or(())?;
            span.copy_from_slice(now);
            rest = later;
            Ok::<(), ()>(())
        });
        tx.kick();
        sent.unwrap_or(0)
    }

    /// How many bytes `send` would take. If that is less than `wanted`, `changed` will tell.
    pub fn send_room(&self, wanted: usize) -> usize {
        self.tx
            .lock()
            .as_deref_mut()
            .map_or(0, |tx| self.room(tx, wanted))
    }

    fn room(&self, tx: &mut Tx, wanted: usize) -> usize {
        for _ in 0..PATIENCE {
            let room = tx.space();
            if room >= wanted {
                return room;
            }
            spin_loop();
        }
        self.blocked.store(true, Relaxed);
        tx.interrupt(true);
        tx.space()
    }

    /// Whether a write would be taken now (poll(2)).
    pub fn is_writable(&self) -> bool {
        self.send_room(ATOMIC) >= ATOMIC
    }

    /// Whether the device has taken everything that was sent.
    pub fn is_drained(&self) -> bool {
        self.tx.lock().as_deref_mut().is_none_or(Tx::is_empty)
    }

    /// How many bytes the device has not taken yet.
    pub fn unsent(&self) -> usize {
        self.tx.lock().as_deref_mut().map_or(0, Tx::in_flight)
    }

    /// Asks for an interrupt when the device has taken something.
    pub fn watch_output(&self) {
        if let Some(tx) = self.tx.lock().as_deref_mut() {
            tx.interrupt(true);
        }
    }

    /// Looks at the queues and tells whoever waits. Reads memory only, unless there is something to do.
    pub fn look(&self) {
        if self
            .rx
            .lock()
            .as_deref_mut()
            .is_some_and(RxQueue::take_news)
        {
            self.announce(poll::IN | poll::RDNORM);
        }
        if self.blocked.load(Relaxed) && self.has_made_room() {
            self.announce(poll::OUT | poll::WRNORM);
        }
    }

    fn has_made_room(&self) -> bool {
        let mut guard = self.tx.lock();
        let Some(tx) = guard.as_mut() else {
            return false;
        };
        // Not for every bit of room: each time costs a wake-up.
        if tx.space() < ATOMIC.max(tx.capacity() / 4) {
            return false;
        }
        tx.interrupt(false);
        self.blocked.store(false, Relaxed);
        true
    }
}

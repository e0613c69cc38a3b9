//! The kernel's random numbers: ChaCha20, seeded by the monitor, by the processor, or else by the virtio device.
#![allow(unsafe_code)]

use super::virtio::rng;
use core::arch::asm;
use core::arch::x86_64::__cpuid;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use spin::{Mutex, Once};

type Key = [u8; 32];

static GENERATOR: Once<Mutex<ChaCha20Rng>> = Once::new();

/// Seeds the generator. `seed` is the configuration's, and may be empty.
pub fn init(seed: &[u8]) {
    let mut key = Key::default();
    mix(&mut key, seed);
    let from_processor = mix_processor(&mut key);
    if seed.len() < key.len() && !from_processor {
        let mut bytes = Key::default();
        match rng::fill(&mut bytes) {
            Ok(()) => mix(&mut key, &bytes),
            Err(why) => {
                say!("no good random numbers: no seed, no RDRAND, and the virtio device: {why}")
            }
        }
    }
    GENERATOR.call_once(|| Mutex::new(ChaCha20Rng::from_seed(key)));
}

/// Fills with bytes that nobody can predict.
pub fn fill(into: &mut [u8]) {
    // Before `init` there is nothing to say: the kernel asks for none that early, and zeros would go unnoticed.
    match GENERATOR.get() {
        Some(generator) => generator.lock().fill_bytes(into),
        None => {
            init(&[]);
            fill(into);
        }
    }
}

fn mix(key: &mut Key, bytes: &[u8]) {
    for chunk in bytes.chunks(key.len()) {
        for (to, from) in key.iter_mut().zip(chunk) {
            *to ^= from;
        }
    }
}

/// Adds what RDRAND gives. False if the processor lacks it or it fails.
fn mix_processor(key: &mut Key) -> bool {
    const RDRAND: u32 = 1 << 30;
    if __cpuid(1).ecx & RDRAND == 0 {
        return false;
    }
    let mut bytes = Key::default();
    for word in bytes.as_chunks_mut::<8>().0 {
        let Some(value) = rdrand() else { return false };
        *word = value.to_le_bytes();
    }
    mix(key, &bytes);
    true
}

/// One number, tried as often as Intel advises.
fn rdrand() -> Option<u64> {
    (0..10).find_map(|_| {
        let (value, ok): (u64, u8);
        // SAFETY: CPUID said that the instruction exists; it touches registers only.
        unsafe {
            asm!("rdrand {}", "setc {}", out(reg) value, out(reg_byte) ok, options(nomem, nostack))
        };
        (ok != 0).then_some(value)
    })
}

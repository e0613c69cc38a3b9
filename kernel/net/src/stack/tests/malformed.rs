//! Whatever comes in, the stack goes on.
use crate::stack::fuzz::receive_frames;
use std::vec::Vec;

fn script(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

#[test]
fn random_scripts() {
    for seed in 0..300 {
        receive_frames(&script(seed, 2000));
    }
}

/// Connections that carry bytes, while their frames are changed.
#[test]
fn changed_frames() {
    for seed in 0..600 {
        let noise = script(seed, 900);
        let mut all = std::vec![8, 0, 7, 10, 0, 1, 7, 10, 0, 1];
        for part in noise.chunks(9) {
            let [a, b, c, d, e, f, g, h, i] = *part else {
                continue;
            };
            all.extend([9, a, b & 0x3f, c]);
            all.extend([2 + (d & 3), e, f & 1, g, h]);
            match i % 8 {
                0 => all.extend([10, a, 0xff, 0xff]),
                1 => all.extend([7, 20 + d % 4, e, f]),
                2 => all.extend([12, a]),
                3 => all.extend([8, b]),
                4 => all.extend([11, c]),
                5 => all.extend([14, d, 0x20 | e & 1, f]),
                _ => all.extend([7, 8, 0, 9]),
            }
        }
        receive_frames(&all);
    }
}

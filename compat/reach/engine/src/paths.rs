//! Names below /proc, /sys and /dev in a file's data.

use std::collections::BTreeSet;

use crate::image::Image;

const PLACES: [&[u8]; 3] = [b"/proc/", b"/sys/", b"/dev/"];
const MAX_LENGTH: usize = 128;
const MAX_PATHS: usize = 4096;

pub fn find(image: &Image) -> Vec<String> {
    let mut found = BTreeSet::new();
    for segment in &image.segments {
        for place in PLACES {
            for at in memchr::memmem::find_iter(&segment.bytes, place) {
                // Within another word it is no path of its own.
                let before = at
                    .checked_sub(1)
                    .and_then(|i| segment.bytes.get(i))
                    .copied()
                    .unwrap_or(0);
                if before.is_ascii_alphanumeric() || matches!(before, b'/' | b'.' | b'_' | b'-') {
                    continue;
                }
                found.extend(path(segment.bytes.get(at..).unwrap_or(&[])));
                if found.len() >= MAX_PATHS {
                    return found.into_iter().collect();
                }
            }
        }
    }
    found.into_iter().collect()
}

fn path(bytes: &[u8]) -> Option<String> {
    let usual = |b: &u8| b.is_ascii_alphanumeric() || b"/._-%:+*".contains(b);
    let path: Vec<u8> = bytes
        .iter()
        .copied()
        .take(MAX_LENGTH)
        .take_while(usual)
        .collect();
    String::from_utf8(path).ok()
}

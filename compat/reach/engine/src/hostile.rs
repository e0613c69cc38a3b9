//! Damaged files: a report or a reason, never a panic. `PROPTEST_CASES` sets how many are tried.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use crate::analyse;
use crate::report::Request;

/// Every Linux system with glibc has these: a program, and a library with all tables.
const SEEDS: [&str; 2] = ["/bin/true", "/lib64/ld-linux-x86-64.so.2"];
const CASES: u32 = 24;

/// A change at a place: one byte, or eight that make a number of interest.
#[derive(Clone, Debug)]
enum Damage {
    Byte(usize, u8),
    Word(usize, u64),
    Cut(usize),
    Swap(usize, usize, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    // Headers and tables lie at the start of a file, and what they hold is worth more than code.
    let place = || prop_oneof![3 => 0usize..0x400, 2 => 0usize..0x4000, 1 => any::<usize>()];
    let word = prop_oneof![
        Just(u64::MAX),
        Just(u64::MAX / 2),
        Just(0),
        Just(u64::from(u32::MAX)),
        0u64..0x10_0000,
        any::<u64>()
    ];
    prop_oneof![
        4 => (place(), any::<u8>()).prop_map(|(at, value)| Damage::Byte(at, value)),
        4 => (place(), word).prop_map(|(at, value)| Damage::Word(at & !7, value)),
        1 => place().prop_map(Damage::Cut),
        1 => (place(), place(), 1usize..64).prop_map(|(from, to, size)| Damage::Swap(from, to, size)),
    ]
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage) {
    let size = bytes.len().max(1);
    match *damage {
        Damage::Byte(at, value) => {
            if let Some(byte) = bytes.get_mut(at % size) {
                *byte = value;
            }
        }
        Damage::Word(at, value) => {
            let at = at % size;
            if let Some(place) = bytes.get_mut(at..at + 8) {
                place.copy_from_slice(&value.to_le_bytes());
            }
        }
        Damage::Cut(at) => bytes.truncate(at % size),
        Damage::Swap(from, to, length) => {
            for index in 0..length {
                let (from, to) = ((from % size + index) % size, (to % size + index) % size);
                if !bytes.is_empty() {
                    bytes.swap(from, to);
                }
            }
        }
    }
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(CASES)
}

fn scratch() -> PathBuf {
    std::env::temp_dir().join(format!("reach-hostile-{}", std::process::id()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_file_is_analysed_or_refused(seed in 0..SEEDS.len(), damages in prop::collection::vec(damage(), 1..6)) {
        let mut bytes = fs::read(SEEDS[seed]).unwrap();
        for damage in &damages {
            apply(&mut bytes, damage);
        }
        let path = scratch();
        fs::write(&path, &bytes).unwrap();
        let path = path.to_str().unwrap().to_owned();
        // As the program, and as a library of a whole one.
        let alone = analyse(&Request { files: vec![path.clone()], interpreter: None }, |_| ());
        let among = analyse(&Request { files: vec![SEEDS[0].to_owned(), path.clone()], interpreter: Some(path.clone()) }, |_| ());
        fs::remove_file(&path).unwrap();
        for report in [alone, among] {
            prop_assert!(report.calls.len() < 1024);
            prop_assert!(report.unknown_files.values().all(|reason| !reason.is_empty()));
        }
    }
}

#[test]
fn the_start_of_a_file_is_no_file() {
    let whole = fs::read(SEEDS[0]).unwrap();
    let path = scratch().with_extension("short");
    for size in (0..=64).chain([65, 119, 120, 4096]) {
        fs::write(&path, &whole[..size.min(whole.len())]).unwrap();
        let report = analyse(
            &Request {
                files: vec![path.to_str().unwrap().to_owned()],
                interpreter: None,
            },
            |_| (),
        );
        assert_eq!(report.unknown_files.len(), 1, "{size}");
    }
    fs::remove_file(&path).unwrap();
}

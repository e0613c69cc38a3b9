//! Random functions keep their meaning; random records change nothing that they do not declare, and never panic.

use super::assert_same_behaviour;
use super::builder::{Built, Function, MOVABLE, build};
use super::machine::{FILE_OFFSET, Machine, changed};
use crate::patch::{Instruction, Plans, SiteRecord, Technique};
use alloc::vec::Vec;
use proptest::collection::vec;
use proptest::prelude::*;

fn function() -> impl Strategy<Value = Function> {
    let instructions = || vec(0..MOVABLE.len(), 1..4);
    let technique = prop::sample::select(Technique::ALL.to_vec());
    let instruction = prop::sample::select([Instruction::Syscall, Instruction::Cpuid].to_vec());
    let padding = prop::sample::select([0xcc, 0x90, 0x00].to_vec());
    (
        (technique, instruction),
        0..460u32,
        instructions(),
        instructions(),
        padding,
        any::<bool>(),
    )
        .prop_map(
            |((technique, instruction), nr, before, after, padding, backwards)| Function {
                technique,
                instruction,
                nr,
                before,
                after,
                padding,
                backwards,
            },
        )
}

fn hostile_record() -> impl Strategy<Value = SiteRecord> {
    let site = prop_oneof![FILE_OFFSET - 40..FILE_OFFSET + 400, any::<u64>()];
    let small = || prop_oneof![0..20u8, any::<u8>()];
    let pad = prop_oneof![-140..140i32, any::<i32>()];
    (
        site,
        any::<Option<u32>>(),
        prop_oneof![0..6u8, 0x10..0x16u8, any::<u8>()],
        small(),
        small(),
        small(),
        pad,
        any::<u32>(),
    )
        .prop_map(
            |(site, nr, kind, head, tail, rip_fix, pad, check)| SiteRecord {
                site,
                nr,
                kind,
                head,
                tail,
                rip_fix,
                pad,
                check,
            },
        )
}

/// A record of the analysis with one field changed and a check that fits the bytes again.
fn changed_record(built: &Built, index: usize, hostile: SiteRecord, field: u8) -> SiteRecord {
    let mut record = built.records[index % built.records.len()];
    match field % 7 {
        0 => record.site = record.site.wrapping_add(hostile.site % 16),
        1 => record.kind = hostile.kind,
        2 => record.head = hostile.head,
        3 => record.tail = hostile.tail,
        4 => record.rip_fix = hostile.rip_fix,
        5 => record.pad = hostile.pad,
        _ => record.nr = hostile.nr,
    }
    let start = (record.site - FILE_OFFSET) as usize
        - usize::from(record.head).min((record.site - FILE_OFFSET) as usize);
    let end = (record.site - FILE_OFFSET) as usize + 2 + usize::from(record.tail);
    if let Some(window) = built.code.get(start..end) {
        record.check = super::builder::crc(window);
    }
    record
}

/// Whether a record declares the byte at this offset of the code.
fn declares(record: &SiteRecord, at: u64) -> bool {
    let at = i128::from(at) + i128::from(FILE_OFFSET);
    let site = i128::from(record.site);
    let window = site - i128::from(record.head)..site + 2 + i128::from(record.tail);
    let pad = site + i128::from(record.pad);
    window.contains(&at) || record.kind & 0xf == 3 && (pad..pad + 5).contains(&at)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn correct_records_keep_the_meaning(functions in vec(function(), 1..12)) {
        let built = build(&functions);
        let mut machine = Machine::new(&built.code, 4096);
        let applied = machine.apply(&built.records);
        assert_same_behaviour(&built, &machine, &applied.map);
        for at in changed(&built.code, &machine.code) {
            prop_assert!(built.records.iter().any(|record| declares(record, at)), "{at:#x}");
        }
        let total = applied.counts.total_patched() + applied.counts.total_skipped();
        prop_assert_eq!(total as usize, built.records.len());
        prop_assert_eq!(applied.counts.total_patched() as usize, applied.map.len());
    }

    #[test]
    fn hostile_records_stay_inside_what_they_declare(
        functions in vec(function(), 1..6),
        hostile in vec((hostile_record(), any::<u8>(), any::<usize>(), any::<bool>()), 1..12),
    ) {
        let built = build(&functions);
        let mut records: Vec<SiteRecord> = hostile
            .into_iter()
            .map(|(record, field, index, wild)| if wild { record } else { changed_record(&built, index, record, field) })
            .collect();
        records.sort_by_key(|record| record.site);
        let mut machine = Machine::new(&built.code, 256);
        let map = machine.apply(&records).map;
        for at in changed(&built.code, &machine.code) {
            prop_assert!(records.iter().any(|record| declares(record, at)), "{at:#x}");
        }
        for pc in [0, u64::MAX].into_iter().chain(map.trampolines()) {
            map.visible_pc(pc);
            map.resume_pc(pc);
        }
    }

    #[test]
    fn any_bytes_are_a_plan_or_an_error(mut bytes in vec(any::<u8>(), 0..200), nid in any::<u64>(), files in 0..9u8) {
        if let Some((header, _)) = bytes.split_first_chunk_mut::<16>() {
            *header = *b"CPTPLAN1\0\0\0\0\0\0\0\0";
            header[8] = files;
        }
        if let Ok(plans) = Plans::new(&bytes) {
            let read = plans.sites(nid).iter().count();
            prop_assert_eq!(read, plans.sites(nid).len());
        }
    }
}

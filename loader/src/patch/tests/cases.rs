//! One technique at a time, byte for byte; and every reason to leave a record alone.

use super::assert_same_behaviour;
use super::builder::{Built, Function, build, crc};
use super::machine::{AREA, FILE_OFFSET, MODULE, Machine, changed};
use crate::patch::{
    Instruction, Mapping, SiteRecord, Sites, Skip, Technique, pages_touched, trampoline_size,
};
use alloc::vec::Vec;

fn function(technique: Technique) -> Function {
    Function {
        technique,
        instruction: Instruction::Syscall,
        nr: 39,
        before: [1, 8].to_vec(),
        after: [4, 0].to_vec(),
        padding: 0xcc,
        backwards: false,
    }
}

fn one(technique: Technique) -> (Built, Machine) {
    let built = build(&[function(technique)]);
    let machine = Machine::new(&built.code, 4096);
    (built, machine)
}

fn first_skip(built: &Built, machine: &mut Machine, change: impl FnOnce(&mut SiteRecord)) -> Skip {
    let before = machine.clone();
    let mut record = built.records[0];
    change(&mut record);
    let applied = machine.apply(&[record]);
    assert_eq!(applied.counts.total_patched(), 0);
    assert!(applied.map.is_empty());
    assert_eq!(changed(&before.code, &machine.code), Vec::<u64>::new());
    Skip::ALL
        .into_iter()
        .find(|skip| applied.counts.skipped(*skip) == 1)
        .unwrap()
}

#[test]
fn mov_before_the_syscall() {
    let (built, mut machine) = one(Technique::Mov);
    let applied = machine.apply(&built.records);
    assert_eq!(
        (
            applied.counts.patched(Technique::Mov),
            applied.counts.total_skipped()
        ),
        (1, 0)
    );
    let site = (built.records[0].site - FILE_OFFSET) as usize;
    // jmp rel32 from the mov to the area; the syscall stays.
    assert_eq!(machine.code[site - 5], 0xe9);
    assert_eq!(machine.code[site..site + 2], [0x0f, 0x05]);
    assert_eq!(machine.area[..8], [0xb8, 39, 0, 0, 0, 0x48, 0x8d, 0x0d]);
    assert_eq!(machine.area[12..20], [0x65, 0xff, 0x24, 0x25, 8, 0, 0, 0]);
    assert!(machine.area[20..].iter().all(|&byte| byte == 0xcc));
    assert_eq!(applied.map.trampolines(), AREA..AREA + 32);
    assert_same_behaviour(&built, &machine, &applied.map);
}

#[test]
fn a_jump_may_end_in_the_site() {
    for before in [[0, 5].as_slice(), &[0]] {
        let built = build(&[Function {
            before: before.to_vec(),
            ..function(Technique::Before)
        }]);
        let mut machine = Machine::new(&built.code, 4096);
        let applied = machine.apply(&built.records);
        assert_eq!(applied.counts.total_patched(), 1);
        let record = built.records[0];
        let start = (record.site - FILE_OFFSET) as usize - usize::from(record.head);
        let mut wanted = built.code.clone();
        let behind = u64::from(record.head) + 2;
        wanted[start..start + 5].copy_from_slice(&machine.code[start..start + 5]);
        assert_eq!((machine.code[start], &machine.code), (0xe9, &wanted));
        let site = MODULE + start as u64 + behind - 2;
        assert_eq!(
            applied.map.resume_pc(site),
            Some(AREA + u64::from(record.head))
        );
        assert_same_behaviour(&built, &machine, &applied.map);
    }
}

#[test]
fn cpuid_goes_by_rdx_and_an_entry_of_its_own() {
    let cpuid = Function {
        instruction: Instruction::Cpuid,
        ..function(Technique::Mov)
    };
    let built = build(&[cpuid]);
    let mut machine = Machine::new(&built.code, 4096);
    let record = built.records[0];
    let skip = first_skip(&built, &mut machine, |record| {
        record.kind = Technique::Mov as u8;
    });
    assert_eq!(skip, Skip::Mismatch);
    let applied = machine.apply(&[record]);
    assert_eq!(applied.counts.total_patched(), 1);
    let site = (record.site - FILE_OFFSET) as usize;
    assert_eq!(machine.code[site..site + 2], [0x0f, 0xa2]);
    assert_eq!(machine.area[5..8], [0x48, 0x8d, 0x15]);
    assert_eq!(
        machine.area[12..20],
        [0x65, 0xff, 0x24, 0x25, 0x10, 0, 0, 0]
    );
    assert_same_behaviour(&built, &machine, &applied.map);
}

#[test]
fn what_the_program_may_see() {
    let (built, mut machine) = one(Technique::Mov);
    let map = machine.apply(&built.records).map;
    let site = MODULE + built.records[0].site - FILE_OFFSET;
    // The displaced mov, the lea, the jump to the entry.
    assert_eq!(
        [0, 5, 12].map(|at| map.visible_pc(AREA + at)),
        [site - 5, site, site].map(Some)
    );
    assert_eq!(map.resume_pc(site), Some(AREA + 5));
    assert_eq!(
        [site - 5, site + 2, site - 6].map(|pc| map.resume_pc(pc)),
        [None; 3]
    );
    assert_eq!(
        [site, site - 5, MODULE, 0, u64::MAX].map(|pc| map.visible_pc(pc)),
        [None; 5]
    );

    let (built, mut machine) = one(Technique::After);
    let map = machine.apply(&built.records).map;
    let site = MODULE + built.records[0].site - FILE_OFFSET;
    assert_eq!(
        [0, 7, 15, 21, 24].map(|at| map.visible_pc(AREA + at)),
        [0, 0, 2, 8, 11].map(|at| Some(site + at))
    );
    assert_eq!(
        [2, 8].map(|at| map.resume_pc(site + at)),
        [15, 21].map(|at| Some(AREA + at))
    );
    assert_eq!([0, 11].map(|at| map.resume_pc(site + at)), [None; 2]);

    let (built, mut machine) = one(Technique::Hop);
    let map = machine.apply(&built.records).map;
    let site = MODULE + built.records[0].site - FILE_OFFSET;
    let pad = site.wrapping_add_signed(built.records[0].pad.into());
    assert_eq!(
        [AREA, AREA + 7, pad].map(|pc| map.visible_pc(pc)),
        [Some(site); 3]
    );
    assert_eq!([site, site + 2, pad].map(|pc| map.resume_pc(pc)), [None; 3]);

    // Mapped elsewhere, at the same distance.
    const BY: u64 = 0x1234_5000;
    let moved = map.at(MODULE + BY).unwrap();
    for pc in [AREA, AREA + 7, pad, site, site + 2, MODULE] {
        let both = |address: Option<u64>| address.map(|address| address + BY);
        assert_eq!(moved.visible_pc(pc + BY), both(map.visible_pc(pc)));
        assert_eq!(moved.resume_pc(pc + BY), both(map.resume_pc(pc)));
        assert_eq!(moved.visible_pc(pc), None);
    }
    assert_eq!(moved.trampolines().start, map.trampolines().start + BY);
}

#[test]
fn every_technique_keeps_the_meaning() {
    let functions: Vec<Function> = Technique::ALL
        .into_iter()
        .flat_map(|technique| {
            [false, true].map(|backwards| Function {
                backwards,
                ..function(technique)
            })
        })
        .collect();
    let built = build(&functions);
    let mut machine = Machine::new(&built.code, 4096);
    let applied = machine.apply(&built.records);
    // The first backward hop takes the padding that the forward hop before it has taken already.
    assert_eq!(applied.counts.skipped(Skip::Overlap), 1);
    assert_eq!(applied.counts.total_patched(), 7);
    assert_same_behaviour(&built, &machine, &applied.map);
}

#[test]
fn displaced_bytes_become_int3() {
    let (built, mut machine) = one(Technique::After);
    machine.apply(&built.records);
    let site = (built.records[0].site - FILE_OFFSET) as usize;
    assert_eq!(machine.code[site], 0xe9);
    assert_eq!(
        machine.code[site + 5..site + 12],
        [0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xc3]
    );
}

#[test]
fn wrong_bytes_are_left_alone() {
    let (built, mut machine) = one(Technique::Mov);
    assert_eq!(
        first_skip(&built, &mut machine, |record| record.check ^= 1),
        Skip::Mismatch
    );
    assert_eq!(
        first_skip(&built, &mut machine, |record| record.nr = Some(40)),
        Skip::Mismatch
    );
    assert_eq!(
        first_skip(&built, &mut machine, |record| record.nr = None),
        Skip::Mismatch
    );
    let site = (built.records[0].site - FILE_OFFSET) as usize;
    machine.code[site + 1] = 0x34;
    let check = crc(&machine.code[site - 5..site + 2]);
    assert_eq!(
        first_skip(&built, &mut machine, |record| record.check = check),
        Skip::Mismatch
    );

    let (built, mut machine) = one(Technique::Hop);
    let pad = (built.records[0].site - FILE_OFFSET) as usize + built.records[0].pad as usize;
    machine.code[pad + 3] = 0xc3;
    assert_eq!(first_skip(&built, &mut machine, |_| {}), Skip::Mismatch);
}

#[test]
fn contradictory_records_are_left_alone() {
    let check = |technique, change: &dyn Fn(&mut SiteRecord)| {
        let (built, mut machine) = one(technique);
        assert_eq!(first_skip(&built, &mut machine, change), Skip::Malformed);
    };
    check(Technique::Mov, &|record| record.kind = 0);
    check(Technique::Mov, &|record| record.kind = 5);
    check(Technique::Mov, &|record| record.kind = 0x21);
    check(Technique::Mov, &|record| record.head = 6);
    check(Technique::Mov, &|record| record.tail = 3);
    check(Technique::Mov, &|record| record.rip_fix = 1);
    check(Technique::Before, &|record| record.head = 2);
    check(Technique::Before, &|record| record.head = 33);
    check(Technique::Before, &|record| record.rip_fix = 7);
    check(Technique::Before, &|record| record.rip_fix = 255);
    check(Technique::Before, &|record| {
        record.pad = record.head as i32 + 1
    });
    check(Technique::Before, &|record| record.pad = -1);
    check(Technique::Hop, &|record| record.pad = 0);
    check(Technique::Hop, &|record| record.pad = -4);
    check(Technique::Hop, &|record| record.pad = 1);
    check(Technique::Hop, &|record| record.pad = 130);
    check(Technique::Hop, &|record| record.pad = -127);
    check(Technique::Hop, &|record| record.pad = i32::MIN);
    check(Technique::Hop, &|record| record.head = 1);
    check(Technique::After, &|record| record.tail = 2);
    check(Technique::After, &|record| record.head = 1);
}

#[test]
fn windows_must_be_inside_the_mapping() {
    let (built, mut machine) = one(Technique::Hop);
    let pad_end =
        (built.records[0].site - FILE_OFFSET) as usize + built.records[0].pad as usize + 5;
    machine.code.truncate(pad_end - 1);
    assert_eq!(first_skip(&built, &mut machine, |_| {}), Skip::OutOfRange);

    let (built, mut machine) = one(Technique::After);
    let site = (built.records[0].site - FILE_OFFSET) as usize;
    machine.code.truncate(site + 5);
    assert_eq!(first_skip(&built, &mut machine, |_| {}), Skip::OutOfRange);
    assert_eq!(
        first_skip(&built, &mut machine, |record| (
            record.head,
            record.kind,
            record.tail
        ) = (5, 1, 0)),
        Skip::Mismatch
    );
}

#[test]
fn overlapping_and_unsorted_records() {
    let (built, mut machine) = one(Technique::Mov);
    let applied = machine.apply(&[built.records[0], built.records[0]]);
    assert_eq!(
        (
            applied.counts.total_patched(),
            applied.counts.skipped(Skip::Malformed)
        ),
        (1, 1)
    );

    let built = build(&[function(Technique::Before), function(Technique::After)]);
    let mut machine = Machine::new(&built.code, 4096);
    let mut moved = built.records[0];
    (
        moved.site,
        moved.kind,
        moved.head,
        moved.tail,
        moved.rip_fix,
    ) = (moved.site + 1, 4, 0, 3, 0);
    let applied = machine.apply(&[built.records[0], moved, built.records[1]]);
    assert_eq!(
        (
            applied.counts.total_patched(),
            applied.counts.skipped(Skip::Overlap)
        ),
        (2, 1)
    );
    assert_same_behaviour(&built, &machine, &applied.map);
}

#[test]
fn out_of_reach_and_out_of_room() {
    let (built, mut machine) = one(Technique::Mov);
    for far in [
        0x1_0000,
        MODULE - (1 << 31) - 4096,
        MODULE + (1 << 31) + 64,
        u64::MAX - 4095,
    ] {
        machine.area_at = far;
        assert_eq!(first_skip(&built, &mut machine, |_| {}), Skip::OutOfReach);
    }
    let mut machine = Machine::new(&built.code, 31);
    assert_eq!(first_skip(&built, &mut machine, |_| {}), Skip::AreaFull);
    let mut machine = Machine::new(&built.code, 32);
    assert_eq!(machine.apply(&built.records).counts.total_patched(), 1);
}

#[test]
fn a_rip_relative_operand_can_be_out_of_reach_alone() {
    // The operand is 0x12345678 above the code: 2 GiB of reach are exceeded for a distant trampoline below.
    let (built, mut machine) = one(Technique::Before);
    machine.area_at = MODULE - 0x7fff_0000;
    assert_eq!(first_skip(&built, &mut machine, |_| {}), Skip::OutOfReach);
}

#[test]
fn failed_writes_leave_the_code_as_it_was() {
    for technique in Technique::ALL {
        let writes = if technique == Technique::Hop { 3 } else { 2 };
        for fail in 0..writes {
            let (built, mut machine) = one(technique);
            machine.fail_write = Some(fail);
            let applied = machine.apply(&built.records);
            assert_eq!(applied.counts.skipped(Skip::Memory), 1);
            // Only the padding of a hop can be lost when restoring it fails as well: no code runs there.
            let window = built.records[0].site - FILE_OFFSET;
            let touched = changed(&built.code, &machine.code);
            let harmless = technique == Technique::Hop
                && fail == 2
                && touched.iter().all(|&at| at > window + 2);
            assert!(
                touched.is_empty() || harmless,
                "{technique:?}, write {fail}"
            );
        }
    }
}

#[test]
fn sizes_and_pages() {
    let functions: Vec<Function> = Technique::ALL.map(function).into();
    let built = build(&functions);
    let bytes: Vec<u8> = built.records.iter().flat_map(SiteRecord::encode).collect();
    let sites = Sites::from_bytes(&bytes);
    assert_eq!(trampoline_size(&sites), 32 + 32 + 16 + 32);
    let mut machine = Machine::new(&built.code, trampoline_size(&sites) as usize);
    assert_eq!(machine.apply(&built.records).counts.total_patched(), 4);

    let pages = |vaddr| {
        pages_touched(
            &sites,
            &Mapping {
                vaddr,
                ..machine.mapping()
            },
        )
        .unwrap()
    };
    assert_eq!(pages(MODULE), [MODULE]);
    let straddling = MODULE + 4096 - (built.records[1].site - FILE_OFFSET) - 1;
    assert_eq!(pages(straddling), [MODULE, MODULE + 4096]);
}

//! The container format.

use crate::patch::{PlanError, Plans, SiteRecord};
use alloc::vec::Vec;

fn record(site: u64) -> SiteRecord {
    SiteRecord {
        site,
        nr: None,
        kind: 4,
        head: 0,
        tail: 9,
        rip_fix: 3,
        pad: -7,
        check: 0xdead_beef,
    }
}

/// The bytes of plans for files with these nids and sites.
fn encode(files: &[(u64, &[u64])]) -> Vec<u8> {
    let mut bytes = b"CPTPLAN1".to_vec();
    bytes.extend((files.len() as u64).to_le_bytes());
    let mut offset = 16 + 24 * files.len() as u64;
    for (nid, sites) in files {
        for word in [*nid, offset, sites.len() as u64] {
            bytes.extend(word.to_le_bytes());
        }
        offset += 24 * sites.len() as u64;
    }
    let sites = files.iter().flat_map(|(_, sites)| sites.iter());
    bytes.extend(sites.flat_map(|&site| record(site).encode()));
    bytes
}

#[test]
fn lookup() {
    let bytes = encode(&[(7, &[10, 20, 30]), (9, &[]), (u64::MAX, &[1])]);
    let plans = Plans::new(&bytes).unwrap();
    assert_eq!(plans.file_count(), 3);
    let sites = |nid| {
        plans
            .sites(nid)
            .iter()
            .map(|record| record.site)
            .collect::<Vec<_>>()
    };
    assert_eq!(sites(7), [10, 20, 30]);
    assert_eq!(sites(u64::MAX), [1]);
    assert!(plans.sites(8).is_empty() && plans.sites(9).is_empty());
    assert_eq!(plans.sites(7).iter().next(), Some(record(10)));
    let within: Vec<u64> = plans
        .sites(7)
        .within(&(11..30))
        .iter()
        .map(|record| record.site)
        .collect();
    assert_eq!(within, [20]);
    assert_eq!(Plans::new(&[]).unwrap().file_count(), 0);
    // The kernel may see the segment padded to its alignment.
    let padded = [bytes.clone(), [0; 4096].to_vec()].concat();
    assert_eq!(Plans::new(&padded).unwrap().sites(7).len(), 3);
}

#[test]
fn broken_segments_are_refused() {
    let bytes = encode(&[(7, &[10, 20, 30]), (9, &[5])]);
    let broken = |at: usize, with: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        Plans::new(&bytes).unwrap_err()
    };
    assert_eq!(
        Plans::new(&bytes[..15]).unwrap_err(),
        PlanError::TooShort { len: 15 }
    );
    assert_eq!(broken(0, b"x"), PlanError::Magic);
    assert_eq!(broken(12, &[1]), PlanError::Reserved { offset: 12 });
    assert_eq!(
        broken(8, &[0xff; 4]),
        PlanError::FileTable { files: u32::MAX }
    );
    assert_eq!(broken(16 + 20, &[1]), PlanError::Reserved { offset: 36 });
    assert_eq!(broken(16, &[9]), PlanError::FileOrder { index: 1 });
    assert_eq!(broken(16, &[10]), PlanError::FileOrder { index: 1 });
    assert_eq!(broken(24, &[0]), PlanError::Records { index: 0 });
    assert_eq!(broken(24, &[0xff; 8]), PlanError::Records { index: 0 });
    assert_eq!(broken(32 + 24, &[0xff; 4]), PlanError::Records { index: 1 });
    assert_eq!(
        Plans::new(&bytes[..bytes.len() - 1]).unwrap_err(),
        PlanError::Records { index: 1 }
    );
}

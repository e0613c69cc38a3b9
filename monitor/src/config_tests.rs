use std::io::Write;

use boot_abi::config::{SAME_OUTPUT, STREAM_PIPE, STREAM_TTY};

use super::*;

const STREAMS: Streams = Streams {
    kinds: [STREAM_PIPE, STREAM_TTY, STREAM_PIPE],
    flags: SAME_OUTPUT,
    rows: 24,
    columns: 80,
};

fn records(options: &Options) -> Vec<(u32, Vec<u8>)> {
    let blob = build(options, &STREAMS, Some(258), Some("mode=card mtu=1500")).unwrap();
    assert!(blob.len().is_multiple_of(8));
    Records::new(&blob)
        .map(|(tag, data)| (tag, data.to_vec()))
        .collect()
}

fn find(records: &[(u32, Vec<u8>)], tag: u32) -> Vec<&[u8]> {
    records
        .iter()
        .filter(|(t, _)| *t == tag)
        .map(|(_, data)| data.as_slice())
        .collect()
}

#[test]
fn everything_given_reaches_the_blob() {
    let options = Options {
        args: vec![b"-l".to_vec(), b"".to_vec(), b"\xff".to_vec()],
        env: vec![b"A=1".to_vec(), b"TERM=x".to_vec()],
        arg0: Some(b"ls".to_vec()),
        cwd: Some(b"/tmp".to_vec()),
        hostname: Some(b"box".to_vec()),
        clear_env: true,
        ..Options::default()
    };
    let records = records(&options);
    assert_eq!(find(&records, abi::ARG), [b"-l".as_slice(), b"", b"\xff"]);
    assert_eq!(find(&records, abi::ENV), [b"A=1".as_slice(), b"TERM=x"]);
    assert_eq!(find(&records, abi::ARG0), [b"ls"]);
    assert_eq!(find(&records, abi::CWD), [b"/tmp"]);
    assert_eq!(find(&records, abi::HOSTNAME), [b"box"]);
    assert_eq!(
        find(&records, abi::STREAMS),
        [[
            STREAM_PIPE,
            STREAM_TTY,
            STREAM_PIPE,
            SAME_OUTPUT,
            24,
            0,
            80,
            0
        ]]
    );
    assert_eq!(find(&records, abi::STDIN_FILE), [[2, 1, 0, 0, 0, 0, 0, 0]]);
    assert_eq!(find(&records, abi::SEED)[0].len(), SEED_LEN);
    let position = |tag| records.iter().position(|(t, _)| *t == tag);
    assert!(position(abi::CLEAR_ENV) < position(abi::ENV));
}

#[test]
fn seeds_differ() {
    let seed = || find(&records(&Options::default()), abi::SEED)[0].to_vec();
    assert_ne!(seed(), seed());
}

#[test]
fn extra_records_come_first_and_must_be_whole() {
    let mut extra = Blob::new();
    extra.push(abi::UMASK, &[0, 0, 0, 0]).unwrap();
    let extra = extra.into_bytes();
    let with = |bytes: &[u8]| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        build(
            &Options {
                config: Some(file.path().to_owned()),
                ..Options::default()
            },
            &STREAMS,
            None,
            None,
        )
    };
    let blob = with(&extra).unwrap();
    assert_eq!(
        Records::new(&blob).next(),
        Some((abi::UMASK, [0; 4].as_slice()))
    );
    for bad in [
        &b"nonsense"[..],
        b"",
        &extra[..extra.len() - 6],
        &[&extra[..], &[1, 0]].concat(),
    ] {
        assert!(matches!(with(bad), Err(Error::BadConfig { .. })), "{bad:?}");
    }
}

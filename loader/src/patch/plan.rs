//! The `plans` segment of an image.

use core::fmt;
use core::ops::Range;

const MAGIC: &[u8; 8] = b"CPTPLAN1";
const HEADER_SIZE: usize = 16;
const RECORD_SIZE: usize = 24;
const NOT_CONSTANT: u32 = u32::MAX;

type Record = [u8; RECORD_SIZE];

/// A checked plans segment: any file's records can be had without further errors.
#[derive(Debug, Clone, Copy)]
pub struct Plans<'a> {
    bytes: &'a [u8],
    files: &'a [Record],
}

/// Why a plans segment is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanError {
    TooShort { len: usize },
    Magic,
    Reserved { offset: usize },
    FileTable { files: u32 },
    FileOrder { index: usize },
    Records { index: usize },
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            PlanError::TooShort { len } => {
                write!(f, "patch plans: {len} bytes are too short for the header")
            }
            PlanError::Magic => f.write_str("patch plans: wrong magic bytes"),
            PlanError::Reserved { offset } => write!(
                f,
                "patch plans: the reserved word at {offset:#x} is not zero"
            ),
            PlanError::FileTable { files } => {
                write!(f, "patch plans: the table of {files} files is cut off")
            }
            PlanError::FileOrder { index } => {
                write!(f, "patch plans: file {index} is not in ascending order")
            }
            PlanError::Records { index } => write!(
                f,
                "patch plans: the records of file {index} are out of bounds"
            ),
        }
    }
}

impl<'a> Plans<'a> {
    /// Checks header and file table. An empty segment holds no plans.
    pub fn new(bytes: &'a [u8]) -> Result<Self, PlanError> {
        if bytes.is_empty() {
            return Ok(Plans { bytes, files: &[] });
        }
        let too_short = PlanError::TooShort { len: bytes.len() };
        let (header, rest) = bytes.split_first_chunk::<HEADER_SIZE>().ok_or(too_short)?;
        if !header.starts_with(MAGIC) {
            return Err(PlanError::Magic);
        }
        let files = u32_at(header, 8);
        if u32_at(header, 12) != 0 {
            return Err(PlanError::Reserved { offset: 12 });
        }
        let (all, _) = rest.as_chunks::<RECORD_SIZE>();
        let table = all
            .get(..files as usize)
            .ok_or(PlanError::FileTable { files })?;
        let plans = Plans {
            bytes,
            files: table,
        };
        plans.check_files()?;
        Ok(plans)
    }

    fn check_files(&self) -> Result<(), PlanError> {
        let mut previous = None;
        for (index, entry) in self.files.iter().enumerate() {
            let nid = u64_at(entry, 0);
            if previous.is_some_and(|previous| previous >= nid) {
                return Err(PlanError::FileOrder { index });
            }
            if u32_at(entry, 20) != 0 {
                return Err(PlanError::Reserved {
                    offset: HEADER_SIZE + index * RECORD_SIZE + 20,
                });
            }
            self.records(entry).ok_or(PlanError::Records { index })?;
            previous = Some(nid);
        }
        Ok(())
    }

    fn records(&self, entry: &Record) -> Option<&'a [Record]> {
        let start = usize::try_from(u64_at(entry, 8)).ok()?;
        let table_end = HEADER_SIZE + self.files.len() * RECORD_SIZE;
        if start < table_end {
            return None;
        }
        let (records, _) = self.bytes.get(start..)?.as_chunks::<RECORD_SIZE>();
        records.get(..u32_at(entry, 16) as usize)
    }

    /// The number of files with a plan.
    pub fn file_count(&self) -> usize {
        self.files.len()
    }

    /// The records of the file with this EROFS nid; none when it has no plan.
    pub fn sites(&self, nid: u64) -> Sites<'a> {
        let found = self
            .files
            .binary_search_by_key(&nid, |entry| u64_at(entry, 0))
            .ok();
        let records = found
            .and_then(|index| self.files.get(index))
            .and_then(|entry| self.records(entry));
        Sites {
            records: records.unwrap_or_default(),
        }
    }
}

/// Records of one file, sorted by offset.
#[derive(Debug, Clone, Copy)]
pub struct Sites<'a> {
    records: &'a [Record],
}

impl<'a> Sites<'a> {
    /// Reads records that stand alone, without the table of files; a partial record at the end is not seen.
    pub fn from_bytes(bytes: &'a [u8]) -> Self {
        Sites {
            records: bytes.as_chunks::<RECORD_SIZE>().0,
        }
    }

    /// The sites with file offsets in `range`.
    pub fn within(&self, range: &Range<u64>) -> Sites<'a> {
        let first = self
            .records
            .partition_point(|record| u64_at(record, 0) < range.start);
        let end = self
            .records
            .partition_point(|record| u64_at(record, 0) < range.end);
        Sites {
            records: self.records.get(first..end).unwrap_or_default(),
        }
    }

    /// One by one.
    pub fn iter(&self) -> impl Iterator<Item = SiteRecord> + use<'a> {
        self.records.iter().map(SiteRecord::decode)
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

/// One record as it stands in the plan; nothing about it has been checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SiteRecord {
    /// File offset of the instruction.
    pub site: u64,
    /// What eax holds there (the system call's number) when it is constant.
    pub nr: Option<u32>,
    /// The technique's number and the instruction's.
    pub kind: u8,
    pub head: u8,
    pub tail: u8,
    pub rip_fix: u8,
    pub pad: i32,
    pub check: u32,
}

impl SiteRecord {
    fn decode(record: &Record) -> Self {
        let [.., kind, head, tail, rip_fix, p0, p1, p2, p3, _, _, _, _] = *record;
        let nr = u32_at(record, 8);
        SiteRecord {
            site: u64_at(record, 0),
            nr: (nr != NOT_CONSTANT).then_some(nr),
            kind,
            head,
            tail,
            rip_fix,
            pad: i32::from_le_bytes([p0, p1, p2, p3]),
            check: u32_at(record, 20),
        }
    }

    /// The record's bytes in a plan.
    pub fn encode(&self) -> [u8; RECORD_SIZE] {
        let mut record = [0; RECORD_SIZE];
        let fields = [
            &self.site.to_le_bytes()[..],
            &self.nr.unwrap_or(NOT_CONSTANT).to_le_bytes(),
            &[self.kind, self.head, self.tail, self.rip_fix],
            &self.pad.to_le_bytes(),
            &self.check.to_le_bytes(),
        ];
        let bytes = fields.into_iter().flatten();
        record
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = *from);
        record
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk());
    word.map_or(0, |word| u32::from_le_bytes(*word))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk());
    word.map_or(0, |word| u64::from_le_bytes(*word))
}

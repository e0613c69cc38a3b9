mod content;
mod copying;
mod descriptors;
mod directories;
mod metadata;

/// `AT_FDCWD` as a register.
const CWD: u64 = -100_i64 as u64;

use super::instance::Uring;
use super::rings::Rings;
use crate::kernel::Kernel;
use crate::user::UserPtr;
use linux_abi::raw::general::O_RDWR;
use linux_abi::raw::io_uring as raw;
use linux_abi::{Errno, IoUringParams, SysResult};
use vfs::File;

const SQ_ENTRIES_MAX: u32 = 32768;
const CQ_ENTRIES_MAX: u32 = 2 * SQ_ENTRIES_MAX;

/// What may be asked for. Most are about which thread does the work, of which there is no choice here.
const FLAGS: u32 = raw::IORING_SETUP_CQSIZE
    | raw::IORING_SETUP_CLAMP
    | raw::IORING_SETUP_R_DISABLED
    | raw::IORING_SETUP_SUBMIT_ALL
    | raw::IORING_SETUP_COOP_TASKRUN
    | raw::IORING_SETUP_TASKRUN_FLAG
    | raw::IORING_SETUP_SINGLE_ISSUER
    | raw::IORING_SETUP_DEFER_TASKRUN
    | raw::IORING_SETUP_NO_SQARRAY;

/// `SUBMIT_STABLE` is missing: a request that has to wait reads what it points to again.
const FEATURES: u32 = raw::IORING_FEAT_SINGLE_MMAP
    | raw::IORING_FEAT_NODROP
    | raw::IORING_FEAT_RW_CUR_POS
    | raw::IORING_FEAT_FAST_POLL
    | raw::IORING_FEAT_POLL_32BITS
    | raw::IORING_FEAT_EXT_ARG
    | raw::IORING_FEAT_CQE_SKIP
    | raw::IORING_FEAT_LINKED_FILE;

/// A number of entries: a power of two, and no more than `most` unless that may be cut.
fn entries(wanted: u32, most: u32, clamp: bool) -> Result<u32, Errno> {
    if wanted == 0 || (wanted > most && !clamp) {
        return Err(Errno::EINVAL);
    }
    Ok(wanted.min(most).next_power_of_two())
}

/// io_uring_setup(2)
pub fn io_uring_setup<K: Kernel>(k: &K, wanted: u32, params: UserPtr<IoUringParams>) -> SysResult {
    let mut given = params.read(k)?;
    let flags = given.flags;
    if given.resv != [0; 3] {
        return Err(Errno::EINVAL);
    }
    if flags & !FLAGS != 0 {
        k.unsupported_part("io_uring_setup: SQPOLL, IOPOLL, large entries and attached rings");
        return Err(Errno::EINVAL);
    }
    if flags & raw::IORING_SETUP_DEFER_TASKRUN != 0 && flags & raw::IORING_SETUP_SINGLE_ISSUER == 0
    {
        return Err(Errno::EINVAL);
    }
    let clamp = flags & raw::IORING_SETUP_CLAMP != 0;
    let sq = entries(wanted, SQ_ENTRIES_MAX, clamp)?;
    let cq = if flags & raw::IORING_SETUP_CQSIZE != 0 {
        entries(given.cq_entries, CQ_ENTRIES_MAX, clamp)?
    } else {
        2 * sq
    };
    if cq < sq {
        return Err(Errno::EINVAL);
    }
    let rings = Rings::new(sq, cq, flags & raw::IORING_SETUP_NO_SQARRAY == 0)?;
    (given.sq_entries, given.cq_entries, given.features) = (sq, cq, FEATURES);
    (given.sq_off, given.cq_off) = (rings.sq_offsets(), rings.cq_offsets());
    params.write(k, &given)?;
    let disabled = flags & raw::IORING_SETUP_R_DISABLED != 0;
    let file = File::from_ops(Uring::new(rings, disabled), O_RDWR);
    k.files().insert(file, true).map(|fd| fd as usize)
}

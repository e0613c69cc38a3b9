use crate::Fd;
use crate::kernel::Kernel;
use crate::user::UserPtr;
use linux_abi::{Cachestat, CachestatRange, Errno, PAGE_SIZE, SysResult};
use vfs::File;

/// cachestat(2). All that a file holds is in memory, and nothing is written back from there.
pub fn cachestat<K: Kernel>(
    k: &K,
    fd: Fd,
    range: UserPtr<CachestatRange>,
    stat: UserPtr<Cachestat>,
    flags: u32,
) -> SysResult {
    let file = k.files().get(fd)?;
    if file.is_path() {
        return Err(Errno::EBADF);
    }
    let range = range.read(k)?;
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let page = PAGE_SIZE as u64;
    let first = range.off / page;
    let end = match range.len {
        0 => u64::MAX,
        len => range.off.saturating_add(len - 1) / page + 1,
    };
    let answer = Cachestat {
        nr_cache: pages_between(&file, first, end),
        ..Cachestat::default()
    };
    stat.write(k, &answer)?;
    Ok(0)
}

/// How many pages of `first..end` the file has data in.
fn pages_between(file: &File, first: u64, end: u64) -> u64 {
    let page = PAGE_SIZE as u64;
    let inode = file.inode();
    let (mut at, mut count) = (first, 0);
    while at < end
        && let Some(offset) = at.checked_mul(page)
        && let Ok(data) = inode.seek_data(offset, false)
        && let Ok(hole) = inode.seek_data(data, true)
    {
        let (from, to) = ((data / page).max(at), hole.div_ceil(page).min(end));
        count += to.saturating_sub(from);
        at = to.max(at + 1);
    }
    count
}

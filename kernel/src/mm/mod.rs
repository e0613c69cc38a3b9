//! Memory: physical frames, the kernel's heap, page tables, and the program's address spaces.

pub mod fault;
mod fork;
pub mod frame;
mod gaps;
pub mod heap;
pub mod kernel_space;
pub mod layout;
pub mod lock;
pub mod map;
pub mod paging;
pub mod patch;
mod patched;
mod remap;
mod seal;
pub mod space;
pub mod tlb;
pub mod user;

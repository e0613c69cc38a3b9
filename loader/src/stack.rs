//! The initial stack: what `execve` leaves for the first instruction of a program.
//!
//! From the top down, as Linux lays it out: eight zero bytes, the path given to `execve`, the environment and argument
//! strings, the platform name, 16 random bytes, then the auxiliary vector and the pointer arrays down to `argc`.

use crate::auxv::{self, Auxv};
use crate::page::PAGE_SIZE;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

/// `MAX_ARG_STRLEN`: one string, its NUL included.
const MAX_STRING: usize = 32 * PAGE_SIZE as usize;
/// `ARG_MAX`: always granted.
const MIN_TOTAL: u64 = 32 * PAGE_SIZE;
/// Three quarters of `_STK_LIM`: never exceeded.
const MAX_TOTAL: u64 = 6 << 20;

const PLATFORM: &[u8] = b"x86_64";

/// What goes onto the stack.
#[derive(Debug)]
pub struct StackRequest<'a, A, E> {
    /// The end of the stack mapping.
    pub top: u64,
    pub argv: &'a [A],
    pub envp: &'a [E],
    /// The path given to `execve`, for `AT_EXECFN`.
    pub execfn: &'a [u8],
    /// For `AT_RANDOM`.
    pub random: [u8; 16],
    /// Shifts the stack pointer by up to 8 KiB; 0 without randomisation.
    pub align_rnd: u64,
    /// `RLIMIT_STACK`, which bounds the size of the strings.
    pub stack_limit: u64,
    pub auxv: &'a Auxv,
}

/// The finished bytes and where they belong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackImage {
    /// The initial stack pointer, where `bytes` begin; they end at the top.
    pub sp: u64,
    pub bytes: Vec<u8>,
    /// Addresses of the argument strings (`/proc/self/cmdline`).
    pub args: Range<u64>,
    /// Addresses of the environment strings (`/proc/self/environ`).
    pub env: Range<u64>,
    /// Addresses of the auxiliary vector, its `AT_NULL` included (`/proc/self/auxv`).
    pub auxv: Range<u64>,
}

/// Why there is no stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StackError {
    /// One string is longer than 128 KiB, or all together exceed the limit.
    TooBig,
    /// The kernel has no memory for the image.
    NoMemory,
}

impl StackError {
    /// `E2BIG` or `ENOMEM`.
    pub fn errno(self) -> i32 {
        match self {
            StackError::TooBig => 7,
            StackError::NoMemory => 12,
        }
    }
}

impl fmt::Display for StackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StackError::TooBig => "argument list too long",
            StackError::NoMemory => "not enough memory for the arguments",
        })
    }
}

/// Builds the stack. An empty `argv` becomes one empty string, as under Linux since 5.18.
pub fn build<A: AsRef<[u8]>, E: AsRef<[u8]>>(
    request: &StackRequest<'_, A, E>,
) -> Result<StackImage, StackError> {
    let plan = Plan::new(request)?;
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(plan.total())
        .map_err(|_| StackError::NoMemory)?;
    plan.write(request, &mut bytes);
    Ok(StackImage {
        sp: plan.sp,
        args: plan.args_at..plan.env_at,
        env: plan.env_at..plan.execfn_at,
        auxv: plan.auxv_at..plan.auxv_at.saturating_add(auxv::SIZE as u64),
        bytes,
    })
}

/// All addresses, from low to high, before a byte is written.
struct Plan {
    sp: u64,
    argc: u64,
    auxv_at: u64,
    random_at: u64,
    platform_at: u64,
    args_at: u64,
    env_at: u64,
    execfn_at: u64,
    top: u64,
}

impl Plan {
    fn new<A: AsRef<[u8]>, E: AsRef<[u8]>>(
        request: &StackRequest<'_, A, E>,
    ) -> Result<Self, StackError> {
        let args_size = if request.argv.is_empty() {
            1
        } else {
            strings_size(request.argv)?
        };
        let env_size = strings_size(request.envp)?;
        let execfn_size = strings_size(&[request.execfn])?;
        let argc = request.argv.len().max(1) as u64;
        let pointers = argc + request.envp.len() as u64;
        let limit = (request.stack_limit / 4).clamp(MIN_TOTAL, MAX_TOTAL);
        if args_size + env_size + execfn_size + pointers * 8 > limit {
            return Err(StackError::TooBig);
        }
        let below = |addr: u64, size: u64| addr.checked_sub(size).ok_or(StackError::TooBig);
        let execfn_at = below(request.top, 8 + execfn_size)?;
        let env_at = below(execfn_at, env_size)?;
        let args_at = below(env_at, args_size)?;
        let shifted = below(args_at, request.align_rnd % (2 * PAGE_SIZE))? & !15;
        let platform_at = below(shifted, PLATFORM.len() as u64 + 1)?;
        let random_at = below(platform_at, 16)? & !15;
        // argc, the pointers, two NULLs.
        let sp = below(random_at, auxv::SIZE as u64 + (pointers + 3) * 8)? & !15;
        let auxv_at = sp.saturating_add((pointers + 3) * 8);
        Ok(Plan {
            sp,
            argc,
            auxv_at,
            random_at,
            platform_at,
            args_at,
            env_at,
            execfn_at,
            top: request.top,
        })
    }

    fn total(&self) -> usize {
        self.top.saturating_sub(self.sp) as usize
    }

    fn write<A: AsRef<[u8]>, E: AsRef<[u8]>>(
        &self,
        request: &StackRequest<'_, A, E>,
        out: &mut Vec<u8>,
    ) {
        let put_word = |word: u64, out: &mut Vec<u8>| out.extend_from_slice(&word.to_le_bytes());
        put_word(self.argc, out);
        if request.argv.is_empty() {
            put_word(self.args_at, out);
        }
        put_pointers(request.argv, self.args_at, out);
        put_word(0, out);
        put_pointers(request.envp, self.env_at, out);
        put_word(0, out);
        for (key, value) in request
            .auxv
            .entries(self.random_at, self.execfn_at, self.platform_at)
        {
            put_word(key, out);
            put_word(value, out);
        }
        self.pad_to(self.random_at, out);
        out.extend_from_slice(&request.random);
        self.pad_to(self.platform_at, out);
        put_string(PLATFORM, out);
        self.pad_to(self.args_at, out);
        if request.argv.is_empty() {
            out.push(0);
        }
        request
            .argv
            .iter()
            .for_each(|arg| put_string(arg.as_ref(), out));
        request
            .envp
            .iter()
            .for_each(|var| put_string(var.as_ref(), out));
        put_string(request.execfn, out);
        self.pad_to(self.top, out);
    }

    fn pad_to(&self, addr: u64, out: &mut Vec<u8>) {
        out.resize(addr.saturating_sub(self.sp) as usize, 0);
    }
}

/// The bytes that the strings take with their NULs.
fn strings_size<S: AsRef<[u8]>>(strings: &[S]) -> Result<u64, StackError> {
    let mut total = 0;
    for string in strings {
        let size = string.as_ref().len() + 1;
        if size > MAX_STRING {
            return Err(StackError::TooBig);
        }
        total += size as u64;
    }
    Ok(total)
}

fn put_pointers<S: AsRef<[u8]>>(strings: &[S], first: u64, out: &mut Vec<u8>) {
    let mut at = first;
    for string in strings {
        out.extend_from_slice(&at.to_le_bytes());
        at = at.saturating_add(string.as_ref().len() as u64 + 1);
    }
}

fn put_string(string: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(string);
    out.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec;

    const TOP: u64 = 0x7fff_ffff_f000;

    fn request<'a>(
        argv: &'a [&'a str],
        envp: &'a [&'a str],
        auxv: &'a Auxv,
    ) -> StackRequest<'a, &'a str, &'a str> {
        StackRequest {
            top: TOP,
            argv,
            envp,
            execfn: b"/bin/prog",
            random: [7; 16],
            align_rnd: 0,
            stack_limit: 8 << 20,
            auxv,
        }
    }

    fn word(image: &StackImage, addr: u64) -> u64 {
        let at = (addr - image.sp) as usize;
        u64::from_le_bytes(image.bytes[at..at + 8].try_into().unwrap())
    }

    fn string(image: &StackImage, addr: u64) -> String {
        let rest = &image.bytes[(addr - image.sp) as usize..];
        let end = rest.iter().position(|&byte| byte == 0).unwrap();
        String::from_utf8(rest[..end].to_vec()).unwrap()
    }

    fn aux(image: &StackImage, key: u64) -> u64 {
        let mut at = image.auxv.start;
        while word(image, at) != key {
            assert!(at < image.auxv.end, "no auxv entry {key}");
            at += 16;
        }
        word(image, at + 8)
    }

    #[test]
    fn everything_is_where_the_program_looks() {
        let auxv = Auxv {
            entry: 0x40_1000,
            phnum: 13,
            ..Auxv::default()
        };
        for align_rnd in [0, 1, 15, 0x1fff, u64::MAX] {
            let request = StackRequest {
                align_rnd,
                ..request(&["prog", "-x", ""], &["A=1", "B=2"], &auxv)
            };
            let image = build(&request).unwrap();
            assert_eq!(image.sp % 16, 0);
            assert_eq!(image.sp + image.bytes.len() as u64, TOP);
            assert_eq!(word(&image, image.sp), 3);
            let pointers: Vec<_> = (1..8).map(|at| word(&image, image.sp + at * 8)).collect();
            assert_eq!((pointers[3], pointers[6]), (0, 0));
            assert_eq!(pointers[0], image.args.start);
            assert_eq!(pointers[4], image.env.start);
            let strings: Vec<_> = [0, 1, 2, 4, 5]
                .map(|at| string(&image, pointers[at]))
                .into();
            assert_eq!(strings, ["prog", "-x", "", "A=1", "B=2"]);
            assert_eq!(image.auxv.start, image.sp + 8 * 8);
            assert_eq!(word(&image, image.auxv.end - 16), 0);
            assert_eq!(string(&image, aux(&image, 31)), "/bin/prog");
            assert_eq!(string(&image, aux(&image, 15)), "x86_64");
            let random = (aux(&image, 25) - image.sp) as usize;
            assert_eq!(image.bytes[random..random + 16], [7; 16]);
            assert_eq!(
                (aux(&image, 9), aux(&image, 5), aux(&image, 6)),
                (0x40_1000, 13, 4096)
            );
        }
    }

    #[test]
    fn no_arguments_become_one_empty_argument() {
        let image = build(&request(&[], &[], &Auxv::default())).unwrap();
        assert_eq!(word(&image, image.sp), 1);
        assert_eq!(string(&image, word(&image, image.sp + 8)), "");
        assert_eq!(word(&image, image.sp + 16), 0);
    }

    #[test]
    fn limits() {
        let auxv = Auxv::default();
        let longest = "x".repeat(MAX_STRING - 1);
        assert!(build(&request(&[&longest], &[], &auxv)).is_ok());
        let too_long = "x".repeat(MAX_STRING);
        assert_eq!(
            build(&request(&[], &[&too_long], &auxv)),
            Err(StackError::TooBig)
        );
        let many = vec!["12345678"; 130_000];
        assert_eq!(build(&request(&many, &[], &auxv)), Err(StackError::TooBig));
        assert!(
            build(&StackRequest {
                stack_limit: u64::MAX,
                ..request(&many[..100_000], &[], &auxv)
            })
            .is_ok()
        );
        assert_eq!(
            build(&StackRequest {
                top: 100,
                ..request(&["a"], &[], &auxv)
            }),
            Err(StackError::TooBig)
        );
    }

    /// This process was started by Linux: its vector has the same entries in the same order.
    #[test]
    fn same_auxv_entries_as_the_host() {
        let host = std::fs::read("/proc/self/auxv").unwrap();
        let keys = |bytes: &[u8]| -> Vec<u64> {
            bytes
                .chunks_exact(16)
                .map(|pair| u64::from_le_bytes(pair[..8].try_into().unwrap()))
                .collect()
        };
        let auxv = Auxv {
            sysinfo_ehdr: 0x1000,
            ..Auxv::default()
        };
        let image = build(&request(&["x"], &[], &auxv)).unwrap();
        let at = (image.auxv.start - image.sp) as usize;
        let ours = keys(&image.bytes[at..at + auxv::SIZE]);
        let host: Vec<u64> = keys(&host)
            .into_iter()
            .filter(|key| ours.contains(key))
            .collect();
        let ours: Vec<u64> = ours.into_iter().filter(|key| host.contains(key)).collect();
        assert_eq!(ours, host[..ours.len()]);
    }
}

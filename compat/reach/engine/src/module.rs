//! One file: its functions, and what each refers to.

use std::sync::atomic::{AtomicUsize, Ordering};

use elf::abi;
use rayon::prelude::*;
use rustc_hash::FxHashMap;

use crate::functions::{self, Range};
use crate::image::{Image, Refusal, Result};
use crate::pointers::{self, Pointer, To};
use crate::sweep::{Kind, MAX_REFS, Ref, Sweeper, Swept};
use crate::symbols::{self, Symbol};

const ENDBR64: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];
const CHUNK: usize = 1024;

pub struct Function {
    pub range: Range,
    pub refs: std::ops::Range<usize>,
    /// A table or a sized symbol names it.
    pub listed: bool,
    /// All its bytes decode.
    pub whole: bool,
    /// It consists of stubs that jump through pointers.
    pub stubs: bool,
}

pub struct Module {
    pub path: String,
    pub image: Image,
    pub symbols: Vec<Symbol>,
    pub names: Vec<Symbol>,
    pub pointers: Vec<Pointer>,
    pub functions: Vec<Function>,
    pub refs: Vec<Ref>,
    pub go: bool,
    /// Where a jump through a pointer begins, and the pointer.
    pub stubs: FxHashMap<u32, u32>,
    /// Starts of data objects: every address of data that code or data take.
    pub boundaries: Vec<u32>,
    /// Data objects whose size a symbol states: start and end, sorted.
    objects: Vec<(u64, u64)>,
    /// Of several names of one function the plainest.
    function_names: FxHashMap<u64, Box<str>>,
    /// Branches between functions, by target. What runs on into the target counts as there.
    pub branches: Vec<(u32, u32)>,
    /// Calls and jumps through pointers, by pointer.
    pub slot_branches: Vec<(u32, u32)>,
    pub soname: Option<String>,
    pub needed: Vec<String>,
}

impl Module {
    pub fn open(path: &str) -> Result<Self> {
        let image = Image::open(path)?;
        let symbols = symbols::dynamic_symbols(&image);
        let names = symbols::static_symbols(&image);
        let pointers = pointers::read(&image);
        let strings = symbols::strings(&image);
        let text = |offset: u64| strings.get(offset as usize).ok().map(str::to_owned);
        let soname = image.dynamic.get(&abi::DT_SONAME).and_then(|&at| text(at));
        let needed = image.needed.iter().filter_map(|&at| text(at)).collect();
        let (listed, go_names) = functions::listed(&image, &[&symbols, &names]);
        let mut function_names = function_names(&symbols, &names);
        let go = go_names.is_some();
        function_names.extend(go_names.unwrap_or_default());
        let mut module = Module {
            path: path.to_owned(),
            symbols,
            names,
            pointers,
            functions: Vec::new(),
            refs: Vec::new(),
            go,
            stubs: FxHashMap::default(),
            boundaries: Vec::new(),
            objects: Vec::new(),
            function_names,
            branches: Vec::new(),
            slot_branches: Vec::new(),
            soname,
            needed,
            image,
        };
        module.sweep(&listed)?;
        module.index();
        Ok(module)
    }

    pub fn function_at(&self, at: u64) -> Option<usize> {
        let index = self
            .functions
            .partition_point(|f| f.range.start <= at)
            .checked_sub(1)?;
        (at < self.functions.get(index)?.range.end).then_some(index)
    }

    pub fn refs_of(&self, function: &Function) -> &[Ref] {
        self.refs.get(function.refs.clone()).unwrap_or(&[])
    }

    pub fn pointers_in(&self, start: u64, end: u64) -> &[Pointer] {
        let first = self.pointers.partition_point(|p| p.at < start);
        let last = self.pointers.partition_point(|p| p.at < end);
        self.pointers.get(first..last.max(first)).unwrap_or(&[])
    }

    /// The end of the data object that an address lies in, if a symbol states it.
    pub fn object_end(&self, at: u64) -> Option<u64> {
        let index = self
            .objects
            .partition_point(|&(start, _)| start <= at)
            .checked_sub(1)?;
        let &(_, end) = self.objects.get(index)?;
        (at < end).then_some(end)
    }

    /// Whether the object of data at an address holds another address too.
    pub fn spans(&self, at: u64, other: u64) -> bool {
        let end = self.object_end(at).unwrap_or(0).max(at + 1);
        let first = self.boundaries.partition_point(|&b| u64::from(b) <= at);
        let next = self.boundaries.partition_point(|&b| u64::from(b) < end);
        let start = first.checked_sub(1).and_then(|b| self.boundaries.get(b));
        let end = self.boundaries.get(next);
        start.is_some_and(|&b| u64::from(b) <= other) && end.is_none_or(|&b| other < u64::from(b))
    }

    /// The places that branch to an address, from other functions.
    pub fn branches_to(&self, target: u64) -> impl Iterator<Item = u64> + '_ {
        matching(&self.branches, target as u32)
    }

    pub fn branches_through(&self, slot: u64) -> impl Iterator<Item = u64> + '_ {
        matching(&self.slot_branches, slot as u32)
    }

    /// The function of a name that tells them apart, such as Go's.
    pub fn function_named(&self, name: &str) -> Option<u64> {
        self.function_names
            .iter()
            .find(|(_, known)| ***known == *name)
            .map(|(&at, _)| at)
    }

    /// What the function is called: its symbol, or `sub_` and its file offset.
    pub fn name_of(&self, at: u64) -> String {
        match self.function_names.get(&at) {
            Some(name) => name.to_string(),
            None => format!("sub_{:x}", self.image.file_offset(at)),
        }
    }

    fn sweep(&mut self, listed: &[Range]) -> Result<()> {
        let count = AtomicUsize::new(0);
        let sweeper = Sweeper {
            image: &self.image,
            pointers: &self.pointers,
            count: &count,
        };
        let known = sweep_all(&sweeper, listed);
        let gaps = functions::gaps(&self.image, listed);
        let first = sweep_all(&sweeper, &gaps);
        let split = self.split(&gaps, known.iter().chain(&first));
        drop(first);
        let rest = sweep_all(&sweeper, &split);
        if count.load(Ordering::Relaxed) > MAX_REFS {
            return Err(Refusal::Bad(
                "its code refers to more than a compiler's output does",
            ));
        }
        let mut all: Vec<(Range, Swept, bool)> = Vec::with_capacity(listed.len() + split.len());
        all.extend(
            listed
                .iter()
                .zip(known)
                .map(|(&range, swept)| (range, swept, true)),
        );
        all.extend(
            split
                .iter()
                .zip(rest)
                .map(|(&range, swept)| (range, swept, false)),
        );
        all.sort_by_key(|(range, ..)| range.start);
        let starts: Vec<u64> = all.iter().skip(1).map(|(range, ..)| range.start).collect();
        for (index, (range, swept, listed)) in all.into_iter().enumerate() {
            let first = self.refs.len();
            self.refs.extend(swept.refs);
            if swept.falls && starts.get(index) == Some(&range.end) {
                let end = range.end as u32;
                self.refs.push(Ref {
                    ip: end,
                    target: end,
                    kind: Kind::Fall,
                    size: 0,
                });
            }
            let refs = first..self.refs.len();
            let stubs = !refs.is_empty()
                && self
                    .refs
                    .iter()
                    .skip(first)
                    .all(|r| r.kind == Kind::SlotJump);
            self.functions.push(Function {
                range,
                refs,
                listed,
                whole: swept.whole,
                stubs,
            });
        }
        Ok(())
    }

    /// Cuts unlisted code where something calls it or takes its address.
    fn split<'a>(&self, gaps: &[Range], swept: impl Iterator<Item = &'a Swept>) -> Vec<Range> {
        let called = |r: &&Ref| matches!(r.kind, Kind::Call | Kind::Address);
        let mut starts: Vec<u64> = swept
            .flat_map(|s| s.refs.iter().filter(called).map(|r| u64::from(r.target)))
            .collect();
        starts.extend(self.pointers.iter().filter_map(|p| match p.to {
            To::Address(at) | To::Resolver(at) => Some(at),
            _ => None,
        }));
        let functions = self
            .symbols
            .iter()
            .chain(&self.names)
            .filter(|s| s.defined && s.is_function());
        starts.extend(functions.map(|s| s.value));
        starts.push(self.image.entry);
        starts.sort_unstable();
        starts.dedup();
        let mut found = Vec::new();
        for gap in gaps {
            let mut start = gap.start;
            let first = starts.partition_point(|&s| s <= gap.start);
            for &next in starts.iter().skip(first).take_while(|&&s| s < gap.end) {
                found.push(Range {
                    start,
                    end: next,
                    vouched: false,
                });
                start = next;
            }
            found.push(Range {
                vouched: false,
                start,
                end: gap.end,
            });
        }
        found
    }

    fn index(&mut self) {
        for found in &self.refs {
            match found.kind {
                Kind::Call | Kind::Jump | Kind::Fall => {
                    self.branches.push((found.target, found.ip))
                }
                Kind::SlotCall | Kind::SlotJump => {
                    self.slot_branches.push((found.target, found.ip));
                    if found.kind == Kind::SlotJump {
                        self.stubs.insert(found.ip, found.target);
                        let before = u64::from(found.ip).wrapping_sub(4);
                        if self.image.read(before, 4) == ENDBR64 {
                            self.stubs.insert(before as u32, found.target);
                        }
                    }
                }
                Kind::Address if !self.image.is_code(u64::from(found.target)) => {
                    self.boundaries.push(found.target);
                }
                _ => {}
            }
        }
        self.branches.sort_unstable();
        self.slot_branches.sort_unstable();
        self.bound();
    }

    fn bound(&mut self) {
        let pointed = self.pointers.iter().filter_map(|p| match p.to {
            To::Address(at) if !self.image.is_code(at) => Some(at as u32),
            _ => None,
        });
        self.boundaries.extend(pointed);
        let named = self.symbols.iter().chain(&self.names);
        let objects = named.filter(|s| s.defined && s.kind == abi::STT_OBJECT);
        self.objects = objects
            .map(|s| (s.value, s.value.saturating_add(s.size)))
            .collect();
        self.objects.sort_unstable();
        self.boundaries.extend(
            self.objects
                .iter()
                .flat_map(|&(start, end)| [start as u32, end as u32]),
        );
        self.boundaries.extend(
            self.image
                .sections
                .iter()
                .filter_map(|s| Some(self.image.relative(s.sh_addr)? as u32)),
        );
        self.boundaries.extend(
            self.image
                .segments
                .iter()
                .flat_map(|s| [s.start as u32, s.end() as u32]),
        );
        self.boundaries.push(self.image.end as u32);
        self.boundaries.sort_unstable();
        self.boundaries.dedup();
    }
}

fn sweep_all(sweeper: &Sweeper, ranges: &[Range]) -> Vec<Swept> {
    ranges
        .par_iter()
        .with_min_len(CHUNK)
        .map(|&range| sweeper.sweep(range))
        .collect()
}

fn function_names(symbols: &[Symbol], names: &[Symbol]) -> FxHashMap<u64, Box<str>> {
    let mut found: FxHashMap<u64, &Symbol> = FxHashMap::default();
    let rank = |s: &Symbol| (s.local, s.name.starts_with('_'), s.name.len());
    let named = names
        .iter()
        .chain(symbols)
        .filter(|s| s.defined && s.is_function() && !s.name.is_empty());
    for symbol in named {
        let best = found.entry(symbol.value).or_insert(symbol);
        if rank(symbol) < rank(best) {
            *best = symbol;
        }
    }
    found
        .into_iter()
        .map(|(at, symbol)| (at, symbol.name.clone()))
        .collect()
}

fn matching(table: &[(u32, u32)], key: u32) -> impl Iterator<Item = u64> + '_ {
    let first = table.partition_point(|&(target, _)| target < key);
    table
        .iter()
        .skip(first)
        .take_while(move |&&(target, _)| target == key)
        .map(|&(_, ip)| u64::from(ip))
}

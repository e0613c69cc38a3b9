//! What is handed to the Python side, as JSON.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};

use crate::calls::{Calls, Site};
use crate::link::Program;
use crate::paths;
use crate::walk::{Id, Walk};

/// The files in the order in which the closure found them, the program first.
#[derive(Deserialize)]
pub struct Request {
    pub files: Vec<String>,
    pub interpreter: Option<String>,
}

#[derive(Default, Serialize)]
pub struct Report {
    pub calls: Vec<Call>,
    pub unresolved: Vec<Unresolved>,
    pub unknown_files: BTreeMap<String, String>,
    pub paths: BTreeMap<String, Vec<String>>,
}

#[derive(Serialize)]
pub struct Call {
    pub nr: u64,
    pub certain: bool,
    /// Files and functions from the entry to a site.
    pub path: Vec<(String, String)>,
    pub sites: usize,
    pub details: Vec<(&'static str, u64)>,
}

#[derive(Serialize)]
pub struct Unresolved {
    pub file: String,
    pub function: String,
    pub offset: u64,
    pub reason: &'static str,
}

const MAX_PATH: usize = 64;

impl Report {
    pub fn fill(&mut self, program: &Program) {
        let walk = Walk::run(program);
        let sites = Calls::new(program, &walk).sites();
        self.add_calls(program, &walk, &sites);
        self.add_unresolved(&walk, &sites);
        let files: FxHashSet<u32> = walk.reached.keys().map(|id| id.module).collect();
        for (number, module) in program.modules.iter().enumerate() {
            let found = if files.contains(&(number as u32)) {
                paths::find(&module.image)
            } else {
                Vec::new()
            };
            if !found.is_empty() {
                self.paths.insert(module.path.clone(), found);
            }
        }
    }

    fn add_calls(&mut self, program: &Program, walk: &Walk, sites: &[Site]) {
        let mut by_number: BTreeMap<u64, Vec<(&Site, &[Id])>> = BTreeMap::new();
        for site in sites {
            for (&number, way) in &site.numbers {
                by_number.entry(number).or_default().push((site, way));
            }
        }
        for (nr, sites) in by_number {
            let sure = sites.iter().find(|(_, way)| walk.is_certain(way));
            let best = sure.or_else(|| sites.iter().min_by_key(|(_, way)| interest(walk, way)));
            let path = best
                .map(|(_, way)| named(program, &whole_way(walk, way)))
                .unwrap_or_default();
            let details: BTreeSet<(&'static str, u64)> = sites
                .iter()
                .flat_map(|(s, _)| {
                    s.details
                        .iter()
                        .filter(|d| d.0 == nr)
                        .map(|&(_, kind, value)| (kind, value))
                })
                .collect();
            let certain = sure.is_some();
            self.calls.push(Call {
                nr,
                certain,
                path,
                sites: sites.len(),
                details: details.into_iter().collect(),
            });
        }
    }

    fn add_unresolved(&mut self, walk: &Walk, sites: &[Site]) {
        let all: BTreeSet<_> = sites
            .iter()
            .flat_map(|s| s.unresolved.iter().copied())
            .collect();
        for (at, reason) in all {
            let Some((module, function)) = walk.function(at.id) else {
                continue;
            };
            self.unresolved.push(Unresolved {
                file: module.path.clone(),
                function: module.name_of(function.range.start),
                offset: module.image.file_offset(at.ip),
                reason,
            });
        }
    }
}

/// The functions from a root to the first of a chain of callers, and on to its end.
/// What tells most of a program is how it gets there itself, if it does: the dynamic linker's way is nobody's choice.
fn interest(walk: &Walk, way: &[Id]) -> (bool, usize) {
    let way = whole_way(walk, way);
    (way.first().is_some_and(|id| id.module != 0), way.len())
}

fn whole_way(walk: &Walk, way: &[Id]) -> Vec<Id> {
    let mut path: Vec<Id> = way.iter().rev().copied().collect();
    while let Some(from) = path
        .last()
        .and_then(|id| walk.reached.get(id))
        .and_then(|r| r.from)
    {
        if path.len() >= MAX_PATH || path.contains(&from) {
            break;
        }
        path.push(from);
    }
    path.reverse();
    path
}

fn named(program: &Program, path: &[Id]) -> Vec<(String, String)> {
    let name = |id: &Id| {
        let module = program.modules.get(id.module as usize)?;
        let function = module.functions.get(id.function as usize)?;
        Some((module.path.clone(), module.name_of(function.range.start)))
    };
    path.iter().filter_map(name).collect()
}

//! Which definition each reference binds to, by the dynamic linker's rules.

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::module::Module;
use crate::symbols::Symbol;

/// A symbol of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Definition {
    pub module: usize,
    pub value: u64,
    pub size: u64,
    pub function: bool,
}

pub struct Program {
    pub modules: Vec<Module>,
    /// The program, then its libraries breadth first: where the dynamic linker looks, in its order.
    global: Vec<usize>,
    /// Objects that the program opens itself.
    pub plugins: Vec<usize>,
    exports: FxHashMap<Box<str>, Vec<(usize, u32)>>,
    /// What a plug-in's own libraries add to where it looks.
    local: FxHashMap<usize, Vec<usize>>,
    pub interpreter: Option<usize>,
}

impl Program {
    /// The first module is the program.
    pub fn new(modules: Vec<Module>, interpreter: Option<usize>) -> Self {
        let mut exports: FxHashMap<Box<str>, Vec<(usize, u32)>> = FxHashMap::default();
        for (number, module) in modules.iter().enumerate() {
            for (index, symbol) in module.symbols.iter().enumerate() {
                if symbol.defined && !symbol.local && !symbol.name.is_empty() {
                    exports
                        .entry(symbol.name.clone())
                        .or_default()
                        .push((number, index as u32));
                }
            }
        }
        let mut program = Program {
            global: breadth_first(&modules, 0, interpreter),
            plugins: Vec::new(),
            exports,
            local: FxHashMap::default(),
            interpreter,
            modules,
        };
        let linked: FxHashSet<usize> = program.global.iter().copied().collect();
        let rest: Vec<usize> = (0..program.modules.len())
            .filter(|m| !linked.contains(m))
            .collect();
        let mut needed = FxHashSet::default();
        for &module in &rest {
            let scope = breadth_first(&program.modules, module, None);
            needed.extend(scope.iter().copied().filter(|&m| m != module));
            program.local.insert(module, scope);
        }
        program.plugins = rest.into_iter().filter(|m| !needed.contains(m)).collect();
        program
    }

    /// Whether a module is loaded before the program starts.
    pub fn is_linked(&self, module: usize) -> bool {
        self.global.contains(&module)
    }

    /// What a module's dynamic symbol binds to.
    pub fn bind(&self, module: usize, index: u32) -> Option<Definition> {
        let symbol = self.modules.get(module)?.symbols.get(index as usize)?;
        if symbol.local {
            return symbol.defined.then(|| definition(module, symbol));
        }
        self.find(module, &symbol.name, symbol.version.as_deref())
    }

    /// What dlsym(3) would find, looking everywhere.
    pub fn named(&self, name: &str) -> Vec<Definition> {
        let all = self.exports.get(name).map_or(&[] as &[_], Vec::as_slice);
        all.iter()
            .filter_map(|&(module, index)| self.definition(module, index))
            .collect()
    }

    /// Where a program's copy of an object comes from: the next definition after its own.
    pub fn copied(&self, module: usize, index: u32) -> Option<Definition> {
        let symbol = self.modules.get(module)?.symbols.get(index as usize)?;
        let all = self.exports.get(&symbol.name)?;
        let &(other, index) = all.iter().find(|&&(other, _)| other != module)?;
        self.definition(other, index)
    }

    pub fn symbol_name(&self, module: usize, index: u32) -> &str {
        self.modules
            .get(module)
            .and_then(|m| m.symbols.get(index as usize))
            .map_or("", |s| &s.name)
    }

    /// The modules whose references a definition serves, with the symbols that they use for it.
    pub fn importers(&self, definition: Definition) -> Vec<(usize, u32)> {
        let Some(owner) = self.modules.get(definition.module) else {
            return Vec::new();
        };
        let names: FxHashSet<&str> = owner
            .symbols
            .iter()
            .filter(|s| s.defined && !s.local && s.value == definition.value)
            .map(|s| &*s.name)
            .collect();
        let mut found = Vec::new();
        for (number, module) in self.modules.iter().enumerate() {
            for (index, symbol) in module.symbols.iter().enumerate() {
                if names.contains(&*symbol.name)
                    && self.bind(number, index as u32).is_some_and(|d| {
                        (d.module, d.value) == (definition.module, definition.value)
                    })
                {
                    found.push((number, index as u32));
                }
            }
        }
        found
    }

    fn find(&self, from: usize, name: &str, version: Option<&str>) -> Option<Definition> {
        let all = self.exports.get(name)?;
        let scope = self
            .global
            .iter()
            .chain(self.local.get(&from).into_iter().flatten());
        for &module in scope {
            let here = all.iter().filter(|&&(m, _)| m == module);
            let symbols = here.filter_map(|&(m, i)| self.modules.get(m)?.symbols.get(i as usize));
            let matching: Vec<&Symbol> = symbols.filter(|s| fits(s, version)).collect();
            if let Some(symbol) = matching.iter().find(|s| !s.hidden).or(matching.first()) {
                return Some(definition(module, symbol));
            }
        }
        // Opened by some plug-in with RTLD_GLOBAL, perhaps.
        all.first()
            .and_then(|&(module, index)| self.definition(module, index))
    }

    fn definition(&self, module: usize, index: u32) -> Option<Definition> {
        let symbol = self.modules.get(module)?.symbols.get(index as usize)?;
        Some(definition(module, symbol))
    }
}

/// A reference without a version takes any, and a definition without one serves any.
fn fits(symbol: &Symbol, version: Option<&str>) -> bool {
    match (&symbol.version, version) {
        (Some(has), Some(wants)) => **has == *wants,
        _ => true,
    }
}

fn definition(module: usize, symbol: &Symbol) -> Definition {
    Definition {
        module,
        value: symbol.value,
        size: symbol.size,
        function: symbol.is_function(),
    }
}

/// A module and what it needs, in the order in which the dynamic linker searches them.
fn breadth_first(modules: &[Module], first: usize, interpreter: Option<usize>) -> Vec<usize> {
    let mut names: FxHashMap<&str, usize> = FxHashMap::default();
    for (number, module) in modules.iter().enumerate() {
        let file = module.path.rsplit('/').next().unwrap_or(&module.path);
        for name in [
            Some(module.path.as_str()),
            module.soname.as_deref(),
            Some(file),
        ]
        .into_iter()
        .flatten()
        {
            names.entry(name).or_insert(number);
        }
    }
    let mut order = Vec::new();
    let mut seen = FxHashSet::default();
    let mut queue = VecDeque::from([first]);
    while let Some(number) = queue.pop_front() {
        if !seen.insert(number) {
            continue;
        }
        order.push(number);
        if let Some(module) = modules.get(number) {
            let file = |name: &str| names.get(name.rsplit('/').next().unwrap_or(name)).copied();
            queue.extend(
                module
                    .needed
                    .iter()
                    .filter_map(|n| names.get(n.as_str()).copied().or_else(|| file(n))),
            );
        }
    }
    order.extend(interpreter.filter(|&i| !seen.contains(&i)));
    order
}

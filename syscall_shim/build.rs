//! Makes the dispatch, and the table that goes with it, from `syscalls.toml`.
//!
//! What a row must have: a unique number and name, arguments, a level. `full` and `partial` need a `test`, all but
//! `full` need a `note`, `refused` needs an `errno`. A level that claims an implementation is compiled as a call of
//! `sys::<component>::<name>`, so it does not build without one.
#[path = "build/pointers.rs"]
mod pointers;

use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs, process};

#[path = "build/parts.rs"]
mod parts;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    call: Vec<Row>,
    #[serde(default)]
    part: Vec<parts::Part>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    nr: u16,
    name: String,
    component: String,
    level: Level,
    args: Vec<String>,
    errno: Option<String>,
    /// What a program cannot do without the call, as `compat report` tells it.
    #[serde(default)]
    essential: String,
    #[serde(default)]
    note: String,
    test: Option<String>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Debug)]
#[serde(rename_all = "lowercase")]
enum Level {
    Full,
    Partial,
    Stub,
    Refused,
    Missing,
}

impl Level {
    fn has_handler(self) -> bool {
        matches!(self, Self::Full | Self::Partial | Self::Stub)
    }
}

fn main() {
    println!("cargo::rerun-if-changed=syscalls.toml");
    if let Err(message) = run() {
        println!("cargo::error=syscalls.toml: {message}");
        process::exit(1);
    }
}

fn run() -> Result<(), String> {
    let text = fs::read_to_string("syscalls.toml").map_err(|e| e.to_string())?;
    let table: Table = toml::from_str(&text).map_err(|e| e.to_string())?;
    check(&table.call)?;
    let code = format!(
        "{}\n{}\n{}\n{}",
        info(&table.call)?,
        pointers::table(&table.call)?,
        wrappers(&table.call)?,
        handlers(&table.call)
    );
    let out = PathBuf::from(env::var("OUT_DIR").map_err(|e| e.to_string())?);
    let parts = parts::code(&table.call, &table.part)?;
    fs::write(out.join("parts.rs"), parts).map_err(|e| e.to_string())?;
    fs::write(out.join("syscalls.rs"), code).map_err(|e| e.to_string())
}

fn check(rows: &[Row]) -> Result<(), String> {
    let mut names = BTreeSet::new();
    let mut last = None;
    for row in rows {
        if last.is_some_and(|nr| nr >= row.nr) {
            return Err(format!(
                "{}: number {} is out of order or used twice",
                row.name, row.nr
            ));
        }
        last = Some(row.nr);
        if !names.insert(&row.name) {
            return Err(format!("{} appears twice", row.name));
        }
        check_row(row).map_err(|what| format!("{}: {what}", row.name))?;
    }
    Ok(())
}

fn check_row(row: &Row) -> Result<(), String> {
    if row.level != Level::Full && row.note.is_empty() {
        return Err(format!(
            "level {:?} needs a note that says what is missing",
            row.level
        ));
    }
    if matches!(row.level, Level::Full | Level::Partial) && row.test.is_none() {
        return Err(format!("level {:?} needs a test", row.level));
    }
    if (row.level == Level::Refused) != row.errno.is_some() {
        return Err("an errno goes with level refused, and only with it".into());
    }
    if row.essential.ends_with('.') {
        return Err("essential completes \"it cannot ...\"".into());
    }
    if row.args.len() > 6 {
        return Err("more than six arguments".into());
    }
    Ok(())
}

fn argument(text: &str) -> Result<(&str, &str), String> {
    text.split_once(": ")
        .ok_or_else(|| format!("argument {text:?} is not \"name: Type\""))
}

/// The static tables: what the kernel needs, and what only documentation and tests read.
fn info(rows: &[Row]) -> Result<String, String> {
    let mut calls = format!(
        "/// Every system call, by number.\npub static TABLE: [Call; {}] = [\n",
        rows.len()
    );
    let mut refusals = String::new();
    let mut names = String::new();
    let mut details = format!(
        "/// The rest of what is known, row by row.\npub static DETAILS: [Details; {}] = [\n",
        rows.len()
    );
    for row in rows {
        let args = row
            .args
            .iter()
            .map(|a| argument(a))
            .collect::<Result<Vec<_>, _>>()?;
        let args: String = args
            .iter()
            .map(|(name, ty)| format!("({name:?}, {ty:?}), "))
            .collect();
        if let Some(errno) = &row.errno {
            let _ = writeln!(
                refusals,
                "    Refusal {{ nr: {}, errno: linux_abi::Errno::{errno}, note: {:?} }},",
                row.nr, row.note
            );
        }
        let _ = writeln!(
            calls,
            "    Call {{ nr: {}, name_at: {}, name_len: {}, level: Level::{:?} }},",
            row.nr,
            names.len(),
            row.name.len(),
            row.level,
        );
        names.push_str(&row.name);
        let _ = writeln!(
            details,
            "    Details {{ component: {:?}, args: &[{args}], note: {:?}, test: {:?} }},",
            row.component,
            row.note,
            row.test.as_deref().unwrap_or("")
        );
    }
    Ok(format!(
        "{calls}];\n{details}];\n/// All names, one behind the other.\nstatic NAMES: &str = {names:?};\n\
         /// The refused calls.\nstatic REFUSALS: &[Refusal] = &[\n{refusals}];\n"
    ))
}

/// One function per implemented call that turns registers into typed arguments.
fn wrappers(rows: &[Row]) -> Result<String, String> {
    let mut out = String::new();
    for row in rows.iter().filter(|row| row.level.has_handler()) {
        let mut passed = String::new();
        for (at, arg) in row.args.iter().enumerate() {
            let (_, ty) = argument(arg)?;
            let _ = write!(passed, ", <{ty} as FromReg>::from_reg(regs.arg::<{at}>())");
        }
        let regs = if row.args.is_empty() { "_regs" } else { "regs" };
        let _ = writeln!(
            out,
            "/// {name}(2)\n#[inline]\npub fn sys_{name}<K: Kernel>(k: &K, {regs}: &Regs) -> SysResult {{\n    crate::sys::{component}::{name}(k{passed})\n}}",
            name = row.name,
            component = row.component,
        );
    }
    Ok(out)
}

/// The handlers as a macro that calls another, so that this crate and the kernel each make of them what they need.
fn handlers(rows: &[Row]) -> String {
    let mut out = String::from(
        "/// Calls `$make!` with a line `(NUMBER, SYMBOL, function)` for every call that has a handler.\n#[macro_export]\nmacro_rules! for_each_handler {\n    ($make:ident) => {\n        $make! {\n",
    );
    for row in rows.iter().filter(|row| row.level.has_handler()) {
        let _ = writeln!(
            out,
            "            ({}, \"compat.sys.{name}\", $crate::table::sys_{name})",
            row.nr,
            name = row.name
        );
    }
    out.push_str("        }\n    };\n}\n");
    let slots = rows.last().map_or(0, |row| row.nr + 1);
    let _ = writeln!(
        out,
        "/// One more than the highest number.\npub const SLOTS: usize = {slots};"
    );
    out
}

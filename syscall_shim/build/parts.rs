//! The parts of calls, as data that the tests try (`src/parts_tests.rs`). No image holds them.
use super::{Level, Row, argument};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// What an argument selects.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    call: String,
    argument: String,
    /// The module of `linux-raw-sys` that has the names.
    constants: String,
    /// The bits that are looked at.
    #[serde(default = "all_bits")]
    mask: u64,
    /// Each bit counts alone.
    #[serde(default)]
    flags: bool,
    /// The call that it is without the bits of `required`.
    otherwise: Option<String>,
    /// A guest program that names all values, where the shim alone does not show what they do.
    test: Option<String>,
    #[serde(default)]
    full: Values,
    #[serde(default)]
    partial: Values,
    #[serde(default)]
    stub: Values,
    #[serde(default)]
    refused: Values,
    #[serde(default)]
    missing: Values,
    #[serde(default)]
    required: Values,
}

fn all_bits() -> u64 {
    u64::MAX
}

type Values = BTreeMap<String, u64>;

impl Part {
    fn values(&self) -> impl Iterator<Item = (Level, &String, u64)> {
        let levels = [
            (Level::Full, &self.full),
            (Level::Partial, &self.partial),
            (Level::Stub, &self.stub),
            (Level::Refused, &self.refused),
            (Level::Missing, &self.missing),
        ];
        levels.into_iter().flat_map(|(level, values)| {
            values
                .iter()
                .map(move |(name, value)| (level, name, *value))
        })
    }

    fn check(&self, rows: &[Row]) -> Result<(), String> {
        let row = rows
            .iter()
            .find(|row| row.name == self.call)
            .ok_or("no such call")?;
        let names = row.args.iter().map(|text| argument(text));
        let names = names.collect::<Result<Vec<_>, _>>()?;
        if !names.iter().any(|(name, _)| *name == self.argument) {
            return Err("the call has no such argument".into());
        }
        let mut seen = BTreeSet::new();
        for (_, name, value) in self.values() {
            if !seen.insert(value) {
                return Err(format!("{name}: the value is there twice"));
            }
            if value & !self.mask != 0 {
                return Err(format!("{name}: the mask hides the value"));
            }
        }
        if !self.flags && !self.required.is_empty() {
            return Err("only flags can be required".into());
        }
        let known = |other: &String| rows.iter().any(|row| row.name == *other);
        if self.required.is_empty() == self.otherwise.as_ref().is_some_and(known) {
            return Err("required goes with otherwise, which names a call".into());
        }
        Ok(())
    }
}

/// The static table `PARTS`. Each value comes with the constant of its name, for the tests to compare.
pub fn code(rows: &[Row], parts: &[Part]) -> Result<String, String> {
    let mut out = format!(
        "/// What arguments select.\nstatic PARTS: [Part; {}] = [\n",
        parts.len()
    );
    for part in parts {
        part.check(rows)
            .map_err(|what| format!("{}.{}: {what}", part.call, part.argument))?;
        let _ = writeln!(
            out,
            "    Part {{ call: {:?}, argument: {:?}, test: {:?}, values: &[",
            part.call,
            part.argument,
            part.test.as_deref().unwrap_or("")
        );
        for (level, name, value) in part.values() {
            let constant = constant(&part.constants, name);
            let _ = writeln!(
                out,
                "        PartValue {{ name: {name:?}, value: {value}, constant: {constant}, level: Level::{level:?} }},"
            );
        }
        out.push_str("    ] },\n");
    }
    out.push_str("];\n");
    Ok(out)
}

/// An option of a socket is known by its level, in the upper half, and its name.
fn constant(module: &str, name: &str) -> String {
    let of_module = |name: &str| format!("linux_abi::raw::{module}::{name} as u64");
    let level = match name.split('_').next() {
        Some("SO") => "SOL_SOCKET",
        Some("TCP") => "SOL_TCP",
        Some("IP") => "SOL_IP",
        Some("IPV6") => "SOL_IPV6",
        _ => return of_module(name),
    };
    format!("(({}) << 32) | ({})", of_module(level), of_module(name))
}

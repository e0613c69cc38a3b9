//! The table of what pointer arguments point at, from their types. See `src/pointers.rs`.
use super::{Row, argument};
use std::fmt::Write as _;

/// Arguments that say how many structures or bytes a neighbour points at.
const ELEMENTS: [&str; 4] = ["nfds", "iovcnt", "maxevents", "vlen"];
const BYTES: [&str; 6] = ["count", "len", "size", "addrlen", "nfds", "bytecount"];
/// Buffers of bounded size.
const SMALL: [&str; 4] = ["addr", "value", "mask", "vec"];

pub fn table(rows: &[Row]) -> Result<String, String> {
    let mut out = String::new();
    let mut count = 0;
    for row in rows {
        let args = row
            .args
            .iter()
            .map(|arg| argument(arg))
            .collect::<Result<Vec<_>, _>>()?;
        let found: Vec<String> = (0..args.len())
            .filter_map(|at| pointer(row, &args, at))
            .collect();
        if !found.is_empty() {
            count += 1;
            let _ = writeln!(out, "    ({}, &[{}]),", row.nr, found.join(", "));
        }
    }
    Ok(format!(
        "/// What the pointers among the arguments point at, by number.\npub static POINTERS: [(u16, &[Pointer]); {count}] = [\n{out}];\n"
    ))
}

fn pointer(row: &Row, args: &[(&str, &str)], at: usize) -> Option<String> {
    let (name, ty) = *args.get(at)?;
    let (flow, data) = match ty {
        "Path" => ("In", "Data::Text".to_owned()),
        "Buffer" | "OutBuffer" => {
            let count = length(args, at, &BYTES);
            let kind = match name {
                "dirp" => "Whole",
                _ if SMALL.contains(&name) => "Small",
                _ => "Bytes",
            };
            let flow = if ty == "Buffer" { "In" } else { "Out" };
            (flow, format!("Data::{kind}({count})"))
        }
        "u64" => untyped(name, args, at)?,
        _ => structure(row, args, at)?,
    };
    Some(format!(
        "Pointer {{ arg: {at}, flow: Flow::{flow}, data: {data} }}"
    ))
}

/// Pointers that the handlers take as numbers, since another argument decides what they are.
fn untyped(name: &str, args: &[(&str, &str)], at: usize) -> Option<(&'static str, String)> {
    let has = |wanted: &str| args.iter().any(|(name, _)| *name == wanted);
    match name {
        "argv" => Some(("In", "Data::Texts".to_owned())),
        "readfds" | "writefds" | "exceptfds" => Some(("InOut", "Data::Bits(0)".to_owned())),
        "timeout" => Some(("In", "Data::Structs(16, Count::One)".to_owned())),
        "arg" if at == 2 && (has("request") || has("cmd")) => {
            Some(("InOut", "Data::Unknown".to_owned()))
        }
        "arg2" => Some(("In", "Data::Unknown".to_owned())),
        _ => None,
    }
}

fn structure(row: &Row, args: &[(&str, &str)], at: usize) -> Option<(&'static str, String)> {
    let (_, ty) = *args.get(at)?;
    let (flow, inner) = [("In", "UserPtr<"), ("Out", "Out<"), ("InOut", "InOut<")]
        .into_iter()
        .find_map(|(flow, prefix)| Some((flow, ty.strip_prefix(prefix)?.strip_suffix('>')?)))?;
    let count = if inner == "u32" {
        length(args, at, &["size"])
    } else {
        length(args, at, &ELEMENTS)
    };
    let data = match inner {
        "Iovec" => format!("Data::Vectors({count})"),
        "Msghdr" => "Data::Messages(56, Count::One)".to_owned(),
        "Mmsghdr" => format!("Data::Messages(64, {count})"),
        // Without a handler nothing sees to it that the type is there.
        _ if !row.level.has_handler() => return None,
        _ => format!("Data::Structs(size_of::<{inner}>() as u16, {count})"),
    };
    Some((flow, data))
}

/// The argument beside this one that says how many.
fn length(args: &[(&str, &str)], at: usize, names: &[&str]) -> String {
    let beside = [Some(at + 1), at.checked_sub(1)];
    let found = beside
        .into_iter()
        .flatten()
        .filter_map(|other| Some((other, args.get(other)?)))
        .find(|(_, (name, _))| names.contains(name));
    match found {
        Some((other, (_, ty))) if ty.contains('<') => format!("Count::Behind({other})"),
        Some((other, _)) => format!("Count::Argument({other})"),
        None => "Count::One".to_owned(),
    }
}

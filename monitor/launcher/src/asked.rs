//! What is asked for, and by what the same words may mean something else.

use std::ffi::{OsStr, OsString};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::IsTerminal;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Variables that decide what a command line means, besides all of compat's own.
const VARIABLES: [&str; 8] = [
    "PATH",
    "HOME",
    "XDG_CACHE_HOME",
    "TERM",
    "COLORTERM",
    "LANG",
    "LANGUAGE",
    "TZ",
];
const PREFIXES: [&str; 2] = ["LC_", "COMPAT_"];
/// What Python is told, by its environment: where the record belongs, its key, and how many words are the program's.
const TOLD: [&str; 3] = [
    "COMPAT_START_PLACE",
    "COMPAT_START_KEY",
    "COMPAT_START_ARGUMENTS",
];
/// So many records are kept; another one of the same number takes a place.
const PLACES: u64 = 1024;
/// What is longer is not remembered: Linux limits a variable to 128 KiB.
const KEY_MAX: usize = 100 << 10;

#[derive(Debug)]
pub struct Asked {
    /// Where the record of it is, if there is one.
    pub place: PathBuf,
    pub key: Vec<u8>,
    /// What follows `--`: the program's, and no part of the key.
    pub arguments: Vec<OsString>,
}

impl Asked {
    /// `words` are those after the command's name. `None`: nothing that is remembered.
    pub fn new(words: &[OsString]) -> Option<Self> {
        let terminals = [
            std::io::stdin().is_terminal(),
            std::io::stdout().is_terminal(),
        ];
        let cwd = std::env::current_dir().ok()?;
        let environment: Vec<_> = std::env::vars_os().collect();
        Self::of(words, &cwd, terminals, &environment)
    }

    fn of(
        words: &[OsString],
        cwd: &Path,
        terminals: [bool; 2],
        environment: &[(OsString, OsString)],
    ) -> Option<Self> {
        if words.first().is_none_or(|word| word != "run") {
            return None;
        }
        let dashes = words.iter().position(|word| word == "--");
        let (options, arguments) = match dashes {
            Some(at) => (words.get(..at)?, words.get(at + 1..)?),
            None => (words, [].as_slice()),
        };
        let key = key(options, cwd, terminals, environment);
        if key.len() > KEY_MAX {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let name = format!("{}.start", hasher.finish() % PLACES);
        Some(Self {
            place: cache_folder(environment)?.join(name),
            key,
            arguments: arguments.to_vec(),
        })
    }

    /// Leaves word for Python.
    #[allow(unsafe_code)]
    pub fn tell(&self) {
        let values = [
            self.place.clone().into_os_string(),
            OsString::from_vec(self.key.clone()),
            self.arguments.len().to_string().into(),
        ];
        for (name, value) in TOLD.iter().zip(values) {
            // SAFETY: this process has no other thread.
            unsafe { std::env::set_var(name, value) };
        }
    }
}

/// Where images are, too; nowhere if the environment does not say.
fn cache_folder(environment: &[(OsString, OsString)]) -> Option<PathBuf> {
    let variable = |name: &str| {
        let found = environment.iter().find(|(key, _)| key == name);
        found
            .map(|(_, value)| value)
            .filter(|value| !value.is_empty())
    };
    let base = match variable("XDG_CACHE_HOME") {
        Some(base) => PathBuf::from(base),
        None => Path::new(variable("HOME")?).join(".cache"),
    };
    Some(base.join("compat"))
}

/// Each part with its length before it, so that no two lists look the same.
fn key(
    options: &[OsString],
    cwd: &Path,
    terminals: [bool; 2],
    environment: &[(OsString, OsString)],
) -> Vec<u8> {
    // `-e NAME` takes any variable.
    let takes_any = options
        .iter()
        .map(|word| word.as_bytes())
        .any(|word| word.starts_with(b"-e") || word.starts_with(b"--env"));
    let mut variables: Vec<_> = environment
        .iter()
        .filter(|(name, _)| counts(name, takes_any))
        .collect();
    variables.sort();
    let mut key = Vec::new();
    let mut add = |part: &OsStr| {
        key.extend_from_slice(format!("{}:", part.len()).as_bytes());
        key.extend_from_slice(part.as_bytes());
    };
    add(cwd.as_os_str());
    add(format!("{terminals:?} {}", options.len()).as_ref());
    for word in options {
        add(word);
    }
    for (name, value) in variables {
        add(name);
        add(value);
    }
    key
}

fn counts(name: &OsStr, takes_any: bool) -> bool {
    let told = TOLD.iter().any(|own| name == *own);
    let known = VARIABLES.iter().any(|known| name == *known)
        || PREFIXES
            .iter()
            .any(|prefix| name.as_bytes().starts_with(prefix.as_bytes()));
    !told && (takes_any || known)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: (&str, &str) = ("HOME", "/home/x");

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    fn asked(line: &str, variables: &[(&str, &str)]) -> Option<Asked> {
        let environment: Vec<_> = variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        Asked::of(&words(line), Path::new("/"), [false, false], &environment)
    }

    fn key_of(line: &str, variables: &[(&str, &str)]) -> Vec<u8> {
        asked(line, &[&[HOME], variables].concat()).unwrap().key
    }

    #[test]
    fn only_run_is_remembered() {
        for line in ["", "wrap x", "--version", "trace run", "-h run"] {
            assert!(asked(line, &[HOME]).is_none(), "{line}");
        }
        assert!(asked("run x", &[HOME]).is_some());
    }

    #[test]
    fn the_programs_arguments_do_not_count() {
        let [none, some] = ["run x", "run x -- a -- b"].map(|line| asked(line, &[HOME]).unwrap());
        assert_eq!((none.key, none.place), (some.key, some.place));
        assert_eq!(some.arguments, words("a -- b"));
    }

    #[test]
    fn words_and_where_they_are_said_count() {
        let key = key_of("run x", &[]);
        assert_ne!(key, key_of("run x y", &[]));
        assert_ne!(key_of("run xy z", &[]), key_of("run x yz", &[]));
        let elsewhere = |cwd, terminals| {
            let home = [("HOME".into(), "/home/x".into())];
            Asked::of(&words("run x"), Path::new(cwd), terminals, &home)
                .unwrap()
                .key
        };
        assert_eq!(key, elsewhere("/", [false, false]));
        assert_ne!(key, elsewhere("/tmp", [false, false]));
        assert_ne!(key, elsewhere("/", [true, false]));
        assert_ne!(elsewhere("/", [false, true]), elsewhere("/", [true, false]));
    }

    #[test]
    fn variables_that_mean_something_count() {
        let key = key_of("run x", &[]);
        for name in ["PATH", "TERM", "LC_ALL", "COMPAT_NATIVE_DIR"] {
            assert_ne!(key, key_of("run x", &[(name, "1")]), "{name}");
        }
        assert_eq!(key, key_of("run x", &[("EDITOR", "1")]));
        for line in ["run -e EDITOR x", "run -eEDITOR x", "run --env=EDITOR x"] {
            assert_ne!(
                key_of(line, &[]),
                key_of(line, &[("EDITOR", "1")]),
                "{line}"
            );
        }
        let told = TOLD.map(|name| (name, "1"));
        assert_eq!(
            key_of("run -e EDITOR x", &[]),
            key_of("run -e EDITOR x", &told)
        );
    }

    #[test]
    fn a_place_is_needed() {
        assert!(asked("run x", &[]).is_none());
        assert!(asked("run x", &[("HOME", "")]).is_none());
        let place = |variables: &[_]| asked("run x", variables).unwrap().place;
        assert!(place(&[HOME]).starts_with("/home/x/.cache/compat"));
        assert!(place(&[HOME, ("XDG_CACHE_HOME", "/c")]).starts_with("/c/compat"));
        assert!(place(&[HOME, ("XDG_CACHE_HOME", "")]).starts_with("/home/x/.cache/compat"));
    }

    #[test]
    fn what_is_too_long_is_not_remembered() {
        assert!(asked(&format!("run {}", "x".repeat(KEY_MAX)), &[HOME]).is_none());
    }
}

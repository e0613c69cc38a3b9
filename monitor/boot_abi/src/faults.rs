//! What is to go wrong by chance, in a kernel that was built with checks: `KIND=1/N` (once in N times), `KIND=@N` (the Nth time
//! alone) and `seed=N`, with commas in between.

/// What can go wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// No frame for the program's memory, a page table, a kernel stack, a page of a file.
    Frame,
    /// No memory for an object of the kernel's.
    Heap,
    /// A thread wakes up for no reason.
    Wake,
    /// An interrupt for another CPU is late.
    Call,
}

pub const KINDS: usize = 4;
const NAMES: [(&str, Kind); KINDS] = [
    ("frame", Kind::Frame),
    ("heap", Kind::Heap),
    ("wake", Kind::Wake),
    ("call", Kind::Call),
];

/// How often a kind strikes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rate {
    Never,
    OneIn(u64),
    /// From 1 on.
    At(u64),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    rates: [Rate; KINDS],
    pub seed: u64,
}

impl Plan {
    /// None if the text is no plan.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut plan = Self {
            rates: [Rate::Never; KINDS],
            seed: 1,
        };
        for part in text.split(',') {
            let (name, value) = part.split_once('=')?;
            if name == "seed" {
                plan.seed = value.parse().ok()?;
                continue;
            }
            let (_, kind) = NAMES.iter().find(|(known, _)| *known == name)?;
            *plan.rates.get_mut(*kind as usize)? = Rate::parse(value)?;
        }
        Some(plan)
    }

    #[must_use]
    pub fn rate(&self, kind: Kind) -> Rate {
        self.rates
            .get(kind as usize)
            .copied()
            .unwrap_or(Rate::Never)
    }
}

impl Rate {
    fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| text.parse().ok().filter(|&number| number > 0);
        if let Some(times) = text.strip_prefix("1/") {
            return number(times).map(Self::OneIn);
        }
        text.strip_prefix('@').and_then(number).map(Self::At)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_names_kinds_and_how_often() {
        let plan = Plan::parse("frame=1/1000,call=@7,seed=5").unwrap();
        assert_eq!(plan.rate(Kind::Frame), Rate::OneIn(1000));
        assert_eq!(plan.rate(Kind::Call), Rate::At(7));
        assert_eq!(plan.rate(Kind::Wake), Rate::Never);
        assert_eq!(plan.seed, 5);
    }

    #[test]
    fn what_is_no_plan_is_refused() {
        for bad in [
            "",
            "frame",
            "frame=",
            "frame=1",
            "frame=1/0",
            "frame=@0",
            "frame=1/x",
            "disk=1/2",
            "frame=1/2,",
            "seed=x",
            "frame=2/3",
        ] {
            assert_eq!(Plan::parse(bad), None, "{bad}");
        }
    }
}

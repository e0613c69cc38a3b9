//! What the pointers among a call's arguments point at, as far as a tracer has to know to copy it. Made from the types in
//! `syscalls.toml`.
use crate::table::POINTERS;

/// When the bytes mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The program gives them.
    In,
    /// The call fills them in.
    Out,
    /// Both.
    InOut,
}

impl Flow {
    #[must_use]
    pub fn before(self) -> bool {
        self != Self::Out
    }

    #[must_use]
    pub fn after(self) -> bool {
        self != Self::In
    }
}

/// How many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// As many as another argument says.
    Argument(u8),
    /// As many as the `i32` behind another argument says.
    Behind(u8),
    /// Nobody says.
    One,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// A NUL-terminated string.
    Text,
    /// A buffer of so many bytes, of which the user says how many matter.
    Bytes(Count),
    /// So many bytes, which are few or all of interest.
    Small(Count),
    /// So many bytes, of which parts say nothing.
    Whole(Count),
    /// Structures of this size.
    Structs(u16, Count),
    /// `struct iovec`, and the buffers behind them.
    Vectors(Count),
    /// `struct msghdr` in steps of so many bytes, and what is behind it.
    Messages(u16, Count),
    /// NULL-terminated pointers to strings.
    Texts,
    /// The bit sets of select(2), of as many bits as the argument says.
    Bits(u8),
    /// Something or nothing, as another argument decides.
    Unknown,
}

/// An argument that is a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pointer {
    pub arg: u8,
    pub flow: Flow,
    pub data: Data,
}

/// Those of a call.
#[must_use]
pub fn pointers(nr: u64) -> &'static [Pointer] {
    let found = POINTERS.binary_search_by_key(&nr, |(nr, _)| u64::from(*nr));
    found
        .ok()
        .and_then(|at| POINTERS.get(at))
        .map_or(&[], |(_, pointers)| pointers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TABLE;

    fn of(name: &str) -> &'static [Pointer] {
        let call = TABLE.iter().find(|call| call.name() == name).unwrap();
        pointers(u64::from(call.nr))
    }

    fn pointer(arg: u8, flow: Flow, data: Data) -> Pointer {
        Pointer { arg, flow, data }
    }

    #[test]
    fn types_say_what_is_behind_an_argument() {
        let buffer = Data::Bytes(Count::Argument(2));
        assert_eq!(of("read"), [pointer(1, Flow::Out, buffer)]);
        assert_eq!(of("write"), [pointer(1, Flow::In, buffer)]);
        assert_eq!(
            of("newfstatat"),
            [
                pointer(1, Flow::In, Data::Text),
                pointer(2, Flow::Out, Data::Structs(144, Count::One))
            ]
        );
        let polled = Data::Structs(8, Count::Argument(1));
        assert_eq!(of("poll"), [pointer(0, Flow::InOut, polled)]);
        assert_eq!(
            of("accept"),
            [
                pointer(1, Flow::Out, Data::Small(Count::Behind(2))),
                pointer(2, Flow::InOut, Data::Structs(4, Count::One))
            ]
        );
        assert_eq!(
            of("readv"),
            [pointer(1, Flow::Out, Data::Vectors(Count::Argument(2)))]
        );
        assert_eq!(of("close"), []);
        assert_eq!(pointers(100_000), []);
    }

    #[test]
    fn counts_are_arguments_of_the_call() {
        for (nr, pointers) in &POINTERS {
            for pointer in *pointers {
                let (Data::Bytes(count)
                | Data::Small(count)
                | Data::Whole(count)
                | Data::Structs(_, count)
                | Data::Vectors(count)
                | Data::Messages(_, count)) = pointer.data
                else {
                    continue;
                };
                let (Count::Argument(other) | Count::Behind(other)) = count else {
                    continue;
                };
                assert!(other < 6 && other != pointer.arg, "{nr}: {pointer:?}");
            }
        }
    }
}

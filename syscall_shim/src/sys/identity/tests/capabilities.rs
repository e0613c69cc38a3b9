//! capget(2), capset(2), and what prctl(2) and changes of ids do to the sets.
use super::*;
use linux_abi::raw::prctl as raw;
use linux_abi::{CapData, CapHeader, CapSet, Capability};

const VERSION: u32 = 0x2008_0522;
const OTHER: u64 = 1000;

fn header(k: &Mock) -> u64 {
    k.value(&CapHeader {
        version: VERSION,
        pid: 0,
    })
}

/// Effective, permitted, inheritable.
fn get(k: &Mock) -> [CapSet; 3] {
    let data = k.alloc(24);
    assert_eq!(k.call("capget", [header(k), data]), Ok(0));
    let [low, high] = k.load::<[CapData; 2]>(data);
    let join = |low: u32, high: u32| CapSet::from_bits(u64::from(high) << 32 | u64::from(low));
    [
        join(low.effective, high.effective),
        join(low.permitted, high.permitted),
        join(low.inheritable, high.inheritable),
    ]
}

fn set(k: &Mock, sets: [CapSet; 3]) -> linux_abi::SysResult {
    let [effective, permitted, inheritable] = sets.map(CapSet::bits);
    let word = |at: u32| CapData {
        effective: (effective >> at) as u32,
        permitted: (permitted >> at) as u32,
        inheritable: (inheritable >> at) as u32,
    };
    let data = k.value(&[word(0), word(32)]);
    k.call("capset", [header(k), data])
}

fn prctl(k: &Mock, option: u32, arg2: u64, arg3: u32) -> linux_abi::SysResult {
    k.call("prctl", [u64::from(option), arg2, u64::from(arg3), 0, 0])
}

#[test]
fn root_has_all_and_others_none() {
    assert_eq!(get(&Mock::new()), [CapSet::ALL, CapSet::ALL, CapSet::EMPTY]);
    let user = plain_user();
    assert_eq!(get(&user), [CapSet::EMPTY; 3]);
    let kill = CapSet::from(Capability::KILL);
    assert_eq!(set(&user, [CapSet::EMPTY; 3]), Ok(0));
    assert_eq!(
        set(&user, [CapSet::EMPTY, kill, CapSet::EMPTY]),
        Err(Errno::EPERM)
    );
    assert_eq!(
        set(&user, [CapSet::EMPTY, CapSet::EMPTY, kill]),
        Err(Errno::EPERM)
    );
}

#[test]
fn versions() {
    let k = Mock::new();
    let unknown = k.value(&CapHeader { version: 1, pid: 0 });
    assert_eq!(k.call("capget", [unknown, 0]), Ok(0));
    assert_eq!(k.load::<u32>(unknown), VERSION);
    let negative = k.value(&CapHeader {
        version: VERSION,
        pid: -1,
    });
    assert_eq!(
        k.call("capget", [negative, k.alloc(24)]),
        Err(Errno::EINVAL)
    );
}

#[test]
fn what_is_dropped_is_gone() {
    let less = !CapSet::of(&[Capability::SETUID, Capability::SETGID]);
    for permitted in [CapSet::ALL, less] {
        let k = Mock::new();
        assert_eq!(set(&k, [less, permitted, CapSet::EMPTY]), Ok(0));
        assert_eq!(k.call("setuid", [OTHER]), Err(Errno::EPERM));
        assert_eq!(
            k.call("setresuid", [OTHER, OTHER, OTHER]),
            Err(Errno::EPERM)
        );
        assert_eq!(k.call("setgid", [OTHER]), Err(Errno::EPERM));
        assert_eq!(k.call("setgroups", [0, 0]), Err(Errno::EPERM));
        let back = set(&k, [CapSet::ALL, CapSet::ALL, CapSet::EMPTY]);
        assert_eq!(back.is_ok(), permitted == CapSet::ALL);
    }
}

#[test]
fn capabilities_go_with_roots_ids_unless_kept() {
    for keep in [0, 1] {
        let k = Mock::new();
        assert_eq!(prctl(&k, raw::PR_SET_KEEPCAPS, keep, 0), Ok(0));
        assert_eq!(k.call("setresuid", [KEEP, OTHER, KEEP]), Ok(0));
        assert_eq!(get(&k), [CapSet::EMPTY, CapSet::ALL, CapSet::EMPTY]);
        assert_eq!(k.call("setresuid", [KEEP, 0, KEEP]), Ok(0));
        assert_eq!(get(&k), [CapSet::ALL, CapSet::ALL, CapSet::EMPTY]);
        assert_eq!(k.call("setresuid", [OTHER, OTHER, OTHER]), Ok(0));
        let kept = if keep == 1 {
            CapSet::ALL
        } else {
            CapSet::EMPTY
        };
        assert_eq!(get(&k), [CapSet::EMPTY, kept, CapSet::EMPTY]);
        assert_eq!(set(&k, [kept, kept, CapSet::EMPTY]), Ok(0));
        assert_eq!(k.state.file_credentials().capabilities, kept);
    }
    assert_eq!(
        prctl(&Mock::new(), raw::PR_SET_KEEPCAPS, 2, 0),
        Err(Errno::EINVAL)
    );
}

#[test]
fn the_file_systems_user_takes_those_of_files_along() {
    let k = Mock::new();
    assert_eq!(k.call("setfsuid", [OTHER]), Ok(0));
    assert_eq!(get(&k)[0], !CapSet::FILES);
    assert_eq!(k.call("setfsuid", [0]), Ok(OTHER as usize));
    assert_eq!(get(&k)[0], CapSet::ALL);
}

#[test]
fn bounding_set() {
    let k = Mock::new();
    assert_eq!(prctl(&k, raw::PR_CAPBSET_DROP, 5, 0), Ok(0));
    assert_eq!(prctl(&k, raw::PR_CAPBSET_READ, 5, 0), Ok(0));
    assert_eq!(prctl(&k, raw::PR_CAPBSET_READ, 6, 0), Ok(1));
    let beyond = prctl(&k, raw::PR_CAPBSET_READ, 41, 0);
    assert_eq!(beyond, Err(Errno::EINVAL));
    let kill = CapSet::from(Capability::KILL);
    assert_eq!(set(&k, [CapSet::ALL, CapSet::ALL, kill]), Err(Errno::EPERM));
    let user = prctl(&plain_user(), raw::PR_CAPBSET_DROP, 5, 0);
    assert_eq!(user, Err(Errno::EPERM));
}

#[test]
fn ambient_set() {
    let (raise, is_set) = (raw::PR_CAP_AMBIENT_RAISE, raw::PR_CAP_AMBIENT_IS_SET);
    let ambient = |k: &Mock, operation: u32, number| {
        prctl(k, raw::PR_CAP_AMBIENT, u64::from(operation), number)
    };
    let k = Mock::new();
    assert_eq!(ambient(&k, raise, 5), Err(Errno::EPERM));
    let kill = CapSet::from(Capability::KILL);
    assert_eq!(set(&k, [CapSet::ALL, CapSet::ALL, kill]), Ok(0));
    assert_eq!(ambient(&k, raise, 5), Ok(0));
    assert_eq!(ambient(&k, is_set, 5), Ok(1));
    // It is never more than what is permitted and inheritable.
    assert_eq!(set(&k, [CapSet::ALL, CapSet::ALL, CapSet::EMPTY]), Ok(0));
    assert_eq!(ambient(&k, is_set, 5), Ok(0));
    assert_eq!(ambient(&k, raw::PR_CAP_AMBIENT_CLEAR_ALL, 0), Ok(0));
    assert_eq!(ambient(&k, 9, 5), Err(Errno::EINVAL));
    assert_eq!(ambient(&k, is_set, 41), Err(Errno::EINVAL));
}

#[test]
fn secure_bits_are_locked() {
    let k = Mock::new();
    let set_bits = |bits| prctl(&k, raw::PR_SET_SECUREBITS, bits, 0);
    // No change of users' capabilities, for ever.
    assert_eq!(set_bits(0b1100), Ok(0));
    assert_eq!(set_bits(0), Err(Errno::EPERM));
    assert_eq!(set_bits(0b1101), Ok(0));
    assert_eq!(set_bits(1 << 8), Err(Errno::EPERM));
    assert_eq!(prctl(&k, raw::PR_GET_SECUREBITS, 0, 0), Ok(0b1101));
    assert_eq!(k.call("setuid", [OTHER]), Ok(0));
    assert_eq!(get(&k)[0], CapSet::ALL);
    let user = prctl(&plain_user(), raw::PR_SET_SECUREBITS, 1, 0);
    assert_eq!(user, Err(Errno::EPERM));
}

#[test]
fn execution() {
    let mut root = Identity::new(0, 0).capabilities;
    assert_eq!(root.drop_bounding(Capability::KILL), Ok(()));
    root.executed(0, 0, false);
    assert_eq!(root.effective, !CapSet::from(Capability::KILL));
    // Root becomes a user by a set-user-ID file, whose real id is still root's.
    root.executed(0, OTHER as u32, true);
    assert_eq!(root.effective, CapSet::EMPTY);
    assert_eq!(root.permitted, !CapSet::from(Capability::KILL));

    let raw = CapSet::from(Capability::NET_RAW);
    let mut user = Identity::new(0, 0).capabilities;
    assert_eq!(user.set(raw, raw, raw), Ok(()));
    assert_eq!(user.raise_ambient(Capability::NET_RAW), Ok(()));
    user.executed(OTHER as u32, OTHER as u32, false);
    assert_eq!((user.effective, user.permitted), (raw, raw));
    user.executed(OTHER as u32, OTHER as u32, true);
    assert_eq!(
        (user.effective, user.permitted),
        (CapSet::EMPTY, CapSet::EMPTY)
    );
}

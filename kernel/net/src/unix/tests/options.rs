use super::*;
use linux_abi::raw::net::{
    SO_ACCEPTCONN, SO_ERROR, SO_PASSCRED, SO_PEEK_OFF, SO_PEERCRED, SO_RCVBUF, SO_RCVBUFFORCE,
    SO_REUSEADDR, SO_REUSEPORT, SO_SNDBUF, SO_SNDBUFFORCE,
};

#[test]
fn buffers_have_limits() {
    let mut world = World::new();
    let socket = world.socket(STREAM);
    for (option, force, min) in [
        (SO_SNDBUF, SO_SNDBUFFORCE, 4608),
        (SO_RCVBUF, SO_RCVBUFFORCE, 2304),
    ] {
        assert_eq!(get(&socket, option), Ok(212_992));
        for (wanted, given) in [
            (1, min),
            (10_000, 20_000),
            (1 << 30, 425_984),
            (-1, 425_984),
        ] {
            world.set(&socket, option, wanted).unwrap();
            assert_eq!(get(&socket, option), Ok(given));
        }
        assert_eq!(world.set(&socket, force, 1 << 20), Err(Errno::EPERM));
        world.is_root = true;
        world.set(&socket, force, 1 << 20).unwrap();
        assert_eq!(get(&socket, option), Ok(2 << 20));
        world.set(&socket, force, -1).unwrap();
        assert_eq!(get(&socket, option), Ok(min));
        world.is_root = false;
    }
}

#[test]
fn flags_are_remembered() {
    let world = World::new();
    let socket = world.socket(DGRAM);
    for option in [SO_REUSEADDR, SO_PASSCRED] {
        assert_eq!(get(&socket, option), Ok(0));
        world.set(&socket, option, 5).unwrap();
        assert_eq!(get(&socket, option), Ok(1));
        world.set(&socket, option, 0).unwrap();
        assert_eq!(get(&socket, option), Ok(0));
    }
}

#[test]
fn what_is_refused() {
    let world = World::new();
    let socket = world.socket(STREAM);
    assert_eq!(world.set(&socket, SO_REUSEPORT, 1), Err(Errno::EOPNOTSUPP));
    assert_eq!(world.set(&socket, SO_PEEK_OFF, 1), Err(Errno::EOPNOTSUPP));
    assert_eq!(*world.missing.borrow(), ["SO_PEEK_OFF"]);
    for option in [SO_PEERCRED, SO_ACCEPTCONN, SO_ERROR, 999] {
        assert_eq!(world.set(&socket, option, 1), Err(Errno::ENOPROTOOPT));
    }
    let ops = socket.ops();
    assert_eq!(
        ops.set_option(1, SO_PASSCRED, &[1, 0], &world),
        Err(Errno::EINVAL)
    );
    assert_eq!(
        ops.set_option(6, 1, &[0; 4], &world),
        Err(Errno::EOPNOTSUPP)
    );
    assert_eq!(ops.option(6, 1, &[]), Err(Errno::EOPNOTSUPP));
    assert_eq!(ioctl(&socket, 1), Err(Errno::ENOTTY));
}

#[test]
fn listening_shows() {
    let world = World::new();
    let socket = world.bound(STREAM, &UNNAMED);
    assert_eq!(get(&socket, SO_ACCEPTCONN), Ok(0));
    socket.ops().listen(1, &world).unwrap();
    assert_eq!(get(&socket, SO_ACCEPTCONN), Ok(1));
    assert_eq!(
        ioctl(&socket, linux_abi::raw::ioctl::FIONREAD),
        Err(Errno::EINVAL)
    );
}

#[test]
fn an_accepted_connection_passes_credentials_as_its_listener() {
    let world = World::new();
    let name = abstract_name("name");
    let listener = world.listener(STREAM, &name, 1);
    world.set(&listener, SO_PASSCRED, 1).unwrap();
    world.connect(&world.socket(STREAM), &name).unwrap();
    assert_eq!(get(&accept(&listener).unwrap(), SO_PASSCRED), Ok(1));
}

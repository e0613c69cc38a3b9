//! Path resolution, see path_resolution(7).
use crate::Result;
use crate::context::{Credentials, FsContext};
use crate::inode::Link;
use crate::mount::Place;
use crate::types::FileType;
use alloc::borrow::Cow;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bitflags::bitflags;
use linux_abi::Errno;

/// The longest file name.
pub(crate) const NAME_MAX: usize = 255;
/// The longest path, its terminating zero included.
const PATH_MAX: usize = 4096;
/// How many symbolic links one walk follows.
const LINKS_MAX: u32 = 40;

bitflags! {
    /// How to walk.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct LookupFlags: u32 {
        /// Follow a symbolic link in the last component.
        const FOLLOW = 1;
        /// The result must be a directory.
        const DIRECTORY = 2;
        /// An empty path means the starting place itself (`AT_EMPTY_PATH`).
        const EMPTY_PATH = 4;
        /// `RESOLVE_NO_SYMLINKS`
        const NO_SYMLINKS = 8;
        /// `RESOLVE_NO_MAGICLINKS`
        const NO_MAGICLINKS = 16;
        /// `RESOLVE_BENEATH`
        const BENEATH = 32;
        /// `RESOLVE_IN_ROOT`
        const IN_ROOT = 64;
        /// `RESOLVE_NO_XDEV`
        const NO_XDEV = 128;
    }
}

/// Where the last component of a path lies: for calls that make or remove it.
pub struct Parent<'p> {
    pub dir: Place,
    /// The last component; may be "." or "..", and is empty for a path of slashes only.
    pub name: Cow<'p, [u8]>,
    /// Slashes follow the name.
    pub trailing_slash: bool,
}

/// One walk: carries what accumulates over symbolic links.
pub(crate) struct Walk<'a> {
    fs: &'a FsContext,
    cred: &'a Credentials,
    /// Where relative paths start; none for the working directory.
    dir: Option<&'a Place>,
    /// What `BENEATH` and `IN_ROOT` do not leave.
    boundary: Option<Place>,
    flags: LookupFlags,
    links: u32,
}

/// The next component of a path and what follows it, without the slashes between.
fn split(path: &[u8]) -> (&[u8], &[u8], bool) {
    let end = path.iter().position(|&b| b == b'/').unwrap_or(path.len());
    let (name, rest) = path.split_at_checked(end).unwrap_or((path, &[]));
    let slash = !rest.is_empty();
    (name, skip_slashes(rest), slash)
}

fn skip_slashes(path: &[u8]) -> &[u8] {
    let start = path.iter().position(|&b| b != b'/').unwrap_or(path.len());
    path.get(start..).unwrap_or(&[])
}

impl<'a> Walk<'a> {
    pub(crate) fn new(
        fs: &'a FsContext,
        cred: &'a Credentials,
        dir: Option<&'a Place>,
        flags: LookupFlags,
    ) -> Self {
        let mut walk = Self {
            fs,
            cred,
            dir,
            boundary: None,
            flags,
            links: 0,
        };
        if flags.intersects(LookupFlags::BENEATH | LookupFlags::IN_ROOT) {
            walk.boundary = Some(walk.start());
        }
        walk
    }

    fn start(&self) -> Place {
        self.dir.cloned().unwrap_or_else(|| self.fs.cwd())
    }

    fn root(&self) -> Place {
        match &self.boundary {
            Some(boundary) if self.flags.contains(LookupFlags::IN_ROOT) => boundary.clone(),
            _ => self.fs.root(),
        }
    }

    /// Walks the whole path.
    pub(crate) fn resolve(&mut self, path: &[u8]) -> Result<Place> {
        let mut here = self.enter(None, path)?;
        let mut next = self.run(&mut here, path, false)?;
        while let Step::Restart(text) = next {
            here = self.enter(Some(here), &text)?;
            next = self.run(&mut here, &text, false)?;
        }
        if self.flags.contains(LookupFlags::DIRECTORY) && !here.inode.is_dir() {
            return Err(Errno::ENOTDIR);
        }
        Ok(here)
    }

    /// Walks all but the last component.
    pub(crate) fn parent<'p>(&mut self, path: &'p [u8]) -> Result<Parent<'p>> {
        let mut here = self.enter(None, path)?;
        let text = match self.run(&mut here, path, true)? {
            Step::Parent {
                from,
                to,
                trailing_slash,
            } => {
                let name = Cow::Borrowed(path.get(from..to).unwrap_or(&[]));
                return Ok(Parent {
                    dir: here,
                    name,
                    trailing_slash,
                });
            }
            Step::Restart(text) => text,
            Step::Done => return Err(Errno::ENOENT),
        };
        self.parent_from(here, text)
    }

    /// Likewise for the text of a symbolic link in `here`.
    pub(crate) fn parent_from<'p>(
        &mut self,
        mut here: Place,
        mut text: Vec<u8>,
    ) -> Result<Parent<'p>> {
        loop {
            here = self.enter(Some(here), &text)?;
            match self.run(&mut here, &text, true)? {
                Step::Parent {
                    from,
                    to,
                    trailing_slash,
                } => {
                    let name = Cow::Owned(text.get(from..to).unwrap_or(&[]).to_vec());
                    return Ok(Parent {
                        dir: here,
                        name,
                        trailing_slash,
                    });
                }
                Step::Restart(next) => text = next,
                Step::Done => return Err(Errno::ENOENT),
            }
        }
    }

    /// Where a path starts: absolute ones at the root, others in `here` or, at first, where the walk begins.
    fn enter(&self, here: Option<Place>, path: &[u8]) -> Result<Place> {
        if path.is_empty() {
            return Err(Errno::ENOENT);
        }
        if path.len() >= PATH_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        if path.first() != Some(&b'/') {
            return Ok(here.unwrap_or_else(|| self.start()));
        }
        if self.flags.contains(LookupFlags::BENEATH) {
            return Err(Errno::EXDEV);
        }
        let root = self.root();
        if self.flags.contains(LookupFlags::NO_XDEV) {
            self.check_mount(&here.unwrap_or_else(|| self.start()), &root)?;
        }
        Ok(root)
    }

    /// Goes along `path` until its end, or until a symbolic link puts another path in its place.
    fn run(&mut self, here: &mut Place, path: &[u8], stop_at_last: bool) -> Result<Step> {
        let mut left = skip_slashes(path);
        while !left.is_empty() {
            let (name, rest, slash) = split(left);
            let last = rest.is_empty();
            if !here.inode.is_dir() {
                return Err(Errno::ENOTDIR);
            }
            if last && stop_at_last {
                let from = path.len() - left.len();
                return Ok(Step::Parent {
                    from,
                    to: from + name.len(),
                    trailing_slash: slash,
                });
            }
            self.cred.check_search(&*here.inode)?;
            match name {
                b"." => {}
                b".." => self.up(here)?,
                _ => {
                    if let Some(text) = self.down(here, name, rest, slash)? {
                        return Ok(Step::Restart(text));
                    }
                }
            }
            left = rest;
            if slash && last && !here.inode.is_dir() {
                return Err(Errno::ENOTDIR);
            }
        }
        if stop_at_last {
            Ok(Step::Parent {
                from: path.len(),
                to: path.len(),
                trailing_slash: false,
            })
        } else {
            Ok(Step::Done)
        }
    }

    fn up(&self, here: &mut Place) -> Result<()> {
        if self.flags.contains(LookupFlags::BENEATH)
            && self
                .boundary
                .as_ref()
                .is_some_and(|boundary| boundary.same(here))
        {
            return Err(Errno::EXDEV);
        }
        let parent = here.parent(&self.root());
        self.check_mount(here, &parent)?;
        *here = parent;
        Ok(())
    }

    fn check_mount(&self, from: &Place, to: &Place) -> Result<()> {
        let crossed = !Arc::ptr_eq(&from.mount, &to.mount);
        if crossed && self.flags.contains(LookupFlags::NO_XDEV) {
            Err(Errno::EXDEV)
        } else {
            Ok(())
        }
    }

    /// Goes to the child `name`. Answers the path to go on with if it is a link that is to be followed.
    fn down(
        &mut self,
        here: &mut Place,
        name: &[u8],
        rest: &[u8],
        slash: bool,
    ) -> Result<Option<Vec<u8>>> {
        if name.len() > NAME_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let child = here.inode.lookup(name)?;
        match child.kind() {
            FileType::Directory => {
                here.inode = child;
                self.cross_mounts(here)?;
                Ok(None)
            }
            FileType::Symlink if slash || self.flags.contains(LookupFlags::FOLLOW) => {
                self.follow(here, child.follow(), rest, slash)
            }
            _ => {
                here.inode = child;
                Ok(None)
            }
        }
    }

    /// What covers a directory takes its place.
    fn cross_mounts(&self, here: &mut Place) -> Result<()> {
        while let Some(mount) = here.mount.covering(&here.inode) {
            if self.flags.contains(LookupFlags::NO_XDEV) {
                return Err(Errno::EXDEV);
            }
            *here = Place {
                inode: mount.root.clone(),
                mount,
            };
        }
        Ok(())
    }

    fn follow(
        &mut self,
        here: &mut Place,
        link: Result<Link>,
        rest: &[u8],
        slash: bool,
    ) -> Result<Option<Vec<u8>>> {
        self.links += 1;
        if self.links > LINKS_MAX || self.flags.contains(LookupFlags::NO_SYMLINKS) {
            return Err(Errno::ELOOP);
        }
        match link? {
            Link::Path(mut text) => {
                if text.is_empty() {
                    return Err(Errno::ENOENT);
                }
                if slash {
                    text.push(b'/');
                    text.extend_from_slice(rest);
                }
                Ok(Some(text))
            }
            Link::Place(place) => {
                if self.flags.contains(LookupFlags::NO_MAGICLINKS) {
                    return Err(Errno::ELOOP);
                }
                if self.boundary.is_some() {
                    return Err(Errno::EXDEV);
                }
                self.check_mount(here, &place)?;
                *here = place;
                Ok(None)
            }
        }
    }

    /// Follows the last component of a path in the hands of the caller (open(2) with `O_CREAT`).
    pub(crate) fn follow_last(
        &mut self,
        dir: &mut Place,
        link: Result<Link>,
    ) -> Result<Option<Vec<u8>>> {
        self.follow(dir, link, &[], false)
    }

    /// What is at `name` in `dir`, mounts crossed.
    pub(crate) fn child(&self, dir: &Place, name: &[u8]) -> Result<Place> {
        let mut place = Place {
            mount: dir.mount.clone(),
            inode: dir.inode.lookup(name)?,
        };
        if place.inode.is_dir() {
            self.cross_mounts(&mut place)?;
        }
        Ok(place)
    }
}

enum Step {
    Done,
    /// A symbolic link: go on with this path, from here or from the root.
    Restart(Vec<u8>),
    /// Arrived before the last component, which is `path[from..to]`.
    Parent {
        from: usize,
        to: usize,
        trailing_slash: bool,
    },
}

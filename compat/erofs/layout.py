"""Where every inode and every file's data goes. Nothing is read or written here but the tree."""

from __future__ import annotations

from dataclasses import dataclass

from compat.erofs import format as fmt
from compat.errors import CompatError
from compat.tree import Node, Tree

HUGE = 2 * 1024 * 1024
# Files of this size are worth an aligned start: the guest can map them with fewer, larger pages.
LARGE = 64 * 1024
# Superblock padding: inodes start in the second block, so the first one's checksum covers no inode.
META_START = fmt.BLOCK


@dataclass(slots=True, eq=False)
class Placed:
    """One inode with its place."""

    node: Node
    path: bytes
    parent: Placed | None
    nlink: int = 1
    offset: int = 0
    block: int = 0
    size: int = 0
    inline: int = 0
    number: int = 0

    @property
    def nid(self) -> int:
        return self.offset // fmt.SLOT


@dataclass(slots=True)
class Layout:
    """A finished plan: `size` bytes in all; `nids` by node, for whoever refers to files by number."""

    placed: list[Placed]
    by_node: dict[int, Placed]
    size: int
    data_start: int

    def nid(self, node: Node) -> int:
        return self.by_node[id(node)].nid


def plan_layout(tree: Tree) -> Layout:
    """Gives every inode a number and every file its blocks."""
    placed, by_node = _collect(tree)
    meta_end = _place_inodes(placed)
    data_start = _round_up(meta_end, fmt.BLOCK)
    end = _place_data(placed, data_start)
    return Layout(placed=placed, by_node=by_node, size=end, data_start=data_start)


def sorted_names(node: Node) -> list[bytes]:
    """A directory's names as EROFS wants them: dots among the others, by byte value."""
    return sorted([b".", b"..", *node.children])


def _collect(tree: Tree) -> tuple[list[Placed], dict[int, Placed]]:
    placed: list[Placed] = []
    by_node: dict[int, Placed] = {}
    parents: dict[bytes, Placed] = {}
    for path, node in tree.walk():
        seen = by_node.get(id(node))
        if seen is not None:
            seen.nlink += 1
            continue
        parent = parents.get(path.rpartition(b"/")[0] or b"/")
        here = Placed(node=node, path=path, parent=parent, number=len(placed) + 1)
        here.size = fmt.directory_size(sorted_names(node)) if node.is_dir else node.size
        if node.is_dir:
            parents[path] = here
            here.nlink = 2 + sum(child.is_dir for child in node.children.values())
        placed.append(here)
        by_node[id(node)] = here
    return placed, by_node


def _place_inodes(placed: list[Placed]) -> int:
    """Inodes in walk order; short directories and links keep their tail behind the inode."""
    offset = META_START
    for item in placed:
        tail = item.size % fmt.BLOCK if item.node.is_dir or item.node.is_link else 0
        fits = 0 < tail <= fmt.BLOCK - fmt.INODE_SIZE
        item.inline = tail if fits else 0
        need = fmt.INODE_SIZE + item.inline
        left = fmt.BLOCK - offset % fmt.BLOCK
        if need > left:
            offset += left
        item.offset = offset
        offset = _round_up(offset + need, fmt.SLOT)
    if placed and placed[0].nid >= 1 << 16:
        raise CompatError("the root directory's inode is out of reach of the superblock")
    return offset


def _place_data(placed: list[Placed], start: int) -> int:
    """Large files first, on their boundaries; the small ones then fill the gaps between them."""
    wanting = [item for item in placed if _data_blocks(item)]
    gaps: list[tuple[int, int]] = []
    end = start
    for item in sorted((i for i in wanting if _alignment(i) > fmt.BLOCK), key=lambda i: (-_alignment(i), i.number)):
        at = _round_up(end, _alignment(item))
        if at > end:
            gaps.append((end, at))
        item.block = at // fmt.BLOCK
        end = at + _data_blocks(item) * fmt.BLOCK
    for item in (i for i in wanting if _alignment(i) == fmt.BLOCK):
        need = _data_blocks(item) * fmt.BLOCK
        index = next((n for n, gap in enumerate(gaps) if gap[1] - gap[0] >= need), None)
        if index is None:
            at, end = end, end + need
        else:
            at = gaps[index][0]
            gaps[index] = (at + need, gaps[index][1])
            if gaps[index][0] == gaps[index][1]:
                del gaps[index]
        item.block = at // fmt.BLOCK
    if end // fmt.BLOCK >= 1 << 32:
        raise CompatError("the root file system would exceed 16 TiB")
    return end


def _data_blocks(item: Placed) -> int:
    """Blocks outside the inode area."""
    if not (item.node.is_file or item.node.is_dir or item.node.is_link):
        return 0
    return -(-(item.size - item.inline) // fmt.BLOCK)


def _alignment(item: Placed) -> int:
    if item.node.is_file and item.size >= HUGE:
        return HUGE
    if item.node.is_file and item.size >= LARGE:
        return LARGE
    return fmt.BLOCK


def _round_up(value: int, unit: int) -> int:
    return -(-value // unit) * unit

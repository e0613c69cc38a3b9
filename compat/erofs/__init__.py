"""A writer of EROFS file systems: uncompressed, 4 KiB blocks, every file's data contiguous and page-aligned.

The guest maps files in place, so that layout is the point: files of 2 MiB and more start on a 2 MiB boundary, which
lets huge pages map them. The same tree always gives the same bytes.
"""

from compat.erofs.layout import Layout, plan_layout
from compat.erofs.writer import write_image

__all__ = ["Layout", "plan_layout", "write_image"]

"""Names by which the kernel's archive, its link and the tools know each other."""

HANDLER = "compat.sys."
PART = "compat.part."
NEED = "compat.need."
SLOT = "compat.slot."
DISPATCH = "compat.dispatch"
LEFT_OUT = "compat.left_out"
WITHOUT_HANDLER = "compat.without_handler"

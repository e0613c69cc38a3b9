"""Which files of a Debian package a program may need at run time. Data only; `runtime_files` applies it."""

from __future__ import annotations

PACKAGE_PLACES = ("/usr/lib/", "/usr/share/", "/etc/", "/lib/", "/usr/libexec/")
SKIPPED_NAMES = ("*.a", "*.o", "*.pyo", "*.h", "*.pc", "*.gir")

_SHARED = """
    applications apport bash-completion binfmts bug dbus-1 doc doc-base emacs fish gtk-doc help icons info
    initramfs-tools lintian locale man menu metainfo pixmaps pkgconfig polkit-1 systemtap thumbnailers vim xml zsh
""".split()
_ADMINISTRATION = (
    "/etc/X11/",
    "/etc/apparmor.d/",
    "/etc/bash_completion.d/",
    "/etc/cron",
    "/etc/default/",
    "/etc/init.d/",
    "/etc/logrotate.d/",
    "/etc/pam.d/",
    "/etc/profile.d/",
    "/etc/systemd/",
    "/lib/modules/",
    "/lib/systemd/",
    "/lib/udev/",
    "/usr/lib/binfmt.d/",
    "/usr/lib/debug/",
    "/usr/lib/mime/",
    "/usr/lib/systemd/",
    "/usr/lib/sysusers.d/",
    "/usr/lib/tmpfiles.d/",
    "/usr/lib/udev/",
    "/usr/lib/x86_64-linux-gnu/pkgconfig/",
)
SKIPPED_PLACES = (*(f"/usr/share/{name}/" for name in _SHARED), *_ADMINISTRATION)

# Their run-time parts are in the rules; the rest is for administration.
SKIPPED_PACKAGES = frozenset(
    """
    adduser base-files base-passwd ca-certificates debconf debianutils dpkg gcc-12-base init-system-helpers libc-bin
    libc6 libgcc-s1 libstdc++6 locales lsb-base mime-support passwd sysvinit-utils tzdata ucf util-linux
    """.split()
)

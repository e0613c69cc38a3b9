"""Rules: what a library or a program opens at run time. Data only; `runtime_files` applies them.

Paths are globs. `{prefix}` is the directory above the program's `bin`, `{real}` the same with links resolved (`/usr`
for a library's rule), `{version}` what the trigger's group matched; `{dir}` is the program's directory, `{venv}` the
virtual environment that the program belongs to; `lib:NAME` is where the dynamic linker finds NAME.
Paths that the host lacks are passed over.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """Fires when any trigger matches. `imports` looks at the program and its libraries, libc left out.

    `text` looks at the program only: Go's and Rust's programs hold what is a library elsewhere.
    """

    reason: str
    paths: tuple[str, ...]
    soname: str | None = None
    program: str | None = None
    imports: tuple[bytes, ...] = ()
    text: tuple[bytes, ...] = ()
    # Whether a library that only a plug-in needs fires the rule.
    for_plugins: bool = True
    # Whether much data is left out. What the user plainly chose is not.
    limited: bool = True


ML = "/usr/lib/x86_64-linux-gnu"

# Functions of the C library that look up hosts, services and protocols.
_NETWORK_NAMES = (
    b"getaddrinfo",
    b"getnameinfo",
    b"gethostbyaddr",
    b"gethostbyaddr_r",
    b"gethostbyname",
    b"gethostbyname2",
    b"gethostbyname2_r",
    b"gethostbyname_r",
    b"getprotobyname",
    b"getprotobyname_r",
    b"getprotobynumber",
    b"getservbyname",
    b"getservbyname_r",
    b"getservbyport",
    b"getservbyport_r",
)

RULES: tuple[Rule, ...] = (
    Rule(
        "C library's run-time parts",
        ("lib:libgcc_s.so.1", "/etc/ld.so.cache", "/usr/lib/locale/C.utf8"),
        soname=r"libc\.so\.6",
    ),
    # Since glibc 2.34 both are stubs of 14 KB, for programs that were linked before.
    Rule(
        "name service modules",
        ("lib:libnss_files.so.2", "lib:libnss_dns.so.2"),
        imports=(*_NETWORK_NAMES, b"getpwnam", b"getgrnam", b"getpwuid", b"getpwuid_r"),
    ),
    Rule(
        "names of services and protocols",
        ("/etc/services", "/etc/protocols", "/etc/gai.conf"),
        imports=_NETWORK_NAMES,
        text=(b"/etc/services",),
    ),
    Rule(
        "media types by names of files",
        ("/etc/mime.types", "/usr/share/mime/globs2"),
        text=(b"/etc/mime.types", b"/usr/share/mime/globs2"),
    ),
    Rule("locales", ("/usr/lib/locale",), imports=(b"setlocale", b"newlocale")),
    Rule("character sets", (f"{ML}/gconv",), imports=(b"iconv_open",), for_plugins=False),
    Rule(
        "time zones",
        ("/usr/share/zoneinfo", "/etc/localtime", "/etc/timezone"),
        imports=(b"localtime", b"localtime_r", b"mktime", b"tzset", b"__localtime64_r"),
        text=(b"/usr/share/zoneinfo",),
    ),
    Rule(
        "certificates",
        (
            "/etc/ssl/certs",
            "/etc/ssl/openssl.cnf",
            "/usr/lib/ssl",
            "/usr/share/ca-certificates",
            "/etc/ca-certificates.conf",
        ),
        soname=r"lib(ssl|gnutls|nss3|mbedtls|wolfssl|curl)\b.*",
        text=(b"/etc/ssl/certs/ca-certificates.crt",),
    ),
    Rule(
        "OpenSSL's configuration and providers",
        (f"{ML}/ossl-modules", f"{ML}/engines-3", "/etc/ssl/openssl.cnf", "/usr/lib/ssl"),
        soname=r"libcrypto\.so\..*",
    ),
    Rule(
        "terminal descriptions",
        ("/lib/terminfo", "/usr/lib/terminfo", "/etc/terminfo", "/usr/share/terminfo", "/etc/inputrc"),
        soname=r"lib(tinfo|ncurses|readline|edit).*",
        text=(b"/lib/terminfo", b"/usr/share/terminfo"),
    ),
    Rule(
        "magic numbers",
        ("/usr/share/misc/magic*", "/etc/magic*", "/usr/lib/file", "/usr/share/file"),
        soname=r"libmagic\.so.*",
    ),
    Rule(
        "Python {version}'s library",
        (
            "{real}/lib/python{version}",
            "{real}/lib/python3/dist-packages",
            "/usr/local/lib/python{version}/dist-packages",
            "/etc/python{version}",
            "/etc/python3",
            "/etc/mime.types",
        ),
        soname=r"libpython(3\.\d+)[a-z]*\.so.*",
        program=r"python(3\.\d+)",
    ),
    Rule("Python packages", ("{real}/lib/python{version}/site-packages",), program=r"python(3\.\d+)"),
    Rule(
        "the virtual environment",
        ("{venv}/pyvenv.cfg", "{venv}/lib/python{version}/site-packages"),
        program=r"python(3\.\d+)",
        limited=False,
    ),
    Rule(
        "Perl's library",
        (
            "/etc/perl",
            f"{ML}/perl",
            f"{ML}/perl-base",
            f"{ML}/perl5",
            "/usr/share/perl",
            "/usr/share/perl5",
            "/usr/local/share/perl",
            "/usr/local/lib/x86_64-linux-gnu/perl",
            "{prefix}/lib/perl5",
        ),
        soname=r"libperl\.so\..*",
        program=r"perl(5.*)?",
    ),
    Rule(
        "Ruby's library",
        (
            "/usr/lib/ruby",
            f"{ML}/ruby",
            "/usr/share/rubygems-integration",
            "/var/lib/gems",
            f"{ML}/rubygems-integration",
            "{prefix}/lib/ruby",
        ),
        soname=r"libruby.*\.so\..*",
        program=r"ruby(\d.*)?",
    ),
    Rule(
        "Lua's library",
        (
            "/usr/share/lua/{version}",
            "/usr/local/share/lua/{version}",
            f"{ML}/lua/{{version}}",
            "/usr/local/lib/lua/{version}",
        ),
        soname=r"liblua(5\.\d)\.so.*",
        program=r"lua(5\.\d)",
    ),
    Rule("AWK's library", (f"{ML}/gawk", "/usr/share/awk"), program=r"gawk"),
    Rule(
        "Node's library",
        (
            "/usr/share/nodejs",
            "/usr/lib/nodejs",
            "/usr/share/node_modules",
            f"{ML}/nodejs",
            "{prefix}/lib/node_modules",
        ),
        soname=r"libnode\.so\..*",
        program=r"node(js)?",
    ),
    Rule("Tcl's library", ("/usr/share/tcltk", "/usr/lib/tcltk"), soname=r"libt(cl|k)8.*"),
    Rule(
        "headers for C",
        ("{dir}/include", "{dir}/include-fixed", "/usr/local/include", "/usr/include"),
        program=r"cc1(plus)?",
    ),
    Rule("PHP's library", ("/usr/lib/php", "/etc/php", "/usr/share/php"), program=r"php(\d.*)?"),
    Rule("Guile's library", ("/usr/share/guile", f"{ML}/guile"), soname=r"libguile-.*"),
    Rule(
        "GLib's schemas and modules",
        ("/usr/share/glib-2.0/schemas", f"{ML}/gio", f"{ML}/gdk-pixbuf-2.0", "/usr/share/mime"),
        soname=r"libg(io|dk_pixbuf|tk)-.*",
        for_plugins=False,
    ),
    Rule(
        "fonts",
        ("/etc/fonts", "/usr/share/fontconfig", "/usr/share/fonts"),
        soname=r"libfontconfig\.so.*",
        for_plugins=False,
    ),
)

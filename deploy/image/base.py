"""Drops from the image below ours what only installing needs; run while an image is built.

A Python image is a whole Debian: a package manager, Perl, tools for disks and logins, headers and
tests. A service never runs any of it, and what is not there needs no security update. Shell and
core utilities stay, for people who look into a container; so does the package database, for
scanners, without what was dropped.
"""

from __future__ import annotations

import shutil
from fnmatch import fnmatch
from pathlib import Path

DATABASE = Path("/var/lib/dpkg")
PACKAGES = {
    "install packages, and what only that uses": (
        "apt debconf* debian-archive-keyring dpkg gpgv libapt-pkg* libdebconfclient0 libgcrypt20 "
        "libgnutls30* libgpg-error0 libhogweed* libidn2-0 libnettle* libp11-kit0 libseccomp2 "
        "libtasn1* libunistring* libxxhash0 perl-base python3-pip* python3-pkg-resources "
        "python3-setuptools* python3-wheel sqv"
    ),
    "let people log in": (
        "adduser libaudit* libcap-ng0 libpam* libsemanage* libsepol* login* passwd"
    ),
    "start a machine and keep its disks": (
        "bsdutils e2fsprogs init-system-helpers libblkid1 libext2fs* libmount1 libsmartcols1 "
        "libss2 libsystemd0 libudev1 logsave mount sysvinit-utils util-linux*"
    ),
    "look users up in a network's directory": (
        "libcom-err2 libgssapi-krb5-2 libk5crypto3 libkeyutils1 libkrb5* libnsl2 libtirpc*"
    ),
    "are comfort; of shells dash stays": "bash diffutils findutils ncurses-bin",
}
PATHS = {
    "are words for people; whose a package is, and its licence, stay": (
        "usr/share/man usr/share/info usr/share/locale usr/share/lintian "
        "usr/share/doc/*/[!c]* usr/share/doc/*/changelog*"
    ),
    "were left by installing": (
        "var/cache/* var/log/* var/lib/apt usr/share/python-wheels usr/local/bin/pip*"
    ),
    "are character sets for C; Python has its own": "usr/lib/*-linux-gnu/gconv",
    "install, compile or test Python, or draw windows with it": (
        "usr/include usr/local/include usr/local/bin/idle* usr/lib/python3/dist-packages "
        "usr/local/lib/python3*/site-packages/*"
    ),
}
OF_PYTHON = "config-* ensurepip idlelib lib2to3 pydoc_data test tkinter turtledemo **/__pycache__"


def is_unneeded(package: str) -> bool:
    """Tell whether a Debian package, `name` or `name:architecture`, is one to drop."""
    name = package.partition(":")[0]
    return any(fnmatch(name, pattern) for it in PACKAGES.values() for pattern in it.split())


def drop_packages() -> None:
    """Delete the files of unneeded packages, and what the database says of them."""
    for listing in sorted((DATABASE / "info").glob("*.list")):
        if is_unneeded(listing.stem):
            for path in map(Path, listing.read_text(encoding="utf-8").splitlines()):
                if not path.is_dir():  # nor a link to one: `/bin` is listed, too
                    path.unlink(missing_ok=True)
    status = DATABASE / "status"
    entries = status.read_text(encoding="utf-8").split("\n\n")
    names = (entry.partition("\n")[0].removeprefix("Package: ") for entry in entries)
    kept = [entry for entry, name in zip(entries, names, strict=True) if not is_unneeded(name)]
    status.write_text("\n\n".join(kept), encoding="utf-8")
    shutil.rmtree(DATABASE / "info")


def drop(folder: Path, patterns: str) -> None:
    """Delete what fits one of the patterns, which blanks separate."""
    for pattern in patterns.split():
        for path in sorted(folder.glob(pattern)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


if __name__ == "__main__":
    drop_packages()
    for unneeded in PATHS.values():
        drop(Path("/"), unneeded)
    drop(Path(shutil.__file__).parent, OF_PYTHON)

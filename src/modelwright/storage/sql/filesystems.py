"""Whether a file lies on a disk of this machine: SQLite's log in shared memory works nowhere else."""

from __future__ import annotations

import os
import re
from pathlib import Path

from modelwright.errors import StorageUnavailableError

__all__ = ["ALLOW", "network_kind", "refuse_network"]

ALLOW = "MODELWRIGHT_SQLITE_ON_NETWORK"
"""The environment variable by which a user takes the risk: ``1`` for yes."""

_MOUNTS = Path("/proc/self/mountinfo")
# fmt: off
_NETWORK = frozenset({
    "9p", "acfs", "afs", "afpfs", "beegfs", "ceph", "cifs", "coda", "cvfs", "davfs", "dfs", "drvfs",
    "gfs", "gfs2", "glusterfs", "gpfs", "lustre", "mfs", "ncpfs", "nfs", "nfs3", "nfs4", "ocfs2",
    "orangefs", "panfs", "pvfs2", "shfs", "smb2", "smb3", "smbfs", "stornext", "vboxsf", "vmhgfs",
    "wekafs",
})
# fmt: on
_NETWORK_FUSE = re.compile(
    r"afp|blob|ceph|cifs|curlftp|dav|ftp|gcs|gluster|goofys|gvfs|jfs|juicefs|lustre|moose|nfs|quobyte|rclone|"
    r"s3|seaweed|smb|ssh|vmhgfs|weka"
)


def network_kind(path: Path, mounts: str | None = None) -> str:
    """Return the kind of network file system that a path lies on; empty if it is a local or an unknown one.

    Parameters
    ----------
    path : Path
        A file, which need not be there, in a folder that is.
    mounts : str, optional
        What the kernel says of the mounts, in the form of Linux's ``mountinfo``; read from it by default.
    """
    if mounts is None:
        try:
            mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return ""  # not Linux
    place = os.path.realpath(path)
    longest, kind = -1, ""
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields, types = left.split(), right.split()
        if len(fields) < 5 or not types:
            continue
        point = _unescaped(fields[4])
        # Of mounts on one point the last one hides the others.
        if _contains(point, place) and len(point) >= longest:
            longest, kind = len(point), types[0]
    return kind if _is_network(kind) else ""


def refuse_network(path: Path) -> None:
    """Raise if a path lies on a network file system, unless the user has said that it may."""
    kind = network_kind(path)
    if kind and os.environ.get(ALLOW, "") in ("", "0"):
        raise StorageUnavailableError(
            f"{path} is on a network file system ({kind}), which cannot keep the processes that use "
            f"a SQLite file apart: the ledger would be damaged sooner or later.",
            hint="Give a file on a local disk; for several machines use a server, 'postgresql://...' or "
            f"`modelwright serve`. If no other machine will ever open the file, set {ALLOW}=1.",
            code="E_DB_NETWORK",
        )


def _contains(point: str, place: str) -> bool:
    return point == "/" or place == point or place.startswith(point + "/")


def _is_network(kind: str) -> bool:
    first, _, rest = kind.partition(".")
    if first in ("fuse", "fuseblk") and rest:
        return _NETWORK_FUSE.search(rest) is not None
    return kind in _NETWORK


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)

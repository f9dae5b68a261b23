"""A disk that is full, or that does not take what it was given, for the files whose path holds some text.

A small library goes in front of the system's own in each process that is started meanwhile; it looks for a
file that says what is to fail, so a disk may become full, and be freed again, while the processes run.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

__all__ = ["FaultyDisk", "MissingCompilerError"]

_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* Whether `what` ("full" or "sync") is to fail for this descriptor: the file says "what part-of-the-path". */
static int fails(int fd, const char *what) {
    const char *order = getenv("FAULTY_DISK");
    char text[512], link[64], path[4096];
    int file = order ? open(order, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return 0;
    ssize_t size = read(file, text, sizeof text - 1);
    close(file);
    if (size <= 0) return 0;
    text[size] = 0;
    size_t length = strlen(what);
    if (strncmp(text, what, length) || text[length] != ' ') return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t end = readlink(link, path, sizeof path - 1);
    if (end < 0) return 0;
    path[end] = 0;
    return strstr(path, text + length + 1) != NULL;
}

#define NEXT(name) ((__typeof__(&name)) dlsym(RTLD_NEXT, #name))
#define GUARD(what, error) do { if (fails(fd, what)) { errno = error; return -1; } } while (0)

ssize_t write(int fd, const void *data, size_t size) {
    GUARD("full", ENOSPC); return NEXT(write)(fd, data, size);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    GUARD("full", ENOSPC); return NEXT(pwrite)(fd, data, size, at);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    GUARD("full", ENOSPC); return NEXT(pwrite64)(fd, data, size, at);
}
int fsync(int fd) { GUARD("sync", EIO); return NEXT(fsync)(fd); }
int fdatasync(int fd) { GUARD("sync", EIO); return NEXT(fdatasync)(fd); }
"""


class MissingCompilerError(Exception):
    """There is no C compiler here."""


class FaultyDisk:
    """The library, built in `folder`, and the file that says what fails.

    Attributes
    ----------
    environment : dict of str to str
        Of the processes that are to suffer.
    """

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            raise MissingCompilerError("needs a C compiler, called cc")
        source, library = folder / "faulty.c", folder / "faulty.so"
        source.write_text(_SOURCE)
        line = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
        subprocess.run(line, check=True, capture_output=True)
        self._order = folder / "order"
        self.environment = {"LD_PRELOAD": str(library), "FAULTY_DISK": str(self._order)}

    def fill(self, part: str) -> None:
        """From now on there is no room for files whose path holds `part`."""
        self._say(f"full {part}")

    def refuse(self, part: str) -> None:
        """From now on such files cannot be brought to the disk."""
        self._say(f"sync {part}")

    def heal(self) -> None:
        """All is well again."""
        self._order.unlink()

    def _say(self, text: str) -> None:
        temporary = self._order.with_suffix(".new")
        temporary.write_text(text)
        temporary.replace(self._order)

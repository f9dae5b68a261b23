"""Print the requirements of one dependency group of pyproject.toml, a line each."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path


def main(group: str) -> None:
    """Print the requirements of `group`."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"]
    if group not in groups:
        raise SystemExit(f"pyproject.toml has no dependency group {group!r}; it has: {', '.join(groups)}")
    print(*groups[group], sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

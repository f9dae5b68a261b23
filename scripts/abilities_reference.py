"""Write docs/reference/abilities.md from the catalogue of optimizers; a test checks that it is up to date.

python scripts/abilities_reference.py
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "abilities.md"
HEAD = """# What each optimizer can do

<!-- Written by scripts/abilities_reference.py; do not edit by hand. -->

Every optimizer declares its abilities as data; a study reads them before it starts, and refuses early.
Which one to take: [Choose an optimizer](../how-to/optimizers.md).
"""


def page() -> str:
    """Return the text of the page."""
    from modelwright.optimizers import OPTIMIZERS, Abilities

    known = {name: OPTIMIZERS.get(name) for name in OPTIMIZERS.synonyms()}
    parts = [HEAD, "\n| Name | Other names | |\n|---|---|---|\n"]
    for name, others in OPTIMIZERS.synonyms().items():
        summary = inspect.getdoc(known[name]).split("\n")[0]
        parts.append(f"| `{name}` | {', '.join(f'`{other}`' for other in others)} | {summary} |\n")
    fields = [field.name for field in dataclasses.fields(Abilities)]
    parts.append("\n## Abilities\n\n| Name | " + " | ".join(f"`{field}`" for field in fields) + " |\n")
    parts.append("|---" * (1 + len(fields)) + "|\n")
    for name, optimizer in known.items():
        cells = [cell(getattr(optimizer.abilities, field)) for field in fields]
        parts.append(f"| `{name}` | " + " | ".join(cells) + " |\n")
    parts.append("\n" + "".join(f"- {names}: {text}\n" for names, text in meanings(Abilities)))
    return "".join(parts)


def cell(value: Any) -> str:
    """Return an ability as it stands in the table."""
    return {True: "yes", False: "-"}[value] if isinstance(value, bool) else f"{value}"


def meanings(abilities: type) -> Iterator[tuple[str, str]]:
    """Yield what the class's docstring says of each of its attributes."""
    _, _, listed = (inspect.getdoc(abilities) or "").partition("Attributes\n----------\n")
    for names, text in re.findall(r"^(\w[\w, ]*) : .*\n((?:    .*\n?)+)", listed, re.MULTILINE):
        words = " ".join(text.split())
        yield ", ".join(f"`{name.strip()}`" for name in names.split(",")), words[0].lower() + words[1:]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE.name}\n")

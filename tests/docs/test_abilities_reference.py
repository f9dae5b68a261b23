"""The page about the optimizers' abilities is what the catalogue says."""

from __future__ import annotations

import dataclasses
import runpy
from pathlib import Path
from types import SimpleNamespace

from modelwright.optimizers import OPTIMIZERS, Abilities

ROOT = Path(__file__).parents[2]
SCRIPT = SimpleNamespace(**runpy.run_path(str(ROOT / "scripts" / "abilities_reference.py")))


def test_the_page_is_up_to_date() -> None:
    written = (ROOT / "docs" / "reference" / "abilities.md").read_text(encoding="utf-8")
    assert written == SCRIPT.page(), "run: python scripts/abilities_reference.py"


def test_each_ability_is_explained() -> None:
    explained = ", ".join(names for names, _ in SCRIPT.meanings(Abilities))
    assert explained.replace("`", "").split(", ") == [field.name for field in dataclasses.fields(Abilities)]


def test_the_guide_names_every_optimizer() -> None:
    guide = (ROOT / "docs" / "how-to" / "optimizers.md").read_text(encoding="utf-8")
    for name in OPTIMIZERS.synonyms():
        assert f"`{name}`" in guide, f"docs/how-to/optimizers.md does not say when to take {name}"

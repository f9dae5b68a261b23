"""The page about the command line is what the commands say of themselves."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).parents[2]
SCRIPT = SimpleNamespace(**runpy.run_path(str(ROOT / "scripts" / "cli_reference.py")))


def test_the_page_is_up_to_date() -> None:
    written = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert written == SCRIPT.page(), "run: python scripts/cli_reference.py"


def test_examples_in_help_become_code() -> None:
    assert SCRIPT.example("Example: modelwright fit a.csv") == "```text\nmodelwright fit a.csv\n```\n"


def test_every_command_has_help_and_an_example() -> None:
    import typer

    from modelwright.cli.main import app

    commands = dict(SCRIPT.commands("modelwright", typer.main.get_command(app)))
    assert {"modelwright fit", "modelwright predict", "modelwright studies list"} <= set(commands)
    for path, command in commands.items():
        assert command.help, path
        assert path in (command.epilog or ""), f"the help of {path} shows no example"
        assert all(param.help for param in command.params), path

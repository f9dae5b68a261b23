"""Write docs/reference/cli.md from the commands themselves; a test checks that it is up to date.

python scripts/cli_reference.py
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "cli.md"
HEAD = """# Command line

<!-- Written by scripts/cli_reference.py; do not edit by hand. -->

Output is plain when it is piped, and `--json`, where a command has it, is for programs: [its keys](json.md).
The exit code is 0 for success, 2 when what was given is wrong, 130 after Ctrl-C, and 1 for any other error.
`--debug`, anywhere on the line, shows the stack trace of an error.
"""


def page() -> str:
    """Return the text of the page."""
    import typer

    from modelwright.cli.main import app

    root = typer.main.get_command(app)
    return HEAD + "".join(section(path, command) for path, command in commands("modelwright", root))


def commands(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Yield each command that does something, with the words that call it."""
    children = getattr(command, "commands", None)
    if children is None:
        yield path, command
    else:
        for name, child in children.items():
            if not child.hidden:
                yield from commands(f"{path} {name}", child)


def section(path: str, command: Any) -> str:
    """Return the section about one command."""
    params = [param for param in command.params if not getattr(param, "hidden", False)]
    arguments = [param for param in params if param.param_type_name == "argument"]
    options = [param for param in params if param.param_type_name == "option" and param.name != "help"]
    usage = " ".join([path, *(label(item) for item in arguments), *(["[OPTIONS]"] if options else [])])
    parts = [f"\n## {path}\n", f"```text\n{usage}\n```\n", prose(command.help or "")]
    if command.epilog:
        parts.append(example(command.epilog))
    if arguments:
        rows = [f"| `{label(item)}` | {cell(item.help)} |" for item in arguments]
        parts.append("\n".join(["| Argument | |", "|---|---|", *rows]) + "\n")
    if options:
        rows = [f"| {names(item)} | {default(item)} | {cell(item.help)} |" for item in options]
        parts.append("\n".join(["| Option | Default | |", "|---|---|---|", *rows]) + "\n")
    return "\n".join(parts)


def prose(text: str) -> str:
    """Return a command's help as Markdown, each paragraph on a line."""
    paragraphs = inspect.cleandoc(text.replace("\b\n", "").replace("\f", "")).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs) + "\n"


def example(text: str) -> str:
    """Return the examples at the end of a command's help as a block of code."""
    lines = [line.strip() for line in text.removeprefix("Example:").splitlines() if line.strip()]
    return "```text\n" + "\n".join(lines) + "\n```\n"


def label(argument: Any) -> str:
    """Return how an argument stands in the usage line."""
    name = (argument.metavar or argument.name).upper()
    return name if argument.required or name.startswith("[") else f"[{name}]"


def names(option: Any) -> str:
    """Return the spellings of an option."""
    return ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))


def default(option: Any) -> str:
    """Return the default of an option, empty where there is none."""
    if option.required:
        return "required"
    shown = option.show_default if isinstance(option.show_default, str) else option.default
    return "" if shown is None or shown is False else cell(f"`{shown}`")


def cell(text: str | None) -> str:
    """Return `text` on one line, fit for a cell of a table."""
    return " ".join((text or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE.name}\n")

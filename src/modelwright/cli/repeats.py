"""Options given twice: parsers of command lines take the last one in silence, and we ask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from modelwright.errors import InputError

__all__ = ["refuse_repeats"]


def refuse_repeats(command: Any, words: Sequence[str]) -> None:
    """Raise if an option that takes one value is given more than once.

    Parameters
    ----------
    command : click.Command
        The command that `words` are for; a group hands them on to the command that they name.
    words : sequence of str
        The command line, less the name of the program.
    """
    seen: set[str] = set()
    options = _options(command)
    left = iter(words)
    for word in left:
        if word == "--":
            return  # names and files from here on
        if not word.startswith("-"):
            inner = getattr(command, "commands", {}).get(word)
            if inner is not None:
                command, options, seen = inner, _options(inner), set()
            continue
        option = _named(word, options, left)
        if option is None or option.multiple or option.is_flag:
            continue
        if option.name in seen:
            raise InputError(
                f"expected {word.partition('=')[0]} once, and it is given twice.",
                hint="Leave one of them out.",
                code="E_CONFLICT",
            )
        seen.add(option.name)


def _options(command: Any) -> dict[str, Any]:
    found = [param for param in command.params if param.param_type_name == "option"]
    return {name: param for param in found for name in (*param.opts, *param.secondary_opts)}


def _named(word: str, options: dict[str, Any], left: Iterator[str]) -> Any:
    """Return the option that a word names, and pass over the value that follows it."""
    name, joined, _ = word.partition("=")
    option = options.get(name)
    if option is None and not word.startswith("--"):
        option, joined = options.get(word[:2]), word[2:]  # a short one, with its value behind it
    if option is not None and not joined and not option.is_flag:
        next(left, None)
    return option

"""The words of a constraint: numbers, names, texts and signs, each with its place."""

from __future__ import annotations

import re
from dataclasses import dataclass

from modelwright.errors import SpaceError

__all__ = ["Token", "syntax_error", "tokens"]

_PATTERN = re.compile(
    r"""(?P<space>\s+)
    | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<quoted>`[^`]*`)
    | (?P<text>'(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*")
    | (?P<word>[^\W\d]\w*)
    | (?P<sign>\*\*|//|<=|>=|==|!=|[-+*/%<>(),])""",
    re.VERBOSE,
)
_ADVICE = {
    "=": "Write == to compare.",
    "&": "Write 'and'.",
    "|": "Write 'or'.",
    "!": "Write 'not'.",
    "^": "Write ** for a power.",
    "'": "A text needs its closing quote.",
    '"': "A text needs its closing quote.",
    "`": "A name in backticks needs its closing one.",
}
_ODD = "A name with signs in it stands in backticks: `knn:n_neighbors`."


@dataclass(frozen=True, slots=True)
class Token:
    """One word: its kind, its text without quotes, and where it begins."""

    kind: str  # number, name, text, word, sign or end
    text: str
    at: int


def tokens(text: str) -> list[Token]:
    """Return the words of `text` and an ``end``; `SpaceError` at a character that begins none."""
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _PATTERN.match(text, at)
        if match is None:
            raise syntax_error(text, at, f"{text[at]!r} does not belong here", _ADVICE.get(text[at], _ODD))
        kind, piece = str(match.lastgroup), match.group()
        if kind == "quoted":
            found.append(Token("name", piece[1:-1], at))
        elif kind == "text":
            found.append(Token("text", re.sub(r"\\(.)", r"\1", piece[1:-1]), at))
        elif kind != "space":
            found.append(Token(kind, piece, at))
        at = match.end()
    found.append(Token("end", "", len(text)))
    return found


def syntax_error(text: str, at: int, what: str, hint: str = "") -> SpaceError:
    """Return an error that shows `text` around position `at`."""
    start = max(0, at - 30)
    shown = ("..." if start else "") + text[start:at] + " --> " + text[at : at + 30]
    return SpaceError(
        f"cannot read the constraint: {what}, at character {at + 1}: {shown.strip()}",
        hint=hint,
        code="E_CONSTRAINT",
    )

"""Text of a constraint into an expression tree: a tokenizer and a recursive-descent parser.

The grammar, loosest first::

    constraint  = or
    or          = and {"or" and}
    and         = not {"and" not}
    not         = "not" not | comparison
    comparison  = sum {("<" | "<=" | ">" | ">=" | "==" | "!=") sum}
    sum         = term {("+" | "-") term}
    term        = sign {("*" | "/" | "//" | "%") sign}
    sign        = ("-" | "+") sign | power
    power       = atom ["**" sign]
    atom        = number | text | true | false | none | name | `name`
                | function "(" or {"," or} ")" | "(" or ")"
    function    = "min" | "max" | "abs"

Nothing here, and nothing that evaluates the tree, hands text to Python.
"""

from __future__ import annotations

import math

from modelwright.errors import SpaceError
from modelwright.space.expression import (
    And,
    Arithmetic,
    Call,
    Comparison,
    Literal,
    Name,
    Negative,
    Node,
    Not,
    Or,
)
from modelwright.space.tokens import Token, syntax_error, tokens

__all__ = ["parse"]

_LONGEST = 10_000
_DEEPEST = 50

_WORDS = {"true": True, "True": True, "false": False, "False": False, "none": None, "None": None}
_KEYWORDS = {"and", "or", "not"}
_FUNCTIONS = {"min", "max", "abs"}
_COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


def parse(text: str) -> Node:
    """Return the expression tree of `text`.

    Raises
    ------
    SpaceError
        `text` is no expression; the message shows where and why.

    Examples
    --------
    >>> parse("units_2 <= units_1")
    Comparison(first=Name(name='units_2', children=()), rest=(('<=', Name(name='units_1', children=())),))
    """
    if len(text) > _LONGEST:
        raise SpaceError(
            f"expected a constraint of at most {_LONGEST:,} characters, got {len(text):,}.",
            code="E_CONSTRAINT",
        )
    return _Parser(text).whole()


class _Parser:
    """One pass over the tokens; each method reads one rule of the grammar."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._next = 0
        self._depth = 0

    def whole(self) -> Node:
        if self._peek.kind == "end":
            raise SpaceError(
                "expected a constraint such as 'a <= b', got an empty text.", code="E_CONSTRAINT"
            )
        node = self._or()
        if self._peek.kind != "end":
            raise self._unexpected("an operator or the end")
        return node

    # rules -------------------------------------------------------------------------------------------

    def _or(self) -> Node:
        parts = [self._and()]
        while self._take_word("or"):
            parts.append(self._and())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _and(self) -> Node:
        parts = [self._not()]
        while self._take_word("and"):
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _not(self) -> Node:
        if self._take_word("not"):
            with _Level(self):
                return Not(self._not())
        return self._comparison()

    def _comparison(self) -> Node:
        first = self._sum()
        rest = []
        while operator := self._take_sign(*_COMPARISONS):
            rest.append((operator, self._sum()))
        return Comparison(first, tuple(rest)) if rest else first

    def _sum(self) -> Node:
        first = self._term()
        rest = []
        while operator := self._take_sign("+", "-"):
            rest.append((operator, self._term()))
        return Arithmetic(first, tuple(rest)) if rest else first

    def _term(self) -> Node:
        first = self._sign()
        rest = []
        while operator := self._take_sign("*", "/", "//", "%"):
            rest.append((operator, self._sign()))
        return Arithmetic(first, tuple(rest)) if rest else first

    def _sign(self) -> Node:
        sign = self._take_sign("-", "+")
        if not sign:
            return self._power()
        with _Level(self):
            operand = self._sign()
        return Negative(operand) if sign == "-" else operand

    def _power(self) -> Node:
        base = self._atom()
        if not self._take_sign("**"):
            return base
        with _Level(self):
            return Arithmetic(base, (("**", self._sign()),))

    def _atom(self) -> Node:
        token = self._peek
        if token.kind == "word" and token.text in _FUNCTIONS and self._tokens[self._next + 1].text == "(":
            return self._call()
        if token.kind == "word" and token.text not in _KEYWORDS:
            self._next += 1
            return Literal(_WORDS[token.text]) if token.text in _WORDS else Name(token.text)
        if token.kind in ("number", "text", "name"):
            self._next += 1
            if token.kind == "number":
                return Literal(self._number(token))
            return Literal(token.text) if token.kind == "text" else Name(token.text)
        if self._take_sign("("):
            with _Level(self):
                node = self._or()
            self._close()
            return node
        raise self._unexpected("a number, a name, a text or '('")

    def _call(self) -> Node:
        token = self._peek
        self._next += 2  # the function and its "("
        with _Level(self):
            arguments = [self._or()]
            while self._take_sign(","):
                arguments.append(self._or())
        self._close()
        if (token.text == "abs") != (len(arguments) == 1):
            expected = "one value" if token.text == "abs" else "two or more values"
            raise syntax_error(self._text, token.at, f"{token.text} takes {expected}, got {len(arguments)}")
        return Call(token.text, tuple(arguments))

    def _number(self, token: Token) -> float:
        value = float(token.text)
        if math.isinf(value):
            raise syntax_error(self._text, token.at, f"{token.text} is larger than a float can hold")
        return value

    # tokens ------------------------------------------------------------------------------------------

    @property
    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _take_sign(self, *signs: str) -> str:
        token = self._peek
        if token.kind != "sign" or token.text not in signs:
            return ""
        self._next += 1
        return token.text

    def _take_word(self, word: str) -> bool:
        found = self._peek.kind == "word" and self._peek.text == word
        self._next += found
        return found

    def _close(self) -> None:
        if not self._take_sign(")"):
            raise self._unexpected("')'")

    def _unexpected(self, expected: str) -> SpaceError:
        token = self._peek
        came = "the end" if token.kind == "end" else repr(token.text)
        return syntax_error(self._text, token.at, f"expected {expected}, got {came}")

    def enter(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise syntax_error(
                self._text,
                self._peek.at,
                f"nested more than {_DEEPEST} levels deep",
                "Split the constraint in two.",
            )

    def leave(self) -> None:
        self._depth -= 1


class _Level:
    """One level of nesting, counted so that deep text ends in a message and not in a full stack."""

    def __init__(self, parser: _Parser) -> None:
        self._parser = parser

    def __enter__(self) -> None:
        self._parser.enter()

    def __exit__(self, *_: object) -> None:
        self._parser.leave()

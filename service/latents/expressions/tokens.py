"""Cut an expression into tokens, each with its column."""

import re
from dataclasses import dataclass
from typing import Literal

from service.errors import InvalidValueError

MAX_LENGTH = 2000

TokenKind = Literal["number", "name", "quoted", "sign", "end"]

_PATTERN = re.compile(
    r"""(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<quoted>"[^"\n]*")
      | (?P<sign>[-+*/(),])
      | (?P<space>[ \t\r\n]+)""",
    re.VERBOSE,
)


class ExpressionError(InvalidValueError):
    """An expression that cannot be read or computed; `column` counts characters from 1."""

    def __init__(self, sentence: str, column: int) -> None:
        detail = f"column {column}: {sentence}"
        super().__init__(detail, pointer="/expression", extra={"column": column})
        self.column = column


@dataclass(frozen=True)
class Token:
    """One token; `text` without the quotes of a quoted name."""

    kind: TokenKind
    text: str
    column: int


def tokens_of(source: str) -> list[Token]:
    """Every token of `source` and an `end`. Raises ExpressionError for a character that has no place here."""
    if len(source) > MAX_LENGTH:
        raise ExpressionError(
            f"the expression has {len(source)} characters; at most {MAX_LENGTH} are read", MAX_LENGTH + 1
        )
    found, position = [], 0
    while position < len(source):
        match = _PATTERN.match(source, position)
        if match is None:
            raise _unreadable(source, position)
        kind = match.lastgroup
        if kind in ("number", "name", "quoted", "sign"):
            found.append(Token(kind, match.group().strip('"'), position + 1))  # type: ignore[arg-type]
        position = match.end()
    return [*found, Token("end", "", len(source) + 1)]


def _unreadable(source: str, position: int) -> ExpressionError:
    character = source[position]
    if character == '"':
        return ExpressionError('this " is never closed', position + 1)
    if character == ".":
        return ExpressionError("a name with a dot stands in double quotes", position + 1)
    return ExpressionError(f"{character!r} has no place in an expression", position + 1)

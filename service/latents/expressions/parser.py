"""Read an expression by recursive descent.

    sum      = [sign] product {sign product}        product = factor {("*" | "/") factor}
    factor   = {sign} atom                          atom    = number | name | "quoted name" | "(" sum ")" | call
    call     = ("mean" | "lerp" | "slerp") "(" sum {"," sum} ")" | "seed" "(" integer ")" | "dir" "(" name ")"

`mean`, `seed` and the others are functions only before a bracket; latents may bear these names.
"""

from service.latents.expressions.tokens import ExpressionError, Token, tokens_of
from service.latents.expressions.tree import Call, Direction, Function, Name, Node, Number, Product, Seed, Sum
from service.latents.names import NAME, nearest

MAX_DEPTH = 24
MAX_LEAVES = 256
FUNCTIONS: dict[str, Function] = {"mean": "mean", "lerp": "lerp", "slerp": "slerp"}
KNOWN = (*FUNCTIONS, "seed", "dir")


def parse(source: str) -> Node:
    """The tree of `source`. Raises ExpressionError that points to the column of the first thing that is wrong."""
    return _Parser(tokens_of(source)).whole()


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._position = 0
        self._depth = 0
        self._leaves = 0

    def whole(self) -> Node:
        if self._next.kind == "end":
            raise ExpressionError("the expression is empty", 1)
        node = self._sum()
        if self._position < len(self._tokens) - 1:
            raise self._unexpected("an operator or the end (a name that is no identifier stands in double quotes)")
        return node

    @property
    def _next(self) -> Token:
        return self._tokens[self._position]

    def _take(self) -> Token:
        token = self._next
        self._position += token.kind != "end"
        return token

    def _is(self, *signs: str) -> bool:
        return self._next.kind == "sign" and self._next.text in signs

    def _expect(self, sign: str) -> None:
        if not self._is(sign):
            raise self._unexpected(f"{sign!r}")
        self._take()

    def _unexpected(self, wanted: str) -> ExpressionError:
        found = f"{self._next.text!r}" if self._next.kind != "end" else "the end"
        return ExpressionError(f"{wanted} is expected here, not {found}", self._next.column)

    def _sum(self) -> Node:
        column = self._next.column
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ExpressionError(f"brackets nest deeper than {MAX_DEPTH}", column)
        parts = [(self._sign(), self._product())]
        while self._is("+", "-"):
            parts.append((self._sign(), self._product()))
        self._depth -= 1
        return parts[0][1] if len(parts) == 1 and parts[0][0] > 0 else Sum(tuple(parts), column)

    def _sign(self) -> int:
        sign = 1
        while self._is("+", "-"):
            sign = -sign if self._take().text == "-" else sign
        return sign

    def _product(self) -> Node:
        column = self._next.column
        parts: list[tuple[str, Node]] = [("*", self._factor())]
        while self._is("*", "/"):
            parts.append((self._take().text, self._factor()))
        return parts[0][1] if len(parts) == 1 else Product(tuple(parts), column)  # type: ignore[arg-type]

    def _factor(self) -> Node:
        column = self._next.column
        sign = self._sign()
        atom = self._atom()
        return atom if sign > 0 else Sum(((-1, atom),), column)

    def _atom(self) -> Node:
        if self._is("("):
            self._take()
            node = self._sum()
            self._expect(")")
            return node
        self._leaves += 1
        if self._leaves > MAX_LEAVES:
            raise ExpressionError(f"more than {MAX_LEAVES} names and numbers", self._next.column)
        return self._leaf(self._take())

    def _leaf(self, token: Token) -> Node:
        if token.kind == "number":
            return Number(_finite(token), token.column)
        if token.kind == "quoted":
            return Name(_name(token), token.column)
        if token.kind != "name":
            self._position -= token.kind != "end"
            raise self._unexpected("a name, a number or '('")
        return self._call(token) if self._is("(") else Name(_name(token), token.column)

    def _call(self, token: Token) -> Node:
        self._take()
        if token.text == "seed":
            node: Node = Seed(self._seed(), token.column)
        elif token.text == "dir":
            node = Direction(self._direction(), token.column)
        elif token.text in FUNCTIONS:
            node = Call(FUNCTIONS[token.text], self._arguments(token), token.column)
        else:
            raise _unknown_function(token)
        self._expect(")")
        return node

    def _seed(self) -> int:
        token = self._take()
        if token.kind != "number" or not token.text.isdigit() or int(token.text) >= 1 << 32:
            raise ExpressionError("seed takes one whole number from 0 to 4294967295", token.column)
        return int(token.text)

    def _direction(self) -> str:
        token = self._take()
        if token.kind not in ("name", "quoted"):
            raise ExpressionError("dir takes the name of a direction", token.column)
        return _name(token)

    def _arguments(self, function: Token) -> tuple[Node, ...]:
        arguments = [self._sum()]
        while self._is(","):
            self._take()
            arguments.append(self._sum())
        if function.text != "mean" and len(arguments) != 3:
            raise ExpressionError(f"{function.text} takes (a, b, t), not {len(arguments)} arguments", function.column)
        return tuple(arguments)


def _finite(token: Token) -> float:
    value = float(token.text)
    if value > 1e9:
        raise ExpressionError("numbers go up to 1e9", token.column)
    return value


def _name(token: Token) -> str:
    if not NAME.match(token.text):
        raise ExpressionError(f"{token.text[:80]!r} cannot be a name", token.column)
    return token.text


def _unknown_function(token: Token) -> ExpressionError:
    near = nearest(token.text, KNOWN)
    hint = f"; the nearest is {near}" if near else f"; there are {', '.join(KNOWN)}"
    return ExpressionError(f"no function {token.text!r}{hint}", token.column)

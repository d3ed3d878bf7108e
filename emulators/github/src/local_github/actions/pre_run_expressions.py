"""Evaluates the `${{ }}` expressions that are needed before act runs: concurrency, run names, environments.

Supported: text, numbers, true, false, null; `github`, `inputs` and `vars` with dots or `['name']`; `!`, `==`, `!=`,
`<`, `<=`, `>`, `>=`, `&&`, `||`, parentheses; contains, startsWith, endsWith, format. Anything else is an error, so
that no expression silently gets a wrong value. act evaluates all other expressions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from local_github.actions.workflow_file import WorkflowInvalid

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][\w-]*)"
    r"|(?P<sign>==|!=|<=|>=|&&|\|\||[!<>()\[\].,]))"
)
_EXPRESSION = re.compile(r"\$\{\{((?:'[^']*'|[^'])*?)\}\}")  # braces inside text do not end an expression
_LITERALS = {"true": True, "false": False, "null": None}
_CONTEXTS = ("github", "inputs", "vars")


def interpolate(template: str, contexts: Mapping[str, Any]) -> str:
    """`template` with its expressions replaced by their values as text.

    Raises:
        WorkflowInvalid: an expression uses something unsupported.
    """
    return _EXPRESSION.sub(lambda found: _text(evaluate(found[1], contexts)), template)


def is_true(value: bool | str, contexts: Mapping[str, Any]) -> bool:
    """The value of a boolean setting, which may be an expression."""
    if isinstance(value, bool):
        return value
    found = _EXPRESSION.fullmatch(value.strip())
    return _true(evaluate(found[1], contexts)) if found else value.strip().lower() == "true"


def evaluate(expression: str, contexts: Mapping[str, Any]) -> Any:
    """The value of one expression, without its `${{ }}`."""
    return _Parser(expression, contexts).parse()


class _Parser:
    def __init__(self, expression: str, contexts: Mapping[str, Any]) -> None:
        self._expression, self._contexts = expression, contexts
        self._tokens: list[tuple[str, str]] = []
        offset, end = 0, len(expression.rstrip())
        while offset < end:
            found = _TOKEN.match(expression, offset)
            if found is None or found.lastgroup is None:
                raise self._unsupported(expression[offset:].strip())
            self._tokens.append((found.lastgroup, found[found.lastgroup]))
            offset = found.end()
        self._position = 0

    def parse(self) -> Any:
        value = self._or_expression()
        if self._position < len(self._tokens):
            raise self._unsupported(self._tokens[self._position][1])
        return value

    def _unsupported(self, what: str) -> WorkflowInvalid:
        return WorkflowInvalid(
            f"the GitHub emulator cannot evaluate {what!r} in ${{{{{self._expression}}}}} before a run"
        )

    def _take(self, *signs: str) -> str | None:
        if self._position < len(self._tokens) and self._tokens[self._position] in [("sign", sign) for sign in signs]:
            self._position += 1
            return self._tokens[self._position - 1][1]
        return None

    def _expect(self, sign: str) -> None:
        if self._take(sign) is None:
            raise self._unsupported(f"(no {sign})")

    def _or_expression(self) -> Any:
        value = self._and_expression()
        while self._take("||"):
            other = self._and_expression()
            value = value if _true(value) else other
        return value

    def _and_expression(self) -> Any:
        value = self._comparison()
        while self._take("&&"):
            other = self._comparison()
            value = other if _true(value) else value
        return value

    def _comparison(self) -> Any:
        value = self._unary()
        while sign := self._take("==", "!=", "<", "<=", ">", ">="):
            value = _compare(sign, value, self._unary())
        return value

    def _unary(self) -> Any:
        if self._take("!"):
            return not _true(self._unary())
        if self._take("("):
            value = self._or_expression()
            self._expect(")")
            return value
        if self._position >= len(self._tokens):
            raise self._unsupported("(nothing)")
        kind, token = self._tokens[self._position]
        self._position += 1
        if kind == "text":
            return token[1:-1].replace("''", "'")
        if kind == "number":
            return float(token)
        if kind == "name":
            return self._name(token)
        raise self._unsupported(token)

    def _name(self, name: str) -> Any:
        if self._take("("):
            arguments: list[Any] = []
            while not self._take(")"):
                arguments.append(self._or_expression())
                if not self._take(","):
                    self._expect(")")
                    break
            function = _FUNCTIONS.get(name.lower())
            if function is None:
                raise self._unsupported(f"{name}()")
            return function(arguments)
        if name in _LITERALS:
            return _LITERALS[name]
        if name not in _CONTEXTS:
            raise self._unsupported(name)
        value: Any = self._contexts.get(name, {})
        while sign := self._take(".", "["):
            if sign == "[":
                key = str(self._or_expression())
                self._expect("]")
            else:
                kind, key = self._tokens[self._position] if self._position < len(self._tokens) else ("", "(nothing)")
                if kind != "name":
                    raise self._unsupported(key)
                self._position += 1
            value = _member(value, key)
        return value


def _member(value: Any, key: str) -> Any:
    if not isinstance(value, Mapping):
        return None
    return next((item for name, item in value.items() if name.lower() == key.lower()), None)


def _true(value: Any) -> bool:
    return value not in (None, False, 0, "") and not (isinstance(value, float) and math.isnan(value))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _number(value: Any) -> float:
    if value is None or value == "":
        return 0.0
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _compare(sign: str, left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        first: Any = left.lower()  # GitHub compares text without case
        second: Any = right.lower()
    else:
        first, second = _number(left), _number(right)
    return bool(
        {
            "==": first == second,
            "!=": first != second,
            "<": first < second,
            "<=": first <= second,
            ">": first > second,
            ">=": first >= second,
        }[sign]
    )


def _contains(arguments: Sequence[Any]) -> bool:
    container, item = arguments
    if isinstance(container, list):
        return any(_compare("==", entry, item) for entry in container)
    return _text(item).lower() in _text(container).lower()


def _format(arguments: Sequence[Any]) -> str:
    template, *values = arguments
    replaced = re.sub(r"\{\{|\}\}|\{(\d+)\}", lambda m: m[0][0] if m[1] is None else _text(values[int(m[1])]), template)
    return str(replaced)


_FUNCTIONS: Mapping[str, Callable[[Sequence[Any]], Any]] = {
    "contains": _contains,
    "startswith": lambda a: _text(a[0]).lower().startswith(_text(a[1]).lower()),
    "endswith": lambda a: _text(a[0]).lower().endswith(_text(a[1]).lower()),
    "format": _format,
}

"""Evaluates the few `${{ }}` expressions that decide something before act runs: concurrency, run names, environments.

All else is act's. Understood: text, numbers, true, false, null; `github`, `inputs` and `vars` with dots or
`['name']`; `!`, `==`, `!=`, `<`, `<=`, `>`, `>=`, `&&`, `||`, parentheses; contains, startsWith, endsWith, format.
Anything else raises, so that no group is ever silently another.
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
_EXPRESSION = re.compile(r"\$\{\{((?:'[^']*'|[^'])*?)\}\}")  # braces in text do not end it
_LITERALS = {"true": True, "false": False, "null": None}
_CONTEXTS = ("github", "inputs", "vars")


def interpolate(template: str, contexts: Mapping[str, Any]) -> str:
    """`template` with its expressions replaced by their values as text.

    Raises:
        WorkflowInvalid: an expression uses what this evaluator does not know.
    """
    return _EXPRESSION.sub(lambda found: _text(evaluate(found[1], contexts)), template)


def truth(value: bool | str, contexts: Mapping[str, Any]) -> bool:
    """A boolean setting, which may be one expression."""
    if isinstance(value, bool):
        return value
    found = _EXPRESSION.fullmatch(value.strip())
    return _true(evaluate(found[1], contexts)) if found else value.strip().lower() == "true"


def evaluate(expression: str, contexts: Mapping[str, Any]) -> Any:
    """The value of one expression, without its `${{ }}`."""
    return _Parser(expression, contexts).whole()


class _Parser:
    def __init__(self, expression: str, contexts: Mapping[str, Any]) -> None:
        self._expression, self._contexts = expression, contexts
        self._tokens: list[tuple[str, str]] = []
        position, end = 0, len(expression.rstrip())
        while position < end:
            found = _TOKEN.match(expression, position)
            if found is None or found.lastgroup is None:
                raise self._unknown(expression[position:].strip())
            self._tokens.append((found.lastgroup, found[found.lastgroup]))
            position = found.end()
        self._at = 0

    def whole(self) -> Any:
        value = self._either()
        if self._at < len(self._tokens):
            raise self._unknown(self._tokens[self._at][1])
        return value

    def _unknown(self, what: str) -> WorkflowInvalid:
        return WorkflowInvalid(f"the local GitHub cannot evaluate {what!r} in ${{{{{self._expression}}}}} before a run")

    def _take(self, *signs: str) -> str | None:
        if self._at < len(self._tokens) and self._tokens[self._at] in [("sign", sign) for sign in signs]:
            self._at += 1
            return self._tokens[self._at - 1][1]
        return None

    def _need(self, sign: str) -> None:
        if self._take(sign) is None:
            raise self._unknown(f"(no {sign})")

    def _either(self) -> Any:
        value = self._both()
        while self._take("||"):
            other = self._both()
            value = value if _true(value) else other
        return value

    def _both(self) -> Any:
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
            value = self._either()
            self._need(")")
            return value
        if self._at >= len(self._tokens):
            raise self._unknown("(nothing)")
        kind, token = self._tokens[self._at]
        self._at += 1
        if kind == "text":
            return token[1:-1].replace("''", "'")
        if kind == "number":
            return float(token)
        if kind == "name":
            return self._name(token)
        raise self._unknown(token)

    def _name(self, name: str) -> Any:
        if self._take("("):
            arguments: list[Any] = []
            while not self._take(")"):
                arguments.append(self._either())
                if not self._take(","):
                    self._need(")")
                    break
            function = _FUNCTIONS.get(name.lower())
            if function is None:
                raise self._unknown(f"{name}()")
            return function(arguments)
        if name in _LITERALS:
            return _LITERALS[name]
        if name not in _CONTEXTS:
            raise self._unknown(name)
        value: Any = self._contexts.get(name, {})
        while sign := self._take(".", "["):
            if sign == "[":
                key = str(self._either())
                self._need("]")
            else:
                kind, key = self._tokens[self._at] if self._at < len(self._tokens) else ("", "(nothing)")
                if kind != "name":
                    raise self._unknown(key)
                self._at += 1
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
        first: Any = left.lower()  # GitHub ignores case when it compares text
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
    where, what = arguments
    if isinstance(where, list):
        return any(_compare("==", item, what) for item in where)
    return _text(what).lower() in _text(where).lower()


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

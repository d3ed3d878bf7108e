"""Evaluates the `${{ }}` expressions that are needed before act runs a job: names, groups, conditions, matrices.

Supported: text, numbers, true, false, null; the contexts that the caller hands in, with dots, `['name']`, `[0]` and
`.*`; `!`, `==`, `!=`, `<`, `<=`, `>`, `>=`, `&&`, `||`, parentheses; contains, startsWith, endsWith, format, join,
toJSON, fromJSON and the functions that the caller hands in. Anything else is an error, so that no expression silently
gets a wrong value. act evaluates the expressions of steps.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from local_github.actions.workflow_file import WorkflowInvalid

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?(?:0x[0-9A-Fa-f]+|\d+(?:\.\d+)?(?:[eE][-+]?\d+)?))"
    r"|(?P<name>[A-Za-z_][\w-]*)|(?P<sign>==|!=|<=|>=|&&|\|\||[!<>()\[\].,*]))"
)
_EXPRESSION = re.compile(r"\$\{\{((?:'[^']*'|[^'])*?)\}\}")  # braces inside text do not end an expression
_LITERALS = {"true": True, "false": False, "null": None}
Functions = Mapping[str, Callable[[Sequence[Any]], Any]]
"""Functions by their names in lower case."""


class Filtered(list[Any]):
    """The values that `.*` selects; a further member selects that member of each of them."""


def interpolate(template: str, contexts: Mapping[str, Any]) -> str:
    """`template` with its expressions replaced by their values as text.

    Raises:
        WorkflowInvalid: an expression uses something unsupported.
    """
    return _EXPRESSION.sub(lambda found: as_text(evaluate(found[1], contexts)), template)


def has_expression(value: Any) -> bool:
    """Whether a value is text with an expression."""
    return isinstance(value, str) and _EXPRESSION.search(value) is not None


def resolve(value: Any, contexts: Mapping[str, Any]) -> Any:
    """A YAML value with its expressions replaced; text that is one expression gets that expression's type."""
    if isinstance(value, Mapping):
        return {key: resolve(item, contexts) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item, contexts) for item in value]
    if not isinstance(value, str):
        return value
    found = _EXPRESSION.fullmatch(value.strip())
    return evaluate(found[1], contexts) if found else interpolate(value, contexts)


def is_true(value: bool | str, contexts: Mapping[str, Any]) -> bool:
    """The value of a boolean setting, which may be an expression."""
    if isinstance(value, bool):
        return value
    found = _EXPRESSION.fullmatch(value.strip())
    return truth(evaluate(found[1], contexts)) if found else value.strip().lower() == "true"


def condition(text: str, contexts: Mapping[str, Any], functions: Functions) -> bool:
    """The value of an `if:`, whose `${{ }}` may be left out; success() applies if it calls no status function."""
    found = _EXPRESSION.fullmatch(text.strip())
    expression = found[1] if found else text
    if found is None and has_expression(text):
        return truth(interpolate(text, contexts))
    parser = _Parser(expression, contexts, functions)
    value = truth(parser.parse())
    return value if parser.called & STATUS_FUNCTIONS else value and truth(functions["success"](()))


def check(value: Any, contexts: Mapping[str, Any], *, is_condition: bool = False) -> None:
    """Refuses a YAML value with an expression that cannot be evaluated, before the values of its contexts are known.

    Raises:
        WorkflowInvalid: it uses a context or function that is not supported at its place.
    """
    known: Functions = {"fromjson": lambda _: None, **dict.fromkeys(STATUS_FUNCTIONS if is_condition else (), truth)}
    if isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            check(item, contexts)
    elif isinstance(value, str):
        found = [match[1] for match in _EXPRESSION.finditer(value)]
        for expression in found or ([value] if is_condition else []):
            _Parser(expression, contexts, known).parse()


def evaluate(expression: str, contexts: Mapping[str, Any]) -> Any:
    """The value of one expression, without its `${{ }}`."""
    return _Parser(expression, contexts, {}).parse()


class _Parser:
    def __init__(self, expression: str, contexts: Mapping[str, Any], functions: Functions) -> None:
        self._expression, self._contexts = expression, contexts
        self._functions = {**_FUNCTIONS, **functions}
        self.called: set[str] = set()
        """The names of the called functions, in lower case."""
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
            value = value if truth(value) else other
        return value

    def _and_expression(self) -> Any:
        value = self._comparison()
        while self._take("&&"):
            other = self._comparison()
            value = other if truth(value) else value
        return value

    def _comparison(self) -> Any:
        value = self._unary()
        while sign := self._take("==", "!=", "<", "<=", ">", ">="):
            value = _compare(sign, value, self._unary())
        return value

    def _unary(self) -> Any:
        if self._take("!"):
            return not truth(self._unary())
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
            return float(int(token, 16)) if "0x" in token else float(token)
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
            function = self._functions.get(name.lower())
            if function is None:
                raise self._unsupported(f"{name}()")
            self.called.add(name.lower())
            try:
                return self._members(function(arguments))
            except (ValueError, IndexError) as error:
                raise self._unsupported(f"{name}() of these arguments ({error})") from error
        if name in _LITERALS:
            return _LITERALS[name]
        if name.lower() not in self._contexts:
            raise self._unsupported(name)
        return self._members(self._contexts[name.lower()])

    def _members(self, value: Any) -> Any:
        """The member of `value` that the following dots and brackets select."""
        while sign := self._take(".", "["):
            if self._take("*"):
                if sign == "[":
                    self._expect("]")
                items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
                value = Filtered(items)
                continue
            if sign == "[":
                key: Any = self._or_expression()
                self._expect("]")
            else:
                kind, key = self._tokens[self._position] if self._position < len(self._tokens) else ("", "(nothing)")
                if kind != "name":
                    raise self._unsupported(key)
                self._position += 1
            value = member(value, key)
        return value


def member(value: Any, key: Any) -> Any:
    """A member of a mapping by its name, without case, or of a list by its index; None if there is none."""
    if isinstance(value, Filtered):
        return Filtered(found for found in (member(item, key) for item in value) if found is not None)
    if isinstance(value, list):
        index = _number(key)
        return value[int(index)] if index.is_integer() and 0 <= index < len(value) else None
    if not isinstance(value, Mapping):
        return None
    return next((item for name, item in value.items() if str(name).lower() == as_text(key).lower()), None)


def truth(value: Any) -> bool:
    """Whether a value counts as true."""
    return value not in (None, False, 0, "") and not (isinstance(value, float) and math.isnan(value))


def as_text(value: Any) -> str:
    """A value as text, as `${{ }}` inserts it into other text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping | list):
        return "Object" if isinstance(value, Mapping) else "Array"
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _number(value: Any) -> float:
    if value is None or value == "":
        return 0.0
    if isinstance(value, Mapping | list):
        return math.nan
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
    return as_text(item).lower() in as_text(container).lower()


def _format(arguments: Sequence[Any]) -> str:
    template, *values = arguments
    replaced = re.sub(
        r"\{\{|\}\}|\{(\d+)\}", lambda m: m[0][0] if m[1] is None else as_text(values[int(m[1])]), template
    )
    return str(replaced)


def _join(arguments: Sequence[Any]) -> str:
    items, *separator = arguments
    joined = as_text(separator[0]) if separator else ","
    return joined.join(map(as_text, items)) if isinstance(items, list) else as_text(items)


STATUS_FUNCTIONS = {"success", "failure", "cancelled", "always"}
_FUNCTIONS: Functions = {
    "contains": _contains,
    "startswith": lambda a: as_text(a[0]).lower().startswith(as_text(a[1]).lower()),
    "endswith": lambda a: as_text(a[0]).lower().endswith(as_text(a[1]).lower()),
    "format": _format,
    "join": _join,
    "tojson": lambda a: json.dumps(a[0], indent=2, ensure_ascii=False),
    "fromjson": lambda a: json.loads(as_text(a[0])),
}

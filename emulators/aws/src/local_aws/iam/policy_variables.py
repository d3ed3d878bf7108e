"""Strings of policies with wildcards and policy variables, resolved against the context of a request.

`${aws:username}` is replaced by the value of a single-valued context key, `${aws:username, 'none'}` has a default, and
`${*}`, `${?}` and `${$}` are the characters themselves. Substituted values are literal: a wildcard in a value matches
only itself. Policies of version 2008-10-17 have no variables. Does not know which elements may contain variables.

Source: IAM User Guide, "IAM policy elements: Variables and tags".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

ANY, ONE = "\ue000", "\ue001"
"""The wildcards `*` and `?` in a resolved string, so that they differ from the same characters in a value."""

_TOKEN = re.compile(r"\$\{([^}]*)\}|\*|\?")
_VARIABLE = re.compile(r"\s*([^,]*?)\s*(?:,\s*'([^']*)'\s*)?")
_WILDCARDS = {"*": ANY, "?": ONE}


class RequestContext:
    """Context keys of a request. Names are compared without case; a string is one value, a sequence several.

    An empty sequence is an absent key: AWS's Null operator takes a key without a value as null.
    """

    def __init__(self, values: Mapping[str, str | Sequence[str]]) -> None:
        self._values: dict[str, str | tuple[str, ...]] = {}
        for name, value in values.items():
            if isinstance(value, str):
                self._values[name.lower()] = value
            elif value:
                self._values[name.lower()] = tuple(value)

    def get(self, key: str) -> str | tuple[str, ...] | None:
        """The value or values of a key, whose name is in lower case; None if it is absent."""
        return self._values.get(key)


@dataclass(frozen=True, slots=True)
class Variable:
    """A context key in lower case, and the text that stands for it where it has no value."""

    key: str
    default: str | None


@dataclass(frozen=True, slots=True)
class Template:
    """A string of a policy: literal parts, in which wildcards are `ANY` and `ONE`, and variables."""

    source: str
    parts: tuple[str | Variable, ...]

    def resolve(self, context: RequestContext) -> str | None:
        """The string with its variables replaced; None if one has no value, no default, or several values."""
        resolved = []
        for part in self.parts:
            if isinstance(part, str):
                resolved.append(part)
                continue
            value = context.get(part.key)
            if not isinstance(value, str) or not value:
                value = part.default
            if value is None:
                return None
            resolved.append(value)
        return "".join(resolved)


@lru_cache(maxsize=8192)
def template(source: str, variables: bool) -> Template:
    """The template of a string. Without `variables`, `${` is text, and `*` and `?` within it are wildcards."""
    parts: list[str | Variable] = []
    text, position = "", 0
    for token in _TOKEN.finditer(source) if variables else re.finditer(r"\*|\?", source):
        text += source[position : token.start()]
        position = token.end()
        if token.group() in _WILDCARDS:
            text += _WILDCARDS[token.group()]
        elif token.group(1) in ("*", "?", "$"):
            text += token.group(1)
        else:
            parts += [text, _variable(token.group(1))]
            text = ""
    parts.append(text + source[position:])
    return Template(source, tuple(part for part in parts if part != ""))


def _variable(body: str) -> Variable:
    match = _VARIABLE.fullmatch(body)
    # A body that is no name with a default names a key that no request has, so it never resolves.
    return Variable(match.group(1).lower(), match.group(2)) if match else Variable(body.lower(), None)


def marked(source: str) -> str:
    """A string without variables, in resolved form."""
    return source.replace("*", ANY).replace("?", ONE)


def plain(resolved: str) -> str:
    """A resolved string whose wildcards are ordinary characters, for operators that know no wildcards."""
    return resolved.replace(ANY, "*").replace(ONE, "?")


@lru_cache(maxsize=8192)
def pattern(resolved: str) -> re.Pattern[str]:
    """Compiles a resolved string; a wildcard matches any character, line breaks included."""
    return re.compile("".join({ANY: ".*", ONE: "."}.get(c) or re.escape(c) for c in resolved), re.DOTALL)


@lru_cache(maxsize=8192)
def arn_pattern(resolved: str) -> re.Pattern[str] | None:
    """Compiles a resolved ARN, whose wildcards stay within its six segments; None if it has fewer segments."""
    segments = resolved.split(":", 5)
    if len(segments) < 6 or segments[0] not in ("arn", ANY):
        return None
    head = ["".join({ANY: "[^:]*", ONE: "[^:]"}.get(c) or re.escape(c) for c in part) for part in segments[:5]]
    return re.compile(":".join([*head, pattern(segments[5]).pattern]), re.DOTALL)

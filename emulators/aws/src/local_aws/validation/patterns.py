"""Translates the regular expressions of AWS's service models, which are Java's, to Python's.

AWS matches a value as a whole, whether or not the pattern has anchors: `^[a-zA-Z0-9](-*[a-zA-Z0-9])*` refuses `a_b`
(Kenza-AI/sagify#57). So does `matches`. Python's `re` lacks Unicode classes, class unions and intersections, and
flags in the middle of a pattern; these are rewritten.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import groupby

_POSIX = {
    "Alnum": "a-zA-Z0-9",
    "Alpha": "a-zA-Z",
    "ASCII": r"\x00-\x7F",
    "Blank": r" \t",
    "Cntrl": r"\x00-\x1F\x7F",
    "Digit": "0-9",
    "Graph": r"\x21-\x7E",
    "Lower": "a-z",
    "Print": r"\x20-\x7E",
    "Punct": r"!-/:-@\[-`{-~",
    "Space": r" \t\n\x0b\f\r",
    "Upper": "A-Z",
    "XDigit": "0-9a-fA-F",
}
_LINE_ENDS = "\n\r\u0085\u2028\u2029"  # what Java's dot does not match
_QUANTIFIER = re.compile(r"[*+?]|\{\d+(,\d*)?\}")
_FLAGS = re.compile(r"\(\?([a-z]+)\)")
_CLASS_ESCAPES = "dDwWsSpPhHvVR"
_UNIT = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_HEXADECIMAL = re.compile(r"\\x\{([0-9a-fA-F]+)\}")
_REPEATED = re.compile(r"(\[[^\]]*\]\{\d+(?:,\d*)?\})(?=\{)")
_BINARY = {
    "IsAlphabetic": ("L", "Nl"),
    "IsWhitespace": ("Z", "Cc"),
    "LD": ("L", "Nd"),
    "all": ("",),
}
"""Java's properties that are not a general category, by the categories that make them up."""


@cache
def translate(pattern: str) -> re.Pattern[str]:
    """The pattern as Python's.

    Raises:
        ValueError: it uses a construct that is not translated.
    """
    try:
        return re.compile(_Translator(pattern).run(), re.ASCII)
    except (re.error, IndexError) as error:
        raise ValueError(f"cannot translate the pattern {pattern!r}: {error}") from error


def matches(pattern: str, value: str) -> bool:
    """Whether AWS accepts `value`: the pattern matches all of it."""
    return translate(pattern).fullmatch(value) is not None


class _Translator:
    def __init__(self, pattern: str) -> None:
        # Java reads two escaped surrogates as one code point, and permits a quantifier after a quantifier.
        text = _UNIT.sub(lambda m: f"\\U{_code_point(int(m[1], 16), int(m[2], 16)):08X}", pattern)
        text = _HEXADECIMAL.sub(lambda m: f"\\U{int(m[1], 16):08X}", text)
        self._text = _REPEATED.sub(r"(?:\1)", text)
        self._at = 0

    def run(self) -> str:
        parts: list[str] = []
        opened: list[int] = [0]  # groups that flags have opened, by the depth of the group around them
        while self._at < len(self._text):
            char = self._text[self._at]
            if flags := _FLAGS.match(self._text, self._at):
                parts.append(f"(?{flags[1]}:")
                opened[-1] += 1
                self._at = flags.end()
            elif char == "\\":
                parts.append(self._escape())
            elif char == "[":
                parts.append(self._class())
            elif char == "(":
                parts.append(self._open())
                opened.append(0)
            elif char == ")":
                parts.append(")" * (opened.pop() + 1))
                self._at += 1
            else:
                parts.append(f"[^{_LINE_ENDS}]" if char == "." else char)
                self._at += 1
                if char in "^$" and (quantifier := _QUANTIFIER.match(self._text, self._at)):
                    self._at = quantifier.end()  # Java permits a quantified anchor
        return "".join(parts) + ")" * opened[0]

    def _open(self) -> str:
        named = re.compile(r"\(\?<([a-zA-Z]\w*)>").match(self._text, self._at)
        if named:
            self._at = named.end()
            return f"(?P<{named[1]}>"
        self._at += 1
        return "("

    def _escape(self) -> str:
        """The escape at the current position, outside a class."""
        char = self._text[self._at + 1]
        if char in "pP":
            return f"[{self._property()}]"
        if char == "Q":
            end = self._text.find("\\E", self._at)
            quoted = self._text[self._at + 2 : end if end >= 0 else None]
            self._at = end + 2 if end >= 0 else len(self._text)
            return re.escape(quoted)
        self._at += 2
        if char == "z":
            return r"\Z"
        if char == "Z":
            return r"(?=[\n\r]?\Z)"
        if char == "h":
            return r"[ \t\xA0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000]"
        return f"\\{char}"

    def _property(self) -> str:
        """The members of the property escape at the current position, for use in a class."""
        found = re.compile(r"\\[pP](?:\{(\w+)\}|(\w))").match(self._text, self._at)
        if not found:
            raise IndexError(f"malformed property at {self._at}")
        self._at = found.end()
        name, negated = found[1] or found[2], found[0][1] == "P"
        if name in _POSIX and not negated:
            return _POSIX[name]
        return _categories(_BINARY.get(name) or (name.removeprefix("Is"),), negated=negated)

    def _class(self) -> str:
        """The class at the current position; intersections become a lookahead each."""
        self._at += 1
        negated = self._text.startswith("^", self._at)
        self._at += negated
        parts: list[list[str]] = [[]]
        nested: list[str] = []  # whole operands of an intersection
        first = True
        while self._text[self._at] != "]" or first:
            if self._text.startswith("&&", self._at):
                parts.append([])
                self._at += 2
            elif self._text[self._at] == "[" and not parts[-1] and len(parts) > 1:
                nested.append(self._class())
            else:
                parts[-1].append(self._member())
            first = False
        self._at += 1
        sets = [*nested, *(f"[{''.join(members)}]" for members in parts if members)]
        if len(sets) == 1:
            return f"[^{sets[0][1:]}" if negated else sets[0]
        *conditions, last = sets
        both = "".join(f"(?={condition})" for condition in conditions) + last
        return f"(?:(?!{both})[\\s\\S])" if negated else f"(?:{both})"

    def _member(self) -> str:
        """One member of a class: a character, an escape, or the members of a nested class."""
        char = self._text[self._at]
        if char == "[":
            inner = self._class()
            if not inner.startswith("[") or inner.startswith("[^"):
                raise IndexError(f"a nested class that is negated or intersected, at {self._at}")
            return inner[1:-1]
        if char == "-":
            self._at += 1
            return r"\-" if self._is_literal_dash() else "-"
        if char != "\\":
            self._at += 1
            return rf"\{char}" if char in "&~|" else char
        escape = self._text[self._at + 1]
        if escape in "pP":
            return self._property()
        self._at += 2
        if escape == "h":
            return r" \t\xA0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000"
        return f"\\{escape}"

    def _is_literal_dash(self) -> bool:
        """Whether the dash before the current position is no range, because a class escape stands beside it."""
        before = self._text[: self._at - 1]
        after = self._text[self._at : self._at + 2]
        beside = re.search(rf"\\(?:[{_CLASS_ESCAPES}]|[pP]\{{\w+\}})$", before) is not None
        return beside or (after[:1] == "\\" and after[1:] in _CLASS_ESCAPES) or after[:1] in ("]", "[")


def _code_point(high: int, low: int) -> int:
    return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)


@cache
def _categories(names: tuple[str, ...], *, negated: bool) -> str:
    """The characters of Unicode's general categories, such as `L` or `Lu`, as ranges for a class."""
    ranges = [part for part in _runs() if part[0].startswith(names) != negated]
    if not ranges or not all(any(part[0].startswith(name) for part in _runs()) for name in names):
        raise IndexError(f"no Unicode category {names}")
    return "".join(f"\\U{first:08X}-\\U{last:08X}" for _, first, last in ranges)


@cache
def _runs() -> tuple[tuple[str, int, int], ...]:
    """Runs of code points of one category: (category, first, last)."""
    return tuple(_find_runs())


def _find_runs() -> Iterator[tuple[str, int, int]]:
    points = range(sys.maxunicode + 1)
    for category, run in groupby(points, key=lambda point: unicodedata.category(chr(point))):
        members = list(run)
        yield category, members[0], members[-1]

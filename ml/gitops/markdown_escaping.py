"""Escapes untrusted values for Markdown: no markup, mention, link or command survives.

GitHub interprets more than Markdown: @names are notified, `#12` and URLs become links, `fixes #12` closes an issue when
a pull request is merged, `$…$` is mathematics. All of these are broken up here. Inside code GitHub interprets nothing
but the closing fence, which is made longer than any run of backticks in the content.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Sequence
from urllib.parse import quote, urlsplit

_BREAK = "&#8203;"  # zero-width space: invisible, and it breaks a name, a number or a URL
_MARKUP = re.compile(r"[\\`*_\[\]~|$]")
_AT_START = re.compile(r"^(?:[-+=#]|\d+(?=[.)]))")
_GITHUB_SYNTAX = re.compile(r"[@#](?=\S)|\bGH-(?=\d)|:(?=//)|\bwww(?=\.)", re.I)
_ADDRESS = "/:?&=%#@+,;~!*'$-._"


def text(value: object) -> str:
    """`value` as plain text within a line of Markdown."""
    line = html.escape(" ".join(_visible(str(value)).split()), quote=False)
    line = _GITHUB_SYNTAX.sub(lambda match: f"{match[0]}{_BREAK}", line)
    line = _MARKUP.sub(lambda match: f"\\{match[0]}", line)
    return _AT_START.sub(lambda match: f"{match[0]}\\" if match[0].isdigit() else f"\\{match[0]}", line)


def code(value: object) -> str:
    """`value` as inline code."""
    line = " ".join(_visible(str(value)).split()) or " "
    ticks = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{space}{line}{space}{ticks}"


def fence(value: str, language: str = "") -> str:
    """`value` as a code block."""
    content = _visible(value, keep="\n\t").rstrip("\n")
    ticks = "`" * max(3, max((len(run) for run in re.findall("`+", content)), default=0) + 1)
    return f"{ticks}{language}\n{content}\n{ticks}"


def link(words: str, address: str | None) -> str:
    """A link with the label `words` (Markdown already); only the label if `address` is not an http URL."""
    safe = _address(address)
    return f"[{words}]({safe})" if safe else words


def image(words: object, address: str) -> str:
    """The image at `address`, which must be an http URL, with `words` as its alternative text."""
    safe = _address(address)
    if safe is None:
        raise ValueError(f"an image needs an http address (got {address!r})")
    return f"![{text(words)}]({safe})"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()) -> str:
    """A table of cells that are Markdown already; the columns `numbers` are right-aligned."""
    ruler = ["---:" if column in numbers else "---" for column in range(len(header))]
    return "\n".join(_row(cells) for cells in [header, ruler, *rows])


def details(summary: str, content: str) -> str:
    """`content` in a collapsed section with the title `summary`, which is plain text."""
    return f"<details><summary>{html.escape(summary)}</summary>\n\n{content}\n\n</details>"


def _row(cells: Sequence[str]) -> str:
    # A pipe ends a cell even inside code.
    return "| " + " | ".join(re.sub(r"(?<!\\)\|", r"\\|", cell.replace("\n", " ")) for cell in cells) + " |"


def _address(address: str | None) -> str | None:
    parts = urlsplit(address or "")
    return quote(str(address), safe=_ADDRESS) if parts.scheme in ("http", "https") and parts.netloc else None


def _visible(value: str, keep: str = "") -> str:
    """`value` without invisible characters: controls, bidirectional marks, lone surrogates."""
    kept = (
        "�" if unicodedata.category(character) in ("Cs", "Co", "Cn") else character
        for character in value.replace("\r\n", "\n")
        if character in keep or character.isspace() or unicodedata.category(character) not in ("Cc", "Cf")
    )
    return "".join(character if character in keep or not character.isspace() else " " for character in kept)

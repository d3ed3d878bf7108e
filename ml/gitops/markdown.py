"""Escapes untrusted values as Markdown: no markup, mention, link or command survives.

GitHub reads more than Markdown out of a text: @names are notified, `#12` and addresses become links, `fixes #12`
closes an issue when a pull request is merged, `$…$` is mathematics. All of that is taken apart here; inside code, where
GitHub reads nothing, the only way out is the closing fence, which is longer than any in the content.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Sequence
from urllib.parse import quote, urlsplit

_BREAK = "&#8203;"  # a space of no width: it shows nothing and ends a name, a number, an address
_MARKUP = re.compile(r"[\\`*_\[\]~|$]")
_AT_START = re.compile(r"^(?:[-+=#]|\d+(?=[.)]))")
_READ_BY_GITHUB = re.compile(r"[@#](?=\S)|\bGH-(?=\d)|:(?=//)|\bwww(?=\.)", re.I)
_ADDRESS = "/:?&=%#@+,;~!*'$-._"


def text(value: object) -> str:
    """`value` as words within a line of Markdown."""
    line = html.escape(" ".join(_visible(str(value)).split()), quote=False)
    line = _READ_BY_GITHUB.sub(lambda found: f"{found[0]}{_BREAK}", line)
    line = _MARKUP.sub(lambda found: f"\\{found[0]}", line)
    return _AT_START.sub(lambda found: f"{found[0]}\\" if found[0].isdigit() else f"\\{found[0]}", line)


def code(value: object) -> str:
    """`value` as code within a line."""
    line = " ".join(_visible(str(value)).split()) or " "
    ticks = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{space}{line}{space}{ticks}"


def fence(value: str, language: str = "") -> str:
    """`value` as a block of code, line for line."""
    content = _visible(value, keep="\n\t").rstrip("\n")
    ticks = "`" * max(3, max((len(run) for run in re.findall("`+", content)), default=0) + 1)
    return f"{ticks}{language}\n{content}\n{ticks}"


def link(words: str, address: str | None) -> str:
    """`words` (Markdown already) that lead to `address`; the words alone where it is no http address."""
    safe = _address(address)
    return f"[{words}]({safe})" if safe else words


def image(words: object, address: str) -> str:
    """The picture at `address`, which must be http, described by `words`."""
    safe = _address(address)
    if safe is None:
        raise ValueError(f"a picture needs an http address (got {address!r})")
    return f"![{text(words)}]({safe})"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()) -> str:
    """A table of cells that are Markdown already; the columns `numbers` are set to the right."""
    ruler = ["---:" if column in numbers else "---" for column in range(len(header))]
    return "\n".join(_row(cells) for cells in [header, ruler, *rows])


def details(summary: str, content: str) -> str:
    """`content` folded away under `summary`, which is Markdown-free text."""
    return f"<details><summary>{html.escape(summary)}</summary>\n\n{content}\n\n</details>"


def _row(cells: Sequence[str]) -> str:
    # A bar ends a cell even inside code.
    return "| " + " | ".join(re.sub(r"(?<!\\)\|", r"\\|", cell.replace("\n", " ")) for cell in cells) + " |"


def _address(address: str | None) -> str | None:
    parts = urlsplit(address or "")
    return quote(str(address), safe=_ADDRESS) if parts.scheme in ("http", "https") and parts.netloc else None


def _visible(value: str, keep: str = "") -> str:
    """`value` without what is not seen: controls, marks that turn the direction of reading, halves of characters."""
    kept = (
        "�" if unicodedata.category(character) in ("Cs", "Co", "Cn") else character
        for character in value.replace("\r\n", "\n")
        if character in keep or character.isspace() or unicodedata.category(character) not in ("Cc", "Cf")
    )
    return "".join(character if character in keep or not character.isspace() else " " for character in kept)

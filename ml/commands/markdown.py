"""Text in GitHub's Markdown: what comes from files, branches and people is shown as it is and never obeyed.

It knows the syntax and nothing of what is written with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+!|~&$^:@=-])")
_LINE_ENDS = re.compile(r"\s*[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+\s*")
_UNSEEN = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_JOINER = "\u2060"
_LINKS = re.compile(r"[@#]|\\:(?=//)|www(?=\.)", re.IGNORECASE)


def escape(text: object) -> str:
    """`text` in one line that renders as itself: no markup, no HTML, no link, no mention, no issue reference."""
    line = _UNSEEN.sub("\ufffd", _LINE_ENDS.sub(" ", str(text)))
    escaped = _SPECIAL.sub(r"\\\1", line)
    # GitHub looks for links, mentions and issue numbers in what was rendered, where a backslash is gone: a word joiner,
    # which has no width, breaks them.
    return _LINKS.sub(lambda found: found[0] + _JOINER, escaped)


def code(text: object) -> str:
    """`text` in one line as code, which renders nothing inside, in a table's cell too."""
    line = _UNSEEN.sub("\ufffd", _LINE_ENDS.sub(" ", str(text))).replace("|", "\\|")
    longest = max((len(run) for run in re.findall(r"`+", line)), default=0)
    fence = "`" * (longest + 1)
    space = " " if line.startswith("`") or line.endswith("`") or not line.strip() else ""
    return f"{fence}{space}{line or ' '}{space}{fence}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already; a line end in a cell becomes a space."""
    lines = [_row(header), _row(["---"] * len(header))]
    lines += [_row(row) for row in rows]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_LINE_ENDS.sub(" ", cell) for cell in cells) + " |"

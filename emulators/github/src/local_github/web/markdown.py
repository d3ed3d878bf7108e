"""Renders Markdown as GitHub does in bodies, comments and summaries: GFM with hard line breaks.

The renderer passes HTML through; the sanitiser keeps what GitHub's allow list keeps: no script, style or data URI.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache

import nh3
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from mdit_py_plugins.gfm import gfm_plugin

Address = Callable[[str, str], str | None]
"""Maps the address of a link or an image: (tag, address) → address; None drops it."""

# fmt: off
_TAGS = {
    "a", "b", "blockquote", "br", "code", "dd", "del", "details", "div", "dl", "dt", "em", "h1", "h2", "h3",
    "h4", "h5", "h6", "hr", "i", "img", "input", "ins", "kbd", "li", "ol", "p", "picture", "pre", "q", "s",
    "samp", "section", "source", "span", "strike", "strong", "sub", "summary", "sup", "table", "tbody", "td",
    "tfoot", "th", "thead", "tr", "tt", "ul", "var",
}
# fmt: on
_ATTRIBUTES = {
    "a": {"href", "title"},
    "img": {"src", "alt", "title", "width", "height", "align"},
    "input": {"type", "checked", "disabled"},
    "details": {"open"},
    "ol": {"start"},
    "td": {"align", "colspan", "rowspan"},
    "th": {"align", "colspan", "rowspan"},
    **{tag: {"align"} for tag in ("div", "p", "h1", "h2", "h3")},
}
_CLASSES = {
    "div": {
        "markdown-alert",
        *(f"markdown-alert-{kind}" for kind in ("note", "tip", "important", "warning", "caution")),
    },
    "p": {"markdown-alert-title"},
    "ul": {"contains-task-list"},
    "li": {"task-list-item"},
    "input": {"task-list-item-checkbox"},
}
_NUMBER = re.compile(r"(?<![\w/&#])#(\d{1,7})\b")


@cache
def _parser() -> MarkdownIt:
    # The CommonMark preset with html on; breaks: GitHub keeps line breaks in bodies and comments.
    parser = MarkdownIt("commonmark", {"html": True, "breaks": True}).use(gfm_plugin)
    parser.core.ruler.push("issue_numbers", _issue_numbers)
    return parser


def _issue_numbers(state: StateCore) -> None:
    """Makes #12 a link, except in links and code; the address is mapped like all others."""
    for block in state.tokens:
        if block.type != "inline" or not block.children or "#" not in block.content:
            continue
        depth = 0
        children: list[Token] = []
        for token in block.children:
            depth += {"link_open": 1, "link_close": -1}.get(token.type, 0)
            children += _link_numbers(token) if token.type == "text" and depth == 0 else [token]
        block.children = children


def _link_numbers(token: Token) -> Sequence[Token]:
    pieces = _NUMBER.split(token.content)
    tokens = []
    for at, piece in enumerate(pieces):
        if at % 2:
            opening, text, closing = Token("link_open", "a", 1), Token("text", "", 0), Token("link_close", "a", -1)
            opening.attrs, text.content = {"href": f"#{piece}"}, f"#{piece}"
            tokens += [opening, text, closing]
        elif piece:
            text = Token("text", "", 0)
            text.content = piece
            tokens.append(text)
    return tokens


def render(text: str | None, address: Address) -> str:
    """Sanitised HTML."""

    def map_address(tag: str, attribute: str, value: str) -> str | None:
        if attribute in {"href", "src"}:
            return address(tag, value)
        return value

    return nh3.clean(
        _alignment_as_attribute(_parser().render(text or "")),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=map_address,
        allowed_classes=_CLASSES,
        set_tag_attribute_values={
            "input": {"type": "checkbox", "disabled": ""},
            "img": {"loading": "lazy"},
            "table": {"tabindex": "0"},  # a wide table scrolls, by keyboard too
        },
        url_schemes={"http", "https", "mailto"},
        link_rel="nofollow noopener noreferrer",
    )


def _alignment_as_attribute(html: str) -> str:
    """Converts column alignment to an attribute, because styles are removed."""
    return re.sub(r'<(t[dh]) style="text-align:(left|right|center)">', r'<\1 align="\2">', html)

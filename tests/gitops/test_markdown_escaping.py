"""Escaping of untrusted text: rendered by a Markdown library, it shows the original text and no markup."""

from __future__ import annotations

import html
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ml.gitops import markdown_escaping as markdown

RENDERER = MarkdownIt("gfm-like", {"linkify": False, "html": True})
WORDS = st.text(
    alphabet=st.one_of(st.sampled_from("\\`*_{}[]()<>#+-.!|~$@:/=&;1 \n\tGHw"), st.characters(codec="utf-8")),
    max_size=60,
)
TRICKS = [
    "@everyone look", "fixes #12", "Fixes o/r#3", "GH-9", "https://evil.invalid/x", "www.evil.invalid", "a@b.invalid",
    "<script>alert(1)</script>", "<img src=x onerror=y>", "<!-- hidden -->", "![x](http://e.invalid/p.png)",
    "[click](javascript:alert(1))", "# Title", "- item", "1. item", "2) item", "> quote", "a | b", "`code`", "**bold**",
    "~~gone~~", "$x^2$", "&#64;team", "&lt;b&gt;", "===", "---", "[^1]: note", "\u202egnp.exe", "a\x00b", "+ plus",
    "```\nrm -rf\n```", "line\n\n# next", "\\", "\\*", "_a_", "[ ] task",
    "<https://evil.invalid>", "~~~", "    indented",
]  # fmt: skip


def plain(value: str) -> str:
    """The text that `value` should show, in one line."""
    kept = "".join(
        "�" if unicodedata.category(each) in ("Cs", "Co", "Cn") else " " if each.isspace() else each
        for each in value
        if each.isspace() or unicodedata.category(each) not in ("Cc", "Cf")
    )
    return " ".join(kept.split())


def seen(rendered: str) -> str:
    """The text of HTML without zero-width spaces."""
    return html.unescape(re.sub(r"<[^>]*>", "", rendered)).replace("\u200b", "").strip("\n")


def tags(rendered: str) -> set[str]:
    """The element names of HTML."""
    return set(re.findall(r"<([a-z0-9]+)", rendered))


@pytest.mark.parametrize("value", TRICKS)
def test_markup_is_shown_as_text(value: str) -> None:
    """Each value renders as one paragraph without elements and with the original text."""
    rendered = RENDERER.render(markdown.text(value))
    assert tags(rendered) <= {"p"}
    assert seen(rendered) == plain(value)


@given(WORDS)
def test_any_text_is_shown_as_text(value: str) -> None:
    """Alone, after other words, and in a table cell."""
    for before in ("", "Reason: "):
        rendered = RENDERER.render(before + markdown.text(value))
        assert tags(rendered) <= {"p"}
        assert seen(rendered) == (before + plain(value)).strip()
    cells = RENDERER.render(markdown.table(("a", "b"), [(markdown.text(value), "end")]))
    assert tags(cells) <= {"table", "thead", "tbody", "tr", "th", "td"}
    assert re.findall(r"<td>(.*?)</td>", cells, re.S)[1:] == ["end"]


@given(WORDS)
def test_mentions_and_references_are_broken_up(value: str) -> None:
    """The rendered text has no @name, #number, GH-number or URL that GitHub would link."""
    rendered = html.unescape(RENDERER.render(markdown.text(value)))
    assert not re.search(r"[@#]\w", rendered)
    assert not re.search(r"gh-\d|://|www\.", rendered, re.I)


@given(WORDS)
def test_code_is_one_element(value: str) -> None:
    """A backtick in the value does not end the code span."""
    rendered = RENDERER.render(f"see {markdown.code(value)} there")
    assert tags(rendered) == {"p", "code"}
    assert seen(rendered).startswith("see ")
    assert seen(rendered).endswith(" there")
    assert " ".join(seen(rendered).split()) == " ".join(f"see {plain(value)} there".split())


@given(WORDS)
def test_fence_in_the_content_does_not_end_the_block(value: str) -> None:
    """Text after the block is outside of it, whatever fences the content has."""
    rendered = RENDERER.render(f"{markdown.fence(value, 'diff')}\n\nafter")
    assert tags(rendered) == {"pre", "code", "p"}
    assert rendered.endswith("<p>after</p>\n")


def test_block_keeps_its_lines() -> None:
    """Lines, tabs and markup in a code block are unchanged."""
    rendered = RENDERER.render(markdown.fence("-a: 1\n+a: `2`\n\tb: <c>\n", "diff"))
    assert '<code class="language-diff">-a: 1\n+a: `2`\n\tb: &lt;c&gt;\n</code>' in rendered


def test_only_http_addresses_are_linked() -> None:
    """Other addresses are dropped; brackets and spaces in an address are escaped."""
    assert markdown.link("run", "javascript:alert(1)") == "run"
    assert markdown.link("run", None) == "run"
    rendered = RENDERER.render(markdown.link("run", "https://git.invalid/a b)[x](y"))
    assert rendered == '<p><a href="https://git.invalid/a%20b%29%5Bx%5D%28y">run</a></p>\n'
    with pytest.raises(ValueError, match="http address"):
        markdown.image("x", "data:image/png;base64,AA")


def test_details_content_is_rendered() -> None:
    """The summary is escaped, the content is Markdown."""
    rendered = RENDERER.render(markdown.details("a <b>", "- one"))
    assert "<summary>a &lt;b&gt;</summary>" in rendered
    assert "<li>one</li>" in rendered

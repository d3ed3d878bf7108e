"""What people wrote stays words: rendered by a Markdown library as GitHub would, it is what it was."""

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
    """What a reader should see of `value` in one line."""
    kept = "".join(
        "�" if unicodedata.category(each) in ("Cs", "Co", "Cn") else " " if each.isspace() else each
        for each in value
        if each.isspace() or unicodedata.category(each) not in ("Cc", "Cf")
    )
    return " ".join(kept.split())


def seen(rendered: str) -> str:
    """The words of an HTML text without the invisible breaks."""
    return html.unescape(re.sub(r"<[^>]*>", "", rendered)).replace("\u200b", "").strip("\n")


def tags(rendered: str) -> set[str]:
    """The elements of an HTML text."""
    return set(re.findall(r"<([a-z0-9]+)", rendered))


@pytest.mark.parametrize("value", TRICKS)
def test_trick_is_shown_and_does_nothing(value: str) -> None:
    """One paragraph without any element in it, that reads as what was written."""
    rendered = RENDERER.render(markdown.text(value))
    assert tags(rendered) <= {"p"}
    assert seen(rendered) == plain(value)


@given(WORDS)
def test_any_words_stay_words(value: str) -> None:
    """Alone, behind other words, and in a cell."""
    for before in ("", "Reason: "):
        rendered = RENDERER.render(before + markdown.text(value))
        assert tags(rendered) <= {"p"}
        assert seen(rendered) == (before + plain(value)).strip()
    cells = RENDERER.render(markdown.table(("a", "b"), [(markdown.text(value), "end")]))
    assert tags(cells) <= {"table", "thead", "tbody", "tr", "th", "td"}
    assert re.findall(r"<td>(.*?)</td>", cells, re.S)[1:] == ["end"]


@given(WORDS)
def test_nobody_is_mentioned_and_nothing_referred_to(value: str) -> None:
    """What GitHub looks for in the rendered text is taken apart."""
    rendered = html.unescape(RENDERER.render(markdown.text(value)))
    assert not re.search(r"[@#]\w", rendered)
    assert not re.search(r"gh-\d|://|www\.", rendered, re.I)


@given(WORDS)
def test_code_is_one_element(value: str) -> None:
    """A backtick inside ends nothing."""
    rendered = RENDERER.render(f"see {markdown.code(value)} there")
    assert tags(rendered) == {"p", "code"}
    assert seen(rendered).startswith("see ")
    assert seen(rendered).endswith(" there")
    assert " ".join(seen(rendered).split()) == " ".join(f"see {plain(value)} there".split())


@given(WORDS)
def test_block_of_code_ends_at_its_end(value: str) -> None:
    """Whatever fences the content holds, what follows is outside."""
    rendered = RENDERER.render(f"{markdown.fence(value, 'diff')}\n\nafter")
    assert tags(rendered) == {"pre", "code", "p"}
    assert rendered.endswith("<p>after</p>\n")


def test_block_keeps_its_lines() -> None:
    """Lines, tabs and markup come out as they went in."""
    rendered = RENDERER.render(markdown.fence("-a: 1\n+a: `2`\n\tb: <c>\n", "diff"))
    assert '<code class="language-diff">-a: 1\n+a: `2`\n\tb: &lt;c&gt;\n</code>' in rendered


def test_link_leads_only_to_http() -> None:
    """Other addresses are dropped; one with odd characters cannot end the link early."""
    assert markdown.link("run", "javascript:alert(1)") == "run"
    assert markdown.link("run", None) == "run"
    rendered = RENDERER.render(markdown.link("run", "https://git.invalid/a b)[x](y"))
    assert rendered == '<p><a href="https://git.invalid/a%20b%29%5Bx%5D%28y">run</a></p>\n'
    with pytest.raises(ValueError, match="http address"):
        markdown.image("x", "data:image/png;base64,AA")


def test_what_is_folded_away_is_still_markdown() -> None:
    """The summary is words, the content is rendered."""
    rendered = RENDERER.render(markdown.details("a <b>", "- one"))
    assert "<summary>a &lt;b&gt;</summary>" in rendered
    assert "<li>one</li>" in rendered

"""Markdown is rendered as on GitHub, without scripts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_github.web import markdown
from pages import Tags


@given(st.text(alphabet=st.sampled_from("<>\"'&/=:;#![]()*`|-\n abcdefjsvonrclkitp1"), max_size=200))
def test_markdown_is_sanitised(text: str) -> None:
    """No input produces a script, an event handler or a script address."""
    html = markdown.render(text, lambda tag, address: address)
    assert Tags(html).dangerous() == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("one\ntwo", "one<br>"),
        ("~~gone~~", "<s>gone</s>"),
        ("https://example.invalid/x", 'href="https://example.invalid/x"'),
        ("| a |\n|---|\n| 1 |", '<table tabindex="0">'),
        ("> [!WARNING]\n> Careful", 'class="markdown-alert markdown-alert-warning"'),
        ("a #12 b", 'href="#12"'),
        ("`#12`", "<code>#12</code>"),
        ("```mermaid\ngraph TD\n```", "<pre><code>graph TD"),
        ("<kbd>x</kbd><blink>y</blink>", "<kbd>x</kbd>y"),
        ('<img src="data:image/png;base64,AA" alt="x">', '<img alt="x"'),
    ],
)
def test_markdown_is_rendered_as_on_github(source: str, expected: str) -> None:
    """Hard breaks, strikethrough, autolinks, alerts, issue numbers and tables are rendered; other tags are removed."""
    assert expected in markdown.render(source, lambda tag, address: address)

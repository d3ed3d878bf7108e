"""Renders Markdown to HTML as GitHub does, for tests of what a page shows."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt

RENDERER = MarkdownIt("gfm-like", {"linkify": False, "html": True})
HOSTILE = "<script>x</script> @alice fixes #1 `$(touch x)` [a](http://x.invalid) | ![b](http://y.invalid)\n# big"
"""Untrusted text with an element, a mention, a closing keyword, a command, a link, an image and a heading."""


def render(markdown: str) -> str:
    """The HTML of `markdown`."""
    return str(RENDERER.render(markdown))


def assert_hostile_text_is_inert(markdown: str) -> None:
    """Fails unless `markdown` shows HOSTILE without an element, link, image, mention or heading of it."""
    html = render(markdown)
    assert "fixes" in html, "HOSTILE is not shown"
    for forbidden in ("<script", 'href="http://x.invalid"', "<img", "<h1>"):
        assert forbidden not in html
    assert "@alice" not in re.sub(r"<code>.*?</code>", "", html)

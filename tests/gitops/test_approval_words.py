"""The words of an approval's pull request are explained in it."""

from __future__ import annotations

from ml.gitops import approval_text, approval_words
from tests.gitops.test_approval_text import page


def test_words_are_folded_at_the_end_of_the_page() -> None:
    """What a champion is, and what the patterns of an adapted model are."""
    words = approval_words.section()
    assert words.startswith("<details><summary>Words</summary>")
    for word in ("champion", "known pattern, new pattern", "mature labels", "within chance"):
        assert f"| {word} | " in words
    assert words in approval_text.render(page())

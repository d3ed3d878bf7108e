"""The page of words has what other pages use without an explanation."""

from __future__ import annotations

from ml.site import pages, words
from tests.site.sites import site

LINKED = pages.Addresses.of_repository("https://github.com/acme/fraudops")


def test_every_page_links_the_words() -> None:
    """Each word has a meaning in a sentence; the glossary of the repository is linked."""
    rendered = pages.render(site(), LINKED)
    page = rendered["words.html"]
    for word, meaning in words.WORDS:
        assert f"<dt>{word}</dt><dd>" in page
        assert meaning.endswith(".")
    assert [word for word, _ in words.WORDS] == sorted(word for word, _ in words.WORDS)
    assert 'href="https://github.com/acme/fraudops/blob/main/docs/glossary.md"' in page
    assert all('words.html"' in each for each in rendered.values())

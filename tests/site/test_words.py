"""The page of words has what other pages use without an explanation."""

from __future__ import annotations

from ml.gitops import approval_words
from ml.site import pages, words
from tests.site.sites import site

LINKED = pages.Addresses.of_repository("https://github.com/acme/fraudops")


def test_every_page_links_the_words() -> None:
    """Each word has a meaning in a sentence; the glossary of the repository is linked."""
    made = site()
    rendered = pages.render(made, LINKED)
    page = rendered["words.html"]
    found = words.words(made)
    for word, meaning in found:
        assert f"<dt>{word}</dt><dd>" in page
        assert meaning.endswith(".")
    assert [word for word, _ in found] == sorted(word for word, _ in found)
    assert 'href="https://github.com/acme/fraudops/blob/main/docs/glossary.md"' in page
    assert all('words.html"' in each for each in rendered.values())


def test_script_that_approves_is_of_a_demo_alone() -> None:
    """On any other site people approve."""
    demo, plain = (dict(words.words(site(simulated=simulated))) for simulated in (True, False))
    assert demo["approval, pull request"].endswith(
        "In the demo a script approves, and the local GitHub's own user merges."
    )
    assert plain["approval, pull request"] == "Merging an approval's pull request approves one model."
    assert "script" not in "".join(plain.values())


def test_words_of_approvals_have_one_meaning() -> None:
    """That of the pull request, as a sentence."""
    found = {meaning.lower() for _, meaning in words.words(site())}
    assert {f"{meaning}.".lower() for meaning in approval_words.MEANINGS.values()} <= found

"""Images on the branch `evidence` of the GitHub emulator: URLs by commit, repeated and concurrent runs, paths."""

from __future__ import annotations

import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from local_github.git.output_parser import Person

from ml.errors import GitHubError
from ml.gitops import evidence_branch
from ml.gitops.repository import BOT, Repository
from tests.harness.github.emulator import NAME, Hub

PICTURE, OTHER = b"\x89PNG\r\n\x1a\n\x00one", b"\x89PNG\r\n\x1a\n\x00two"


def bare(hub: Hub) -> Repository:
    """The bare repository of the server."""
    return Repository(hub.server.state.repositories[NAME].git.path)


def test_picture_url_names_the_commit(hub: Hub) -> None:
    """The branch shares no history with main, and each image is served at a URL with the commit's id."""
    urls = evidence_branch.publish(hub.client(), {"0007/confusion matrix.png": PICTURE}, subject="approval 0007")
    tip = bare(hub).commit_of("evidence")
    assert urls == {"0007/confusion matrix.png": f"{hub.server.url}/{NAME}/raw/{tip}/0007/confusion%20matrix.png"}
    assert bare(hub).show(tip, "0007/confusion matrix.png") == PICTURE
    commit = bare(hub).log("evidence")[0]
    assert (commit.parents, commit.author, commit.subject) == ((), BOT.name, "Add evidence: approval 0007")
    with urllib.request.urlopen(urls["0007/confusion matrix.png"]) as answer:  # noqa: S310 - of the test's own server
        assert (answer.read(), answer.headers["Content-Type"]) == (PICTURE, "image/png")


def test_old_urls_keep_their_content(hub: Hub) -> None:
    """A newer image of the same name has another commit; other images stay on the branch."""
    github = hub.client()
    first = evidence_branch.publish(github, {"0007/a.png": PICTURE, "0006/a.png": PICTURE}, subject="x")
    second = evidence_branch.publish(github, {"0007/a.png": OTHER}, subject="x")
    assert first["0007/a.png"] != second["0007/a.png"]
    commits = [each.sha for each in bare(hub).log("evidence")]
    assert len(commits) == 2
    assert [bare(hub).show(sha, "0007/a.png") for sha in commits] == [OTHER, PICTURE]
    assert bare(hub).files("evidence", ".") == ["0006/a.png", "0007/a.png"]


def test_same_pictures_add_no_commit(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run returns the same URLs, also on another day."""
    github = hub.client()
    urls = evidence_branch.publish(github, {"0007/a.png": PICTURE}, subject="x")
    monkeypatch.setenv("FRAUDOPS_NOW", "2031-01-01T00:00:00Z")
    assert evidence_branch.publish(github, {"0007/a.png": PICTURE}, subject="x") == urls
    assert len(bare(hub).log("evidence")) == 1


def test_concurrent_runs_lose_no_picture(hub: Hub) -> None:
    """The branch is created once, and every commit has the one before it as its parent."""
    with ThreadPoolExecutor(5) as pool:
        found = list(
            pool.map(
                lambda index: evidence_branch.publish(hub.client(), {f"{index}/a.png": PICTURE}, subject=str(index)),
                range(5),
            )
        )
    assert bare(hub).files("evidence", ".") == [f"{index}/a.png" for index in range(5)]
    assert len({url for urls in found for url in urls.values()}) == 5
    assert len(bare(hub).log("evidence", first_parent=True)) == 5


def test_conflict_on_update_is_retried(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another commit lands between GitHub's check and its update of the branch; the 409 is retried."""
    evidence_branch.publish(hub.client(), {"0006/a.png": PICTURE}, subject="x")
    git = hub.server.state.repositories[NAME].git
    update, lost = git.update, list[str]()

    def late(name: str, new: str, old: str) -> None:
        if not lost:
            lost.append(old)
            author = Person(name="Other", email="other@example.invalid", date="2031-01-01T00:00:00Z")
            update(name, git.write_commit(f"{old}^{{tree}}", [old], "First\n", author=author), old)
        update(name, new, old)

    monkeypatch.setattr(git, "update", late)
    evidence_branch.publish(hub.client(), {"0007/a.png": PICTURE}, subject="x")
    assert lost
    assert bare(hub).files("evidence", ".") == ["0006/a.png", "0007/a.png"]
    assert len(bare(hub).log("evidence")) == 3


def test_missing_permission_is_an_error(hub: Hub) -> None:
    """A token without write permission gives GitHub's 403 as an error."""
    github = hub.client(hub.server.token("x-app[bot]", permissions={"contents": "read"}, repository=NAME))
    with pytest.raises(GitHubError, match="adding images to evidence: GitHub answered 403"):
        evidence_branch.publish(github, {"0007/a.png": PICTURE}, subject="x")


@pytest.mark.parametrize("path", ["/a.png", "../a.png", "a/../b.png", "a//b.png", ".git/a.png", "a.html", "a", ""])
def test_only_images_at_plain_paths_are_accepted(hub: Hub, path: str) -> None:
    """Absolute paths, parent folders, .git and other file types raise ValueError."""
    with pytest.raises(ValueError, match="evidence must be an image at a plain relative path"):
        evidence_branch.publish(hub.client(), {path: PICTURE}, subject="x")

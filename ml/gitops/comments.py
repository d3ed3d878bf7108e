"""Creates and updates the bot's comments on pull requests and issues: one comment per marker, edited in place.

The marker is a first line that GitHub does not show. A comment of an untrusted author is never edited, even if it
begins with a marker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ml.gitops.github_client import BODY_LIMIT, GitHub, is_trusted_author

if TYPE_CHECKING:
    from github.IssueComment import IssueComment
    from github.Repository import Repository

_CUT_NOTE = "\n\n… cut off here: GitHub's length limit."


@dataclass(frozen=True, kw_only=True)
class Comment:
    """A comment; `state` says what `upsert` did to it."""

    id: int
    url: str
    body: str
    state: Literal["created", "updated", "kept"]


def marker_line(marker: str) -> str:
    """`marker` as a line that GitHub does not show; ValueError on two dashes in a row, which end an HTML comment."""
    if not marker or "--" in marker or not marker.replace(" ", "").replace("-", "").isalnum():
        raise ValueError(f"a marker is letters, digits, spaces and single dashes (got {marker!r})")
    return f"<!-- fraudops: {marker} -->"


def upsert(github: GitHub, number: int, marker: str, body: str) -> Comment:
    """Creates or updates the one comment with `marker` on pull request or issue `number`.

    If a lost response has left two of them, the first is updated and the others are deleted.
    """
    text = truncate(f"{marker_line(marker)}\n{body}")

    def operation(repository: Repository) -> Comment:
        issue = repository.get_issue(number)
        ours = [comment for comment in issue.get_comments() if _marked(comment, marker_line(marker))]
        if not ours:
            return _comment(issue.create_comment(text), "created")
        for extra in ours[1:]:
            extra.delete()
        if is_same_text(ours[0].body, text):
            return _comment(ours[0], "kept")
        ours[0].edit(text)
        return _comment(ours[0], "updated")

    return github.run(f"commenting on #{number}", operation)


def find(github: GitHub, number: int, marker: str) -> Comment | None:
    """The comment with `marker` on `number`, or None."""

    def operation(repository: Repository) -> Comment | None:
        comments = repository.get_issue(number).get_comments()
        return next((_comment(each, "kept") for each in comments if _marked(each, marker_line(marker))), None)

    return github.run(f"reading the comments on #{number}", operation)


def truncate(body: str) -> str:
    """`body`, cut at a line's end and with a note if it exceeds GitHub's length limit."""
    if github_length(body) <= BODY_LIMIT:
        return body
    room, kept = BODY_LIMIT - github_length(_CUT_NOTE), []
    for line in body.split("\n"):
        room -= github_length(line) + 1
        if room < 0:
            break
        kept.append(line)
    return "\n".join(kept) + _CUT_NOTE


def github_length(text: str) -> int:
    """The upper bound of GitHub's count: a character outside the basic plane counts as two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def is_same_text(one: str | None, other: str) -> bool:
    """Whether two texts are equal except for what GitHub normalises: line ends and surrounding space."""
    return (one or "").replace("\r\n", "\n").strip() == other.replace("\r\n", "\n").strip()


def _marked(comment: IssueComment, line: str) -> bool:
    return (comment.body or "").startswith(line) and is_trusted_author(comment.user, comment.author_association)


def _comment(comment: IssueComment, state: Literal["created", "updated", "kept"]) -> Comment:
    return Comment(id=comment.id, url=comment.html_url, body=comment.body, state=state)

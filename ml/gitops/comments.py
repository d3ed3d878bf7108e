"""Comments on pull requests and issues; a report replaces its predecessor in place.

Such a comment begins with a marker that GitHub does not show. One that somebody else wrote is never edited, whatever
it begins with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ml.gitops.github_client import BODY_LIMIT, GitHub, trusted

if TYPE_CHECKING:
    from github.IssueComment import IssueComment
    from github.Repository import Repository

_CUT = "\n\n… cut off here: GitHub takes no more."


@dataclass(frozen=True, kw_only=True)
class Comment:
    """A comment, and what became of it."""

    id: int
    url: str
    body: str
    state: Literal["created", "updated", "kept"]


def hidden(marker: str) -> str:
    """`marker` as the line that GitHub does not show: a word or more without dashes in a row, as `plan`."""
    if not marker or "--" in marker or not marker.replace(" ", "").replace("-", "").isalnum():
        raise ValueError(f"a marker is letters, digits, spaces and single dashes (got {marker!r})")
    return f"<!-- fraudops: {marker} -->"


def upsert(github: GitHub, number: int, marker: str, body: str) -> Comment:
    """Lets the one comment of that marker on pull request or issue `number` say `body`.

    Where a lost answer has left two of them, the first says it and the others go.
    """
    text = fitted(f"{hidden(marker)}\n{body}")

    def errand(repository: Repository) -> Comment:
        issue = repository.get_issue(number)
        ours = [comment for comment in issue.get_comments() if _marked(comment, hidden(marker))]
        if not ours:
            return _comment(issue.create_comment(text), "created")
        for extra in ours[1:]:
            extra.delete()
        if same(ours[0].body, text):
            return _comment(ours[0], "kept")
        ours[0].edit(text)
        return _comment(ours[0], "updated")

    return github.run(f"commenting on #{number}", errand)


def find(github: GitHub, number: int, marker: str) -> Comment | None:
    """The comment of that marker on `number`, if there is one."""

    def errand(repository: Repository) -> Comment | None:
        comments = repository.get_issue(number).get_comments()
        return next((_comment(each, "kept") for each in comments if _marked(each, hidden(marker))), None)

    return github.run(f"reading the comments on #{number}", errand)


def fitted(body: str) -> str:
    """`body`, cut at a line's end where GitHub would refuse it for its length, and saying so."""
    if length(body) <= BODY_LIMIT:
        return body
    room, kept = BODY_LIMIT - length(_CUT), []
    for line in body.split("\n"):
        room -= length(line) + 1
        if room < 0:
            break
        kept.append(line)
    return "\n".join(kept) + _CUT


def length(text: str) -> int:
    """As GitHub counts at most: a character outside the basic plane (an emoji) is two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def same(one: str | None, other: str) -> bool:
    """Whether two texts are equal but for what GitHub changes itself: line ends, and space around the whole."""
    return (one or "").replace("\r\n", "\n").strip() == other.replace("\r\n", "\n").strip()


def _marked(comment: IssueComment, line: str) -> bool:
    return (comment.body or "").startswith(line) and trusted(comment.user, comment.author_association)


def _comment(comment: IssueComment, state: Literal["created", "updated", "kept"]) -> Comment:
    return Comment(id=comment.id, url=comment.html_url, body=comment.body, state=state)

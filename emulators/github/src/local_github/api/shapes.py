"""Records as GitHub's REST API and webhooks show them: the same fields by the same names, as far as clients read them.

Shapes only: nothing here changes anything. Addresses start with the bases by which the caller came.
"""

from __future__ import annotations

from urllib.parse import quote

from local_github.api.shape_basics import Json, node, utc
from local_github.api.shape_checks import CheckShapes
from local_github.domain import state as records

__all__ = ["Json", "Shapes", "node", "utc"]


class Shapes(CheckShapes):
    """Renders every record for one caller; issues and pull requests here, the rest in what it builds on."""

    def label(self, repository: records.Repository, name: str) -> Json:
        """A label, by name."""
        label = repository.labels[name]
        return {
            "id": label.id,
            "node_id": node("LA", label.id),
            "url": self.at(repository, f"/labels/{quote(name)}"),
            "name": name,
            "color": label.color,
            "description": label.description,
            "default": False,
        }

    def _common(self, repository: records.Repository, issue: records.Issue) -> Json:
        return {
            "number": issue.number,
            "title": issue.title,
            "body": issue.body,
            "state": issue.state,
            "user": self.user(issue.author),
            "labels": [self.label(repository, name) for name in issue.labels if name in repository.labels],
            "assignee": self.user(issue.assignees[0]) if issue.assignees else None,
            "assignees": [self.user(login) for login in issue.assignees],
            "milestone": None,
            "locked": False,
            "active_lock_reason": None,
            "created_at": issue.created,
            "updated_at": issue.updated,
            "closed_at": issue.closed,
            "author_association": "NONE" if issue.author != repository.owner else "OWNER",
            "comments_url": self.at(repository, f"/issues/{issue.number}/comments"),
        }

    def issue(self, repository: records.Repository, issue: records.Issue) -> Json:
        """An issue, or a pull request as the issues' routes show it."""
        kind = "pull" if issue.pull else "issues"
        shape = self._common(repository, issue) | {
            "id": issue.id,
            "node_id": node("PR" if issue.pull else "I", issue.id),
            "url": self.at(repository, f"/issues/{issue.number}"),
            "repository_url": self.at(repository),
            "html_url": self.page(repository, f"/{kind}/{issue.number}"),
            "events_url": self.at(repository, f"/issues/{issue.number}/events"),
            "labels_url": self.at(repository, f"/issues/{issue.number}/labels{{/name}}"),
            "comments": len(issue.comments),
            "state_reason": issue.reason,
            "closed_by": self.user(issue.closed_by) if issue.closed_by else None,
        }
        if issue.pull:
            shape["pull_request"] = {
                "url": self.at(repository, f"/pulls/{issue.number}"),
                "html_url": self.page(repository, f"/pull/{issue.number}"),
                "merged_at": issue.pull.merged,
            }
        return shape

    def comment(self, repository: records.Repository, issue: records.Issue, comment: records.Comment) -> Json:
        """A comment of an issue or pull request."""
        kind = "pull" if issue.pull else "issues"
        return {
            "id": comment.id,
            "node_id": node("IC", comment.id),
            "url": self.at(repository, f"/issues/comments/{comment.id}"),
            "html_url": self.page(repository, f"/{kind}/{issue.number}#issuecomment-{comment.id}"),
            "issue_url": self.at(repository, f"/issues/{issue.number}"),
            "body": comment.body,
            "user": self.user(comment.author),
            "created_at": comment.created,
            "updated_at": comment.updated,
            "author_association": "NONE",
        }

    def _end(self, full_name: str, ref: str, sha: str) -> Json:
        repository = self.state.named(full_name)
        return {
            "label": f"{repository.owner}:{ref}",
            "ref": ref,
            "sha": sha,
            "user": self.user(repository.owner),
            "repo": self.repository(repository),
        }

    def pull(self, repository: records.Repository, issue: records.Issue, *, full: bool = True) -> Json:
        """A pull request; `full` adds what lists leave out."""
        pull = issue.pull
        assert pull is not None  # noqa: S101 - callers look pull requests up as such
        at = self.at(repository, f"/pulls/{issue.number}")
        shape = self._common(repository, issue) | {
            "id": pull.id,
            "node_id": node("PR", issue.id),
            "url": at,
            "html_url": self.page(repository, f"/pull/{issue.number}"),
            "diff_url": self.page(repository, f"/pull/{issue.number}.diff"),
            "patch_url": self.page(repository, f"/pull/{issue.number}.patch"),
            "issue_url": self.at(repository, f"/issues/{issue.number}"),
            "commits_url": f"{at}/commits",
            "statuses_url": self.at(repository, f"/statuses/{pull.head_sha}"),
            "review_comments_url": f"{at}/comments",
            "draft": pull.draft,
            "merged_at": pull.merged,
            "merge_commit_sha": pull.merge_sha,
            "head": self._end(pull.head_repository, pull.head_ref, pull.head_sha),
            "base": self._end(repository.full_name, pull.base_ref, pull.base_sha),
            "requested_reviewers": [self.user(login) for login in pull.reviewers],
            "requested_teams": [],
            "auto_merge": None,
        }
        if not full:
            return shape
        git = repository.git
        base = git.merge_base(pull.base_sha, pull.head_sha) or pull.base_sha
        changes = git.changes(base, pull.head_sha)
        open_now = issue.state == "open"
        return shape | {
            "merged": pull.merged is not None,
            "merged_by": self.user(pull.merged_by) if pull.merged_by else None,
            "mergeable": pull.mergeable if open_now else None,
            "rebaseable": False,
            "mergeable_state": "unknown"
            if pull.mergeable is None
            else "clean"
            if pull.mergeable
            else "dirty"
            if open_now
            else "unknown",
            "comments": len(issue.comments),
            "review_comments": 0,
            "maintainer_can_modify": pull.maintainer_can_modify,
            "commits": git.count(f"{base}..{pull.head_sha}"),
            "additions": sum(change.additions or 0 for change in changes),
            "deletions": sum(change.deletions or 0 for change in changes),
            "changed_files": len(changes),
        }

    def review(self, repository: records.Repository, issue: records.Issue, review: records.Review) -> Json:
        """A review."""
        return {
            "id": review.id,
            "node_id": node("PRR", review.id),
            "user": self.user(review.author),
            "body": review.body,
            "state": review.state,
            "commit_id": review.sha,
            "submitted_at": review.submitted,
            "html_url": self.page(repository, f"/pull/{issue.number}#pullrequestreview-{review.id}"),
            "pull_request_url": self.at(repository, f"/pulls/{issue.number}"),
            "author_association": "NONE",
        }

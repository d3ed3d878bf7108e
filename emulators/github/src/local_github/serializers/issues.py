"""Serializes issues, pull requests, labels, comments and reviews."""

from __future__ import annotations

from urllib.parse import quote

from local_github.domain.records import Comment, Issue, Repository, Review
from local_github.serializers.base import Json, Serializer, node_id


def label(serializer: Serializer, repository: Repository, name: str) -> Json:
    """A label, by name."""
    label = repository.labels[name]
    return {
        "id": label.id,
        "node_id": node_id("LA", label.id),
        "url": serializer.api_url(repository, f"/labels/{quote(name)}"),
        "name": name,
        "color": label.color,
        "description": label.description,
        "default": False,
    }


def _common(serializer: Serializer, repository: Repository, issue: Issue) -> Json:
    return {
        "number": issue.number,
        "title": issue.title,
        "body": issue.body,
        "state": issue.state,
        "user": serializer.user(issue.author),
        "labels": [label(serializer, repository, name) for name in issue.labels if name in repository.labels],
        "assignee": serializer.user(issue.assignees[0]) if issue.assignees else None,
        "assignees": [serializer.user(login) for login in issue.assignees],
        "milestone": None,
        "locked": False,
        "active_lock_reason": None,
        "created_at": issue.created,
        "updated_at": issue.updated,
        "closed_at": issue.closed,
        "author_association": "NONE" if issue.author != repository.owner else "OWNER",
        "comments_url": serializer.api_url(repository, f"/issues/{issue.number}/comments"),
    }


def issue(serializer: Serializer, repository: Repository, issue: Issue) -> Json:
    """An issue, or a pull request in the form of the issue routes."""
    kind = "pull" if issue.pull else "issues"
    body = _common(serializer, repository, issue) | {
        "id": issue.id,
        "node_id": node_id("PR" if issue.pull else "I", issue.id),
        "url": serializer.api_url(repository, f"/issues/{issue.number}"),
        "repository_url": serializer.api_url(repository),
        "html_url": serializer.page_url(repository, f"/{kind}/{issue.number}"),
        "events_url": serializer.api_url(repository, f"/issues/{issue.number}/events"),
        "labels_url": serializer.api_url(repository, f"/issues/{issue.number}/labels{{/name}}"),
        "comments": len(issue.comments),
        "state_reason": issue.reason,
        "closed_by": serializer.user(issue.closed_by) if issue.closed_by else None,
    }
    if issue.pull:
        body["pull_request"] = {
            "url": serializer.api_url(repository, f"/pulls/{issue.number}"),
            "html_url": serializer.page_url(repository, f"/pull/{issue.number}"),
            "merged_at": issue.pull.merged,
        }
    return body


def comment(serializer: Serializer, repository: Repository, issue: Issue, comment: Comment) -> Json:
    """A comment of an issue or pull request."""
    kind = "pull" if issue.pull else "issues"
    return {
        "id": comment.id,
        "node_id": node_id("IC", comment.id),
        "url": serializer.api_url(repository, f"/issues/comments/{comment.id}"),
        "html_url": serializer.page_url(repository, f"/{kind}/{issue.number}#issuecomment-{comment.id}"),
        "issue_url": serializer.api_url(repository, f"/issues/{issue.number}"),
        "body": comment.body,
        "user": serializer.user(comment.author),
        "created_at": comment.created,
        "updated_at": comment.updated,
        "author_association": "NONE",
    }


def _branch(serializer: Serializer, full_name: str, ref: str, sha: str) -> Json:
    repository = serializer.state.named(full_name)
    return {
        "label": f"{repository.owner}:{ref}",
        "ref": ref,
        "sha": sha,
        "user": serializer.user(repository.owner),
        "repo": serializer.repository(repository),
    }


def pull_request(serializer: Serializer, repository: Repository, issue: Issue, *, full: bool = True) -> Json:
    """A pull request; `full` adds the fields that lists omit."""
    pull = issue.pull
    assert pull is not None  # noqa: S101 - callers look pull requests up as such
    url = serializer.api_url(repository, f"/pulls/{issue.number}")
    body = _common(serializer, repository, issue) | {
        "id": pull.id,
        "node_id": node_id("PR", issue.id),
        "url": url,
        "html_url": serializer.page_url(repository, f"/pull/{issue.number}"),
        "diff_url": serializer.page_url(repository, f"/pull/{issue.number}.diff"),
        "patch_url": serializer.page_url(repository, f"/pull/{issue.number}.patch"),
        "issue_url": serializer.api_url(repository, f"/issues/{issue.number}"),
        "commits_url": f"{url}/commits",
        "statuses_url": serializer.api_url(repository, f"/statuses/{pull.head_sha}"),
        "review_comments_url": f"{url}/comments",
        "draft": pull.draft,
        "merged_at": pull.merged,
        "merge_commit_sha": pull.merge_sha,
        "head": _branch(serializer, pull.head_repository, pull.head_ref, pull.head_sha),
        "base": _branch(serializer, repository.full_name, pull.base_ref, pull.base_sha),
        "requested_reviewers": [serializer.user(login) for login in pull.reviewers],
        "requested_teams": [],
        "auto_merge": None,
    }
    if not full:
        return body
    git = repository.git
    base = git.merge_base(pull.base_sha, pull.head_sha) or pull.base_sha
    changes = git.changes(base, pull.head_sha)
    open_now = issue.state == "open"
    return body | {
        "merged": pull.merged is not None,
        "merged_by": serializer.user(pull.merged_by) if pull.merged_by else None,
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


def review(serializer: Serializer, repository: Repository, issue: Issue, review: Review) -> Json:
    """A review."""
    return {
        "id": review.id,
        "node_id": node_id("PRR", review.id),
        "user": serializer.user(review.author),
        "body": review.body,
        "state": review.state,
        "commit_id": review.sha,
        "submitted_at": review.submitted,
        "html_url": serializer.page_url(repository, f"/pull/{issue.number}#pullrequestreview-{review.id}"),
        "pull_request_url": serializer.api_url(repository, f"/pulls/{issue.number}"),
        "author_association": "NONE",
    }

"""Records as GitHub's REST API and webhooks show them: the same fields by the same names, as far as clients read them.

Shapes only: nothing here changes anything. Addresses start with the bases by which the caller came.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from ml import clock
from ml.local.github import state as records
from ml.local.github.bare import Change, Commit, Person
from ml.local.github.router import Links

Json = dict[str, Any]


def node(kind: str, number: int) -> str:
    """The GraphQL id of a record."""
    return f"{kind}_{number}"


@dataclass(frozen=True)
class Shapes:
    """Renders records for one caller."""

    state: records.State
    links: Links

    def user(self, login: str) -> Json:
        """A user, short."""
        user = self.state.user(login)
        return {
            "login": user.login,
            "id": user.id,
            "node_id": node("U", user.id),
            "avatar_url": "",
            "url": f"{self.links.api}/users/{quote(user.login)}",
            "html_url": f"{self.links.html}/{quote(user.login)}",
            "type": user.kind,
            "site_admin": False,
        }

    def at(self, repository: records.Repository, rest: str = "") -> str:
        """An address of the API below a repository."""
        return f"{self.links.api}/repos/{repository.full_name}{rest}"

    def page(self, repository: records.Repository, rest: str = "") -> str:
        """An address of a page below a repository."""
        return f"{self.links.html}/{repository.full_name}{rest}"

    def repository(self, repository: records.Repository) -> Json:
        """A repository."""
        at, page = self.at(repository), self.page(repository)
        parent = self.state.named(repository.parent) if repository.parent else None
        flags = {name: value for name, value in repository.settings.items() if name.startswith(("allow_", "delete_"))}
        shape = {
            "id": repository.id,
            "node_id": node("R", repository.id),
            "name": repository.name,
            "full_name": repository.full_name,
            "private": repository.private,
            "visibility": "private" if repository.private else "public",
            "owner": self.user(repository.owner),
            "html_url": page,
            "description": repository.description,
            "fork": repository.parent is not None,
            "url": at,
            "git_url": f"{page}.git",
            "clone_url": f"{page}.git",
            "ssh_url": f"{page}.git",
            "default_branch": repository.default_branch,
            "master_branch": repository.default_branch,
            "created_at": repository.created,
            "updated_at": repository.created,
            "pushed_at": repository.created,
            "archived": False,
            "disabled": False,
            "has_issues": True,
            "has_projects": False,
            "has_wiki": False,
            "open_issues_count": sum(issue.state == "open" for issue in repository.issues.values()),
            "topics": [],
            "permissions": {"admin": True, "maintain": True, "push": True, "triage": True, "pull": True},
            **{
                f"{name}_url": f"{at}/{path}"
                for name, path in {
                    "branches": "branches{/branch}",
                    "commits": "commits{/sha}",
                    "contents": "contents/{+path}",
                    "deployments": "deployments",
                    "issues": "issues{/number}",
                    "labels": "labels{/name}",
                    "pulls": "pulls{/number}",
                    "statuses": "statuses/{sha}",
                    "git_refs": "git/refs{/sha}",
                }.items()
            },
            **flags,
        }
        if parent:
            shape["parent"] = shape["source"] = self.repository(parent)
        return shape

    # -- Git

    def git_person(self, person: Person) -> Json:
        """An author or committer as Git has it."""
        return {"name": person.name, "email": person.email, "date": utc(person.date)}

    def account(self, person: Person) -> Json | None:
        """The user whose address this is, if GitHub gave it."""
        user = self.state.user_of_email(person.email)
        return self.user(user.login) if user else None

    def git_commit(self, repository: records.Repository, commit: Commit) -> Json:
        """A commit of the Git database."""
        return {
            "sha": commit.sha,
            "node_id": f"C_{commit.sha}",
            "url": self.at(repository, f"/git/commits/{commit.sha}"),
            "html_url": self.page(repository, f"/commit/{commit.sha}"),
            "author": self.git_person(commit.author),
            "committer": self.git_person(commit.committer),
            "message": commit.message,
            "tree": {"sha": commit.tree, "url": self.at(repository, f"/git/trees/{commit.tree}")},
            "parents": self._parents(repository, commit, "git/commits"),
            "verification": {"verified": False, "reason": "unsigned", "signature": None, "payload": None},
        }

    def _parents(self, repository: records.Repository, commit: Commit, route: str) -> list[Json]:
        return [
            {
                "sha": sha,
                "url": self.at(repository, f"/{route}/{sha}"),
                "html_url": self.page(repository, f"/commit/{sha}"),
            }
            for sha in commit.parents
        ]

    def commit(self, repository: records.Repository, commit: Commit) -> Json:
        """A commit with the accounts behind it."""
        inner = self.git_commit(repository, commit)
        kept = {key: inner[key] for key in ("author", "committer", "message", "tree", "verification", "url")}
        return {
            "sha": commit.sha,
            "node_id": f"C_{commit.sha}",
            "commit": kept | {"comment_count": 0},
            "url": self.at(repository, f"/commits/{commit.sha}"),
            "html_url": self.page(repository, f"/commit/{commit.sha}"),
            "comments_url": self.at(repository, f"/commits/{commit.sha}/comments"),
            "author": self.account(commit.author),
            "committer": self.account(commit.committer),
            "parents": self._parents(repository, commit, "commits"),
        }

    def files(
        self, repository: records.Repository, changes: Sequence[Change], patches: Sequence[str], ref: str
    ) -> list[Json]:
        """The files of a difference whose newer side is `ref`."""
        shapes = []
        for change, patch in zip(changes, patches, strict=True):
            path = quote(change.path)
            shape = {
                "sha": change.sha,
                "filename": change.path,
                "status": change.status,
                "additions": change.additions or 0,
                "deletions": change.deletions or 0,
                "changes": (change.additions or 0) + (change.deletions or 0),
                "blob_url": self.page(repository, f"/blob/{ref}/{path}"),
                "raw_url": self.page(repository, f"/raw/{ref}/{path}"),
                "contents_url": self.at(repository, f"/contents/{path}?ref={ref}"),
            }
            if patch:
                shape["patch"] = patch.rstrip("\n")
            if change.previous:
                shape["previous_filename"] = change.previous
            shapes.append(shape)
        return shapes

    def reference(self, repository: records.Repository, name: str, sha: str) -> Json:
        """A Git ref."""
        kind = repository.git.kind(sha)
        return {
            "ref": name,
            "node_id": f"REF_{repository.id}_{name}",
            "url": self.at(repository, f"/git/{quote(name)}"),
            "object": {"sha": sha, "type": kind, "url": self.at(repository, f"/git/{kind}s/{sha}")},
        }

    # -- issues and pull requests

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
            "mergeable_state": "unknown" if pull.mergeable is None else "clean" if pull.mergeable else "dirty"
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

    # -- statuses, checks, deployments

    def status(self, repository: records.Repository, status: records.Status) -> Json:
        """A commit status."""
        return {
            "id": status.id,
            "node_id": node("SC", status.id),
            "url": self.at(repository, f"/statuses/{status.sha}"),
            "avatar_url": "",
            "state": status.state,
            "context": status.context,
            "description": status.description,
            "target_url": status.target_url,
            "creator": self.user(status.creator),
            "created_at": status.created,
            "updated_at": status.created,
        }

    def check(self, repository: records.Repository, check: records.CheckRun) -> Json:
        """A check run."""
        page = self.page(repository, f"/runs/{check.id}")
        return {
            "id": check.id,
            "node_id": node("CR", check.id),
            "head_sha": check.sha,
            "external_id": "",
            "name": check.name,
            "url": self.at(repository, f"/check-runs/{check.id}"),
            "html_url": page,
            "details_url": check.details_url or page,
            "status": check.status,
            "conclusion": check.conclusion,
            "started_at": check.started,
            "completed_at": check.completed,
            "output": {"title": None, "summary": None, "text": None, "annotations_count": 0} | check.output,
            "app": {"id": 15368, "slug": check.app.removesuffix("[bot]"), "name": check.app.removesuffix("[bot]")},
            "check_suite": {"id": check.id},
            "pull_requests": [],
        }

    def deployment(self, repository: records.Repository, deployment: records.Deployment) -> Json:
        """A deployment."""
        at = self.at(repository, f"/deployments/{deployment.id}")
        return {
            "id": deployment.id,
            "node_id": node("DE", deployment.id),
            "url": at,
            "sha": deployment.sha,
            "ref": deployment.ref,
            "task": deployment.task,
            "payload": deployment.payload,
            "original_environment": deployment.environment,
            "environment": deployment.environment,
            "description": deployment.description,
            "creator": self.user(deployment.creator),
            "created_at": deployment.created,
            "updated_at": deployment.updated,
            "statuses_url": f"{at}/statuses",
            "repository_url": self.at(repository),
            "transient_environment": False,
            "production_environment": deployment.environment == "production",
        }

    def deployment_status(
        self, repository: records.Repository, deployment: records.Deployment, status: records.DeploymentStatus
    ) -> Json:
        """A status of a deployment."""
        at = self.at(repository, f"/deployments/{deployment.id}")
        return {
            "id": status.id,
            "node_id": node("DES", status.id),
            "url": f"{at}/statuses/{status.id}",
            "state": status.state,
            "creator": self.user(status.creator),
            "description": status.description,
            "environment": status.environment,
            "environment_url": status.environment_url,
            "target_url": status.log_url,
            "log_url": status.log_url,
            "created_at": status.created,
            "updated_at": status.created,
            "deployment_url": at,
            "repository_url": self.at(repository),
        }


def utc(date: str) -> str:
    """An ISO 8601 time as GitHub writes it, in UTC with a Z."""
    return clock.stamp(datetime.fromisoformat(date))

"""Repositories, issues and pull requests as GraphQL nodes, whose fields are computed only when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local_github.api.graphql.connections import Node, field
from local_github.api.graphql.node_basics import BasicNodes
from local_github.api.shapes import node
from local_github.domain import branch_protection
from local_github.domain import state as records
from local_github.domain.pull_requests import pull_of
from local_github.git.bare_repository import Change

_NOTHING: tuple[Any, ...] = ()
_RENAMED = {"removed": "DELETED"}


def _empty(_: Any) -> None:
    return None


class Nodes(BasicNodes):
    """Renders every record for one caller."""

    def repository(self, repository: records.Repository) -> Node:
        """A repository."""
        shapes, git, settings = self.call.github.shapes(self.call.links), repository.git, repository.settings
        page = shapes.page(repository)
        principal = self.call.principal
        writes = principal is not None and principal.may(repository.full_name, "contents", "write")
        admin = principal is not None and principal.is_admin(repository.full_name)
        parent = self._state.named(repository.parent) if repository.parent else None
        default = f"refs/heads/{repository.default_branch}"

        def pulls(_: Any, **arguments: Any) -> Node:
            return self.pulls(repository, **arguments)

        def issues(_: Any, **arguments: Any) -> Node:
            return self.issues(repository, **arguments)

        def of(number: int, kind: str | None) -> Node | None:
            issue = repository.issues.get(number)
            if issue is None or (kind == "pull" and not issue.pull) or (kind == "issue" and issue.pull):
                return None
            return self.pull(repository, issue) if issue.pull else self.issue(repository, issue)

        return {
            "__typename": "Repository",
            "id": node("R", repository.id),
            "databaseId": repository.id,
            "name": repository.name,
            "nameWithOwner": repository.full_name,
            "owner": self.actor(repository.owner),
            "description": repository.description,
            "url": page,
            "sshUrl": f"{page}.git",
            "isPrivate": repository.private,
            "visibility": "PRIVATE" if repository.private else "PUBLIC",
            "isFork": parent is not None,
            "isEmpty": lambda _: not git.refs(),
            **dict.fromkeys(("isArchived", "isTemplate", "isInOrganization", "isMirror"), False),
            **dict.fromkeys(("hasProjectsEnabled", "hasWikiEnabled", "hasDiscussionsEnabled"), False),
            "hasIssuesEnabled": True,
            **dict.fromkeys(("createdAt", "updatedAt", "pushedAt"), repository.created),
            **dict.fromkeys(("stargazerCount", "forkCount", "diskUsage"), 0),
            "defaultBranchRef": lambda _: self.ref(repository, default),
            "parent": lambda _: self.repository(parent) if parent else None,
            "viewerPermission": "ADMIN" if admin else "WRITE" if writes else "READ",
            "viewerCanAdminister": admin,
            "viewerDefaultMergeMethod": "MERGE",
            "mergeCommitAllowed": settings["allow_merge_commit"],
            "squashMergeAllowed": settings["allow_squash_merge"],
            "rebaseMergeAllowed": settings["allow_rebase_merge"],
            "autoMergeAllowed": False,
            "deleteBranchOnMerge": settings["delete_branch_on_merge"],
            "repositoryTopics": field(_NOTHING, _empty),
            "ref": lambda _, qualifiedName: self.ref(
                repository, qualifiedName if qualifiedName.startswith("refs/") else f"refs/heads/{qualifiedName}"
            ),
            "refs": lambda _, refPrefix, query=None, **arguments: field(
                [name for name in git.refs(refPrefix) if not query or query in name],
                lambda name: self.ref(repository, name),
            )(_, **{key: value for key, value in arguments.items() if key in {"first", "after"}}),
            "object": lambda _, expression=None, oid=None: self.object(repository, oid or expression or ""),
            "pullRequest": lambda _, number: of(number, "pull"),
            "pullRequests": pulls,
            "issue": lambda _, number: of(number, "issue"),
            "issues": issues,
            "issueOrPullRequest": lambda _, number: of(number, None),
            "label": lambda _, name: self.label(repository, name) if name in repository.labels else None,
            "labels": lambda _, query=None, orderBy=None, **arguments: field(  # noqa: ARG005 - GitHub's names
                [name for name in sorted(repository.labels) if not query or query.lower() in name.lower()],
                lambda name: self.label(repository, name),
            )(_, **arguments),
            **dict.fromkeys(("milestones", "projects", "projectsV2"), field(_NOTHING, _empty)),
            "assignableUsers": field(self._people, self.actor),
            "suggestedActors": field(self._people, self.actor),
            "issueTemplates": [],
            "pullRequestTemplates": [],
        }

    def _people(self) -> list[str]:
        return [user.login for user in self._state.users.values() if user.kind == "User"]

    def _common(self, repository: records.Repository, issue: records.Issue) -> Node:
        labels = [name for name in issue.labels if name in repository.labels]
        kind = "pull" if issue.pull else "issues"
        return {
            "databaseId": issue.id,
            "number": issue.number,
            "title": issue.title,
            "body": issue.body or "",
            "author": self.actor(issue.author),
            "authorAssociation": "NONE",
            "url": self.call.github.shapes(self.call.links).page(repository, f"/{kind}/{issue.number}"),
            "createdAt": issue.created,
            "updatedAt": issue.updated,
            "closed": issue.state == "closed",
            "closedAt": issue.closed,
            "isPinned": False,
            "repository": lambda _: self.repository(repository),
            "reactionGroups": [],
            "comments": field(issue.comments, lambda comment: self.comment(repository, issue, comment)),
            "labels": field(labels, lambda name: self.label(repository, name)),
            "assignees": field(issue.assignees, self.actor),
            "assignedActors": field(issue.assignees, self.actor),
            **dict.fromkeys(("projectCards", "projectItems"), field(_NOTHING, _empty)),
            **dict.fromkeys(("closingIssuesReferences", "closedByPullRequestsReferences"), field(_NOTHING, _empty)),
        }

    def issue(self, repository: records.Repository, issue: records.Issue) -> Node:
        """An issue that is no pull request."""
        return self._common(repository, issue) | {
            "__typename": "Issue",
            "id": node("I", issue.id),
            "state": issue.state.upper(),
            "subIssuesSummary": {"total": 0, "completed": 0, "percentCompleted": 0},
            **dict.fromkeys(("subIssues", "blockedBy", "blocking"), field(_NOTHING, _empty)),
            "stateReason": lambda _, **__: issue.reason.upper() if issue.reason else None,
        }

    def issues(
        self,
        repository: records.Repository,
        *,
        states: list[str] | None = None,
        labels: list[str] | None = None,
        filterBy: dict[str, Any] | None = None,
        orderBy: dict[str, str] | None = None,
        **page: Any,
    ) -> Node:
        """Issues by state and label, newest first."""
        by = filterBy or {}
        found = [issue for issue in reversed(repository.issues.values()) if issue.pull is None]
        wanted = states or by.get("states")
        if wanted:
            found = [issue for issue in found if issue.state.upper() in wanted]
        for name in labels or by.get("labels") or []:
            found = [issue for issue in found if name.lower() in {label.lower() for label in issue.labels}]
        if by.get("createdBy"):
            found = [issue for issue in found if issue.author == by["createdBy"]]
        if by.get("assignee"):
            found = [issue for issue in found if by["assignee"] in issue.assignees]
        if by.get("mentioned"):
            found = [issue for issue in found if f"@{by['mentioned']}" in (issue.body or "")]
        _order(found, orderBy)
        return field(found, lambda issue: self.issue(repository, issue))(None, **page)

    def pulls(
        self,
        repository: records.Repository,
        *,
        states: list[str] | None = None,
        labels: list[str] | None = None,
        headRefName: str | None = None,
        baseRefName: str | None = None,
        orderBy: dict[str, str] | None = None,
        **page: Any,
    ) -> Node:
        """Pull requests by state, label and branches, newest first."""
        found = repository.pulls()
        if states:
            found = [issue for issue in found if state_of(issue) in states]
        if headRefName:
            found = [issue for issue in found if pull_of(issue).head_ref == headRefName]
        if baseRefName:
            found = [issue for issue in found if pull_of(issue).base_ref == baseRefName]
        for name in labels or []:
            found = [issue for issue in found if name in issue.labels]
        _order(found, orderBy)
        return field(found, lambda issue: self.pull(repository, issue))(None, **page)

    def pull(self, repository: records.Repository, issue: records.Issue) -> Node:
        """A pull request."""
        pull, git, shapes = pull_of(issue), repository.git, self.call.github.shapes(self.call.links)
        head = self._state.named(pull.head_repository)

        def full(name: str) -> Callable[[Any], Any]:
            return lambda _: shapes.pull(repository, issue)[name]

        open_now = issue.state == "open"
        base = git.merge_base(pull.base_sha, pull.head_sha) or pull.base_sha
        merged = pull.merge_sha if pull.merged else None
        known = open_now and pull.mergeable is not None
        mergeable = ("MERGEABLE" if pull.mergeable else "CONFLICTING") if known else "UNKNOWN"
        return self._common(repository, issue) | {
            "__typename": "PullRequest",
            "id": node("PR", issue.id),
            "fullDatabaseId": str(pull.id),
            "state": state_of(issue),
            "isDraft": pull.draft,
            "merged": pull.merged is not None,
            "mergedAt": pull.merged,
            "mergedBy": self.actor(pull.merged_by) if pull.merged_by else None,
            "mergeCommit": lambda _: self.object(repository, merged) if merged else None,
            "potentialMergeCommit": lambda _: self.object(repository, pull.merge_sha) if pull.merge_sha else None,
            "mergeable": mergeable,
            "mergeStateStatus": lambda _: self._merge_state(repository, issue),
            **dict.fromkeys(("isInMergeQueue", "isMergeQueueEnabled", "viewerCanUpdateBranch"), False),
            "headRefName": pull.head_ref,
            "headRefOid": pull.head_sha,
            "headRef": lambda _: self.ref(head, f"refs/heads/{pull.head_ref}"),
            "headRepository": lambda _: self.repository(head),
            "headRepositoryOwner": self.actor(head.owner),
            "isCrossRepository": head is not repository,
            "maintainerCanModify": pull.maintainer_can_modify,
            "baseRefName": pull.base_ref,
            "baseRefOid": pull.base_sha,
            "baseRef": lambda _: self.ref(repository, f"refs/heads/{pull.base_ref}"),
            "baseRepository": lambda _: self.repository(repository),
            "viewerMergeHeadlineText": lambda _, **__: (
                f"Merge pull request #{issue.number} from {head.owner}/{pull.head_ref}"
            ),
            "viewerMergeBodyText": lambda _, **__: issue.title,
            "additions": full("additions"),
            "deletions": full("deletions"),
            "changedFiles": full("changed_files"),
            "files": field(lambda: git.changes(base, pull.head_sha), _file),
            "commits": field(
                lambda: git.commits("--reverse", f"{base}..{pull.head_sha}"),
                lambda commit: {"id": f"PRC_{commit.sha}", "commit": self.commit(repository, commit)},
            ),
            "statusCheckRollup": lambda _: self.rollup(repository, pull.head_sha),
            "reviews": lambda _, states=None, **page: field(
                [review for review in pull.reviews if not states or review.state in states],
                lambda review: self.review(repository, issue, review),
            )(_, **page),
            "latestReviews": field(
                lambda: list({review.author: review for review in pull.reviews}.values()),
                lambda review: self.review(repository, issue, review),
            ),
            "reviewRequests": field(
                pull.reviewers, lambda login: {"id": f"RR_{login}", "requestedReviewer": self.actor(login)}
            ),
            "reviewDecision": self._decision(repository, issue),
            "suggestedReviewerActors": field(self._people, self.actor),
        }

    def _decision(self, repository: records.Repository, issue: records.Issue) -> str | None:
        pull = pull_of(issue)
        states = {review.author: review.state for review in pull.reviews if review.state != "COMMENTED"}.values()
        if "CHANGES_REQUESTED" in states:
            return "CHANGES_REQUESTED"
        if "APPROVED" in states:
            return "APPROVED"
        rule = repository.protections.get(pull.base_ref) or {}
        needed = (rule.get("required_pull_request_reviews") or {}).get("required_approving_review_count")
        return "REVIEW_REQUIRED" if needed else None

    def _merge_state(self, repository: records.Repository, issue: records.Issue) -> str:
        pull = pull_of(issue)
        if issue.state != "open":
            return "UNKNOWN"
        if not pull.mergeable:
            return "DIRTY"
        rule = repository.protections.get(pull.base_ref)
        if pull.draft:
            return "DRAFT"
        if rule and (
            branch_protection.missing(repository, rule, pull.head_sha)
            or self._decision(repository, issue) == "REVIEW_REQUIRED"
        ):
            return "BLOCKED"
        return "CLEAN"

    def review(self, repository: records.Repository, issue: records.Issue, review: records.Review) -> Node:
        """A review."""
        return {
            "__typename": "PullRequestReview",
            "id": node("PRR", review.id),
            "author": self.actor(review.author),
            "authorAssociation": "NONE",
            "body": review.body,
            "state": review.state,
            "submittedAt": review.submitted,
            "createdAt": review.submitted,
            "includesCreatedEdit": False,
            "reactionGroups": [],
            "url": self.call.github.shapes(self.call.links).review(repository, issue, review)["html_url"],
            "commit": lambda _: self.object(repository, review.sha),
        }


def state_of(issue: records.Issue) -> str:
    """OPEN, CLOSED or MERGED."""
    return "MERGED" if pull_of(issue).merged else issue.state.upper()


def _file(change: Change) -> Node:
    return {
        "path": change.path,
        "additions": change.additions or 0,
        "deletions": change.deletions or 0,
        "changeType": _RENAMED.get(change.status, change.status.upper()),
    }


def _order(found: list[records.Issue], order: dict[str, str] | None) -> None:
    if order and order["field"] == "UPDATED_AT":
        found.sort(key=lambda issue: issue.updated, reverse=True)
    if order and order["direction"] == "ASC":
        found.reverse()

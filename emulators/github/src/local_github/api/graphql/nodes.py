"""Renders users, repositories, Git objects, issues and pull requests as GraphQL nodes.

Nodes refer to each other, so their fields are functions that run only if a query selects them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local_github.api.graphql.check_nodes import status_check_rollup
from local_github.api.graphql.connections import Node, connection, connection_field
from local_github.api.graphql.filters import filter_issues, filter_pull_requests
from local_github.api.graphql.leaf_nodes import (
    blob,
    branch_protection_rule,
    changed_file,
    comment,
    label,
    review,
)
from local_github.api.graphql.pull_request_states import merge_state, review_decision, state_of
from local_github.api.router import Call
from local_github.clock import to_utc
from local_github.domain import merge_queue
from local_github.domain.in_memory_store import State
from local_github.domain.pull_requests import merge_base, pull_of
from local_github.domain.records import Comment, Issue, Repository, Review
from local_github.git.output_parser import Commit, Person
from local_github.serializers import issues as serialize_issues
from local_github.serializers.base import node_id

_EMPTY: tuple[Any, ...] = ()


def _no_node(_: Any) -> None:
    return None


@dataclass(frozen=True)
class Nodes:
    """Renders nodes for one caller."""

    call: Call

    @property
    def _state(self) -> State:
        return self.call.state

    def actor(self, login: str) -> Node:
        """A user or an App; GraphQL omits `[bot]` from an App's login."""
        user = self._state.user(login)
        bot = user.kind == "Bot"
        return {
            "__typename": "Bot" if bot else "User",
            "id": node_id("U", user.id),
            "databaseId": user.id,
            "login": login.removesuffix("[bot]") if bot else user.login,
            "name": user.login,
            "email": user.email,
            "avatarUrl": lambda _, **__: "",
            "resourcePath": f"/{user.login}",
            "url": f"{self.call.links.html}/{user.login}",
            "repositories": connection_field(
                lambda: [
                    r for r in self._state.repositories.values() if r.owner == user.login and self.call.can_see(r)
                ],
                self.repository,
            ),
        }

    def ref(self, repository: Repository, name: str) -> Node | None:
        """A ref; None if it does not exist."""
        sha = repository.git.ref(name)
        if sha is None:
            return None
        prefix = next((known for known in ("refs/heads/", "refs/tags/") if name.startswith(known)), "refs/")
        branch = name.removeprefix(prefix)
        rule = repository.protections.get(branch) if prefix == "refs/heads/" else None
        return {
            "id": f"REF_{repository.id}_{name}",
            "name": branch,
            "prefix": prefix,
            "target": lambda _: self.object(repository, sha),
            "repository": lambda _: self.repository(repository),
            "branchProtectionRule": branch_protection_rule(rule) if rule else None,
            "associatedPullRequests": lambda _, states=None, **arguments: self.pulls(
                repository, states=states, headRefName=branch, **arguments
            ),
        }

    def object(self, repository: Repository, expression: str) -> Node | None:
        """The object of an expression: a commit, or a blob for `main:path`; None if there is none."""
        revision, colon, path = expression.partition(":")
        commit = repository.git.commit(revision)
        if commit is None or not colon:
            return self.commit(repository, commit) if commit else None
        entry = repository.git.entry(commit.sha, path) if path else None
        if entry is None or entry.kind != "blob":
            return None
        return blob(entry.sha, repository.git.run("cat-file", "blob", entry.sha))

    def _person(self, person: Person) -> Node:
        user = self._state.user_of_email(person.email)
        account = self.actor(user.login) if user and user.kind == "User" else None
        return {"name": person.name, "email": person.email, "date": to_utc(person.date), "user": account}

    def commit(self, repository: Repository, commit: Commit) -> Node:
        """A commit."""
        headline, _, body = commit.message.partition("\n")
        return {
            "__typename": "Commit",
            "id": f"C_{commit.sha}",
            "oid": commit.sha,
            "abbreviatedOid": commit.sha[:7],
            "message": commit.message,
            "messageHeadline": headline,
            "messageBody": body.strip(),
            "committedDate": to_utc(commit.committer.date),
            "authoredDate": to_utc(commit.author.date),
            "author": self._person(commit.author),
            "committer": self._person(commit.committer),
            "authors": connection_field([commit.author], self._person),
            "url": self.call.serializer.page_url(repository, f"/commit/{commit.sha}"),
            "parents": connection_field(commit.parents, lambda sha: self.object(repository, sha)),
            "statusCheckRollup": lambda _: status_check_rollup(self.call, repository, commit.sha),
        }

    def repository(self, repository: Repository) -> Node:
        """A repository."""
        git, settings = repository.git, repository.settings
        page = self.call.serializer.page_url(repository)
        principal = self.call.principal
        writes = principal is not None and principal.may(repository.full_name, "contents", "write")
        admin = principal is not None and principal.is_admin(repository.full_name)
        parent = self._state.named(repository.parent) if repository.parent else None
        default = f"refs/heads/{repository.default_branch}"

        def by_number(number: int, kind: str | None) -> Node | None:
            issue = repository.issues.get(number)
            if issue is None or (kind == "pull" and not issue.pull) or (kind == "issue" and issue.pull):
                return None
            return self.pull(repository, issue) if issue.pull else self.issue(repository, issue)

        return {
            "__typename": "Repository",
            "id": node_id("R", repository.id),
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
            "autoMergeAllowed": settings["allow_auto_merge"],
            "deleteBranchOnMerge": settings["delete_branch_on_merge"],
            "repositoryTopics": connection_field(_EMPTY, _no_node),
            "ref": lambda _, qualifiedName: self.ref(
                repository, qualifiedName if qualifiedName.startswith("refs/") else f"refs/heads/{qualifiedName}"
            ),
            "refs": lambda _, refPrefix, query=None, **arguments: connection_field(
                [name for name in git.refs(refPrefix) if not query or query in name],
                lambda name: self.ref(repository, name),
            )(_, **{key: value for key, value in arguments.items() if key in {"first", "after"}}),
            "object": lambda _, expression=None, oid=None: self.object(repository, oid or expression or ""),
            "pullRequest": lambda _, number: by_number(number, "pull"),
            "pullRequests": lambda _, **arguments: self.pulls(repository, **arguments),
            "issue": lambda _, number: by_number(number, "issue"),
            "issues": lambda _, **arguments: self.issues(repository, **arguments),
            "issueOrPullRequest": lambda _, number: by_number(number, None),
            "label": lambda _, name: label(self.call, repository, name) if name in repository.labels else None,
            "labels": lambda _, query=None, orderBy=None, **arguments: connection_field(  # noqa: ARG005 - GitHub's names
                [name for name in sorted(repository.labels) if not query or query.lower() in name.lower()],
                lambda name: label(self.call, repository, name),
            )(_, **arguments),
            **dict.fromkeys(("milestones", "projects", "projectsV2"), connection_field(_EMPTY, _no_node)),
            "assignableUsers": connection_field(self._users, self.actor),
            "suggestedActors": connection_field(self._users, self.actor),
            "issueTemplates": [],
            "pullRequestTemplates": [],
        }

    def _users(self) -> list[str]:
        return [user.login for user in self._state.users.values() if user.kind == "User"]

    def _common(self, repository: Repository, issue: Issue) -> Node:
        labels = [name for name in issue.labels if name in repository.labels]
        kind = "pull" if issue.pull else "issues"
        return {
            "databaseId": issue.id,
            "number": issue.number,
            "title": issue.title,
            "body": issue.body or "",
            "author": self.actor(issue.author),
            "authorAssociation": "NONE",
            "url": self.call.serializer.page_url(repository, f"/{kind}/{issue.number}"),
            "createdAt": issue.created,
            "updatedAt": issue.updated,
            "closed": issue.state == "closed",
            "closedAt": issue.closed,
            "isPinned": False,
            "repository": lambda _: self.repository(repository),
            "reactionGroups": [],
            "comments": connection_field(issue.comments, lambda comment: self.comment(repository, issue, comment)),
            "labels": connection_field(labels, lambda name: label(self.call, repository, name)),
            "assignees": connection_field(issue.assignees, self.actor),
            "assignedActors": connection_field(issue.assignees, self.actor),
            **dict.fromkeys(("projectCards", "projectItems"), connection_field(_EMPTY, _no_node)),
            **dict.fromkeys(
                ("closingIssuesReferences", "closedByPullRequestsReferences"), connection_field(_EMPTY, _no_node)
            ),
        }

    def issue(self, repository: Repository, issue: Issue) -> Node:
        """An issue that is not a pull request."""
        return self._common(repository, issue) | {
            "__typename": "Issue",
            "id": node_id("I", issue.id),
            "state": issue.state.upper(),
            "subIssuesSummary": {"total": 0, "completed": 0, "percentCompleted": 0},
            **dict.fromkeys(("subIssues", "blockedBy", "blocking"), connection_field(_EMPTY, _no_node)),
            "stateReason": lambda _, **__: issue.reason.upper() if issue.reason else None,
        }

    def issues(
        self,
        repository: Repository,
        *,
        states: list[str] | None = None,
        labels: list[str] | None = None,
        filterBy: dict[str, Any] | None = None,
        orderBy: dict[str, str] | None = None,
        **page: Any,
    ) -> Node:
        """A connection of issues, by GitHub's arguments."""
        found = filter_issues(repository, states=states, labels=labels, filter_by=filterBy or {}, order_by=orderBy)
        return connection(found, lambda issue: self.issue(repository, issue), **page)

    def pulls(
        self,
        repository: Repository,
        *,
        states: list[str] | None = None,
        labels: list[str] | None = None,
        headRefName: str | None = None,
        baseRefName: str | None = None,
        orderBy: dict[str, str] | None = None,
        **page: Any,
    ) -> Node:
        """A connection of pull requests, by GitHub's arguments."""
        found = filter_pull_requests(
            repository, states=states, labels=labels, head=headRefName, base=baseRefName, order_by=orderBy
        )
        return connection(found, lambda issue: self.pull(repository, issue), **page)

    def pull(self, repository: Repository, issue: Issue) -> Node:
        """A pull request."""
        pull, git, serializer = pull_of(issue), repository.git, self.call.serializer
        head = self._state.named(pull.head_repository)

        def detail(name: str) -> Callable[[Any], Any]:
            return lambda _: serialize_issues.pull_request(serializer, repository, issue)[name]

        open_now = issue.state == "open"
        base = merge_base(repository, issue)
        merged = pull.merge_sha if pull.merged else None
        known = open_now and pull.mergeable is not None
        mergeable = ("MERGEABLE" if pull.mergeable else "CONFLICTING") if known else "UNKNOWN"
        return self._common(repository, issue) | {
            "__typename": "PullRequest",
            "id": node_id("PR", issue.id),
            "fullDatabaseId": str(pull.id),
            "state": state_of(issue),
            "isDraft": pull.draft,
            "merged": pull.merged is not None,
            "mergedAt": pull.merged,
            "mergedBy": self.actor(pull.merged_by) if pull.merged_by else None,
            "mergeCommit": lambda _: self.object(repository, merged) if merged else None,
            "potentialMergeCommit": lambda _: self.object(repository, pull.merge_sha) if pull.merge_sha else None,
            "mergeable": mergeable,
            "mergeStateStatus": lambda _: merge_state(self._state, repository, issue),
            "viewerCanUpdateBranch": False,
            "isInMergeQueue": lambda _: merge_queue.entry_of(repository, issue) is not None,
            "isMergeQueueEnabled": lambda _: merge_queue.rule_of(self._state, repository, pull.base_ref) is not None,
            "mergeQueueEntry": lambda _: self.queue_entry(repository, issue),
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
            "additions": detail("additions"),
            "deletions": detail("deletions"),
            "changedFiles": detail("changed_files"),
            "files": connection_field(lambda: git.changes(base, pull.head_sha), changed_file),
            "commits": connection_field(
                lambda: git.commits("--reverse", f"{base}..{pull.head_sha}"),
                lambda commit: {"id": f"PRC_{commit.sha}", "commit": self.commit(repository, commit)},
            ),
            "statusCheckRollup": lambda _: status_check_rollup(self.call, repository, pull.head_sha),
            "reviews": lambda _, states=None, **page: connection_field(
                [review for review in pull.reviews if not states or review.state in states],
                lambda review: self.review(repository, issue, review),
            )(_, **page),
            "latestReviews": connection_field(
                lambda: list({review.author: review for review in pull.reviews}.values()),
                lambda review: self.review(repository, issue, review),
            ),
            "reviewRequests": connection_field(
                pull.reviewers, lambda login: {"id": f"RR_{login}", "requestedReviewer": self.actor(login)}
            ),
            "reviewDecision": review_decision(self._state, repository, issue),
            "suggestedReviewerActors": connection_field(self._users, self.actor),
        }

    def queue_entry(self, repository: Repository, issue: Issue) -> Node | None:
        """The entry of a pull request in a merge queue; None if it is not queued."""
        entry = merge_queue.entry_of(repository, issue)
        if entry is None:
            return None
        return {
            "id": node_id("MQE", entry.id),
            "position": repository.merge_queues[pull_of(issue).base_ref].index(entry) + 1,
            "state": "AWAITING_CHECKS" if entry.sha else "QUEUED",
            "enqueuedAt": entry.enqueued,
            "enqueuer": self.actor(entry.by),
            "headCommit": lambda _: self.object(repository, entry.sha) if entry.sha else None,
            "baseCommit": lambda _: self.object(repository, entry.base) if entry.base else None,
            "pullRequest": lambda _: self.pull(repository, issue),
        }

    def comment(self, repository: Repository, issue: Issue, entry: Comment) -> Node:
        """A comment."""
        return comment(self.call, repository, issue, entry, author=self.actor(entry.author))

    def review(self, repository: Repository, issue: Issue, entry: Review) -> Node:
        """A review."""
        fields = review(self.call, repository, issue, entry, author=self.actor(entry.author))
        return fields | {"commit": lambda _: self.object(repository, entry.sha)}

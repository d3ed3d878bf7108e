"""Users, Git's objects and what is said of commits, as GraphQL nodes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from typing import Any

from local_github.api.graphql.connections import Node, field
from local_github.api.rest.statuses_and_checks import checks_of
from local_github.api.router import Call
from local_github.api.shapes import node, utc
from local_github.domain import branch_protection
from local_github.domain import state as records
from local_github.domain.events import RunView
from local_github.git.bare_repository import Commit, Person

_ROLLUP_STATE = {
    "success": "SUCCESS", "neutral": "SUCCESS", "skipped": "SUCCESS", "failure": "FAILURE", "error": "ERROR",
    "timed_out": "FAILURE", "cancelled": "FAILURE", "action_required": "FAILURE", "startup_failure": "FAILURE",
}  # fmt: skip


@dataclass(frozen=True)
class BasicNodes(ABC):
    """Renders what every other node contains, for one caller."""

    call: Call

    @property
    def _state(self) -> records.State:
        return self.call.github.state

    def actor(self, login: str) -> Node:
        """A user or an App. GitHub's GraphQL leaves `[bot]` off an App's login."""
        user = self._state.user(login)
        bot = user.kind == "Bot"
        return {
            "__typename": "Bot" if bot else "User",
            "id": node("U", user.id),
            "databaseId": user.id,
            "login": login.removesuffix("[bot]") if bot else user.login,
            "name": user.login,
            "email": user.email,
            "avatarUrl": lambda _, **__: "",
            "resourcePath": f"/{user.login}",
            "url": f"{self.call.links.html}/{user.login}",
            "repositories": field(
                lambda: [r for r in self._state.repositories.values() if r.owner == user.login and self.call.sees(r)],
                self.repository,
            ),
        }

    @abstractmethod
    def repository(self, repository: records.Repository) -> Node:
        """A repository."""

    @abstractmethod
    def pulls(self, repository: records.Repository, **arguments: Any) -> Node:
        """Its pull requests, by GitHub's arguments."""

    def ref(self, repository: records.Repository, name: str) -> Node | None:
        """A ref; None where there is none."""
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
            "branchProtectionRule": self._rule(rule) if rule else None,
            "associatedPullRequests": lambda _, states=None, **arguments: self.pulls(
                repository, states=states, headRefName=branch, **arguments
            ),
        }

    def _rule(self, rule: dict[str, Any]) -> Node:
        reviews = rule.get("required_pull_request_reviews") or {}
        return {
            "requiresStrictStatusChecks": bool((rule.get("required_status_checks") or {}).get("strict")),
            "requiredApprovingReviewCount": int(reviews.get("required_approving_review_count") or 0),
        }

    def object(self, repository: records.Repository, expression: str) -> Node | None:
        """What an expression names: a commit, or a file's blob as `main:path`."""
        revision, colon, path = expression.partition(":")
        commit = repository.git.commit(revision)
        if commit is None or not colon:
            return self.commit(repository, commit) if commit else None
        entry = repository.git.entry(commit.sha, path) if path else None
        if entry is None or entry.kind != "blob":
            return None
        data = repository.git.run("cat-file", "blob", entry.sha)
        return {
            "__typename": "Blob",
            "id": f"B_{entry.sha}",
            "oid": entry.sha,
            "abbreviatedOid": entry.sha[:7],
            "byteSize": len(data),
            "isBinary": b"\0" in data,
            "text": data.decode("utf-8", "replace"),
        }

    def _person(self, person: Person) -> Node:
        user = self._state.user_of_email(person.email)
        account = self.actor(user.login) if user and user.kind == "User" else None
        return {"name": person.name, "email": person.email, "date": utc(person.date), "user": account}

    def commit(self, repository: records.Repository, commit: Commit) -> Node:
        """A commit."""
        headline, _, body = commit.message.partition("\n")
        shapes = self.call.github.shapes(self.call.links)
        return {
            "__typename": "Commit",
            "id": f"C_{commit.sha}",
            "oid": commit.sha,
            "abbreviatedOid": commit.sha[:7],
            "message": commit.message,
            "messageHeadline": headline,
            "messageBody": body.strip(),
            "committedDate": utc(commit.committer.date),
            "authoredDate": utc(commit.author.date),
            "author": self._person(commit.author),
            "committer": self._person(commit.committer),
            "authors": field([commit.author], self._person),
            "url": shapes.page(repository, f"/commit/{commit.sha}"),
            "parents": field(commit.parents, lambda sha: self.object(repository, sha)),
            "statusCheckRollup": lambda _: self.rollup(repository, commit.sha),
        }

    # -- checks

    def rollup(self, repository: records.Repository, sha: str) -> Node | None:
        """The statuses and check runs of a commit, and what they come to; None where there are none."""
        statuses = branch_protection.latest(repository, sha)
        inner = Call(self.call.github, self.call.request, {"owner": repository.owner, "name": repository.name},
                     self.call.principal, self.call.links)  # fmt: skip
        checks = checks_of(inner, sha)
        if not statuses and not checks:
            return None
        states = {status.state.upper() for status in statuses}
        states |= {_ROLLUP_STATE.get(check.conclusion or "", "PENDING") for check in checks}
        state = next(known for known in ("ERROR", "FAILURE", "PENDING", "SUCCESS") if known in states)
        required = {name for rule in repository.protections.values() for name in branch_protection.contexts(rule)}
        runs = {job.id: run for run in self.call.github.run_source.runs_of(repository.full_name) for job in run.jobs}
        nodes = [self._check(check, required, runs.get(check.id)) for check in checks] + [
            self._status(item, required) for item in statuses
        ]
        by_check = Counter((check.conclusion or check.status).upper() for check in checks)
        by_status = Counter(status.state.upper() for status in statuses)

        def contexts(_: Any, **page: Any) -> Node:
            return field(nodes, lambda item: item)(_, **page) | {
                "checkRunCount": len(checks),
                "checkRunCountsByState": [{"state": name, "count": count} for name, count in by_check.items()],
                "statusContextCount": len(statuses),
                "statusContextCountsByState": [{"state": name, "count": count} for name, count in by_status.items()],
            }

        return {"id": f"SCR_{sha}", "state": state, "contexts": contexts}

    def _status(self, status: records.Status, required: set[str]) -> Node:
        return {
            "__typename": "StatusContext",
            "id": node("SC", status.id),
            "context": status.context,
            "state": status.state.upper(),
            "targetUrl": status.target_url,
            "createdAt": status.created,
            "description": status.description,
            "isRequired": lambda _, **__: status.context in required,
        }

    def _check(self, check: records.CheckRun, required: set[str], run: RunView | None) -> Node:
        workflow = {"id": f"WFR_{run.id}", "databaseId": run.id, "event": run.event, "runNumber": run.number,
                    "workflow": {"id": f"W_{run.workflow}", "name": run.workflow}} if run else None  # fmt: skip
        return {
            "__typename": "CheckRun",
            "id": node("CR", check.id),
            "databaseId": check.id,
            "name": check.name,
            "status": check.status.upper(),
            "conclusion": check.conclusion.upper() if check.conclusion else None,
            "startedAt": check.started,
            "completedAt": check.completed,
            "detailsUrl": check.details_url,
            "title": check.output.get("title"),
            "summary": check.output.get("summary"),
            "checkSuite": {
                "id": f"CS_{check.id}",
                "workflowRun": workflow,
                "app": {"name": check.app, "slug": check.app},
            },
            "isRequired": lambda _, **__: check.name in required,
        }

    def label(self, repository: records.Repository, name: str) -> Node:
        """A label of the repository."""
        label = repository.labels[name]
        shapes = self.call.github.shapes(self.call.links)
        return {
            "__typename": "Label",
            "id": node("LA", label.id),
            "name": name,
            "color": label.color,
            "description": label.description,
            "isDefault": False,
            "createdAt": repository.created,
            "url": shapes.page(repository, f"/labels/{name}"),
        }

    def comment(self, repository: records.Repository, issue: records.Issue, comment: records.Comment) -> Node:
        """A comment."""
        mine = self.call.principal is not None and self.call.principal.login == comment.author
        return {
            "__typename": "IssueComment",
            "id": node("IC", comment.id),
            "databaseId": comment.id,
            "body": comment.body,
            "author": self.actor(comment.author),
            "authorAssociation": "NONE",
            "createdAt": comment.created,
            "updatedAt": comment.updated,
            "includesCreatedEdit": comment.updated != comment.created,
            "isMinimized": False,
            "reactionGroups": [],
            "url": self.call.github.shapes(self.call.links).comment(repository, issue, comment)["html_url"],
            **dict.fromkeys(("viewerDidAuthor", "viewerCanDelete", "viewerCanUpdate"), mine),
        }

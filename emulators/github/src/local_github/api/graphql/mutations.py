"""Implements the GraphQL mutations: each finds its subject, checks the permission, and acts as REST does."""

from __future__ import annotations

from typing import Any

from local_github.api.graphql.connections import Node, connection_field
from local_github.api.graphql.nodes import Nodes
from local_github.api.router import Call
from local_github.domain import issues, merge_queue, merges, pull_requests
from local_github.domain.pull_requests import pull_of
from local_github.domain.records import Comment, Issue, Repository
from local_github.domain.tokens import Principal
from local_github.errors import ApiError
from local_github.serializers.base import node_id

Input = dict[str, Any]


class Mutations:
    """The fields of Mutation."""

    def __init__(self, call: Call) -> None:
        self._call, self._nodes = call, Nodes(call)

    @property
    def _principal(self) -> Principal:
        return self._call.caller

    # -- subjects, by id

    def _repository(self, identity: str) -> Repository:
        for repository in self._call.state.repositories.values():
            if node_id("R", repository.id) == identity and self._call.can_see(repository):
                return repository
        raise _unknown(identity)

    def _issue(self, identity: str) -> tuple[Repository, Issue]:
        for repository in self._call.state.repositories.values():
            for issue in repository.issues.values() if self._call.can_see(repository) else ():
                if node_id("PR" if issue.pull else "I", issue.id) == identity:
                    return repository, issue
        raise _unknown(identity)

    def _need(self, repository: Repository, *permissions: str, public: bool = False) -> None:
        """403 without one of the permissions; `public` accepts any user in a public repository."""
        principal = self._principal
        if public and not principal.is_bot and not repository.private:
            return
        if not any(principal.may(repository.full_name, name, "write") for name in permissions):
            raise principal.refusal()

    def _pull(self, identity: str, permission: str = "pull-requests") -> tuple[Repository, Issue]:
        repository, issue = self._issue(identity)
        if issue.pull is None:
            raise _unknown(identity)
        self._need(repository, permission)
        return repository, issue

    def _labels(self, repository: Repository, identities: list[str]) -> list[str]:
        known = {node_id("LA", label.id): name for name, label in repository.labels.items()}
        return [known[identity] for identity in identities if identity in known]

    def _logins(self, identities: list[str]) -> list[str]:
        known = {node_id("U", user.id): user.login for user in self._call.state.users.values()}
        return [known[identity] for identity in identities if identity in known]

    def _pull_payload(self, repository: Repository, issue: Issue) -> Node:
        return {"pullRequest": self._nodes.pull(repository, issue)}

    # -- pull requests

    def createPullRequest(self, input: Input) -> Node:  # noqa: N802, A002 - GitHub's names
        """Opens a pull request."""
        repository = self._repository(input["repositoryId"])
        self._need(repository, "pull-requests", public=True)
        pull_requests.check_may_open(repository, self._principal)
        source = self._repository(input["headRepositoryId"]) if input.get("headRepositoryId") else repository
        owner, colon, branch = input["headRefName"].rpartition(":")
        if colon and owner.lower() != source.owner.lower():
            forks = [r for r in self._call.state.repositories.values() if r.parent == repository.full_name]
            source = next((fork for fork in forks if fork.owner.lower() == owner.lower()), source)
        issue = pull_requests.open_pull_request(
            self._call.emitter,
            repository,
            self._principal,
            title=input["title"],
            body=input.get("body"),
            head=(source, branch),
            base=input["baseRefName"],
            draft=bool(input.get("draft")),
            maintainer_can_modify=bool(input.get("maintainerCanModify")),
        )
        return self._pull_payload(repository, issue)

    def updatePullRequest(self, input: Input) -> Node:  # noqa: N802, A002 - GitHub's names
        """Changes title, body, base, labels, assignees."""
        repository, issue = self._pull(input["pullRequestId"])
        pull = pull_of(issue)
        before: Node = {}
        if input.get("title") is not None:
            before["title"], issue.title = {"from": issue.title}, input["title"]
        if input.get("body") is not None:
            before["body"], issue.body = {"from": issue.body}, input["body"]
        if input.get("baseRefName") and input["baseRefName"] != pull.base_ref:
            if repository.git.branch(input["baseRefName"]) is None:
                raise ApiError(422, "Proposed base branch was not found")
            before["base"], pull.base_ref = {"ref": {"from": pull.base_ref}}, input["baseRefName"]
            pull_requests.refresh(self._call.state, repository, issue)
        self._set_labels_and_assignees(repository, issue, input)
        if before:
            self._call.state.touch(issue)
            pull_requests.emit(self._call.emitter, repository, issue, "edited", self._principal, changes=before)
        return self._pull_payload(repository, issue)

    def _set_labels_and_assignees(self, repository: Repository, issue: Issue, input: Input) -> None:  # noqa: A002 - GitHub's name
        if input.get("labelIds") is not None:
            names = self._labels(repository, input["labelIds"])
            issues.set_labels(self._call.emitter, repository, issue, names, self._principal)
        if input.get("assigneeIds") is not None:
            issue.assignees = self._logins(input["assigneeIds"])

    def mergePullRequest(self, input: Input) -> Node:  # noqa: N802, A002 - GitHub's names
        """Merges a pull request."""
        repository, issue = self._pull(input["pullRequestId"], "contents")
        merges.merge(
            self._call.emitter,
            repository,
            issue,
            self._principal,
            method=(input.get("mergeMethod") or "MERGE").lower(),
            title=input.get("commitHeadline") or None,
            message=input.get("commitBody"),
            expected_head=input.get("expectedHeadOid") or None,
        )
        return self._pull_payload(repository, issue)

    def enqueuePullRequest(self, input: Input) -> Node:  # noqa: N802, A002 - GitHub's names
        """Adds a pull request to the merge queue of its base."""
        if input.get("jump"):
            raise ApiError(422, "jump: the GitHub emulator adds to the end of a merge queue")
        repository, issue = self._pull(input["pullRequestId"], "contents")
        merge_queue.enqueue(
            self._call.emitter, repository, issue, self._principal, expected_head=input.get("expectedHeadOid")
        )
        return {"mergeQueueEntry": self._nodes.queue_entry(repository, issue)}

    def dequeuePullRequest(self, input: Input) -> Node:  # noqa: N802, A002 - GitHub's names
        """Removes a pull request from the merge queue."""
        repository, issue = self._pull(input["id"], "contents")
        entry = self._nodes.queue_entry(repository, issue)
        merge_queue.dequeue(self._call.emitter, repository, issue, self._principal)
        return {"mergeQueueEntry": entry}

    def enablePullRequestAutoMerge(self, input: Input) -> Node:  # noqa: N802, A002 - GitHub's names
        """Adds a pull request that is ready to a merge queue, as `gh pr merge` asks for; otherwise an error."""
        repository, issue = self._pull(input["pullRequestId"], "contents")
        if not repository.settings["allow_auto_merge"]:
            raise ApiError(422, "Auto merge is not allowed for this repository")
        try:
            merge_queue.enqueue(
                self._call.emitter, repository, issue, self._principal, expected_head=input.get("expectedHeadOid")
            )
        except ApiError as error:
            message = f"The GitHub emulator merges later only by a merge queue, when ready: {error.message}"
            raise ApiError(422, message) from error
        return self._pull_payload(repository, issue)

    def closePullRequest(self, input: Input) -> Node:  # noqa: N802, A002 - GitHub's names
        """Closes a pull request."""
        repository, issue = self._pull(input["pullRequestId"])
        if issue.state == "open":
            pull_requests.close(self._call.emitter, repository, issue, self._principal)
        return self._pull_payload(repository, issue)

    def reopenPullRequest(self, input: Input) -> Node:  # noqa: N802, A002 - GitHub's names
        """Reopens a pull request."""
        repository, issue = self._pull(input["pullRequestId"])
        if issue.state == "closed":
            pull_requests.reopen(self._call.emitter, repository, issue, self._principal)
        return self._pull_payload(repository, issue)

    def markPullRequestReadyForReview(self, input: Input) -> Node:  # noqa: N802, A002 - GitHub's names
        """Marks a draft as ready for review."""
        repository, issue = self._pull(input["pullRequestId"])
        pull_of(issue).draft = False
        pull_requests.emit(self._call.emitter, repository, issue, "ready_for_review", self._principal)
        return self._pull_payload(repository, issue)

    def convertPullRequestToDraft(self, input: Input) -> Node:  # noqa: N802, A002 - GitHub's names
        """Converts a pull request to a draft."""
        repository, issue = self._pull(input["pullRequestId"])
        pull_of(issue).draft = True
        pull_requests.emit(self._call.emitter, repository, issue, "converted_to_draft", self._principal)
        return self._pull_payload(repository, issue)

    def updatePullRequestBranch(self, input: Input) -> Node:  # noqa: N802, A002 - GitHub's names
        """Merges the base into the head branch."""
        repository, issue = self._pull(input["pullRequestId"], "contents")
        if merges.update_branch(self._call.emitter, repository, issue, self._principal) is None:
            raise ApiError(422, "merge conflict between base and head")
        return self._pull_payload(repository, issue)

    def requestReviews(self, input: Input) -> Node:  # noqa: N802, A002 - GitHub's names
        """Requests reviews by user id."""
        return self._request_reviews(
            input["pullRequestId"], self._logins(input.get("userIds") or []), bool(input.get("union"))
        )

    def requestReviewsByLogin(self, input: Input) -> Node:  # noqa: N802, A002 - GitHub's names
        """Requests reviews by login."""
        return self._request_reviews(input["pullRequestId"], input.get("userLogins") or [], bool(input.get("union")))

    def _request_reviews(self, identity: str, logins: list[str], union: bool) -> Node:
        repository, issue = self._pull(identity)
        pull = pull_of(issue)
        pull.reviewers = list(dict.fromkeys([*(pull.reviewers if union else []), *logins]))
        return self._pull_payload(repository, issue) | {
            "requestedReviewers": connection_field(pull.reviewers, self._nodes.actor)(None)
        }

    def addPullRequestReview(self, input: Input) -> Node:  # noqa: N802, A002 - GitHub's names
        """Adds a review."""
        repository, issue = self._pull(input["pullRequestId"])
        event, body = input.get("event") or "PENDING", input.get("body") or ""
        review = pull_requests.add_review(self._call.state, repository, issue, self._principal, event=event, body=body)
        return {"pullRequestReview": self._nodes.review(repository, issue, review)}

    # -- issues, comments, labels

    def createIssue(self, input: Input) -> Node:  # noqa: N802, A002 - GitHub's names
        """Opens an issue."""
        repository = self._repository(input["repositoryId"])
        self._need(repository, "issues", public=True)
        issue = issues.open_issue(
            self._call.emitter,
            repository,
            self._principal,
            title=input["title"],
            body=input.get("body"),
        )
        if self._principal.may(repository.full_name, "issues", "write"):
            self._set_labels_and_assignees(repository, issue, input)
        return {"issue": self._nodes.issue(repository, issue)}

    def _plain_issue(self, identity: str) -> tuple[Repository, Issue]:
        repository, issue = self._issue(identity)
        if issue.pull:
            raise _unknown(identity)
        self._need(repository, "issues")
        return repository, issue

    def updateIssue(self, input: Input) -> Node:  # noqa: N802, A002 - GitHub's names
        """Changes title, body, labels, assignees."""
        repository, issue = self._plain_issue(input["id"])
        issue.title = input.get("title") or issue.title
        issue.body = input["body"] if input.get("body") is not None else issue.body
        self._set_labels_and_assignees(repository, issue, input)
        self._call.state.touch(issue)
        return {"issue": self._nodes.issue(repository, issue)}

    def closeIssue(self, input: Input) -> Node:  # noqa: N802, A002 - GitHub's names
        """Closes an issue."""
        repository, issue = self._plain_issue(input["issueId"])
        reason = (input.get("stateReason") or "COMPLETED").lower()
        issues.set_state(self._call.emitter, repository, issue, "closed", self._principal, reason=reason)
        return {"issue": self._nodes.issue(repository, issue)}

    def reopenIssue(self, input: Input) -> Node:  # noqa: N802, A002 - GitHub's names
        """Reopens an issue."""
        repository, issue = self._plain_issue(input["issueId"])
        issues.set_state(self._call.emitter, repository, issue, "open", self._principal)
        return {"issue": self._nodes.issue(repository, issue)}

    def addComment(self, input: Input) -> Node:  # noqa: N802, A002 - GitHub's names
        """Adds a comment."""
        repository, issue = self._issue(input["subjectId"])
        self._need(repository, "issues", "pull-requests", public=True)
        if not input["body"].strip():
            raise ApiError(422, "Body can't be blank")
        comment = issues.add_comment(self._call.emitter, repository, issue, self._principal, input["body"])
        return {"commentEdge": {"node": self._nodes.comment(repository, issue, comment), "cursor": str(comment.id)}}

    def _comment(self, identity: str) -> tuple[Repository, Issue, Comment]:
        number = identity.removeprefix("IC_")
        for repository in self._call.state.repositories.values():
            found = issues.find_comment(repository, int(number)) if number.isdigit() else None
            if found and self._call.can_see(repository):
                self._need(repository, "issues", "pull-requests")
                return repository, *found
        raise _unknown(identity)

    def updateIssueComment(self, input: Input) -> Node:  # noqa: N802, A002 - GitHub's names
        """Changes a comment."""
        repository, issue, comment = self._comment(input["id"])
        comment.body = input["body"]
        self._call.state.touch(issue)
        comment.updated = issue.updated
        return {"issueComment": self._nodes.comment(repository, issue, comment)}

    def deleteIssueComment(self, input: Input) -> Node:  # noqa: N802, A002 - GitHub's names
        """Deletes a comment."""
        _, issue, comment = self._comment(input["id"])
        issue.comments.remove(comment)
        return {}

    def addLabelsToLabelable(self, input: Input) -> Node:  # noqa: N802, A002 - GitHub's names
        """Adds labels."""
        return self._label(input, add=True)

    def removeLabelsFromLabelable(self, input: Input) -> Node:  # noqa: N802, A002 - GitHub's names
        """Removes labels."""
        return self._label(input, add=False)

    def _label(self, input: Input, *, add: bool) -> Node:  # noqa: A002 - GitHub's name
        repository, issue = self._issue(input["labelableId"])
        self._need(repository, "issues", "pull-requests")
        named = self._labels(repository, input["labelIds"])
        names = [*issue.labels, *named] if add else [name for name in issue.labels if name not in named]
        issues.set_labels(self._call.emitter, repository, issue, names, self._principal)
        return {"labelable": self._subject(repository, issue)}

    def replaceActorsForAssignable(self, input: Input) -> Node:  # noqa: N802, A002 - GitHub's names
        """Sets the assignees."""
        repository, issue = self._issue(input["assignableId"])
        self._need(repository, "issues", "pull-requests")
        issue.assignees = [*self._logins(input.get("actorIds") or []), *(input.get("actorLogins") or [])]
        return {"assignable": self._subject(repository, issue)}

    def _subject(self, repository: Repository, issue: Issue) -> Node:
        return self._nodes.pull(repository, issue) if issue.pull else self._nodes.issue(repository, issue)


def _unknown(identity: str) -> ApiError:
    return ApiError(404, f"Could not resolve to a node with the global id of '{identity}'")

"""Merge queues of branches: builds a merge of each queued pull request, waits for its checks, and fast-forwards.

An entry is built on the entry before it, as with GitHub's grouping strategy ALLGREEN, and merged when it is the first
and its own commit has every required status. `advance` is called after each change of the records, by `EventQueue`;
callers of the other functions hold the lock and have checked permissions. Approves nothing and runs no workflow.

https://docs.github.com/repositories/configuring-branches-and-merges-in-your-repository/configuring-pull-request-merges/managing-a-merge-queue
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from local_github.clock import timestamp
from local_github.domain import branch_protection, merges, pull_requests, pushes
from local_github.domain.branch_rules import HEADS, QUEUE_PREFIX, BranchRule, QueueRule, rules_of
from local_github.domain.emitter import Emitter
from local_github.domain.in_memory_store import QUEUE_LOGIN, State
from local_github.domain.pull_requests import pull_of
from local_github.domain.records import Issue, QueueEntry, Repository
from local_github.domain.tokens import Principal
from local_github.errors import ApiError
from local_github.git.bare_repository import RefMoved
from local_github.git.output_parser import ZERO

_ITSELF = Principal(login=QUEUE_LOGIN, permissions={}, repository=None)


def rule_of(state: State, repository: Repository, branch: str) -> QueueRule | None:
    """The merge queue rule of a branch; None if it has no queue."""
    return _queue(rules_of(state, repository, f"{HEADS}{branch}"))


def _queue(rules: list[BranchRule]) -> QueueRule | None:
    return next((rule.queue for rule in rules if rule.queue is not None), None)


def entry_of(repository: Repository, issue: Issue) -> QueueEntry | None:
    """The entry of a pull request; None if it is not queued."""
    entries = repository.merge_queues.get(pull_of(issue).base_ref, ())
    return next((entry for entry in entries if entry.number == issue.number), None)


def enqueue(
    emitter: Emitter, repository: Repository, issue: Issue, principal: Principal, *, expected_head: str | None = None
) -> QueueEntry:
    """Adds a pull request to the end of the queue of its base.

    Raises:
        ApiError: 405 if the base has no queue, or the pull request is closed, a draft, queued already, in conflict, or
            lacks a review or status that the base requires; 409 if its head is not `expected_head`.
    """
    pull, state = pull_of(issue), emitter.state
    rules = rules_of(state, repository, f"{HEADS}{pull.base_ref}")
    if _queue(rules) is None:
        raise ApiError(405, f"Merge queue is not enabled on {pull.base_ref}")
    if issue.state != "open" or pull.draft:
        raise ApiError(405, "Pull Request is still a draft" if pull.draft else "Pull Request is not mergeable")
    if entry_of(repository, issue) is not None:
        raise ApiError(405, "Pull request is already in the merge queue")
    pull_requests.refresh(state, repository, issue)
    if expected_head and expected_head != pull.head_sha:
        raise ApiError(409, "Head branch was modified. Review and try the merge again.")
    obeyed = branch_protection.obeyed_rules(state, repository, pull.base_ref, principal, merging=True)
    obstacle = branch_protection.merge_obstacle(state, repository, issue, obeyed)
    if obstacle or not pull.mergeable:
        raise ApiError(405, obstacle or "Pull Request is not mergeable")
    entry = QueueEntry(
        id=state.new_id(), number=issue.number, by=principal.login, head=pull.head_sha, enqueued=state.now()
    )
    repository.merge_queues.setdefault(pull.base_ref, []).append(entry)
    pull_requests.emit(emitter, repository, issue, "enqueued", principal)
    return entry


def dequeue(emitter: Emitter, repository: Repository, issue: Issue, principal: Principal) -> QueueEntry:
    """Removes a pull request from the queue; 422 if it is not queued. Later entries are built again."""
    entry = entry_of(repository, issue)
    if entry is None:
        raise ApiError(422, "Pull request is not in the merge queue")
    _Queue(emitter, repository, pull_of(issue).base_ref).remove(entry, "MANUAL", principal)
    return entry


def advance(emitter: Emitter) -> None:
    """Builds, merges and removes what the records allow now, in every queue."""
    for repository in list(emitter.state.repositories.values()):
        for branch in list(repository.merge_queues):
            queue = _Queue(emitter, repository, branch)
            while queue.step():
                pass
            if not queue.entries:
                del repository.merge_queues[branch]


@dataclass(frozen=True)
class _Queue:
    """The entries of one branch; `step` and `remove` change them, and nothing else does."""

    emitter: Emitter
    repository: Repository
    branch: str

    @property
    def entries(self) -> list[QueueEntry]:
        return self.repository.merge_queues[self.branch]

    def step(self) -> bool:
        """Brings the queue up to date; returns whether its first entry left it, so that there may be more to do."""
        rules = rules_of(self.emitter.state, self.repository, f"{HEADS}{self.branch}")
        rule = _queue(rules) if self.repository.git.branch(self.branch) else None
        for entry in list(self.entries):
            reason = "QUEUE_CLEARED" if rule is None else self._reason_to_leave(entry)
            if reason:
                self.remove(entry, reason, _ITSELF)
        if rule is not None:
            self._build(rule)
        if rule is None or not self.entries:
            return False
        first = self.entries[0]
        results = [
            branch_protection.result(self.emitter.state, self.repository, first.sha or "", context, app)
            for each in rules
            for context, app in each.checks
        ]
        if all(results):
            return self._merge(first)
        due = self.emitter.state.clock() - timedelta(minutes=rule.timeout_minutes)
        if False not in results and timestamp(due) <= (first.built or ""):
            return False
        self.remove(first, "FAILED_CHECKS" if False in results else "CI_TIMEOUT", _ITSELF)
        return True

    def _reason_to_leave(self, entry: QueueEntry) -> str | None:
        """Why an entry may not stay: its pull request was closed, moved, or merged in another way."""
        issue = self.repository.issues[entry.number]
        pull = pull_of(issue)
        if issue.state != "open" or pull.draft or pull.base_ref != self.branch:
            return "MERGE" if pull.merged else "MANUAL"
        return None if pull.head_sha == entry.head else "BRANCH_PUSHED"

    def _build(self, rule: QueueRule) -> None:
        """Builds the first entries, each on the one before it; one that conflicts leaves the queue."""
        git, state = self.repository.git, self.emitter.state
        base = git.branch(self.branch) or ""
        for entry in list(self.entries):
            if self.entries.index(entry) >= rule.max_entries_to_build:
                break
            if entry.base == base and entry.sha:
                base = entry.sha
                continue
            self._discard(entry, "invalidated")
            tree = git.merged_tree(base, entry.head)
            if tree is None:
                self.remove(entry, "MERGE_CONFLICT", _ITSELF)
                continue
            entry.sha = git.write_commit(
                tree,
                (base, entry.head) if rule.merge_method == "merge" else (base,),
                merges.commit_message(self.repository, self.repository.issues[entry.number], rule.merge_method),
                author=state.author(entry.by),
                committer=state.github_person(),
            )
            entry.base, entry.built = base, state.now()
            entry.ref = f"{HEADS}{QUEUE_PREFIX}{self.branch}/pr-{entry.number}-{base}"
            git.force(entry.ref, entry.sha)
            pushes.record(self.emitter, self.repository, pushes.RefUpdate(entry.ref, ZERO, entry.sha), _ITSELF)
            self._emit(entry, "checks_requested")
            base = entry.sha

    def _merge(self, entry: QueueEntry) -> bool:
        """Fast-forwards the branch to an entry; returns whether it did, or the branch has moved meanwhile."""
        ref, before, sha = f"{HEADS}{self.branch}", entry.base or "", entry.sha or ""
        try:
            self.repository.git.update(ref, sha, before)
        except RefMoved:
            return self.repository.git.branch(self.branch) != before
        self.entries.remove(entry)
        issue = self.repository.issues[entry.number]
        pull_requests.mark_merged(self.emitter, self.repository, issue, sha, _ITSELF)
        pushes.record(self.emitter, self.repository, pushes.RefUpdate(ref, before, sha), _ITSELF)
        self._discard(entry, "merged")
        merges.delete_head_if_set(self.emitter, self.repository, issue, _ITSELF)
        return True

    def remove(self, entry: QueueEntry, reason: str, principal: Principal) -> None:
        """Takes an entry out without merging it."""
        self.entries.remove(entry)
        self._discard(entry, "dequeued")
        issue = self.repository.issues[entry.number]
        pull_requests.emit(self.emitter, self.repository, issue, "dequeued", principal, reason=reason)

    def _discard(self, entry: QueueEntry, reason: str) -> None:
        """Deletes the branch of an entry's commit, if it has one."""
        if not entry.ref or not entry.sha:
            return
        self._emit(entry, "destroyed", reason=reason)
        self.repository.git.force(entry.ref, None)
        pushes.record(self.emitter, self.repository, pushes.RefUpdate(entry.ref, entry.sha, ZERO), _ITSELF)
        entry.ref = entry.sha = entry.base = entry.built = None

    def _emit(self, entry: QueueEntry, action: str, **more: str) -> None:
        """Emits merge_group, whose documented member is `merge_group`; `destroyed` has a reason."""
        sha, serializer = entry.sha or "", self.emitter.serializer
        commit = self.repository.git.commit(sha)
        group = {
            "head_sha": sha,
            "head_ref": entry.ref,
            "base_sha": entry.base,
            "base_ref": f"{HEADS}{self.branch}",
            "head_commit": pushes.commit_json(serializer, self.repository, commit) if commit else None,
        }
        self.emitter.emit(
            "merge_group",
            self.repository,
            _ITSELF,
            action=action,
            ref=entry.ref,
            sha=sha,
            payload={"action": action, "merge_group": group, **more},
        )

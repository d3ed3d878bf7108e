"""Simulates the second person of the demo: approves pull requests and deployments by one stated rule, as its own user.

It has a token of its own, may write to the repository but not administer it, and merges nothing. What it does not
approve stays open, with the reason.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml import config, console
from ml.errors import ConfigError, DataError, Refused
from ml.gitops import commit_statuses
from ml.gitops.commit_statuses import CI
from ml.gitops.github_client import GitHub

if TYPE_CHECKING:
    from github.PullRequest import PullRequest
    from github.Repository import Repository
    from local_github.server import LocalGitHub

LOGIN = "scripted-reviewer"
RULE = (
    "A pull request is approved if its status fraudops/ci is green and it changes nothing outside model-config/. If it "
    "adds an approval record, its page must also say that the gate passed, and the record must equal what the registry "
    "has. A deployment is approved if its commit merged such a pull request. This is a script: no person looks at the "
    "model."
)
"""The whole rule; docs/demo.md quotes it."""
_FOLDER = "model-config/"
_GATE_PASSED = "## Gate: passed"
_WAITING = "waiting"


class ScriptedReviewer:
    """The reviewer of one repository on the GitHub emulator.

    Args:
        repository: OWNER/NAME, to which the user `LOGIN` may write.
    """

    def __init__(self, server: LocalGitHub, repository: str) -> None:
        self._github = GitHub(
            api_url=server.api_url, server_url=server.url, repository=repository, token=server.token(LOGIN)
        )

    def review(self, number: int) -> str | None:
        """Approves the head commit of a pull request; otherwise returns the objection and approves nothing."""

        def read(repository: Repository) -> PullRequest:
            return repository.get_pull(number)

        pull = self._github.run(f"reading #{number}", read)
        objection = self._objection(pull)
        if objection is not None:
            return objection

        def approve(repository: Repository) -> None:
            # The reviewed commit is named, so that a push in between is not approved.
            pull.create_review(repository.get_commit(pull.head.sha), body=RULE, event="APPROVE")

        self._github.run(f"approving #{number}", approve)
        console.note(f"   #{number} approved by {LOGIN}")
        return None

    def review_deployments(self) -> bool:
        """Approves the deployments that wait for this reviewer and come from a pull request that it has approved.

        Returns whether it approved any.
        """

        def operation(repository: Repository) -> bool:
            approved = False
            for run in repository.get_workflow_runs(status=_WAITING):
                url = f"{run.url}/pending_deployments"
                _, pending = repository.requester.requestJsonAndCheck("GET", url)
                waiting = [each["environment"] for each in pending if each["current_user_can_approve"]]
                if not waiting or not self._has_approved(repository, run.head_sha):
                    continue
                body = {"environment_ids": [each["id"] for each in waiting], "state": "approved", "comment": RULE}
                repository.requester.requestJsonAndCheck("POST", url, input=body)
                names = ", ".join(each["name"] for each in waiting)
                console.note(f"   {Path(run.path).name} of {run.head_sha[:12]}: {names} approved by {LOGIN}")
                approved = True
            return approved

        return self._github.run("reviewing deployments", operation)

    def _has_approved(self, repository: Repository, sha: str) -> bool:
        """Whether `sha` is the merge of a pull request that this reviewer has approved."""
        pulls = [pull for pull in repository.get_commit(sha).get_pulls() if pull.merge_commit_sha == sha]
        reviews = [review for pull in pulls for review in pull.get_reviews()]
        return any(review.user.login == LOGIN and review.state == "APPROVED" for review in reviews)

    def _objection(self, pull: PullRequest) -> str | None:
        """Why the rule does not approve a pull request; None if it does."""
        status = commit_statuses.status(self._github, pull.head.sha, CI)
        if status is None or status.state != "success":
            return f"{CI} is {status.state if status is not None else 'missing'}"
        changed = list(pull.get_files())
        files = [file.filename for file in changed]
        # A file that is moved away is named by its new place alone.
        files += [file.previous_filename for file in changed if file.status == "renamed" and file.previous_filename]
        outside = [name for name in files if not name.startswith(_FOLDER)]
        if outside:
            return f"it changes {outside[0]}, which is not below {_FOLDER}"
        added = (Path(name) for name in files)
        records = [path for path in added if path.parent == config.APPROVALS and path.suffix == ".yaml"]
        for path in records:
            objection = self._objection_to_record(pull, path)
            if objection is not None:
                return objection
        return None

    def _objection_to_record(self, pull: PullRequest, path: Path) -> str | None:
        from ml.aws import platform_stack
        from ml.records import approval_verification

        if _GATE_PASSED not in (pull.body or "").splitlines():
            return "its page does not say that the gate passed"

        def read(repository: Repository) -> str:
            found: Any = repository.get_contents(path.as_posix(), ref=pull.head.sha)
            return str(found.decoded_content.decode("utf-8"))

        try:
            record = config.parse(self._github.run(f"reading {path}", read), path, config.ApprovalRecord)
            approval_verification.against_registry(record, platform_stack.read())
        except (ConfigError, DataError, Refused) as error:
            return str(error)
        return None if record.verdict.status == "passed" else f"{path} says that the gate {record.verdict.status}"

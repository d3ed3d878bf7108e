"""A platform with packages, a repository on the GitHub emulator, and a workflow step's environment; not a test.

Workflows do not run here: the dispatches of a verb are recorded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from github.Repository import Repository as Api
from local_github.api.router import Call
from local_github.server import LocalGitHub

from ml import config
from ml.aws import registry
from ml.commands.propose import propose
from ml.gitops import approvals, serving_pointer
from ml.training.gate_result import GateResult
from tests.harness import evaluation_pictures
from tests.harness.git.repositories import GitWorkspace
from tests.harness.github.emulator import NAME, Hub
from tests.harness.platform.served import ServedPlatform
from tests.report.evaluations import COMPARED, evaluation

RUN = 4711
_REGISTERED = ("provenance", "artifact", "champion")  # as in the package


@dataclass
class BotEnvironment:
    """The environment of the tests of propose, record-failure, deploy and rollback."""

    env: ServedPlatform
    hub: Hub
    folder: Path
    started: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    """Each dispatch: workflow, ref, inputs."""

    @property
    def workspace(self) -> GitWorkspace:
        """The checkout."""
        return self.env.workspace

    @property
    def root(self) -> Path:
        """The folder of the checkout."""
        return self.workspace.root

    @property
    def api(self) -> Api:
        """The repository through a person's client."""
        return self.hub.person()

    def register(self, intercept: float, **changes: Any) -> str:
        """Registers a package with a complete evaluation, compared with the serving model; returns its ARN."""
        repository = self.workspace.repository
        pointed = serving_pointer.read(repository, "main").approval
        record = approvals.read_record(repository, "main", pointed) if pointed is not None else None
        compared = {"champion": COMPARED | {"artifact_sha256": record.artifact.sha256}} if record else {}
        measured = {key: value for key, value in evaluation().items() if key not in _REGISTERED}
        return self.env.register(intercept, **(measured | compared | changes))

    def outcome(self, arn: str, *, asked: str = "") -> Path:
        """The file that `train` writes for a run that registered that package."""
        package = registry.package(arn)
        found = registry.evaluation(package)
        file = self.folder / f"outcome-{package.version}.json"
        GateResult(
            verdict="passed",
            reason=found["verdict"]["reason"],
            execution_arn=f"arn:aws:sagemaker:eu-west-1:123456789012:pipeline/fraudops-training/execution/{arn[-1]}",
            package_arn=arn,
            version=package.version,
            kind=package.kind,
            commit=package.metadata["commit"],
            requests=tuple(package.metadata["requests"].split()),
            asked=asked,
            evaluation=found,
            evaluation_uri=package.evaluation_uri,
        ).write(file)
        return file

    def gate_failure(self, execution: str = "abcdef123456", *requests: str, asked: str = "") -> Path:
        """The file that `train` writes for a run that failed the gate."""
        file = self.folder / f"gate-failure-{execution}.json"
        found = evaluation()
        found["verdict"] = {
            "status": "failed",
            "reason": "Recall gate failed: 0.58 < 0.60 on 246 frauds in the test window.",
            "checks": [
                {"name": "recall", "passed": False, "observed": 0.58, "limit": 0.6, "detail": "Recall 0.58 < 0.60."}
            ],
        }
        GateResult(
            verdict="failed",
            reason=found["verdict"]["reason"],
            execution_arn=f"arn:aws:sagemaker:eu-west-1:123456789012:pipeline/fraudops-training/execution/{execution}",
            package_arn=None,
            version=None,
            kind="fit",
            commit=self.workspace.git("rev-parse", "HEAD"),
            requests=requests,
            asked=asked,
            evaluation=found,
            evaluation_uri=f"s3://lake/executions/{execution}/evaluate/evaluation/evaluation.json",
        ).write(file)
        return file

    def approve(self, arn: str) -> int:
        """Proposes a package, has bob review its pull request, and merges it as a person; returns its number."""
        number = propose(self.root, outcome=self.outcome(arn)).pull_request or 0
        self.review(number)
        self.merge(number)
        return number

    def review(self, number: int) -> None:
        """Approves a pull request as bob."""
        self.hub.person("bob").get_pull(number).create_review(event="APPROVE")

    def merge(self, number: int) -> None:
        """Merges a pull request on GitHub as a person, and updates the checkout."""
        assert self.api.get_pull(number).merge().merged
        self.pull()

    def push(self) -> None:
        """Pushes a person's commits on main."""
        self.workspace.git("-c", f"http.extraheader={self._header()}", "push", "-q", "origin", "main")

    def pull(self) -> None:
        """Updates the checkout."""
        self.workspace.git("-c", f"http.extraheader={self._header()}", "pull", "-q", "--ff-only", "origin", "main")

    def request(self, name: str) -> None:
        """Commits a retrain request as a person."""
        request = config.RetrainRequest(
            kind="fit",
            cause=name.split("Z-", 1)[1],
            reason="V3 moved, see @alice and #1",
            window=config.Window(start=None, end=None),
            evidence={"ks": 0.12},
        )
        self.workspace.write({config.REQUESTS / f"{name}.yaml": config.dump(request)}, f"Ask for {name}")
        self.push()

    def tip(self, branch: str) -> str:
        """The commit of a branch on GitHub."""
        return self.api.get_branch(branch).commit.sha

    def _header(self) -> str:
        import base64

        token = self.hub.server.token("alice")
        return f"Authorization: basic {base64.b64encode(f'x-access-token:{token}'.encode()).decode()}"


def around(env: ServedPlatform, server: LocalGitHub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> BotEnvironment:
    """The repository on that GitHub emulator, in the environment of a workflow's step."""
    evaluation_pictures.keep(monkeypatch)
    hub = Hub.around(server, env.workspace)
    bot = BotEnvironment(env=env, hub=hub, folder=folder)

    def dispatch(call: Call) -> None:
        call.need("actions", "write")
        bot.started.append((str(call.params["workflow"]), call.body["ref"], dict(call.body.get("inputs") or {})))

    server.router.register("POST", "/api/v3/repos/<owner>/<name>/actions/workflows/<workflow>/dispatches", dispatch)
    for name, value in {
        "GITHUB_API_URL": server.api_url,
        "GITHUB_SERVER_URL": server.url,
        "GITHUB_REPOSITORY": NAME,
        "GITHUB_TOKEN": hub.token,
        "GITHUB_RUN_ID": str(RUN),
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        "FRAUDOPS_TOKEN_FIRES": "false",
    }.items():
        monkeypatch.setenv(name, value)
    return bot

"""Both emulators with a bootstrapped platform, small data and a repository, and their reset between two runs.

The first run trains with real jobs. Later runs start from the same commit, so that SageMaker's step cache answers; the
reset removes everything else that a run has made.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

from local_aws.server import LocalAws
from local_github.api.router import Call
from local_github.server import LocalGitHub

from ml import clock, config
from ml.aws import platform_stack
from ml.aws.lake import Lake
from ml.commands.bootstrap import bootstrap
from ml.commands.data_import import import_data
from ml.playground import template_state
from ml.simulate import stand_in_data, table_files

NAME, BRANCH = "acme/fraudops", "main"
START = "2026-03-01T06:00:00Z"
ROWS, FRAUDS = 8_000, 60
_LEARNED = date(2026, 2, 25)
"""The first day of the training data. A drift check indexes each day since its end, so it is not long ago."""
PERSON, BOT = "alice", "github-actions[bot]"
_PARTS = ("infra", "ml/model", "ml/steps", "ml/spark", "ml/__init__.py")
"""What the verbs read in a checkout."""
_GRANTS = dict.fromkeys(("actions", "contents", "deployments", "issues", "pull-requests", "statuses"), "write")
_SETTINGS: Mapping[Path, Mapping[str, Any]] = {
    config.MODEL: {
        "split": {"train": 0.3, "validation": 0.2, "test": 0.5},
        "binning": {"amount_bins": 10, "amount_tail": [], "hour_bins": 8},
        "resampling": {"minority_ratio": 0.02, "neighbours": 5},
        "out_of_fold": {"below_alerts": 0, "blocks": 5},
    },
    config.GATE: {"max_false_positive_rate": 0.1},
    config.SERVING: {"rollout.termination_wait_seconds": 0, "rollout.timeout_minutes": 60},
}
"""Settings for little data: what is tested here is the loop, not the model."""
_RESULTS = ("executions/", "code/")
"""Prefixes of the lake that are kept: the results of jobs, to which the step cache points, and their code."""
_ADDRESS = "http://address.invalid/repository.git"
"""In a kept clone, in place of the emulator's address."""
_PERSON_SECONDS = 3_600
"""How long a person waits for an answer; PyGithub waits 15 s, which a machine that runs other things may take."""
_VARIABLES = ("AWS_", "GITHUB_", "GIT_", "FRAUDOPS_", "RUNNER_")


class ChaosEnvironment:
    """A context manager. `root` is the checkout of the current run's job.

    Args:
        source: a checkout of the product, whose code is copied and never changed.
        folder: takes everything that is made.
        flush_seconds: how long captured traffic is buffered, unless it is flushed.
    """

    def __init__(self, source: Path, folder: Path, *, flush_seconds: float = 0.05) -> None:
        self._source, self._folder = source, folder
        self.aws = LocalAws(
            folder / "aws",
            flush_seconds=flush_seconds,
            retry_seconds=(0.01, 0.01),
            double_every=0,
        )
        self.github = LocalGitHub(folder / "none")
        self.root = folder / "none"
        self.started: list[tuple[str, Mapping[str, Any]]] = []
        """The workflow dispatches of the current run: workflow, inputs."""
        self._started_on: list[tuple[str, str]] = []
        """Workflow and commit of each."""
        self.read: dict[str, dict[str, Any]] = {}
        """What the commits of main say, by id, as `observation` reads it."""
        self._clones: dict[str, Path] = {}
        """Checkouts by the refs of the repository. Commits have the run's dates, so that most runs have the same."""
        self._jobs = self._runs = 0
        self._kept: set[tuple[str, str]] = set()
        self._serves = False
        self._before: dict[str, str] = {}

    def __enter__(self) -> ChaosEnvironment:
        self._before = dict(os.environ)
        for name in list(os.environ):
            if name.startswith(_VARIABLES):
                del os.environ[name]
        (self._folder / "home").mkdir(parents=True, exist_ok=True)
        self.aws.start()
        self._set_variables()
        self._template = self._make_template()
        bootstrap(self._template)
        platform = platform_stack.read()
        self.bucket, self.group = platform.bucket, platform.package_group
        self._import_data()
        self._kept = self._versions()
        return self

    def __exit__(self, *_: object) -> None:
        self.github.stop()
        self.aws.stop()
        os.environ.clear()
        os.environ.update(self._before)

    def _set_variables(self) -> None:
        own = {"HOME": str(self._folder / "home"), "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
        os.environ |= {**own, **self.aws.environment()}
        self.at(START)

    def at(self, moment: str) -> None:
        """Sets the time of the product, of Git and of both emulators."""
        self.aws.clock.set(datetime.fromisoformat(moment))
        os.environ |= dict.fromkeys(("FRAUDOPS_NOW", "GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), moment)

    @property
    def folder(self) -> Path:
        """The folder of the current run."""
        return self._folder / f"run-{self._runs:05d}"

    def keep(self) -> None:
        """Makes what there is now, on main, in the lake and in SageMaker, the beginning of each further run.

        GitHub's pull requests and issues are not part of it.
        """
        self.checkout()
        self._template = self._folder / "kept"
        shutil.copytree(self.root, self._template)
        self._kept, self._serves = self._versions(), True

    def reset(self) -> None:
        """Removes what the last run has made, and creates GitHub and its repository anew."""
        self.aws.faults.set([])
        self.aws.settle()
        self.aws.flush()
        if not self._serves:
            self._empty_sagemaker()
        made = self._versions() - self._kept
        self._kept |= {(key, version) for key, version in made if key.startswith(_RESULTS)}
        self._remove(made - self._kept)
        if not self._serves:
            self.aws.forget_runs()
        self.github.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._runs += 1
        self._jobs = 0
        self._set_variables()
        self.folder.mkdir(parents=True)
        self.started, self._started_on = [], []
        self.github = LocalGitHub(self.folder / "github", clock=clock.now).start()
        self.github.create_repository(NAME, seed=self._template)
        workflow = "/api/v3/repos/<owner>/<name>/actions/workflows/<workflow>"
        self.github.router.register("POST", f"{workflow}/dispatches", self._dispatched)
        self.github.router.register("GET", f"{workflow}/runs", self._listed)
        self.checkout()

    def checkout(self) -> None:
        """A new checkout of main with the environment of a job: what a run of a workflow begins with."""
        self._jobs += 1
        self.root = self.folder / f"job-{self._jobs}"
        self._clone()
        token = self.github.token(BOT, permissions=_GRANTS, repository=NAME)  # type: ignore[arg-type] # literal values
        os.environ |= {
            "GITHUB_API_URL": self.github.api_url,
            "GITHUB_SERVER_URL": self.github.url,
            "GITHUB_REPOSITORY": NAME,
            "GITHUB_TOKEN": token,
            "GITHUB_RUN_ID": "4711",
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"),
            "RUNNER_TOOL_CACHE": str(self._folder / "tools"),
            "FRAUDOPS_TOKEN_FIRES": "false",
        }

    def _clone(self) -> None:
        """Copies a clone with the same refs, if there is one; only its address is another."""
        address = f"{self.github.url}/{NAME}.git"
        refs = self._git(self.main, "for-each-ref", "refs/heads", "refs/tags")
        if refs not in self._clones:
            clone = self._folder / f"clone-{len(self._clones)}"
            self._git(self._folder, *self._signed(), "clone", "-q", "--template=", address, str(clone))
            settings = clone / ".git/config"
            settings.write_text(settings.read_text("utf-8").replace(address, _ADDRESS), "utf-8")
            self._clones[refs] = clone
        shutil.copytree(self._clones[refs], self.root, symlinks=True)
        settings = self.root / ".git/config"
        settings.write_text(settings.read_text("utf-8").replace(_ADDRESS, address), "utf-8")

    def tip(self) -> str:
        """The commit of main on GitHub."""
        return self._git(self.main, "rev-parse", f"refs/heads/{BRANCH}")

    def merge(self, number: int) -> None:
        """Merges a pull request as a person."""
        repository = self.person()
        if not repository.get_pull(number).merge().merged:
            raise RuntimeError(f"the emulator did not merge #{number}")

    def change(self, path: Path, values: Mapping[str, Any], message: str) -> None:
        """Commits other values of a settings file on main, as a person."""
        repository = self.person()
        present = repository.get_contents(path.as_posix(), ref=BRANCH)
        text = config.set_values(present.decoded_content.decode(), path, values)
        repository.update_file(path.as_posix(), message, text, present.sha, branch=BRANCH)
        self.checkout()

    def person(self) -> Any:
        """The repository through a person's client."""
        from github import Auth, Github

        options: dict[str, Any] = {
            "seconds_between_requests": None,
            "seconds_between_writes": None,
            "timeout": _PERSON_SECONDS,
        }
        api = Github(auth=Auth.Token(self.github.token(PERSON)), base_url=self.github.api_url, retry=None, **options)
        return api.get_repo(NAME)

    @property
    def main(self) -> Path:
        """The bare repository on GitHub."""
        found = self.github.state.find(*NAME.split("/"))
        if found is None:
            raise RuntimeError(f"{NAME} does not exist")
        return found.git.path

    @contextmanager
    def without_faults(self) -> Iterator[None]:
        """Lets the driver's own calls pass."""
        self.aws.faults.set([])
        self.github.faults.set([])
        yield

    def _dispatched(self, call: Call) -> None:
        call.need("actions", "write")
        workflow = str(call.params["workflow"])
        self.started.append((workflow, dict(call.body.get("inputs") or {})))
        self._started_on.append((workflow, self._git(self.main, "rev-parse", str(call.body["ref"]))))

    def _listed(self, call: Call) -> dict[str, Any]:
        """The runs of a workflow: its dispatches. A verb that runs again asks whether one was started."""
        call.need("actions", "read")
        started = [sha for workflow, sha in self._started_on if workflow == call.params["workflow"]]
        return {"total_count": len(started), "workflow_runs": [{"head_sha": sha} for sha in started]}

    def _make_template(self) -> Path:
        root = self._folder / "template"
        for part in _PARTS:
            (root / part).parent.mkdir(parents=True, exist_ok=True)
            if (self._source / part).is_dir():
                shutil.copytree(self._source / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(self._source / part, root / part)
        template_state.write(root)
        for path, values in _SETTINGS.items():
            text = (root / path).read_text(encoding="utf-8")
            (root / path).write_text(config.set_values(text, path, values), encoding="utf-8")
        self._git(root, "init", "-q", "-b", BRANCH)
        self._git(root, "add", "-A")
        self._git(root, "-c", "user.name=A Person", "-c", "user.email=person@example.invalid", "commit", "-qm", "Begin")
        return root

    def _import_data(self) -> None:
        file = self._folder / "transactions.parquet"
        table_files.write(file, stand_in_data.draw(ROWS, frauds=FRAUDS, seed=3))
        columns = config.load_settings(self._template).training.columns
        import_data(str(file), lake=Lake(self.bucket), columns=columns, start=_LEARNED, quarantine=False)

    def _versions(self) -> set[tuple[str, str]]:
        """Key and version of everything in the lake."""
        found: set[tuple[str, str]] = set()
        for page in self.aws.client("s3").get_paginator("list_object_versions").paginate(Bucket=self.bucket):
            listed = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            found |= {(item["Key"], item["VersionId"]) for item in listed}
        return found

    def _remove(self, versions: set[tuple[str, str]]) -> None:
        chosen = [{"Key": key, "VersionId": version} for key, version in sorted(versions)]
        for start in range(0, len(chosen), 1_000):
            self.aws.client("s3").delete_objects(
                Bucket=self.bucket, Delete={"Objects": chosen[start : start + 1_000], "Quiet": True}
            )

    def _empty_sagemaker(self) -> None:
        sagemaker, group = self.aws.client("sagemaker"), self.group
        for item in sagemaker.list_endpoints()["Endpoints"]:
            sagemaker.delete_endpoint(EndpointName=item["EndpointName"])
        for item in sagemaker.list_endpoint_configs()["EndpointConfigs"]:
            sagemaker.delete_endpoint_config(EndpointConfigName=item["EndpointConfigName"])
        for item in sagemaker.list_models()["Models"]:
            sagemaker.delete_model(ModelName=item["ModelName"])
        for item in sagemaker.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]:
            sagemaker.delete_model_package(ModelPackageName=item["ModelPackageArn"])
        sagemaker.delete_model_package_group(ModelPackageGroupName=group)
        sagemaker.create_model_package_group(ModelPackageGroupName=group)

    def _signed(self) -> tuple[str, ...]:
        token = base64.b64encode(f"x-access-token:{self.github.token(PERSON)}".encode()).decode()
        return ("-c", f"http.extraheader=Authorization: basic {token}")

    @staticmethod
    def _git(folder: Path, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
        return done.stdout.strip()

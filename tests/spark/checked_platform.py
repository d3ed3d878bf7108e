"""A bootstrapped account on the AWS emulator whose window of traffic is checked for drift; not a test itself."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from local_aws.server import LocalAws

from ml import clock, config
from ml.aws import platform_stack, session
from ml.commands.bootstrap import bootstrap
from ml.drift import check_artifacts
from ml.drift.window_monitor import Monitor
from ml.gitops.repository import Repository
from ml.model import artifact
from tests.harness.aws.workflow_identity import WorkflowIdentity
from tests.harness.git import checkout, repositories
from tests.harness.git.repositories import GitWorkspace
from tests.harness.platform import monitored, permissions
from tests.harness.platform.job_images import IMAGES
from tests.spark.captured_window import END, ENDPOINT, NOW, START, Traffic

REPORT = f"monitoring/{ENDPOINT}/reports/20260301T000000Z_20260307T000000Z/report.html"


@dataclass
class Platform:
    """A bootstrapped account with a window of traffic, and a repository with the approval of its model."""

    cloud: LocalAws
    workspace: GitWorkspace
    bucket: str
    environment: dict[str, str]
    """The credentials of the role, and the time."""

    @contextmanager
    def signed_in(self) -> Iterator[None]:
        """Calls the emulator as the role, whatever test runs."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            session.renew()
            yield
        session.renew()

    def check(self, compute: dict[str, Any], *, keep: bool = False) -> tuple[dict[str, Any], bytes]:
        """The document and the report of a new check of the window, whose counts are made as `compute` says.

        It knows the check before it only with `keep`.
        """
        root = self.workspace.root
        text = (root / config.DRIFT).read_text("utf-8")
        rules = config.parse(f"{text}compute: {json.dumps(compute)}\n", config.DRIFT, config.DriftFile)
        s3 = self.cloud.client("s3")
        stored = s3.list_objects_v2(Bucket=self.bucket, Prefix=f"monitoring/{ENDPOINT}/checks/").get("Contents", [])
        for item in [] if keep else stored:
            s3.delete_object(Bucket=self.bucket, Key=item["Key"])
        with self.signed_in():
            repository = Repository.find(root)
            monitor = Monitor(repository, "HEAD", bucket=self.bucket, endpoint=ENDPOINT, rules=rules, serves=1)
            check = monitor.check((START, END))
            assert check.new
            check_artifacts.write(monitor, check, [check])
        report: bytes = s3.get_object(Bucket=self.bucket, Key=REPORT)["Body"].read()
        return dict(check.document), report

    def processing_jobs(self) -> list[str]:
        """The names of the processing jobs that the tests of a file have started in this account."""
        listed = self.cloud.client("sagemaker").get_paginator("list_processing_jobs").paginate()
        return sorted(job["ProcessingJobName"] for page in listed for job in page["ProcessingJobSummaries"])

    def used(self, owner: str) -> set[str]:
        """The Sids of the statements of a role, or of its trust policy, that allowed a call."""
        self.cloud.flush()
        lines = map(json.loads, (self.cloud.folder / "logs/decisions.jsonl").read_text("utf-8").splitlines())
        allowed = [line for line in lines if line["decision"] == "allowed"]
        return {
            sid
            for line in allowed
            for policy, sid in line["statements"]
            if owner in (permissions.owner_name(line["entity"]), permissions.owner_name(policy))
        }


@contextmanager
def checked_platform(folder: Path) -> Iterator[Platform]:
    """The account, as drift.yml's role sees it; its key encrypts what the job reads and writes, and its volumes."""
    root = checkout.copy(folder / "repository", "infra", "ml")
    checkout.set_values(root, config.SERVING, {"endpoint": ENDPOINT})
    workspace = GitWorkspace.begin(root)
    with LocalAws(folder / "cloud", images=IMAGES) as cloud, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("GITHUB_", "GH_"))]:
            patch.delenv(name)  # a fixture of a module runs before the variables of a test are removed
        for name, value in {**cloud.environment(), "FRAUDOPS_NOW": clock.stamp(NOW)}.items():
            patch.setenv(name, value)
        session.renew()
        made = bootstrap(root, repository="acme/fraud", settings_given=("Encryption=customer-key",))
        role = dict(made.variables)["FRAUDOPS_ROLE_DRIFT"]
        bucket = platform_stack.read().bucket
        Traffic(bucket).lay()
        archive = monitored.archive()
        key = "executions/1/artifact/model.tar.gz"
        cloud.client("s3").put_object(Bucket=bucket, Key=key, Body=archive)
        approved = config.Artifact(uri=f"s3://{bucket}/{key}", sha256=artifact.read(archive).sha256)
        record = repositories.record(1, artifact=approved, created=START)
        workspace.write({config.approval_path(1): config.dump(record)}, "Approve model 0001")
        WorkflowIdentity(cloud).assume(role, patch)
        environment = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "FRAUDOPS_"))}
        yield Platform(cloud, workspace, bucket, environment)
    session.renew()

"""A repository, a platform and a scripted SageMaker for tests of `fraudops train`; not a test itself."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ml import config
from ml.aws import registry, session
from ml.aws.import_manifest import Source
from ml.aws.lake import Lake
from ml.playground.template_state import FOLDER as SHIPPED
from tests.harness.aws.scripted_sagemaker import Scripted, ScriptedCloud, job_arn, step
from tests.harness.git import checkout

BUCKET, GROUP = "lake", "fraudops-model"
START = datetime(2026, 1, 1, tzinfo=UTC)
REQUEST = "20260301T060000Z-data-drift"
States = list[tuple[str, list[dict[str, Any]]]]


@dataclass
class TrainingPlatform:
    """A repository, a platform with some data, and a scripted SageMaker."""

    root: Path
    cloud: ScriptedCloud

    def git(self, *arguments: str) -> str:
        """Runs git in the repository."""
        done = subprocess.run(["git", *arguments], cwd=self.root, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, message: str = "change") -> str:
        """Commits everything."""
        self.git("add", "-A")
        self.git("-c", "user.name=A", "-c", "user.email=a@example.invalid", "commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")

    def write(self, path: str, text: str) -> None:
        """Writes a file of the repository."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    @property
    def only(self) -> Scripted:
        """The only execution."""
        (execution,) = self.cloud.executions.values()
        return execution


@contextmanager
def scripted(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrainingPlatform]:
    """The inputs of a training run below `place`, and a scripted execution that passes the gate."""
    root = checkout.copy(place / "repository", "ml/model", "ml/steps", "ml/spark", "ml/__init__.py")
    with ScriptedCloud() as cloud:
        for name, value in cloud.environment.items():
            monkeypatch.setenv(name, value)
        found = TrainingPlatform(root=root, cloud=cloud)
        found.git("init", "-q", "-b", "main")
        found.commit("start")
        set_up_platform()
        store(rows=10)
        cloud.script = lambda execution: passed(cloud, execution)
        yield found


def set_up_platform() -> None:
    """Creates a stack with the platform's outputs, its bucket and its package group."""
    outputs = {
        "Bucket": BUCKET,
        "ExecutionRoleArn": "arn:aws:iam::123456789012:role/execution",
        "PackageGroup": GROUP,
        "DeployFunction": "deploy",
        "TopicArn": "arn:aws:sns:us-east-1:123456789012:topic",
    }
    template = {
        "Resources": {"Lake": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": BUCKET}}},
        "Outputs": {key: {"Value": value} for key, value in outputs.items()},
    }
    session.client("cloudformation").create_stack(StackName="fraudops", TemplateBody=json.dumps(template))
    session.client("sagemaker").create_model_package_group(ModelPackageGroupName=GROUP)


def store(*, rows: int, start: datetime = START) -> None:
    """Stores transactions with arbitrary values in the lake."""
    names = [f"e{start:%m%d}-{index}" for index in range(rows)]
    times = pa.array([start + timedelta(minutes=index) for index in range(rows)], pa.timestamp("us", "UTC"))
    inputs = {name: pa.array([0.0] * rows) for name in config.load_settings(SHIPPED).training.columns.inputs}
    transactions = pa.table({"event_id": pa.array(names, pa.string()), "event_time": times, **inputs})
    labels = pa.table({"event_id": names, "label": pa.array([1] + [0] * (rows - 1), pa.int8()), "known_at": times})
    Lake(BUCKET).store(
        transactions,
        labels,
        source=Source(name="test", bytes=1, sha256="0" * 64),
        content_sha256=hashlib.sha256(str((rows, start)).encode()).hexdigest(),
        duplicates=0,
        quarantined=0,
    )


def evaluation(status: str = "passed", reason: str = "Recall 0.93 is above 0.60.") -> dict[str, Any]:
    """The part of evaluation.json that this command reads."""
    checks = [{"name": "recall", "passed": status == "passed", "observed": 0.93, "limit": 0.6, "detail": reason}]
    budget: dict[str, Any] = {"shortfall": None, "exceeded": False, "needed": None, "days": 1.0, "options": []}
    verdict = {"status": status, "reason": reason, "checks": checks}
    return {"schema": 1, "kind": "fit", "verdict": verdict, "budget": budget}


def evaluated(cloud: ScriptedCloud, execution: Scripted, document: dict[str, Any]) -> dict[str, Any]:
    """An Evaluate step whose job wrote `document`."""
    name = f"evaluate-{execution.arn[-4:]}"
    prefix = f"executions/{execution.arn.rsplit('/', 1)[1]}/evaluate/evaluation"
    session.client("s3").put_object(Bucket=BUCKET, Key=f"{prefix}/evaluation.json", Body=json.dumps(document).encode())
    output = {"OutputName": "evaluation", "S3Output": {"S3Uri": f"s3://{BUCKET}/{prefix}", "S3UploadMode": "EndOfJob"}}
    cloud.jobs[name] = {"ProcessingOutputConfig": {"Outputs": [output]}}
    return step("Evaluate", Metadata={"ProcessingJob": {"Arn": job_arn("processing-job", name)}})


def passed(cloud: ScriptedCloud, execution: Scripted) -> States:
    """The states of an execution that registers a package."""
    done = evaluated(cloud, execution, evaluation())
    uri = cloud.jobs[f"evaluate-{execution.arn[-4:]}"]["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
    archive = f"executions/{execution.arn.rsplit('/', 1)[1]}/model.tar.gz"
    session.client("s3").put_object(Bucket=BUCKET, Key=archive, Body=execution.arn.encode())
    answer = session.client("sagemaker").create_model_package(
        ModelPackageGroupName=GROUP,
        InferenceSpecification={
            "Containers": [{"Image": "image:1", "ModelDataUrl": f"s3://{BUCKET}/{archive}"}],
            "SupportedContentTypes": ["text/csv"],
        },
        ModelMetrics={
            "ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": f"{uri}/evaluation.json"}}
        },
        CustomerMetadataProperties={
            "kind": execution.parameters["Kind"],
            "commit": execution.parameters["Commit"],
            "evaluation_sha256": hashlib.sha256(json.dumps(evaluation()).encode()).hexdigest(),
            "requests": f"={execution.parameters.get('Requests', '')}",
        },
    )
    register = step("Register", Metadata={"RegisterModel": {"Arn": answer["ModelPackageArn"]}})
    return [
        ("Executing", [step("Prepare", "Executing")]),
        ("Succeeded", [step("Prepare", seconds=3.0), step("Train"), done, step("Gate"), register]),
    ]


def gate_failed(cloud: ScriptedCloud, execution: Scripted, reason: str) -> States:
    """The states of an execution that fails at the gate."""
    done = evaluated(cloud, execution, evaluation("failed", reason))
    end = step("GateFailed", "Failed", FailureReason=reason, Metadata={"Fail": {"ErrorMessage": reason}})
    return [("Failed", [step("Prepare"), step("Train"), done, step("Gate"), end])]


def failed(name: str = "job-1", *, reason: str = "AlgorithmError: exit code 1") -> States:
    """The states of an execution whose training job fails."""
    train_step = step(
        "Train",
        "Failed",
        FailureReason=reason,
        Metadata={"TrainingJob": {"Arn": job_arn("training-job", name)}},
    )
    return [("Failed", [step("Prepare"), train_step])]


def packages() -> int:
    """The number of packages in the registry."""
    return len(registry.packages(GROUP))

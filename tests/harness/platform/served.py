"""A repository, an AWS emulator with the platform, and packages registered without training; not a test itself.

The packages are like those of the pipeline: an archive in the lake, an evaluation and metadata.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from local_aws.server import REGION, LocalAws
from numpy.typing import NDArray

from ml import config
from ml.aws import platform_stack, registry
from ml.aws.pipeline.image import image_uri
from ml.aws.pipeline.model_environment import MODEL_ENVIRONMENT
from ml.aws.session import client
from ml.commands import approve as approving
from ml.commands import deploy as deploying
from ml.gitops import approvals, serving_pointer
from ml.model import artifact, document_fields, time_units
from ml.model.drift.reference import Summary
from ml.model.scorer import Scorer
from ml.release.result import DeploymentResult
from tests.harness.aws import moto_server
from tests.harness.git import checkout, settings
from tests.harness.git.repositories import PERSON, GitWorkspace

PROJECT = Path(__file__).resolve().parents[3]
ENDPOINT = "fraudops-production"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0"
FIGURE = {"value": 0.9, "low": 0.8, "high": 0.95, "count": 18, "of": 20}


def archive(
    intercept: float,
    provenance: dict[str, str],
    *,
    broken_code: bool = False,
    more_code: str = "",
    inputs: tuple[str, str, str] = ("Time", "V1", "Amount"),
    time_unit: str | None = time_units.SECONDS_SINCE_START,
    baseline: bytes | None = None,
) -> bytes:
    """A small model whose scores depend on its intercept; with `broken_code` its code cannot be loaded.

    Args:
        more_code: appended to its handler.
        inputs: the names of time, one feature and amount.
        time_unit: the unit of the time.
        baseline: its baseline.json; if None, one with the scores and alerts of `transactions`.
    """
    time, feature, amount = inputs
    model = {
        "schema": 3,
        "inputs": list(inputs),
        "time": {"column": time, "unit": time_unit, "zone": "UTC"},
        "amount": amount,
        "parts": [
            {
                "pattern": "known",
                "features": [
                    {
                        "name": feature,
                        "transform": "identity",
                        "limits": None,
                        "mean": 0.5,
                        "scale": 2.0,
                        "coefficient": 1.5,
                    },
                    {
                        "name": amount,
                        "transform": "log1p",
                        "limits": None,
                        "mean": 3.0,
                        "scale": 1.2,
                        "coefficient": 0.25,
                    },
                ],
                "bins": [
                    {"input": amount, "kind": "value", "edges": [10.0, 100.0], "coefficients": [0.1, -0.2, 0.3]},
                    {"input": time, "kind": "hour_of_day", "edges": [8.0, 16.0], "coefficients": [0.2, 0.0, -0.1]},
                ],
                "intercept": intercept,
                "recalibration": None,
            }
        ],
        "history": {"slope": 1.0, "intercept": 0.0},
        "threshold": {"policy": "fixed", "value": 0.5, "score": 0.5},
        "provenance": provenance,
    }
    document = document_fields.canonical(model).encode()
    code = artifact.code_files(PROJECT)
    handler = code["code/inference.py"] + f"\n\n{more_code}\n".encode() if more_code else code["code/inference.py"]
    return artifact.pack(
        {
            "model.json": document,
            "baseline.json": _baseline(Scorer.from_json(document)) if baseline is None else baseline,
            **code,
            "code/inference.py": handler,
            **({"code/inference.py": b"raise RuntimeError('this model cannot be loaded')\n"} if broken_code else {}),
        }
    )


def transactions(seed: int, rows: int) -> NDArray[np.float64]:
    """Random rows of time, feature and amount, as the small model's document expects them."""
    random = np.random.default_rng(seed)
    columns = (random.uniform(0, 86_400, rows).round(), random.normal(0.5, 2.0, rows), random.lognormal(3.0, 1.2, rows))
    return np.column_stack(columns)


def _baseline(model: Scorer) -> bytes:
    scores = model.score(transactions(0, 5_000))
    alerts = {"count": int(model.decide(scores).sum()), "of": len(scores)}
    document = {"fitted": [], "scores": Summary.reference(scores).to_dict(), "alerts": alerts}
    return document_fields.canonical(document).encode()


def repository(root: Path) -> GitWorkspace:
    """A repository with the shipped state and the infrastructure, whose endpoint settles at once."""
    checkout.copy(root, "infra")
    checkout.set_values(root, config.SERVING, settings.AT_ONCE)
    return GitWorkspace.begin(root)


@dataclass
class ServedPlatform:
    """The environment of the tests of approve, deploy and rollback."""

    workspace: GitWorkspace
    cloud: LocalAws | None = None
    """None on a moto without functions and endpoints, which will do for what is refused before anything happens."""
    data_sha256: str = "d" * 64
    """The digest of the training set of what is registered."""

    @property
    def root(self) -> Path:
        """The folder of the repository."""
        return self.workspace.root

    @property
    def where(self) -> platform_stack.Platform:
        """The platform."""
        return platform_stack.read()

    @property
    def endpoint_name(self) -> str:
        """The endpoint that the repository names."""
        return config.load_serving(self.root).endpoint

    def register(
        self,
        intercept: float,
        *,
        broken_code: bool = False,
        more_code: str = "",
        baseline: bytes | None = None,
        **changes: Any,
    ) -> str:
        """Registers a package as the pipeline does, compared with the serving model; returns its ARN.

        `changes` replace keys of the metadata that has them, otherwise of the evaluation; None removes one.
        """
        commit = self.workspace.repository.head()
        provenance = {
            "commit": commit,
            "config_sha256": config.load_settings(self.root).sha256,
            "data_sha256": self.data_sha256,
        }
        columns = config.load_settings(self.root).training.columns
        assert columns.clock is not None
        assert columns.amount is not None
        inputs = (columns.clock, columns.features[0], columns.amount)
        data = archive(
            intercept,
            provenance,
            broken_code=broken_code,
            more_code=more_code,
            inputs=inputs,
            time_unit=columns.time_unit,
            baseline=baseline,
        )
        sha256 = hashlib.sha256(data).hexdigest()
        folder = f"executions/{sha256[:12]}/evaluate"
        evaluation = self._evaluation(provenance, sha256)
        windows = {"requests": "=", "window_start": "=", "window_end": "="}
        metadata = {"kind": "fit", **provenance, "artifact_sha256": sha256, "evaluation_sha256": "", **windows}
        evaluation |= {key: value for key, value in changes.items() if key not in metadata}
        body = json.dumps(evaluation).encode()
        metadata["evaluation_sha256"] = hashlib.sha256(body).hexdigest()
        metadata |= {key: value for key, value in changes.items() if key in metadata}
        metadata = {key: value for key, value in metadata.items() if value is not None}
        bucket = self.where.bucket
        client("s3").put_object(Bucket=bucket, Key=f"{folder}/artifact/model.tar.gz", Body=data)
        client("s3").put_object(Bucket=bucket, Key=f"{folder}/evaluation/evaluation.json", Body=body)
        uri = f"s3://{bucket}/{folder}"
        statistics = {"ContentType": "application/json", "S3Uri": f"{uri}/evaluation/evaluation.json"}
        container = {
            "Image": IMAGE if self.cloud is None or self.cloud.region == REGION else image_uri(self.cloud.region),
            "ModelDataUrl": f"{uri}/artifact/model.tar.gz",
            "Environment": dict(MODEL_ENVIRONMENT),
        }
        arn: str = client("sagemaker").create_model_package(
            ModelPackageGroupName=self.where.package_group,
            ModelApprovalStatus=registry.PENDING,
            InferenceSpecification={"Containers": [container], "SupportedContentTypes": ["text/csv"]},
            ModelMetrics={"ModelQuality": {"Statistics": statistics}},
            CustomerMetadataProperties=metadata,
        )["ModelPackageArn"]
        return arn

    def _evaluation(self, provenance: dict[str, str], sha256: str) -> dict[str, Any]:
        pointed = serving_pointer.read(self.workspace.repository, "main").approval
        served = approvals.read_record(self.workspace.repository, "main", pointed) if pointed else None
        window = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z", "rows": 1000, "frauds": 20}
        return {
            "schema": 1,
            "kind": "fit",
            "verdict": {"status": "passed", "reason": "Recall 0.90 > 0.60 on 20 frauds.", "checks": []},
            "metrics": {
                "recall": FIGURE,
                "precision": {**FIGURE, "value": None, "low": None, "high": None, "reason": "no alerts"},
            },
            "threshold": {"policy": "fixed", "value": 0.5, "score": 0.5},
            "champion": {
                "status": "compared" if served else "none",
                "reason": "Compared with the champion." if served else "There is no champion.",
                "artifact_sha256": served.artifact.sha256 if served else None,
            },
            "windows": dict.fromkeys(("train", "validation", "test"), window),
            "provenance": provenance,
            "artifact": {"sha256": sha256, "bytes": 1},
        }

    def approve(self, arn: str) -> approving.Approval:
        """Approves a package and merges it."""
        return approving.approve(self.root, arn, merge=True, approver=PERSON)

    def serve(self, intercept: float) -> DeploymentResult:
        """Registers, approves and deploys a model."""
        self.approve(self.register(intercept))
        return deploying.deploy(self.root)

    def answers(self) -> dict[str, Any]:
        """The endpoint's answer for one row."""
        answer = client("sagemaker-runtime").invoke_endpoint(
            EndpointName=self.endpoint_name, ContentType="text/csv", Accept="application/json", Body=b"0,1,1"
        )
        prediction: dict[str, Any] = json.loads(answer["Body"].read())["predictions"][0]
        return prediction

    def statuses(self) -> dict[int, str]:
        """The approval status of every package by version."""
        return {package.version: package.status for package in registry.packages(self.where.package_group)}

    def outcomes(self) -> list[dict[str, Any]]:
        """The outcomes of the deploy function, once all its calls have ended."""
        assert self.cloud is not None
        assert self.cloud.flush()
        bucket = self.where.bucket
        listed = client("s3").list_objects_v2(Bucket=bucket, Prefix="deploy/outcomes/").get("Contents", [])
        read = client("s3").get_object
        return [json.loads(read(Bucket=bucket, Key=item["Key"])["Body"].read()) for item in listed]

    def endpoint(self) -> dict[str, Any] | None:
        """Status and configuration of the endpoint; None if there is none."""
        if not client("sagemaker").list_endpoints()["Endpoints"]:
            return None
        found = client("sagemaker").describe_endpoint(EndpointName=self.endpoint_name)
        return {key: found[key] for key in ("EndpointStatus", "EndpointConfigName")}


def moto_platform(workspace: GitWorkspace) -> ServedPlatform:
    """The part of the platform that moto supports: the stack's outputs, its bucket and its group."""
    outputs = {
        "Bucket": "lake",
        "ExecutionRoleArn": "arn:aws:iam::123456789012:role/execution",
        "PackageGroup": "fraudops-model",
        "DeployFunction": "fraudops-deploy",
        "TopicArn": "arn:aws:sns:eu-west-1:123456789012:t",
    }
    template = {
        "Parameters": {"EndpointName": {"Type": "String"}},
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {}}},
        "Outputs": {key: {"Value": value} for key, value in outputs.items()},
    }
    client("cloudformation").create_stack(
        StackName="fraudops",
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": "EndpointName", "ParameterValue": "fraudops-production"}],
    )
    moto_server.make_bucket("lake")
    client("s3").put_bucket_versioning(Bucket="lake", VersioningConfiguration={"Status": "Enabled"})
    client("sagemaker").create_model_package_group(ModelPackageGroupName="fraudops-model")
    return ServedPlatform(workspace=workspace)


def on_moto(server: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ServedPlatform:
    """Empties the moto server and creates a platform on it, with a repository below `folder`; nothing is approved."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)
    return moto_platform(repository(folder / "repository"))

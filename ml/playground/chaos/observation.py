"""Reads the state that the invariants are about from Git, GitHub and AWS, without faults and without changes."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml import config
from ml.gitops import approvals, rollbacks
from ml.playground.chaos.environment import ChaosEnvironment
from ml.playground.chaos.invariants import State, VerbRun

_RECORDS = ("model-config/approvals", "model-config/retrain-requests", "model-config/gate-failures")


def observe(environment: ChaosEnvironment, runs: Sequence[VerbRun]) -> State:
    """The state now; the emulators must be idle."""
    environment.aws.settle()
    with environment.without_faults():
        git, aws = _of_git(environment), _of_aws(environment)
        pulls = [pull.head.ref for pull in environment.person().get_pulls(state="open")]
    numbers = [approvals.number_of(name) for name in pulls if name.startswith(approvals.PREFIX)]
    return State(
        **git,
        **aws,
        open_approvals=[each for each in numbers if each is not None],
        open_rollbacks=sum(name.startswith(rollbacks.PREFIX) for name in pulls),
        runs=tuple(runs),
    )


def _of_git(environment: ChaosEnvironment) -> dict[str, Any]:
    """What main says. It is read once for each commit: most runs have the same ones, since dates are part of a run."""
    tip = environment.tip()
    if tip not in environment.read:
        environment.read[tip] = _read(environment, tip)
    return environment.read[tip]


def _read(environment: ChaosEnvironment, tip: str) -> dict[str, Any]:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(environment.main), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def parsed(path: str, revision: str, model: Any) -> Any:
        return config.parse(git("show", f"{revision}:{path}"), Path(path), model)

    files = git("ls-tree", "-r", "--name-only", tip, "--", *_RECORDS).splitlines()
    records = [name for name in files if name.endswith(".yaml")]
    approved = [parsed(path, tip, config.ApprovalRecord) for path in records if path.startswith(_RECORDS[0])]
    failures = [parsed(path, tip, config.GateFailureRecord) for path in records if path.startswith(_RECORDS[2])]
    history = git("log", "--first-parent", "--reverse", "--format=%H", tip, "--", str(config.SERVING)).split()
    pointers = [parsed(str(config.SERVING), commit, config.ServingFile).approval for commit in history]
    # -m: against each parent, so that a merge that changes a record is seen too.
    changed = git("log", "-m", "--first-parent", "--diff-filter=MD", "--name-only", "--format=", tip, "--", *_RECORDS)
    return {
        "pointer": pointers[-1] if pointers else None,
        "pointers": [number for number in pointers if number is not None],
        "approved": {record.approval: record.artifact.sha256 for record in approved},
        "rewritten": sorted({name for name in changed.splitlines() if name.endswith(".yaml")}),
        "gate_failures": len(failures),
        "answers": [name for record in (*approved, *failures) for name in record.requests],
        "requests": [path.rpartition("/")[2].removesuffix(".yaml") for path in records if path.startswith(_RECORDS[1])],
    }


def _of_aws(environment: ChaosEnvironment) -> dict[str, Any]:
    sagemaker, s3, bucket = environment.aws.client("sagemaker"), environment.aws.client("s3"), environment.bucket
    endpoints = [item["EndpointName"] for item in sagemaker.list_endpoints()["Endpoints"]]
    configurations = [item["EndpointConfigName"] for item in sagemaker.list_endpoint_configs()["EndpointConfigs"]]
    models = {
        name: sagemaker.describe_endpoint_config(EndpointConfigName=name)["ProductionVariants"][0]["ModelName"]
        for name in configurations
    }
    listed = sagemaker.list_model_packages(ModelPackageGroupName=environment.group)["ModelPackageSummaryList"]
    found: dict[str, Any] = {
        "packages": {item["ModelPackageVersion"]: item["ModelApprovalStatus"] for item in listed},
        "endpoints": endpoints,
        "configurations": configurations,
        "models": [item["ModelName"] for item in sagemaker.list_models()["Models"]],
    }
    deployed: list[str] = []
    for item in s3.list_objects_v2(Bucket=bucket, Prefix="deploy/history/").get("Contents", []):
        record = json.loads(s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read())
        name = record.get("endpoint_config")
        deployed += [name, models.get(name, "")] if name else []
    found["deployed_names"] = deployed
    if endpoints:
        endpoint = sagemaker.describe_endpoint(EndpointName=endpoints[0])
        name = endpoint["EndpointConfigName"]
        model = sagemaker.describe_model(ModelName=models[name])
        url = model["PrimaryContainer"]["ModelDataUrl"].removeprefix("s3://")
        key = url.partition("/")[2]
        archive = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        found |= {
            "endpoint_status": endpoint["EndpointStatus"],
            "served_names": [name, models[name]],
            "served_digest": hashlib.sha256(archive).hexdigest(),
        }
    return found

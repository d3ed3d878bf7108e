"""An endpoint of the serving image under load for ten minutes, through InvokeEndpoint of the AWS emulator with capture.

The load is 80 % of what the machine answers in a trial before: emulator, model server and clients share it. Every
request has an inference id of its own, and afterwards each answered id must be captured exactly once. Memory is that of
the model server's process; the emulator keeps what is captured in its own memory, as its S3 does.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from local_aws.server import LocalAws

from ml.model import artifact
from tests.benchmarks.performance.measured import ROOT, Bench, Measured, run
from tests.model.scoring_samples import files
from tests.waiting import wait_until

SECONDS, TRIAL_SECONDS = 600.0, 10.0
LOAD = 0.8
MAX_GROWTH_MEGABYTES = 8.0
"""Between the medians of the second and the last tenth of the samples: allocators keep a little in reserve."""
ENDPOINT, BUCKET = "soak", "soak"
ACCOUNT = "123456789012"
IMAGE = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/fraudops-serving@sha256:{'a' * 64}"
SAMPLE_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Soaked:
    """What the run found."""

    capacity: float
    """Requests per second in the trial."""
    rate: float
    """Requests per second of the load."""
    seconds: float
    answered: int
    errors: list[str]
    p50_ms: float
    p99_ms: float
    missing: int
    """Answered requests that are not captured."""
    doubled: int
    """Requests that are captured more than once, or were not sent."""
    growth_megabytes: float
    peak_megabytes: float


def measure(bench: Bench) -> list[Measured]:
    """The figures of ten minutes; nothing in a quick run, because there is no peer to compare with."""
    if bench.quick:
        return []
    folder = bench.folder / "soak"
    shutil.rmtree(folder, ignore_errors=True)
    found = soak(folder, seconds=SECONDS, trial_seconds=TRIAL_SECONDS)
    (bench.folder / "soak.json").write_text(json.dumps(vars(found), indent=2) + "\n", "utf-8")
    size = f"{found.answered:,} requests in {found.seconds:.0f} s"

    def row(name: str, value: float, unit: str, target: float | None = None) -> Measured:
        return Measured(name=f"soak_{name}", samples=(value,), unit=unit, size=size, target=target)

    return [
        row("errors", len(found.errors), "requests", 0.0),
        row("not_captured", found.missing + found.doubled, "requests", 0.0),
        row("memory_growth", found.growth_megabytes, "MB", MAX_GROWTH_MEGABYTES),
        row("memory_peak", found.peak_megabytes, "MB"),
        row("rate", found.rate, "requests/s"),
        row("p50_ms", found.p50_ms, "ms"),
        row("p99_ms", found.p99_ms, "ms"),
    ]


def soak(folder: Path, *, seconds: float, trial_seconds: float) -> Soaked:
    """Runs the emulator in this process, its model server and the clients in processes of their own."""
    with LocalAws(folder / "aws", images=ROOT / "local-images.yaml") as aws:
        _create_endpoint(aws)
        server = _model_server()
        environment = aws.environment()
        trial = _drive(folder, environment, "trial", trial_seconds, 0.0)
        capacity = trial["answered"] / trial_seconds
        with _sampled_memory(server) as samples:
            load = _drive(folder, environment, "load", seconds, LOAD * capacity)
        aws.flush()
        ids = Counter(_captured_ids(aws))
        answered = {line for name in ("trial", "load") for line in (folder / f"{name}.ids").read_text().splitlines()}
    tenth = max(1, len(samples) // 10)
    return Soaked(
        capacity=capacity,
        rate=LOAD * capacity,
        seconds=seconds,
        answered=load["answered"],
        errors=[*trial["errors"], *load["errors"]],
        p50_ms=load["p50_ms"],
        p99_ms=load["p99_ms"],
        missing=len(answered - set(ids)),
        doubled=sum(count > 1 or found not in answered for found, count in ids.items()),
        growth_megabytes=statistics.median(samples[-tenth:]) - statistics.median(samples[tenth : 2 * tenth]),
        peak_megabytes=max(samples),
    )


def _create_endpoint(aws: LocalAws) -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    documents = [json.dumps({"Version": "2012-10-17", "Statement": [each]}) for each in (trust, allowed)]
    iam, s3, sagemaker = (aws.client(name) for name in ("iam", "s3", "sagemaker"))
    role = iam.create_role(RoleName="endpoint", AssumeRolePolicyDocument=documents[0])["Role"]["Arn"]
    iam.put_role_policy(RoleName="endpoint", PolicyName="s3", PolicyDocument=documents[1])
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=artifact.pack(files()))
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz"}
    sagemaker.create_model(ModelName=ENDPOINT, PrimaryContainer=container, ExecutionRoleArn=role)
    variant = {"VariantName": "All", "ModelName": ENDPOINT, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(
        EndpointConfigName=ENDPOINT,
        ProductionVariants=[variant],
        DataCaptureConfig={
            "EnableCapture": True,
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": f"s3://{BUCKET}/capture",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]},
        },
    )
    sagemaker.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName=ENDPOINT)
    wait_until(lambda: sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointStatus"] != "Creating")
    found = sagemaker.describe_endpoint(EndpointName=ENDPOINT)
    assert found["EndpointStatus"] == "InService", found.get("FailureReason")


def _model_server() -> psutil.Process:
    """The process of the image's server, a child of this one."""
    (found,) = [
        child for child in psutil.Process().children(recursive=True) if "serving.server" in " ".join(child.cmdline())
    ]
    return found


@contextmanager
def _sampled_memory(process: psutil.Process) -> Iterator[list[float]]:
    """Resident memory of a process in megabytes, sampled while the context is open."""
    samples, ended = [process.memory_info().rss / 1e6], threading.Event()

    def sample() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            samples.append(process.memory_info().rss / 1e6)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


def _drive(folder: Path, environment: dict[str, str], name: str, seconds: float, rate: float) -> dict[str, Any]:
    """Lets the clients send for `seconds` in a process of their own, and returns what they found."""
    settings = folder / f"{name}.json"
    settings.write_text(
        json.dumps(
            {
                "environment": environment,
                "endpoint": ENDPOINT,
                "prefix": name,
                "seconds": seconds,
                "rate": rate,
                "ids": str(folder / f"{name}.ids"),
            }
        )
    )
    return run([sys.executable, "-m", "tests.benchmarks.performance.soak_clients", settings]).answer


def _captured_ids(aws: LocalAws) -> Iterator[str]:
    """The inference id of each captured request."""
    s3 = aws.client("s3")
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="capture/"):
        for item in page.get("Contents", []):
            for line in s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read().splitlines():
                yield json.loads(line)["eventMetadata"]["inferenceId"]


def main() -> int:
    """Runs for the seconds of the first argument, ten minutes by default, and prints what it found; 1 if it failed."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    with tempfile.TemporaryDirectory() as folder:
        found = soak(Path(folder), seconds=seconds, trial_seconds=min(TRIAL_SECONDS, seconds))
    print(json.dumps(vars(found), indent=2))
    return 1 if found.errors or found.missing or found.doubled else 0


if __name__ == "__main__":
    sys.exit(main())

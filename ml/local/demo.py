"""`make demo`: the whole loop on one machine, from a commit to a served model, with nothing left running.

It composes the verbs that people and workflows use and adds nothing to them: what it shows is what they do. Everything
it makes is put below one folder; the repository it is started from is cloned, never changed.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml import config, console, render
from ml.errors import CloudError, DeploymentFailed, GitError

SCORED = 1_000
CAPTURE_SECONDS = 60
TOLERANCE = 1e-9
STAGES = ("cloud", "platform", "data", "import", "train", "approve", "deploy", "score", "capture")
APPROVER = ("fraudops demo", "demo@fraudops.invalid")


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where the demo puts what it makes."""

    out: Path

    @property
    def cloud(self) -> Path:
        return self.out / "cloud"

    @property
    def repository(self) -> Path:
        return self.out / "repository"

    @property
    def model(self) -> Path:
        return self.out / "model.tar.gz"

    @property
    def summary(self) -> Path:
        return self.out / "summary.json"


def run(root: Path, *, out: Path, data: Path | None, seed: int) -> dict[str, Any]:
    """Runs the demo for the commit checked out at `root` and returns what build/demo/summary.json then holds.

    Args:
        root: a Git repository of this project.
        out: emptied first; the summary, the model, the clone and the cloud's logs are below it.
        data: a file of real transactions; a stand-in is drawn with `seed` if None.

    Raises:
        FraudopsError: whatever the verb that failed raised; the cloud is down all the same.
    """
    from ml.local import daemon

    place = _Place(out=out)
    seconds: dict[str, float] = {}
    if place.cloud.exists():
        daemon.down(place.cloud)  # of a demo that was killed
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    _clone(root, place.repository)
    try:
        with _timed(seconds, "cloud", "local cloud up"):
            daemon.up(place.cloud)
        with _environment(daemon.environment(place.cloud)):
            summary = _loop(place, data, seed, seconds)
    finally:
        daemon.down(place.cloud)
    place.summary.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    _show(place, summary)
    return summary


def _loop(place: _Place, data: Path | None, seed: int, seconds: dict[str, float]) -> dict[str, Any]:
    from ml.aws import platform, registry
    from ml.aws.lake import Lake
    from ml.commands.approve import approve
    from ml.commands.bootstrap import bootstrap
    from ml.commands.data import import_data
    from ml.commands.deploy import deploy
    from ml.commands.train import train
    from ml.gitops.repository import Identity

    root = place.repository
    with _timed(seconds, "platform", "platform stack deployed"):
        bootstrap(root)
    bucket = platform.read().bucket
    with _timed(seconds, "data", "transactions read" if data else f"transactions drawn, seed {seed}"):
        path = data or _standin(place.out / "transactions.parquet", seed)
    with _timed(seconds, "import", "transactions imported into the lake"):
        columns = config.load_settings(root).training.columns
        landed = import_data(str(path), lake=Lake(bucket), columns=columns, start=None, quarantine=False)
        console.note(f"  {landed.landed:,} rows, {landed.frauds:,} frauds, {landed.duplicates:,} duplicated rows kept")
    with _timed(seconds, "train", "pipeline run, gate passed, package registered"):
        trained = train(root)
    with _timed(seconds, "approve", "approval branch made and merged"):
        approval = approve(root, trained.package_arn, merge=True, approver=Identity(*APPROVER))
    with _timed(seconds, "deploy", "deployed by the Lambda, smoke-tested, recorded"):
        deploy(root)
    endpoint = config.load_serving(root).endpoint
    archive = registry.package(trained.package_arn)
    place.model.write_bytes(_object(archive.model_data_url))
    with _timed(seconds, "score", f"{SCORED:,} transactions scored through boto3"):
        sent = _score(endpoint, place.model, _latest(bucket, landed.name))
    with _timed(seconds, "capture", "captured traffic read back from S3"):
        captured = _captured(bucket, endpoint, sent)
    metrics = trained.evaluation["metrics"]
    return {
        "recall": metrics["recall"]["value"],
        "recall_interval": [metrics["recall"]["low"], metrics["recall"]["high"]],
        "precision": metrics["precision"]["value"],
        "false_positive_rate": metrics["false_positive_rate"]["value"],
        "average_precision": metrics["average_precision"]["value"],
        "frauds_in_test": trained.evaluation["positives"],
        "metrics": metrics,
        "model_package_arn": trained.package_arn,
        "artifact_sha256": approval.artifact_sha256,
        "approval": approval.approval,
        "approval_commit": approval.record_commit,
        "merge_commit": approval.merged,
        "commit": trained.commit,
        "endpoint": endpoint,
        "captured_rows": captured,
        "capture": f"s3://{bucket}/capture/{endpoint}/",
        "seconds": seconds,
    }


def _standin(path: Path, seed: int) -> Path:
    from ml.simulate import files, standin

    files.write(path, standin.draw(seed=seed))
    return path


def _clone(root: Path, place: Path) -> None:
    """A clone whose main is the commit checked out at `root`, whatever branch that is."""
    dirty = _git(root, "status", "--porcelain", "--untracked-files=no")
    if dirty:
        console.note("note: the demo runs what is committed; your uncommitted changes are not in it")
    _git(root.parent, "clone", "--quiet", "--no-hardlinks", str(root), str(place))
    _git(place, "checkout", "--quiet", "-B", "main", _git(root, "rev-parse", "HEAD"))
    _git(place, "config", "user.name", APPROVER[0])
    _git(place, "config", "user.email", APPROVER[1])


def _git(where: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=where, capture_output=True, text=True, check=False)
    if done.returncode:
        raise GitError(f"git {arguments[0]} in {where} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.strip()


def _object(uri: str) -> bytes:
    from ml.aws.session import client

    bucket, _, key = uri.removeprefix("s3://").partition("/")
    content: bytes = client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return content


def _latest(bucket: str, name: str) -> list[dict[str, Any]]:
    """The import's last transactions: later than all that the model learned from."""
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(_object(f"s3://{bucket}/raw/{name}/transactions.parquet")))
    latest = table.sort_by([("event_time", "ascending"), ("event_id", "ascending")]).slice(
        max(0, table.num_rows - SCORED)
    )
    rows: list[dict[str, Any]] = latest.drop_columns(["event_time"]).to_pylist()
    return rows


def _score(endpoint: str, model: Path, rows: list[dict[str, Any]]) -> set[str]:
    """Sends each row as a request of its own and compares each answer with the scorer; the ids that were sent."""
    import numpy as np

    from ml.aws.session import client
    from ml.model import artifact

    scorer = artifact.read(model.read_bytes()).model
    expected = scorer.score(np.array([[row[name] for name in scorer.inputs] for row in rows]))
    runtime = client("sagemaker-runtime")
    for row, score in zip(rows, expected, strict=True):
        answer = runtime.invoke_endpoint(
            EndpointName=endpoint,
            ContentType="application/json",
            Accept="application/json",
            Body=json.dumps({"instances": [row]}).encode(),
            InferenceId=f"demo-{row['event_id']}",
        )
        got = json.loads(answer["Body"].read())["predictions"][0]
        if abs(got["score"] - score) > TOLERANCE:
            raise DeploymentFailed(
                f"endpoint {endpoint} scores {row['event_id']} {got['score']!r}, the model itself {score!r}: "
                "what serves is not what was approved"
            )
    return {f"demo-{row['event_id']}" for row in rows}


def _captured(bucket: str, endpoint: str, sent: set[str]) -> int:
    """Waits until every request of `sent` is in the captured traffic, and counts them."""
    from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

    def seen() -> set[str]:
        return {identifier for identifier in _inference_ids(bucket, f"capture/{endpoint}/") if identifier in sent}

    patient = Retrying(
        retry=retry_if_result(lambda found: len(found) < len(sent)),
        stop=stop_after_delay(CAPTURE_SECONDS),
        wait=wait_fixed(0.5),
        retry_error_callback=lambda attempt: attempt.outcome.result() if attempt.outcome else set(),
    )
    found: set[str] = patient(seen)
    if len(found) < len(sent):
        raise CloudError(
            f"{len(sent) - len(found)} of {len(sent)} requests are not in s3://{bucket}/capture/{endpoint}/"
        )
    return len(found)


def _inference_ids(bucket: str, prefix: str) -> Iterator[str]:
    from ml.aws.session import client

    s3 = client("s3")
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            for line in s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].iter_lines():
                yield json.loads(line)["eventMetadata"].get("inferenceId", "")


@contextmanager
def _timed(seconds: dict[str, float], name: str, label: str) -> Iterator[None]:
    start = time.perf_counter()
    with console.stage(label):
        yield
    seconds[name] = round(time.perf_counter() - start, 2)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """These variables and no other word about AWS, for as long as the demo talks to its own cloud."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("AWS_") and name != "AWS_CA_BUNDLE"]:
        del os.environ[name]
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _show(place: _Place, summary: Mapping[str, Any]) -> None:
    metrics, here = summary["metrics"], Path.cwd()

    def short(path: Path) -> str:
        return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)

    stages = ", ".join(f"{name} {spent:.1f}" for name, spent in summary["seconds"].items())
    rows = [
        ("recall", render.figure(metrics["recall"])),
        ("precision", render.figure(metrics["precision"])),
        ("false-positive rate", render.figure(metrics["false_positive_rate"], percent=True)),
        ("average precision", render.figure(metrics["average_precision"])),
        ("model", f"{short(place.model)}, sha256 {summary['artifact_sha256']}"),
        ("package", summary["model_package_arn"]),
        ("approval", f"{summary['approval']:04d}, commit {summary['approval_commit']} in {short(place.repository)}"),
        ("endpoint", f"{summary['endpoint']} (was up for this run)"),
        ("capture", f"{summary['captured_rows']:,} requests in {summary['capture']}"),
        ("summary", short(place.summary)),
        ("logs", short(place.cloud)),
        ("seconds", f"{stages}; {sum(summary['seconds'].values()):.1f} in all"),
    ]
    console.out.print(render.table(rows, title="From a commit to a served model"))

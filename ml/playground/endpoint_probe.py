"""Probes the endpoint: sends transactions, compares the scores with the artifact, and waits for their capture."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ml.errors import CloudError, DeploymentFailed

CAPTURE_SECONDS = 60
TOLERANCE = 1e-9


def latest_transactions(bucket: str, name: str, count: int) -> list[dict[str, Any]]:
    """The last `count` transactions of the import `name`, which are later than its training rows."""
    import pyarrow.parquet as pq

    from ml.aws import s3_objects

    table = pq.read_table(io.BytesIO(s3_objects.read(f"s3://{bucket}/raw/{name}/transactions.parquet")))
    ordered = table.sort_by([("event_time", "ascending"), ("event_id", "ascending")])
    rows: list[dict[str, Any]] = ordered.slice(max(0, table.num_rows - count)).drop_columns(["event_time"]).to_pylist()
    return rows


def check_scores(endpoint: str, model: Path, rows: list[dict[str, Any]], *, version: str) -> set[str]:
    """Sends each row as one request and compares its score with the artifact's; returns the inference ids.

    Raises:
        DeploymentFailed: a score differs from the artifact's, or comes from another version.
    """
    import pandas as pd

    from ml.aws.session import client
    from ml.model import artifact

    scorer = artifact.read(model.read_bytes()).model
    expected = scorer.score(scorer.matrix(pd.DataFrame(rows)))
    runtime, sent = client("sagemaker-runtime"), set()
    for row, wanted in zip(rows, expected, strict=True):
        identifier = f"demo-{row['event_id']}"
        answer = runtime.invoke_endpoint(
            EndpointName=endpoint,
            ContentType="application/json",
            Accept="application/json",
            Body=json.dumps({"instances": [row]}).encode(),
            InferenceId=identifier,
        )
        got = json.loads(answer["Body"].read())["predictions"][0]
        if abs(got["score"] - wanted) > TOLERANCE or got["model_version"] != version:
            raise DeploymentFailed(
                f"endpoint {endpoint} scores {row['event_id']} {got['score']!r} as version {got['model_version']}, "
                f"the artifact {wanted!r} as version {version}: the endpoint does not serve the approved model"
            )
        sent.add(identifier)
    return sent


def wait_for_capture(bucket: str, endpoint: str, sent: set[str]) -> int:
    """Waits until every request of `sent` is in the captured traffic; returns their number.

    Raises:
        CloudError: some are missing after CAPTURE_SECONDS.
    """
    from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

    prefix = f"capture/{endpoint}/"

    def seen() -> set[str]:
        return {identifier for identifier in _inference_ids(bucket, prefix) if identifier in sent}

    patient = Retrying(
        retry=retry_if_result(lambda found: len(found) < len(sent)),
        stop=stop_after_delay(CAPTURE_SECONDS),
        wait=wait_fixed(0.5),
        retry_error_callback=lambda attempt: attempt.outcome.result() if attempt.outcome else set(),
    )
    found: set[str] = patient(seen)
    if len(found) < len(sent):
        raise CloudError(f"{len(sent) - len(found)} of {len(sent)} requests are not in s3://{bucket}/{prefix}")
    return len(found)


def _inference_ids(bucket: str, prefix: str) -> Iterator[str]:
    from ml.aws.session import client

    s3 = client("s3")
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            for line in s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].iter_lines():
                yield json.loads(line)["eventMetadata"].get("inferenceId", "")

"""Inputs and outputs of jobs in S3."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest
from local_aws.sagemaker.pipelines.jobs.isolation import Mode
from local_aws.sagemaker.pipelines.jobs.storage import Item, Storage
from pipeline_jobs import REGION, PipelineAws, change, failure_reason, processing, python, training


def test_manifest_input_keeps_relative_keys(aws: PipelineAws, mode: Mode) -> None:
    """A ManifestFile input keeps the relative keys below the local path."""
    for key in ("raw/one/rows.csv", "raw/two/rows.csv", "labels/one.csv", "raw/unlisted.csv"):
        aws.put(key, key)
    listed = ["raw/one/rows.csv", "raw/two/rows.csv", "labels/one.csv"]
    manifest = aws.put("sets/x/dataset.manifest", json.dumps([{"prefix": f"s3://{aws.bucket}/"}, *listed]))
    step = processing(
        "Read",
        python(
            "import pathlib; root = pathlib.Path('/opt/ml/processing/dataset');"
            "found = sorted(f'./{path.relative_to(root)}' for path in root.rglob('*') if path.is_file());"
            "pathlib.Path('/opt/ml/processing/out/found').write_text(chr(10).join(found))"
        ),
        inputs={"dataset": manifest},
        outputs={"out": f"s3://{aws.bucket}/out/"},
    )
    step["Arguments"]["ProcessingInputs"][0]["S3Input"]["S3DataType"] = "ManifestFile"
    arn, described = aws.run([step])
    assert described["PipelineExecutionStatus"] == "Succeeded", aws.steps(arn)
    found = aws.get(f"s3://{aws.bucket}/out/found").decode().split()
    assert found == sorted(f"./{key}" for key in listed)


def test_prefix_input_is_a_prefix_of_keys(aws: PipelineAws) -> None:
    """`s3://b/train` has train/ at the top and other keys that begin with train; one object keeps its name."""
    aws.put("train/a.csv", "a")
    aws.put("train2/b.csv", "b")
    one = aws.put("single/model.tar.gz", "m")
    step = processing(
        "Read",
        python(
            "import pathlib; root = pathlib.Path('/opt/ml/processing');"
            "found = [path for name in ('train', 'one') for path in (root / name).rglob('*') if path.is_file()];"
            "(root / 'out/found').write_text(chr(10).join(sorted(str(path.relative_to(root)) for path in found)))"
        ),
        inputs={"train": f"s3://{aws.bucket}/train", "one": one},
        outputs={"out": f"s3://{aws.bucket}/out"},
    )
    aws.run([step])
    assert aws.get(f"s3://{aws.bucket}/out/found").decode().split() == [
        "one/model.tar.gz",
        "train/a.csv",
        "train/train2/b.csv",
    ]


def test_object_of_an_input_is_fetched_with_one_call(aws: PipelineAws, tmp_path: Path) -> None:
    """A job's code has a hundred files: none is asked for its size first. The content arrives whole."""
    content = uuid.uuid4().bytes * 300_000
    aws.put("code/a", content)
    client, calls = aws.client("s3"), list[str]()
    client.meta.events.register("before-call.s3", lambda model, **_: calls.append(model.name))
    Storage(lambda: client, REGION).fetch([Item(aws.bucket, "code/a", "deep/a")], tmp_path)
    assert (tmp_path / "deep/a").read_bytes() == content
    assert calls == ["GetObject"]


def test_clashing_inputs_fail_with_sagemakers_message(aws: PipelineAws) -> None:
    """A key that is both an object and a folder cannot be stored in the job's folder."""
    aws.put("in/a", "file")
    aws.put("in/a/b", "inside")
    found = failure_reason(aws, processing("Read", ["true"], inputs={"in": f"s3://{aws.bucket}/in/"}))
    assert found.startswith("ClientError: ClientError: Data download failed:Cannot download s3://")
    assert "a previously downloaded file/folder clashes with it" in found


@pytest.mark.parametrize("kind", ["Processing", "Training"])
def test_missing_input_fails_with_sagemakers_message(aws: PipelineAws, kind: str) -> None:
    """The Create call is refused, so the step has no job."""
    uri = f"s3://{aws.bucket}/nothing/"
    step = (
        processing("Read", ["true"], inputs={"in": uri})
        if kind == "Processing"
        else training("Read", ["true"], f"s3://{aws.bucket}/m", channels={"in": uri})
    )
    arn, _ = aws.run([step])
    failed = aws.steps(arn)["Read"]
    assert failed["FailureReason"].startswith(
        f"ClientError: Failed to invoke sagemaker:Create{kind}Job. Error Details: "
        f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket exists'
    )
    assert failed["Metadata"] == {}


def test_sharded_input_is_complete_on_one_instance(aws: PipelineAws) -> None:
    """ShardedByS3Key with one instance is the same as FullyReplicated."""
    aws.put("in/a", "a")
    aws.put("in/b", "b")
    step = processing(
        "Read",
        ["sh", "-c", "cat /opt/ml/processing/in/a /opt/ml/processing/in/b"],
        inputs={"in": f"s3://{aws.bucket}/in/"},
    )
    change(step, "ProcessingInputs.0.S3Input.S3DataDistributionType", "ShardedByS3Key")
    assert aws.run([step])[1]["PipelineExecutionStatus"] == "Succeeded"


def test_output_to_a_missing_bucket_fails(aws: PipelineAws) -> None:
    """The job succeeds, but its output cannot be stored."""
    step = processing("Write", ["touch", "/opt/ml/processing/out/x"], outputs={"out": f"s3://{uuid.uuid4().hex}/x"})
    assert "The specified bucket does not exist" in failure_reason(aws, step)

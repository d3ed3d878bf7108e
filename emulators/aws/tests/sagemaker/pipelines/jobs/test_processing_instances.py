"""A processing job on several instances: shares of its inputs, the outputs of each, and one that fails."""

from __future__ import annotations

import json
from typing import Any

import pytest
from local_aws.sagemaker.pipelines.jobs.isolation import Mode
from pipeline_jobs import PipelineAws, change, failure_reason, processing

_PROGRAM = """
import json, pathlib
root = pathlib.Path('/opt/ml/processing')
config = json.loads(pathlib.Path('/opt/ml/config/resourceconfig.json').read_text())
host = config['current_host']
found = {name: sorted(path.name for path in (root / name).iterdir()) for name in ('in', 'all')}
(root / 'out' / host).mkdir()
(root / 'out' / host / 'found.json').write_text(json.dumps(found | {'hosts': config['hosts']}))
(root / 'out/same').write_text(host)
print('this is', host)
"""


def step(aws: PipelineAws, program: str, instances: int) -> dict[str, Any]:
    """A step on so many instances, whose first input is divided and whose second is not."""
    source = f"s3://{aws.bucket}/in/"
    aws.put("code/run.py", program)
    made = processing(
        "Shares",
        ["python3", "/opt/ml/processing/code/run.py"],
        inputs={"in": source, "all": source, "code": f"s3://{aws.bucket}/code/"},
        outputs={"out": f"s3://{aws.bucket}/out"},
    )
    change(made, "ProcessingInputs.0.S3Input.S3DataDistributionType", "ShardedByS3Key")
    return change(made, "ProcessingResources.ClusterConfig.InstanceCount", instances)


def found(aws: PipelineAws, instances: int, objects: str) -> list[dict[str, Any]]:
    """What each instance finds of objects with these names."""
    for name in objects:
        aws.put(f"in/{name}", name)
    arn, described = aws.run([step(aws, _PROGRAM, instances)])
    assert described["PipelineExecutionStatus"] == "Succeeded", aws.steps(arn)
    return [json.loads(aws.get(f"s3://{aws.bucket}/out/algo-{number + 1}/found.json")) for number in range(instances)]


def test_objects_are_divided_in_the_order_of_their_keys(aws: PipelineAws, mode: Mode) -> None:
    """A replicated input is complete on each instance. Each knows its name and those of the others."""
    hosts = ["algo-1", "algo-2", "algo-3"]
    every = list("abcde")
    assert found(aws, 3, "edcba") == [
        {"in": ["a", "d"], "all": every, "hosts": hosts},
        {"in": ["b", "e"], "all": every, "hosts": hosts},
        {"in": ["c"], "all": every, "hosts": hosts},
    ]


def test_objects_of_a_manifest_are_divided(aws: PipelineAws) -> None:
    """By key, like those of a prefix."""
    for name in "abc":
        aws.put(f"in/{name}", name)
    manifest = aws.put("manifest.json", json.dumps([{"prefix": f"s3://{aws.bucket}/in/"}, "c", "a"]))
    made = step(aws, _PROGRAM, 2)
    change(made, "ProcessingInputs.0.S3Input.S3DataType", "ManifestFile")
    change(made, "ProcessingInputs.0.S3Input.S3Uri", manifest)
    assert aws.run([made])[1]["PipelineExecutionStatus"] == "Succeeded"
    shares = [json.loads(aws.get(f"s3://{aws.bucket}/out/algo-{number}/found.json"))["in"] for number in (1, 2)]
    assert shares == [["a"], ["c"]]


def test_instance_beyond_the_objects_gets_none(aws: PipelineAws) -> None:
    """It runs all the same."""
    assert [each["in"] for each in found(aws, 3, "ab")] == [["a"], ["b"], []]


def test_outputs_with_one_key_overwrite_each_other(aws: PipelineAws) -> None:
    """Both instances wrote the file; one of them is left, without a message."""
    found(aws, 2, "ab")
    assert aws.get(f"s3://{aws.bucket}/out/same") == b"algo-2"


def test_each_instance_has_a_log_stream(aws: PipelineAws) -> None:
    """As on AWS, named after the job and the host."""
    aws.put("in/a", "a")
    arn, _ = aws.run([step(aws, "print(1)", 2)])
    name = aws.steps(arn)["Shares"]["Metadata"]["ProcessingJob"]["Arn"].rpartition("/")[2]
    logs = aws.client("logs").describe_log_streams(
        logGroupName="/aws/sagemaker/ProcessingJobs", logStreamNamePrefix=f"{name}/"
    )
    hosts = {stream["logStreamName"].split("/")[1].rpartition("-")[0] for stream in logs["logStreams"]}
    assert hosts == {"algo-1", "algo-2"}


@pytest.mark.timeout(120)
def test_failing_instance_fails_the_job_with_its_reason(aws: PipelineAws, mode: Mode) -> None:
    """The other instance would run for ten minutes: it is stopped. Nothing is uploaded."""
    aws.put("in/a", "a")
    # The first instance is still at work, so that it ends because the other fails, and never because its time is over.
    program = (
        "import pathlib, sys, time, json\n"
        "host = json.loads(pathlib.Path('/opt/ml/config/resourceconfig.json').read_text())['current_host']\n"
        "pathlib.Path('/opt/ml/processing/out/made').write_text(host)\n"
        "if host == 'algo-1': time.sleep(600)\n"
        "pathlib.Path('/opt/ml/output/message').write_text('no rows on ' + host)\n"
        "sys.exit(3)\n"
    )
    assert failure_reason(aws, step(aws, program, 2)) == "ClientError: AlgorithmError: no rows on algo-2, exit code: 3"
    kept = aws.client("s3").list_objects_v2(Bucket=aws.bucket, Prefix="out/")
    assert kept["KeyCount"] == 0

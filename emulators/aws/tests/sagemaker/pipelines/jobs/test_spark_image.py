"""A job of SageMaker's Spark image has `smspark-submit`, a worker for each instance, and the environment with Spark.

`make spark` of fraudops runs Spark itself; here, `spark-submit` writes down what it is given.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from local_aws.sagemaker.pipelines.jobs.image_commands import ImageMap
from local_aws.sagemaker.pipelines.jobs.isolation import Isolation, Mode
from pipeline_jobs import PipelineAws, change, failure_reason, processing

IMAGE = "571004829621.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-spark-processing:3.5-cpu-py312-v1.3"
_SUBMIT = '#!/bin/sh\nprintf \'%s\\n\' "$@" "$SPARK_HOME" "$PYSPARK_PYTHON" > processing/out/given\n'


def environment(folder: Path) -> None:
    """A virtual environment with such a spark-submit, where the image map in `folder` looks for it."""
    venv = folder / ".venv-spark"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    package = next(venv.glob("lib/python*/site-packages")) / "pyspark"
    (package / "bin").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "bin/spark-submit").write_text(_SUBMIT)
    (package / "bin/spark-submit").chmod(0o755)


def given(aws: PipelineAws, mode: Mode, tmp_path: Path, instances: int, command: list[str]) -> list[str]:
    """What spark-submit is given by a job of so many instances."""
    aws.serve(isolation=Isolation(mode), images=ImageMap.load(tmp_path / "local-images.yaml"))
    step = processing("Spark", command, outputs={"out": f"s3://{aws.bucket}/spark"})
    change(step, "AppSpecification.ImageUri", IMAGE)
    (tmp_path / "other").mkdir()
    change(step, "Environment", {"TMPDIR": str(tmp_path / "other")})
    change(step, "ProcessingResources.ClusterConfig.InstanceCount", instances)
    arn, described = aws.run([step])
    assert described["PipelineExecutionStatus"] == "Succeeded", aws.steps(arn)
    return aws.get(f"s3://{aws.bucket}/spark/given").decode().splitlines()


def test_each_instance_is_a_worker(aws: PipelineAws, mode: Mode, tmp_path: Path) -> None:
    """Spark starts worker processes; the application's words follow, and workers have the job's Python."""
    environment(tmp_path)
    *words, home, python = given(aws, mode, tmp_path, 3, ["smspark-submit", "/opt/ml/processing/code/job.py", "train"])
    assert words[:2] == ["--master", "local-cluster[3,1,1024]"]
    assert words[2].endswith("/processing/code/job.py")
    assert words[3:] == ["train"]
    assert "/venv/bin/python" in python
    assert home.startswith(str(aws.folder)), "workers write below it, and it is removed with the job's folder"
    assert not [*(tmp_path / "other").iterdir()], "a TMPDIR of the job's own is nobody's to remove"


def test_job_without_an_environment_is_refused(aws: PipelineAws, tmp_path: Path) -> None:
    """The reason names the folder that is missing, and what creates it."""
    aws.serve(images=ImageMap.load(tmp_path / "local-images.yaml"))
    reason = failure_reason(aws, change(processing("Spark", ["true"]), "AppSpecification.ImageUri", IMAGE))
    assert f"need pyspark 3.5 in {tmp_path}/.venv-spark, which does not exist" in reason
    assert "make .venv-spark/stamp" in reason


def test_sharded_input_on_several_instances_is_refused(aws: PipelineAws, tmp_path: Path) -> None:
    """Its workers share one folder here, so they would see what a single instance does not have on AWS."""
    environment(tmp_path)
    aws.serve(images=ImageMap.load(tmp_path / "local-images.yaml"))
    step = processing("Spark", ["true"], inputs={"in": aws.put("in/a", "a")})
    change(step, "AppSpecification.ImageUri", IMAGE)
    change(step, "ProcessingInputs.0.S3Input.S3DataDistributionType", "ShardedByS3Key")
    change(step, "ProcessingResources.ClusterConfig.InstanceCount", 2)
    assert "ShardedByS3Key is not supported by the AWS emulator for Spark's jobs" in failure_reason(aws, step)

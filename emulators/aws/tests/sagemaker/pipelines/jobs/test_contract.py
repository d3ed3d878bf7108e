"""Job arguments that the emulator does not support are refused."""

from __future__ import annotations

from typing import Any

import pytest
from pipeline_jobs import PipelineAws, change, failure_reason, processing, training


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("ProcessingInputs.0.S3Input.S3InputMode", "Pipe", "mode 'Pipe' is not supported"),
        ("ProcessingInputs.0.S3Input.LocalPath", "/opt/ml/processing/../../etc", "must begin with /opt/ml/processing"),
        ("ProcessingInputs.0.S3Input.S3Uri", "https://elsewhere/x", "it must start with s3://bucket/"),
        ("AppSpecification.ContainerEntrypoint", None, "Map the image to a local command in local-images.yaml"),
    ],
)
def test_unsupported_arguments_fail_with_their_reason(aws: PipelineAws, path: str, value: Any, words: str) -> None:
    """No unsupported argument is ignored."""
    step = processing("Read", ["true"], inputs={"in": aws.put("in/a", "a")})
    assert words in failure_reason(aws, change(step, path, value))


def test_training_job_on_two_instances_is_refused(aws: PipelineAws) -> None:
    """Processing jobs run on several, see test_processing_instances.py."""
    step = change(training("Train", ["true"], f"s3://{aws.bucket}/m"), "ResourceConfig.InstanceCount", 2)
    assert "InstanceCount 2 is not supported by the AWS emulator, training jobs" in failure_reason(aws, step)

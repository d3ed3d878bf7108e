"""Creating, waiting for and stopping a processing job, against scripted answers of SageMaker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ml.aws import processing_job, session
from ml.errors import CloudError
from tests.harness.aws.scripted_sagemaker import ScriptedCloud

NAME = "fraudops-drift-2026030100-0123456789ab"
REQUEST: dict[str, Any] = {
    "ProcessingJobName": NAME,
    "AppSpecification": {"ImageUri": "image:1"},
    "ProcessingResources": {
        "ClusterConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 2, "VolumeSizeInGB": 30}
    },
    "RoleArn": "arn:aws:iam::123456789012:role/fraudops-CountingRole-1",
}


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedCloud]:
    """SageMaker with scripted jobs."""
    with ScriptedCloud() as scripted:
        for name, value in scripted.environment.items():
            monkeypatch.setenv(name, value)
        session.renew()
        yield scripted
    session.renew()


def fail(message: str) -> None:
    """Takes the place of the caller that reports transient errors: there are none."""
    pytest.fail(message)


def test_job_whose_answer_was_lost_is_waited_for(cloud: ScriptedCloud) -> None:
    """SageMaker created the job and answered with an error of its own; it refuses the client's second attempt."""
    cloud.jobs[NAME] = {"ProcessingJobStatus": "Completed"}
    cloud.faults.append(("CreateProcessingJob", 500, "InternalFailure"))
    processing_job.run(REQUEST, timeout_seconds=60, troubled=fail)
    assert cloud.calls == ["CreateProcessingJob", "CreateProcessingJob", "DescribeProcessingJob"]


def test_refused_job_is_an_error(cloud: ScriptedCloud) -> None:
    """Any other refusal ends the run before the job is described."""
    cloud.faults.append(("CreateProcessingJob", 400, "ResourceLimitExceeded"))
    with pytest.raises(CloudError, match=f"creating the processing job {NAME}: .* ResourceLimitExceeded"):
        processing_job.run(REQUEST, timeout_seconds=60, troubled=fail)
    assert cloud.calls == ["CreateProcessingJob"]


def test_job_that_does_not_end_is_stopped(cloud: ScriptedCloud) -> None:
    """The error says that it was stopped."""
    with pytest.raises(CloudError, match=f"the processing job {NAME} has not ended after 0 minutes and was stopped"):
        processing_job.run(REQUEST, timeout_seconds=0, troubled=fail)
    assert cloud.calls[-1] == "StopProcessingJob"
    assert cloud.jobs[NAME]["ProcessingJobStatus"] == "Stopping"


def test_job_that_cannot_be_stopped_is_named_with_the_reason(cloud: ScriptedCloud) -> None:
    """It ends by its own limit; the error has SageMaker's answer."""
    cloud.faults.append(("StopProcessingJob", 400, "AccessDeniedException"))
    with pytest.raises(CloudError, match=r"has not ended .*, and could not be stopped: .* AccessDeniedException"):
        processing_job.run(REQUEST, timeout_seconds=0, troubled=fail)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"ProcessingJobStatus": "Stopped"}, "is Stopped: no reason given"),
        ({"ProcessingJobStatus": "Stopped", "FailureReason": "MaxRuntimeExceeded"}, "is Stopped: MaxRuntimeExceeded"),
        ({"ProcessingJobStatus": "Failed", "FailureReason": "AlgorithmError"}, "is Failed: AlgorithmError"),
        (
            {"ProcessingJobStatus": "Failed", "FailureReason": "AlgorithmError", "ExitMessage": "no rows"},
            "is Failed: no rows",
        ),
    ],
)
def test_job_that_did_not_complete_is_an_error(cloud: ScriptedCloud, answer: dict[str, Any], message: str) -> None:
    """With the message that the job left, or else SageMaker's reason."""
    cloud.jobs[NAME] = answer
    with pytest.raises(CloudError, match=f"the processing job {NAME} {message}$"):
        processing_job.wait(NAME, timeout_seconds=60, troubled=fail)


def test_status_of_a_name_that_no_job_has_is_none(cloud: ScriptedCloud) -> None:
    """Both answers that SageMaker has for it; another error is none of them."""
    assert processing_job.status(NAME, troubled=fail) is None
    cloud.faults.append(("DescribeProcessingJob", 400, "ResourceNotFound"))
    assert processing_job.status(NAME, troubled=fail) is None
    cloud.jobs[NAME] = {"ProcessingJobStatus": "Failed"}
    assert processing_job.status(NAME, troubled=fail) == "Failed"
    cloud.faults.append(("DescribeProcessingJob", 400, "AccessDeniedException"))
    with pytest.raises(CloudError, match="AccessDeniedException"):
        processing_job.status(NAME, troubled=fail)

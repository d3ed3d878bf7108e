"""moto's server over HTTP with a SageMaker whose executions follow a script: for tests of code that waits for them.

The AWS emulator runs executions; here a test scripts their states and errors.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.request import Request, urlopen

import pytest
from local_aws import http_server, moto_patches
from moto.server import DomainDispatcherApplication, create_backend_app

from ml.aws import executions

ACCOUNT, REGION = "123456789012", "us-east-1"
Answer = tuple[int, dict[str, Any]]
_EMPTY_VALUE = '[string "" is too short (length: 0, required minimum: 1)]'  # aws/sagemaker-python-sdk#4016


@dataclass
class Scripted:
    """One execution: `states` are the answers of successive calls; the last one repeats."""

    arn: str
    token: str
    label: str
    parameters: dict[str, str]
    states: list[tuple[str, list[dict[str, Any]]]]
    looks: int = 0
    retries: list[str] = field(default_factory=list)

    def now(self) -> tuple[str, list[dict[str, Any]]]:
        """The answer of the current call."""
        return self.states[min(max(self.looks - 1, 0), len(self.states) - 1)]


class ScriptedCloud:
    """A context manager; boto3 uses it through `environment`. One at a time: moto's state is that of the process."""

    def __init__(self) -> None:
        self.executions: dict[str, Scripted] = {}
        self.script: Callable[[Scripted], list[tuple[str, list[dict[str, Any]]]]] = lambda _: [("Succeeded", [])]
        """Given a started execution, the states it goes through."""
        self.retry_script: Callable[[Scripted], list[tuple[str, list[dict[str, Any]]]]] = lambda _: [("Succeeded", [])]
        self.faults: list[tuple[str, int, str]] = []
        """(operation, HTTP status, error code) that the next calls of that operation are answered with."""
        self.calls: list[str] = []
        self.jobs: dict[str, dict[str, Any]] = {}
        self._hurry = pytest.MonkeyPatch()  # scripted answers need no waiting
        self._handlers: dict[str, Callable[[dict[str, Any]], Answer]] = {
            "StartPipelineExecution": self._start,
            "ListPipelineExecutions": self._list,
            "DescribePipelineExecution": self._describe,
            "ListPipelineExecutionSteps": self._steps,
            "RetryPipelineExecution": self._retry,
            "StopPipelineExecution": self._stop,
            "ListPipelineParametersForExecution": self._parameters,
            "CreateProcessingJob": self._create_job,
            "DescribeProcessingJob": self._job,
            "StopProcessingJob": self._stop_job,
        }
        moto_patches.cache_module_list()
        self._moto: Any = DomainDispatcherApplication(create_backend_app)
        self._server = http_server.listen(0)

    def __enter__(self) -> ScriptedCloud:
        http_server.serve(self._server, self._serve)
        self._hurry.setattr(executions, "FIRST_POLL_SECONDS", 0.01)
        self._hurry.setattr(executions, "FIRST_RETRY_SECONDS", 0.01)
        urlopen(Request(f"{self.url}/moto-api/reset", method="POST"), timeout=10).close()  # noqa: S310 - loopback
        return self

    def __exit__(self, *_: object) -> None:
        self._hurry.undo()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The server's URL."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which boto3 reaches the server."""
        credentials = {"AWS_ACCESS_KEY_ID": "scripted", "AWS_SECRET_ACCESS_KEY": "scripted"}
        return {"AWS_ENDPOINT_URL": self.url, "AWS_DEFAULT_REGION": REGION, "AWS_REGION": REGION, **credentials}

    def _serve(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        handler = self._handlers.get(operation)
        if operation:
            self.calls.append(operation)
        fault = next((fault for fault in self.faults if fault[0] == operation), None)
        if handler is None and fault is None:
            answer: Iterable[bytes] = self._moto(environ, start_response)
            return answer
        body = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)) or b"{}")
        if fault is not None:
            self.faults.remove(fault)
            status, document = fault[1], {"__type": fault[2], "message": f"scripted {fault[2]}"}
        else:
            assert handler is not None
            status, document = handler(body)
        start_response(f"{status} scripted", [("Content-Type", "application/x-amz-json-1.1")])
        return [json.dumps(document).encode()]

    def _start(self, body: dict[str, Any]) -> Answer:
        token = body["ClientRequestToken"]
        for execution in self.executions.values():
            if execution.token == token:
                return 200, {"PipelineExecutionArn": execution.arn}
        number = f"{len(self.executions) + 1:012d}"
        if any(not item["Value"] for item in body["PipelineParameters"]):
            return 400, {"__type": "ValidationException", "message": _EMPTY_VALUE}
        arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:pipeline/{body['PipelineName']}/execution/{number}"
        started = Scripted(
            arn=arn,
            token=token,
            label=body.get("PipelineExecutionDisplayName", ""),
            parameters={item["Name"]: item["Value"] for item in body["PipelineParameters"]},
            states=[],
        )
        started.states = self.script(started)
        self.executions[arn] = started
        return 200, {"PipelineExecutionArn": arn}

    def _list(self, body: dict[str, Any]) -> Answer:
        summaries = [
            {
                "PipelineExecutionArn": item.arn,
                "PipelineExecutionDisplayName": item.label,
                "PipelineExecutionStatus": item.now()[0],
                "StartTime": 1.0,
            }
            for item in reversed(self.executions.values())
        ]
        return 200, {"PipelineExecutionSummaries": summaries}

    def _describe(self, body: dict[str, Any]) -> Answer:
        execution = self.executions.get(body["PipelineExecutionArn"])
        if execution is None:
            return 400, {"__type": "ResourceNotFound", "message": "no such execution"}
        execution.looks += 1
        status, _ = execution.now()
        return 200, {
            "PipelineExecutionArn": execution.arn,
            "PipelineExecutionStatus": status,
            "LastModifiedTime": 1000.0 + len(execution.retries),
        }

    def _steps(self, body: dict[str, Any]) -> Answer:
        _, steps = self.executions[body["PipelineExecutionArn"]].now()
        return 200, {"PipelineExecutionSteps": steps}

    def _retry(self, body: dict[str, Any]) -> Answer:
        execution = self.executions[body["PipelineExecutionArn"]]
        execution.retries.append(body["ClientRequestToken"])
        execution.states, execution.looks = self.retry_script(execution), 0
        return 200, {"PipelineExecutionArn": execution.arn}

    def _stop(self, body: dict[str, Any]) -> Answer:
        execution = self.executions[body["PipelineExecutionArn"]]
        execution.states, execution.looks = [("Stopping", []), ("Stopped", [])], 0
        return 200, {"PipelineExecutionArn": execution.arn}

    def _parameters(self, body: dict[str, Any]) -> Answer:
        execution = self.executions.get(body["PipelineExecutionArn"])
        if execution is None:
            return 400, {"__type": "ResourceNotFound", "message": "no such execution"}
        given = execution.parameters
        return 200, {"PipelineParameters": [{"Name": name, "Value": value} for name, value in given.items()]}

    def _create_job(self, body: dict[str, Any]) -> Answer:
        name = body["ProcessingJobName"]
        if name in self.jobs:
            return 400, {"__type": "ResourceInUse", "message": f"a job with this name already exists ({name})"}
        self.jobs[name] = {"ProcessingJobStatus": "InProgress"}
        return 200, {"ProcessingJobArn": job_arn("processing-job", name)}

    def _stop_job(self, body: dict[str, Any]) -> Answer:
        job = self.jobs[body["ProcessingJobName"]]
        if job["ProcessingJobStatus"] != "InProgress":
            return 400, {"__type": "ValidationException", "message": f"is in status {job['ProcessingJobStatus']}"}
        job["ProcessingJobStatus"] = "Stopping"
        return 200, {}

    def _job(self, body: dict[str, Any]) -> Answer:
        job = self.jobs.get(body["ProcessingJobName"])
        return (200, job) if job else (400, {"__type": "ValidationException", "message": "Could not find the job"})


def step(name: str, status: str = "Succeeded", *, seconds: float = 2.0, **more: Any) -> dict[str, Any]:
    """One entry of ListPipelineExecutionSteps."""
    times = {"StartTime": 100.0} | ({"EndTime": 100.0 + seconds} if status not in ("Starting", "Executing") else {})
    return {"StepName": name, "StepStatus": status, **times, **more}


def job_arn(kind: str, name: str) -> str:
    """The ARN of a `processing-job` or `training-job`."""
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind}/{name}"

"""A minimal server for pipeline tests: moto with the pipeline operations in front, and short definitions."""

from __future__ import annotations

import io
import json
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from local_aws.errors import AwsError, NotHandled
from local_aws.faults import FaultPlan
from local_aws.sagemaker.pipelines.jobs.image_commands import ImageMap
from local_aws.sagemaker.pipelines.jobs.isolation import Isolation
from local_aws.sagemaker.pipelines.operations import PipelineService
from local_aws.sagemaker.service_roles import KeyUse
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

REGION, ACCOUNT = "us-east-1", "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/execution"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
_ALLOW = (
    b'<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><SimulatePrincipalPolicyResult>'
    b"<IsTruncated>false</IsTruncated><EvaluationResults/></SimulatePrincipalPolicyResult>"
    b"</SimulatePrincipalPolicyResponse>"
)
Json = dict[str, Any]


class Dispatcher:
    """Answers the operations of `service`; everything else is moto's."""

    def __init__(self) -> None:
        self.service: PipelineService | None = None
        self.faults: list[tuple[str, str, int]] = []  # (operation, code, status) to answer once each
        self.calls: list[str] = []
        self._moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: Json, start: Callable[..., Any]) -> Iterable[bytes]:
        """The WSGI application."""
        operation = environ.get("HTTP_X_AMZ_TARGET", "").removeprefix("SageMaker.")
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)) if operation else b""
        if operation:
            self.calls.append(operation)
            environ["wsgi.input"] = io.BytesIO(body)
            for fault in self.faults:
                if fault[0] == operation:
                    self.faults.remove(fault)
                    return _error(start, AwsError(fault[1], "injected", fault[2]))
        handler = self.service.operations.get(operation) if self.service else None
        if handler:
            try:
                answer = json.dumps(handler(json.loads(body))).encode()
            except NotHandled:
                environ["wsgi.input"] = io.BytesIO(body)
            except AwsError as error:
                return _error(start, error)
            else:
                start("200 OK", [("Content-Type", "application/x-amz-json-1.1")])
                return [answer]
        answered: Iterable[bytes] = self._moto(environ, start)
        return answered


def _error(start: Callable[..., Any], error: AwsError) -> Iterable[bytes]:
    start(f"{error.status} Error", [("Content-Type", "application/x-amz-json-1.1")])
    return [json.dumps({"__type": error.code, "message": error.message}).encode()]


_WORD_CHARS = 256


class EveryRole:
    """Stands for the roles of SageMaker on a moto without authorization: each is the test's own caller."""

    def __init__(self, aws: PipelineAws) -> None:
        self._aws = aws
        self.authorized: list[tuple[str, str]] = []
        """(role, operation) of each call that was authorized."""

    def client(self, role_arn: str, api: str) -> Any:
        """The test's client."""
        del role_arn
        return self._aws.client(api)

    def environment(self, role_arn: str) -> dict[str, str]:
        """The test's endpoint and credentials."""
        del role_arn
        return {"AWS_ENDPOINT_URL": self._aws.url, "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}

    def authorize(self, role_arn: str, operation: str, parameters: Mapping[str, Any]) -> None:
        """Allows, and notes the call."""
        del parameters
        self.authorized.append((role_arn, operation))

    def authorize_key(self, role_arn: str, use: KeyUse, key: str) -> None:
        """Allows, and notes the key."""
        self.authorized.append((role_arn, f"{use} {key}"))


class PipelineAws:
    """The test environment: clients, the events so far, and shorthands."""

    def __init__(self, dispatcher: Dispatcher, url: str, folder: Path) -> None:
        self.dispatcher, self.url, self.folder = dispatcher, url, folder
        self.events: list[tuple[str, Json, list[str]]] = []
        self.roles = EveryRole(self)
        self.faults = FaultPlan()
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()
        self.bucket = f"lake-{uuid.uuid4().hex[:12]}"
        self.client("s3").create_bucket(Bucket=self.bucket)

    def client(self, name: str) -> Any:
        """A boto3 client of the server."""
        with self._lock:
            if name not in self._clients:
                self._clients[name] = boto3.client(
                    name,
                    region_name=REGION,
                    endpoint_url=self.url,
                    aws_access_key_id="testing",
                    aws_secret_access_key="testing",
                    config=Config(retries={"total_max_attempts": 1}),
                )
            return self._clients[name]

    def serve(self, **options: Any) -> PipelineService:
        """Closes the service and creates a new one."""
        if self.dispatcher.service:
            self.dispatcher.service.close()
        self.dispatcher.service = PipelineService(
            client=self.client,
            roles=self.roles,
            folder=self.folder / uuid.uuid4().hex[:6],
            emit=lambda kind, detail, arns: self.events.append((kind, dict(detail), list(arns))),
            region=REGION,
            account=ACCOUNT,
            faults=self.faults,
            **{"images": ImageMap(), "isolation": Isolation(), "grace_seconds": 2.0, **options},
        )
        return self.dispatcher.service

    @property
    def service(self) -> PipelineService:
        """The current service."""
        assert self.dispatcher.service
        return self.dispatcher.service

    def put(self, key: str, body: bytes | str) -> str:
        """Stores an object in the test's bucket; returns its URI."""
        self.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body.encode() if isinstance(body, str) else body)
        return f"s3://{self.bucket}/{key}"

    def get(self, uri: str) -> bytes:
        """The object at a URI."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        return bytes(self.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())

    def create(self, steps: Sequence[Json], parameters: Sequence[Json] = (), **options: Any) -> str:
        """Creates a pipeline of these steps; returns its name."""
        name = f"pipeline-{uuid.uuid4().hex[:8]}"
        text = json.dumps({"Version": "2020-12-01", "Parameters": list(parameters), "Steps": list(steps), **options})
        self.client("sagemaker").create_pipeline(
            PipelineName=name, PipelineDefinition=text, RoleArn=ROLE, ClientRequestToken=uuid.uuid4().hex
        )
        return name

    def start(self, pipeline: str, **options: Any) -> str:
        """Starts it; returns the execution's ARN."""
        started = self.client("sagemaker").start_pipeline_execution(PipelineName=pipeline, **options)
        return str(started["PipelineExecutionArn"])

    def finish(self, arn: str, timeout: float = 60) -> Json:
        """Waits for the end and describes the execution through boto3."""
        self.service.wait(arn, timeout)
        described: Json = self.client("sagemaker").describe_pipeline_execution(PipelineExecutionArn=arn)
        return described

    def run(self, steps: Sequence[Json], parameters: Sequence[Json] = (), **options: Any) -> tuple[str, Json]:
        """Creates and starts a pipeline and waits; returns the ARN and the execution's description."""
        arn = self.start(self.create(steps, parameters), **options)
        return arn, self.finish(arn)

    def steps(self, arn: str) -> dict[str, Json]:
        """The execution's steps by name, through boto3."""
        listed = self.client("sagemaker").list_pipeline_execution_steps(PipelineExecutionArn=arn)
        return {step["StepName"]: step for step in listed["PipelineExecutionSteps"]}


@contextmanager
def dispatcher_server() -> Iterator[tuple[Dispatcher, str]]:
    """The dispatcher on loopback and its URL."""
    dispatcher = Dispatcher()
    server = make_server("127.0.0.1", 0, answering(dispatcher), threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield dispatcher, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answering(dispatcher: Dispatcher) -> Callable[[Json, Callable[..., Any]], Iterable[bytes]]:
    """`dispatcher` with the one IAM call that the SDK makes and moto lacks."""

    def application(environ: Json, start: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
            if b"Action=SimulatePrincipalPolicy" in body:
                start("200 OK", [("Content-Type", "text/xml")])
                return [_ALLOW]
        return dispatcher(environ, start)

    return application


def processing(
    name: str,
    command: Sequence[Any],
    *,
    inputs: Mapping[str, Any] | None = None,
    outputs: Mapping[str, Any] | None = None,
    arguments: Json | None = None,
    **members: Any,
) -> Json:
    """A Processing step: `inputs` and `outputs` are URIs by name, at /opt/ml/processing/<name>."""
    own: Json = {
        "ProcessingResources": {
            "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}
        },
        "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": list(command)},
        "RoleArn": ROLE,
    }
    if inputs:
        own["ProcessingInputs"] = [
            {
                "InputName": key,
                "S3Input": {
                    "S3Uri": uri,
                    "LocalPath": f"/opt/ml/processing/{key}",
                    "S3DataType": "S3Prefix",
                    "S3InputMode": "File",
                },
            }
            for key, uri in inputs.items()
        ]
    if outputs:
        own["ProcessingOutputConfig"] = {
            "Outputs": [
                {
                    "OutputName": key,
                    "S3Output": {
                        "S3Uri": uri,
                        "LocalPath": f"/opt/ml/processing/{key}",
                        "S3UploadMode": "EndOfJob",
                    },
                }
                for key, uri in outputs.items()
            ]
        }
    return {"Name": name, "Type": "Processing", "Arguments": {**own, **(arguments or {})}, **members}


def training(
    name: str,
    command: Sequence[Any] | None,
    output: Any,
    *,
    channels: Mapping[str, Any] | None = None,
    arguments: Json | None = None,
    image: str = IMAGE,
    **members: Any,
) -> Json:
    """A Training step; `channels` are URIs by name."""
    algorithm: Json = {"TrainingImage": image, "TrainingInputMode": "File"}
    if command is not None:
        algorithm["ContainerEntrypoint"] = list(command)
    own: Json = {
        "AlgorithmSpecification": algorithm,
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": output},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    }
    if channels:
        own["InputDataConfig"] = [
            {
                "ChannelName": key,
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": uri,
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
            }
            for key, uri in channels.items()
        ]
    return {"Name": name, "Type": "Training", "Arguments": {**own, **(arguments or {})}, **members}


def python(code: str, *arguments: str) -> list[str]:
    """The entry point that runs `code` with `arguments`; a long program is split into words of SageMaker's limit."""
    if len(code) <= _WORD_CHARS and "\n" not in code:
        return ["python3", "-c", code, *arguments]
    text = code.encode().hex()
    words = [text[at : at + _WORD_CHARS] for at in range(0, len(text), _WORD_CHARS)]
    start = "import sys; n = int(sys.argv[1]) + 2; code = ''.join(sys.argv[2:n]); del sys.argv[1:n]"
    start += "; exec(bytes.fromhex(code))"
    return ["python3", "-c", start, str(len(words)), *words, *arguments]


def failure_reason(aws: PipelineAws, step: Json, **options: Any) -> str:
    """The failure reason of a pipeline with this one step."""
    arn, described = aws.run([step], **options)
    assert described["PipelineExecutionStatus"] == "Failed"
    return str(aws.steps(arn)[step["Name"]]["FailureReason"])


def change(step: Json, path: str, value: Any) -> Json:
    """The step with the argument at a dotted path replaced."""
    *parts, last = path.split(".")
    target: Any = step["Arguments"]
    for part in parts:
        target = target[int(part) if part.isdigit() else part]
    target[last] = value
    return step

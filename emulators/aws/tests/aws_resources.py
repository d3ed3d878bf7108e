"""Resources for tests of the emulator: model archives, endpoints, functions, queues; and waiting."""

from __future__ import annotations

import io
import json
import tarfile
import textwrap
import time
import uuid
import zipfile
from collections.abc import Callable
from typing import Any, Protocol

from local_aws.server import LocalAws

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
ROLE = "arn:aws:iam::123456789012:role/serving"
HANDLER = """
import os, time

class Refusal(Exception):
    def __init__(self, status_code, message):
        super().__init__(message)
        self.status_code, self.message = status_code, message

def model_fn(model_dir):
    if os.environ.get("BREAK"):
        raise RuntimeError("this model does not load")
    time.sleep(float(os.environ.get("SLOW_START", "0")))
    return os.environ.get("VERSION", "none")

def transform_fn(model, body, content_type, accept):
    text = body if isinstance(body, str) else bytes(body).decode("latin-1")
    if text.startswith("sleep "):
        time.sleep(float(text.split()[1]))
    if text in ("die", f"die {model}"):
        os._exit(3)
    if text == "bad":
        raise Refusal(400, "no such row")
    if text == "broken":
        raise ValueError("the model broke")
    return f"{model}:{content_type}:{text}".encode(), accept
"""


def wait_until(check: Callable[[], Any], attempts: int = 3000, pause_seconds: float = 0.02) -> Any:
    """Calls `check` until its result is true and returns it; AssertionError after `attempts` calls.

    The conditions are states of other processes and threads that send no event to the test (files, process tables,
    answers of an API), so they are polled. The limit counts calls: load on the machine makes each of them slower and
    does not use them up. pytest's timeout ends a test whose condition never returns.
    """
    for _ in range(attempts):
        if result := check():
            return result
        time.sleep(pause_seconds)
    raise AssertionError(f"not true after {attempts} attempts: {check}")


def pack_archive(files: dict[str, str]) -> bytes:
    """A tar.gz of `files`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


class Clients(Protocol):
    """An emulator, or what has its clients."""

    def client(self, service: str) -> Any:
        """A boto3 client as the administrator."""


def create_role(aws: Clients, name: str, principal: str | dict[str, str], *statements: dict[str, Any]) -> str:
    """A new role with these policy statements that `principal`, a service by its name, may assume; its ARN."""
    principal = {"Service": principal} if isinstance(principal, str) else principal
    trusted = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    iam = aws.client("iam")
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy(trusted))["Role"]["Arn"]
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="permissions", PolicyDocument=_policy(*statements))
    return arn


def allow(action: str | list[str], resource: str | list[str] = "*", **condition: Any) -> dict[str, Any]:
    """An Allow statement."""
    return {
        "Effect": "Allow",
        "Action": action,
        "Resource": resource,
        **({"Condition": condition} if condition else {}),
    }


def deny(action: str, resource: str = "*") -> dict[str, Any]:
    """A Deny statement."""
    return {**allow(action, resource), "Effect": "Deny"}


def _policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def unique_name(prefix: str) -> str:
    """A unique name."""
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def create_endpoint_config(
    aws: LocalAws,
    *,
    capture: dict[str, Any] | None = None,
    data: bytes | None = None,
    role: str = ROLE,
    **environment: str,
) -> str:
    """A new endpoint configuration of one variant that serves HANDLER under `environment`, as `role`."""
    name = unique_name("model")
    s3, sagemaker = aws.client("s3"), aws.client("sagemaker")
    s3.create_bucket(Bucket="models")
    s3.put_object(Bucket="models", Key=f"{name}.tar.gz", Body=data or pack_archive({"code/inference.py": HANDLER}))
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://models/{name}.tar.gz", "Environment": environment}
    sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=role)
    variant = {"VariantName": "AllTraffic", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    more = {"DataCaptureConfig": capture} if capture else {}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant], **more)
    return name


def capture_config(
    destination: str, percent: int = 100, modes: tuple[str, ...] = ("Input", "Output"), **types: Any
) -> dict[str, Any]:
    """A DataCaptureConfig."""
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": percent,
        "DestinationS3Uri": destination,
        "CaptureOptions": [{"CaptureMode": mode} for mode in modes],
        **types,
    }


def endpoint_status(aws: LocalAws, name: str) -> str:
    """The endpoint's status."""
    text: str = aws.client("sagemaker").describe_endpoint(EndpointName=name)["EndpointStatus"]
    return text


def wait_until_settled(aws: LocalAws, name: str) -> str:
    """The endpoint's status once it is neither being created nor updated."""
    found: str = wait_until(
        lambda: (s := endpoint_status(aws, name)) not in ("Creating", "Updating", "RollingBack") and s
    )
    return found


def create_endpoint(aws: LocalAws, **options: Any) -> str:
    """A new endpoint in service."""
    name = unique_name("endpoint")
    aws.client("sagemaker").create_endpoint(
        EndpointName=name, EndpointConfigName=create_endpoint_config(aws, **options)
    )
    assert wait_until_settled(aws, name) == "InService"
    return name


def invoke_endpoint(aws: LocalAws, name: str, body: bytes | str, **options: Any) -> str:
    """The endpoint's response as text."""
    options = {"ContentType": "text/csv", "Accept": "text/csv", **options}
    answer = aws.client("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=body, **options)
    text: str = answer["Body"].read().decode()
    return text


def zip_function(code: str) -> bytes:
    """A function's zip of one module, `index.py`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        zipped.writestr("index.py", textwrap.dedent(code))
    return buffer.getvalue()


def create_function(aws: LocalAws, code: str, *statements: dict[str, Any], **options: Any) -> str:
    """A new Lambda function of one module, `index.py`, with the handler `index.handler` and a role that may log."""
    name = unique_name("function")
    role = create_role(aws, name, "lambda.amazonaws.com", allow("logs:*"), *statements)
    options = {"Runtime": "python3.12", "Handler": "index.handler", **options}
    aws.client("lambda").create_function(FunctionName=name, Role=role, Code={"ZipFile": zip_function(code)}, **options)
    return name


def create_queue(aws: LocalAws) -> tuple[str, str]:
    """A new queue to which EventBridge may send: its URL and its ARN."""
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName=unique_name("queue"))["QueueUrl"]
    arn: str = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {**allow("sqs:SendMessage", arn), "Principal": {"Service": "events.amazonaws.com"}}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": _policy(statement)})
    return url, arn


def receive_messages(aws: LocalAws, url: str, count: int) -> list[dict[str, Any]]:
    """The bodies of at least `count` messages of a queue, parsed."""
    found: list[dict[str, Any]] = []

    def enough() -> bool:
        got = aws.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        found.extend(json.loads(message["Body"]) for message in got)
        return len(found) >= count

    wait_until(enough)
    return found

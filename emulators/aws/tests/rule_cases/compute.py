"""Cases of the rules of Lambda; not a test itself."""

from __future__ import annotations

import io
import json
import zipfile
from functools import partial

from aws_resources import create_function, zip_function
from local_aws.server import LocalAws
from rule_cases.refusals import Case, reason_of_failed_stack, refused


def reserved_concurrency(aws: LocalAws) -> None:
    name = create_function(aws, "def handler(event, context): pass")
    client = aws.client("lambda")
    refused(
        "lambda-reserved-concurrency",
        lambda: client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1),
    )
    aws.quotas.set({"lambda_concurrent_executions": 102})
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=2)


def reserved_variable(aws: LocalAws) -> None:
    variables = {"Environment": {"Variables": {"AWS_REGION": "x", "LAMBDA_TASK_ROOT": "y"}}}
    refused("lambda-reserved-variable", lambda: create_function(aws, "def handler(e, c): pass", **variables))


def environment_size(aws: LocalAws) -> None:
    variables = {"Environment": {"Variables": {"AB": "x" * 4096}}}
    refused("lambda-environment-size", lambda: create_function(aws, "def handler(e, c): pass", **variables))


def unzipped_size(aws: LocalAws) -> None:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("zeros", "w") as file,
    ):
        for _ in range(251):
            file.write(bytes(1 << 20))
    name = create_function(aws, "def handler(e, c): pass")
    refused(
        "lambda-unzipped-size",
        lambda: aws.client("lambda").update_function_code(FunctionName=name, ZipFile=buffer.getvalue()),
    )


def timeout(aws: LocalAws) -> None:
    name = create_function(aws, "def handler(e, c): pass", Timeout=900)
    client = aws.client("lambda")
    refused("lambda-timeout", lambda: client.update_function_configuration(FunctionName=name, Timeout=901))
    properties = (
        f"{{Timeout: 901, Runtime: python3.12, Handler: index.handler, Code: {{ZipFile: 'pass'}}, "
        f"Role: 'arn:aws:iam::123456789012:role/{name}'}}"
    )
    body = f"Resources: {{F: {{Type: AWS::Lambda::Function, Properties: {properties}}}}}"
    assert "Value '901' at 'timeout' failed to satisfy constraint" in reason_of_failed_stack(aws, body)


def invalid_archive(aws: LocalAws) -> None:
    name = create_function(aws, "def handler(e, c): pass")
    client = aws.client("lambda")
    for code in (b"no archive", b"damaged" + zip_function("x = 1")[-22:]):  # the end of an archive has 22 bytes
        refused(
            "lambda-invalid-archive",
            partial(client.update_function_code, FunctionName=name, ZipFile=code),
        )


def statement_exists(aws: LocalAws) -> None:
    name, client = create_function(aws, "def handler(e, c): pass"), aws.client("lambda")
    permission = {"Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com", "StatementId": "one"}
    client.add_permission(FunctionName=name, **permission)
    refused("lambda-statement-exists", lambda: client.add_permission(FunctionName=name, **permission))
    client.remove_permission(FunctionName=name, StatementId="one")
    client.add_permission(FunctionName=name, **permission)


def payload_size(aws: LocalAws) -> None:
    name, client = create_function(aws, "def handler(e, c): pass"), aws.client("lambda")
    for kind, limit in (("Event", 1 << 20), ("RequestResponse", 6 << 20)):
        refused(
            "lambda-payload-size",
            partial(client.invoke, FunctionName=name, InvocationType=kind, Payload=json.dumps("x" * (limit - 1))),
        )
        client.invoke(FunctionName=name, InvocationType=kind, Payload=json.dumps("x" * (limit - 2)))


CASES: dict[str, Case] = {
    "lambda-environment-size": environment_size,
    "lambda-invalid-archive": invalid_archive,
    "lambda-payload-size": payload_size,
    "lambda-reserved-concurrency": reserved_concurrency,
    "lambda-reserved-variable": reserved_variable,
    "lambda-statement-exists": statement_exists,
    "lambda-timeout": timeout,
    "lambda-unzipped-size": unzipped_size,
}

"""Lambda functions: code, environment, role, timeout, logs and retries."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from aws_resources import allow, create_function, create_queue, receive_messages, zip_function
from botocore.exceptions import ClientError
from local_aws.faults import Rule
from local_aws.server import LocalAws


def invoke(aws: LocalAws, name: str, event: Any = None) -> dict[str, Any]:
    """Invokes and waits: payload, error kind, log."""
    answer = aws.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event or {}), LogType="Tail")
    return {
        "payload": json.loads(answer["Payload"].read()),
        "error": answer.get("FunctionError"),
        "log": base64.b64decode(answer["LogResult"]).decode(),
    }


def test_handler_gets_event_context_environment_and_role(aws: LocalAws) -> None:
    """It can call AWS at the same URL with its role, and its output is in CloudWatch Logs."""
    name = create_function(
        aws,
        """
        import os, boto3
        def handler(event, context):
            print("hello from", context.function_name)
            arn = boto3.client("sts").get_caller_identity()["Arn"]
            left = context.get_remaining_time_in_millis()
            return {"arn": arn, "event": event, "own": os.environ["OWN"], "left": left, "id": context.aws_request_id}
        """,
        Environment={"Variables": {"OWN": "7"}},
        Timeout=30,
    )
    answer = invoke(aws, name, {"a": [1]})
    payload = answer["payload"]
    assert (payload["event"], payload["own"]) == ({"a": [1]}, "7")
    assert payload["arn"] == f"arn:aws:sts::123456789012:assumed-role/{name}/{name}"
    assert 0 < payload["left"] <= 30_000
    assert f"hello from {name}" in answer["log"]
    logs = aws.client("logs")
    events = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
    assert any(f"hello from {name}" in event["message"] for event in events)


def test_warm_environment_is_reused_until_new_code(aws: LocalAws) -> None:
    """Module state survives between events until the code is updated."""
    code = """
        count = 0
        def handler(event, context):
            global count
            count += 1
            return [{version}, count]
        """
    name = create_function(aws, code.replace("{version}", "1"))
    assert [invoke(aws, name)["payload"] for _ in range(2)] == [[1, 1], [1, 2]]
    other = create_function(aws, code.replace("{version}", "2"))
    assert invoke(aws, other)["payload"] == [2, 1]
    aws.client("lambda").update_function_code(FunctionName=name, ZipFile=zip_function(code.replace("{version}", "3")))
    assert invoke(aws, name)["payload"] == [3, 1]


def test_function_errors_have_lambdas_types(aws: LocalAws) -> None:
    """An exception, a missing module, a missing handler, an exit and a timeout each have Lambda's error type."""
    cases = {
        "def handler(e, c):\n    raise ValueError('no')": ("ValueError", "no"),
        "import pandas\ndef handler(e, c):\n    return 1": ("Runtime.ImportModuleError", "No module named 'pandas'"),
        "import ml\ndef handler(e, c):\n    return 1": ("Runtime.ImportModuleError", "No module named 'ml'"),
        "def other(e, c):\n    return 1": ("Runtime.HandlerNotFound", "Handler 'handler' missing on module 'index'"),
        "import os\ndef handler(e, c):\n    os._exit(9)": ("Runtime.ExitError", "exit status 9"),
        "import time\ndef handler(e, c):\n    time.sleep(60)": (
            "Sandbox.Timedout",
            "Task timed out after 1.00 seconds",
        ),
        "def handler(e, c):\n    return {1, 2}": ("Runtime.MarshalError", "set"),
    }
    for code, (kind, message) in cases.items():
        answer = invoke(aws, create_function(aws, code, Timeout=1))
        assert answer["error"] == "Unhandled", code
        assert answer["payload"]["errorType"] == kind, code
        assert message in answer["payload"]["errorMessage"], code


def test_failed_asynchronous_event_goes_to_its_destination(aws: LocalAws) -> None:
    """After two retries the failure destination gets the request and the error."""
    url, arn = create_queue(aws)
    code = "def handler(e, c):\n    print('try', c.aws_request_id)\n    raise ValueError('never')"
    name = create_function(aws, code, allow("sqs:SendMessage", arn))
    aws.client("lambda").put_function_event_invoke_config(
        FunctionName=name, MaximumRetryAttempts=2, DestinationConfig={"OnFailure": {"Destination": arn}}
    )
    answer = aws.client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=b'{"a": 1}')
    assert answer["StatusCode"] == 202
    [record] = receive_messages(aws, url, 1)
    assert record["requestPayload"] == {"a": 1}
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 3
    assert record["responsePayload"]["errorMessage"] == "never"
    log = (aws.folder / "functions" / f"{name}.log").read_text()
    assert log.count("try ") == 3


def test_topic_invokes_a_subscribed_function(aws: LocalAws) -> None:
    """The emulator runs the function itself, where moto would use a container."""
    url, arn = create_queue(aws)
    name = create_function(
        aws,
        f"""
        import boto3, json
        def handler(event, context):
            message = event["Records"][0]["Sns"]["Message"]
            boto3.client("sqs").send_message(QueueUrl="{url}", MessageBody=json.dumps(message))
        """,
        allow("sqs:SendMessage", arn),
        Timeout=30,
    )
    sns = aws.client("sns")
    topic = sns.create_topic(Name=name)["TopicArn"]
    arn = f"arn:aws:lambda:us-east-1:123456789012:function:{name}"
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn)
    sns.publish(TopicArn=topic, Message="news")
    [message] = receive_messages(aws, url, 1)
    assert str(message) == "news"


def test_function_at_its_concurrency_limit_is_throttled(aws: LocalAws) -> None:
    """With a reserved concurrency of 0, every call is a 429."""
    name = create_function(aws, "def handler(e, c):\n    return 1")
    aws.client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError) as caught:
        aws.client("lambda").invoke(FunctionName=name)
    assert caught.value.response["Error"]["Code"] == "TooManyRequestsException"


def test_handler_gets_the_simulated_time(aws: LocalAws) -> None:
    """Each event carries the time of the emulator's clock; the process stays the same."""
    name = create_function(
        aws, "import os\ndef handler(e, c):\n    return [os.environ.get('LOCAL_AWS_NOW'), os.getpid()]"
    )
    before = invoke(aws, name)["payload"]
    aws.clock.set(datetime(2026, 3, 1, tzinfo=UTC))
    try:
        after = invoke(aws, name)["payload"]
    finally:
        aws.clock.set(None)
    assert (before[0], after[0]) == (None, "2026-03-01T00:00:00Z")
    assert before[1] == after[1]


@pytest.mark.parametrize(("fault", "ran"), [("timeout", 0), ("timeout_after", 1)])
def test_function_fault_is_reported_as_a_timeout(aws: LocalAws, fault: str, ran: int) -> None:
    """The caller sees a timeout; the handler has run to its end or not at all. The next invocation succeeds."""
    name = create_function(
        aws,
        """
        count = 0
        def handler(event, context):
            global count
            count += 1
            return count
        """,
    )
    aws.faults.set([Rule(fault=fault, service="function", operation=name)])
    answer = invoke(aws, name)
    assert answer["error"] == "Unhandled"
    assert answer["payload"]["errorType"] == "Sandbox.Timedout"
    assert invoke(aws, name)["payload"] == ran + 1
    aws.faults.set([])

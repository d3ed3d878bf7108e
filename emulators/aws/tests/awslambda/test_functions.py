"""Lambda functions run for real: their own code, environment, role, timeout, logs and retries."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from aws_resources import function, messages, package, queue
from botocore.exceptions import ClientError
from local_aws.server import LocalCloud


def invoke(cloud: LocalCloud, name: str, event: Any = None) -> dict[str, Any]:
    """Invokes and waits: payload, error kind, log."""
    answer = cloud.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event or {}), LogType="Tail")
    return {
        "payload": json.loads(answer["Payload"].read()),
        "error": answer.get("FunctionError"),
        "log": base64.b64decode(answer["LogResult"]).decode(),
    }


def test_a_handler_gets_event_context_environment_and_its_roles_credentials(cloud: LocalCloud) -> None:
    """It can call AWS at the same URL, in the name of its role, and its prints are in CloudWatch Logs."""
    name = function(
        cloud,
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
    answer = invoke(cloud, name, {"a": [1]})
    payload = answer["payload"]
    assert (payload["event"], payload["own"]) == ({"a": [1]}, "7")
    assert payload["arn"] == f"arn:aws:sts::123456789012:assumed-role/{name}/{name}"
    assert 0 < payload["left"] <= 30_000
    assert f"hello from {name}" in answer["log"]
    logs = cloud.client("logs")
    events = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
    assert any(f"hello from {name}" in event["message"] for event in events)


def test_a_warm_process_is_used_again_and_new_code_replaces_it(cloud: LocalCloud) -> None:
    """Module state survives between events until the code is updated."""
    code = """
        count = 0
        def handler(event, context):
            global count
            count += 1
            return [{version}, count]
        """
    name = function(cloud, code.replace("{version}", "1"))
    assert [invoke(cloud, name)["payload"] for _ in range(2)] == [[1, 1], [1, 2]]
    other = function(cloud, code.replace("{version}", "2"))
    assert invoke(cloud, other)["payload"] == [2, 1]
    cloud.client("lambda").update_function_code(FunctionName=name, ZipFile=package(code.replace("{version}", "3")))
    assert invoke(cloud, name)["payload"] == [3, 1]


def test_errors_are_told_as_lambda_tells_them(cloud: LocalCloud) -> None:
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
        answer = invoke(cloud, function(cloud, code, Timeout=1))
        assert answer["error"] == "Unhandled", code
        assert answer["payload"]["errorType"] == kind, code
        assert message in answer["payload"]["errorMessage"], code


def test_an_asynchronous_event_is_tried_three_times_and_then_kept(cloud: LocalCloud) -> None:
    """After two retries the event lies in the failure destination with its request and its error."""
    url, arn = queue(cloud)
    name = function(cloud, "def handler(e, c):\n    print('try', c.aws_request_id)\n    raise ValueError('never')")
    cloud.client("lambda").put_function_event_invoke_config(
        FunctionName=name, MaximumRetryAttempts=2, DestinationConfig={"OnFailure": {"Destination": arn}}
    )
    answer = cloud.client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=b'{"a": 1}')
    assert answer["StatusCode"] == 202
    [record] = messages(cloud, url, 1)
    assert record["requestPayload"] == {"a": 1}
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 3
    assert record["responsePayload"]["errorMessage"] == "never"
    log = (cloud.folder / "functions" / f"{name}.log").read_text()
    assert log.count("try ") == 3


def test_a_topic_calls_the_function_that_subscribes_to_it(cloud: LocalCloud) -> None:
    """What moto would run in a container runs here as any other call."""
    url, _ = queue(cloud)
    name = function(
        cloud,
        f"""
        import boto3, json
        def handler(event, context):
            message = event["Records"][0]["Sns"]["Message"]
            boto3.client("sqs").send_message(QueueUrl="{url}", MessageBody=json.dumps(message))
        """,
        Timeout=30,
    )
    sns = cloud.client("sns")
    topic = sns.create_topic(Name=name)["TopicArn"]
    arn = f"arn:aws:lambda:us-east-1:123456789012:function:{name}"
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn)
    sns.publish(TopicArn=topic, Message="news")
    [message] = messages(cloud, url, 1)
    assert str(message) == "news"


def test_a_function_at_its_limit_is_throttled(cloud: LocalCloud) -> None:
    """With one environment reserved, a second call at the same time is a 429; none reserved means none runs."""
    name = function(cloud, "def handler(e, c):\n    return 1")
    cloud.client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError) as caught:
        cloud.client("lambda").invoke(FunctionName=name)
    assert caught.value.response["Error"]["Code"] == "TooManyRequestsException"


def test_the_simulated_clock_reaches_the_handler(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each event carries the time that FRAUDOPS_NOW says, without a new process."""
    name = function(cloud, "import os\ndef handler(e, c):\n    return [os.environ.get('FRAUDOPS_NOW'), os.getpid()]")
    before = invoke(cloud, name)["payload"]
    monkeypatch.setenv("FRAUDOPS_NOW", "2026-03-01T00:00:00Z")
    after = invoke(cloud, name)["payload"]
    assert (before[0], after[0]) == (None, "2026-03-01T00:00:00Z")
    assert before[1] == after[1]

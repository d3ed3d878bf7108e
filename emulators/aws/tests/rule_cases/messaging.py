"""Cases of the rules of EventBridge, SQS and SNS; not a test itself."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from aws_resources import unique_name
from local_aws.server import LocalAws
from rule_cases.refusals import Case, reason_of_failed_stack, refused


def new_rule(aws: LocalAws) -> str:
    """A new rule's name."""
    name = unique_name("rule")
    aws.client("events").put_rule(Name=name, EventPattern='{"source": ["a"]}')
    return name


def targets(count: int) -> list[dict[str, str]]:
    """So many targets."""
    return [{"Id": f"t{number}", "Arn": f"arn:aws:sqs:us-east-1:123456789012:q{number}"} for number in range(count)]


def targets_per_rule(aws: LocalAws) -> None:
    name, events = new_rule(aws), aws.client("events")
    events.put_targets(Rule=name, Targets=targets(5))
    refused("events-targets-per-rule", lambda: events.put_targets(Rule=name, Targets=targets(6)[5:]))
    listed = json.dumps(targets(6))
    properties = f"{{EventPattern: {{source: [a]}}, Targets: {listed}}}"
    body = f"Resources: {{R: {{Type: AWS::Events::Rule, Properties: {properties}}}}}"
    assert "The requested resource exceeds the maximum number allowed." in reason_of_failed_stack(aws, body)


def rule_without_trigger(aws: LocalAws) -> None:
    refused("events-rule-without-trigger", lambda: aws.client("events").put_rule(Name=unique_name("rule")))


def invalid_schedule(aws: LocalAws) -> None:
    for text in ("rate(3 minute)", "rate(1 minutes)", "rate(0 days)", "cron(15 * * * *)", "cron(0 1 * * * *)", "x"):
        refused(
            "events-invalid-schedule",
            partial(aws.client("events").put_rule, Name=unique_name("rule"), ScheduleExpression=text),
        )
    for text in ("rate(1 minute)", "rate(2 hours)", "cron(15 10 ? * 6L 2026)", "cron(0 8 1 * ? *)"):
        aws.client("events").put_rule(Name=unique_name("rule"), ScheduleExpression=text)


def rule_has_targets(aws: LocalAws) -> None:
    name, events = new_rule(aws), aws.client("events")
    events.put_targets(Rule=name, Targets=targets(1))
    refused("events-rule-has-targets", lambda: events.delete_rule(Name=name))


def pattern_of(characters: int) -> str:
    """An event pattern of so many characters."""
    return json.dumps({"source": ["x" * (characters - len(json.dumps({"source": [""]})))]})


def pattern_size(aws: LocalAws) -> None:
    events, name = aws.client("events"), unique_name("rule")
    refused("events-pattern-size", lambda: events.put_rule(Name=name, EventPattern=pattern_of(2049)))
    events.put_rule(Name=name, EventPattern=pattern_of(2048))


def one_input(aws: LocalAws) -> None:
    name, events = new_rule(aws), aws.client("events")
    target: dict[str, Any] = {**targets(1)[0], "Input": "1"}
    refused("events-one-input", lambda: events.put_targets(Rule=name, Targets=[{**target, "InputPath": "$.detail"}]))
    events.put_targets(Rule=name, Targets=[target])


def entries_size(aws: LocalAws) -> None:
    entry = {"Source": "a", "DetailType": "b", "Detail": json.dumps({"a": "x" * 131_061})}  # 131,072 bytes
    events = aws.client("events")
    refused("events-entries-size", lambda: events.put_events(Entries=[entry, entry]))
    assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0


def attribute_range(aws: LocalAws) -> None:
    sqs, name = aws.client("sqs"), unique_name("queue")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    wrong = {
        "VisibilityTimeout": "43201",
        "MessageRetentionPeriod": "59",
        "DelaySeconds": "901",
        "MaximumMessageSize": "1048577",
        "ReceiveMessageWaitTimeSeconds": "x",
    }
    for attribute in wrong.items():
        given = dict([attribute])
        refused(
            "sqs-attribute-range",
            partial(sqs.set_queue_attributes, QueueUrl=url, Attributes=given),
        )
        refused(
            "sqs-attribute-range",
            partial(sqs.create_queue, QueueName=f"{name}-b", Attributes=given),
        )
    body = "Resources: {Q: {Type: AWS::SQS::Queue, Properties: {MessageRetentionPeriod: 1209601}}}"
    assert "Invalid value for the parameter MessageRetentionPeriod." in reason_of_failed_stack(aws, body)


def message_size(aws: LocalAws) -> None:
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName=unique_name("queue"))["QueueUrl"]
    refused("sqs-message-size", lambda: sqs.send_message(QueueUrl=url, MessageBody="x" * (1 << 20) + "x"))
    sqs.send_message(QueueUrl=url, MessageBody="x" * (1 << 20))


def new_topic(aws: LocalAws) -> str:
    """A new topic's ARN."""
    arn: str = aws.client("sns").create_topic(Name=unique_name("topic"))["TopicArn"]
    return arn


def subject(aws: LocalAws) -> None:
    sns, topic = aws.client("sns"), new_topic(aws)
    for text in ("", " a", "a\nb", "é", "x" * 101):
        refused("sns-subject", partial(sns.publish, TopicArn=topic, Message="a", Subject=text))
    sns.publish(TopicArn=topic, Message="a", Subject="x" * 100)


def empty_message(aws: LocalAws) -> None:
    sns, topic = aws.client("sns"), new_topic(aws)
    refused("sns-empty-message", lambda: sns.publish(TopicArn=topic, Message=""))


def policy_action(aws: LocalAws) -> None:
    sns, topic = aws.client("sns"), new_topic(aws)

    def policy(action: str) -> str:
        statement = {"Effect": "Allow", "Principal": "*", "Action": action, "Resource": topic}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    request = {"TopicArn": topic, "AttributeName": "Policy"}
    refused("sns-policy-action", lambda: sns.set_topic_attributes(**request, AttributeValue=policy("sqs:SendMessage")))
    sns.set_topic_attributes(**request, AttributeValue=policy("sns:Publish"))
    properties = f"{{Topics: ['{topic}'], PolicyDocument: {policy('events:PutEvents')}}}"
    body = f"Resources: {{P: {{Type: AWS::SNS::TopicPolicy, Properties: {properties}}}}}"
    assert "Policy statement action out of service scope!" in reason_of_failed_stack(aws, body)


WRONG_POLICIES = ("policy", "[]", "{}", '{"Statement": [{"Effect": "Allow", "Action": "s:x", "Resource": "*"}]}')


def topic_policy(aws: LocalAws) -> None:
    sns, request = aws.client("sns"), {"TopicArn": new_topic(aws), "AttributeName": "Policy"}
    before = sns.get_topic_attributes(TopicArn=request["TopicArn"])["Attributes"]["Policy"]
    for wrong in WRONG_POLICIES:
        refused("sns-policy", partial(sns.set_topic_attributes, **request, AttributeValue=wrong))
    assert sns.get_topic_attributes(TopicArn=request["TopicArn"])["Attributes"]["Policy"] == before


def queue_policy(aws: LocalAws) -> None:
    sqs, name = aws.client("sqs"), unique_name("queue")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    for wrong in WRONG_POLICIES:
        given = {"Policy": wrong}
        refused("sqs-policy", partial(sqs.set_queue_attributes, QueueUrl=url, Attributes=given))
        refused("sqs-policy", partial(sqs.create_queue, QueueName=f"{name}-b", Attributes=given))
    statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})


CASES: dict[str, Case] = {
    "events-entries-size": entries_size,
    "events-invalid-schedule": invalid_schedule,
    "events-one-input": one_input,
    "events-pattern-size": pattern_size,
    "events-rule-has-targets": rule_has_targets,
    "events-rule-without-trigger": rule_without_trigger,
    "events-targets-per-rule": targets_per_rule,
    "sns-empty-message": empty_message,
    "sns-policy": topic_policy,
    "sns-policy-action": policy_action,
    "sns-subject": subject,
    "sqs-attribute-range": attribute_range,
    "sqs-message-size": message_size,
    "sqs-policy": queue_policy,
}

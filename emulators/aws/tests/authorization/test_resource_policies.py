"""Policies of buckets and queues in the decision: what they grant, what they deny, and for which source."""

from __future__ import annotations

import json

from aws_resources import allow, create_queue, deny, unique_name
from callers import Session, decisions, document, refused
from local_aws.server import LocalAws


def test_bucket_policy_grants_and_denies(aws: LocalAws, bucket: str) -> None:
    """A policy that names the role allows what its own policies do not, and a Deny binds the administrator."""
    session, s3 = Session(aws), aws.client("s3")
    grant = {**allow("s3:GetObject", f"arn:aws:s3:::{bucket}/a/*"), "Principal": {"AWS": session.role}}
    lock = {**deny("s3:PutObject", f"arn:aws:s3:::{bucket}/locked/*"), "Principal": "*"}
    lock["Condition"] = {"ArnNotEquals": {"aws:PrincipalArn": session.role}}
    s3.put_bucket_policy(Bucket=bucket, Policy=document(grant, lock))
    assert session.client("s3").get_object(Bucket=bucket, Key="a/one")["Body"].read() == b"1"
    assert refused(session.client("s3").put_object, Bucket=bucket, Key="locked/x", Body=b"")[0] == "AccessDenied"
    code, _, message = refused(s3.put_object, Bucket=bucket, Key="locked/x", Body=b"")
    assert code == "AccessDenied"
    assert "with an explicit deny in a resource-based policy" in message


def test_object_is_decided_by_the_policy_of_its_bucket(aws: LocalAws, bucket: str) -> None:
    """The log names the bucket's policy, whichever object the call is about."""
    session = Session(aws)
    reads = {**allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"), "Sid": "Read", "Principal": {"AWS": session.role}}
    aws.client("s3").put_bucket_policy(Bucket=bucket, Policy=document(reads))
    session.client("s3").get_object(Bucket=bucket, Key="a/one")
    assert decisions(aws, session.role)[-1]["needed"] == [[f"policy of arn:aws:s3:::{bucket}", "Read"]]


def test_queue_policy_is_evaluated_with_the_source_of_a_service(aws: LocalAws) -> None:
    """EventBridge delivers to a queue only for the rule that the policy names."""
    url, arn = create_queue(aws)
    events, sqs = aws.client("events"), aws.client("sqs")
    rules = [unique_name("rule") for _ in range(2)]
    arns = [events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))["RuleArn"] for name in rules]
    statement = {**allow("sqs:SendMessage", arn), "Principal": {"Service": "events.amazonaws.com"}}
    statement["Condition"] = {"ArnEquals": {"aws:SourceArn": arns[0]}}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document(statement)})
    for name in rules:
        events.put_targets(Rule=name, Targets=[{"Id": "q", "Arn": arn}])
        events.put_events(Entries=[{"Source": name, "DetailType": "t", "Detail": "{}"}])
    aws.flush()
    bodies = [
        json.loads(each["Body"]) for each in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    ]
    assert [each["source"] for each in bodies] == rules[:1]

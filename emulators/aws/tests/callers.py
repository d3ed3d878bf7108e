"""Callers for tests of authorization: role sessions and users, the errors that they get, and the logged decisions."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from aws_resources import create_role, unique_name
from botocore.exceptions import ClientError
from local_aws.server import LocalAws

ACCOUNT = "123456789012"
SAGEMAKER = "sagemaker.amazonaws.com"


class Session:
    """A session of a new role, which the account's administrator assumed."""

    def __init__(self, aws: LocalAws, *statements: dict[str, Any], policy: dict[str, Any] | None = None) -> None:
        self._aws, self.name = aws, unique_name("caller")
        self.role = create_role(aws, self.name, {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, *statements)
        session_policy = {"Policy": document(policy)} if policy else {}
        assumed = aws.client("sts").assume_role(RoleArn=self.role, RoleSessionName="test", **session_policy)
        self._keys = assumed["Credentials"]
        self.arn: str = assumed["AssumedRoleUser"]["Arn"]

    def client(self, service: str) -> Any:
        """A boto3 client as the session."""
        return client(self._aws, service, self._keys)


def client(aws: LocalAws, service: str, keys: dict[str, Any]) -> Any:
    """A boto3 client with the credentials of an AssumeRole or CreateAccessKey response."""
    return boto3.client(
        service,
        region_name="us-east-1",
        endpoint_url=aws.url,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys.get("SessionToken"),
    )


def document(*statements: dict[str, Any]) -> str:
    """A policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def refused(call: Any, **arguments: Any) -> tuple[str, int, str]:
    """Code, status and message of the error that a call ends with."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Message"]


def decisions(aws: LocalAws, entity: str) -> list[dict[str, Any]]:
    """The logged decisions on calls of a role or user."""
    aws.flush()
    lines = (aws.folder / "logs/decisions.jsonl").read_text("utf-8").splitlines()
    return [line for line in map(json.loads, lines) if line["entity"] == entity]

"""Credentials of the workflows' roles on the AWS emulator, as a job of the trusted workflow gets them; not a test."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any
from urllib.parse import unquote

import boto3
import jwt
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from local_aws.server import LocalAws

ISSUER = "https://token.actions.githubusercontent.com"


class WorkflowIdentity:
    """GitHub as the identity provider of an emulator, with a key of its own."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws, self._key_id = aws, uuid.uuid4().hex
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        aws.federation.trust_issuer(ISSUER, self._jwks)

    def assume(self, role: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Lets boto3 act as the role, given by ARN, with a token of the first subject that the role trusts."""
        now = int(time.time())
        claims = {"iss": ISSUER, "sub": self._subject(role), "aud": "sts.amazonaws.com", "iat": now, "exp": now + 300}
        token = jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self._key_id})
        unsigned = Config(signature_version=UNSIGNED)
        sts = boto3.client("sts", region_name=self._aws.region, endpoint_url=self._aws.url, config=unsigned)
        keys = sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="run-1", WebIdentityToken=token)
        for variable, member in (
            ("AWS_ACCESS_KEY_ID", "AccessKeyId"),
            ("AWS_SECRET_ACCESS_KEY", "SecretAccessKey"),
            ("AWS_SESSION_TOKEN", "SessionToken"),
        ):
            monkeypatch.setenv(variable, keys["Credentials"][member])

    def _subject(self, role: str) -> str:
        """A subject of the role's trust policy, its wildcards replaced."""
        found = self._aws.client("iam").get_role(RoleName=role.rpartition("/")[2])["Role"]["AssumeRolePolicyDocument"]
        document: Any = json.loads(unquote(found)) if isinstance(found, str) else found
        conditions = document["Statement"][0]["Condition"]
        key = f"{ISSUER.removeprefix('https://')}:sub"
        wanted = next(values[key] for values in conditions.values() if key in values)
        return str(wanted if isinstance(wanted, str) else wanted[0]).replace("*", "1")

    def _jwks(self) -> dict[str, Any]:
        key = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [{**key, "kid": self._key_id, "use": "sig", "alg": "RS256"}]}

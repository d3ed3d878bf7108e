"""A signing key, and signed statements of provenance about approval records; not a test itself."""

from __future__ import annotations

import json
from typing import Any

from ml import config
from ml.aws import session, signing_key
from ml.config import statement_file


def create_key(*, alias: str | None = None) -> str:
    """Creates a key as infra/github-oidc.yaml does, without its policy; under the product's alias if none is given."""
    kms = session.client("kms")
    made = kms.create_key(KeyUsage="SIGN_VERIFY", KeySpec="ECC_NIST_P256")["KeyMetadata"]
    kms.create_alias(AliasName=alias or signing_key.alias(), TargetKeyId=made["KeyId"])
    return str(made["Arn"])


def statement(record: config.ApprovalRecord) -> dict[str, Any]:
    """The statement about the record, with what a comparison reads."""
    return {
        "_type": statement_file.STATEMENT_TYPE,
        "subject": [{"name": statement_file.SUBJECT, "digest": {"sha256": record.artifact.sha256}}],
        "predicateType": statement_file.PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": statement_file.BUILD_TYPE,
                "externalParameters": {},
                "internalParameters": {
                    "modelPackage": record.model_package_arn,
                    "pipelineExecution": record.execution_arn,
                },
                "resolvedDependencies": [
                    {"name": "source", "digest": {"gitCommit": record.commit}},
                    {"name": "settings", "digest": {"sha256": record.config_sha256}},
                    {"name": "data", "digest": {"sha256": record.data.sha256}},
                ],
            },
            "runDetails": {
                "builder": {"id": "https://git.invalid/o/r/.github/workflows/train.yml@refs/heads/main"},
                "metadata": {"invocationId": "1", "finishedOn": "2026-03-01T06:00:00Z"},
                "byproducts": [],
            },
        },
    }


def unsigned(record: config.ApprovalRecord) -> bytes:
    """The content of a statement's file with a signature that nobody made."""
    return statement_file.envelope(json.dumps(statement(record)).encode(), key="arn:none", signature=b"none")


def signed(record: config.ApprovalRecord, key: str, **changes: Any) -> bytes:
    """The content of a statement's file, signed with the key; `changes` replace top-level members of the statement."""
    payload = json.dumps(statement(record) | changes).encode()
    signature = signing_key.sign(statement_file.pre_authentication_encoding(payload), key=key)
    return statement_file.envelope(payload, key=key, signature=signature)

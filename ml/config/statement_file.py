"""Schema of approvals/NNNN.intoto.json: a signed statement of how an approved model was made, and its comparison.

A DSSE envelope with one signature around an in-toto statement with SLSA provenance. It is parsed strictly; nothing here
says whether the signature is valid.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from ml.config.record_files import ApprovalRecord
from ml.config.yaml_models import AsTuple, File, Text, parse_json
from ml.errors import ConfigError

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:fraudops:training-pipeline:v1"
SUBJECT = "model.tar.gz"
_MAX_BASE64_CHARACTERS = 200_000
_Base64 = Annotated[str, Field(min_length=1, max_length=_MAX_BASE64_CHARACTERS)]
_Digest = dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{40,64}$")]]


class Resource(File):
    """An in-toto resource descriptor: something that was built, or that a build used."""

    name: Text
    uri: Text | None = None
    digest: _Digest | None = None


_Resources = Annotated[tuple[Resource, ...], AsTuple]


class BuildDefinition(File):
    """What was asked for, and what the build used."""

    build_type: Literal["urn:fraudops:training-pipeline:v1"] = Field(alias="buildType")
    external_parameters: dict[str, Any] = Field(alias="externalParameters")
    internal_parameters: dict[str, str] = Field(alias="internalParameters")
    resolved_dependencies: _Resources = Field(alias="resolvedDependencies")


class Builder(File):
    """The workflow that built it, or the identity that did where no workflow ran."""

    id: Text


class Metadata(File):
    """Which run of the builder it was, and when the first step of the pipeline began and the last one ended."""

    invocation_id: Text = Field(alias="invocationId")
    started_on: Text | None = Field(default=None, alias="startedOn")
    finished_on: Text = Field(alias="finishedOn")


class RunDetails(File):
    """Who built it, and what else the build made."""

    builder: Builder
    metadata: Metadata
    byproducts: _Resources


class Provenance(File):
    """The predicate: SLSA provenance v1."""

    build_definition: BuildDefinition = Field(alias="buildDefinition")
    run_details: RunDetails = Field(alias="runDetails")


class Statement(File):
    """An in-toto statement about one model archive."""

    type: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: Annotated[tuple[Resource, ...], AsTuple, Field(min_length=1, max_length=1)]
    predicate_type: Literal["https://slsa.dev/provenance/v1"] = Field(alias="predicateType")
    predicate: Provenance


class Signature(File):
    """One signature; `keyid` is the ARN of the key."""

    keyid: Text
    sig: _Base64


class Envelope(File):
    """A DSSE envelope."""

    payload_type: Literal["application/vnd.in-toto+json"] = Field(alias="payloadType")
    payload: _Base64
    signatures: Annotated[tuple[Signature, ...], AsTuple, Field(min_length=1, max_length=1)]


@dataclass(frozen=True, kw_only=True)
class SignedStatement:
    """A parsed file: the statement, the bytes that the signature is over, the signature and its key."""

    statement: Statement
    signed: bytes
    signature: bytes
    key: str


def pre_authentication_encoding(payload: bytes) -> bytes:
    """The bytes that DSSE signs: https://github.com/secure-systems-lab/dsse/blob/master/protocol.md."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def envelope(payload: bytes, *, key: str, signature: bytes) -> bytes:
    """The content of the file."""
    document = {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": key, "sig": base64.b64encode(signature).decode()}],
    }
    return (json.dumps(document, indent=2) + "\n").encode()


def parse_statement(content: bytes, path: Path) -> SignedStatement:
    """The statement in `content`, that of the file `path`; its signature is not verified.

    Raises:
        ConfigError: it is no envelope with one signature, or holds no statement in the form that this version writes.
    """
    found = parse_json(content, path, Envelope)
    (signature,) = found.signatures
    payload = _decoded(found.payload, path, "payload")
    return SignedStatement(
        statement=parse_json(payload, path, Statement),
        signed=pre_authentication_encoding(payload),
        signature=_decoded(signature.sig, path, "signatures.0.sig"),
        key=signature.keyid,
    )


def differences(statement: Statement, record: ApprovalRecord) -> list[str]:
    """Where the statement is about another model than the record, in words."""
    build = statement.predicate.build_definition
    inputs = {item.name: item.digest or {} for item in build.resolved_dependencies}
    (subject,) = statement.subject
    pairs = (
        ("artifact", (subject.digest or {}).get("sha256"), record.artifact.sha256),
        ("commit", inputs.get("source", {}).get("gitCommit"), record.commit),
        ("configuration", inputs.get("settings", {}).get("sha256"), record.config_sha256),
        ("data", inputs.get("data", {}).get("sha256"), record.data.sha256),
        ("package", build.internal_parameters.get("modelPackage"), record.model_package_arn),
        ("execution", build.internal_parameters.get("pipelineExecution"), record.execution_arn),
    )
    return [
        f"{name} is {theirs or 'missing'}, and the record has {ours}" for name, theirs, ours in pairs if theirs != ours
    ]


def _decoded(text: str, path: Path, field: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ConfigError(f"{path}: {field} must be base64 ({error})") from error

"""Reads and writes what a shadow leaves in staging's lake: the challenger's answers, and the comparison.

Below `deploy/shadow/NNNN-<digest>/<endpoint configuration>/`, one folder for each configuration in which an approved
archive was deployed. Answers are written in parts while requests are sent, so that a run that was cut off continues
with the next request; the same answers have the same key. A refusal counts for its own deployment only: the next one
may have removed its cause. The comparison is one document, replaced by the next run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ml.aws import s3_objects
from ml.aws.deployment_records import Deployment
from ml.aws.session import Absent
from ml.errors import DataError

PREFIX = "deploy/shadow/"
SCHEMA = 1
_SCORED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyAnswer:
    """The challenger's answer to the copy of a request: the HTTP status, and one score and decision for each row.

    `scores` and `decisions` are empty if `status` is not 200.
    """

    status: int
    scores: tuple[float, ...] = ()
    decisions: tuple[int, ...] = ()


class ShadowStore:
    """The shadow of what `deployment` has put into staging, in the lake `bucket`."""

    def __init__(self, bucket: str, deployment: Deployment) -> None:
        self.bucket = bucket
        self._sha256 = deployment.artifact_sha256
        self._folder = f"{PREFIX}{deployment.approval:04d}-{self._sha256[:12]}/{deployment.endpoint_config}/"
        self._order = deployment.desired

    @property
    def uri(self) -> str:
        """The URI of the comparison."""
        return f"s3://{self.bucket}/{self._folder}comparison.json"

    def answers(self) -> dict[str, CopyAnswer]:
        """The scores of this configuration and the refusals of this deployment, by the id of their request.

        Raises CloudError, DataError.
        """
        found: dict[str, CopyAnswer] = {}
        for key in s3_objects.keys(self.bucket, f"{self._folder}answers/"):
            uri = f"s3://{self.bucket}/{key}"
            part = _document(s3_objects.read(uri), uri)
            for request, answer in part["answers"].items():
                if answer["status"] != _SCORED and part["order"] != self._order:
                    continue
                scores, decisions = tuple(answer["scores"]), tuple(answer["decisions"])
                found.setdefault(request, CopyAnswer(status=answer["status"], scores=scores, decisions=decisions))
        return found

    def add(self, answers: Mapping[str, CopyAnswer]) -> None:
        """Stores answers by the id of their request. Raises CloudError."""
        if answers:
            plain = {request: asdict(answer) for request, answer in answers.items()}
            content = _encoded({"schema": SCHEMA, "order": self._order, "answers": plain})
            name = hashlib.sha256("".join([self._order, *sorted(answers)]).encode()).hexdigest()[:32]
            s3_objects.write(
                f"s3://{self.bucket}/{self._folder}answers/{name}.json", content, "application/json", _digest(content)
            )

    def comparison(self) -> dict[str, Any] | None:
        """The comparison; None if there is none. Raises CloudError, and DataError if it was changed."""
        uri = self.uri
        try:
            content = s3_objects.read(uri)
        except DataError as error:
            if isinstance(error.__cause__, Absent):
                return None
            raise
        stated = s3_objects.metadata(uri).get("sha256")
        if stated != hashlib.sha256(content).hexdigest():
            raise DataError(
                f"{uri}: its content has another digest than it was written with ({stated}); delete it, and run "
                "`fraudops shadow` again"
            )
        document = _document(content, uri)
        if document.get("artifact_sha256") != self._sha256:
            raise DataError(f"{uri}: is of another archive; delete it, and run `fraudops shadow` again")
        return document

    def write(self, comparison: Mapping[str, Any]) -> str:
        """Stores the comparison with its digest; returns its URI. Raises CloudError."""
        content = _encoded({"schema": SCHEMA, "artifact_sha256": self._sha256, **comparison})
        s3_objects.write(self.uri, content, "application/json", _digest(content))
        return self.uri


def _encoded(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def _digest(content: bytes) -> dict[str, str]:
    return {"sha256": hashlib.sha256(content).hexdigest()}


def _document(content: bytes, uri: str) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except ValueError as error:
        raise DataError(f"{uri}: not JSON ({error}); delete it, and run `fraudops shadow` again") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise DataError(f"{uri}: not in the form of this version; delete it, and run `fraudops shadow` again")
    return document

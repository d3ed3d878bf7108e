"""The MalformedPolicyDocument error: AWS's words, followed by the place and the problem."""

from __future__ import annotations

from dataclasses import dataclass

from local_aws.errors import AwsError


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document is malformed, None for the document itself, and what is wrong there."""

    where: str | None
    problem: str


def malformed(words: str, place: Place) -> AwsError:
    """The error for a malformed document. AWS's own message ends after `words`."""
    where = f"{place.where}: " if place.where else ""
    return AwsError("MalformedPolicyDocument", f"{words} ({where}{place.problem})")

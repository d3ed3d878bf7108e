"""Policies that AWS publishes as examples, on requests that their pages describe. Each file names its source.

The pages are read at the last published state of the guide's repository, awsdocs/iam-user-guide.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from local_aws.iam.evaluation import AccessRequest, NamedPolicy, Policies, evaluate

EXAMPLES = sorted((Path(__file__).parent / "examples").glob("*.json"))


def cases() -> Iterator[Any]:
    """Each request of each example."""
    for path in EXAMPLES:
        example = json.loads(path.read_text())
        for number, request in enumerate(example["requests"], start=1):
            yield pytest.param(example["policies"], request, id=f"{path.stem}-{number}")


@pytest.mark.parametrize(("policies", "request_"), list(cases()))
def test_published_example(policies: Mapping[str, Any], request_: dict[str, Any]) -> None:
    """The request is allowed if and only if the page says so."""
    allowed = request_.pop("allowed")
    resource = policies.get("resource")
    decision = evaluate(
        AccessRequest(**request_),
        Policies(
            identity=[NamedPolicy(f"identity-{n}", each) for n, each in enumerate(policies.get("identity", []))],
            resource=NamedPolicy("resource", resource) if resource else None,
        ),
    )
    assert decision.allowed is allowed, decision


def test_published_examples_name_their_sources() -> None:
    """Every file has a source, requests that are allowed and requests that are denied."""
    assert len(EXAMPLES) >= 15
    for path in EXAMPLES:
        example = json.loads(path.read_text())
        assert example["source"].startswith("IAM User Guide, "), path
        assert {request["allowed"] for request in example["requests"]} == {True, False}, path

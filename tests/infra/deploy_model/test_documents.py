"""The documents of the deploy function: it reads orders of `fraudops deploy`; names are valid for SageMaker."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from deploy_model import documents
from hypothesis import given
from hypothesis import strategies as st

from ml import config
from ml.aws import deployment_records
from tests.harness.git.repositories import SERVING, record
from tests.infra.fake_access import ARN, CONTAINER, desired


@given(
    endpoint=st.from_regex(r"[A-Za-z0-9](-?[A-Za-z0-9]){0,62}", fullmatch=True).filter(lambda name: len(name) <= 63),
    approval=st.integers(1, 10**6),
)
def test_names_are_valid_for_sagemaker(endpoint: str, approval: int) -> None:
    """At most 63 letters, digits and dashes, with the approval's number."""
    name = documents.Desired.parse(json.dumps(desired(endpoint=endpoint, approval=approval))).name
    assert len(name) <= 63
    assert f"-{approval:04d}-" in name
    assert not name.startswith("-")
    assert "--" not in name


def test_name_depends_on_the_content() -> None:
    """Package, digest, container, instance and capture change the name; roll-out settings do not."""
    changed: list[dict[str, Any]] = [
        {"model_package_arn": ARN.replace("/7", "/6")},
        {"artifact_sha256": "e" * 64},
        {"container": {**CONTAINER, "image": "image:2"}},
        {"instance": {"type": "ml.m5.large", "count": 2}},
        {"instance": {"type": "ml.m5.xlarge", "count": 1}},
        {"capture": {"sampling_percentage": 50}},
        {"schema": 2, "serving_image": "image:3"},
    ]
    names = {documents.Desired.parse(json.dumps(desired(**change))).name for change in [{}, *changed]}
    assert len(names) == len(changed) + 1
    same = desired(id="other", commit="e" * 40, rollout={"termination_wait_seconds": 1, "timeout_minutes": 5})
    assert documents.Desired.parse(json.dumps(same)).name == documents.Desired.parse(json.dumps(desired())).name


def test_function_reads_what_deploy_writes() -> None:
    """The function and `fraudops deploy` share no code; this test compares the order's format."""
    serving = config.parse(SERVING.replace("null", "7"), config.SERVING, config.ServingFile)
    written = deployment_records.order("id-1", record(7), serving, commit="c" * 40, serving_sha256="d" * 64)
    read = documents.Desired.parse(json.dumps(written))
    assert (read.id, read.approval, read.model_package_arn) == ("id-1", 7, record(7).model_package_arn)
    assert (read.artifact_sha256, read.container.image) == (record(7).artifact.sha256, record(7).container.image)
    assert (read.endpoint, read.instance_type, read.sampling_percentage) == ("fraudops-production", "ml.m5.large", 100)


def test_function_reads_the_serving_image() -> None:
    """An order without one has the schema of functions that know none, and they refuse one with it."""
    image = f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/serving@sha256:{'a' * 64}"
    for found, lines in ((None, ""), (None, "image: null\n"), (image, f"image: {image}\n")):
        serving = config.parse(SERVING.replace("null", "7", 1) + lines, config.SERVING, config.ServingFile)
        written = deployment_records.order("id-1", record(7), serving, commit="c" * 40, serving_sha256="d" * 64)
        assert written["schema"] == (2 if found else 1)
        assert documents.Desired.parse(json.dumps(written)).serving_image == found


def test_function_reads_the_canary() -> None:
    """An order with a canary has a schema of its own, with a serving image or without; others have none of its keys."""
    image = f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/serving@sha256:{'a' * 64}"
    plain = SERVING.replace("null", "7", 1)
    lines = (
        "traffic: canary, canary: {instances: 2, bake_minutes: 10, false_alarm_rate: 0.01, max_alert_rate_ratio: 2, "
        "max_score_shift: 0.2}, termination_wait_seconds: 0, timeout_minutes: 20"
    )
    canary = plain.replace("count: 1", "count: 4").replace("termination_wait_seconds: 0, timeout_minutes: 1", lines)
    part = "shadow: {hours: 1, max_rows: 1000}, termination"
    shadow, both = plain.replace("termination", f"traffic: shadow, {part}"), canary.replace("termination", part)
    for text, schema, expected in (
        (plain, 1, (0, 0, None)),
        (shadow, 1, (0, 0, None)),
        (both, 3, (2, 600, None)),
        (canary, 3, (2, 600, None)),
        (f"{canary}image: {image}\n", 3, (2, 600, image)),
    ):
        serving = config.parse(text, config.SERVING, config.ServingFile)
        written = deployment_records.order("id-1", record(7), serving, commit="c" * 40, serving_sha256="d" * 64)
        read = documents.Desired.parse(json.dumps(written))
        assert (written["schema"], "canary" in written["rollout"]) == (schema, schema == 3)
        assert "shadow" not in written["rollout"]
        assert (read.canary_instances, read.bake_seconds, read.serving_image) == expected


def test_function_reads_the_bounds_of_automatic_scaling() -> None:
    """The order has a schema of its own, with a canary and an image or without; the configuration another name."""
    image = f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/serving@sha256:{'a' * 64}"
    plain = SERVING.replace("null", "7", 1).replace("count: 1", "count: 4")
    scaled = f"{plain}autoscaling: {{min: 2, max: 6, invocations_per_instance: 900}}\n"
    lines = (
        "traffic: canary, canary: {instances: 1, bake_minutes: 10, false_alarm_rate: 0.01, max_alert_rate_ratio: 2, "
        "max_score_shift: 0.2}, termination_wait_seconds: 0, timeout_minutes: 20"
    )
    canary = scaled.replace("termination_wait_seconds: 0, timeout_minutes: 1", lines)
    names = set()
    for text, schema, expected in (
        (plain, 1, (0, 0, 0, None)),
        (scaled, 4, (2, 6, 0, None)),
        (f"{canary}image: {image}\n", 4, (2, 6, 1, image)),
    ):
        serving = config.parse(text, config.SERVING, config.ServingFile)
        written = deployment_records.order("id-1", record(7), serving, commit="c" * 40, serving_sha256="d" * 64)
        read = documents.Desired.parse(json.dumps(written))
        assert written["schema"] == schema
        assert (read.least_instances, read.most_instances, read.canary_instances, read.serving_image) == expected
        names.add(read.name)
    assert len(names) == 3


def test_deploy_reads_what_the_function_writes() -> None:
    """`fraudops deploy` reads every field of an outcome, and the two that the handler adds."""
    fields = {field.name for field in dataclasses.fields(documents.Outcome)}
    assert fields | {"at"} == {field.name for field in dataclasses.fields(deployment_records.Outcome)}

"""The serving pointer's file is strict: a roll-out that SageMaker would refuse is refused in review."""

from __future__ import annotations

import pytest

from ml import config
from ml.errors import ConfigError
from ml.playground.template_state import FOLDER as SHIPPED

SERVING = (SHIPPED / config.SERVING).read_text()
HEAD = SERVING.partition("rollout:")[0]


def parsed(rollout: str, instances: int = 2) -> config.ServingFile:
    """The shipped file with another roll-out and another number of instances."""
    text = f"{HEAD.replace('count: 1', f'count: {instances}')}rollout: {rollout}\n"
    return config.parse(text, config.SERVING, config.ServingFile)


def rollout(*, traffic: str = "canary", canary: str = "{instances: 1, bake_minutes: 10}", timeout: int = 30) -> str:
    """A roll-out as YAML; an empty `canary` leaves it out."""
    part = f"canary: {canary}, " if canary else ""
    return f"{{traffic: {traffic}, {part}termination_wait_seconds: 60, timeout_minutes: {timeout}}}"


def test_shipped_file_serves_all_at_once() -> None:
    """A new repository approves nothing, and its first deployment needs one instance only."""
    shipped = config.parse(SERVING, config.SERVING, config.ServingFile)
    assert (shipped.approval, shipped.rollout.traffic, shipped.rollout.canary) == (None, "all_at_once", None)


def test_canary_is_read() -> None:
    """One of two instances for ten minutes."""
    canary = parsed(rollout()).rollout.canary
    assert canary is not None
    assert (canary.instances, canary.bake_minutes) == (1, 10)


@pytest.mark.parametrize(
    ("text", "instances", "message"),
    [
        (rollout(canary=""), 2, "must have canary if traffic is canary, and only then (got traffic: canary)"),
        (rollout(traffic="all_at_once"), 2, "must have canary if traffic is canary, and only then"),
        (rollout(traffic="slowly"), 2, "rollout.traffic must be"),
        (rollout(timeout=11), 2, "timeout_minutes longer than canary.bake_minutes and termination_wait_seconds"),
        (rollout(), 1, "rollout.canary.instances at most half of instance.count"),
        (rollout(canary="{instances: 2, bake_minutes: 10}"), 3, "(got 2 of 3)"),
        (rollout(canary="{instances: 1, bake_minutes: 61}"), 2, "rollout.canary.bake_minutes must be at most 60"),
    ],
)
def test_rollout_that_cannot_work_is_refused(text: str, instances: int, message: str) -> None:
    """The error names the file, the field, what was expected and what was found."""
    with pytest.raises(ConfigError) as caught:
        parsed(text, instances)
    assert str(caught.value).startswith(f"{config.SERVING}:")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "image",
    [
        "fraud:latest",
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/fraud:1",
        "elsewhere.example/fraud@sha256:" + "0" * 64,
    ],
)
def test_image_without_a_digest_in_ecr_is_refused(image: str) -> None:
    """A tag could be moved after the review, and SageMaker pulls from ECR only."""
    with pytest.raises(ConfigError, match="image must"):
        config.parse(f"{SERVING}image: {image}\n", config.SERVING, config.ServingFile)

"""The serving pointer's file is strict: a roll-out that SageMaker would refuse is refused in review."""

from __future__ import annotations

import re

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


LIMITS = "false_alarm_rate: 0.01, max_alert_rate_ratio: 2, max_score_shift: 0.2"
CANARY = f"{{instances: 1, bake_minutes: 10, {LIMITS}}}"


def rollout(*, traffic: str = "canary", canary: str = CANARY, timeout: int = 30) -> str:
    """A roll-out as YAML; an empty `canary` leaves it out."""
    part = f"canary: {canary}, " if canary else ""
    return f"{{traffic: {traffic}, {part}termination_wait_seconds: 60, timeout_minutes: {timeout}}}"


def test_shipped_file_serves_all_at_once() -> None:
    """A new repository approves nothing, and its first deployment needs one instance only."""
    shipped = config.parse(SERVING, config.SERVING, config.ServingFile)
    assert (shipped.approval, shipped.rollout.traffic, shipped.rollout.canary) == (None, "all_at_once", None)


def test_self_heal_is_off_unless_it_is_true() -> None:
    """In the shipped file, and in one from before the setting; a word is no truth value."""
    shipped = config.parse(SERVING, config.SERVING, config.ServingFile)
    assert (shipped.self_heal, parsed("{termination_wait_seconds: 0, timeout_minutes: 1}").self_heal) == (False, False)
    on = SERVING.replace("self_heal: false", "self_heal: true")
    assert config.parse(on, config.SERVING, config.ServingFile).self_heal is True
    with pytest.raises(ConfigError, match="self_heal must be true or false"):
        config.parse(SERVING.replace("self_heal: false", "self_heal: 'true'"), config.SERVING, config.ServingFile)


def test_canary_is_read() -> None:
    """One of two instances for ten minutes."""
    canary = parsed(rollout()).rollout.canary
    assert canary is not None
    assert (canary.instances, canary.bake_minutes) == (1, 10)
    assert (canary.false_alarm_rate, canary.max_alert_rate_ratio, canary.max_score_shift) == (0.01, 2, 0.2)


def test_canary_without_captured_answers_is_refused() -> None:
    """They are what it is compared by."""
    text = f"{HEAD.replace('count: 1', 'count: 2').replace('percentage: 100', 'percentage: 0')}rollout: {rollout()}\n"
    with pytest.raises(ConfigError, match="sampling_percentage above 0 with a canary"):
        config.parse(text, config.SERVING, config.ServingFile)


@pytest.mark.parametrize("instances", ["", "instance: {type: ml.m5.large, count: 1}"])
def test_serverless_endpoint_is_refused_with_the_reason(instances: str) -> None:
    """Its traffic is not captured, so nothing could watch it; the error names the field and what is lost."""
    text = re.sub(
        r"^instance:.*$", f"{instances}\nserverless: {{memory_mb: 2048, max_concurrency: 20}}", SERVING, flags=re.M
    )
    with pytest.raises(ConfigError) as caught:
        config.parse(text, config.SERVING, config.ServingFile)
    message = str(caught.value)
    assert message.startswith(f"{config.SERVING}: must have instance and not serverless")
    assert "captures no traffic" in message
    assert "docs/serving.md" in message


@pytest.mark.parametrize(
    ("text", "instances", "message"),
    [
        (rollout(canary=""), 2, "must have canary if traffic is canary, and only then (got traffic: canary)"),
        (rollout(traffic="all_at_once"), 2, "must have canary if traffic is canary, and only then"),
        (rollout(traffic="slowly"), 2, "rollout.traffic must be"),
        (rollout(timeout=11), 2, "timeout_minutes longer than canary.bake_minutes and termination_wait_seconds"),
        (rollout(), 1, "rollout.canary.instances at most half of instance.count"),
        (rollout(canary=f"{{instances: 2, bake_minutes: 10, {LIMITS}}}"), 3, "(got 2 of 3)"),
        (rollout(canary=CANARY.replace("10", "61")), 2, "rollout.canary.bake_minutes must be at most 60"),
        (rollout(canary="{instances: 1, bake_minutes: 10}"), 2, "false_alarm_rate"),
        (rollout(canary=CANARY.replace("ratio: 2", "ratio: 0.5")), 2, "rollout.canary.max_alert_rate_ratio must be"),
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


def scaled(settings: str, *, instance: str = "{type: ml.m5.large, count: 2}", roll: str = "") -> config.ServingFile:
    """The shipped file with `autoscaling`, other instances and another roll-out."""
    text = re.sub(r"^instance:.*$", f"instance: {instance}\nautoscaling: {settings}", SERVING, flags=re.MULTILINE)
    text = re.sub(r"^rollout:.*$", f"rollout: {roll}", text, flags=re.MULTILINE) if roll else text
    return config.parse(text, config.SERVING, config.ServingFile)


def test_autoscaling_is_read() -> None:
    """The bounds, and the invocations of one instance a minute; without the key nothing scales."""
    found = scaled("{min: 2, max: 6, invocations_per_instance: 12000}").autoscaling
    assert found is not None
    assert (found.min, found.max, found.invocations_per_instance) == (2, 6, 12_000)
    assert config.parse(SERVING, config.SERVING, config.ServingFile).autoscaling is None


@pytest.mark.parametrize(
    ("settings", "more", "message"),
    [
        ("{min: 3, max: 2, invocations_per_instance: 9}", {}, "autoscaling must have max at least min"),
        ("{min: 0, max: 2, invocations_per_instance: 9}", {}, "autoscaling.min must be at least 1"),
        ("{min: 1, max: 2}", {}, "autoscaling.invocations_per_instance is missing"),
        (
            "{min: 3, max: 6, invocations_per_instance: 9}",
            {},
            "instance.count, with which the endpoint starts, between autoscaling.min and autoscaling.max (got 2",
        ),
        (
            "{min: 1, max: 4, invocations_per_instance: 9}",
            {"instance": "{type: ml.t2.medium, count: 2}"},
            "instance.type that is not burstable with autoscaling",
        ),
        (
            "{min: 1, max: 4, invocations_per_instance: 9}",
            {"roll": rollout()},
            "rollout.canary.instances at most half of autoscaling.min",
        ),
    ],
)
def test_autoscaling_that_cannot_work_is_refused(settings: str, more: dict[str, str], message: str) -> None:
    """The error names the field, what was expected and what was found."""
    with pytest.raises(ConfigError) as caught:
        scaled(settings, **more)
    assert message in str(caught.value)


SHADOW = "shadow: {hours: 24, max_rows: 20000}, "


def test_shadow_is_read_alone_and_before_a_canary() -> None:
    """Traffic then shifts at once, or to the canary first."""
    shadow = parsed(rollout(traffic="shadow", canary="").replace("termination", f"{SHADOW}termination")).rollout.shadow
    assert shadow is not None
    assert (shadow.hours, shadow.max_rows) == (24, 20_000)
    both = parsed(rollout().replace("termination", f"{SHADOW}termination")).rollout
    assert (both.canary is not None, both.shadow) == (True, shadow)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (rollout(traffic="shadow", canary=""), "must have shadow if traffic is shadow"),
        (
            rollout(traffic="all_at_once", canary="").replace("termination", f"{SHADOW}termination"),
            "only before a canary, with traffic: canary (got traffic: all_at_once)",
        ),
        (rollout().replace("termination", "shadow: {hours: 0, max_rows: 200}, termination"), "shadow.hours must be"),
        (rollout().replace("termination", "shadow: {hours: 1, max_rows: 9}, termination"), "shadow.max_rows must be"),
    ],
)
def test_shadow_that_cannot_work_is_refused(text: str, message: str) -> None:
    """The error names what was expected."""
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    assert message in str(caught.value)


def test_shadow_without_captured_requests_is_refused() -> None:
    """They are what it copies."""
    text = rollout(traffic="shadow", canary="").replace("termination", f"{SHADOW}termination")
    head = HEAD.replace("percentage: 100", "percentage: 0")
    with pytest.raises(ConfigError, match=r"sampling_percentage above 0 with rollout\.shadow"):
        config.parse(f"{head}rollout: {text}\n", config.SERVING, config.ServingFile)

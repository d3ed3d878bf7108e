"""Compares the alarms and the event rules of the platform with its template, setting by setting."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from ml.aws import cloudwatch_alarms, event_rules
from ml.aws.cloudformation import platform_source
from ml.diagnosis import deployed_template, template_values
from ml.diagnosis.check import CannotTell, Check, WillFail, run
from ml.diagnosis.subjects import Subjects
from ml.diagnosis.template_values import Template
from ml.errors import ConfigError

_ALARM, _RULE = "AWS::CloudWatch::Alarm", "AWS::Events::Rule"
_NUMBERS = ("Period", "EvaluationPeriods", "Threshold")
_DESCRIBED = ("AlarmDescription",)  # for people; it changes nothing


def checks(subjects: Subjects) -> Iterator[Check]:
    """One check for each alarm and each rule."""
    resources = template_values.read((subjects.root / platform_source.TEMPLATE).read_text("utf-8"))["Resources"]
    for key, item in resources.items():
        if item["Type"] == _ALARM:
            yield run(f"alarm {key}", partial(_resource, subjects, key, _alarm))
        elif item["Type"] == _RULE:
            yield run(f"rule {key}", partial(_resource, subjects, key, _rule))


def _resource(subjects: Subjects, key: str, compare: Callable[[Mapping[str, Any], str], str]) -> str:
    name, _ = subjects.stacks
    template: Template = deployed_template.read(subjects, name, platform_source.TEMPLATE)
    if key not in subjects.resources(name):
        raise CannotTell(f"stack {name} has no {key}; see the line of its template")
    try:
        properties = template.value(template.resources[key]["Properties"])
    except ConfigError as error:
        raise CannotTell(str(error)) from error
    return compare(properties, subjects.resources(name)[key][1])


def _alarm(wanted: Mapping[str, Any], physical: str) -> str:
    found = cloudwatch_alarms.describe([physical]).get(physical)
    if found is None:
        raise WillFail(f"there is no alarm {physical}", remedy="template")
    wrong = [
        f"{name} {_shown(found.get(name))}, and the template {_shown(value)}"
        for name, value in wanted.items()
        if name not in _DESCRIBED and _plain(name, found.get(name)) != _plain(name, value)
    ]
    if not found.get("ActionsEnabled", True):
        wrong.append("its actions disabled")
    if wrong:
        raise WillFail(f"alarm {physical} has {'; '.join(wrong)}", remedy="template")
    return f"alarm {physical} has the template's settings"


def _rule(wanted: Mapping[str, Any], physical: str) -> str:
    name = physical.rpartition("|")[2]  # of a rule on another bus than the default one
    found = event_rules.describe(name)
    if found is None:
        raise WillFail(f"there is no rule {name}", remedy="template")
    wrong = ["is disabled"] * (not found.enabled)
    if found.pattern != wanted["EventPattern"]:
        wrong.append(f"matches {_shown(found.pattern)}, and the template {_shown(wanted['EventPattern'])}")
    targets = tuple(sorted(target["Arn"] for target in wanted["Targets"]))
    if found.targets != targets:
        wrong.append(f"invokes {', '.join(found.targets) or 'nothing'}, and the template {', '.join(targets)}")
    if wrong:
        raise WillFail(f"rule {name} {'; '.join(wrong)}", remedy="template")
    return f"rule {name} is enabled and invokes {', '.join(targets)}"


def _plain(name: str, value: Any) -> Any:
    if name in _NUMBERS:
        return float(value) if value is not None else None
    if name == "Dimensions":
        return sorted((item["Name"], item["Value"]) for item in value or [])
    return sorted(value) if isinstance(value, list) else value


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)

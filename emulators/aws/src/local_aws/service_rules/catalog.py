"""The catalogue of service rules, read from rules/*.yaml, and the errors that they give. Checks no request itself.

Each rule has AWS's error code and message; the message has the values of the request in braces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from local_aws.errors import AwsError


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One entry of rules/SERVICE.yaml.

    `operations` are those that the rule refuses; `status` is the HTTP status of the error. `source` is a page or code
    of AWS, an issue, or a recorded response of AWS, which states the rule or shows its error. `words` is the page that
    shows the message, if the source does not; 'inferred' if none was found, so that the message has only the service's
    form; '' if the source shows it.
    """

    id: str
    service: str
    operations: tuple[str, ...]
    statement: str
    code: str
    message: str
    source: str
    status: int
    words: str


@cache
def rules() -> Mapping[str, Rule]:
    """Every rule by its id.

    Raises:
        ValueError: two rules have one id.
    """
    import yaml

    folder, found = files("local_aws.service_rules").joinpath("rules"), dict[str, Rule]()
    for file in sorted(folder.iterdir(), key=lambda each: each.name):
        for item in yaml.safe_load(file.read_text(encoding="utf-8")):
            rule = Rule(**{"status": 400, "words": "", **item, "operations": tuple(item["operations"])})
            if rule.id in found:
                raise ValueError(f"{file.name}: two rules have the id {rule.id}")
            found[rule.id] = rule
    return found


def violation(rule_id: str, **values: Any) -> AwsError:
    """The error of the rule, with `values` in its message."""
    rule = rules()[rule_id]
    return AwsError(rule.code, rule.message.format(**values), rule.status)

"""Checks requests against the service rules whose code looks at the request alone, or at the account's state.

Rules that a handler enforces itself are in the catalogue too, and raise their errors there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_aws.service_rules import (
    events_checks,
    identity_checks,
    lambda_checks,
    messaging_checks,
    monitoring_checks,
    sagemaker_checks,
    stack_checks,
    storage_checks,
)
from local_aws.service_rules.check_types import Check

_TABLES: tuple[Mapping[tuple[str, str], tuple[Check, ...]], ...] = (
    events_checks.CHECKS,
    identity_checks.CHECKS,
    lambda_checks.CHECKS,
    messaging_checks.CHECKS,
    monitoring_checks.CHECKS,
    sagemaker_checks.CHECKS,
    stack_checks.CHECKS,
    storage_checks.CHECKS,
)


def check(service: str, operation: str, parameters: Mapping[str, Any]) -> None:
    """Returns if no rule refuses the request.

    Args:
        service: the name of botocore's service model.
        parameters: the input by its API names.

    Raises:
        AwsError: the first rule that refuses it, in AWS's words.
    """
    for table in _TABLES:
        for rule in table.get((service, operation), ()):
            rule(parameters)

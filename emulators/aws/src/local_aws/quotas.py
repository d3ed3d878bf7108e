"""The account's quotas: those of a new AWS account, unless a test or a user sets others.

Global to the process, as the account itself is. Enforces nothing; `local_aws.service_rules` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from local_aws.errors import AwsError

_LEAST_UNRESERVED = 100


@dataclass
class Quotas:
    """Quotas of the account in its region. `set` changes them, `reset` restores those of a new account."""

    lambda_concurrent_executions: int = 10
    """A new account has 10 and not Lambda's default of 1,000: DataDog/datadog-serverless-functions#621."""
    instances: dict[str, int] = field(default_factory=dict)
    """By Service Quotas' name, as "ml.m5.large for endpoint usage"; a name that is absent is not limited."""

    @property
    def least_unreserved(self) -> int:
        """Executions that reservations must leave: 100, or the whole quota if it is smaller."""
        return min(_LEAST_UNRESERVED, self.lambda_concurrent_executions)

    def set(self, values: Mapping[str, Any]) -> None:
        """Sets the quotas that `values` names; the others stay.

        Raises:
            AwsError: ValidationException if a name is unknown or a value is not a number of at least 0.
        """
        known = {item.name for item in fields(self)}
        for name, value in values.items():
            if name not in known:
                raise AwsError("ValidationException", f"there is no quota {name!r}: use one of {sorted(known)}")
            numbers = list(value.values()) if isinstance(value, Mapping) else [value]
            if isinstance(value, Mapping) != (name == "instances") or not all(
                isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in numbers
            ):
                raise AwsError("ValidationException", f"quota {name}: invalid value {value!r}, use numbers from 0")
        for name, value in values.items():
            setattr(self, name, dict(value) if isinstance(value, Mapping) else value)

    def reset(self) -> None:
        """Restores the quotas of a new account."""
        self.lambda_concurrent_executions, self.instances = Quotas().lambda_concurrent_executions, {}


current = Quotas()
"""The quotas of the emulator that runs in this process."""

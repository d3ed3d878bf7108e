"""How SageMaker acts as the roles that it was given: the interface of `authorization.role_sessions` that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

KeyUse = Literal["output", "volume"]
"""What SageMaker encrypts with a key for a role."""


class ServiceRoles(Protocol):
    """Clients and environments of roles, and decisions on calls that do not go through HTTP.

    Every method raises AwsError if the role does not exist or does not trust SageMaker.
    """

    def client(self, role_arn: str, api: str) -> Any:
        """A boto3 client of the emulator as the role."""

    def environment(self, role_arn: str) -> dict[str, str]:
        """The variables that point a process to the emulator as the role."""

    def authorize(self, role_arn: str, operation: str, parameters: Mapping[str, Any]) -> None:
        """Returns if the role may call `service:Operation`; AwsError, as AWS answers, if not."""

    def authorize_key(self, role_arn: str, use: KeyUse, key: str) -> None:
        """Returns if the role may let SageMaker use the KMS key for an output or a volume; AwsError if not."""

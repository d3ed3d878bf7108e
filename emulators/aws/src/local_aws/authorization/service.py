"""The authorization of one emulator, composed: principals, gate, decisions, and the sessions of its services' roles."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from local_aws.authorization.authorizer import Authorizer
from local_aws.authorization.decision_log import DecisionLog
from local_aws.authorization.gate import Gate
from local_aws.authorization.principals import Principals
from local_aws.authorization.role_sessions import RoleSessions
from local_aws.clock import Clock


class Authorization:
    """What the emulator's services need to authorize calls.

    Args:
        log: the file that gets the decisions.
        environment: points clients to the emulator.
    """

    def __init__(
        self,
        principals: Principals,
        *,
        account: str,
        region: str,
        log: Path,
        clock: Clock,
        environment: Callable[[], Mapping[str, str]],
    ) -> None:
        self._account, self._region, self._environment = account, region, environment
        self.internal_key = f"AKIALOCALAWS{uuid.uuid4().hex[:8].upper()}"
        """The access key of the emulator's own work."""
        self.log = DecisionLog(log)
        self.authorizer = Authorizer(account=account, region=region, principals=principals, log=self.log, clock=clock)
        self.gate = Gate(self.authorizer, account=account, region=region, internal_key=self.internal_key)

    def roles(self, service: str, name: str) -> RoleSessions:
        """The sessions of roles that `service` assumes, called `name`."""
        return RoleSessions(
            service,
            name=name,
            account=self._account,
            region=self._region,
            authorizer=self.authorizer,
            environment=self._environment,
        )

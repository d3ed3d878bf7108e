"""Sessions of roles that the emulator's services assume: for jobs, endpoints, functions and pipeline executions.

A service gets credentials only for a role whose trust policy allows it to. Evaluates calls of a service under a role
that do not go through HTTP. Runs nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from local_aws.authorization.authorizer import Authorizer, denied
from local_aws.authorization.calls import Call
from local_aws.authorization.requirements import encryption
from local_aws.authorization.requirements.base import Requirement
from local_aws.errors import AwsError

# Longer than any job may run: AWS renews the credentials of a container, which an environment variable cannot do.
_SESSION_SECONDS = 6 * 24 * 3600
_RENEW_BEFORE = timedelta(hours=1)


class RoleSessions:
    """The sessions that one service of AWS has of roles.

    Args:
        service: its principal, such as `sagemaker.amazonaws.com`.
        name: the session's name, which messages show, unless a method gets another.
        environment: points clients to the emulator; its credentials are replaced.
    """

    def __init__(
        self,
        service: str,
        *,
        name: str,
        account: str,
        region: str,
        authorizer: Authorizer,
        environment: Callable[[], Mapping[str, str]],
    ) -> None:
        self.service, self._name, self._account, self._region = service, name, account, region
        self._authorizer, self._environment = authorizer, environment
        self._lock = threading.Lock()
        self._sessions: dict[tuple[str, str], Any] = {}
        self._clients: dict[tuple[str, str], Any] = {}
        self._boto3: Any = None

    def session(self, role_arn: str, name: str = "") -> Any:
        """moto's record of a session of the role, kept for further calls.

        Raises:
            AwsError: AccessDenied, if the role does not exist or does not trust the service.
        """
        from moto.sts.models import sts_backends

        name = name or self._name
        role = self._authorizer.principals.role(role_arn)
        fresh = (role_arn, name) not in self._sessions
        if role is None or not self._authorizer.may_assume(self.service, role, operation="sts:AssumeRole", log=fresh):
            raise AwsError(
                "AccessDenied",
                f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
                f"'{self.service}' to assume the role.",
                403,
            )
        with self._lock:
            known = self._sessions.get((role_arn, name))
            if known is None or known.expiration.replace(tzinfo=UTC) - datetime.now(UTC) < _RENEW_BEFORE:
                known = self._sessions[role_arn, name] = sts_backends[self._account]["aws"].assume_role(
                    region_name=self._region,
                    role_session_name=name,
                    role_arn=role_arn,
                    policy=None,
                    duration=_SESSION_SECONDS,
                    external_id=None,
                )
            return known

    def environment(self, role_arn: str, name: str = "") -> dict[str, str]:
        """The variables that point clients to the emulator as the role; raises as `session` does."""
        session = self.session(role_arn, name)
        return {
            **self._environment(),
            "AWS_ACCESS_KEY_ID": session.access_key_id,
            "AWS_SECRET_ACCESS_KEY": session.secret_access_key,
            "AWS_SESSION_TOKEN": session.session_token,
        }

    def client(self, role_arn: str, api: str) -> Any:
        """A boto3 client of `api` as the role; raises as `session` does."""
        session = self.session(role_arn)
        with self._lock:
            client = self._clients.get((session.access_key_id, api))
            if client is None:
                client = self._clients[session.access_key_id, api] = self._new_client(session, api)
            return client

    def authorize(self, role_arn: str, operation: str, parameters: Mapping[str, Any]) -> None:
        """Returns if the role may make a call, `service:Operation`, that the service makes without HTTP.

        Raises:
            AwsError: as AWS answers the call.
        """
        api, _, operation_name = operation.partition(":")
        call = Call(
            service=api,
            operation=operation_name,
            parameters=parameters,
            account=self._account,
            region=self._region,
        )
        principal = self._authorizer.principals.of_session(self.session(role_arn))
        self._authorizer.authorize(principal, call)

    def authorize_key(self, role_arn: str, use: Literal["output", "volume"], key: str) -> None:
        """Returns if the role may let SageMaker use a KMS key for an output or a volume; raises as `authorize` does."""
        call = Call(service="sagemaker", operation="", parameters={}, account=self._account, region=self._region)
        required = encryption.of_output(call, key) if use == "output" else encryption.of_volume(call, key)
        for requirement in required:
            self.require(role_arn, requirement, operation=f"sagemaker:EncryptJob{use.capitalize()}")

    def require(self, role_arn: str, requirement: Requirement, *, operation: str, name: str = "") -> None:
        """Returns if the role may use one action; raises as `authorize` does."""
        principal = self._authorizer.principals.of_session(self.session(role_arn, name))
        decision = self._authorizer.decide(principal, requirement, operation=operation)
        if not decision.allowed:
            api = requirement.action.partition(":")[0]
            call = Call(service=api, operation="", parameters={}, account=self._account, region=self._region)
            raise denied(call, decision)

    def _new_client(self, session: Any, api: str) -> Any:
        import boto3.session
        from botocore.config import Config

        if self._boto3 is None:
            self._boto3 = boto3.session.Session(region_name=self._region)
        return self._boto3.client(
            api,
            endpoint_url=self._environment()["AWS_ENDPOINT_URL"],
            aws_access_key_id=session.access_key_id,
            aws_secret_access_key=session.secret_access_key,
            aws_session_token=session.session_token,
            config=Config(max_pool_connections=32, retries={"mode": "standard", "max_attempts": 3}),
        )

"""Authorizes what CloudFormation does to resources: with its caller's permissions, or those of the stack's role.

moto creates resources in its backends, not by calls, so that the gate in front of the emulator does not see them.
Changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace

from local_aws.authorization import gate
from local_aws.authorization.authorizer import Authorizer
from local_aws.authorization.calls import Call
from local_aws.authorization.principals import Principal
from local_aws.authorization.role_sessions import RoleSessions
from local_aws.cloudformation.resource_calls import CALLS
from local_aws.cloudformation.resource_change import Change
from local_aws.errors import AwsError

_SERVICE = "cloudformation.amazonaws.com"
_role: ContextVar[str] = ContextVar("stack_role", default="")


class ResourceDenied(Exception):
    """A resource may not be changed; the message is the reason in the stack's events."""


class StackAuthorizer:
    """Authorizes the calls for resources of stacks."""

    def __init__(self, authorizer: Authorizer, roles: RoleSessions, *, account: str, region: str) -> None:
        self._authorizer, self._roles, self._account, self._region = authorizer, roles, account, region

    def check(self, type_name: str, change: Change) -> None:
        """Returns if the stack's caller or role may make the calls of `change`.

        Raises:
            ResourceDenied: it may not, or the calls of the type are not known and the caller is not the administrator.
        """
        caller = gate.principal.get()
        if caller is None:  # the emulator's own work
            return
        calls = CALLS.get(type_name)
        if calls is None:
            if caller.administrator and not _role.get():
                return
            raise ResourceDenied(
                f"{type_name}: the AWS emulator does not know which calls CloudFormation makes for this type, which it "
                "therefore allows to the administrator only; add it to local_aws.cloudformation.resource_calls"
            )
        principal = self._principal(caller)
        for operation, parameters in calls(change):
            service, _, name = operation.partition(":")
            call = Call(
                service=service, operation=name, parameters=parameters, account=self._account, region=self._region
            )
            try:
                self._authorizer.authorize(principal, call)
            except AwsError as error:
                reason = f'Resource handler returned message: "{error.message}" (HandlerErrorCode: AccessDenied)'
                raise ResourceDenied(reason) from error

    def _principal(self, caller: Principal) -> Principal:
        if role := _role.get():
            return self._authorizer.principals.of_session(self._roles.session(role))
        context = {
            **caller.context,
            "aws:CalledVia": (_SERVICE,),
            "aws:CalledViaFirst": _SERVICE,
            "aws:CalledViaLast": _SERVICE,
            "aws:ViaAWSService": "true",
        }
        return replace(caller, context=context)


authorizer: StackAuthorizer | None = None
"""That of the emulator that runs in this process."""


@contextmanager
def acting_as(role_arn: str | None) -> Iterator[None]:
    """Lets `check` use the permissions of the role, if there is one, instead of the caller's."""
    token = _role.set(role_arn or "")
    try:
        yield
    finally:
        _role.reset(token)


def check(type_name: str, change: Change) -> None:
    """As `StackAuthorizer.check`; returns if no emulator runs in this process, since then moto alone has no callers."""
    if authorizer is not None:
        authorizer.check(type_name, change)

"""One AWS call as authorization sees it: service, operation and parameters. Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local_aws import protocols
from local_aws.validation import request_reader
from local_aws.validation.constraints import UnknownMember, WrongType
from local_aws.validation.request_input import Malformed

_SERVICES = {"monitoring": "cloudwatch"}  # names in signatures that differ from those of requirements


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An operation of a service with its parameters by their API names."""

    service: str
    operation: str
    parameters: Mapping[str, Any]
    account: str
    region: str

    @property
    def name(self) -> str:
        """`service:Operation`."""
        return f"{self.service}:{self.operation}"

    def text(self, member: str) -> str:
        """A parameter as text; '' if it is not given."""
        value = self.parameters.get(member)
        return "" if value is None else str(value)


def read(environ: dict[str, Any], request: protocols.Request, *, service: str = "", account: str, region: str) -> Call:
    """The call of `request`; its operation is '' if no operation of the service's model has this method and path.

    A request that cannot be read has no parameters. It was refused before, unless it is anonymous, and then is denied.

    Args:
        service: the service that answers, where the signature does not name it.
    """
    try:
        model, parameters = request_reader.read(environ, request)
    except (Malformed, WrongType, UnknownMember):
        model, parameters = None, {}
    return Call(
        service=service or _SERVICES.get(request.service, request.service),
        operation=model.name if model is not None else request.operation,
        parameters=parameters,
        account=account,
        region=region,
    )

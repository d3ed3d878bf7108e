"""Reads how many concurrent executions of Lambda functions the account can reserve. Reserves none itself."""

from __future__ import annotations

from dataclasses import dataclass

from ml.aws import session

_KEPT_UNRESERVED = 100
"""Lambda keeps these for functions without a reservation: docs.aws.amazon.com/lambda, "Configuring reserved
concurrency"."""
_DENIED = ("AccessDenied", "AccessDeniedException")


@dataclass(frozen=True, kw_only=True)
class Concurrency:
    """The account's concurrent executions in its region: the whole quota, and what no function reserves."""

    quota: int
    unreserved: int

    @property
    def kept(self) -> int:
        """The executions that reservations must leave: 100, or the whole quota if that is smaller."""
        return min(_KEPT_UNRESERVED, self.quota)

    @property
    def reservable(self) -> int:
        """The executions that a new reservation may take; 0 in a new account, whose whole quota is 10."""
        return max(0, self.unreserved - _KEPT_UNRESERVED)


def concurrency() -> Concurrency | None:
    """The account's concurrency; None if the caller may not read it.

    Raises:
        CloudError: Lambda cannot be reached.
    """
    from botocore.exceptions import ClientError

    with session.explained("reading the concurrency quota of Lambda"):
        try:
            limits = session.client("lambda").get_account_settings()["AccountLimit"]
        except ClientError as error:
            if session.code(error) in _DENIED:
                return None
            raise
    return Concurrency(
        quota=int(limits["ConcurrentExecutions"]), unreserved=int(limits["UnreservedConcurrentExecutions"])
    )


def reservable() -> int | None:
    """The concurrent executions that a new reservation may take; None if the caller may not read the quota.

    Raises:
        CloudError: Lambda cannot be reached.
    """
    found = concurrency()
    return None if found is None else found.reservable

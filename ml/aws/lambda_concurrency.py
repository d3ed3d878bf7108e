"""Reads how many concurrent executions of Lambda functions the account can reserve. Reserves none itself."""

from __future__ import annotations

from ml.aws import session

_KEPT_UNRESERVED = 100
"""Lambda keeps these for functions without a reservation: docs.aws.amazon.com/lambda, "Configuring reserved
concurrency"."""
_DENIED = ("AccessDenied", "AccessDeniedException")


def reservable() -> int | None:
    """The concurrent executions that a new reservation may take; 0 in a new account, whose whole quota is 10.

    None if the caller may not read the quota.

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
    return max(0, int(limits["UnreservedConcurrentExecutions"]) - _KEPT_UNRESERVED)

"""Reserved concurrency of Lambda functions against the account's quota, for the API and for CloudFormation."""

from __future__ import annotations

from typing import Any

from local_aws import quotas
from local_aws.service_rules.catalog import violation


def unreserved(functions: list[Any], *, without: str = "") -> int:
    """Executions of the account that no function reserves, leaving out the reservation of the function `without`."""
    reserved = sum(int(item.reserved_concurrency or 0) for item in functions if item.function_name != without)
    return quotas.current.lambda_concurrent_executions - reserved


def check(functions: list[Any], name: str, wanted: int) -> None:
    """Refuses a reservation that leaves too little for the functions without one.

    Args:
        functions: moto's records of the account's functions.

    Raises:
        AwsError: InvalidParameterValueException.
    """
    if wanted and unreserved(functions, without=name) - wanted < quotas.current.least_unreserved:
        raise violation("lambda-reserved-concurrency", minimum=quotas.current.least_unreserved)


def account_settings(functions: list[Any]) -> dict[str, Any]:
    """The response of GetAccountSettings."""
    return {
        "AccountLimit": {
            "TotalCodeSize": 80_530_636_800,
            "CodeSizeUnzipped": 262_144_000,
            "CodeSizeZipped": 52_428_800,
            "ConcurrentExecutions": quotas.current.lambda_concurrent_executions,
            "UnreservedConcurrentExecutions": unreserved(functions),
        },
        "AccountUsage": {
            "TotalCodeSize": sum(int(item.code_size) for item in functions),
            "FunctionCount": len(functions),
        },
    }

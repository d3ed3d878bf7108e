"""Rules of Lambda: environment variables, time limits, code, events and permissions."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

from local_aws.service_rules import account_state
from local_aws.service_rules.catalog import violation
from local_aws.service_rules.check_types import Check

_RESERVED = frozenset(
    {
        "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_RUNTIME_API", "AWS_REGION", "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN", "LAMBDA_RUNTIME_DIR", "LAMBDA_TASK_ROOT",
    }
)  # fmt: skip
"""docs.aws.amazon.com/lambda, "Defined runtime environment variables"."""
_ENVIRONMENT_BYTES = 4096
_UNZIPPED_BYTES = 262_144_000
_TIMEOUT_SECONDS = 900
_EVENT_BYTES, _ASYNCHRONOUS_EVENT_BYTES = 6 * 1024 * 1024, 1024 * 1024


def _environment(parameters: Mapping[str, Any]) -> None:
    variables = (parameters.get("Environment") or {}).get("Variables") or {}
    if reserved := sorted(_RESERVED & set(variables)):
        raise violation("lambda-reserved-variable", names=", ".join(reserved))
    text = json.dumps(variables, separators=(",", ":"), ensure_ascii=False)
    if len(text.encode()) > _ENVIRONMENT_BYTES:
        raise violation("lambda-environment-size", measured=text)


def _timeout(parameters: Mapping[str, Any]) -> None:
    value = parameters.get("Timeout")
    if value is not None and int(value) > _TIMEOUT_SECONDS:
        raise violation("lambda-timeout", value=value, limit=_TIMEOUT_SECONDS)


def check_event(size: int, *, asynchronous: bool) -> None:
    """Refuses an event of too many bytes."""
    limit = _ASYNCHRONOUS_EVENT_BYTES if asynchronous else _EVENT_BYTES
    if size > limit:
        raise violation("lambda-payload-size", limit=limit)


def _statement(parameters: Mapping[str, Any]) -> None:
    function = account_state.function(parameters["FunctionName"])
    statements = getattr(getattr(function, "policy", None), "statements", None) or []
    if parameters["StatementId"] in [each.get("Sid") or each.get("StatementId") for each in statements]:
        raise violation("lambda-statement-exists", id=parameters["StatementId"])


def _code_size(parameters: Mapping[str, Any]) -> None:
    code = parameters.get("Code", parameters).get("ZipFile")
    if isinstance(code, bytes):
        check_archive(code)


def check_archive(code: bytes) -> None:
    """Refuses what is no archive, and an archive that unpacks to more than Lambda takes."""
    try:
        with zipfile.ZipFile(io.BytesIO(code)) as archive:
            unzipped = sum(item.file_size for item in archive.infolist())
    except zipfile.BadZipFile as error:
        raise violation("lambda-invalid-archive") from error
    if unzipped > _UNZIPPED_BYTES:
        raise violation("lambda-unzipped-size", limit=_UNZIPPED_BYTES)


CHECKS: Mapping[tuple[str, str], tuple[Check, ...]] = {
    ("lambda", "CreateFunction"): (_timeout, _environment, _code_size),
    ("lambda", "UpdateFunctionConfiguration"): (_timeout, _environment),
    ("lambda", "UpdateFunctionCode"): (_code_size,),
    ("lambda", "AddPermission"): (_statement,),
}
"""By service and operation."""

"""Runs Lambda functions: executes the code that moto keeps, in a process per execution environment.

Serves the Invoke API; moto keeps the functions themselves.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import threading
import time
import uuid
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local_aws.authorization.role_sessions import RoleSessions
from local_aws.awslambda.async_invocation import AsyncInvoker
from local_aws.awslambda.execution_environment import ExecutionEnvironment, InvocationResult, sdk_folder
from local_aws.clock import Clock
from local_aws.errors import AwsError
from local_aws.faults import FaultPlan
from local_aws.processes.child_processes import ChildProcesses
from local_aws.protocols import Response
from local_aws.service_rules import lambda_checks, reserved_concurrency

_MAX_CODE_BYTES = 250 * 1024 * 1024
_UNRESERVED_CONCURRENCY = 10  # concurrent executions of one function without reserved concurrency


class Functions:
    """The functions of one emulator."""

    def __init__(
        self,
        *,
        client: Callable[[str], Any],
        folder: Path,
        processes: ChildProcesses,
        region: str,
        account: str,
        roles: RoleSessions,
        clock: Clock,
        retry_seconds: tuple[float, ...] = (1.0, 3.0),
        faults: FaultPlan | None = None,
    ) -> None:
        """`roles` gives every function the credentials of its role; `retry_seconds` replace AWS's minutes."""
        self._folder, self._processes, self._roles, self._clock = folder, processes, roles, clock
        self._region, self._account = region, account
        self._faults = faults or FaultPlan()
        self._lock = threading.Lock()
        self._log_lock = threading.Lock()
        self._idle: dict[tuple[str, str], list[ExecutionEnvironment]] = {}
        self._slots: dict[tuple[str, int], threading.Semaphore] = {}
        self.async_invoker = AsyncInvoker(
            client=client,
            account=account,
            region=region,
            roles=roles,
            find=self.find,
            run=lambda function, event, request_id: self.invoke(function, event, wait=True, request_id=request_id),
            log=lambda text: self._write_log("asynchronous", text),
            retry_seconds=retry_seconds,
        )
        folder.mkdir(parents=True, exist_ok=True)

    def handle_invoke(self, match: re.Match[str], environ: Mapping[str, Any], body: bytes) -> Response:
        """The Invoke API: RequestResponse, Event or DryRun."""
        function = self.find(match["name"])
        kind = environ.get("HTTP_X_AMZ_INVOCATION_TYPE", "RequestResponse")
        lambda_checks.check_event(len(body), asynchronous=kind == "Event")
        try:
            event = json.loads(body) if body else {}
        except ValueError as error:
            raise AwsError(
                "InvalidRequestContentException", f"Could not parse request body into json: {error}"
            ) from error
        if kind == "DryRun":
            return 204, {}, b""
        if kind == "Event":
            self.async_invoker.put(function.function_arn, event)
            return 202, {}, b""
        result = self.invoke(function, event)
        headers = {"Content-Type": "application/json", "X-Amz-Executed-Version": "$LATEST"}
        headers["x-amzn-RequestId"] = result.request_id
        if result.error is not None:
            headers["X-Amz-Function-Error"] = "Unhandled"
        if environ.get("HTTP_X_AMZ_LOG_TYPE") == "Tail":
            headers["X-Amz-Log-Result"] = base64.b64encode("\n".join(result.lines).encode()[-4096:]).decode()
        text = result.payload if result.error is None else json.dumps(result.error)
        return 200, headers, (text or "null").encode()

    def account_settings(self, *_: Any) -> Response:
        """The GetAccountSettings API, with the emulator's quotas."""
        from moto.awslambda.models import lambda_backends

        functions = list(lambda_backends[self._account][self._region].list_functions())
        body = json.dumps(reserved_concurrency.account_settings(functions)).encode()
        return 200, {"Content-Type": "application/json"}, body

    def find(self, name: str) -> Any:
        """moto's record of the function with that name or ARN; AwsError if there is none."""
        from moto.awslambda.models import lambda_backends

        plain = name.rsplit("function:", maxsplit=1)[-1].split(":", maxsplit=1)[0]
        for function in list(lambda_backends[self._account][self._region].list_functions()):
            if function.function_name == plain:
                return function
        arn = f"arn:aws:lambda:{self._region}:{self._account}:function:{plain}"
        raise AwsError("ResourceNotFoundException", f"Function not found: {arn}", 404)

    def invoke(
        self, function: Any, event: Any, *, wait: bool = False, request_id: str | None = None
    ) -> InvocationResult:
        """Runs `function` on `event`. At the concurrency limit the call waits if `wait`, otherwise it is throttled."""
        limit = int(_UNRESERVED_CONCURRENCY if function.reserved_concurrency is None else function.reserved_concurrency)
        with self._lock:
            slot = self._slots.setdefault((function.function_name, limit), threading.Semaphore(limit))
        if not slot.acquire(blocking=wait and limit > 0):
            raise AwsError("TooManyRequestsException", "Rate Exceeded.", 429)
        try:
            rule = self._faults.take("function", function.function_name)
            if rule is not None and rule.fault == "timeout":
                return self._write_logs(function, _timed_out(function, request_id), 0.0)
            environment, key = self._take_environment(function)
            started = time.perf_counter()
            result = environment.invoke(
                event, arn=function.function_arn, timeout_seconds=float(function.timeout), request_id=request_id
            )
            seconds = time.perf_counter() - started
            if environment.dead:
                environment.close()
            else:
                with self._lock:
                    self._idle.setdefault(key, []).append(environment)
            if rule is not None:  # timeout_after
                result = _timed_out(function, request_id, result.lines)
            return self._write_logs(function, result, seconds)
        finally:
            slot.release()

    def close(self) -> None:
        """Waits for running events, drops the queued ones, and ends every process."""
        self.async_invoker.close()
        with self._lock:
            environments = [environment for idle in self._idle.values() for environment in idle]
            self._idle.clear()
        for environment in environments:
            environment.close()

    def _take_environment(self, function: Any) -> tuple[ExecutionEnvironment, tuple[str, str]]:
        """A warm environment of the function's current state, or a new one; those of earlier states are ended."""
        variables = self._function_variables(function)
        sha256 = hashlib.sha256(function.code_bytes).hexdigest()
        state = json.dumps([sha256, function.handler, function.role, variables], sort_keys=True)
        key = (function.function_name, hashlib.sha256(state.encode()).hexdigest())
        with self._lock:
            outdated_keys = [other for other in self._idle if other[0] == key[0] and other != key]
            outdated = [environment for other in outdated_keys for environment in self._idle.pop(other)]
            idle = self._idle.get(key, [])
            warm = idle.pop() if idle else None
        for environment in outdated:
            environment.close()
        if warm is not None and not warm.dead:
            return warm, key
        if not (function.run_time or "").startswith("python"):
            message = (
                f"the AWS emulator runs Python functions only (got {function.run_time} of {function.function_name})"
            )
            raise AwsError("InvalidRuntimeException", message, 502)
        stream = f"{datetime.now(UTC):%Y/%m/%d}/[$LATEST]{uuid.uuid4().hex}"
        new = ExecutionEnvironment(
            self._processes,
            clock=self._clock,
            task=self._unpack(function.function_name, sha256, function.code_bytes),
            packages=sdk_folder(self._folder / "runtime"),
            handler=function.handler,
            environment={**variables, **self._environment(function), "AWS_LAMBDA_LOG_STREAM_NAME": stream},
        )
        return new, key

    def _unpack(self, name: str, sha256: str, code: bytes) -> Path:
        task = self._folder / name / sha256[:16]
        if task.exists():
            return task
        partial = task.with_name(f"{task.name}.{uuid.uuid4().hex}")
        try:
            with zipfile.ZipFile(io.BytesIO(code)) as archive:
                if sum(item.file_size for item in archive.infolist()) > _MAX_CODE_BYTES:
                    message = f"{name}: Unzipped size must be smaller than {_MAX_CODE_BYTES} bytes"
                    raise AwsError("InvalidZipFileException", message, 502)
                archive.extractall(partial)  # zipfile drops absolute paths and `..`
        except zipfile.BadZipFile as error:
            raise AwsError("InvalidZipFileException", f"{name}: Could not unzip the code: {error}", 502) from error
        try:
            partial.rename(task)
        except OSError:
            if not task.is_dir():  # otherwise another thread was first, with the same code
                raise
        return task

    def _function_variables(self, function: Any) -> dict[str, str]:
        return {
            **{key: str(value) for key, value in (function.environment_vars or {}).items()},
            "_HANDLER": function.handler,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.run_time}",
            "AWS_LAMBDA_FUNCTION_NAME": function.function_name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size),
            "AWS_LAMBDA_LOG_GROUP_NAME": function.logs_group_name,
        }

    def _environment(self, function: Any) -> dict[str, str]:
        """The variables that point the function to the emulator as its role, in a session named after the function."""
        try:
            return self._roles.environment(function.role, function.function_name)
        except AwsError as error:
            message = f"The role defined for the function cannot be assumed by Lambda. ({error.message})"
            raise AwsError("AccessDeniedException", message, 403) from error

    def _write_logs(self, function: Any, result: InvocationResult, seconds: float) -> InvocationResult:
        error = result.error
        lines = (
            f"START RequestId: {result.request_id} Version: $LATEST",
            *result.lines,
            *([json.dumps(error)] if error and "." in error["errorType"] else []),  # errors of the runtime
            f"END RequestId: {result.request_id}",
            f"REPORT RequestId: {result.request_id}\tDuration: {seconds * 1000:.2f} ms",
        )
        if self._may_log(function):
            function.logs_backend.ensure_log_group(function.logs_group_name)
            function.save_logs("\n".join(lines))
        self._write_log(function.function_name, "\n".join(lines))
        return InvocationResult(result.request_id, result.payload, error, lines)

    def _may_log(self, function: Any) -> bool:
        """Whether the function's role may write to its log group; as on AWS, a function without the permission runs."""
        group, exists = function.logs_group_name, function.logs_group_name in function.logs_backend.groups
        calls = [] if exists else [("CreateLogGroup", {"logGroupName": group})]
        stream = {"logGroupName": group, "logStreamName": f"{datetime.now(UTC):%Y/%m/%d}/[$LATEST]"}
        try:
            for operation, parameters in [*calls, ("CreateLogStream", stream), ("PutLogEvents", stream)]:
                self._roles.authorize(function.role, f"logs:{operation}", parameters)
        except AwsError as error:
            self._write_log(function.function_name, f"no CloudWatch logs: {error.message}")
            return False
        return True

    def _write_log(self, name: str, text: str) -> None:
        with self._log_lock, (self._folder / f"{name}.log").open("a", encoding="utf-8") as log:
            log.write(text + "\n")


def _timed_out(function: Any, request_id: str | None, lines: tuple[str, ...] = ()) -> InvocationResult:
    """The result of an invocation that a fault rule lets time out."""
    request_id = request_id or str(uuid.uuid4())
    message = f"RequestId: {request_id} Error: Task timed out after {float(function.timeout):.2f} seconds"
    return InvocationResult(request_id, None, {"errorType": "Sandbox.Timedout", "errorMessage": message}, lines)

"""Runs both emulators as one background process per folder: starts, stops and describes it."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local_aws.errors import EmulatorError
from local_aws.processes.daemon import Daemon, State, published_state, termination_event

from ml.aws import session
from ml.errors import CloudError, ConfigError

FOLDER = Path(".fraudops/local")
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d")


@dataclass(frozen=True, kw_only=True)
class Status:
    """The emulators of a folder. `url`, `port`, `pid` and `github` are None while they do not run."""

    running: bool
    folder: Path
    logs: Path
    url: str | None = None
    port: int | None = None
    pid: int | None = None
    github: str | None = None
    """URL of the GitHub emulator: pages, repositories, and the API below /api/v3."""
    ended: int = 0
    """How many orphans of a crashed emulator `down` killed."""


def up(folder: Path = FOLDER, *, port: int = 0, caller_arn: str | None = None) -> Status:
    """Starts the emulators of `folder` in the background; returns once they answer.

    AWS is emulated in the region AWS_REGION or AWS_DEFAULT_REGION; without either in the emulator's default.

    Raises:
        CloudError: they already run, or did not start; the message quotes the log.
        ConfigError: the region does not have the form of one.
    """
    daemon = _daemon(folder)
    images = Path.cwd() / "local-images.yaml"  # maps images to local commands; may be absent
    command = [sys.executable, "-m", "ml.playground.daemon", str(daemon.folder), str(port), _region() or ""]
    command.append(caller_arn or "")
    try:
        return _status(daemon, daemon.start([*command, str(images)], cwd=Path(__file__).parents[2]))
    except EmulatorError as error:
        raise CloudError(str(error)) from error


def down(folder: Path = FOLDER) -> Status:
    """Stops the emulators of `folder` and everything they started, or kills the orphans of crashed ones."""
    daemon = _daemon(folder)
    return Status(running=False, folder=daemon.folder, logs=daemon.logs, ended=daemon.stop())


def status(folder: Path = FOLDER) -> Status:
    """Whether the emulators of `folder` run, and where; CloudError if the state file is invalid."""
    daemon = _daemon(folder)
    try:
        return _status(daemon, daemon.state())
    except EmulatorError as error:
        raise CloudError(str(error)) from error


def environment(folder: Path = FOLDER) -> dict[str, str]:
    """The variables that point boto3 and clients of GitHub to the emulators; CloudError if they do not run."""
    try:
        return _daemon(folder).environment()
    except EmulatorError as error:
        raise CloudError(str(error)) from error


def shell_environment(folder: Path = FOLDER) -> dict[str, str]:
    """`environment` and the variables for git.

    Raises:
        CloudError: the emulators do not run, or run in another region than this environment names. Variables that
            choose a stack or a repository, such as FRAUDOPS_STACK and GITHUB_REPOSITORY, stay as they are.
    """
    from local_github.client_environment import for_git

    variables = environment(folder)
    wanted, running = _region(), variables["AWS_REGION"]
    if wanted is not None and wanted != running:
        raise CloudError(
            f"the emulators of {folder} run in {running}, and the region of this environment is {wanted}: start them "
            "there with `fraudops local down` and `fraudops local up`, or unset AWS_REGION and AWS_DEFAULT_REGION"
        )
    return variables | for_git(variables["GITHUB_SERVER_URL"], variables["GITHUB_TOKEN"])


def exports(folder: Path = FOLDER) -> str:
    """`shell_environment` as shell lines, export NAME=VALUE, and `gh` as a function; raises the same errors."""
    variables = shell_environment(folder)
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    gh_variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in gh_environment(folder).items())
    return "\n".join([*lines, f'gh() {{ {gh_variables} command gh "$@"; }}'])


def gh_environment(folder: Path = FOLDER) -> dict[str, str]:
    """The variables for the `gh` command alone: its proxy would catch the traffic of other programs."""
    from local_github.client_environment import for_gh

    variables = environment(folder)
    return for_gh(variables["GITHUB_SERVER_URL"], variables["GITHUB_TOKEN"])


def _region() -> str | None:
    """The region that this environment names; None if it names none."""
    region = session.region()
    if region and not _REGION.fullmatch(region):
        raise ConfigError(f"AWS_REGION must be a region of AWS, such as eu-west-1 (got {region!r})")
    return region


def _daemon(folder: Path) -> Daemon:
    return Daemon(folder, title="AWS and GitHub emulators", command="fraudops local")


def _status(daemon: Daemon, state: State | None) -> Status:
    if state is None:
        return Status(running=False, folder=daemon.folder, logs=daemon.logs)
    return Status(
        running=True,
        folder=daemon.folder,
        logs=daemon.logs,
        url=state.url,
        port=state.port,
        pid=state.pid,
        github=state.environment["GITHUB_SERVER_URL"],
    )


def main(arguments: Sequence[str]) -> int:
    """The background process: FOLDER PORT REGION CALLER_ARN IMAGES. Serves until SIGTERM or SIGINT."""
    import logging

    from local_aws.server import CALLER, REGION

    from ml.playground.emulators import Emulators

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    folder, port = Path(arguments[0]), int(arguments[1])
    region, caller_arn = arguments[2] or REGION, arguments[3] or CALLER
    ended = termination_event()
    emulators = Emulators(
        folder, port=port, region=region, caller_arn=caller_arn, images=Path(arguments[4]), schedules=True
    )
    try:
        emulators.start()
    except CloudError as error:
        logging.error("%s", error)  # noqa: TRY400 - the message is enough
        return error.exit_code
    with published_state(folder, url=emulators.aws.url, environment=emulators.environment()):
        ended.wait()
        emulators.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

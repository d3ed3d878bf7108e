"""The command `local-aws`: starts, stops and describes an emulator. Parses and prints only."""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from local_aws.authorization import usage
from local_aws.errors import EmulatorError
from local_aws.processes.daemon import Daemon, published_state, termination_event

_FOLDER = Path(".local-aws")
_PORT = 0
_IMAGES = Path("local-images.yaml")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code, 1 after an error, whose message is on standard error."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except EmulatorError as error:
        print(f"local-aws: {error}", file=sys.stderr)  # noqa: T201 - the command's output
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="local-aws", description="An AWS emulator that executes SageMaker.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--folder", type=Path, default=_FOLDER, help=f"state and logs (default: {_FOLDER})")
    up = commands.add_parser("up", parents=[common], help="start in the background, print the export lines")
    up.add_argument("--port", type=int, default=_PORT, help="0, the default, takes a free one")
    up.add_argument("--images", type=Path, default=_IMAGES, help=f"image commands, if any (default: {_IMAGES})")
    up.add_argument("--foreground", action="store_true", help="serve until Ctrl-C")
    up.set_defaults(command=_up)
    for name, command, text in (
        ("env", _env, "print the export lines of a running emulator"),
        ("down", _down, "stop the emulator and everything it started"),
    ):
        commands.add_parser(name, parents=[common], help=text).set_defaults(command=command)
    text = "print which permissions of each role the calls of stopped emulators used, as JSON"
    permissions = commands.add_parser("permissions", help=text)
    permissions.add_argument(
        "--folder",
        type=Path,
        nargs="+",
        default=[_FOLDER],
        help=f"of each emulator, counted together (default: {_FOLDER})",
    )
    permissions.set_defaults(command=_permissions)
    return parser


def _up(options: argparse.Namespace) -> int:
    if options.foreground:
        return _serve(options.folder.resolve(), options.port, options.images)
    command = [sys.executable, "-m", "local_aws.cli", "up", "--foreground", "--folder", str(options.folder.resolve())]
    command += ["--port", str(options.port), "--images", str(options.images.resolve())]
    _print_exports(Daemon(options.folder).start(command, cwd=Path(__file__).parents[1]).environment)
    return 0


def _env(options: argparse.Namespace) -> int:
    _print_exports(Daemon(options.folder).environment())
    return 0


def _down(options: argparse.Namespace) -> int:
    Daemon(options.folder).stop()
    return 0


def _permissions(options: argparse.Namespace) -> int:
    print(usage.report(*options.folder).as_json())  # noqa: T201 - the command's output
    return 0


def _serve(folder: Path, port: int, images: Path) -> int:
    from local_aws.server import LocalAws

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    ended = termination_event()
    with (
        LocalAws(folder, port=port, images=images) as aws,
        published_state(folder, url=aws.url, environment=aws.environment()),
    ):
        _print_exports(aws.environment())
        ended.wait()
    return 0


def _print_exports(environment: Mapping[str, str]) -> None:
    lines = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    print("\n".join(lines), flush=True)  # noqa: T201 - the command's output


if __name__ == "__main__":
    sys.exit(main())

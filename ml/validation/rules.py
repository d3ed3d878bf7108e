"""The rules of model-config/, each a function that yields the problems of a change. Calls no service.

Single files are known and valid. References between files resolve and agree. Append-only folders are only appended to,
and by the bot where required. A new approval was compared with the model that serves. All problems are reported, not
only the first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ml import config
from ml.errors import ConfigError
from ml.gitops.repository import BOT, Repository
from ml.validation import request_rules, statement_rules
from ml.validation.problem import Problem, at, line_of
from ml.workflow import runner_commands
from ml.workflow.changed_files import Change, PullRequest

APPEND_ONLY = (config.APPROVALS, config.REQUESTS, config.GATE_FAILURES)
BOT_FOLDERS = (config.APPROVALS, config.GATE_FAILURES)
_SINGLE = {Path("model-config/README.md"), *config.SETTINGS, config.SERVING, config.STAGING, config.DRIFT}
_NUMBERED = re.compile(r"\d{4,}\.yaml")


def known(path: Path) -> bool:
    """Whether the product reads a file at `path` (or it is a .gitkeep or the README)."""
    folders = {*APPEND_ONLY, config.MODEL.parent, config.SERVING.parent, config.DRIFT.parent}
    if path in _SINGLE or (path.name == ".gitkeep" and path.parent in folders):
        return True
    return _is_record(path)


def _is_record(path: Path) -> bool:
    """Whether a file at `path` is a record of an append-only folder, or the signed statement of one."""
    return (path.parent in APPEND_ONLY and path.suffix == ".yaml") or statement_rules.is_statement(path)


def broken(root: Path, files: Iterable[Path]) -> Iterator[Problem]:
    """Known files that are invalid."""
    for path in (path for path in files if known(path) and path.suffix in (".yaml", ".json")):
        if (root / path).is_symlink():
            yield Problem(path=path, message=f"{path}: must be a file, not a link")
            continue
        try:
            _read(root, path)
        except config.FileInvalid as error:
            yield from (Problem(path=path, line=line, message=message) for line, message in error.problems)
        except ConfigError as error:
            yield Problem(path=path, message=str(error))


def _read(root: Path, path: Path) -> object:
    if statement_rules.is_statement(path):
        return statement_rules.read(root, path)
    if path.parent == config.APPROVALS:
        if not _NUMBERED.fullmatch(path.name) or path != config.approval_path(int(path.stem)):
            raise ConfigError(f"{path}: must be named after its number in four digits, e.g. 0007.yaml")
        return config.load_approval(root, int(path.stem))
    if path.parent == config.REQUESTS:
        return config.load_request(root, path.stem)
    if path.parent == config.GATE_FAILURES:
        return config.load_gate_failure(root, path.stem)
    read: dict[Path, Callable[[Path], object]] = {
        config.DATA: config.load_data,
        config.MODEL: config.load_model,
        config.GATE: config.load_gate,
        config.SERVING: config.load_serving,
        config.STAGING: config.load_staging,
        config.DRIFT: config.load_drift,
    }
    return read[path](root)


def contradictions(repository: Repository, change: Change) -> Iterator[Problem]:
    """References between files that do not resolve or disagree. Skips invalid files, which `broken` reports."""
    root = repository.root
    yield from _settings(root)
    records = _records(root)
    serving = _serving(root)
    if serving is not None and serving.approval is not None and serving.approval not in records:
        pointed = config.approval_path(serving.approval)
        if not (root / pointed).exists():
            yield Problem(
                path=config.SERVING,
                line=line_of(root, config.SERVING, "approval"),
                message=f"{config.SERVING}: approval {serving.approval:04d} has no record ({pointed} does not exist), "
                f"so it was never approved. {_revert_advice(change)}",
            )
    yield from request_rules.without_champion(root, change, serving)
    statements = sorted(path.relative_to(root) for path in (root / config.APPROVALS).glob("*.json"))
    yield from statement_rules.contradictions(root, statements, records, change)
    for number, record in records.items():
        path = config.approval_path(number)
        yield from request_rules.of_record(root, path, record)
        if record.verdict.status != "passed":
            yield at(root, path, "verdict", f"must be a model that passed the gate (got {record.verdict.status!r})")
        yield from _against_champion(root, path, record, records)
        if change.files.get(path.as_posix()) == "A":
            yield from _against_commit(repository, path, record)
    for file in sorted((root / config.GATE_FAILURES).glob("*.yaml")):
        try:
            failure = config.load_gate_failure(root, file.stem)
        except ConfigError:
            continue  # reported by `broken`
        yield from request_rules.of_record(root, config.GATE_FAILURES / file.name, failure)


def _against_champion(
    root: Path, path: Path, record: config.ApprovalRecord, records: dict[int, config.ApprovalRecord]
) -> Iterator[Problem]:
    if record.champion is None:
        return
    number = record.champion.approval
    champion = records.get(number)
    if champion is None:
        if not (root / config.approval_path(number)).exists():
            yield at(root, path, "champion", f"was approval {number:04d}, which has no record")
    elif (champion.model_package_arn, champion.artifact.sha256) != (
        record.champion.model_package_arn,
        record.champion.artifact_sha256,
    ):
        yield at(root, path, "champion", f"differs in package or digest from {config.approval_path(number)}")


def _settings(root: Path) -> Iterator[Problem]:
    """The training files contradict each other."""
    try:
        files = config.load_data(root), config.load_model(root), config.load_gate(root)
    except ConfigError:
        return
    try:
        config.settings_of(*files)
    except ConfigError as error:
        yield Problem(path=config.MODEL, message=str(error))


def _against_commit(repository: Repository, path: Path, record: config.ApprovalRecord) -> Iterator[Problem]:
    """A new record's commit exists on main and has the settings of the record's digest."""
    root = repository.root
    if repository.resolve(record.commit) is None:
        yield at(root, path, "commit", f"{record.commit} is not in this repository, so the model cannot be traced")
        return
    if not repository.is_ancestor(record.commit, "HEAD"):
        yield at(root, path, "commit", f"{record.commit} is on another branch; models are trained from main")
    try:
        settings = config.parse_settings(
            lambda file: (repository.show(record.commit, file) or b"").decode("utf-8", "replace")
        )
    except ConfigError as error:
        yield at(root, path, "commit", f"{record.commit} has invalid settings: {error}")
        return
    digest = settings.sha256
    if digest != record.config_sha256:
        yield at(
            root,
            path,
            "config_sha256",
            f"must be that of commit {record.commit[:12]}, {digest} (got {record.config_sha256})",
        )
    text = (repository.show(record.commit, config.MODEL) or b"").decode("utf-8", "replace")
    reason = config.parse(text, config.MODEL, config.ModelFile).not_reproducible
    if reason != record.not_reproducible:
        yield at(root, path, "not_reproducible", f"must be {reason!r}, as {config.MODEL} of that commit says")


def rewritten(repository: Repository, change: Change) -> Iterator[Problem]:
    """Edits, deletions and renames in the append-only folders, and a force-push of main."""
    if change.forced:
        yield Problem(
            path=Path("model-config"),
            message="main was force-pushed, so records may be missing from its append-only folders; "
            "restore its former commit, and protect the branch",
        )
    for name, kind in change.files.items():
        path = Path(name)
        if not _is_record(path) or kind == "A":
            continue
        if kind == "D" and path.parent == config.APPROVALS and _pointer_moved(repository, change):
            yield Problem(
                path=path,
                message=f"{path}: is deleted together with a move of the pointer, as GitHub's Revert button does; "
                f"records are never deleted. {_rollback_advice(repository.root)}",
            )
        elif kind == "D":
            yield Problem(
                path=path, message=f"{path}: is deleted or renamed, and {path.parent}/ is append-only; restore it"
            )
        else:
            yield Problem(path=path, message=f"{path}: is edited, and {path.parent}/ is append-only; restore it")


def foreign(repository: Repository, change: Change, pull: PullRequest | None) -> Iterator[Problem]:
    """Records that were not written by the bot: by pull request, by commit, or by a push to its branch."""
    every = [name for name in change.files if _is_record(Path(name))]
    touched = [name for name in every if Path(name).parent in BOT_FOLDERS]
    if not touched:
        return
    bots = runner_commands.bots()
    if pull is not None and pull.author not in bots:
        yield Problem(
            path=Path(touched[0]),
            message=f"{touched[0]}: this pull request is by {pull.author}, and only the bot "
            f"({', '.join(sorted(bots))}) writes {_folders()}, after the gate's verdict. "
            "Remove the file",
        )
    if change.base is None:
        return
    for commit in repository.log(f"{change.base}..HEAD", *BOT_FOLDERS):
        if len(commit.parents) == 1 and commit.author != BOT.name:
            path = next(iter(repository.changes(commit.parents[0], commit.sha, *BOT_FOLDERS)), touched[0])
            yield Problem(
                path=Path(path),
                message=f"{path}: commit {commit.sha[:12]} ({commit.subject}) is by {commit.author}, and only the bot "
                f"writes {_folders()}. Remove the commit from the branch; run train.yml again if the record is needed",
            )
    yield from _pushed_by_a_person(repository, change, bots)


def _pushed_by_a_person(repository: Repository, change: Change, bots: frozenset[str]) -> Iterator[Problem]:
    """Changes that a person pushed to the bot's branch, whatever author the commits name.

    A merge of main (GitHub's button "Update branch") brings the content of main and counts as no change.
    """
    payload = runner_commands.event()
    sender = payload.get("sender", {}).get("login")
    before, after = payload.get("before"), payload.get("after")
    if "pull_request" not in payload or payload.get("action") != "synchronize" or sender in bots:
        return
    if not before or not after or repository.resolve(before) is None or repository.resolve(after) is None:
        return
    for path in repository.changes(before, after, *BOT_FOLDERS):
        if path not in change.files:
            continue
        yield Problem(
            path=Path(path),
            message=f"{path}: {sender} pushed a change of it to this branch, and only the bot writes {_folders()}. "
            f"Reset the branch to {before[:12]}",
        )


def superseded(repository: Repository, change: Change) -> Iterator[Problem]:
    """A new approval that was compared with another champion than the one that main serves now."""
    root = repository.root
    serving = _approved(root)
    if serving is None or serving.approval is None or change.main is None:
        return
    path = config.approval_path(serving.approval)
    if change.files.get(path.as_posix()) != "A":
        return
    record = _records(root).get(serving.approval)
    if record is None:
        return
    compared = record.champion.approval if record.champion is not None else None
    serves = _pointer_at(repository, change.main)
    if serves is not None and compared != serves[0]:
        yield Problem(
            path=path,
            message=f"{path}: is superseded: its model was compared with {_named(compared)}, and main "
            f"serves {_named(serves[0])} now ({_main_name(repository, change.main)}). Close this pull request; run "
            "train.yml again to compare with that one",
        )


def _main_name(repository: Repository, main: str) -> str:
    """Which main was read: a clone's may be older than GitHub's."""
    remote = repository.resolve("refs/remotes/origin/main") == main
    return f"{'origin/main' if remote else 'main'} at {main[:12]}{'; `git fetch` brings the newest' if remote else ''}"


def _records(root: Path) -> dict[int, config.ApprovalRecord]:
    """The valid approval records, by number."""
    records = {}
    for file in sorted((root / config.APPROVALS).glob("*.yaml")):
        if _NUMBERED.fullmatch(file.name):
            try:
                records[int(file.stem)] = config.load_approval(root, int(file.stem))
            except ConfigError:
                continue  # reported by `broken`
    return records


def _serving(root: Path) -> config.ServingFile | None:
    try:
        return config.load_serving(root)
    except ConfigError:
        return None  # reported by `broken`


def _approved(root: Path) -> config.ServingFile | None:
    """The serving file whose pointer an approval moves: staging's if there is one; None if it is invalid."""
    try:
        return config.load_staging(root) or config.load_serving(root)
    except ConfigError:
        return None  # reported by `broken`


def _pointer_at(repository: Repository, revision: str) -> tuple[int | None] | None:
    """The approval at `revision` in a tuple of one; None if the file cannot be read there."""
    content = repository.show(revision, config.SERVING)
    if content is None:
        return (None,)
    try:
        return (config.parse(content.decode("utf-8", "replace"), config.SERVING, config.ServingFile).approval,)
    except ConfigError:
        return None


def _pointer_moved(repository: Repository, change: Change) -> bool:
    before = _pointer_at(repository, change.base) if change.base else None
    after = _serving(repository.root)
    return before is not None and after is not None and before[0] != after.approval


def _rollback_advice(root: Path) -> str:
    serving = _serving(root)
    if serving is None or serving.approval is None:
        return "Close this: no model served before, so there is none to roll back to"
    return (
        f"Close this and run `fraudops rollback --to {serving.approval} --propose`, which reverts only the pointer's "
        "commit"
    )


def _revert_advice(change: Change) -> str:
    deleted = any(kind == "D" and Path(name).parent == config.APPROVALS for name, kind in change.files.items())
    if deleted:
        return "This change deletes its record: records are never deleted. To roll back, use `fraudops rollback`"
    return "Merge the approval's pull request, or roll back: `fraudops rollback`"


def _named(approval: int | None) -> str:
    return f"approval {approval:04d}" if approval is not None else "nothing"


def _folders() -> str:
    return " and ".join(f"{folder}/" for folder in BOT_FOLDERS)

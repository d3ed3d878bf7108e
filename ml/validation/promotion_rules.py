"""The rules of staging: production serves only what staging named first, and both name records. Calls no service.

Without serving/staging.yaml the only rule is that production's roll-out has no shadow, which is in staging.
"""

from __future__ import annotations

from collections.abc import Iterator

from ml import config
from ml.errors import ConfigError
from ml.gitops import serving_pointer
from ml.gitops.repository import Repository
from ml.validation.problem import Problem, at, line_of
from ml.workflow.changed_files import Change


def of_staging(repository: Repository) -> Iterator[Problem]:
    """Staging's pointer without a record, an endpoint that both stages name, and what only one stage may have."""
    root = repository.root
    try:
        staging, production = config.load_staging(root), config.load_serving(root)
    except ConfigError:
        return  # reported by `rules.broken`
    if staging is None:
        if production.rollout.shadow is not None:
            yield at(
                root,
                config.SERVING,
                "rollout",
                f"has a shadow, which is in staging, and there is no {config.STAGING}. Add that file, or remove shadow",
            )
        return
    if staging.rollout.shadow is not None:
        yield at(
            root, config.STAGING, "rollout", f"must have no shadow, which is for promotions: {config.SERVING} states it"
        )
    if staging.approval is not None and not (root / config.approval_path(staging.approval)).exists():
        yield Problem(
            path=config.STAGING,
            line=line_of(root, config.STAGING, "approval"),
            message=f"{config.STAGING}: approval {staging.approval:04d} has no record "
            f"({config.approval_path(staging.approval)} does not exist), so it was never approved. Merge the "
            "approval's pull request",
        )
    if staging.endpoint == production.endpoint:
        yield at(root, config.STAGING, "endpoint", f"must be another than production's (got {staging.endpoint!r})")
    if staging.self_heal:
        yield at(root, config.STAGING, "self_heal", "must be false: only production is compared with Git (got true)")


def of_promotion(repository: Repository, change: Change) -> Iterator[Problem]:
    """A move of production's pointer to an approval that staging did not name first, or that is out of date.

    An approval that production named before is a rollback, and passes.
    """
    if change.main is None or not serving_pointer.has_staging(repository, change.main):
        return
    try:
        chosen = config.load_serving(repository.root).approval
        current = serving_pointer.read(repository, change.main).approval
    except ConfigError:
        return  # reported by `rules.broken`, or a repair of main
    served = {move.after for move in serving_pointer.moves(repository, change.main)}
    if chosen is None or chosen == current or chosen in served:
        return
    line = line_of(repository.root, config.SERVING, "approval")
    staged = {move.after for move in serving_pointer.moves(repository, change.main, config.STAGING)}
    if chosen not in staged:
        yield Problem(
            path=config.SERVING,
            line=line,
            message=f"{config.SERVING}: approval {chosen:04d} never was in {config.STAGING} on main, and an approval "
            "goes to staging first. Merge its approval pull request there; `fraudops promote` then opens this one",
        )
        return
    try:
        champion = config.load_approval(repository.root, chosen).champion
    except ConfigError:
        return  # reported by `rules.broken` or `rules.contradictions`
    compared = champion.approval if champion is not None else None
    if compared != current:
        yield Problem(
            path=config.SERVING,
            line=line,
            message=f"{config.SERVING}: approval {chosen:04d} was compared with {_named(compared)}, and main serves "
            f"{_named(current)} in production now. Close this pull request; run train.yml again to compare with that "
            "one",
        )


def _named(approval: int | None) -> str:
    return f"approval {approval:04d}" if approval is not None else "nothing"

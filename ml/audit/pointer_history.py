"""Orders what served: each move of the serving pointer, with the deployments that carried it out. Reads only Git.

A deployment belongs to the latest move that its commit has. A model serves from the end of the first deployment that
succeeded until the end of the first one of a later move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ml import config
from ml.aws import deployment_records
from ml.aws.deployment_records import Deployment
from ml.gitops import serving_pointer
from ml.gitops.repository import Repository
from ml.gitops.serving_pointer import Move


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One move of the pointer to an approval (None: to nothing), and what followed.

    `start` and `end` are when its model began and ceased to serve: None if it never began, or has not ended. `kind` is
    `rollback` if the approval had been pointed at before.
    """

    move: Move
    kind: Literal["first", "approval", "rollback", "none"]
    deployments: tuple[Deployment, ...]
    start: datetime | None
    end: datetime | None

    @property
    def approval(self) -> int | None:
        """The approval that the pointer was moved to."""
        return self.move.after


def turns(repository: Repository, revision: str, history: Sequence[Deployment]) -> tuple[list[Turn], list[str]]:
    """Every turn on the branch that ends at `revision`, oldest first; and where the deployments contradict Git.

    Args:
        history: every deployment, oldest first.
    """
    commits = repository.log(revision, first_parent=True)
    places = {commit.sha: place for place, commit in enumerate(reversed(commits))}
    moves = serving_pointer.moves(repository, revision)
    of_move: list[list[Deployment]] = [[] for _ in moves]
    wrong = []
    for item in history:
        what = f"{deployment_records.HISTORY} says that approval {item.approval:04d} was deployed on {item.finished}"
        if item.commit not in places:
            wrong.append(f"{what} from commit {item.commit[:12]}, which {revision} does not have; is it up to date?")
            continue
        at = max((at for at, each in enumerate(moves) if places[each.landed.sha] <= places[item.commit]), default=None)
        named = moves[at].after if at is not None else None
        if at is None or named != item.approval:
            wrong.append(
                f"{what} from commit {item.commit[:12]}, where {config.SERVING} names "
                f"{'nothing' if named is None else f'{named:04d}'}"
            )
            continue
        of_move[at].append(item)
    starts = [_first_success(items) for items in of_move]
    found, seen = [], set[int]()
    for at, move in enumerate(moves):
        kind: Literal["first", "approval", "rollback", "none"] = "approval" if seen else "first"
        if move.after is None:
            kind = "none"
        elif move.after in seen:
            kind = "rollback"
        else:
            seen.add(move.after)
        end = next((start for start in starts[at + 1 :] if start is not None), None) if starts[at] else None
        found.append(Turn(move=move, kind=kind, deployments=tuple(of_move[at]), start=starts[at], end=end))
    return found, wrong


def at(found: Sequence[Turn], moment: datetime) -> list[Turn]:
    """Those of `found` whose model served at `moment`: one, or none."""
    return [
        turn
        for turn in found
        if turn.start is not None and turn.start <= moment and (turn.end is None or moment < turn.end)
    ]


def _first_success(items: Sequence[Deployment]) -> datetime | None:
    return next((datetime.fromisoformat(item.finished) for item in items if item.status == "succeeded"), None)

"""Draws the faults of a run from its seed: which verb meets which fault, at which call.

The candidates are the calls that a run without faults has made, so that a drawn fault is met. The same seed and the
same calls give the same faults; most seeds have one fault, every third a mix.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from local_aws.faults import Rule as AwsRule
from local_github.api.faults import Rule as GitHubRule

from ml.playground.chaos.call_gate import Interruption

AWS_CALLS = (
    "throttling",
    "server_error",
    "unavailable",
    "expired_credentials",
    "reset",
    "lost_answer",
    "error_after",
    "truncated",
    "stale",
)
GITHUB_CALLS = (
    "secondary_limit",
    "rate_limit",
    "server_error",
    "unavailable",
    "bad_credentials",
    "not_visible",
    "reset",
    "lost_answer",
    "error_after",
    "truncated",
    "stale",
    "race",
)
OTHERS = (
    "event duplicate",
    "event late",
    "function timeout",
    "function timeout_after",
    "job out_of_memory",
    "job spot_interruption",
    "endpoint unhealthy",
    "interrupted before",
    "interrupted after",
    "disk full",
    "clock skew",
)
_CALLS = (*(f"aws {name}" for name in AWS_CALLS), *(f"github {name}" for name in GITHUB_CALLS))
KINDS: Sequence[str] = (*_CALLS, *OTHERS)
KINDS_WITHOUT_JOBS: Sequence[str] = (
    *_CALLS,
    *(kind for kind in OTHERS if kind.partition(" ")[0] in ("interrupted", "disk", "clock")),
)
"""Those that verbs can meet which start no job and deploy nothing."""
_MIX_EVERY, _MIX_FAULTS = 3, (2, 5)
_TIMES = (1, 1, 2, 3, 9)
"""How often a fault comes: 9 is more than the clients try."""
_STEPS = ("Prepare", "Train", "Evaluate")
_READS = re.compile(r"(Describe|List)")
_VARIABLE = re.compile(r"\b([0-9a-f]{40}|\d+)\b")
"""What differs between runs in a path of GitHub's API."""
_SKEWS = (-3 * 86_400, -300, 300, 3 * 86_400)
DEPLOY, TRAIN = "deploy", "train"


@dataclass(frozen=True, kw_only=True)
class VerbCalls:
    """The calls of one verb in a run without faults: of GitHub by method and path.

    Those of AWS have service, operation and a part of the User-Agent that tells the product from the deploy function.
    """

    aws: Sequence[tuple[str, str, str]] = ()
    github: Sequence[tuple[str, str]] = ()
    calls: int = 0
    files: int = 0


@dataclass(frozen=True, kw_only=True)
class DrawnFault:
    """One fault and the verb that meets it; one of the fields after `verb` is set."""

    kind: str
    verb: str
    aws: AwsRule | None = None
    github: GitHubRule | None = None
    interruption: Interruption | None = None
    full_disk: int | None = None
    skew_seconds: int = 0
    uncached_step: str = ""


@dataclass
class Draw:
    """The faults of a run."""

    seed: int
    faults: list[DrawnFault] = field(default_factory=list)

    def of(self, verb: str) -> list[DrawnFault]:
        """The faults that a verb meets."""
        return [fault for fault in self.faults if fault.verb == verb]


def draw(seed: int, calls: Mapping[str, VerbCalls], kinds: Sequence[str] = KINDS) -> Draw:
    """The faults of the run with this seed, of these `kinds` and among the `calls` of each verb."""
    dice = random.Random(seed)  # noqa: S311 - a seeded choice, no secret
    if seed % _MIX_EVERY:
        chosen = [kinds[seed // _MIX_EVERY * (_MIX_EVERY - 1) % len(kinds) - seed % _MIX_EVERY]]
    else:
        chosen = dice.sample(kinds, dice.randint(*_MIX_FAULTS))
    drawn = (_fault(kind, dice, calls) for kind in chosen)
    return Draw(seed=seed, faults=[fault for fault in drawn if fault is not None])


def _fault(kind: str, dice: random.Random, calls: Mapping[str, VerbCalls]) -> DrawnFault | None:
    group, _, name = kind.partition(" ")
    if group == "aws":
        return _aws(kind, name, dice, calls)
    if group == "github":
        return _github(kind, name, dice, calls)
    verb = dice.choice(sorted(calls))
    found: DrawnFault | None = None
    if group == "interrupted":
        interruption = Interruption(call=dice.randint(1, max(calls[verb].calls, 1)), after=name == "after")
        found = DrawnFault(kind=kind, verb=verb, interruption=interruption)
    elif group == "disk":
        verbs = [each for each in sorted(calls) if calls[each].files]
        verb = dice.choice(verbs) if verbs else verb
        found = DrawnFault(kind=kind, verb=verb, full_disk=dice.randint(1, max(calls[verb].files, 1)))
    elif group == "clock":
        found = DrawnFault(kind=kind, verb=verb, skew_seconds=dice.choice(_SKEWS))
    elif group == "job":
        step = dice.choice(_STEPS)
        rule = AwsRule(fault=name, service="job", operation=f"*-{step}-*")
        verb = _one_of(TRAIN, dice, calls)
        found = DrawnFault(kind=kind, verb=verb, aws=rule, uncached_step=step)
    elif group == "event":
        rule = AwsRule(fault=name, service="event", operation="SageMaker Model Package*", call=dice.randint(1, 3))
        found = DrawnFault(kind=kind, verb=_one_of(DEPLOY, dice, calls), aws=rule)
    else:  # a function or an endpoint
        times = dice.choice((1, 1, 2)) if group == "function" else 1
        rule = AwsRule(fault=name, service=group, times=times)
        found = DrawnFault(kind=kind, verb=_one_of(DEPLOY, dice, calls), aws=rule)
    return found


def _one_of(prefix: str, dice: random.Random, calls: Mapping[str, VerbCalls]) -> str:
    """One of the trainings or deployments of a run; a run with only one of them needs no dice."""
    verbs = [verb for verb in sorted(calls) if verb.startswith(prefix)] or [prefix]
    return dice.choice(verbs) if len(verbs) > 1 else verbs[0]


def _aws(kind: str, name: str, dice: random.Random, calls: Mapping[str, VerbCalls]) -> DrawnFault | None:
    def fits(call: tuple[str, str, str]) -> bool:
        return name != "stale" or (call[0] == "sagemaker" and _READS.match(call[1]) is not None)

    counted = {verb: Counter(filter(fits, each.aws)) for verb, each in calls.items()}
    verbs = sorted(verb for verb, counts in counted.items() if counts)
    if not verbs:
        return None
    verb = dice.choice(verbs)
    service, operation, agent = dice.choice(sorted(counted[verb]))
    number, times = dice.randint(1, counted[verb][service, operation, agent]), dice.choice(_TIMES)
    rule = AwsRule(fault=name, service=service, operation=operation, call=number, times=times, user_agent=agent)
    return DrawnFault(kind=kind, verb=verb, aws=rule)


def _github(kind: str, name: str, dice: random.Random, calls: Mapping[str, VerbCalls]) -> DrawnFault | None:
    def fits(call: tuple[str, str]) -> bool:
        method, path = call
        if name == "race":
            return method == "POST" and path.endswith("/git-receive-pack")
        return name not in ("stale", "not_visible") or method == "GET"

    counted = {
        verb: Counter((method, _VARIABLE.sub("*", path)) for method, path in filter(fits, each.github))
        for verb, each in calls.items()
    }
    verbs = sorted(verb for verb, counts in counted.items() if counts)
    if not verbs:
        return None
    verb = dice.choice(verbs)
    method, path = dice.choice(sorted(counted[verb]))
    number, times = dice.randint(1, counted[verb][method, path]), 1 if name == "race" else dice.choice(_TIMES)
    rule = GitHubRule(fault=name, method=method, path=path, call=number, times=times)
    return DrawnFault(kind=kind, verb=verb, github=rule)

"""The evaluator against @cloud-copilot/iam-simulate, a second evaluator written by others, on generated pairs.

`make oracle` installs the simulator and requires it, as continuous integration does. Elsewhere these tests are skipped
where Node.js or the simulator is missing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from iam.oracle.pairs import Pair, pairs
from iam.oracle.simulator_reading import READINGS, Reading, as_the_simulator_reads
from iam.oracle.vocabulary import ACTIONS, OPERATORS
from local_aws.iam.evaluation import evaluate
from local_aws.iam.evaluation_outcome import Decision, PolicyType, Reason

ORACLE = Path(__file__).parent / "oracle"
SEED, PAIRS = 20260301, 5000
RESULTS = {
    "Allowed": Reason.ALLOWED,
    "ExplicitlyDenied": Reason.EXPLICIT_DENY,
    "ImplicitlyDenied": Reason.IMPLICIT_DENY,
}
TYPES = {
    PolicyType.IDENTITY: "identity",
    PolicyType.RESOURCE: "resource",
    PolicyType.TRUST: "resource",
    PolicyType.BOUNDARY: "pb",
    PolicyType.SERVICE_CONTROL: "scp",
}
"""The simulator's names of policy types. It reports no statements of session policies."""

StatementKey = tuple[str, str, int]


@dataclass(frozen=True)
class Compared:
    """A pair with both answers: the evaluator's for the pair as the simulator reads it, and the simulator's."""

    pair: Pair
    ours: Decision
    theirs: dict[str, Any]

    def __str__(self) -> str:
        return f"{json.dumps(self.pair.plain())}\nevaluator: {self.ours}\nsimulator: {self.theirs}"


@pytest.fixture(scope="module")
def compared() -> list[Compared]:
    """Every pair with both answers."""
    node = shutil.which("node")
    if node is None or not (ORACLE / "node_modules").is_dir():
        message = "the simulator is not installed: `make oracle` installs it with npm, for which it needs Node.js 20"
        if os.environ.get("LOCAL_AWS_ORACLE") == "required":
            pytest.fail(message)
        pytest.skip(message)
    generated = list(pairs(SEED, PAIRS))
    lines = "\n".join(json.dumps(pair.plain()) for pair in generated)
    run = subprocess.run(
        [node, "simulate.mjs"], cwd=ORACLE, input=lines, capture_output=True, text=True, timeout=240, check=False
    )
    assert run.returncode == 0, run.stderr
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    read = (decide(as_the_simulator_reads(pair)) for pair in generated)
    return [Compared(*each) for each in zip(generated, read, answers, strict=True)]


def decide(pair: Pair) -> Decision:
    """The evaluator's decision."""
    return evaluate(pair.request(), pair.policies())


def test_evaluator_agrees_with_the_simulator(compared: list[Compared]) -> None:
    """Allowed, implicitly denied or explicitly denied: the same for every pair."""
    different = [each for each in compared if each.ours.reason is not RESULTS[each.theirs["result"]]]
    assert not different, f"{len(different)} of {len(compared)} differ, such as\n{different[0]}"


def test_evaluator_agrees_on_two_thousand_pairs_as_they_are(compared: list[Compared]) -> None:
    """Without any rewrite the evaluators differ on few pairs, and agree on enough of each result."""
    agreed = [each for each in compared if decide(each.pair).reason is RESULTS[each.theirs["result"]]]
    results = Counter(each.theirs["result"] for each in agreed)
    assert len(agreed) >= max(2000, 0.97 * len(compared)), f"{len(agreed)} of {len(compared)}"
    assert min(results[result] for result in RESULTS) >= 500, results


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: str(reading.name))
def test_simulator_reading_is_still_needed(compared: list[Compared], reading: Reading) -> None:
    """Each documented difference explains a pair that nothing else explains; a fixed one is to be removed."""
    assert any(
        decide(as_the_simulator_reads(each.pair, reading.name)).reason is not RESULTS[each.theirs["result"]]
        for each in compared
    )


def test_evaluator_names_the_statements_that_the_simulator_names(compared: list[Compared]) -> None:
    """The deciding statements are the same, by policy and index."""
    statements = 0
    for each in compared:
        kind = "grants" if each.ours.allowed else "denials"
        deciding = each.ours.policy_type
        if each.ours.reason is Reason.IMPLICIT_DENY or deciding is PolicyType.SESSION:
            continue
        # For a denial the evaluator names the statements of one policy type, as AWS's messages do.
        types = {TYPES[deciding]} if deciding else set(TYPES.values())
        theirs = {
            (found["policyType"], found.get("policyIdentifier") or "resource", found["statementIndex"] - 1)
            for found in each.theirs[kind]
            if found["policyType"] in types
        }
        ours: set[StatementKey] = {
            (TYPES[found.policy_type], found.policy, found.index)
            for found in each.ours.statements
            if found.policy_type is not PolicyType.SESSION
        }
        if not theirs and types == {"resource"}:
            continue  # a Deny that names the account is in none of the simulator's lists
        statements += len(ours)
        assert ours == theirs, str(each)
    assert statements >= 2000


def test_evaluator_names_a_policy_type_that_the_simulator_misses_an_allow_in(compared: list[Compared]) -> None:
    """The policy type of an implicit deny is among those that the simulator lists."""
    seen: Counter[str] = Counter()
    for each in compared:
        if each.ours.reason is not Reason.IMPLICIT_DENY or each.ours.policy_type is PolicyType.SESSION:
            continue
        assert each.ours.policy_type is not None
        kind = TYPES[each.ours.policy_type]
        listed = {found["policyType"] for found in each.theirs["denials"]}
        if kind != "resource" or "resource" in listed:  # an absent resource policy, or one that names the account
            assert kind in listed, str(each)
            seen[kind] += 1
    assert set(seen) == set(TYPES.values()), seen


def test_pairs_cover_the_policy_language() -> None:
    """Every operator in every form, and every element, kind of variable, action and policy type occurs."""
    generated = list(pairs(SEED, PAIRS))
    text = "\n".join(json.dumps(pair.plain()) for pair in generated)
    wanted = {
        f'"{prefix}{name}{suffix}"'
        for names in OPERATORS.values()
        for name in names
        for prefix in ("", "ForAnyValue:", "ForAllValues:")
        for suffix in ("", "IfExists")
    }
    wanted |= {'"Null"', '"NotAction"', '"NotResource"', '"NotPrincipal"', '"Federated"', '"Service"', '"2008-10-17"'}
    wanted |= {"${*}", "${?}", "${$}", "${aws:username}", "${aws:PrincipalTag/team, 'blue'}", '"anonymous"', ":root"}
    wanted |= {f'"action": "{action.name}"' for action in ACTIONS}
    assert not {each for each in wanted if each not in text}
    for member in ("boundary", "session", "resource_policy", "service_control"):
        assert sum(bool(getattr(pair, member)) for pair in generated) >= 200, member


def test_simulator_is_locked_without_a_registry() -> None:
    """Exact versions with hashes and no address, so that npm uses the registry that the machine is configured for."""
    wanted = json.loads((ORACLE / "package.json").read_text("utf-8"))["dependencies"]
    lock = json.loads((ORACLE / "package-lock.json").read_text("utf-8"))["packages"]
    packages = {name.removeprefix("node_modules/"): entry for name, entry in lock.items() if name}
    assert set(wanted) <= set(packages)
    for name, entry in packages.items():
        assert entry["integrity"].startswith("sha512-"), name
        assert "resolved" not in entry, name
        assert wanted.get(name, entry["version"]) == entry["version"], name
    assert "omit-lockfile-registry-resolved=true" in (ORACLE / ".npmrc").read_text("utf-8")

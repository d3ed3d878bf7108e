"""Draws of faults: equal for equal seeds, of every kind, and only of calls that a verb makes."""

from __future__ import annotations

from collections import Counter

from ml.playground.chaos import fault_draw
from ml.playground.chaos.fault_draw import KINDS, VerbCalls, draw

CALLS = {
    "train": VerbCalls(
        aws=[("s3", "PutObject", "app"), ("sagemaker", "ListPipelineExecutions", "app"), ("s3", "PutObject", "app")],
        github=[("POST", f"/api/v3/repos/acme/fraudops/statuses/{'a' * 40}")],
        calls=20,
        files=3,
    ),
    "propose": VerbCalls(
        aws=[("s3", "GetObject", "app")],
        github=[("GET", "/api/v3/repos/acme/fraudops/pulls/7"), ("POST", "/acme/fraudops.git/git-receive-pack")],
        calls=9,
    ),
    "deploy": VerbCalls(aws=[("sagemaker", "DescribeEndpoint", "app")], calls=9, files=1),
}
SEEDS = range(1, 2_000)


def test_equal_seeds_draw_equal_faults() -> None:
    """A draw is a function of the seed and the calls."""
    assert [draw(seed, CALLS) for seed in SEEDS] == [draw(seed, CALLS) for seed in SEEDS]


def test_single_faults_cover_every_kind_evenly() -> None:
    """Two of three seeds have one fault, and no kind comes twice as often as another; the others have several."""
    single = [draw(seed, CALLS).faults for seed in SEEDS if seed % 3]
    assert {len(faults) for faults in single} == {1}
    counts = Counter(faults[0].kind for faults in single)
    assert set(counts) == set(KINDS)
    assert max(counts.values()) <= 2 * min(counts.values())
    assert {len(draw(seed, CALLS).faults) for seed in SEEDS if seed % 3 == 0} == {2, 3, 4, 5}


def test_faults_are_about_calls_of_their_verb() -> None:
    """Operation and number are those of a call that the verb makes; what differs between runs is a pattern."""
    for seed in SEEDS:
        for fault in draw(seed, CALLS).faults:
            calls = CALLS[fault.verb]
            if fault.kind.startswith("aws "):
                assert fault.aws is not None
                assert 1 <= fault.aws.call <= calls.aws.count((fault.aws.service, fault.aws.operation, "app"))
            if fault.github is not None:
                assert fault.github.path.split("/")[-1] in ("*", "git-receive-pack")
            if fault.interruption is not None:
                assert 1 <= fault.interruption.call <= calls.calls
            if fault.full_disk is not None:
                assert 1 <= fault.full_disk <= calls.files
            if fault.kind == "aws stale":
                assert fault.aws is not None
                assert fault.aws.operation in ("ListPipelineExecutions", "DescribeEndpoint")


def test_kind_without_a_candidate_is_left_out() -> None:
    """A loop that never pushes has no race."""
    without = {"deploy": VerbCalls(aws=[("s3", "GetObject", "app")], calls=1, files=1)}
    kinds = {fault.kind for seed in SEEDS for fault in draw(seed, without).faults}
    assert not any(kind.startswith("github ") for kind in kinds)
    assert fault_draw.Draw(seed=1).of("deploy") == []

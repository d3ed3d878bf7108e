"""When workflow files start, their concurrency groups and time limits, and reports of failures and skipped jobs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from local_github.actions import contexts, triggers
from local_github.actions.workflow_file import load_yaml
from local_github.domain.events import Event

from ml.commands import plan
from ml.workflow import ci_results
from tests.harness.workflows.files import ACTION, FILES, WORKFLOWS, job, jobs, steps

VERBS = {
    "ci.yml": {"changes", "validate", "plan", "ci-status"},
    "train.yml": {"train", "propose", "record-failure"},
    "deploy.yml": {"deploy", "rollback"},
    "deploy-staging.yml": {"deploy", "rollback", "shadow", "promote"},
    "drift.yml": {"labels collect", "status", "drift check", "drift request", "self-heal"},
    "infra.yml": {"infra plan", "infra apply"},
    "ci-status.yml": {"confirm-ci"},
    "serving-image.yml": {"serving-image"},
    "pages.yml": {"site build"},
}
LINK = 'echo "**[Open the drift report]($REPORT)**" >> "$GITHUB_STEP_SUMMARY"'
"""The address of an artifact is known to the step that uploads it, and to no verb."""
TOOLS = {
    LINK,
    "tar --dereference --hard-dereference --create --file build/artifact.tar --directory build/site .",
    "make test",
    "make emulators oracle product-alone serving-stack axe",
    "cfn-lint infra/platform.yaml infra/github-oidc.yaml infra/github-staging.yaml infra/serving-image.yaml",
    "make checkov",
    "make secrets",
    "make vulnerabilities",
    "actionlint",
}
WRITTEN = ("model-config/approvals/0001.yaml", "model-config/gate-failures/20260301T060000Z-0123456789ab.yaml")
"""What the bot writes to main."""


def push(*files: str, ref: str = "refs/heads/main") -> Event:
    """A push of these files by a person."""
    return Event(
        name="push",
        action="",
        repository="acme/fraud",
        ref=ref,
        sha="a" * 40,
        before="b" * 40,
        payload={},
        changed_files=files,
        actor="person",
        from_workflow_token=False,
    )


def fired(event: Event) -> set[str]:
    """The files that the event starts."""
    return {name for name, workflow in WORKFLOWS.items() if triggers.starts(workflow, event)}


@pytest.mark.parametrize("file", [*FILES, ACTION], ids=lambda path: path.name)
def test_file_opens_with_what_it_does_and_what_it_writes(file: Path) -> None:
    """Each file begins with a comment on both."""
    comment = file.read_text().split("\nname:")[0]
    assert all(line.startswith("#") for line in comment.splitlines())
    assert comment.startswith("# What it does")
    assert "# What it writes: " in comment


@pytest.mark.parametrize(
    ("path", "workflows"),
    [
        ("README.md", {"ci.yml"}),
        ("docs/loop.svg", {"ci.yml"}),
        ("ml/model/features.py", {"ci.yml"}),
        ("model-config/README.md", {"ci.yml"}),
        ("model-config/training/gate.yaml", {"ci.yml", "train.yml"}),
        ("model-config/retrain-requests/20260301T060000Z-manual.yaml", {"ci.yml", "train.yml"}),
        ("model-config/serving/production.yaml", {"ci.yml", "deploy.yml"}),
        ("model-config/serving/staging.yaml", {"ci.yml", "deploy-staging.yml"}),
        ("infra/deploy_model/logic.py", {"ci.yml", "infra.yml"}),
        *((path, {"ci.yml"}) for path in WRITTEN),
    ],
)
def test_push_to_main_starts_the_listed_workflows(path: str, workflows: set[str]) -> None:
    """`fraudops plan` names the same workflows for the same files."""
    assert fired(push(path)) == workflows
    assert {start.workflow for start in plan.starts([path])} == workflows


@pytest.mark.parametrize("ref", ["refs/heads/approve/0001", "refs/heads/evidence", "refs/tags/v1"])
def test_other_branches_and_tags_start_nothing(ref: str) -> None:
    """Other branches are checked by the pull_request event."""
    assert fired(push("model-config/training/gate.yaml", "infra/platform.yaml", ref=ref)) == set()


def test_merge_group_starts_only_ci() -> None:
    """A merge queue pushes its group to main later; only then do training, deployment and infrastructure start."""
    listening = {name for name, workflow in WORKFLOWS.items() if "merge_group" in workflow.on}
    assert listening == {"ci.yml"}
    assert WORKFLOWS["ci.yml"].on["merge_group"] == {"branches": ["main"], "types": ["checks_requested"]}


def test_records_of_the_bot_start_only_ci() -> None:
    """A workflow started by its own commits would loop."""
    assert all(fired(push(path)) == {"ci.yml"} for path in WRITTEN)


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_every_job_has_timeout_runner_and_name(file: Path) -> None:
    """The timeout is below GitHub's six hours; every step has a name."""
    for identifier, raw in load_yaml(file.read_text(), file.name)["jobs"].items():
        assert 0 < raw["timeout-minutes"] < 360, identifier
        assert raw["runs-on"] == "ubuntu-latest"
        assert raw["name"][0].isupper() or raw["name"].startswith("model-config")
        assert all(step.get("name") for step in raw["steps"])


MAIN, TOPIC = "refs/heads/main", "refs/heads/topic"


def group(file: str, event: str, ref: str = MAIN, *, pull: int | None = None, run: int = 1, **inputs: Any) -> Any:
    """The concurrency group of a run, and whether it cancels a running one."""
    payload = {"pull_request": {"number": pull}} if pull else {}
    named = {"event": payload, "event_name": event, "ref": ref, "run_id": str(run)}
    (found,) = contexts.groups(WORKFLOWS[file], {"github": named, "inputs": inputs, "vars": {}})
    return found


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("train.yml", "train"),
        ("deploy.yml", "deploy"),
        ("drift.yml", "drift"),
        ("infra.yml", "infra-apply"),
        ("deploy-staging.yml", "deploy-staging"),
        ("serving-image.yml", "serving-image"),
        ("pages.yml", "pages"),
    ],
)
def test_runs_on_main_of_one_workflow_wait(file: str, expected: str) -> None:
    """Runs that train, deploy, check or apply on main are never cancelled by a later one."""
    for event in ("push", "schedule", "workflow_dispatch"):
        assert group(file, event) == (expected, False)
    assert all(each.concurrency is None for each in WORKFLOWS[file].jobs)


@pytest.mark.parametrize(
    "file",
    ["train.yml", "deploy.yml", "deploy-staging.yml", "drift.yml", "infra.yml", "serving-image.yml", "pages.yml"],
)
def test_dispatch_on_another_branch_has_its_own_group(file: str) -> None:
    """GitHub cancels a waiting run if a newer one joins its group, so a run without effect must not join."""
    apart = {group(file, "workflow_dispatch", TOPIC, run=run) for run in (1, 2)}
    assert len({*apart, group(file, "workflow_dispatch")}) == 3


def test_dry_run_has_its_own_group() -> None:
    """It trains nothing, and would otherwise cancel a waiting training."""
    apart = {group("train.yml", "workflow_dispatch", run=run, dry_run=True) for run in (1, 2)}
    assert len({*apart, group("train.yml", "workflow_dispatch", dry_run=False)}) == 3


def test_newer_commit_cancels_the_checks_of_its_pull_request() -> None:
    """This holds for events and dispatches; checks of main and of merge groups are not cancelled."""
    assert group("infra.yml", "pull_request", "refs/pull/7/merge", pull=7) == ("infra-7", True)
    assert group("ci.yml", "pull_request", "refs/pull/7/merge", pull=7) == ("ci-7", True)
    assert group("ci.yml", "workflow_dispatch", "refs/heads/approve/0001", pull_request="7") == ("ci-7", True)
    assert group("ci.yml", "push") == (f"ci-{MAIN}", False)
    queued = "refs/heads/gh-readonly-queue/main/pr-7-0123456789abcdef0123456789abcdef01234567"
    assert group("ci.yml", "merge_group", queued) == (f"ci-{queued}", False)
    assert group("ci.yml", "workflow_dispatch", pull_request="") == (f"ci-{MAIN}", False)


def test_jobs_that_apply_or_compare_main_check_out_its_tip() -> None:
    """A run that waited, or an old one that is run again, does what main says now; a training takes its own commit."""
    refs = {
        (name, each.id): step["with"].get("ref")
        for name, each, step in steps()
        if str(step.get("uses", "")).startswith("actions/checkout@")
    }
    assert {key for key, ref in refs.items() if ref == "main"} == {
        ("deploy.yml", "deploy"),
        ("deploy-staging.yml", "stage"),
        ("infra.yml", "apply"),
        ("ci-status.yml", "post"),
        ("drift.yml", "check"),
        ("drift.yml", "request"),
        ("drift.yml", "heal"),
        ("train.yml", "record"),
    }
    assert all(ref in (None, "main") for ref in refs.values())


def test_step_is_one_verb() -> None:
    """A script is one `fraudops` command or one tool, except for the job that reports why nothing ran."""
    found: dict[str, set[str]] = {name: set() for name in WORKFLOWS}
    for name, each, step in steps():
        script = step.get("run")
        if script is None or each.id == "not-run":
            continue
        assert "\n" not in script.strip(), script
        match = re.fullmatch(
            r"fraudops ((?:drift |infra |labels |site )?[a-z-]+)"
            r'(?: --outcome "\$RUNNER_TEMP/outcome\.json"| --propose(?: --failed)?(?: --staging)?| --staging| --if-due'
            r"|(?: --report)? --hand-over| --offline)?",
            script.strip(),
        )
        if match is None:
            assert script.strip() in TOOLS or script.startswith("zizmor --offline "), script
        else:
            found[name].add(match[1])
    assert found == VERBS


def test_no_failure_is_swallowed() -> None:
    """No step continues after an error or turns a failed run green; only required-checks uses always()."""
    for file in (*FILES, ACTION):
        assert not re.search(r"continue-on-error|\|\| *(?:true|:|exit 0)|set \+e", file.read_text())
    for name, each, step in steps():
        condition = str(step.get("if", ""))
        assert "always()" not in condition, (name, each.id)
    assert {(name, each.id) for name, each in jobs() if "always()" in str(each.raw.get("if"))} == {
        ("ci.yml", "required-checks")
    }


def test_refused_label_file_stops_neither_check_nor_request() -> None:
    """It fails the job, and so the run; the check runs unless the set-up failed, and the request needs its output."""
    check, request = job("drift.yml", "check"), job("drift.yml", "request")
    conditions = {step["name"]: step.get("if") for step in check.steps()}
    *first, last = conditions
    assert first == [
        "Check out main",
        "Set up",
        "Import labels from the inbox",
        "Check for drift",
        "Upload the report",
        "Link the report",
    ]
    assert conditions["Upload the report"] == "${{ !cancelled() && steps.check.outputs.report != '' }}"
    assert last == "Compare the account with Git"
    assert conditions["Check for drift"] == "${{ !cancelled() && steps.setup.outcome == 'success' }}"
    assert conditions[last] == conditions["Check for drift"]
    assert conditions["Import labels from the inbox"] is None
    assert str(request.raw["if"]).startswith("${{ !cancelled() && needs.check.outputs.hand_over != '' && ")


@pytest.mark.parametrize(("file", "identifier"), [("deploy.yml", "deploy"), ("deploy-staging.yml", "stage")])
def test_rollback_is_proposed_if_the_deployment_itself_failed(file: str, identifier: str) -> None:
    """Not after a failure before or after it: the pointer then names what serves."""
    found = {step["name"]: step for step in job(file, identifier).steps()}
    assert found["Deploy"]["id"] == "deploy"
    rollback = found["Open rollback pull request"]
    assert rollback["if"] == "${{ failure() && steps.deploy.outcome == 'failure' }}"
    assert rollback["run"].startswith("fraudops rollback --propose --failed")
    assert ("--staging" in rollback["run"]) == ("--staging" in found["Deploy"]["run"])


def test_job_without_infrastructure_is_reported_as_not_run() -> None:
    """If a variable is missing, the job `not-run` writes a notice and a summary that name the command."""
    for name in ("train.yml", "deploy.yml", "deploy-staging.yml", "drift.yml", "infra.yml", "serving-image.yml"):
        not_run = job(name, "not-run")
        (step,) = not_run.steps()
        assert "`fraudops bootstrap" in step["env"]["MESSAGE"]
        assert "$GITHUB_STEP_SUMMARY" in step["run"]
        assert "::notice" in step["run"]
        for each in WORKFLOWS[name].jobs:
            variables = set(re.findall(r"vars\.(\w+) != ''", str(each.raw["if"])))
            assert all(f"vars.{variable} == ''" in str(not_run.raw["if"]) for variable in variables)


def test_required_checks_needs_every_other_job() -> None:
    """All other jobs of ci.yml are in its `needs` and in the lists of ci-status."""
    last = job("ci.yml", "required-checks")
    others = {each.id for each in WORKFLOWS["ci.yml"].jobs} - {"required-checks"}
    assert set(last.raw["needs"]) == others == {*ci_results.ALWAYS, *ci_results.ON_CODE, *ci_results.ON_PULL_REQUESTS}
    assert last.raw["if"] == "${{ always() }}"


def test_only_tests_and_audits_depend_on_code_changes() -> None:
    """validate has no condition, and plan waits for no other job."""
    for name in ci_results.ON_CODE:
        assert "needs.changes.outputs.code == 'true'" in str(job("ci.yml", name).raw["if"])
    for name in ci_results.TESTS:
        assert "vars.FRAUDOPS_SUITE != 'skip'" in str(job("ci.yml", name).raw["if"])
    # The checks of a pull request are those of .ci/run without the demo and the end-to-end runs, which take minutes.
    commands = {step["run"] for name in ci_results.TESTS for step in job("ci.yml", name).raw["steps"] if "run" in step}
    expected = {
        "make test",
        "make emulators oracle product-alone serving-stack axe",
        "make secrets",
        "make vulnerabilities",
    }
    assert commands == expected
    assert "if" not in job("ci.yml", "validate").raw
    assert "needs" not in job("ci.yml", "plan").raw


def dispatch(file: str) -> dict[str, dict[str, Any]]:
    """The inputs of workflow_dispatch."""
    inputs: dict[str, dict[str, Any]] = WORKFLOWS[file].on["workflow_dispatch"].get("inputs") or {}
    return inputs


def test_dispatch_inputs_have_type_and_description() -> None:
    """Every input has a type and a description, and is required or has a default."""
    assert {name: values["type"] for name, values in dispatch("train.yml").items()} == {
        "reason": "string",
        "request": "string",
        "start": "string",
        "end": "string",
        "dry_run": "boolean",
    }
    assert set(dispatch("deploy.yml")) == {"reason"}
    assert set(dispatch("drift.yml")) == {"window"}
    assert set(dispatch("ci.yml")) == {"pull_request"}
    for file in WORKFLOWS:
        if "workflow_dispatch" in WORKFLOWS[file].on:
            for values in dispatch(file).values():
                assert values["description"].endswith(".")
                assert values.get("required") is True or "default" in values


def test_each_input_reaches_its_verb_as_a_variable() -> None:
    """Each input of train.yml is an environment variable that the command line reads."""
    (train,) = [step for _, _, step in steps() if step.get("id") == "train"]
    assert {name for name in train["env"] if name.startswith("FRAUDOPS_")} == {
        f"FRAUDOPS_{name.upper()}" for name in dispatch("train.yml")
    }


def test_cron_is_alone_in_its_file() -> None:
    """GitHub disables a file with a cron if the repository is idle, so those have no other automatic trigger."""
    scheduled = {name: workflow for name, workflow in WORKFLOWS.items() if "schedule" in workflow.on}
    assert scheduled.keys() == {"drift.yml", "pages.yml"}
    assert all(set(workflow.on) == {"schedule", "workflow_dispatch"} for workflow in scheduled.values())

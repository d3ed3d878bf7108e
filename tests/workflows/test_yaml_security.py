"""What act does not check and GitHub enforces: permissions, pinned actions, credentials, environments, shell inputs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from local_github.actions.workflow_file import load_yaml

from ml.gitops import environments, github_apps
from tests.harness.workflows.files import ACTION, FILES, ROOT, WORKFLOWS, job, jobs, steps

BIN = Path(sys.executable).parent
PINS = {
    "actions/checkout": ("3d3c42e5aac5ba805825da76410c181273ba90b1", "v7.0.1"),
    "actions/setup-python": ("5fda3b95a4ea91299a34e894583c3862153e4b97", "v7.0.0"),
    "actions/cache": ("27d5ce7f107fe9357f9df03efb73ab90386fccae", "v5.0.5"),
    "actions/upload-artifact": ("043fb46d1a93c77aae656e7c1c64a875d1fc6a0a", "v7.0.1"),
    "actions/deploy-pages": ("cd2ce8fcbc39b97be8ca5fce6e763baed58fa128", "v5.0.0"),
    "actions/attest-build-provenance": ("a2bbfa25375fe432b6a289bc6b6cd05ecd0c4c32", "v4.1.0"),
    "actions/create-github-app-token": ("1b10c78c7865c340bc4f6099eb2f838309f1e8c3", "v3.1.1"),
}
GRANTS = {
    "ci.yml": {
        "changes": {"contents": "read"},
        "validate": {"contents": "read", "pull-requests": "read", "id-token": "write"},
        "plan": {"contents": "read", "pull-requests": "write", "id-token": "write"},
        "suite": {"contents": "read"},
        "packages": {"contents": "read"},
        "templates": {"contents": "read"},
        "audit": {"contents": "read"},
        "dependencies": {"contents": "read"},
        "required-checks": {"contents": "read", "pull-requests": "read", "statuses": "write"},
    },
    "ci-status.yml": {"post": {"contents": "read", "actions": "read", "pull-requests": "read"}},
    "train.yml": {
        "train": {
            "contents": "write",
            "pull-requests": "write",
            "issues": "write",
            "statuses": "write",
            "actions": "write",
            "id-token": "write",
        },
        "record": {"contents": "write", "pull-requests": "write", "issues": "write", "actions": "write"},
        "not-run": {},
    },
    "deploy.yml": {
        "deploy": {
            "contents": "write",
            "pull-requests": "write",
            "issues": "write",
            "statuses": "read",
            "deployments": "write",
            "actions": "write",
            "id-token": "write",
        },
        "not-run": {},
    },
    "deploy-staging.yml": {
        "stage": {
            "contents": "write",
            "pull-requests": "write",
            "issues": "write",
            "statuses": "read",
            "deployments": "write",
            "actions": "write",
            "id-token": "write",
        },
        "not-run": {},
    },
    "drift.yml": {
        "check": {"actions": "read", "contents": "read", "issues": "write", "id-token": "write"},
        "request": {"contents": "write", "pull-requests": "write", "issues": "write", "actions": "write"},
        "heal": {"contents": "read", "actions": "write", "issues": "write"},
        "not-run": {},
    },
    "infra.yml": {
        "plan": {"contents": "read", "pull-requests": "write", "id-token": "write"},
        "apply": {"contents": "read", "id-token": "write"},
        "not-run": {},
    },
    "serving-image.yml": {
        "build": {"contents": "read", "id-token": "write", "attestations": "write"},
        "not-run": {},
    },
    "pages.yml": {
        "build": {"contents": "read"},
        "build-account": {"contents": "read", "pull-requests": "read", "id-token": "write"},
        "publish": {"pages": "write", "id-token": "write"},
        "not-run": {},
    },
}
"""Written out once more, so that a wider grant is a change of two files and seen in review."""
ROLES = {
    ("ci.yml", "validate"): "FRAUDOPS_ROLE_PLAN",
    ("ci.yml", "plan"): "FRAUDOPS_ROLE_PLAN",
    ("train.yml", "train"): "FRAUDOPS_ROLE_TRAIN",
    ("deploy.yml", "deploy"): "FRAUDOPS_ROLE_DEPLOY",
    ("deploy-staging.yml", "stage"): "FRAUDOPS_ROLE_STAGING",
    ("drift.yml", "check"): "FRAUDOPS_ROLE_DRIFT",
    ("pages.yml", "build-account"): "FRAUDOPS_ROLE_DRIFT",
    ("infra.yml", "plan"): "FRAUDOPS_ROLE_PLAN",
    ("infra.yml", "apply"): "FRAUDOPS_ROLE_INFRA",
    ("serving-image.yml", "build"): "FRAUDOPS_ROLE_SERVING_IMAGE",
}

ENVIRONMENTS = {
    ("train.yml", "train"): "train",
    ("deploy.yml", "deploy"): "production",
    ("deploy-staging.yml", "stage"): "staging",
    ("drift.yml", "check"): "drift",
    ("pages.yml", "build-account"): "drift",
    ("infra.yml", "apply"): "infrastructure",
    ("drift.yml", "request"): "bot",
    ("train.yml", "record"): "bot",
    ("serving-image.yml", "build"): "serving-image",
}


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_workflow_grants_nothing_by_default(file: Path) -> None:
    """Each file has `permissions: {}`; jobs grant their own."""
    document = load_yaml(file.read_text(), file.name)
    assert document["permissions"] == {}
    assert all("permissions" in job for job in document["jobs"].values())


def test_each_job_has_the_listed_permissions() -> None:
    """A file or job that the list lacks fails the test."""
    found = {name: {job.id: dict(job.permissions) for job in workflow.jobs} for name, workflow in WORKFLOWS.items()}
    assert found == GRANTS


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_each_permission_has_a_comment(file: Path) -> None:
    """The reason is on the same line."""
    granted = [line for line in file.read_text().splitlines() if re.search(r": (read|write)\b", line)]
    grants = [line for line in granted if not line.strip().startswith(("#", "permission-"))]
    assert grants
    assert all(re.search(r"(read|write) # \w", line) for line in grants), grants


@pytest.mark.parametrize("file", [*FILES, ACTION], ids=lambda path: path.name)
def test_third_party_actions_are_pinned_by_commit_and_say_their_version(file: Path) -> None:
    """Only listed actions are used, each at its listed commit with the version in a comment."""
    used = re.findall(r"^ +uses: +(\S+)(.*)", file.read_text(), re.MULTILINE)
    for name, rest in used:
        if name.startswith("./"):
            continue
        action, _, pin = name.partition("@")
        assert (pin, rest.strip()) == (PINS[action][0], f"# {PINS[action][1]}"), name


def test_checkouts_do_not_persist_credentials() -> None:
    """A push uses the token of its own step."""
    checkouts = [step for _, _, step in steps() if str(step.get("uses", "")).startswith("actions/checkout@")]
    assert len(checkouts) == 22
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize("file", [*FILES, ACTION], ids=lambda path: path.name)
def test_nothing_is_interpolated_into_a_shell(file: Path) -> None:
    """No `run` has `${{ }}`; values are environment variables."""
    document = load_yaml(file.read_text(), file.name)
    scripts = re.findall(r"'run': '((?:[^'\\]|\\.)*)'|'run': \"((?:[^\"\\]|\\.)*)\"", repr(document))
    assert scripts
    assert not [script for script in scripts if "${{" in "".join(script)]


def test_no_workflow_uses_privileged_pull_request_events() -> None:
    """Code of a pull request never runs with the repository's token and secrets: ci-status.yml executes main only."""
    listened = {event for name, workflow in WORKFLOWS.items() for event in workflow.on if name != "ci-status.yml"}
    assert listened == {"push", "pull_request", "merge_group", "workflow_dispatch", "schedule"}
    assert set(WORKFLOWS["ci-status.yml"].on) == {"workflow_run", "workflow_dispatch"}
    (checkout,) = [
        step for name, _, step in steps() if name == "ci-status.yml" and "checkout@" in str(step.get("uses"))
    ]
    assert checkout["with"]["ref"] == "main"
    assert "github.ref == 'refs/heads/main'" in str(job("ci-status.yml", "post").raw["if"])
    text = next(file.read_text() for file in FILES if file.name == "ci-status.yml")
    assert set(re.findall(r"github\.event\.workflow_run\.(\w+)", text)) == {"id", "head_sha"}


def test_each_job_assumes_the_role_of_its_workflow_only() -> None:
    """Only jobs with id-token permission name a role."""
    taken = {}
    for name, each, step in steps():
        role = (step.get("with") or {}).get("role")
        if role:
            taken[name, each.id] = role
    assert taken == {key: f"${{{{ vars.{variable} }}}}" for key, variable in ROLES.items()}
    signed = {(name, each.id) for name, each in jobs() if "id-token" in each.permissions}
    # actions/deploy-pages proves to Pages which run it is; no role trusts the environment of that job.
    assert signed == {*ROLES, ("pages.yml", "publish")}


def test_job_that_publishes_runs_no_code_of_the_repository() -> None:
    """It has one step, an action, and an environment that no role trusts; the site is built without a token of it."""
    publish = job("pages.yml", "publish")
    (step,) = publish.steps()
    assert step["uses"].startswith("actions/deploy-pages@")
    assert publish.environment == "github-pages"
    assert "github-pages" not in (ROOT / "infra/github-oidc.yaml").read_text("utf-8")
    built = job("pages.yml", "build")
    assert "vars.FRAUDOPS_PAGES == 'true' && github.ref == 'refs/heads/main'" in str(built.raw["if"])
    assert "--offline" in str(built.raw)
    with_account = job("pages.yml", "build-account")
    assert "vars.FRAUDOPS_PAGES == 'account' && " in str(with_account.raw["if"])
    assert "secrets." not in str(with_account.raw)


def test_site_of_the_account_is_built_with_a_session_that_reads_only() -> None:
    """No other job has a session policy: their roles are their own."""
    limited = {(name, each.id): step["with"]["session-policy"] for name, each, step in steps() if _limited(step)}
    assert limited == {("pages.yml", "build-account"): "site"}


def _limited(step: dict[str, Any]) -> bool:
    return "session-policy" in (step.get("with") or {})


def test_each_job_with_a_role_or_a_key_has_its_environment() -> None:
    """Both belong to the environment, which is limited to main; without environments the expression is empty."""
    found = {(name, each.id): each.environment for name, each in jobs() if each.environment}
    # It holds the status App's key and has no role.
    assert found.pop(("ci-status.yml", "post")) == environments.CI_STATUS
    assert found.pop(("pages.yml", "publish")) == "github-pages"  # of GitHub's own
    assert found == {
        key: f"${{{{ vars.FRAUDOPS_ENVIRONMENTS != 'false' && '{name}' || '' }}}}" for key, name in ENVIRONMENTS.items()
    }
    assert {ENVIRONMENTS[key] for key in ROLES if key in ENVIRONMENTS} == set(environments.WITH_ROLE)
    assert {name for key, name in ENVIRONMENTS.items() if key not in ROLES} == {environments.BOT}
    assert {*ENVIRONMENTS.values(), environments.CI_STATUS} == set(environments.NAMES)  # bootstrap limits each to main


def test_no_job_has_both_an_apps_key_and_a_role_or_the_run_lock() -> None:
    """A package of the run lock that goes bad gets no App's token, and one with the key gets no role."""
    with_key = {
        (name, each.id)
        for name, each in jobs()
        if "app-token" in str(each.raw) or "secrets." in str(each.raw) or each.raw.get("secrets")
    }
    assert with_key == {("ci-status.yml", "post"), ("drift.yml", "request"), ("train.yml", "record")}
    for key in with_key:
        each = job(*key)
        assert "id-token" not in each.permissions
        named = str(each.environment)
        assert [name for name in environments.NAMES if f"'{name}'" in named or name == named] in (
            ["bot"],
            ["ci-status"],
        )
        # Only the core lock is installed, and not from the cache, into which every job on main may write.
        setup = [step["with"] for step in each.steps() if step.get("uses") == "./.github/actions/setup"]
        assert setup == [{"lock": "core", "cache": "false"}]
        assert not [step for step in each.steps() if "cache@" in str(step.get("uses"))]
        (checkout,) = [step for step in each.steps() if "checkout@" in str(step.get("uses"))]
        assert checkout["with"]["ref"] == "main"
        assert "github.ref == 'refs/heads/main'" in str(each.raw["if"])
    environment = (ACTION.parent / ACTION.name).read_text()
    assert "if: steps.find.outputs.there != 'true' && inputs.cache == 'true'" in environment


def test_job_that_starts_deployments_has_neither_a_role_nor_a_key() -> None:
    """It may start workflows, on what is merged, and change no file; its packages are not from the cache."""
    heal = job("drift.yml", "heal")
    assert "id-token" not in heal.permissions
    assert heal.permissions["contents"] == "read"
    assert heal.environment is None
    assert "secrets." not in str(heal.raw)
    assert "vars." not in str(heal.raw)
    checkout, setup, start = heal.steps()
    assert checkout["with"]["ref"] == "main"
    assert setup["with"] == {"lock": "core", "cache": "false"}
    assert start["run"] == "fraudops self-heal"


def test_image_is_built_without_the_cache() -> None:
    """Every job on main may write the cache, and this job's role may push what the endpoint runs."""
    (setup,) = [
        step["with"]
        for step in job("serving-image.yml", "build").steps()
        if step.get("uses") == "./.github/actions/setup"
    ]
    assert (setup["lock"], setup["cache"]) == ("core", "false")


def test_a_hand_over_reaches_one_verb_as_a_variable() -> None:
    """An output of a job with a role is untrusted: it is in no condition but the one that it is not empty."""
    for (name, identifier), source in {
        ("drift.yml", "request"): "needs.check.outputs.hand_over",
        ("drift.yml", "heal"): "needs.check.outputs.differences",
        ("train.yml", "record"): "needs.train.outputs.gate_failure",
    }.items():
        text = str(job(name, identifier).raw)
        assert text.count(source) == 2
        assert f"{source} != ''" in text
        (step,) = [step for step in job(name, identifier).steps() if source in str(step)]
        assert step["env"]["FRAUDOPS_HAND_OVER"] == f"${{{{ {source} }}}}"


def test_keys_of_apps_are_read_where_bootstrap_expects_them() -> None:
    """Each job that signs as an App runs in an environment that has its key, and names the App's variable."""
    found: dict[str, set[str]] = {}
    for name, each, step in steps():
        if "app-token" not in str(step.get("uses")):
            continue
        given = step["with"]
        (variable,) = re.findall(r"vars\.(\w+)", given["client-id"])
        (key,) = re.findall(r"secrets\.(\w+)", given["private-key"])
        assert (variable, key) in {
            (github_apps.STATUS_APP, github_apps.STATUS_KEY),
            (github_apps.BOT_APP, github_apps.BOT_KEY),
        }
        found.setdefault(key, set()).add(ENVIRONMENTS.get((name, each.id), str(each.environment)))
    assert found == {
        github_apps.STATUS_KEY: {environments.CI_STATUS},
        github_apps.BOT_KEY: {environments.BOT},
    }
    text = next(file.read_text() for file in FILES if file.name == "ci.yml")
    assert f"vars.{github_apps.BOTS}" in text


def test_jobs_with_a_role_run_on_main_only() -> None:
    """The job's condition has it too, so a dispatch elsewhere is skipped instead of denied by AWS."""
    for (name, identifier), variable in ROLES.items():
        if variable == "FRAUDOPS_ROLE_PLAN":
            continue  # it changes nothing, and serves branches
        condition = str(job(name, identifier).raw["if"])
        assert f"vars.{variable} != ''" in condition
        assert "github.ref == 'refs/heads/main'" in condition
    assert "head.repo.full_name == github.repository" in str(job("infra.yml", "plan").raw["if"])


def test_secrets_reach_one_action_alone() -> None:
    """Each App's key goes only to the action that signs with it, and its token has the permissions that it needs."""
    for file in FILES:
        key = "FRAUDOPS_STATUS_APP_PRIVATE_KEY" if file.name == "ci-status.yml" else "FRAUDOPS_APP_PRIVATE_KEY"
        for line in file.read_text().splitlines():
            assert "secrets." not in line or line.strip() == f"private-key: ${{{{ secrets.{key} }}}}"
    asked = [(name, step["with"]) for name, _, step in steps() if "app-token" in str(step.get("uses"))]
    assert len(asked) == 3
    for name, given in asked:
        wanted = {"statuses"} if name == "ci-status.yml" else {"contents", "pull-requests", "issues"}
        granted = {key.removeprefix("permission-") for key in given if key.startswith("permission-")}
        assert granted == wanted


def test_zizmor_finds_nothing() -> None:
    """Offline with the pedantic persona; every suppressed finding has a reason."""
    done = subprocess.run(
        [BIN / "zizmor", "--offline", "--persona", "pedantic", "--no-progress", "."],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    rules = (ROOT / ".github/zizmor.yml").read_text()
    for rule, content in yaml.safe_load(rules)["rules"].items():
        assert re.search(rf"  {rule}:\n    # \S", rules), f"{rule} is set aside without a reason"
        assert content


def test_actionlint_finds_nothing() -> None:
    """It checks the files and their expressions."""
    done = subprocess.run([BIN / "actionlint"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")

"""`fraudops doctor` against both emulators: every seeded fault is named by one line, a sound account has none."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ml import config
from ml.aws import session
from ml.commands import doctor as doctor_module
from ml.commands.doctor import doctor
from ml.diagnosis import permissions
from ml.errors import NotReady
from tests.diagnosis.faults import FAULTS, Fault
from tests.harness.github.emulator import NAME
from tests.harness.platform import account as accounts
from tests.harness.platform.account import ReadyAccount

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadyAccount]:
    """One account for the file."""
    with accounts.ready(tmp_path_factory.mktemp("account")) as made:
        yield made


@pytest.fixture
def account(shared: ReadyAccount, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReadyAccount]:
    """The account, sound before each test and after it."""
    for name, value in {**shared.env.clouds.environment(), "GITHUB_REPOSITORY": NAME}.items():
        monkeypatch.setenv(name, value)
    shared.settle()
    yield shared


def test_sound_account_has_no_fault(account: ReadyAccount) -> None:
    """Nothing will fail; what has no answer before the first run is said."""
    found = doctor(account.root)
    assert [check for check in found.checks if check.state == "will fail"] == []
    assert (found.will_fail, found.error) == (0, None)
    unknown = {check.subject for check in found.checks if check.state == "cannot tell"}
    assert unknown == {"last scheduled run"}
    assert len(found.text.splitlines()) == len(found.checks) > 30


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault_is_named_by_one_line(fault: Fault, account: ReadyAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line has the fault's subject and says what to do; every other line is ok or has no answer.

    Roles are simulated for faults of roles only: it takes most of a diagnosis, and no other fault changes what it says.
    """
    if not fault.subject.startswith("permissions of "):
        parts = tuple(part for part in doctor_module._PARTS if part is not permissions.checks)
        monkeypatch.setattr(doctor_module, "_PARTS", parts)
    with fault.seed(account, monkeypatch):
        found = doctor(account.root)
    failing = [check for check in found.checks if check.state == "will fail"]
    assert [check.subject for check in failing] == [fault.subject], found.text
    assert fault.says in failing[0].detail
    assert isinstance(found.error, NotReady)
    assert fault.subject in str(found.error)


def test_every_subject_has_a_fault(account: ReadyAccount) -> None:
    """A subject that no fault is seeded for would be a check that cannot fail; each role is a subject of its own."""
    seeded = {fault.subject for fault in FAULTS} | _ELSEWHERE
    stacks = {"stack absent": "stack fraudops", "stack second-github": "stack fraudops-github"}
    covered = {stacks.get(subject, subject) for subject in seeded}
    subjects = {check.subject for check in doctor(account.root).checks}
    assert subjects <= covered


_ELSEWHERE = {"image", "serving image"}
"""Subjects whose faults other tests of this file seed."""


def test_region_without_the_image_is_a_fault(account: ReadyAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    """The missing stack there is no fault of its own."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "mx-central-1")
    monkeypatch.setitem(account.variables, "FRAUDOPS_REGION", "mx-central-1")
    found = doctor(account.root)
    assert [check.subject for check in found.checks if check.state == "will fail"] == ["image"], found.text


def test_serving_image_must_exist_in_the_region(account: ReadyAccount) -> None:
    """Without one there is no line; the fault says what to do."""
    ecr = session.client("ecr")
    ecr.create_repository(repositoryName="serving")
    manifest = json.dumps({"schemaVersion": 2, "mediaType": "m", "config": {}, "layers": []})
    put = ecr.put_image(repositoryName="serving", imageManifest=manifest, imageTag="1")["image"]["imageId"]
    region, digest = ecr.meta.region_name, put["imageDigest"]
    before = (account.root / config.SERVING).read_text()
    assert "serving image" not in {check.subject for check in doctor(account.root).checks}
    expected = {
        (region, digest): "ok",
        (region, f"sha256:{'0' * 64}"): "there is no image",
        ("ap-south-2", digest): "of its own region only",
    }
    try:
        for (where, which), says in expected.items():
            uri = f"123456789012.dkr.ecr.{where}.amazonaws.com/serving@{which}"
            (account.root / config.SERVING).write_text(f"{before}image: {uri}\n")
            (line,) = [check for check in doctor(account.root).checks if check.subject == "serving image"]
            assert says in (line.state, *line.detail.split("; ")) or says in line.detail
            assert line.state == ("ok" if says == "ok" else "will fail")
    finally:
        (account.root / config.SERVING).write_text(before)


def test_bypass_of_another_app_is_not_the_bots(account: ReadyAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both lines are faults: the bot may not push, and another App may. An App that GitHub does not show: no answer."""
    account.ruleset["bypass_actors"][0]["actor_id"] = accounts.CHECKER_ID
    found = {check.subject: check for check in doctor(account.root).checks}
    subjects = ("exemptions on main", "the App's pushes to main")
    assert [found[subject].state for subject in subjects] == ["will fail", "will fail"]
    assert "may not push to main" in found[subjects[1]].detail
    monkeypatch.setitem(account.variables, "FRAUDOPS_BOTS", "github-actions[bot] hidden[bot]")
    found = {check.subject: check for check in doctor(account.root).checks}
    assert [found[subject].state for subject in subjects] == ["cannot tell", "cannot tell"]
    assert "no App hidden" in found[subjects[0]].detail


def test_without_a_token_github_has_no_answer(account: ReadyAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    """The account is checked; each line about GitHub names the variable, and none is a fault."""
    monkeypatch.delenv("GITHUB_TOKEN")
    found = doctor(account.root)
    assert found.will_fail == 0
    unknown = {check.subject: check.detail for check in found.checks if check.state == "cannot tell"}
    assert {"variables", "environment production", "reviews on main", "drift schedule"} <= set(unknown)
    assert "GITHUB_TOKEN is not set" in unknown["variables"]


def test_repository_is_that_of_the_roles_by_default(account: ReadyAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --repository and GITHUB_REPOSITORY, the roles' stack names it."""
    monkeypatch.delenv("GITHUB_REPOSITORY")
    assert {check.subject: check.state for check in doctor(account.root).checks}["variables"] == "ok"


def test_rejected_token_is_reported_once(account: ReadyAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    """An expired token gives no answer: one line says why, and the others refer to it."""
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_expired")
    found = doctor(account.root)
    assert found.will_fail == 0
    lines = {check.subject: check.detail for check in found.checks if check.state == "cannot tell"}
    assert "check GITHUB_TOKEN, it may have expired" in lines["repository"]
    assert sum("it may have expired" in detail for detail in lines.values()) == 1
    assert lines["environment train"] == "the repository cannot be read; see its line"


def test_rejected_credentials_end_no_diagnosis(account: ReadyAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says what to do and the others refer to it, also where the roles' stack would name the repository."""
    monkeypatch.delenv("GITHUB_REPOSITORY")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOLD")
    found = {check.subject: check for check in doctor(account.root).checks}
    assert found["identity"].state == "will fail"
    for subject in ("quota for endpoint", "Lambda concurrency", "stack names", "stack fraudops", "repository"):
        assert found[subject].state == "cannot tell"
        assert found[subject].detail == "the account cannot be read; see the line of the identity"


def test_repository_that_nothing_names_is_asked_for(account: ReadyAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first bootstrap no stack names it either; the line says which option does."""
    monkeypatch.delenv("GITHUB_REPOSITORY")
    monkeypatch.setenv("FRAUDOPS_STACK", "absent")
    found = {check.subject: check for check in doctor(account.root).checks}
    for subject in ("repository", "environment train", "reviews on main"):
        assert found[subject].state == "cannot tell"
        assert found[subject].detail.endswith("give --repository OWNER/NAME")
    assert found["stack absent"].detail.endswith("create it: fraudops bootstrap")
    named = {check.subject: check for check in doctor(account.root, repository="acme/fraud").checks}
    assert named["stack absent"].detail.endswith("create it: fraudops bootstrap --repository acme/fraud --configure")


@pytest.mark.denied_calls("the caller may not simulate policies")
def test_refused_simulation_is_no_fault(account: ReadyAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that may not simulate policies gets `cannot tell` with AWS's reason."""
    for name, value in account.restricted_caller().items():
        monkeypatch.setenv(name, value)
    found = {check.subject: check for check in doctor(account.root).checks}
    line = found["permissions of fraudops-github TrainRole"]
    assert line.state == "cannot tell"
    assert "AccessDenied" in line.detail
    assert found["stack fraudops"].state == "ok"


def test_command_prints_lines_and_its_exit_code(account: ReadyAccount) -> None:
    """Exit 0 for a sound account, 13 and one error for a fault; --json has every field."""
    sound = _run(account)
    assert sound.returncode == 0, sound.stderr
    assert sound.stdout.splitlines()[0].startswith("ok ")
    account.set_quotas(instances={})
    account.set_drift("fraudops", "DRIFTED")
    failed = _run(account, "--json")
    assert failed.returncode == NotReady.exit_code
    document = json.loads(failed.stdout)
    assert document["will_fail"] == 1
    assert {"subject", "state", "detail", "pending", "remedy"} == set(document["checks"][0])
    assert failed.stderr.startswith("error: 1 of ")


def _run(account: ReadyAccount, *options: str) -> subprocess.CompletedProcess[str]:
    code = "from ml.cli import main; main()"
    program = [sys.executable, "-c", code, "doctor", "--repo", str(account.root), *options]
    return subprocess.run(program, capture_output=True, text=True, check=False, timeout=120)

"""`fraudops status` on both emulators: a served model is equal to Git, and each change made by hand is named."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from typer.testing import CliRunner

from ml import config
from ml.audit.disagreement import Disagreement
from ml.aws import hosting_descriptions, platform_stack, registry, session
from ml.aws.session import client
from ml.cli import app
from ml.commands.status import Status, status
from ml.config.hand_over import Differences
from ml.errors import CloudError, GitError
from ml.gitops import issues, labels
from ml.release import self_heal_hand_over, self_heal_page
from tests.commands.status_changes import CHANGES, Change, another_configuration, disabled_rule, rewritten_order
from tests.harness.aws.workflow_identity import WorkflowIdentity
from tests.harness.github.emulator import NAME
from tests.harness.platform import account as accounts
from tests.harness.platform.account import ReadyAccount
from tests.harness.platform.served import ENDPOINT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadyAccount]:
    """One account for the file, whose endpoint serves approval 1; approval 2 is only registered."""
    with accounts.ready(tmp_path_factory.mktemp("account")) as made, pytest.MonkeyPatch.context() as patch:
        for name, value in {**made.env.clouds.environment(), "GITHUB_REPOSITORY": NAME}.items():
            patch.setenv(name, value)
        made.env.bot.env.serve(-1.0)
        made.env.bot.env.register(2.0)
        yield made


@pytest.fixture
def account(shared: ReadyAccount, monkeypatch: pytest.MonkeyPatch) -> ReadyAccount:
    """The account, as its bootstrap and the deployment have left it."""
    for name, value in {**shared.env.clouds.environment(), "GITHUB_REPOSITORY": NAME}.items():
        monkeypatch.setenv(name, value)
    shared.settle()
    return shared


def compare(account: ReadyAccount) -> Status:
    """The status of the checkout."""
    return status(account.root)


def test_served_model_is_equal_to_git(account: ReadyAccount) -> None:
    """Nothing differs; what has no answer is said and is no difference."""
    found = compare(account)
    assert [item for item in found.comparisons if item.state == "differs"] == []
    assert (found.differs, found.error) == (0, None)
    unknown = {item.subject for item in found.comparisons if item.state == "cannot tell"}
    assert unknown <= {"last scheduled run", "last drift check"}
    subjects = {item.subject for item in found.comparisons}
    assert {"package", "order", "endpoint", "variant", "configuration", "model", "archive"} <= subjects
    assert {"alarm EndpointErrorsAlarm", "rule ApprovedRule", "stack fraudops", "drift schedule"} <= subjects
    assert {"policy fraudops DeployRole", "policy fraudops-github TrainRole"} <= subjects
    assert found.commit == account.env.workspace.repository.head()


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_change_by_hand_is_named(change: Change, account: ReadyAccount) -> None:
    """Its subjects differ and no other; without it nothing does."""
    with change.make(account):
        found = compare(account)
    differing = [item for item in found.comparisons if item.state == "differs"]
    assert tuple(item.subject for item in differing) == change.subjects, found.text
    assert any(change.says in item.detail for item in differing), found.text
    assert isinstance(found.error, Disagreement)
    assert f"differ from Git: {', '.join(change.subjects)}; see their lines" in str(found.error)


def test_merged_pointer_that_is_not_deployed_is_named(account: ReadyAccount) -> None:
    """Git names approval 2: package, order and endpoint are those of 1, and so are model and archive."""
    workspace = account.env.workspace
    before, (_, second) = workspace.repository.head(), registry.packages(platform_stack.read().package_group)
    with ExitStack() as undo:
        undo.callback(workspace.git, "branch", "-q", "-D", "approve/0002")
        undo.callback(workspace.git, "reset", "-q", "--hard", before)
        account.env.bot.env.approve(second.arn)
        found = compare(account)
    differing = {item.subject: item.detail for item in found.comparisons if item.state == "differs"}
    assert {"package", "order", "endpoint", "model"} <= set(differing)
    assert (
        "names approval 0002, and approval 0001 was deployed last; run gh workflow run deploy.yml --field reason="
        in differing["endpoint"]
    )


def test_checkout_that_names_no_approval_is_told_to_pull(account: ReadyAccount) -> None:
    """A clone from before the first approval: the endpoint serves, and what depends on the approval has no answer."""
    workspace = account.env.workspace
    before = workspace.repository.head()
    text = (account.root / config.SERVING).read_text("utf-8")
    try:
        workspace.write({config.SERVING: config.set_values(text, config.SERVING, {"approval": None})}, "Forget it")
        found = compare(account)
    finally:
        workspace.git("reset", "-q", "--hard", before)
    differing = {item.subject: item.detail for item in found.comparisons if item.state == "differs"}
    assert "if this checkout is behind main, git pull" in differing["endpoint"]
    assert isinstance(found.error, Disagreement)


def test_uncommitted_change_is_refused(account: ReadyAccount) -> None:
    """What is not committed is not what Git says."""
    file = account.root / config.SERVING
    text = file.read_text("utf-8")
    try:
        file.write_text(f"{text}# changed\n")
        with pytest.raises(GitError, match="uncommitted changes, and status compares what is committed"):
            compare(account)
    finally:
        file.write_text(text)


def test_command_prints_what_differs(account: ReadyAccount) -> None:
    """Equal subjects are counted; a difference ends with 13 after its line, also as JSON."""
    arguments = ["status", "--repo", str(account.root)]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    assert "equal        " in shown.stdout
    with disabled_rule(account):
        failed = CliRunner().invoke(app, [*arguments, "--json"])
    assert isinstance(failed.exception, Disagreement)
    assert failed.exception.exit_code == 13
    document = json.loads(failed.stdout)
    assert (document["differs"], document["commit"]) == (1, account.env.workspace.repository.head())


def test_what_cannot_be_read_ends_the_verb(account: ReadyAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token nothing is said about the schedule: that is no difference, and no success either."""
    monkeypatch.delenv("GITHUB_TOKEN")
    found = compare(account)
    assert found.differs == 0
    assert isinstance(found.error, CloudError)
    assert re.search(r"[1-9]\d* of \d+ subjects could not be compared with Git: .*drift schedule", str(found.error))


def test_drift_role_may_read_what_status_compares(account: ReadyAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    """drift.yml runs the verb with its role: every subject is compared, and no call is denied."""
    everything = {item.subject: item.state for item in compare(account).comparisons}
    WorkflowIdentity(account.env.clouds.aws).assume(account.variables["FRAUDOPS_ROLE_DRIFT"], monkeypatch)
    session.renew()
    found = compare(account)
    assert {item.subject: item.state for item in found.comparisons} == everything, found.text
    assert found.error is None


def test_report_names_differences_and_is_no_error(account: ReadyAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    """The step's summary and warnings have each difference; the step itself succeeds."""
    summary = account.root.parent / "status-summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    arguments = ["status", "--report", "--repo", str(account.root)]
    with disabled_rule(account):
        shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    assert re.search(r"::warning.*::rule ApprovedRule differs: rule .* is disabled", shown.output)
    text = summary.read_text("utf-8")
    assert re.search(r"### 1 of \d+ subjects differ from Git\n", text)
    assert "| rule ApprovedRule | differs |" in text
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert "### Nothing differs from Git\n" in summary.read_text("utf-8")


@pytest.fixture
def healing(account: ReadyAccount) -> Iterator[ReadyAccount]:
    """The account, whose checkout says `self_heal: true`."""
    workspace = account.env.workspace
    before = workspace.repository.head()
    text = config.set_values(workspace.text(config.SERVING), config.SERVING, {"self_heal": True})
    workspace.write({config.SERVING: text}, "Put back what Git says")
    yield account
    workspace.git("reset", "-q", "--hard", before)


def handed_over(account: ReadyAccount, monkeypatch: pytest.MonkeyPatch) -> Differences | None:
    """What the step hands over; None for nothing."""
    output = account.root.parent / "status-output"
    output.write_text("")
    monkeypatch.setenv("GITHUB_OUTPUT", str(output))
    shown = CliRunner().invoke(app, ["status", "--report", "--hand-over", "--repo", str(account.root)])
    assert shown.exit_code == 0, shown.output
    (value,) = re.findall(r"differences<<(end-\w+)\n(.*)\n\1\n", output.read_text(), re.DOTALL)
    return self_heal_hand_over.read(value[1]) if value[1] else None


def test_differences_that_are_put_back_are_handed_over(healing: ReadyAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with what puts it back; nothing without one that deploy.yml does."""
    assert handed_over(healing, monkeypatch) is None
    with disabled_rule(healing):
        assert handed_over(healing, monkeypatch) is None
        with another_configuration(healing):
            found = handed_over(healing, monkeypatch)
    assert found is not None
    assert {each.subject: each.remedy for each in found.found} == {
        "endpoint": "deploy.yml",
        "variant": "deploy.yml",
        "configuration": "deploy.yml",
        "rule ApprovedRule": "template",
    }
    assert (found.commit, found.unsettled) == (healing.env.workspace.repository.head(), None)
    assert found.undeployed is None  # the switch alone was changed since the deployment


def test_nothing_is_handed_over_with_the_setting_off(account: ReadyAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless an issue is open, which the next job closes."""
    with rewritten_order(account):
        assert handed_over(account, monkeypatch) is None
        github, cause, label = account.env.bot.hub.client(), self_heal_page.CAUSE, labels.SELF_HEAL
        issues.report(github, cause=cause, label=label, title="Differs", body="order")
        found = handed_over(account, monkeypatch)
        issues.close(github, cause=cause, label=label, comment="Closed.")
    assert found is not None
    assert [each.subject for each in found.found] == ["order"]


def test_moving_endpoint_and_new_pointer_are_handed_over(
    healing: ReadyAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both speak against a deployment: one that runs, and one that nobody has let yet."""
    workspace = healing.env.workspace
    text = config.set_values(workspace.text(config.SERVING), config.SERVING, {"capture.sampling_percentage": 50})
    workspace.write({config.SERVING: text}, "Capture less")
    found = handed_over(healing, monkeypatch)
    assert found is not None
    assert "was changed since the last deployment" in str(found.undeployed)
    described = hosting_descriptions.endpoint(ENDPOINT)
    assert described is not None
    monkeypatch.setattr(hosting_descriptions, "endpoint", lambda _: {**described, "EndpointStatus": "Updating"})
    found = handed_over(healing, monkeypatch)
    assert found is not None
    assert "is Updating" in str(found.unsettled)


def test_deleted_package_differs(account: ReadyAccount) -> None:
    """The last test of the file: SageMaker gives no second package the same version."""
    arn = config.load_approval(account.root, 1).model_package_arn
    client("sagemaker").delete_model_package(ModelPackageName=arn)
    found = compare(account)
    (detail,) = (item.detail for item in found.comparisons if item.state == "differs")
    assert f"there is no model package {arn}" in detail

"""`fraudops infra` and `bootstrap` on the AWS emulator: plans, applied changes, and what only a person may apply."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_aws.server import LocalAws
from local_github.actions.service import Actions
from local_github.server import LocalGitHub

from ml import config
from ml.aws import platform_stack, session
from ml.aws.cloudformation import stack, workflow_roles
from ml.commands import bootstrap, infra
from ml.diagnosis import environments
from ml.errors import CloudError, ConfigError, GitHubError, Refused, UsageError
from ml.gitops.repository import Repository
from tests.harness.git import checkout as checkouts
from tests.harness.git.repositories import GitWorkspace

_LOG = 'LogGroupName: !Sub "/aws/lambda/${AWS::StackName}-deploy"\n      RetentionInDays: '
SHORTER_LOG = (f"{_LOG}!Ref LogRetentionDays", f"{_LOG}30")
"""An edit of infra/platform.yaml: what DeployLog has, and what it gets."""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """One emulator for the file; each test has a stack of its own."""
    with LocalAws(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(autouse=True)
def own_stack(cloud: LocalAws, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Sets the emulator's environment and a stack name for this test."""
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FRAUDOPS_STACK", f"f{abs(hash(request.node.name)) % 10**8}")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """infra/ and the shipped model-config/, to be edited, with an endpoint of this test's own."""
    root = checkouts.copy(tmp_path, "infra")
    checkouts.set_values(root, config.SERVING, {"endpoint": platform_stack.stack_name()})
    return root


def second_stack(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chooses a second stack of the account, with an endpoint of its own."""
    name = f"{platform_stack.stack_name()}b"
    monkeypatch.setenv("FRAUDOPS_STACK", name)
    checkouts.set_values(checkout, config.SERVING, {"endpoint": name})


def edit(file: Path, old: str, new: str) -> None:
    """Replaces the first `old`, which must exist."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_bootstrap_without_a_repository_creates_no_roles(checkout: Path) -> None:
    """The platform is created, and the output names the option for the roles."""
    made = bootstrap.bootstrap(checkout)
    assert (made.state, made.identity, made.variables) == ("created", None, {})
    assert "--repository OWNER/NAME" in made.settings[0]
    assert platform_stack.describe_stack(workflow_roles.stack_name()) is None


def test_bootstrap_creates_roles_and_lists_settings(checkout: Path) -> None:
    """A second run changes nothing; without --repository the roles stay."""
    made = bootstrap.bootstrap(checkout, repository="acme/fraud")
    assert made.identity == "created"
    assert set(made.variables) == {
        "FRAUDOPS_REGION",
        "FRAUDOPS_STACK",
        workflow_roles.ENVIRONMENTS_VARIABLE,
        *workflow_roles.ROLES.values(),
    }
    assert made.variables[workflow_roles.ENVIRONMENTS_VARIABLE] == "true"
    assert all(":role/github/" in arn for name, arn in made.variables.items() if name.startswith("FRAUDOPS_ROLE"))
    settings = " ".join(made.settings)
    for needed in (
        "`production`",
        "`main` only",
        "fraudops/ci",
        "merge commits only",
        "create and approve pull requests",
    ):
        assert needed in settings
    last = [line.partition(":")[0] for line in made.settings[-3:]]  # a training needs data
    assert last == ["Check all of it, also the account", "Import your data", "Then"]
    assert bootstrap.bootstrap(checkout, repository="acme/fraud").identity == "unchanged"
    again = bootstrap.bootstrap(checkout)
    assert (again.identity, again.variables) == ("unchanged", made.variables)


def test_bootstrap_owns_the_log_groups_that_do_not_exist(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new stack creates the groups of endpoint and jobs; one beside it, and a second run, leave them as they are."""
    checkouts.set_values(checkout, config.SERVING, {"endpoint": "logged"})
    logs = session.client("logs")
    for name in ("ProcessingJobs", "TrainingJobs"):
        if logs.describe_log_groups(logGroupNamePrefix=f"/aws/sagemaker/{name}")["logGroups"]:
            logs.delete_log_group(logGroupName=f"/aws/sagemaker/{name}")  # of another test's stack
    bootstrap.bootstrap(checkout)
    groups = logs.describe_log_groups(logGroupNamePrefix="/aws/sagemaker/")["logGroups"]
    kept = {group["logGroupName"]: group.get("retentionInDays") for group in groups}
    own = ("Endpoints/logged", "ProcessingJobs", "TrainingJobs")
    assert {name: kept[f"/aws/sagemaker/{name}"] for name in own} == dict.fromkeys(own, 365)
    assert bootstrap.bootstrap(checkout).state == "unchanged"
    second_stack(checkout, monkeypatch)
    assert bootstrap.bootstrap(checkout).state == "created"


def test_settings_reach_the_stack_and_stay(checkout: Path) -> None:
    """A parameter of the template is set and kept by a later run without it; the roles get the key."""
    made = bootstrap.bootstrap(checkout, repository="acme/fraud", settings_given=["Encryption=customer-key"])
    assert made.platform.key_arn
    assert bootstrap.bootstrap(checkout, repository="acme/fraud").state == "unchanged"
    resources = session.client("cloudformation").list_stack_resources(StackName=workflow_roles.stack_name())
    names = {item["LogicalResourceId"] for item in resources["StackResourceSummaries"]}
    assert {"WorkflowsUseKey", "PlanUsesKey"} <= names


@pytest.mark.parametrize("given", ["Encryption", "CodeBucket=other", "Nonsense=1"])
def test_setting_of_another_name_is_refused(checkout: Path, given: str) -> None:
    """The error lists the names; nothing was created."""
    with pytest.raises(UsageError, match=rf"must be NAME=VALUE with one of AccessLogDays, .* \(got '{given}'\)"):
        bootstrap.bootstrap(checkout, settings_given=[given])
    assert platform_stack.describe_stack(platform_stack.stack_name()) is None


@pytest.mark.parametrize("name", ["Fraud", "fraud_ops", "2fraud", "f" * 31, "fraud--ops", "fraud-"])
def test_stack_name_that_resources_cannot_carry_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """SageMaker's ARNs are lower case, and a bucket's name has room for 30 characters of it."""
    monkeypatch.setenv("FRAUDOPS_STACK", name)
    with pytest.raises(ConfigError, match=r"FRAUDOPS_STACK must be 1 to 30 lower-case letters"):
        platform_stack.stack_name()


@pytest.mark.parametrize(
    ("without", "place"), [(False, "environment:production"), (True, "ref:refs/heads/main")], ids=["with", "without"]
)
def test_roles_trust_the_named_repository(
    checkout: Path, capsys: pytest.CaptureFixture[str], without: bool, place: str
) -> None:
    """By name, as long as no token can tell that its subjects have ids; in the environment, or on main without one."""
    made = bootstrap.bootstrap(checkout, repository="acme/fraud", without_environments=without)
    assert made.variables[workflow_roles.ENVIRONMENTS_VARIABLE] == str(not without).lower()
    assert "trust acme/fraud by name" in capsys.readouterr().err
    assert ("every job on main may assume every role" in " ".join(made.settings)) == without
    roles = session.client("iam").list_roles(PathPrefix="/github/")["Roles"]
    mine = [role for role in roles if role["RoleName"].startswith(f"{workflow_roles.stack_name()}-DeployRole")]
    (role,) = mine
    condition = role["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]
    assert condition["StringEquals"]["token.actions.githubusercontent.com:sub"] == f"repo:acme/fraud:{place}"


def test_existing_oidc_provider_is_used(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account has one provider per issuer, so the second stack has roles and a key alone."""
    bootstrap.bootstrap(checkout, repository="acme/fraud")
    second_stack(checkout, monkeypatch)
    bootstrap.bootstrap(checkout, repository="acme/other")
    resources = session.client("cloudformation").list_stack_resources(StackName=workflow_roles.stack_name())
    kinds = {item["ResourceType"] for item in resources["StackResourceSummaries"]}
    roles, key = {"AWS::IAM::Role", "AWS::IAM::ManagedPolicy", "AWS::IAM::Policy"}, {"AWS::KMS::Key", "AWS::KMS::Alias"}
    assert kinds == roles | key


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalGitHub]:
    """GitHub with the repository O/R, whose tokens have ids, and an administrator's token."""
    seed = tmp_path / "seed"
    seed.mkdir()
    workspace = GitWorkspace(root=seed, repository=Repository(seed))
    workspace.git("init", "-q", "-b", "main")
    workspace.write({"README.md": "x\n"}, "Begin")
    with LocalGitHub(tmp_path / "github") as github:
        actions = Actions(tmp_path / "actions", github.backend, with_ids=True)
        github.attach(actions)
        github.create_repository("O/R", seed=seed)
        monkeypatch.setenv("GITHUB_TOKEN", github.token("alice"))
        monkeypatch.setenv("GITHUB_API_URL", github.api_url)
        yield github
        actions.close()


def test_configure_sets_up_the_repository(checkout: Path, hub: LocalGitHub) -> None:
    """The subject is GitHub's; variables are created, updated or kept; what a person has to set is read back."""
    repository = hub.backend.state.named("O/R")
    repository.variables.update({"FRAUDOPS_STACK": "old", "FRAUDOPS_REGION": "us-east-1"})
    made = bootstrap.bootstrap(checkout, repository="o/r", configure=True)
    assert made.configured == {
        "FRAUDOPS_REGION": "kept",
        "FRAUDOPS_STACK": "updated",
        **dict.fromkeys([*workflow_roles.ROLES.values(), workflow_roles.ENVIRONMENTS_VARIABLE], "created"),
    }
    stack = platform_stack.describe_stack(workflow_roles.stack_name())
    assert stack is not None
    parameters = {item["ParameterKey"]: item["ParameterValue"] for item in stack["Parameters"]}
    assert parameters["Repository"] == f"O@{repository.owner_id}/R@{repository.id}"
    settings = "\n".join(made.settings)
    assert "main accepts pushes without a pull request" in settings
    assert "environment train" not in settings  # it exists and is limited to main
    assert repository.settings["allow_squash_merge"] is False


def test_protect_requires_a_second_person(checkout: Path, hub: LocalGitHub) -> None:
    """The rules of main are set with the Apps that were named, and the owners are written for a person to commit."""
    hub.backend.state.app_ids["checker"] = 4711
    made = bootstrap.bootstrap(
        checkout,
        repository="o/r",
        configure=True,
        protect=bootstrap.Protection(status_app=4711),
        code_owner="@acme/risk",
    )
    faults = {line.partition(": ")[0] for line in made.settings[:-3]}
    assert faults == {"status App", "reviewers of production", "code owners on main"}
    assert "/infra/" in next(line for line in made.settings if line.startswith("code owners on main"))
    assert "/infra/        @acme/risk" in (checkout / ".github/CODEOWNERS").read_text()
    again = bootstrap.bootstrap(checkout, repository="o/r", configure=True, protect=bootstrap.Protection())
    assert not [line for line in again.settings if line.startswith("source of fraudops/ci")]  # the App stays
    with pytest.raises(UsageError, match="add --configure to --protect"):
        bootstrap.bootstrap(checkout, repository="o/r", protect=bootstrap.Protection())


def test_settings_without_an_answer_are_not_missing(checkout: Path, hub: LocalGitHub) -> None:
    """FRAUDOPS_BOTS does not name the App that bypasses the rules, so nothing says whether it is the bot's."""
    hub.backend.state.app_ids["robot"] = 4712
    hub.backend.state.named("O/R").variables["FRAUDOPS_APP_CLIENT_ID"] = "Iv2"
    made = bootstrap.bootstrap(checkout, repository="o/r", configure=True, protect=bootstrap.Protection(bot_app=4712))
    subjects = ("exemptions on main", "the App's pushes to main")
    assert made.unanswered == subjects
    assert not [line for line in made.missing if line.startswith((*subjects, "not checked"))]
    assert f"not checked, as they depend on other settings: {', '.join(subjects)}" in made.settings


def test_repository_without_environments_is_refused_unless_told(checkout: Path, hub: LocalGitHub) -> None:
    """The error has GitHub's words and says what is weaker; nothing was changed in AWS. With the option it goes on."""
    hub.fail_api(1, status=403, message="Upgrade to GitHub Pro or make this repository public to enable this feature.")
    with pytest.raises(Refused, match=r"Upgrade to GitHub Pro.*every job on main may assume every role.*nothing was"):
        bootstrap.bootstrap(checkout, repository="o/r", configure=True, code_owner="@acme/risk")
    assert platform_stack.describe_stack(platform_stack.stack_name()) is None
    assert not (checkout / ".github/CODEOWNERS").exists()
    made = bootstrap.bootstrap(checkout, repository="o/r", configure=True, without_environments=True)
    assert made.configured[workflow_roles.ENVIRONMENTS_VARIABLE] == "created"
    assert made.settings[0] == environments.WEAKER
    assert not [line for line in made.settings if line.startswith(("environment ", "reviewers ", "status App"))]


@pytest.mark.parametrize(("configure", "without"), [(True, False), (True, True), (False, False)])
def test_repository_that_github_does_not_show_is_an_error(
    checkout: Path, hub: LocalGitHub, configure: bool, without: bool
) -> None:
    """A wrong name is an error before anything is created, and no reason to suggest weaker settings."""
    del hub
    with pytest.raises(
        GitHubError, match="GitHub shows no repository o/wrong to this token; correct the name"
    ) as error:
        bootstrap.bootstrap(
            checkout,
            repository="o/wrong",
            code_owner="@acme/risk",
            configure=configure,
            without_environments=without,
        )
    assert "--without-environments" not in str(error.value)
    assert platform_stack.describe_stack(platform_stack.stack_name()) is None
    assert not (checkout / ".github/CODEOWNERS").exists()


def test_wrong_code_owner_is_an_error_before_anything_is_changed(checkout: Path, hub: LocalGitHub) -> None:
    """The name lacks its @; no environment is created."""
    with pytest.raises(UsageError, match="a code owner is @LOGIN or @ORG/TEAM"):
        bootstrap.bootstrap(checkout, repository="o/r", configure=True, code_owner="risk")
    assert not hub.backend.state.named("O/R").environments
    assert platform_stack.describe_stack(platform_stack.stack_name()) is None


def test_reviewer_that_github_does_not_know_is_named(checkout: Path, hub: LocalGitHub) -> None:
    """The error has the login that was given, and not only GitHub's 404."""
    del hub
    with pytest.raises(GitHubError, match="reviewer nobody: GitHub shows no such user to this token"):
        bootstrap.bootstrap(
            checkout, repository="o/r", configure=True, protect=bootstrap.Protection(reviewers=("nobody",))
        )


def test_configure_needs_a_name(checkout: Path) -> None:
    """The error is raised before anything is created."""
    with pytest.raises(UsageError, match="name it: --repository OWNER/NAME"):
        bootstrap.bootstrap(checkout, configure=True)
    assert platform_stack.describe_stack(platform_stack.stack_name()) is None


def test_token_without_administration_is_an_error(
    checkout: Path, hub: LocalGitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may read the repository and not its settings; nothing is changed in AWS."""
    monkeypatch.setenv("GITHUB_TOKEN", hub.token("bot[bot]", permissions={"actions": "read"}, repository="O/R"))
    with pytest.raises(Refused, match="Resource not accessible by integration"):
        bootstrap.bootstrap(checkout, repository="o/r", configure=True)
    assert platform_stack.describe_stack(platform_stack.stack_name()) is None


def test_plan_shows_deletions_first_and_changes_nothing(checkout: Path) -> None:
    """Deletions are counted, and no change set remains."""
    bootstrap.bootstrap(checkout, repository="acme/fraud")
    template = checkout / "infra/platform.yaml"
    text = template.read_text()
    alarm = re.search(r"^  DeadLettersAlarm:\n(?:    .*\n|\n)+", text, re.MULTILINE)
    assert alarm is not None
    template.write_text(text.replace(alarm[0], "").replace('"${DeadLettersAlarm.Arn}", ', ""))
    edit(template, *SHORTER_LOG)
    before = platform_stack.describe_stack(platform_stack.stack_name())
    planned = infra.plan(checkout)
    assert (planned.changes, planned.losing) == (3, 1)
    lines = [line for line in planned.markdown.splitlines() if line.startswith("| ") and "`AWS::" in line]
    assert "**deleted**" in lines[0]
    assert "`DeadLettersAlarm`" in lines[0]
    assert all("**" not in line for line in lines[1:])
    assert [name for name in ("`Dashboard`", "`DeployLog`") if any(name in line for line in lines[1:])] == [
        "`Dashboard`",
        "`DeployLog`",
    ]
    assert "**1 would or could be deleted or replaced.**" in planned.markdown
    assert platform_stack.describe_stack(platform_stack.stack_name()) == before
    sets = session.client("cloudformation").list_change_sets(StackName=platform_stack.stack_name())["Summaries"]
    assert sets == []


def test_apply_changes_the_platform_but_no_roles(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A change of the roles is a warning and is applied only by `bootstrap`."""
    bootstrap.bootstrap(checkout, repository="acme/fraud")
    edit(checkout / "infra/platform.yaml", *SHORTER_LOG)
    edit(checkout / "infra/github-oidc.yaml", "MaxSessionDuration: 3600", "MaxSessionDuration: 7200")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    done = infra.apply(checkout)
    assert (done.state, done.identity_changes) == ("updated", 1)
    assert "no workflow may change the rights of workflows" in capsys.readouterr().err
    assert "### What was changed in the account\n" in (tmp_path / "summary").read_text()
    assert "`DeployLog`" in (tmp_path / "summary").read_text()
    planned = infra.plan(checkout)
    assert f"Stack `{platform_stack.stack_name()}`: no changes." in planned.markdown
    assert "A person applies this" in planned.markdown
    assert bootstrap.bootstrap(checkout).identity == "updated"
    assert infra.plan(checkout).changes == 0


def test_failed_apply_reports_no_changes_as_made(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The summary has the planned changes and the error."""
    bootstrap.bootstrap(checkout)
    edit(checkout / "infra/platform.yaml", *SHORTER_LOG)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))

    def refused(*_: object) -> None:
        raise CloudError("DeployLog could not be changed: AccessDenied")

    monkeypatch.setattr(stack, "apply", refused)
    with pytest.raises(CloudError, match="AccessDenied"):
        infra.apply(checkout)
    summary = (tmp_path / "summary").read_text()
    assert "### Planned changes in the account that were not made\n" in summary
    assert "DeployLog could not be changed: AccessDenied" in summary


def test_changed_code_of_the_function_is_planned_and_applied(checkout: Path) -> None:
    """The archive's digest changes; `plan` uploads nothing, `apply` uploads the archive."""
    made = bootstrap.bootstrap(checkout)
    edit(checkout / "infra/deploy_model/logic.py", '"""', '"""Changed. ')
    planned = infra.plan(checkout)
    assert "`DeployFunction`" in planned.markdown

    def stored() -> int:
        return int(session.client("s3").list_objects_v2(Bucket=made.code_bucket)["KeyCount"])

    assert stored() == 1
    assert infra.apply(checkout).state == "updated"
    assert stored() == 2


def test_plan_and_apply_without_a_platform_name_bootstrap(checkout: Path) -> None:
    """The plan says that a person creates it; `apply` is refused."""
    planned = infra.plan(checkout)
    assert (planned.changes, planned.comment) == (0, None)
    assert "a person creates it with `fraudops bootstrap`" in planned.markdown
    with pytest.raises(CloudError, match="create it with `fraudops bootstrap`"):
        infra.apply(checkout)


def test_refused_template_is_an_error(checkout: Path) -> None:
    """The error states the operation and the stack."""
    bootstrap.bootstrap(checkout)
    (checkout / "infra/platform.yaml").write_text("Resources: [")
    with pytest.raises(CloudError, match="previewing changes of the stack"):
        infra.plan(checkout)

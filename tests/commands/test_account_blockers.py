"""The six faults that would have stopped the first real account, put back one by one.

Each is the former code or template, and the product's own verb meets it on the AWS emulator, which refuses it with the
code and the message that AWS documents or that users of AWS have reported. Without the fault the same verb succeeds on
the same emulator. The faults are listed in the order in which an account would have met them.
"""

from __future__ import annotations
import __future__

import inspect
import re
import textwrap
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from local_aws.server import LocalAws

from ml import config
from ml.aws import executions, platform_stack, session
from ml.aws.lake import Lake
from ml.aws.pipeline import sdk
from ml.aws.pipeline.model_environment import MODEL_ENVIRONMENT
from ml.commands import bootstrap as bootstrapping
from ml.commands.approve import approve
from ml.commands.bootstrap import bootstrap
from ml.commands.data_import import import_data
from ml.commands.deploy import deploy
from ml.commands.train import train
from ml.errors import CloudError, DeploymentFailed, FraudopsError, TrainingFailed
from ml.gitops.repository import Repository
from ml.simulate import stand_in_data, table_files
from tests.harness.aws.workflow_identity import WorkflowIdentity
from tests.harness.git.repositories import PERSON, GitWorkspace
from tests.harness.platform import adopted
from tests.harness.platform.job_images import IMAGES

ROOT = Path(__file__).resolve().parents[2]
ROWS, FRAUDS = 12_000, 60
REPOSITORY = "acme/fraud"
PLATFORM, ROLES = "infra/platform.yaml", "infra/github-oidc.yaml"
FIND_AND_XARGS = ";".join(
    [
        'cd "$1"',
        "s=$(find . ! -type d -print0|LC_ALL=C sort -z|xargs -0 sha256sum|sha256sum)",
        "u=${2%/}",
        '[ "${s%% *}" = "${u##*/}" ]||{ echo "$2 was replaced: its sha256 is ${s%% *}"|tee "$3">&2',
        "exit 1",
        "}",
        'exec bash run.sh "${@:4}"',
    ]
)
"""The former entry point of the jobs."""
DIGEST_OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@dataclass
class Adopter:
    """A repository of an adopter, and a name for the stacks of its account."""

    workspace: GitWorkspace
    stack: str
    cloud: LocalAws
    patch: pytest.MonkeyPatch

    @property
    def root(self) -> Path:
        """The checkout."""
        return self.workspace.root

    def edit(self, file: str, edits: Mapping[str, str]) -> None:
        """Replaces texts of a file, each of which it must have, and commits it."""
        text = self.workspace.text(file)
        for old, new in edits.items():
            assert old in text, f"{file} has no {old!r}"
            text = text.replace(old, new)
        self.workspace.write({file: text}, f"Put back a fault of {file}")

    def edit_code(self, owner: Any, name: str, old: str, new: str) -> None:
        """Replaces a function or method of the product by its source with one edit."""
        function = getattr(owner, name)
        source = textwrap.dedent(inspect.getsource(function))
        assert old in source, f"{name} has no {old!r}"
        flags = __future__.annotations.compiler_flag
        code = compile(source.replace(old, new), inspect.getfile(function), "exec", flags)
        names = dict(function.__globals__)
        exec(code, names)  # noqa: S102 - the product's own source, with the edit of this file
        self.patch.setattr(owner, name, names[name])

    def bootstrap(self, **options: Any) -> bootstrapping.Bootstrapped:
        """Both stacks."""
        return bootstrap(self.root, repository=REPOSITORY, **options)

    def import_data(self, sample: Path) -> None:
        """Fills the lake with the sample."""
        columns = config.load_settings(self.root).training.columns
        lake = Lake(platform_stack.read().bucket)
        import_data(str(sample), lake=lake, columns=columns, start=None, quarantine=False)

    def assume(self, role: str) -> None:
        """Goes on with the credentials of a workflow's role, by its variable."""
        WorkflowIdentity(self.cloud).assume(role, self.patch)

    def train(self, message: str) -> str:
        """Trains a new commit; the package that it registers."""
        self.workspace.git("commit", "-q", "--allow-empty", "-m", message)
        return train(self.root).package_arn


def steps_module() -> Any:
    """ml.aws.pipeline.steps, imported as the product does: the SDK warns and prints."""
    with sdk.quiet("us-east-1"):
        from ml.aws.pipeline import steps

    return steps


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """One account for the file."""
    with LocalAws(tmp_path_factory.mktemp("cloud"), images=IMAGES) as running:
        yield running


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few thousand transactions with enough frauds for the gate."""
    path = tmp_path_factory.mktemp("data") / "transactions.parquet"
    table_files.write(path, stand_in_data.draw(ROWS, frauds=FRAUDS, seed=3))
    return path


def adopter(cloud: LocalAws, folder: Path, stack: str, patch: pytest.MonkeyPatch) -> Adopter:
    """An adopter whose environment is the account; its endpoint has the name of its stack, and settles at once."""
    for name, value in cloud.environment().items():
        patch.setenv(name, value)
    patch.setenv("FRAUDOPS_STACK", stack)
    return Adopter(adopted.repository(folder, stack), stack, cloud, patch)


@pytest.fixture
def newcomer(cloud: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Adopter]:
    """An adopter without stacks."""
    cloud.quotas.reset()
    yield adopter(cloud, tmp_path / "repository", f"t{uuid.uuid4().hex[:8]}", monkeypatch)
    session.renew()


@dataclass(frozen=True)
class Sound:
    """An account that an adopter has used without any of the faults: what each verb returned."""

    folder: Path
    stack: str
    first: bootstrapping.Bootstrapped
    second: bootstrapping.Bootstrapped
    steps: Mapping[str, str]
    """The status of each step of the training, which ran with the role of train.yml."""
    parameters: Mapping[str, str]
    deployed: str


@pytest.fixture(scope="module")
def sound(cloud: LocalAws, sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Sound:
    """Bootstraps twice, trains with the workflow's role, approves and deploys."""
    folder = tmp_path_factory.mktemp("sound") / "repository"
    with pytest.MonkeyPatch.context() as patch:
        user = adopter(cloud, folder, "sound", patch)
        first, second = user.bootstrap(), user.bootstrap()
        user.import_data(sample)
        with pytest.MonkeyPatch.context() as workflow:
            WorkflowIdentity(cloud).assume(first.variables["FRAUDOPS_ROLE_TRAIN"], workflow)
            result = train(user.root)
            execution = executions.describe(result.execution_arn)
            parameters = executions.parameters(result.execution_arn)
        approve(user.root, result.package_arn, merge=True, approver=PERSON)
        state = deploy(user.root).state
    return Sound(
        folder, "sound", first, second, {step.name: step.status for step in execution.steps}, parameters, state
    )


@pytest.fixture
def user(sound: Sound, cloud: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Adopter]:
    """The adopter of the sound account, whose next runs are to have a fault."""
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FRAUDOPS_STACK", sound.stack)
    session.renew()
    workspace = GitWorkspace(root=sound.folder, repository=Repository(sound.folder))
    yield Adopter(workspace, sound.stack, cloud, monkeypatch)
    session.renew()


def reserve_one(user: Adopter, _: Path) -> None:
    """Blocker 1: one execution is reserved by default, whatever the account's quota is."""
    limits = "\n    MinValue: 0\n    MaxValue: 10"
    user.edit(PLATFORM, {f"    Default: 0{limits}": f"    Default: 1{limits}"})
    user.patch.setattr(bootstrapping, "_concurrency", lambda _: None)
    user.bootstrap()


def retain_names(user: Adopter, _: Path) -> None:
    """Blocker 1, second attempt: resources with fixed names survive the rollback of the first."""
    user.edit(PLATFORM, {"DeletionPolicy: RetainExceptOnCreate": "DeletionPolicy: Retain"})
    with pytest.raises(CloudError, match="UnreservedConcurrentExecution"):
        user.bootstrap(reserve_concurrency=1)
    user.patch.setattr(bootstrapping, "_refuse_retained_names", lambda _: None)
    user.bootstrap()


def hide_labels(user: Adopter, sample: Path) -> None:
    """Blocker 2: the role of train.yml may neither list nor read the delivered labels."""
    grant = '- !Sub "arn:${AWS::Partition}:s3:::${Bucket}/labels/*"  # deliveries, which the training set lists'
    user.edit(ROLES, {"[raw/*, labels/*, code/*": "[raw/*, code/*", grant: "# nothing below labels/"})
    made = user.bootstrap()
    user.import_data(sample)
    user.assume(made.variables["FRAUDOPS_ROLE_TRAIN"])
    user.train("Train without the labels")


def send_empty_parameters(user: Adopter, _: Path) -> None:
    """Blocker 3: parameters without a value are sent as empty strings."""
    user.edit_code(executions, "start", "sorted(parameters.items()) if value]", "sorted(parameters.items())]")
    user.train("Send every parameter")


def send_empty_arguments(user: Adopter, _: Path) -> None:
    """Blocker 4: an option without a value is two words, the second empty."""
    user.edit_code(
        steps_module().Workflow,
        "_prepare",
        '_option("--window-start", p["WindowStart"])',
        '*("--window-start", p["WindowStart"])',
    )
    user.train("Write options as two words")


def verify_with_find(user: Adopter, _: Path) -> None:
    """Blocker 5: the entry point needs findutils, which the image does not have."""
    user.patch.setattr(steps_module(), "VERIFIED", ("bash", "-ec", FIND_AND_XARGS, "verified"))
    user.train("Verify with find and xargs")


def build_in_isolation(user: Adopter, _: Path) -> None:
    """Blocker 6: nothing tells pip to build the model's code without a network."""
    former = dict(MODEL_ENVIRONMENT)
    del former["PIP_NO_BUILD_ISOLATION"]
    user.patch.setattr(steps_module(), "MODEL_ENVIRONMENT", former)
    approve(user.root, user.train("Register without the build setting"), merge=True, approver=PERSON)
    deploy(user.root)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A former fault: how it is met, and the error of the verb that meets it.

    `words` are AWS's, with its error code where the API returns one, and `source` shows them; `logged` is in the job's
    log; `control` is what the sound account shows instead.
    """

    meet: Callable[[Adopter, Path], None]
    account: str
    error: type[FraudopsError]
    words: str
    source: str
    control: Callable[[Sound], bool]
    logged: str = ""


FAULTS = {
    "1-reserved-concurrency": Fault(
        meet=reserve_one,
        account="newcomer",
        error=CloudError,
        words=(
            r"Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
            r"below its minimum value of \[10\]\. \(Service: Lambda, Status Code: 400"
        ),
        source="https://github.com/DataDog/datadog-serverless-functions/issues/621",
        control=lambda sound: sound.first.state == "created",
    ),
    "1-retained-names": Fault(
        meet=retain_names,
        account="newcomer",
        error=CloudError,
        words=(
            r"Resource of type 'AWS::(Logs::LogGroup|SageMaker::ModelPackageGroup)' with identifier '.*' already "
            r"exists\.\" \(RequestToken: [0-9a-f-]{36}, HandlerErrorCode: AlreadyExists\)"
        ),
        source="https://github.com/aws-solutions/amazon-marketing-cloud-uploader-from-aws/issues/167",
        control=lambda sound: sound.second.state == "unchanged",
    ),
    "2-labels-of-the-train-role": Fault(
        meet=hide_labels,
        account="newcomer",
        error=CloudError,
        words=(
            r"ListObjectsV2 was refused with AccessDenied: User: "
            r"arn:aws:sts::123456789012:assumed-role/\S+-TrainRole-\S+/run-1 is not authorized to perform: "
            r"s3:ListBucket on resource: \"arn:aws:s3:::\S+\" because no identity-based policy allows the "
            r"s3:ListBucket action"
        ),
        source="https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html",
        control=lambda sound: sound.steps["Prepare"] == "Succeeded",
    ),
    "3-empty-parameters": Fault(
        meet=send_empty_parameters,
        account="user",
        error=CloudError,
        words=(
            r"StartPipelineExecution was refused with ValidationException: "
            r"\[string \"\" is too short \(length: 0, required minimum: 1\)\]"
        ),
        source="https://github.com/aws/sagemaker-python-sdk/issues/4016",
        control=lambda sound: sound.parameters["WindowStart"] == "" and sound.steps["Register"] == "Succeeded",
    ),
    "4-empty-arguments": Fault(
        meet=send_empty_arguments,
        account="user",
        error=TrainingFailed,
        words=(
            r"ClientError: Failed to invoke sagemaker:CreateProcessingJob\. Error Details: Found null or empty string "
            r"in ContainerArguments at index \d+\. ContainerArguments and ContainerEntrypoint may not contain null or "
            r"empty strings\."
        ),
        source="https://github.com/aws/sagemaker-python-sdk/issues/3758",
        control=lambda sound: sound.steps["Evaluate"] == "Succeeded",
    ),
    "5-missing-commands": Fault(
        meet=verify_with_find,
        account="user",
        error=TrainingFailed,
        words=rf"ClientError: AlgorithmError: s3://\S+ was replaced: its sha256 is {DIGEST_OF_NOTHING}, exit code: 1",
        logged="find: command not found",
        source="https://github.com/amazonlinux/amazon-linux-2023/issues/355",
        control=lambda sound: sound.steps["Train"] == "Succeeded",
    ),
    "6-build-without-a-network": Fault(
        meet=build_in_isolation,
        account="user",
        error=DeploymentFailed,
        words=(
            r"The primary container for production variant AllTraffic did not pass the ping health check\. Please "
            r"check CloudWatch logs for this endpoint\..*No matching distribution found for setuptools"
        ),
        source="https://github.com/aws/sagemaker-scikit-learn-container/issues/82",
        control=lambda sound: sound.deployed == "created",
    ),
}


DENIES = {"2-labels-of-the-train-role"}
DENIED = pytest.mark.denied_calls("the train role lacks the permission")


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(name, marks=DENIED if name in DENIES else ()) for name in FAULTS])
def test_fault_is_refused_in_awss_words(
    request: pytest.FixtureRequest, sample: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """The verb fails with AWS's code and message."""
    fault = FAULTS[name]
    with pytest.raises(fault.error) as caught:
        fault.meet(request.getfixturevalue(fault.account), sample)
    assert re.search(fault.words, str(caught.value)), f"{caught.value}\nexpected as in {fault.source}"
    assert fault.logged in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_verb_succeeds_without_the_fault(sound: Sound, name: str) -> None:
    """On the same emulator."""
    assert FAULTS[name].control(sound)

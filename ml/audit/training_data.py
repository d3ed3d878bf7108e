"""Names the imports that a model was trained on, and compares the lake with the training set's listing. Reads only.

The listing is verified by its digest, which the approval record has. Files are compared by their size and by the digest
that the lake stored with them; their content is not read, because it may have gigabytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ml.aws import training_sets
from ml.aws.import_manifest import StoredFile
from ml.aws.labels import store
from ml.aws.lake import Lake
from ml.errors import DataError


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """The training set of a model. `imports` are named as `fraudops data list` names them.

    `label_files` counts labels that were delivered later. `disagreements` names each object that is not as listed.
    """

    sha256: str
    files: int
    imports: tuple[str, ...]
    label_files: int
    disagreements: tuple[str, ...]


class StoredData:
    """What the lake `bucket` has; each object is looked at once."""

    def __init__(self, bucket: str) -> None:
        self._lake = Lake(bucket)
        self._held: dict[StoredFile, bool] = {}

    def training_set(self, sha256: str) -> TrainingData:
        """The training set with that digest.

        Raises:
            CloudError: S3 refuses or cannot be reached.
        """
        try:
            listed = training_sets.listing(self._lake.bucket, sha256)
        except DataError as error:
            return TrainingData(sha256=sha256, files=0, imports=(), label_files=0, disagreements=(str(error),))
        wrong, imports, labels = [], list[str](), 0
        for key, digest in listed:
            stored, owner = self._files.get(key, (None, ""))
            uri = self._lake.uri(key)
            if stored is None:
                wrong.append(f"{uri} is in training set {sha256[:12]}, and no import or delivery of the lake has it")
            elif stored.sha256 != digest:
                wrong.append(f"{uri} has sha256 {digest} in training set {sha256[:12]}, and {stored.sha256} now")
            elif not self._holds(stored):
                wrong.append(f"{uri} is missing or was rewritten: it is not the object of training set {sha256[:12]}")
            if owner and owner not in imports:
                imports.append(owner)
            labels += not owner
        return TrainingData(
            sha256=sha256, files=len(listed), imports=tuple(imports), label_files=labels, disagreements=tuple(wrong)
        )

    @cached_property
    def _files(self) -> dict[str, tuple[StoredFile, str]]:
        """Every file by its key, with its import; '' for labels that were delivered later."""
        bucket = self._lake.bucket
        files = {item.key: (item, "") for item in store.others(bucket)}
        files |= {item.file.key: (item.file, "") for item in store.deliveries(bucket)}
        return files | {file.key: (file, item.name) for item in self._lake.imports() for file in item.files}

    def _holds(self, file: StoredFile) -> bool:
        if file not in self._held:
            self._held[file] = self._lake.holds(file)
        return self._held[file]

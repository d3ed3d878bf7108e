"""The file that hands the gate's result from `train` to `propose` or `record-failure`. Decides nothing.

It carries names and evidence and decides nothing: whoever approves asks the registry again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ml.errors import ConfigError

_SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a training run came to; `package_arn` and `version` are None where the gate said no."""

    verdict: Literal["passed", "failed"]
    reason: str
    """The gate's own words."""
    execution_arn: str
    package_arn: str | None
    version: int | None
    commit: str
    requests: tuple[str, ...]
    asked: str
    """Why somebody started the run by hand, in their words; '' if nobody did."""
    evaluation: Mapping[str, Any]
    evaluation_uri: str

    @property
    def execution_id(self) -> str:
        """The execution's own part of its ARN."""
        return self.execution_arn.rsplit("/", 1)[-1]

    def write(self, file: Path) -> None:
        """Writes `file`, whole or not at all."""
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f".{file.name}.{os.getpid()}")
        draft.write_text(json.dumps({"schema": _SCHEMA, **asdict(self)}, indent=2) + "\n", encoding="utf-8")
        draft.replace(file)

    @classmethod
    def read(cls, file: Path) -> Outcome:
        """The outcome in `file`. Raises ConfigError where it is not there, or was not written by `train`."""
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ConfigError(
                f"{file}: no such file; `fraudops train --outcome {file}` writes it when the gate has decided"
            ) from None
        except (OSError, ValueError) as error:
            raise ConfigError(f"{file}: must be what `fraudops train --outcome` writes ({error})") from error
        fields = dict(document) if isinstance(document, dict) else {}
        if fields.pop("schema", None) != _SCHEMA or set(fields) != set(cls.__dataclass_fields__):
            raise ConfigError(f"{file}: must be what this version's `fraudops train --outcome` writes; train again")
        return cls(**(fields | {"requests": tuple(fields["requests"])}))

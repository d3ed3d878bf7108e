"""Creates the records of the jobs of an attempt, also one for each combination of a matrix. Runs nothing."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence

from local_github.actions.run_records import Job, Run, Step, step_name
from local_github.actions.workflow_file import Job as Definition


class JobRecorder:
    """Adds job records to a run. `lock` guards them for readers."""

    def __init__(self, run: Run, *, lock: threading.RLock, new_id: Callable[[], int]) -> None:
        self._run, self._lock, self._new_id = run, lock, new_id
        self._numbers = itertools.count()
        self._logs = run.attempt_folder / "logs"
        self._logs.mkdir(parents=True, exist_ok=True)

    def add(self, definition: Definition, key: str, name: str) -> Job:
        """Adds a queued job at the end."""
        job = self._create(definition, key, name)
        with self._lock:
            self._run.jobs.append(job)
        return job

    def replace(self, job: Job, others: Sequence[Job]) -> None:
        """Puts `others` in the place of a job, such as the jobs of a matrix; the job may be one of them."""
        with self._lock:
            index = self._run.jobs.index(job)
            self._run.jobs[index : index + 1] = others

    def copies(self, job: Job, definition: Definition, count: int) -> list[Job]:
        """The job and new ones like it, `count` in all, in its place."""
        jobs = [job, *(self._create(definition, job.key, job.name) for _ in range(count - 1))]
        self.replace(job, jobs)
        return jobs

    def created(self, definitions: Sequence[tuple[Definition, str, str]]) -> list[Job]:
        """New jobs by (definition, key, name) that are not yet in the run."""
        return [self._create(*entry) for entry in definitions]

    def _create(self, definition: Definition, key: str, name: str) -> Job:
        number = next(self._numbers)
        job = Job(id=self._new_id(), key=key, name=name, path=self._logs / "x")
        titles = [
            ("", "Set up job"),
            *((str(raw.get("id", index)), step_name(raw)) for index, raw in enumerate(definition.steps())),
            ("", "Complete job"),
        ]
        folder = self._logs / f"{number}_{job.id}"
        folder.mkdir()
        for position, (step, title) in enumerate(titles, start=1):
            job.steps.append(Step(number=position, key=step, name=title, path=folder / f"{position}.txt"))
        job.path = folder / "job.txt"
        return job

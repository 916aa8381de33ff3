"""The one class that owns the paths of a project (runbook sections 2 and 6)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from faceapi.contract.results import probabilities_file
from orchestrator.history.place import Place
from search_spaces.runbook import Experiment
from trainable.base.config import PARTS
from trainable.base.paths import RunPaths


@dataclass(frozen=True)
class ProjectPaths:
    """`root` is where the data lies and is never written to unless `output` is the same folder (the default)."""

    root: Path
    output: Path

    # -- input

    def training_csvs(self, split: str) -> dict[str, Path]:
        folder = self.root / "data_shared" / "cropped_faces_csv"
        return {part: folder / f"{part}_{split}.csv" for part in PARTS}

    def faceapi_csv(self, split: str) -> Path:
        return self.root / "data_shared" / "splits_csv" / f"test_{split}.csv"

    @property
    def faceapi_baseline(self) -> Path:
        """Where the runbook runs its own evaluator."""
        return self.root / "models" / "faceapi_baseline"

    # -- results

    def run(self, experiment: Experiment) -> RunPaths:
        """The folder of an experiment's fixed run."""
        return RunPaths(self._classifier / "runs" / experiment.folder)

    def trials(self, experiment: Experiment) -> Path:
        """The folder of an experiment's sweeps."""
        return self._classifier / "sweeps" / experiment.folder

    def trial(self, experiment: Experiment, folder: str) -> RunPaths:
        """The folder of one trial or confirmation of the experiment's sweeps."""
        return RunPaths(self.trials(experiment) / folder)

    def faceapi_results(self, experiment: Experiment) -> Path:
        return self.output / "models" / "faceapi_baseline" / "results" / f"{experiment.folder}_eval.csv"

    def manifest(self, experiment: Experiment) -> Path:
        """What a finished experiment says of itself."""
        if experiment.trains:
            return self.run(experiment).manifest
        results = self.faceapi_results(experiment)
        return results.with_name(f"{results.stem}.manifest.json")

    def place(self, experiment: Experiment) -> Place:
        """Where the current result of an experiment lies, and where its earlier ones are kept."""
        manifest = self.manifest(experiment)
        if experiment.trains:
            run, history = self.run(experiment), self._classifier / "history" / experiment.folder
            return Place(run.files, run.results, manifest, run.owner, run.checkpoints, history)
        csv, marker = self.faceapi_results(experiment), self.begun_evaluation(experiment) / "replacing.json"
        files, history = (csv, probabilities_file(csv)), csv.parents[1] / "history" / experiment.folder
        return Place(files, (csv,), manifest, marker, None, history)

    # -- reports

    @property
    def reports(self) -> Path:
        return self.output / "reports"

    @property
    def summary(self) -> Path:
        return self.reports / "summary_overall_7exp.csv"

    @property
    def per_class(self) -> Path:
        return self.reports / "per_class_all_7exp.csv"

    @property
    def faceapi_rows(self) -> Path:
        return self.reports / "faceapi_rows_per_class.csv"

    @property
    def index(self) -> Path:
        return self.reports / "index.html"

    def report(self, experiment: Experiment, kind: str) -> Path:
        """`kind` is cm_counts, cm_row_normalized or per_class_metrics."""
        return self.reports / f"{experiment.folder}_{kind}.csv"

    def sweep(self, experiment: Experiment, kind: str) -> Path:
        """`kind` is a file name's end: .csv (a row a trial), _best.json, _confirmation.csv or _verdict.json."""
        return self.reports / "sweeps" / f"{experiment.folder}{kind}"

    @property
    def _classifier(self) -> Path:
        return self.output / "models" / "mobilenetv3_classifier"

    # -- our own

    @property
    def internal(self) -> Path:
        """Logs, Tune's records, networks, parts of FaceAPI; safe to delete when nothing runs."""
        return self.output / ".emosweep"

    @property
    def lock(self) -> Path:
        return self.internal / "run.lock"

    @property
    def notice(self) -> Path:
        """What the run says of itself to whoever looks (see `orchestrator.execution.notice`)."""
        return self.internal / "run.json"

    @property
    def wish(self) -> Path:
        """What somebody asks of the run."""
        return self.internal / "wish.json"

    @property
    def logs(self) -> Path:
        return self.internal / "logs"

    @property
    def cpu_shares(self) -> Path:
        """Which CPUs are whose while a run is under way (see `orchestrator.execution.cpu_shares`)."""
        return self.internal / "cpus.json"

    @property
    def accelerators(self) -> Path:
        """Which type of GPU has trained the runs that are not done (see `orchestrator.execution.accelerators`)."""
        return self.internal / "accelerators.json"

    @property
    def tune(self) -> Path:
        return self.internal / "tune"

    @property
    def networks(self) -> Path:
        """face-api's networks, converted."""
        return self.internal / "networks"

    def begun_evaluation(self, experiment: Experiment) -> Path:
        """What is noted of an evaluation while it is not finished."""
        return self.internal / "faceapi" / experiment.folder

    def begun_rows(self, experiment: Experiment) -> Path:
        """How many rows of an evaluation are done, and of how many."""
        return self.begun_evaluation(experiment) / "rows.json"

    @property
    def faceapi_answers(self) -> Path:
        """What has been found on photos (see `orchestrator.execution.faceapi_answers`)."""
        return self.internal / "faceapi" / "answers"

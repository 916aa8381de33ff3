"""What the two FaceAPI engines cost: images a second and CPU per image, in one process and in several at once.

    python benchmarks/faceapi_engines.py --project-root DIR [--split M1] [--images 300] [--input-size 416]
    python benchmarks/faceapi_engines.py --project-root DIR --memory 5000

Every process evaluates the same `--images` rows (the split's, again and again), photos in the page cache. A run of one
row is subtracted, so that what is compared is the work and not the start. `--memory` follows the onnx engine's memory.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from faceapi.contract.labels import LabelledRow, labelled
from faceapi.contract.settings import FaceApiSettings
from faceapi.node.process import EVALUATOR, NODE_DIR
from faceapi.python.networks import load_networks
from faceapi.setup import find_models
from orchestrator.planning.paths import ProjectPaths
from trainable.data.tables import BOX_COLUMNS, load_table


@dataclass(frozen=True)
class Bench:
    """One project's rows and the weights, as both engines want them."""

    root: Path
    rows: list[LabelledRow]
    models: Path
    input_size: int
    folder: Path

    def csv(self, images: int) -> Path:
        """A split of `images` rows."""
        path = self.folder / f"{images}.csv"
        lines = [",".join(("path", "label", *BOX_COLUMNS))]
        for row in itertools.islice(itertools.cycle(self.rows), images):
            lines.append(",".join(map(str, (row.path, row.label, *row.box))))
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def command(self, engine: str, images: int, number: int) -> list[str]:
        split = self.csv(images)
        if engine == "node":
            found = [shutil.which("node") or "node", NODE_DIR / EVALUATOR, split, self.models]
            found += [self.folder / f"{number}.out", "--project-root", self.root, "--input-size", self.input_size]
        else:
            found = [sys.executable, __file__, "--project-root", self.root, "--worker", split, "--models", self.models]
            found += ["--cache", self.folder, "--input-size", self.input_size]
        return [str(part) for part in found]


def run(bench: Bench, engine: str, images: int, processes: int) -> tuple[float, float]:
    """Seconds until the last of `processes` ended, and CPU seconds of all of them."""
    began = time.perf_counter()
    started = [subprocess.Popen(bench.command(engine, images, n), stdout=subprocess.DEVNULL) for n in range(processes)]
    cpu = 0.0
    for process in started:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, f"{engine} ended with {process.returncode}"
        cpu += used.ru_utime + used.ru_stime
    return time.perf_counter() - began, cpu


def work(split: Path, root: Path, models: Path, cache: Path, input_size: int) -> None:
    """The onnx engine on a whole split, in this process."""
    from faceapi.python.engine import evaluate_rows

    table = load_table(split, root, boxes=True)
    evaluate_rows(labelled(table, FaceApiSettings()), 0.5, load_networks(models, input_size, cache))


def follow_memory(bench: Bench, images: int) -> None:
    from faceapi.python.engine import evaluate_rows

    networks = load_networks(bench.models, bench.input_size, bench.folder)
    rows = itertools.cycle(bench.rows)
    print("| images | resident, MB |\n|---:|---:|")
    for done in range(0, images, 500):
        evaluate_rows(list(itertools.islice(rows, 500)), 0.5, networks)
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        print(f"| {done + 500} | {pages * os.sysconf('SC_PAGE_SIZE') / 2**20:.1f} |", flush=True)


def compare(bench: Bench, images: int, processes: list[int], repeats: int) -> None:
    print("| engine | processes | images/s | CPU ms/image |\n|---|---:|---:|---:|")
    for count in processes:
        cost = {}
        for engine in ("onnx", "node"):
            run(bench, engine, 1, count)  # converts the networks, fills the page cache
            start = [min(run(bench, engine, 1, count)[k] for _ in range(repeats)) for k in (0, 1)]
            runs = [run(bench, engine, images + 1, count) for _ in range(repeats)]
            wall, cpu = (sorted(r[k] for r in runs)[len(runs) // 2] - start[k] for k in (0, 1))
            cost[engine] = cpu / (images * count)
            print(f"| {engine} | {count} | {images * count / wall:.1f} | {1000 * cost[engine]:.2f} |", flush=True)
        print(f"| node / onnx | {count} | | {cost['node'] / cost['onnx']:.2f} x |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project-root", type=Path, required=True)
    parser.add_argument("--split", default="M1")
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--input-size", type=int, default=416)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", type=int, metavar="IMAGES", help="follow the onnx engine's memory instead")
    for hidden in ("--worker", "--models", "--cache"):
        parser.add_argument(hidden, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.worker, options.project_root, options.models, options.cache, options.input_size)
        return
    paths = ProjectPaths(options.project_root, options.project_root)
    rows = labelled(load_table(paths.faceapi_csv(options.split), paths.root, boxes=True), FaceApiSettings())
    with tempfile.TemporaryDirectory() as folder:
        root, models = paths.root.resolve(), find_models(FaceApiSettings(), paths.faceapi_baseline)
        bench = Bench(root, rows, models, options.input_size, Path(folder))
        if options.memory:
            follow_memory(bench, options.memory)
        else:
            compare(bench, options.images, options.processes, options.repeats)


if __name__ == "__main__":
    main()

"""Runs a `TrainingQueue` on nodes that do not exist, from event to event: no Ray, no torch, no waiting."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.execution.cluster import Cluster, Request
from orchestrator.execution.queue import TrainingQueue
from orchestrator.simulation.costs import Overheads, Work, made_up_score
from trainable.run.history import TrialHistory

Score = Callable[[str, int], float]


@dataclass
class _Node:
    """A node, its idle processes, and the images that it has.

    Args:
        ready: when all of its images are decoded.
        featured: of how many of them the frozen layers' features are known.
    """

    cpus: float
    gpus: float
    all_cpus: int
    far: bool
    idle: Counter[Request] = field(default_factory=Counter)
    images: int = 0
    ready: float = 0.0
    featured: int = 0


@dataclass
class Seen:
    """What a simulation has come to, in seconds.

    Args:
        end: when the last training has ended.
        used: for which trainings held their slots, by slot: GPUs, or CPUs where there is no GPU.
        work: of `used`, the epochs and tests alone.
        starts: names, in the order in which they were started or resumed.
        last: the training that ended last.
    """

    end: float = 0.0
    used: float = 0.0
    work: float = 0.0
    most: int = 0
    processes: int = 0
    events: int = 0
    starts: list[str] = field(default_factory=list)
    histories: dict[str, TrialHistory] = field(default_factory=dict)
    last: str = ""


class Machine:
    """The pretended nodes; `now` is the time that they have come to, in seconds.

    Args:
        score: made up, by a training's name and its epoch.
    """

    def __init__(self, cluster: Cluster, overheads: Overheads, score: Score = made_up_score) -> None:
        self.cluster, self.overheads, self.score = cluster, overheads, score
        self.nodes = [_Node(cpus, gpus, cpus, far=bool(i)) for i, (cpus, gpus) in enumerate(cluster.nodes)]
        self.now = 0.0
        self.seen = Seen()
        self._link_free = 0.0
        self._running: dict[str, tuple[Work, _Node, float]] = {}
        self._events: list[tuple[float, int, str]] = []

    def clock(self) -> float:
        return self.now

    def run(self, queue: TrainingQueue, work_of: Callable[[str], Work]) -> None:
        """Run all trainings of the queue, whose limits read this machine's clock, in new processes."""
        for node in self.nodes:
            node.idle.clear()
        while True:
            queue.dropped()
            while (name := queue.next()) is not None:
                queue.started(name)
                self._start(work_of(name))
            if not self._events:
                return
            self.now = self._events[0][0]
            while self._events and self._events[0][0] == self.now:
                self._epoch(queue, heapq.heappop(self._events)[2])

    def _start(self, work: Work) -> None:
        name, request = work.entry.name, work.entry.request
        node = self._place(request)
        node.cpus -= request.share.cpus
        node.gpus -= request.share.gpus
        wait = self.overheads.begin + self._images(node, work) + self._process(node, request)
        if node.featured < work.images:
            wait += work.features * (1 - node.featured / work.images)
            node.featured = work.images
        self._running[name] = work, node, self.now
        self.seen.histories.setdefault(name, work.history)
        self.seen.starts.append(name)
        self.seen.most = max(self.seen.most, len(self._running))
        self._plan_epoch(name, wait)

    def _place(self, request: Request) -> _Node:
        """The first node with room; where there are only gaps too small for it, the emptiest."""
        share = request.share
        rooms = (node for node in self.nodes if node.cpus >= share.cpus and node.gpus >= share.gpus - 1e-9)
        return next(rooms, None) or max(self.nodes, key=lambda node: (node.gpus, node.cpus))

    def _process(self, node: _Node, request: Request) -> float:
        if node.idle[request]:
            node.idle[request] -= 1
            return 0.0
        self.seen.processes += 1
        return self.overheads.process

    def _images(self, node: _Node, work: Work) -> float:
        """Seconds until the node has the training's images. Smaller splits count as parts of larger ones, as the
        runbook's are; the driver sends to one node after the other."""
        missing, costs = work.images - node.images, self.overheads
        if missing > 0:
            node.images = work.images
            arrived = self.now
            if node.far and costs.image_bytes:
                self._link_free = arrived = max(self._link_free, self.now) + missing * costs.image_bytes / costs.link
            decoded = self.now + (missing / (costs.decoding * node.all_cpus) if costs.decoding else 0.0)
            node.ready = max(node.ready, arrived, decoded)
        return max(0.0, node.ready - self.now)

    def _plan_epoch(self, name: str, wait: float = 0.0) -> None:
        work = self._running[name][0]
        epoch = len(self.seen.histories[name]) - len(work.history)
        last = epoch + 1 == len(work.seconds)
        seconds = work.seconds[epoch] + (work.test if last else 0.0)
        self.seen.work += seconds * _slots(work)
        self.seen.events += 1
        heapq.heappush(self._events, (self.now + wait + seconds + self.overheads.epoch, self.seen.events, name))

    def _epoch(self, queue: TrainingQueue, name: str) -> None:
        work, known = self._running[name][0], self.seen.histories[name]
        score, stage = self.score(name, len(known) + 1), work.config.stage_at(len(known))
        history = TrialHistory((*known.scores, score), (*known.stages, stage))
        self.seen.histories[name] = history
        if len(history) == len(work.history) + len(work.seconds):
            self._leave(name)
            queue.completed(name, history)
            return
        verdict, _ = queue.epoch(name, history)
        if verdict == "go":
            self._plan_epoch(name)
            return
        self._leave(name)
        if verdict == "stop":
            queue.ended(name)

    def _leave(self, name: str) -> None:
        """The training gives its slot back, and its process waits for the next one."""
        work, node, since = self._running.pop(name)
        request = work.entry.request
        node.cpus += request.share.cpus
        node.gpus += request.share.gpus
        node.idle[request] += 1
        self.seen.used += (self.now - since) * _slots(work)
        self.seen.end, self.seen.last = self.now, name


def _slots(work: Work) -> float:
    return work.entry.request.share.gpus or float(work.entry.request.share.cpus)

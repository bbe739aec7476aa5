"""The simulated pool: workers that start slowly, straggle, crash, hang and are preempted, in virtual time.

Invariants: as any pool (pool.py). The same world, seed and calls give the same events at the same times; nothing here
waits, reads a clock or knows what a take is: what becomes of it follows from its lease.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from farm.bench import FINISHING, LOADING, RENDERING
from farm.dispatch.agenda import Agenda
from farm.dispatch.events import Beat, Event, Lease, TakeFaulted, TakeSettled, WorkerLost, WorkerReady
from farm.dispatch.world import Account, Kind, World, chance, ending
from farm.outcomes import blank_outcome
from farm.values import Blame, Outcome, Task

Heard = tuple[Event, Outcome | None]

_POISON = 1  # what a chance is for; world.py and night.py have others


@dataclass(slots=True)
class _Machine:
    name: str
    kind: Kind
    node: int
    resident: tuple[str, ...] = ()
    tasks: dict[Lease, Task] = field(default_factory=dict)
    waiting: deque[Lease] = field(default_factory=deque)
    rendering: Lease | None = None
    began_s: float = 0.0
    finishing: set[Lease] = field(default_factory=set)
    paid_from_s: float | None = None
    alive: bool = True
    hung: bool = False


class SimulatedPool:
    """Workers in `world`; `model_of` names the model of a shot."""

    slots: int | None = None

    def __init__(self, world: World, model_of: Callable[[int], str], agenda: Agenda, seed: int) -> None:
        self.account = Account()
        self._world = world
        self._model_of = model_of
        self._agenda = agenda
        self._seed = seed
        self._dice = Random(f"pool {seed}")
        self._machines: dict[str, _Machine] = {}
        self._heard: list[Heard] = []
        self._started = 0
        self._capacity_s = 0.0  # when the next worker finds room
        self._store_back_s = -math.inf
        self._sometime(world.waves_h, self._wave)
        self._sometime(world.outages_h, self._outage)

    @property
    def paid_s(self) -> float:
        """Seconds that workers have been paid for until now."""
        since = [machine.paid_from_s for machine in self._machines.values()]
        return self.account.paid_s + sum(self._now_s - from_s for from_s in since if from_s is not None)

    @property
    def store_answers(self) -> bool:
        return self._now_s >= self._store_back_s

    def start(self, worker: str, model: str) -> None:
        world = self._world
        kinds = world.kinds
        kind = kinds[0]
        if len(kinds) > 1:
            kind = self._dice.choices(kinds, [kind.share for kind in kinds])[0]
        self._machines[worker] = machine = _Machine(worker, kind, self._started // world.workers_per_node)
        self._started += 1
        self._capacity_s = max(self._capacity_s, self._now_s)
        if world.arriving_h:
            self._capacity_s += 3600 / world.arriving_h
        delay_s = self._capacity_s - self._now_s + kind.start.draw(self._dice)
        self._agenda.later(delay_s, self._boots, machine, model)

    def render(self, lease: Lease, task: Task | None = None) -> None:
        machine = self._machines.get(lease.worker)
        if machine is None:
            return  # its WorkerLost was told behind the event that this answers
        if task is not None:
            machine.tasks[lease] = task
        machine.waiting.append(lease)
        self._begin(machine)

    def cancel(self, lease: Lease) -> None:
        machine = self._machines.get(lease.worker)
        if machine is None or machine.hung:
            return
        if machine.rendering == lease:
            self._lost_attempt(machine)
        elif lease in machine.waiting:
            machine.waiting.remove(lease)
        else:
            return  # it is done but for its end
        self._say(TakeFaulted(lease, Blame.WORKER, "overdue", "cancelled"))
        self._begin(machine)

    def stop(self, worker: str, *, gently: bool) -> None:
        machine = self._machines.get(worker)
        if machine is not None:
            self._gone(machine)
        self._heard = [(event, outcome) for event, outcome in self._heard if whose(event) != worker]

    def poll(self, timeout_s: float) -> list[Heard]:
        if not self._heard:
            self._agenda.go_on(timeout_s)
        heard, self._heard = self._heard, []
        return heard

    def close(self) -> None:
        for worker in list(self._machines):
            self.stop(worker, gently=True)

    # --- a worker's life ------------------------------------------------------------------------------

    def _boots(self, machine: _Machine, model: str) -> None:
        if not machine.alive:
            return
        machine.paid_from_s = self._now_s
        load_s = self._world.loads[model].draw(self._dice)
        if self._roll(self._world.bad_starts):
            self._agenda.later(load_s, self._dies, machine, "died", "while it loaded its model")
        else:
            self._agenda.later(load_s, self._is_ready, machine, model, load_s)

    def _is_ready(self, machine: _Machine, model: str, load_s: float) -> None:
        if not machine.alive:
            return
        machine.resident = (model,)
        self.account.load_s += load_s
        kind, world = machine.kind, self._world
        node, price = f"node-{machine.node}", kind.price_usd_h
        self._say(WorkerReady(machine.name, node, kind.accelerator, load_s, price, machine.resident))
        self._sometime(world.crashes_h, self._dies, machine, "died", "crashed")
        self._sometime(world.hangs_h, self._hangs, machine)

    def _dies(self, machine: _Machine, kind: str, message: str, preempted: bool = False) -> None:
        if machine.alive:
            self._gone(machine)
            self.account.crashed += not preempted
            self.account.preempted += preempted
            self._say(WorkerLost(machine.name, kind, message, preempted))

    def _hangs(self, machine: _Machine) -> None:
        if machine.alive:
            machine.hung = True
            self.account.hung += 1

    def _gone(self, machine: _Machine) -> None:
        machine.alive = False
        del self._machines[machine.name]
        if machine.paid_from_s is not None:
            self.account.paid_s += self._now_s - machine.paid_from_s
        if machine.rendering is not None:
            self._lost_attempt(machine)
        self.account.lost += len(machine.finishing)

    # --- a take's life --------------------------------------------------------------------------------

    def _begin(self, machine: _Machine) -> None:
        if machine.hung or machine.rendering is not None or not machine.waiting:
            return
        lease = machine.waiting.popleft()
        model, world, dice = self._model_of(lease.shot), self._world, self._dice
        machine.rendering, load_s = lease, 0.0
        machine.began_s = self._now_s
        if model not in machine.resident:
            load_s = world.loads[model].draw(dice)
            self._say(Beat(lease, LOADING))
            self.account.load_s += load_s
        machine.resident = (*(one for one in machine.resident if one != model), model)[-world.holds :]
        render_s = world.takes[model].draw(dice) * machine.kind.slower
        if self._roll(world.straggling):
            render_s *= world.straggler
        if load_s:
            self._agenda.later(load_s, self._renders, machine, lease, load_s, render_s)
        else:
            self._renders(machine, lease, load_s, render_s)

    def _renders(self, machine: _Machine, lease: Lease, load_s: float, render_s: float) -> None:
        if machine.hung or machine.rendering != lease or not machine.alive:
            return
        machine.began_s = self._now_s
        self._step(machine, lease, 0, render_s)
        if chance(self._seed, _POISON, lease.shot, lease.take) < self._world.poison:
            self._agenda.later(
                render_s * self._dice.random(), self._poisoned, machine, lease, "died", "poison"
            )
        elif self._roll(self._world.faults):
            self._agenda.later(render_s * self._dice.random(), self._fails, machine, lease)
        else:
            self._agenda.later(render_s, self._rendered, machine, lease, load_s, render_s)

    def _step(self, machine: _Machine, lease: Lease, done: int, render_s: float) -> None:
        if machine.hung or machine.rendering != lease or not machine.alive:
            return
        steps = self._world.steps
        self._say(Beat(lease, RENDERING, done, steps))
        if done < steps:
            self._agenda.later(render_s / (steps + 1), self._step, machine, lease, done + 1, render_s)

    def _poisoned(self, machine: _Machine, lease: Lease, kind: str, message: str) -> None:
        if machine.rendering == lease:
            self._dies(machine, kind, message)

    def _fails(self, machine: _Machine, lease: Lease) -> None:
        if machine.alive and not machine.hung and machine.rendering == lease:
            self._lost_attempt(machine)
            self._say(TakeFaulted(lease, Blame.WORKER, "RuntimeError", "an error of the device"))
            self._begin(machine)

    def _rendered(self, machine: _Machine, lease: Lease, load_s: float, render_s: float) -> None:
        if machine.hung or machine.rendering != lease or not machine.alive:
            return
        machine.rendering = None
        machine.finishing.add(lease)
        self.account.render_s += render_s
        self._say(Beat(lease, FINISHING))
        finish_s = self._world.finish.draw(self._dice)
        self._agenda.later(finish_s, self._stores, machine, lease, load_s, render_s + finish_s)
        self._begin(machine)

    def _stores(self, machine: _Machine, lease: Lease, load_s: float, take_s: float) -> None:
        if machine.hung or not machine.alive or lease not in machine.finishing:
            return
        away_s = self._store_back_s - self._now_s
        if away_s > self._world.patience_s:
            self._agenda.later(self._world.patience_s, self._not_stored, machine, lease)
        elif away_s > 0:
            self._agenda.later(away_s, self._stored, machine, lease, load_s, take_s + away_s)
        else:
            self._stored(machine, lease, load_s, take_s)

    def _stored(self, machine: _Machine, lease: Lease, load_s: float, take_s: float) -> None:
        if machine.hung or not machine.alive or lease not in machine.finishing:
            return
        machine.finishing.discard(lease)
        status, score = ending(self._world, self._seed, lease.shot, lease.take, self._model_of(lease.shot))
        settled = TakeSettled(lease, status, take_s, machine.resident, load_s, score)
        task = machine.tasks.pop(lease, None)
        outcome = None if task is None else blank_outcome(task, lease.attempt, settled.status)
        self._say(settled, outcome)

    def _not_stored(self, machine: _Machine, lease: Lease) -> None:
        if machine.alive and not machine.hung and lease in machine.finishing:
            machine.finishing.discard(lease)
            self.account.lost += 1
            self._say(TakeFaulted(lease, Blame.STORE, "unreachable", "the store does not answer"))

    def _lost_attempt(self, machine: _Machine) -> None:
        machine.rendering = None
        self.account.lost += 1
        self.account.lost_s += self._now_s - machine.began_s

    # --- what befalls all -----------------------------------------------------------------------------

    def _sometime(self, rate_h: float, do: Callable[..., None], *about: object) -> None:
        if rate_h:
            self._agenda.later(self._dice.expovariate(rate_h / 3600), do, *about)

    def _wave(self) -> None:
        nodes = sorted({machine.node for machine in self._machines.values()})
        taken = {node for node in nodes if self._roll(self._world.wave)}
        for machine in [machine for machine in self._machines.values() if machine.node in taken]:
            self._dies(machine, "preempted", "its node was taken away", preempted=True)
        self._sometime(self._world.waves_h, self._wave)

    def _outage(self) -> None:
        self._store_back_s = self._now_s + self._world.outage.draw(self._dice)
        self._sometime(self._world.outages_h, self._outage)

    def _say(self, event: Event, outcome: Outcome | None = None) -> None:
        self._heard.append((event, outcome))

    def _roll(self, share: float) -> bool:
        return share > 0 and self._dice.random() < share

    @property
    def _now_s(self) -> float:
        return self._agenda.clock.monotonic_s()


def whose(event: Event) -> str | None:
    """The worker that an event is of; None: it is of none."""
    if isinstance(event, WorkerReady | WorkerLost):
        return event.worker
    return event.lease.worker if isinstance(event, Beat | TakeSettled | TakeFaulted) else None

"""What a fit needs before its first step: instruments on every rank, and on rank 0 a journal with an open record."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from stabilimeter.callbacks.capture.instruments import Instruments
from stabilimeter.callbacks.capture.own_cost import OwnCost
from stabilimeter.callbacks.capture.signal import AnySignal, DerivedSignal, Signal, for_optimizer
from stabilimeter.callbacks.recording.configuration import configuration, job_folder
from stabilimeter.callbacks.recording.journal import Journal
from stabilimeter.callbacks.recording.logger_blocks import without_the_own_one
from stabilimeter.callbacks.recording.onlookers import Onlookers
from stabilimeter.callbacks.recording.outlook import monitored_metric, planned_steps
from stabilimeter.callbacks.recording.provenance import device_name, git_state, global_seed, package_versions
from stabilimeter.callbacks.recording.step_evidence import StepEvidence
from stabilimeter.records import keys
from stabilimeter.records.manifest import Manifest, SignalSpec
from stabilimeter.records.writer import RunWriter


@dataclass(frozen=True)
class Settings:
    """What the user asked for; see `StabilityMonitor`."""

    signals: tuple[AnySignal, ...]
    strided_every_n_steps: int
    flush_every_n_steps: int | None
    dirpath: str | os.PathLike[str] | None
    group: str | None
    seed: int | None
    monitor: str | None
    mode: str | None


@dataclass(frozen=True)
class Course:
    """The signals of one optimizer, under their final keys.

    Attributes:
        suffix: What the optimizer adds to every key; empty if it is the only one.
        measured: Signals measured at the steps.
        derived: Signals derived from those.
        layer_names: Names of the parameters of per-tensor vectors.
        layers: Those parameters.
        names: Names of the elements of other vectors, by key.
    """

    suffix: str
    measured: list[Signal]
    derived: list[DerivedSignal]
    layer_names: list[str]
    layers: list[Tensor]
    names: Mapping[str, tuple[str, ...]]

    @property
    def specs(self) -> list[SignalSpec]:
        """What the manifest says about the signals."""
        of_layers = tuple(self.layer_names)
        named = [
            replace(s.spec, names=self.names.get(s.spec.key, of_layers)) if s.vector else s.spec for s in self.measured
        ]
        return named + [signal.spec for signal in self.derived]


def courses(trainer: Trainer, module: LightningModule, signals: Sequence[AnySignal]) -> list[Course]:
    """The signals of each optimizer; with several, key by key told apart by ``/optimizer_<index>``."""
    alone = len(trainer.optimizers) == 1
    named = [(name.replace("_orig_mod.", ""), p) for name, p in module.named_parameters()]
    found = []
    for index, optimizer in enumerate(trainer.optimizers):
        suffix = "" if alone else f"/optimizer_{index}"
        own = {id(p) for group in optimizer.param_groups for p in group["params"]}
        # one optimizer may get parameters later (finetuning); their place in the vector is kept from the start
        layers = [(name, p) for name, p in named if alone or id(p) in own]
        renamed = for_optimizer(signals, suffix)
        found.append(
            Course(
                suffix,
                [signal for signal in renamed if isinstance(signal, Signal)],
                [signal for signal in renamed if isinstance(signal, DerivedSignal)],
                [name for name, _ in layers],
                [p for _, p in layers],
                {s.spec.key: tuple(s.names(module)) for s in renamed if isinstance(s, Signal) and s.names is not None},
            )
        )
    return found


def opened_instruments(
    trainer: Trainer, module: LightningModule, found: Sequence[Course], settings: Settings, cost: OwnCost
) -> Instruments:
    """Instruments, attached to the Trainer."""
    return Instruments(
        trainer,
        module,
        signals=[course.measured for course in found],
        layers=[course.layers for course in found],
        stride=settings.strided_every_n_steps,
        cost=cost,
    )


def opened_journal(
    trainer: Trainer, module: LightningModule, found: Sequence[Course], settings: Settings, folder: Path | None
) -> Journal:
    """A journal, and its record in ``folder``; None keeps nothing.

    Raises:
        RecordError: if the record cannot be written.
    """
    monitor, mode = settings.monitor, settings.mode
    if monitor is None:
        signals = {spec.key for course in found for spec in course.specs}
        monitor, mode = monitored_metric(trainer, signals - {keys.LOSS + course.suffix for course in found})
    writer = None
    if folder is not None:
        specs = tuple(spec for course in found for spec in course.specs)
        manifest = _manifest(trainer, module, settings, specs, monitor, mode)
        writer = RunWriter(folder, manifest, resume_from_step=trainer.global_step or None)
    return Journal(
        writer,
        [] if folder is None else without_the_own_one(trainer.loggers, folder),
        derived=[course.derived for course in found],
        evidence=[
            StepEvidence(keys.OPTIM_LR + c.suffix, keys.GRAD_LAYER_NORMS + c.suffix, c.layer_names) for c in found
        ],
        watched={
            key + course.suffix: judged_by_logarithm
            for course in found
            for key, judged_by_logarithm in ((keys.LOSS, False), (keys.GRAD_NORM, True))
        },
        companions={keys.LOSS + course.suffix: keys.GRAD_NORM + course.suffix for course in found},
        onlookers=Onlookers(course.suffix for course in found),
        monitor=monitor,
        mode=mode,
    )


def _manifest(
    trainer: Trainer,
    module: LightningModule,
    settings: Settings,
    specs: tuple[SignalSpec, ...],
    monitor: str | None,
    mode: str | None,
) -> Manifest:
    config, group = configuration(trainer, module)
    commit, dirty = git_state(job_folder())
    return Manifest(
        seed=global_seed() if settings.seed is None else settings.seed,
        config=config,
        group=group if settings.group is None else settings.group,
        git_commit=commit,
        git_dirty=dirty,
        packages=package_versions(),
        device=device_name(trainer.strategy.root_device),
        world_size=trainer.world_size,
        planned_steps=planned_steps(trainer, module),
        monitor=monitor,
        mode=mode,
        signals=specs,
    )

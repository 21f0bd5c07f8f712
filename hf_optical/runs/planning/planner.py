"""Plan of a run: time, memory, disk, and what to change if it does not fit."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from accelerate import PartialState

from hf_optical.errors import InputError
from hf_optical.runs.defaults import checkpoint_interval
from hf_optical.runs.options import TrainConfig, on_cpu
from hf_optical.runs.planning.advice import disk_advice, memory_advice
from hf_optical.runs.planning.dry_run import DryRun, dry_run
from hf_optical.runs.planning.machine import CUDA_CONTEXT, Machine, machine_for
from hf_optical.runs.planning.memory import Training
from hf_optical.runs.planning.profiling import Clock
from hf_optical.students.grow import VOCABULARIES
from hf_optical.training.out_of_memory import compares_batch
from hf_optical.units import shown_bytes, shown_seconds

# Share of a GPU's peak rate that training of small encoders reaches, and seconds per step besides the arithmetic.
_EFFICIENCY, _OVERHEAD = 0.25, 0.05
_ENCODING = (
    "evaluation at the start", "teacher cache", "bank of English sentences", "held-out pairs", "evaluation at the end",
)  # fmt: skip
_TRAINERS_FILES = 5e4  # other files of a checkpoint: arguments, states, model card
_CHECKPOINTS = 3  # two are kept, and the third is written before the oldest is removed


@dataclass
class Plan:
    """Estimated cost of a run.

    Attributes:
        machine: The machine.
        pairs: Number of sentence pairs.
        steps: Optimizer steps.
        seconds: Seconds by part of the run.
        step: Seconds of a step of mean length and of the longest step.
        memory: Bytes by part.
        disk: Bytes by part.
        advice: Changes to make; empty if the run fits.
        notes: Remarks on these numbers.
    """

    machine: Machine
    pairs: int
    steps: int
    seconds: dict[str, float]
    step: tuple[float, float]
    memory: dict[str, float]
    disk: dict[str, float]
    advice: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def fits(self) -> bool:
        """Return whether memory, and disk space if it is known, suffice."""
        enough_disk = self.machine.disk is None or sum(self.disk.values()) <= self.machine.disk
        return sum(self.memory.values()) <= self.machine.memory and enough_disk

    def text(self) -> str:
        """Format the plan for the terminal."""
        lines = [f"Plan for {self.machine.name}: {self.pairs:,} pairs, {self.steps:,} steps"]
        lines += ["", f"{'time':28}{shown_seconds(sum(self.seconds.values())):>10}"]
        for name, seconds in self.seconds.items():
            more = ""
            if name == "training" and self.steps:
                more = f"   {self.step[0]:.3g} s a step, {self.step[1]:.3g} s with the longest batch"
            lines += [f"  {name:26}{shown_seconds(seconds):>10}{more}"] if seconds >= 0.05 or name == "training" else []
        lines += [
            "",
            f"{'memory':28}{shown_bytes(sum(self.memory.values())):>10}   of {self._has(self.machine.memory)}",
        ]
        lines += [f"  {name:26}{shown_bytes(count):>10}" for name, count in self.memory.items() if count >= 1e5]
        of = f"   of {self._has(self.machine.disk)}" if self.machine.disk is not None else ""
        lines += ["", f"{'disk':28}{shown_bytes(sum(self.disk.values())):>10}{of}"]
        lines += [f"  {name:26}{shown_bytes(count):>10}" for name, count in self.disk.items() if count >= 1e5]
        lines += ["", "It fits." if self.fits else "It does not fit. Change one of these:"]
        lines += [f"  {line}" for line in self.advice]
        lines += [f"({note}.)" for note in self.notes]
        return "\n".join(lines)

    def _has(self, count: float) -> str:
        return f"{shown_bytes(count)} {'free' if self.machine.here else 'in all'}"


def plan_run(config: TrainConfig, *, clock: Clock = time.perf_counter) -> Plan:
    """Estimate the cost of a run from a few of its steps; nothing is written into its output folder.

    Args:
        config: The run's options. ``gpu`` and ``memory_gb`` describe another machine.
        clock: Function that returns the time in seconds; `time.process_time` on a busy machine.

    Returns:
        The plan; print it with ``print(plan.text())``.

    Raises:
        InputError: The same errors for options and data as in the run itself.

    Example:
        ::

            print(plan_run(TrainConfig(teacher=TEACHER, bitext=[FILE], eval=[FOLDER], language="swh_Latn")).text())
    """
    config.check()
    if PartialState().num_processes > 1:
        raise InputError("a plan is made on one process", "start it without accelerate launch", field="plan")
    machine = machine_for(config.gpu, config.memory_gb, config.output_dir)
    # Half precision that this machine does not support, or supports slowly, is taken from the machine planned for.
    tried = replace(config, fp16=False, bf16=False) if on_cpu() and not machine.here else config
    with tempfile.TemporaryDirectory(prefix="hf_optical-plan-") as scratch:
        measured = dry_run(tried, Path(scratch), clock)
    return estimate(config, measured, machine)


def estimate(config: TrainConfig, measured: DryRun, machine: Machine) -> Plan:
    """Compute the plan from the measurements; pure arithmetic.

    Args:
        config: The options.
        measured: The measurements of `dry_run`.
        machine: The machine to plan for.
    """
    if config.max_steps is not None:
        measured = replace(measured, max_steps=config.max_steps)
    training = _training(config, measured, machine)
    if machine.here:
        training = replace(training, rest=max(0.0, _peak(config, measured) - replace(training, rest=0.0).total()))
    disk, one = _disk(config, measured)
    seconds, step = _times(config, measured, machine)
    plan = Plan(machine, measured.pairs, measured.max_steps, seconds, step, training.parts(), disk)
    half = None
    if machine.gpu and measured.max_steps and not (config.bf16 or config.fp16):
        half = "bf16" if machine.bfloat16 else "fp16"
    plan.advice = memory_advice(
        training,
        machine.memory,
        half=half,
        contrastive=compares_batch(measured.objective),
        grown=config.student in VOCABULARIES,
    )
    if machine.disk is not None:
        plan.advice += disk_advice(disk, machine.disk, one_checkpoint=one, cached=config.teacher_cache_dtype)
    plan.notes = list(_notes(config, machine))
    return plan


def _cached(measured: DryRun) -> bool:
    return measured.steps is not None and measured.steps.cached > 0


def _trained(config: TrainConfig, measured: DryRun) -> int:
    """Return the number of trained weights, with the used table rows of all texts and not only of the dry steps."""
    if measured.steps is None:
        return 0
    if config.train_embeddings == "used":
        weights = measured.weights
        return weights["student"] - weights["table"] + measured.used_rows * measured.width
    return measured.steps.trained


def _training(config: TrainConfig, measured: DryRun, machine: Machine) -> Training:
    weights, steps = measured.weights, measured.steps
    modules = len(config.lora.targets) or 2  # query and value
    return Training(
        batch=config.batch_size,
        accumulation=config.gradient_accumulation_steps,
        tokens=steps.longest if steps else config.max_length,
        weights=weights["student"],
        table=weights["table"],
        trained=_trained(config, measured),
        # The weights stay in memory for sentences that the cache lacks.
        teacher=weights["teacher"],
        activations=steps.activations if steps else 0.0,
        half=(config.fp16 or config.bf16) and not machine.here,  # on this machine it is part of the measurement
        rest=CUDA_CONTEXT if machine.gpu else 0.0,
        adapter=2 * modules * config.lora.rank * measured.width * measured.layers,
        layers=measured.layers,
        used=measured.used_rows * measured.width,
    )


def _peak(config: TrainConfig, measured: DryRun) -> float:
    """Return the peak memory of the run in bytes: growing, training, or evaluating two students."""
    vectors = measured.evaluation.vectors
    found = [measured.grown_peak + vectors]
    if measured.steps:
        more = vectors + 12.0 * (_trained(config, measured) - measured.steps.trained)
        found += [measured.steps.peak + more, measured.steps.after + more + 4.0 * measured.weights["student"]]
    return max(found)


def _disk(config: TrainConfig, measured: DryRun) -> tuple[dict[str, float], float]:
    """Return bytes by part, and those of one checkpoint: the model and two numbers per trained weight."""
    trained = _trained(config, measured)
    # checkpoints hold the adapters only, without their base
    kept = measured.saved if config.adapter == "none" else 4.0 * trained
    one = kept + 8.0 * trained + _TRAINERS_FILES if measured.max_steps else 0.0
    written = -(-measured.max_steps // checkpoint_interval(config.save_steps, measured.max_steps))
    disk = {"checkpoints": one * min(written, _CHECKPOINTS), "models": 2.0 * measured.saved}
    if measured.max_steps and config.share_held_out:  # the best step's weights; of a mapped student the first ones too
        disk["held-out pairs"] = 4.0 * trained * (1 if config.student in VOCABULARIES else 2)
    if measured.steps and measured.steps.cached:
        disk["teacher cache"] = measured.steps.cached
    return disk, one


def _times(config: TrainConfig, measured: DryRun, machine: Machine) -> tuple[dict[str, float], tuple[float, float]]:
    """Return seconds by part, and seconds of a mean and of the slowest step."""
    evaluation, steps = measured.evaluation, measured.steps
    parts = {
        "reading and checking": measured.seconds["reading"] + measured.seconds["checking"],
        "loading": measured.seconds["loading"],
        "growing the student": measured.seconds["growing"] + measured.seconds["injecting"],
        "evaluation at the start": evaluation.start,
        "teacher cache": steps.filling if steps else 0.0,
        "bank of English sentences": evaluation.bank,
        "held-out pairs": evaluation.held_out,
        "training": 0.0,
        "checkpoints, saving": measured.seconds["saving"],
        "evaluation at the end": evaluation.end,
    }
    if steps is None:
        return parts, (0.0, 0.0)
    passes, looks = config.gradient_accumulation_steps, 1 + measured.max_steps // config.logging_steps
    typical = passes * steps.typical - (passes - 1) * steps.optimizer
    slowest = passes * steps.slowest - (passes - 1) * steps.optimizer
    if not machine.here:
        ratio = _step_elsewhere(config, measured, machine) / max(typical, 1e-9)
        typical, slowest = typical * ratio, slowest * ratio
        for name in _ENCODING:
            parts[name] *= ratio
        looks = 0
    parts["training"] = steps.preparing + measured.max_steps * typical + looks * steps.watching
    written = -(-measured.max_steps // checkpoint_interval(config.save_steps, measured.max_steps))
    of_a_model = _disk(config, measured)[1] / max(1.0, measured.saved)
    parts["checkpoints, saving"] = measured.seconds["saving"] * (1 + written * of_a_model)
    return parts, (typical, slowest)


def _step_elsewhere(config: TrainConfig, measured: DryRun, machine: Machine) -> float:
    """Estimate the seconds of a step from its arithmetic: 6 operations per token and weight to train, 2 to encode."""
    assert machine.teraflops is not None
    assert measured.steps is not None
    weights = measured.weights
    body, teacher = weights["student"] - weights["table"], weights["teacher"] - weights["teacher's table"]
    read = (0 if _cached(measured) else 2 * teacher) + (2 * body if measured.steps.anchor else 0)
    operations = measured.steps.tokens / 2 * (6 * body + read)
    rate = machine.teraflops[1 if config.fp16 or config.bf16 else 0] * 1e12 * _EFFICIENCY
    return config.gradient_accumulation_steps * (operations / rate + _OVERHEAD)


def _notes(config: TrainConfig, machine: Machine) -> list[str]:
    notes = []
    if machine.busy > 0.5:
        notes.append(
            f"about {machine.busy:.0f} other processes were running meanwhile: without them the run takes less time"
        )
    if not machine.here:
        notes.append(
            f"the time is computed for {_EFFICIENCY:.0%} of the peak rate and is accurate within a factor of three "
            f"at best; reading and growing were measured on this machine"
        )
        if config.bf16 and not machine.bfloat16:
            notes.append(f"{machine.name} computes bfloat16 slowly: use --fp16")
        if machine.disk is None:
            notes.append("its disk space is unknown")
    return notes

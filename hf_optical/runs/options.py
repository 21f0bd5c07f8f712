"""Options of a training run, and the arguments of the trainer that they stand for."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hf_optical.errors import InputError

if TYPE_CHECKING:  # the hosts are imported where they are needed, so that --help answers at once
    from hf_optical.training_args import OTDistillationTrainingArguments

_OF_NO_CONSEQUENCE = {
    "config",
    "output_dir",
    "overwrite",
    "resume_anyway",
    "keep_checkpoints",
    "push_to_hub",
    "report_to",
    "logging_steps",
    "save_steps",
    "measure_start",
    "check_data",
    "shared",
    "teacher_cache",  # what it holds counts, not where: its identity is compared
    "teacher_cache_dtype",
    "plan",
    "on",
    "memory_gb",
}

DENSE_OBJECTIVE, LATE_OBJECTIVE = "ot+rank", "ot+nce"


def on_cpu() -> bool:
    """Whether this machine has no accelerator; accelerate must be told, or it takes several processes for single ones.

    Example:
        >>> isinstance(on_cpu(), bool)
        True
    """
    import torch

    return not torch.accelerator.is_available()


def _option(default: Any, text: str) -> Any:
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata={"help": text})
    return field(default=default, metadata={"help": text})


@dataclass
class TrainConfig:
    """Options of the recipe: in a YAML file, as flags, or both."""

    config: str | None = _option(None, "YAML file with any of these options; flags override it.")
    teacher: str | None = _option(None, "English retriever: Hub id or folder (sentence-transformers).")
    student: str = _option("extend", "'copy', 'extend' or 'replace' (grown from the teacher), or an id or folder.")
    language: str | None = _option(None, "Language of the queries: swh_Latn, swh, sw...")
    bitext: list[str] = _option(
        [], "Sentence pairs: JSONL, TSV, CSV, Parquet (.gz too) or a Hub id; CODE=FILE for several languages."
    )
    source_field: str | None = _option(None, "Column of the English; guessed if not given.")
    translation_field: str | None = _option(None, "Column of the translation; guessed if not given.")
    max_pairs: int | None = _option(None, "Use only this many pairs of each bitext, drawn with the seed.")
    pairs: list[str] = _option(
        [], "Questions and passages to train retrieval on: mono/eng_Latn=FILE, cross/swh_Latn-eng_Latn=FILE."
    )
    contexts: int = _option(
        0, "Also make retrieval pairs of bitext that comes in documents: sentences per window; 0 for none."
    )
    alpha: float = _option(0.5, "Share of monolingual batches among those of questions and passages.")
    bitext_share: float = _option(0.5, "Share of bitext batches, where there are questions and passages too.")
    language_weights: str = _option("uniform", "How languages are drawn: uniform, size, or a power of the size.")
    eval: list[str] = _option([], "Folder(s) of retrieval sets: corpus, queries, qrels.")
    english_eval: list[str] = _option(
        [], "Folder(s) of retrieval sets with English queries, to see what English the student keeps."
    )
    index: str | None = _option(
        None,
        "Who reads documents in the evaluation: 'teacher' (default), 'student' (default with --pairs, --contexts).",
    )
    interaction: str | None = _option(None, "Score with 'dense' or 'maxsim'; by default as the models do.")
    output_dir: str = _option("outputs/train", "Where model, results and figures go.")
    objective: str | None = _option(
        None,
        "Sum of ot, mse, cos, nce, rank, greedy, nearest, self_nce, source, e.g. 'ot+0.5*nce'; if not given 'ot+rank', "
        "for late interaction 'ot+nce'.",
    )
    solver: str = _option("ipot", "ipot, sinkhorn or exact.")
    special_tokens: str = _option("match", "match, exclude or transport.")
    marginals: str = _option("uniform", "Mass of the tokens in the transport: uniform or idf.")
    temperature: float = _option(0.05, "Temperature of the contrastive terms.")
    bank_size: int = _option(16_384, "English sentences that the term 'rank' of the objective ranks, at most.")
    contrastive_mini_batch: int | None = _option(
        None, "Texts per forward pass of the contrastive loss of questions and passages, for batches beyond memory."
    )
    query_prompt: str | None = _option(
        None, "Put before every query, and saved with the model; the student's own if not given."
    )
    passage_prompt: str | None = _option(None, "Put before every passage, likewise.")
    vocab_size: int = _option(40_000, "Vocabulary of a grown student (extend, replace).")
    num_layers: int | None = _option(None, "Layers of a grown student; all of the teacher's if not given.")
    row_init: str = _option("bitext", "First rows of a grown student: aligned in the 'bitext', or by 'surface' form.")
    start_lexicon: str | None = _option(
        None, "Word pairs that help to give a grown student its first rows, besides the bitext (row_init bitext)."
    )
    lexicon: str | None = _option(None, "Word pairs to inject into the student before the distillation.")
    lexical_steps: int = _option(300, "Steps of the lexical injection.")
    lexical_layer: int = _option(2, "Layer at which words are injected; recipes/probe.py recommends one.")
    adapter: str = _option(
        "none", "'lora': train a small adapter per language on the untouched student; 'none': all of it."
    )
    lora_r: int = _option(16, "Rank of the adapters.")
    lora_alpha: int | None = _option(None, "Scale of the adapters; twice the rank if not given.")
    lora_init: str = _option("default", "First weights of the adapters: default, pissa or olora.")
    lora_targets: list[str] = _option([], "Modules under the adapters: query, value...; both of these if not given.")
    rslora: bool = _option(False, "Divide the scale by the root of the rank (rsLoRA).")
    max_steps: int = _option(1000, "Optimizer steps; 0 grows and measures the student only.")
    batch_size: int = _option(32, "Pairs per device and step.")
    gradient_accumulation_steps: int = _option(1, "Steps whose gradients are added up.")
    learning_rate: float = _option(1e-4, "Peak learning rate; linear warm-up over a tenth, then linear decay.")
    max_length: int = _option(128, "Tokens per text in training.")
    dropout: float = _option(0.0, "Dropout of the student in training.")
    train_embeddings: str = _option(
        "all", "Embedding rows to train: all; used: those of the training data, same result in less memory; none."
    )
    bf16: bool = _option(False, "Train in bfloat16 (transport stays in float32).")
    fp16: bool = _option(False, "Train in float16 with a loss scale, for GPUs without bfloat16 (T4, V100).")
    group_by_length: bool = _option(True, "Batches of similar length: much less padding.")
    shared: str | None = _option(
        None, "Folder in which several runs keep what they have in common: grown students, vectors of documents."
    )
    teacher_cache: str = _option(
        "auto",
        "Keep the teacher's vectors of the English, in a FOLDER; 'auto': where each sentence is read twice; 'none'.",
    )
    teacher_cache_dtype: str = _option("float16", "Of that cache: float16, or int8 for half the size.")
    measure_start: bool = _option(True, "Measure raw, before and ceiling; off where another run has.")
    measure_english: bool = _option(False, "Also measure the student on English queries, to see what it forgets.")
    check_data: bool = _option(True, "Have the doctor look at the bitext first; recipes/doctor.py looks closer.")
    watch: bool = _option(True, "Look for collapse, empty plans and falling retrieval whenever losses are logged.")
    on_alarm: str = _option("warn", "What an alarm of the watch does: warn or stop.")
    save_steps: int = _option(500, "Steps between checkpoints; an interrupted run resumes from the last.")
    logging_steps: int = _option(20, "Steps between logged losses.")
    resume_anyway: bool = _option(
        False, "Go on with an interrupted run although options, data, teacher or code differ."
    )
    overwrite: bool = _option(False, "Replace a finished run in output_dir.")
    keep_checkpoints: bool = _option(False, "Keep the checkpoints of a finished run.")
    push_to_hub: str | None = _option(None, "Hub id to publish the model under (private); token from the environment.")
    report_to: str = _option("none", "Logging integrations: wandb, tensorboard...")
    seed: int = _option(0, "Of everything that is drawn.")
    plan: bool = _option(
        False, "Only estimate time, memory and disk, after three steps; nothing is written into output_dir."
    )
    on: str | None = _option(None, "Machine to plan for: t4, v100, l4, a100, h100; this one if not given.")
    memory_gb: float | None = _option(None, "Memory to plan for, in GB of 10^9 bytes; the machine's if not given.")

    @property
    def trains_retrieval(self) -> bool:
        """Whether there are questions and passages to train on, besides bitext."""
        return bool(self.pairs or self.contexts)

    @property
    def reads_index_of(self) -> str:
        """Who reads the documents: ``teacher`` or ``student``."""
        return self.index or ("student" if self.trains_retrieval else "teacher")

    def decisive(self) -> dict[str, Any]:
        """The options that must be the same for an interrupted run to go on."""
        return {name: value for name, value in vars(self).items() if name not in _OF_NO_CONSEQUENCE}

    def adapter_options(self) -> dict[str, Any]:
        """The options of `LanguageAdapters.add`."""
        options: dict[str, Any] = {"r": self.lora_r, "use_rslora": self.rslora}
        if self.lora_alpha is not None:
            options["lora_alpha"] = self.lora_alpha
        if self.lora_targets:
            options["target_modules"] = list(self.lora_targets)
        if self.lora_init != "default":
            options["init_lora_weights"] = self.lora_init
        return options

    def policy_options(self) -> dict[str, Any]:
        """The options of `HybridPolicy` that do not depend on the data."""
        weights: str | float = self.language_weights
        with suppress(ValueError):  # a name, which the policy checks
            weights = float(weights)
        return {"alpha": self.alpha, "bitext_share": self.bitext_share, "language_weights": weights}

    def check(self) -> None:
        """Find what is missing or out of range, before anything is read.

        Raises:
            InputError: The first such option.
        """
        from hf_optical.runs.option_checks import check_options

        check_options(self)

    def settled(self, teacher: Any) -> TrainConfig:
        """These options, with the default objective where none is given: ``rank`` needs sentence vectors.

        Args:
            teacher: Says which kind of model is trained.
        """
        if self.objective is not None:
            return self
        from sentence_transformers import MultiVectorEncoder

        late = isinstance(teacher, MultiVectorEncoder)
        return replace(self, objective=LATE_OBJECTIVE if late else DENSE_OBJECTIVE)

    def arguments(self) -> OTDistillationTrainingArguments:
        """The trainer's arguments; makes and checks them before anything is read.

        Raises:
            InputError: As the arguments do; weights sharded over processes (FSDP, DeepSpeed).
        """
        import torch
        from accelerate import PartialState

        from hf_optical.training_args import OTDistillationTrainingArguments

        if self.fp16 and (self.bf16 or on_cpu()):
            problem = "is given beside bf16" if self.bf16 else "needs a GPU, and there is none here"
            raise InputError(problem, "leave it out", field="fp16")
        prompts = {"query": self.query_prompt, "passage": self.passage_prompt}
        args = OTDistillationTrainingArguments(
            output_dir=self.output_dir,
            objective=self.objective or DENSE_OBJECTIVE,
            solver=self.solver,
            special_tokens=self.special_tokens,
            marginals=self.marginals,
            temperature=self.temperature,
            bank_size=self.bank_size,
            contrastive_mini_batch=self.contrastive_mini_batch,
            train_embeddings=self.train_embeddings,
            max_length=self.max_length,
            max_steps=max(1, self.max_steps),  # the host takes 0 for "by epochs"; such a run does not train
            per_device_train_batch_size=self.batch_size,
            gradient_accumulation_steps=self.gradient_accumulation_steps,
            learning_rate=self.learning_rate,
            warmup_steps=max(1, self.max_steps // 10),
            bf16=self.bf16,
            fp16=self.fp16,
            use_cpu=on_cpu(),
            save_steps=self.save_steps,
            save_total_limit=2,
            logging_steps=self.logging_steps,
            report_to=self.report_to,
            dataloader_pin_memory=torch.cuda.is_available(),
            gather_across_devices=PartialState().num_processes > 1,
            prompts={name: prompt for name, prompt in prompts.items() if prompt is not None} or None,
            seed=self.seed,
            data_seed=self.seed,
        )
        if args.fsdp or args.deepspeed or PartialState().distributed_type in ("FSDP", "DEEPSPEED"):
            raise InputError(
                "this recipe measures and saves on one process, which sharded weights do not allow",
                "launch with recipes/accelerate/multi_gpu.yaml (DDP); the trainers take FSDP as their hosts do",
            )
        return args

"""Options of a training run, and the arguments of the trainer that they stand for."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from hf_optical.configuration.parsing import option
from hf_optical.errors import InputError
from hf_optical.runs.option_headings import HEADINGS

if TYPE_CHECKING:  # the hosts are imported where they are needed, so that --help answers at once
    from hf_optical.training.arguments import OTDistillationTrainingArguments

_OF_NO_CONSEQUENCE = {
    "config",
    "output_dir",
    "overwrite",
    "resume_anyway",
    "keep_checkpoints",
    "push_to_hub",
    "teacher_id",
    "report_to",
    "logging_steps",
    "save_steps",
    "measure_start",
    "check_data",
    "shared",
    "teacher_cache",  # what it holds counts, not where: its identity is compared
    "teacher_cache_dtype",
    "plan",
    "gpu",
    "memory_gb",
}


def on_cpu() -> bool:
    """Whether this machine has no accelerator; accelerate must be told, or it takes several processes for single ones.

    Example:
        >>> isinstance(on_cpu(), bool)
        True
    """
    import torch

    return not torch.accelerator.is_available()


@dataclass
class TrainConfig:
    """Train a student of an English retriever for a language, and measure what that brought."""

    HEADINGS: ClassVar = HEADINGS

    config: str | None = option(None, "YAML file with any of these options; flags override it.", path=True)
    teacher: str | None = option(None, "English retriever: Hub id or folder (sentence-transformers).", path=True)
    student: str = option(
        "extend", "'copy', 'extend' or 'replace' (grown from the teacher), or an id or folder.", path=True
    )
    language: str | None = option(None, "Language of the queries: swh_Latn, swh, sw...")
    bitext: list[str] = option(
        [],
        "Sentence pairs: JSONL, TSV, CSV, Parquet (.gz too) or a Hub id; CODE=FILE for several languages.",
        path=True,
    )
    source_field: str | None = option(None, "Column of the English; guessed if not given.")
    translation_field: str | None = option(None, "Column of the translation; guessed if not given.")
    on_bad_rows: str = option(
        "error", "Of bitext and lexicons: 'error' stops at a bad row; 'skip' leaves such rows out, and lists them."
    )
    max_pairs: int | None = option(None, "Use only this many pairs of each bitext, drawn with the seed.")
    query_passages: list[str] = option(
        [],
        "Questions and passages to train retrieval on: mono/eng_Latn=FILE, cross/swh_Latn-eng_Latn=FILE.",
        path=True,
        former={"pairs": None},
    )
    max_questions: int | None = option(
        None, "Use only this many questions of each cross-lingual set, drawn with the seed: what are more worth?"
    )
    context_window: int = option(
        0,
        "Make retrieval pairs of bitext that has a column of documents: sentences per window, 0 for none.",
        former={"contexts": None},
    )
    alpha: float = option(
        0.5, "Probability that a batch of questions and passages is monolingual; the others are cross-lingual."
    )
    bitext_share: float = option(
        0.5, "Share of all batches that come from the bitext, where questions and passages are trained on too."
    )
    language_weights: str = option(
        "uniform",
        "How the language of a batch is drawn: uniform, in proportion to its size, or to a power of the size "
        "(0.5, say).",
    )
    eval: list[str] = option(
        [], "Folder(s) of retrieval sets: corpus, queries, qrels; never used to choose anything.", path=True
    )
    held_out: float = option(
        0.05, "Share of the bitext held out to choose the best step by (50 to 500 pairs, whole documents); 0 for none."
    )
    offset: str = option(
        "none",
        "What queries have in common, taken off by a last layer of the student: 'query' (their mean), 'residual' "
        "(their mean minus that of the English), 'auto' (what held-out pairs find best), or 'none'.",
    )
    eval_steps: int | None = option(None, "Steps between validations on it; a twenty-fifth of the steps if not given.")
    patience: int = option(6, "Validations without a better one after which training stops; 0: all steps.")
    english_eval: list[str] = option(
        [],
        "Folders of retrieval sets with English queries: they show how much English retrieval the student loses.",
        path=True,
    )
    on_problem: str = option("error", "Of inconsistent retrieval sets: 'error' stops; 'warn' names what is left out.")
    titles: bool = option(
        False, "Put the title of a document before its text, as BEIR and MTEB do; of passages trained on too."
    )
    document_encoder: str | None = option(
        None,
        "Who encodes the documents, in evaluation and in training on questions: 'teacher' (the existing index, which "
        "stays), or 'student' (both sides by one model, the default where retrieval is trained).",
        former={"index": None},
    )
    interaction: str | None = option(
        None, "Compare by sentence vectors ('dense') or token by token ('maxsim'); if not given, as the model was made."
    )
    off_the_shelf: str | None = option(
        None,
        "A multilingual encoder, Hub id or folder, that is measured beside the student, over an index of its own.",
        path=True,
    )
    hybrid: bool = option(False, "Also search with BM25, and fuse it with the trained student by reciprocal ranks.")
    output_dir: str = option("outputs/train", "Where model, results and figures go.", path=True)
    objective: str | None = option(
        None,
        "Sum of ot, mse, cos, nce, rank, greedy, nearest, self_nce, source, e.g. 'ot+0.5*nce'; if not given 'ot+rank', "
        "for late interaction 'ot+nce'.",
    )
    solver: str = option("ipot", "Solver of the transport plan: ipot, sinkhorn or exact.")
    special_tokens: str = option(
        "match",
        "What the transport does with special tokens: match them to each other, exclude them, or transport them.",
    )
    marginals: str = option(
        "uniform", "Mass of each token in the transport: uniform, or idf (less for frequent words)."
    )
    temperature: float | None = option(
        None, "Scores are divided by it (terms rank, nce); chosen from the teacher's own scores if not given."
    )
    bank_size: int = option(16_384, "English sentences that the term 'rank' of the objective ranks, at most.")
    contrastive_mini_batch: int | None = option(
        None, "Texts per forward pass of the contrastive loss of questions and passages, for batches beyond memory."
    )
    query_prompt: str | None = option(
        None, "Text put before every query in training and saved with the model; the student's own prompt if not given."
    )
    passage_prompt: str | None = option(None, "Text put before every passage, in the same way.")
    index_rows: str | None = option(
        None,
        "The index's own documents, text and vector: a folder with vectors.npy, a Parquet file, or a Qdrant collection "
        "as LOCATION#COLLECTION. A student of another encoder is mapped onto them too.",
        path=True,
    )
    index_text_field: str | None = option(None, "Column of the text in it; guessed if not given.")
    index_vector_field: str | None = option(None, "Column or name of the vector in it; guessed if not given.")
    vocab_size: int | None = option(
        None,
        "Vocabulary of a grown student (extend, replace): by default 40,000 pieces, or 5,000 more than the teacher's "
        "where it has so many already.",
    )
    new_pieces: int | None = option(None, "Pieces to add to the teacher's (extend), in place of vocab_size.")
    num_layers: int | None = option(None, "Layers of a grown student; all of the teacher's if not given.")
    row_init: str = option(
        "transport",
        "First rows of a grown student: aligned in the bitext by 'transport', or by lexical models alone ('bitext'), "
        "or by 'surface' form.",
    )
    start_lexicon: str | None = option(
        None,
        "Word pairs that help to give a grown student its first rows, besides the bitext.",
        path=True,
    )
    lexicon: str | None = option(None, "Word pairs to inject into the student before the distillation.", path=True)
    lexical_steps: int = option(300, "Optimizer steps of the lexical injection.")
    lexical_layer: int = option(2, "Layer at which words are injected; hf-optical probe recommends one.")
    adapter: str = option(
        "none",
        "'lora' trains a small adapter per language and leaves the student as it is; 'none' trains all its weights.",
    )
    lora_r: int = option(16, "Rank of the adapters.")
    lora_alpha: int | None = option(
        None, "LoRA alpha: the update is scaled by alpha / rank; twice the rank if not given."
    )
    lora_init: str = option("default", "First weights of the adapters: default, pissa or olora.")
    lora_targets: list[str] = option([], "Modules that get an adapter; query and value if not given.")
    rslora: bool = option(False, "Scale the update by alpha / sqrt(rank) (rank-stabilised LoRA).")
    max_steps: int | None = option(
        None,
        "Optimizer steps at most; 0 grows and measures the student only; four passes over the bitext, 100 to 1000 "
        "steps, if not given.",
    )
    batch_size: int = option(32, "Pairs per device and step.")
    gradient_accumulation_steps: int = option(1, "Batches whose gradients are summed before an optimizer step.")
    learning_rate: float | None = option(
        None,
        "Peak learning rate; linear warm-up over a tenth, then linear decay. If not given 1e-4, 5e-5 for models of "
        "width 768 or more, 1e-3 for adapters.",
    )
    max_length: int = option(128, "Tokens per text in training; fewer where the models have fewer positions.")
    dropout: float = option(0.0, "Dropout of the student in training.")
    train_embeddings: str = option(
        "all", "Embedding rows to train: all; used: those of the training data, same result in less memory; none."
    )
    freeze_layers: int = option(
        0, "Lower layers of the student that stay as they are, with the embeddings: shorter steps, less memory."
    )
    bf16: bool = option(False, "Train in bfloat16 (transport stays in float32).")
    fp16: bool = option(False, "Train in float16 with a loss scale, for GPUs without bfloat16 (T4, V100).")
    group_by_length: bool = option(True, "Put sentences of similar length into a batch, which needs much less padding.")
    shared: str | None = option(
        None,
        "Folder where several runs share grown students and document vectors, so that each is made once.",
        path=True,
    )
    teacher_cache: str = option(
        "auto",
        "Cache the teacher's token vectors of the English in this folder; 'auto': only where sentences are "
        "read twice; 'none'.",
        path=True,
    )
    teacher_cache_dtype: str = option("float16", "Precision of the cached vectors: float16, or int8 at half the size.")
    measure_start: bool = option(
        True,
        "Measure teacher, untrained student and ceiling before training; switch off where another run has done so.",
    )
    measure_english: bool = option(False, "Also measure the student on English queries, to see what it forgets.")
    check_data: bool = option(
        True, "Check the bitext for common defects before training; hf-optical doctor checks more."
    )
    monitor: str = option(
        "warn",
        "Check for collapsed vectors, uninformative plans and falling retrieval whenever losses are logged: 'warn', "
        "'stop' the training, or 'off'.",
        former={
            "on_alarm": None,
            "watch": {
                "false": "off",
                "no": "off",
                "off": "off",
                "0": "off",
                "true": "warn",
                "yes": "warn",
                "on": "warn",
                "1": "warn",
            },
        },
    )
    save_steps: int = option(500, "Steps between checkpoints; an interrupted run resumes from the last.")
    logging_steps: int = option(20, "Steps between logged losses.")
    resume_anyway: bool = option(
        False, "Resume an interrupted run even where options, data, teacher or package versions have changed."
    )
    overwrite: bool = option(False, "Replace a finished run in output_dir.")
    keep_checkpoints: bool = option(False, "Keep the checkpoints of a finished run.")
    push_to_hub: str | None = option(None, "Hub id to publish the model under (private); token from the environment.")
    teacher_id: str | None = option(
        None, "Hub id of the teacher for the card of push_to_hub, where --teacher is a folder."
    )
    report_to: str = option("none", "Logging integrations: wandb, tensorboard...")
    seed: int = option(
        0, "Random seed of data order, sampling and new weights; change it to see how much results vary."
    )
    plan: bool = option(
        False, "Only estimate time, memory and disk, after three steps; nothing is written into output_dir."
    )
    gpu: str | None = option(
        None, "Machine to plan for: t4, v100, l4, a100, h100; this one if not given.", former={"on": None}
    )
    memory_gb: float | None = option(None, "Memory to plan for, in GB of 10^9 bytes; the machine's if not given.")

    @property
    def trains_retrieval(self) -> bool:
        """Whether there are questions and passages to train on, besides bitext."""
        return bool(self.query_passages or self.context_window)

    @property
    def reads_index_of(self) -> str:
        """Who reads the documents: ``teacher`` or ``student``."""
        return self.document_encoder or ("student" if self.trains_retrieval else "teacher")

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

    @property
    def share_held_out(self) -> float:
        """Share of the bitext to hold out: none where retrieval is trained, which bitext alone cannot judge."""
        return 0.0 if self.trains_retrieval else self.held_out

    def arguments(self) -> OTDistillationTrainingArguments:
        """The trainer's arguments; makes and checks them before anything is read.

        Raises:
            InputError: As the arguments do; or as `check_sharding` does.
        """
        import torch
        from accelerate import PartialState

        from hf_optical.runs.defaults import RATE
        from hf_optical.runs.sharding_checks import check_sharding
        from hf_optical.training.arguments import OTDistillationTrainingArguments

        if self.fp16 and (self.bf16 or on_cpu()):
            problem = "is given beside bf16" if self.bf16 else "needs a GPU, and there is none here"
            raise InputError(problem, "leave it out", field="fp16")
        steps = max(1, self.max_steps or 0)  # the host takes 0 for "by epochs"; such a run does not train
        prompts = {"query": self.query_prompt, "passage": self.passage_prompt}
        args = OTDistillationTrainingArguments(
            output_dir=self.output_dir,
            objective=self.objective,
            solver=self.solver,
            special_tokens=self.special_tokens,
            marginals=self.marginals,
            temperature=self.temperature,
            bank_size=self.bank_size,
            contrastive_mini_batch=self.contrastive_mini_batch,
            document_encoder=self.reads_index_of,
            train_embeddings=self.train_embeddings,
            freeze_layers=self.freeze_layers,
            max_length=self.max_length,
            max_steps=steps,
            per_device_train_batch_size=self.batch_size,
            gradient_accumulation_steps=self.gradient_accumulation_steps,
            learning_rate=RATE if self.learning_rate is None else self.learning_rate,
            warmup_steps=max(1, steps // 10),
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
        check_sharding(self, args)
        return args

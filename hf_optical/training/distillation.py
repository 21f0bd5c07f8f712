"""What the distillation adds to the trainers of sentence-transformers: teacher, data by kind, checks, loss state."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from sentence_transformers.base.model import BaseModel
from torch import nn
from torch.utils.data import ConcatDataset
from transformers.trainer import TRAINING_ARGS_NAME
from transformers.trainer_callback import ProgressCallback

from hf_optical.adapters import LanguageAdapters
from hf_optical.adapters.training import LANGUAGE_COLUMN, RowLanguages, load_checkpoint, save_checkpoint
from hf_optical.batching.collation import OTDistillationDataCollator
from hf_optical.batching.epochs import EpochRelay
from hf_optical.data.training_sets import check_training_sets
from hf_optical.encoders.limits import check_length, limits_of
from hf_optical.encoders.models import load_encoder
from hf_optical.encoders.teachers import TeacherStandIn
from hf_optical.errors import HFOpticalError, InputError, explained, is_out_of_memory
from hf_optical.losses import LexicalInjectionLoss, OTDistillationLoss
from hf_optical.losses.matryoshka import refuse_wrapped
from hf_optical.teacher_cache.cached_teacher import CachedTeacher
from hf_optical.teacher_cache.training import check_checkpoint_cache, fill_for, note_in_checkpoint, open_cache
from hf_optical.training.arguments import OTDistillationTrainingArguments
from hf_optical.training.checkpoints import last_whole_checkpoint, load_loss_state, save_loss_state
from hf_optical.training.frozen_layers import frozen_layers
from hf_optical.training.losses_by_kind import anchor_of, fill_banks, losses_by_kind, student_reads_english
from hf_optical.training.out_of_memory import training_remedies
from hf_optical.training.progress import NamedLossProgress
from hf_optical.training.sharding import hide_normalisation, is_sharded, load_whole, whole
from hf_optical.training.step_checks import StepChecks
from hf_optical.training.trainable_embeddings import rows_in_training

# Full disks are reported in too many ways to list; errors of the device or of another process in only a few.
_NOT_OF_THE_DISK = re.compile(r"\b(cuda|hip|xpu|cudnn|cublas|nccl) error|closed by peer", re.IGNORECASE)


class Distillation(StepChecks):
    """Mixin of both trainers, which adds teacher, data by kind, checks and loss state to sentence-transformers."""

    training_args_class = OTDistillationTrainingArguments
    bank_cache: Any = None  # a DocumentCache if several trainings share the vectors of a bank

    def __init__(
        self,
        model: BaseModel | None = None,
        args: OTDistillationTrainingArguments | None = None,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        loss: Any = None,
        *,
        teacher: BaseModel | TeacherStandIn | None = None,
        teacher_cache: str | Path | CachedTeacher | None = None,
        teacher_cache_dtype: str = "float16",
        data_collator: Any = None,
        **options: Any,
    ) -> None:
        args = args if args is not None else self.training_args_class(output_dir="tmp_trainer")
        self.language_adapters = LanguageAdapters.of(model)
        keep = (LANGUAGE_COLUMN,) if self.language_adapters is not None else ()
        if loss is None:
            train_dataset = check_training_sets(train_dataset, keep=keep)
            eval_dataset = check_training_sets(eval_dataset, keep=keep)
        refuse_wrapped(loss, (OTDistillationLoss, LexicalInjectionLoss))
        teacher = open_cache(model, teacher, teacher_cache, args, train_dataset, teacher_cache_dtype)
        self.teacher = teacher
        for who, one in (("the student", model), ("the teacher", getattr(teacher, "online", teacher))):
            if one is not None:
                check_length(limits_of(one), args.max_length, who)
                limits_of(one).check_vocabulary(who)
        # A cache that is given with its teacher is filled when training begins; without a teacher it is only read.
        self.seconds_to_fill: float | None = None
        self._cache_to_fill: CachedTeacher | None = None
        if teacher_cache is not None and isinstance(teacher, CachedTeacher) and teacher.online is not None:
            self._cache_to_fill = teacher
        if loss is None:
            if model is None:
                raise InputError(
                    "a trainer with model_init does not choose a loss", "pass loss=, a function of the model"
                )
            loss = losses_by_kind(
                model, teacher, args, train_dataset, eval_dataset, lambda: self.contrastive_loss(model, args)
            )
        if model is not None and data_collator is None and (teacher is not None or self.language_adapters is not None):
            data_collator = OTDistillationDataCollator.for_models(
                model,
                teacher,
                document_encoder=args.document_encoder,
                mirror=student_reads_english(args.objective, loss),
                router_mapping=args.router_mapping,
                prompts=args.prompts,
                max_length=args.max_length,
                row_adapter=self._row_languages(train_dataset, eval_dataset),
            )
        if self.language_adapters is not None and (anchor := anchor_of(loss)):
            raise InputError(
                f"is {anchor}, but a student with language adapters has no untrained copy",
                "leave it out, or train the whole student",
                field="anchor",
            )
        super().__init__(
            model=model,
            args=args,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            loss=loss,
            data_collator=data_collator,
            **options,
        )
        # Replace the progress bar by one that names the losses, unless the user turned progress bars off.
        if any(type(callback) is ProgressCallback for callback in self.callback_handler.callbacks):
            self.remove_callback(ProgressCallback)
            self.add_callback(NamedLossProgress())

    def train(self, *args: Any, **options: Any) -> Any:
        """Train as the Trainer does; if memory runs out, raise an error that lists what to change."""
        if self._cache_to_fill is not None:
            self.seconds_to_fill = fill_for(self, self._cache_to_fill)
        fill_banks(self.loss, self.train_dataset, self.args, self.bank_cache)
        adapters = self.language_adapters is not None
        with (
            explained(
                lambda: f"step {self.state.global_step + 1} of the training",
                lambda: training_remedies(self.args, self.model, adapters=adapters),
            ),
            rows_in_training(self),
            frozen_layers(self.model, getattr(self.args, "freeze_layers", 0)),
        ):
            if self.is_fsdp_enabled and self.model is not None:
                hide_normalisation(self.model)
            return super().train(*args, **options)

    def _run_epoch(self, *args: Any, **options: Any) -> None:
        """Run an epoch, unless all steps were taken, or stopping was decided, before an interruption.

        The Trainer checks only after a step, so that a training resumed from its last checkpoint would take one step
        too many.
        """
        if self.control.should_training_stop or self.state.global_step >= self.state.max_steps:
            self.control.should_training_stop = True
            return
        super()._run_epoch(*args, **options)

    def _row_languages(self, *data: Any) -> RowLanguages | None:
        if self.language_adapters is None:
            return None
        languages = RowLanguages(self.language_adapters.trainable)
        for sets in data:
            languages.check(sets)
        return languages

    def should_dataset_name_column_be_added(self, dataset: Any, *args: Any, **options: Any) -> bool:
        """Return sentence-transformers' answer; with language adapters always true, as the name gives the language."""
        named = self.language_adapters is not None and isinstance(dataset, dict)
        return named or super().should_dataset_name_column_be_added(dataset, *args, **options)

    def contrastive_loss(self, model: Any, args: OTDistillationTrainingArguments) -> nn.Module:
        """Make sentence-transformers' InfoNCE loss for query-passage sets (kinds ``mono`` and ``cross``)."""
        raise NotImplementedError

    def _build_dataloader(self, *args: Any, **options: Any) -> Any:
        loader = super()._build_dataloader(*args, **options)
        if isinstance(loader.dataset, ConcatDataset) and hasattr(loader.batch_sampler, "set_epoch"):
            # When several processes resume, the Trainer cannot reach the sampler below accelerate's wrappers, and a
            # second epoch would repeat the order of the first. But it calls set_epoch on the data set.
            EpochRelay.attach(loader.dataset, loader.batch_sampler)
        return loader

    def _save_checkpoint(self, *args: Any, **options: Any) -> None:
        """Save a checkpoint; if it cannot be written, remove it and name the last complete one."""
        folder = Path(str(self.args.output_dir))
        try:
            super()._save_checkpoint(*args, **options)
        except (OSError, RuntimeError, SafetensorError) as error:
            partial = folder / f"checkpoint-{self.state.global_step}"
            if last_whole_checkpoint(folder) != str(partial):
                shutil.rmtree(partial, ignore_errors=True)
            if isinstance(error, RuntimeError) and (_NOT_OF_THE_DISK.search(str(error)) or is_out_of_memory(error)):
                raise  # free disk space would not help
            whole = last_whole_checkpoint(folder)
            raise HFOpticalError(
                f"the checkpoint of step {self.state.global_step} could not be written ({error}). "
                + (f"The last complete checkpoint is {whole}; " if whole else "There is no earlier checkpoint; ")
                + "free some disk space, then start the same command again"
            ) from error

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save the model; weights that FSDP2 shards over processes are saved as whole tensors that load as usual."""
        if self.model is None or not is_sharded(self.model):
            return super().save_model(output_dir, _internal_call)
        with whole(self.model):
            return self._save(output_dir) if self.args.should_save else None

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        folder = Path(output_dir or str(self.args.output_dir))
        if self.language_adapters is None:
            super()._save(output_dir, state_dict)
        else:  # the Trainer would write one of the adapters under another name
            folder.mkdir(parents=True, exist_ok=True)
            save_checkpoint(self.language_adapters, folder)
            torch.save(self.args, folder / TRAINING_ARGS_NAME)
        save_loss_state(self.loss, folder)
        note_in_checkpoint(self.teacher, folder)

    def _load_from_checkpoint(self, checkpoint_path: str, model: nn.Module | None = None) -> None:
        # sentence-transformers calls it with the path alone, the FSDP code of transformers with the model too.
        check_checkpoint_cache(self.teacher, checkpoint_path)
        if self.model is not None and is_sharded(self.model):
            load_whole(self.model, load_encoder(checkpoint_path, device="cpu").state_dict())
        elif self.language_adapters is None:
            super()._load_from_checkpoint(checkpoint_path)
        else:
            load_checkpoint(self.language_adapters, checkpoint_path)
        load_loss_state(self.loss, checkpoint_path)

    def _load_best_model(self) -> None:
        best = self.state.best_model_checkpoint
        if self.language_adapters is None or best is None:
            super()._load_best_model()
        else:  # the Trainer would log a failure and go on with the last weights
            self._load_from_checkpoint(best)

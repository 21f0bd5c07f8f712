"""Lexical injection: move words towards their translations at an early layer and the output, with a small lexicon."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import torch
from sentence_transformers.base.model import BaseModel
from sentence_transformers.util.distributed import all_gather, all_gather_with_grad, get_rank, get_world_size
from torch import Tensor, nn
from torch.nn import functional

from hf_optical.encoders.feature_keys import MIRROR, TEACHER_TOKENIZED
from hf_optical.encoders.teachers import check_same_space, freeze, is_late_interaction
from hf_optical.encoders.word_vectors import (
    WordVectors,
    check_layer,
    comparable_layers,
    keys_of_words,
    read_words,
    tokens_outside_words,
)
from hf_optical.errors import InputError, NonFiniteError, check_choice, check_positive
from hf_optical.losses.citations import LEXICAL_INJECTION
from hf_optical.losses.false_negatives import Sets, false_negatives, translation_sets
from hf_optical.losses.features import check_teacher_tokens, needs_own_tokens
from hf_optical.losses.word_contrast import hardest_triplet, info_nce

LexicalObjective = Literal["triplet", "nce"]
LEXICAL_OBJECTIVES = ("triplet", "nce")
_CHUNK = 1000


class LexicalInjectionLoss(nn.Module):
    """Loss that moves words near their translations and away from other words, at one layer and at the output.

    A word's vector at a layer is the mean of its own tokens' hidden states: special tokens are left out, because their
    vectors hardly depend on the word. Both directions are trained. Pairs of the batch that are not negatives of each
    other (same word, same translation, a shared meaning in the lexicon) are masked.

    Args:
        model: The student; it reads the translation and, without a teacher, the English too.
        teacher: A frozen English encoder of the student's body (a grown student's teacher). It reads the English, so
            that words are pulled to where the document index has them. With ``None`` the student reads both sides, as
            in the paper.
        objective: ``"triplet"`` (hardest in-batch negative) or ``"nce"`` (InfoNCE).
        layer: Hidden state to train: 0 is the embedding layer, k the k-th transformer layer; ``None`` for no layer.
            :func:`hf_optical.evaluation.layer_probe.probe_layers` recommends one.
        output_weight: Weight of the same objective on the encoder's output (mean of the output token vectors for late
            interaction); 0 for none. Without it nothing forces the gain at the layer to reach the output.
        margin: Margin of the triplet loss, in units of cosine.
        temperature: Temperature of InfoNCE.
        lexicon: All (English, translation) pairs, by which false negatives are found; without it only the pairs of the
            batch are used.
        gather_across_devices: Contrast with the words of all processes, so that two processes give the same loss as
            one.

    Raises:
        InputError: There is no such layer or objective, nothing to train, or the teacher has another architecture.
        NonFiniteError: A vector is not finite; raised before the optimizer step.

    References:
        - Ngugi: Targeted Lexical Injection, https://arxiv.org/abs/2506.15415 (triplet loss, margin 0.4, early-layer
          LoRA, one direction; both directions, masked negatives and the output term are ours)

    Requirements:
        1. (English word, translation) pairs, in this order.
        2. With a teacher of another tokenizer:
           ``data_collator=OTDistillationDataCollator.for_models(student, teacher)``.

    Inputs:
        +-------------------------+--------+
        | Inputs                  | Labels |
        +=========================+========+
        | (source, translation)   | none   |
        +-------------------------+--------+

    Relations:
        - ``MultipleNegativesRankingLoss`` is InfoNCE on the output alone, with every other pair as a negative.

    Example:
        ::

            from sentence_transformers import SentenceTransformerTrainer
            from hf_optical.data.lexicon import read_lexicon
            from hf_optical.losses import LexicalInjectionLoss

            rows = read_lexicon("lexicon.tsv")
            loss = LexicalInjectionLoss(student, layer=2, lexicon=zip(rows["source"], rows["translation"]))
            SentenceTransformerTrainer(model=student, train_dataset=rows, loss=loss).train()
    """

    def __init__(
        self,
        model: BaseModel,
        teacher: BaseModel | None = None,
        *,
        objective: LexicalObjective = "triplet",
        layer: int | None = 2,
        output_weight: float = 1.0,
        margin: float = 0.4,
        temperature: float = 0.05,
        lexicon: Iterable[tuple[str, str]] | None = None,
        gather_across_devices: bool = False,
    ) -> None:
        super().__init__()
        check_choice("objective", objective, LEXICAL_OBJECTIVES)
        if layer is not None:
            check_layer(model, layer)
        if not output_weight >= 0 or (layer is None and output_weight == 0):
            raise InputError(
                f"is {output_weight}", "give 0 or more, and a number above 0 if layer is None", field="output_weight"
            )
        check_positive("margin", margin)
        check_positive("temperature", temperature)
        if teacher is not None:
            check_same_space(model, teacher)
            if layer is not None and not comparable_layers(model, teacher):
                raise InputError(
                    "the teacher's layers differ from the student's, so that their hidden states cannot be compared",
                    "leave the teacher out (the student then reads both sides), or set layer=None",
                    field="layer",
                )
        self.model = model
        self.teacher = freeze(teacher) if teacher is not None else None
        self.objective, self.layer, self.output_weight = objective, layer, float(output_weight)
        self.margin, self.temperature = margin, temperature
        self.gather_across_devices = gather_across_devices
        self.late_interaction = is_late_interaction(model)
        reader = teacher if teacher is not None else model
        self.needs_teacher_tokens = teacher is not None and needs_own_tokens(model, teacher)
        self._outside = {"source": tokens_outside_words(reader), "translation": tokens_outside_words(model)}
        self._names: dict[str, dict[int, int]] = {"source": {}, "translation": {}}
        self._known: tuple[Sets, Sets] = ({}, {})
        if lexicon is not None:
            self._learn_names(list(lexicon), reader, model)

    def train(self, mode: bool = True) -> LexicalInjectionLoss:
        """Set training mode for everything except the teacher."""
        super().train(mode)
        if self.teacher is not None:
            self.teacher.eval()
        return self

    def forward(
        self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Compute the weighted terms of one batch, by name: ``word_layer<k>`` and ``word_output``.

        Args:
            sentence_features: Features of the English words, of their translations, and, where a collator made them, of
                the English as the student tokenises it.
            labels: Unused.
        """
        features = list(sentence_features)
        layers = [] if self.layer is None else [self.layer]
        translation = read_words(
            self.model, features[1], self._outside["translation"], layers, late_interaction=self.late_interaction
        )
        if self.teacher is not None:
            if self.needs_teacher_tokens:
                check_teacher_tokens(features[0])
            with torch.no_grad():
                source = read_words(
                    self.teacher, features[0], self._outside["source"], layers, late_interaction=self.late_interaction
                )
        else:
            english = self._english_for_student(features)
            source = read_words(
                self.model, english, self._outside["source"], layers, late_interaction=self.late_interaction
            )
        self._check_finite(source, translation)
        return self.compute_terms(source, translation)

    def compute_terms(self, source: WordVectors, translation: WordVectors) -> dict[str, Tensor]:
        """Compute the weighted terms from word vectors alone, without a model; returns a dict of scalars."""
        negative = ~self._false_negatives(source.keys, translation.keys).to(source.output.device)
        terms: dict[str, Tensor] = {}
        with torch.autocast(source.output.device.type, enabled=False):
            if self.layer is not None:
                terms[f"word_layer{self.layer}"] = self._both_ways(source.layers[0], translation.layers[0], negative)
            if self.output_weight > 0:
                terms["word_output"] = self.output_weight * self._both_ways(source.output, translation.output, negative)
            elif get_world_size() > 1:
                # Distributed training waits for a gradient of every output of the forward pass.
                unused = translation.output.sum() + (source.output.sum() if self.teacher is None else 0)
                terms[f"word_layer{self.layer}"] = terms[f"word_layer{self.layer}"] + 0 * unused
        return terms

    def _both_ways(self, source: Tensor, translation: Tensor, negative: Tensor) -> Tensor:
        source, translation = (functional.normalize(side, dim=-1) for side in (source, translation))
        every_source, every_translation, offset = source, translation, 0
        if self.gather_across_devices:
            every_source, every_translation = all_gather_with_grad(source), all_gather_with_grad(translation)
            offset = get_rank() * len(source)
        target = torch.arange(len(source), device=source.device) + offset
        negative = negative[offset : offset + len(source)]
        return (
            self._one_way(source @ every_translation.T, target, negative)
            + self._one_way(translation @ every_source.T, target, negative)
        ) / 2

    def _one_way(self, similarity: Tensor, target: Tensor, negative: Tensor) -> Tensor:
        if self.objective == "triplet":
            return hardest_triplet(similarity, target, negative, self.margin)
        return info_nce(similarity, target, negative, self.temperature)

    def _false_negatives(self, source: Tensor, translation: Tensor) -> Tensor:
        keys = torch.stack([source, translation], dim=1)
        if self.gather_across_devices:  # gathered in the same order as the vectors
            device = next(self.model.parameters()).device
            keys = all_gather(keys.to(device)).cpu()
        words = [
            [self._names[side].get(key, key) for key in column.tolist()]
            for side, column in zip(("source", "translation"), keys.T, strict=True)
        ]
        return false_negatives(words[0], words[1], self._known)

    def _learn_names(self, pairs: Sequence[tuple[str, str]], reader: BaseModel, student: BaseModel) -> None:
        """Tokenise every word of the lexicon, because a batch holds tokens and not words."""
        numbers: dict[str, int] = {}
        for place, (side, model) in enumerate((("source", reader), ("translation", student))):
            words = list(dict.fromkeys(pair[place] for pair in pairs))
            for start in range(0, len(words), _CHUNK):
                some = words[start : start + _CHUNK]
                keys = keys_of_words(model, some, self._outside[side])
                for word, key in zip(some, keys, strict=True):
                    # Lower and upper case are the same word, however the tokenizer treats them.
                    self._names[side].setdefault(key, numbers.setdefault(f"{place}{_folded(word)}", len(numbers)))
        self._known = translation_sets(
            (numbers[f"0{_folded(source)}"], numbers[f"1{_folded(translation)}"]) for source, translation in pairs
        )

    def _english_for_student(self, features: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        mirrored = next((one for one in features[2:] if one.get(MIRROR)), None)
        if mirrored is not None:
            return mirrored
        if features[0].get(TEACHER_TOKENIZED):
            raise InputError(
                "the student has to read the English words, but they were tokenised for a teacher",
                "pass teacher= to LexicalInjectionLoss, or use "
                "OTDistillationDataCollator.for_models(student, teacher, mirror=True)",
            )
        return features[0]

    def _check_finite(self, source: WordVectors, translation: WordVectors) -> None:
        found = torch.stack([(one.output.detach() * 0).sum() for one in (source, translation)])
        found = found + sum((one.detach() * 0).sum() for one in (*source.layers, *translation.layers))
        if not torch.isfinite(found).all():
            who = "teacher's or student's" if self.teacher is not None else "student's"
            raise NonFiniteError(f"the {who} word vectors are not finite")

    def get_config_dict(self) -> dict[str, Any]:
        """Return the configuration for the model card."""
        return {
            "objective": self.objective,
            "layer": self.layer,
            "output_weight": self.output_weight,
            "margin": self.margin if self.objective == "triplet" else None,
            "temperature": self.temperature if self.objective == "nce" else None,
            "english_read_by": "student" if self.teacher is None else "teacher",
            "gather_across_devices": self.gather_across_devices,
        }

    @property
    def citation(self) -> str:
        """BibTeX of the method, for the model card."""
        return LEXICAL_INJECTION


def _folded(word: str) -> str:
    return word.strip().casefold()

"""Hybrid policy: probabilities of each kind of batch and of each language."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch.utils.data import BatchSampler, ConcatDataset

from hf_optical.errors import InputError

if TYPE_CHECKING:
    from hf_optical.batching.hybrid import HybridBatchSampler

KINDS = ("mono", "cross", "bitext")
_NAME = re.compile(r"(?P<kind>mono|cross|bitext)/(?P<first>\w+)(?:-(?P<second>\w+))?")


@dataclass(frozen=True)
class HybridPolicy:
    """Options of a `HybridBatchSampler`; given to the trainer as ``multi_dataset_batch_sampler=``.

    A batch is bitext with probability ``bitext_share``; any other batch is monolingual with
    probability ``alpha`` and cross-lingual otherwise.

    Args:
        alpha: Probability in [0, 1] that a batch that is not bitext is monolingual.
        bitext_share: Probability in [0, 1] that a batch is bitext.
        language_weights: How the language of a monolingual batch, the pair of a bitext batch and the
            pair of each row of a cross-lingual batch are drawn: ``"uniform"``, ``"size"`` (in
            proportion to the rows), or a power ``p`` of the rows (0 is uniform, 1 is by size).
        names: Names of the datasets in order, ``list(train_dataset)``. They may be left out if the loss is a dict,
            because sentence-transformers then marks each dataset with its name.
        ids: For each dataset, by name, the underlying id of each of its rows (integers or strings): equal for rows that
            are copies of one question, in any language. They cannot be a column, because sentence-transformers would
            embed it as text. Without them, two rows count as copies if they share a text. Give ids for every dataset of
            a kind or for none. They are not pickled with the policy, because the Trainer saves its arguments in every
            checkpoint.
        no_duplicates: Keep rows that share a text in any column out of one batch, in addition to rows that share an id,
            because the passage of one row would be a false negative of another.
        bitext_batches: Number of batches, over all processes and epochs, that are bitext at the start of the training;
            none after them is. By default bitext batches are mixed with the others.
        gathered: Apply the rules of a batch to all batches that the processes train on in one step. Needed if the loss
            gathers them (``gather_across_devices=True``).

    Raises:
        InputError: An option is out of range.

    Example:
        >>> HybridPolicy(alpha=0.5, bitext_share=0.2).shares().tolist()
        [0.4, 0.4, 0.2]
    """

    alpha: float = 0.5
    bitext_share: float = 0.0
    language_weights: Literal["uniform", "size"] | float = "uniform"
    names: Sequence[str] | None = None
    ids: Mapping[str, Sequence[Any] | np.ndarray] | None = None
    no_duplicates: bool = True
    bitext_batches: int | None = None
    gathered: bool = False

    def __post_init__(self) -> None:
        for field in ("alpha", "bitext_share"):
            value = getattr(self, field)
            if not 0 <= value <= 1:
                raise InputError(f"{field} is {value}", "give a probability from 0 to 1", field=field)
        if self.bitext_batches is not None and self.bitext_batches < 0:
            raise InputError(
                f"bitext_batches is {self.bitext_batches}", "give a number of batches", field="bitext_batches"
            )
        weights = self.language_weights
        if isinstance(weights, str) and weights not in ("uniform", "size"):
            raise InputError(
                f"language_weights is {weights!r}", "give 'uniform', 'size' or a power", field="language_weights"
            )
        if not isinstance(weights, str) and not np.isfinite(weights):
            raise InputError(f"language_weights is {weights}", "give a finite power", field="language_weights")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "ids": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __call__(
        self,
        dataset: ConcatDataset,
        batch_samplers: list[BatchSampler],
        generator: torch.Generator | None = None,
        seed: int = 0,
    ) -> HybridBatchSampler:
        """Make the sampler of this policy for the trainer's datasets; sentence-transformers calls this."""
        from hf_optical.batching.hybrid import HybridBatchSampler

        return HybridBatchSampler(dataset, batch_samplers, generator, seed, policy=self)

    def shares(self, batch: int | None = None) -> np.ndarray:
        """Return the probabilities of a monolingual, a cross-lingual and a bitext batch, shape ``(3,)``.

        Args:
            batch: Number of batches before this one, over all processes and epochs, which decides if
                ``bitext_batches`` is set; by default the shares of the whole training.

        Example:
            >>> HybridPolicy(bitext_share=0.5, bitext_batches=8).shares(7).tolist()
            [0.0, 0.0, 1.0]
            >>> HybridPolicy(bitext_share=0.5, bitext_batches=8).shares(8).tolist()
            [0.5, 0.5, 0.0]
        """
        share = self.bitext_share
        if batch is not None and self.bitext_batches is not None:
            share = float(batch < self.bitext_batches)
        rest = 1 - share
        return np.array([rest * self.alpha, rest * (1 - self.alpha), share])

    def check_kinds(self, kinds: Collection[str]) -> None:
        """Raise an error if batches of a kind would be drawn for which there is no dataset.

        Args:
            kinds: The kinds of the datasets.

        Raises:
            InputError: A kind with a positive share is missing.

        Example:
            >>> HybridPolicy(alpha=1.0).check_kinds(["mono"])
        """
        for share, kind in zip(self.shares(), KINDS, strict=True):
            if share and kind not in kinds:
                raise InputError(
                    f"the policy gives {kind} batches a share of {share:.3g}, but no dataset is named {kind}/...",
                    "add one, or change alpha or bitext_share",
                )

    def weights(self, rows: Sequence[int]) -> np.ndarray:
        """Return the probabilities of the languages of one kind.

        Args:
            rows: Number of rows of each language or pair.

        Returns:
            Array of shape ``(len(rows),)`` that sums to 1.

        Example:
            >>> HybridPolicy(language_weights=0.5).weights([100, 900]).tolist()
            [0.25, 0.75]
        """
        power: float
        if isinstance(self.language_weights, str):
            power = 0.0 if self.language_weights == "uniform" else 1.0
        else:
            power = self.language_weights
        base = max(rows) if power >= 0 else min(rows)  # dividing first, so that no power overflows
        scaled = np.power(np.asarray(rows, dtype=float) / base, power)
        return scaled / scaled.sum()


def split_name(name: str) -> tuple[str, str]:
    """Split the name of a data set into kind and language (or pair).

    Args:
        name: ``mono/LANGUAGE``, ``cross/LANGUAGE-LANGUAGE`` or ``bitext/LANGUAGE-LANGUAGE``.

    Returns:
        The kind, and the language or the pair.

    Raises:
        InputError: The name has another form, or the two languages of a pair are equal.

    Example:
        >>> split_name("cross/eng_Latn-swh_Latn")
        ('cross', 'eng_Latn-swh_Latn')
    """
    match = _NAME.fullmatch(name)
    if match is None or (match["kind"] == "mono") != (match["second"] is None):
        raise InputError(
            f"the dataset is named {name!r}",
            "name it mono/swh_Latn, cross/eng_Latn-swh_Latn or bitext/eng_Latn-swh_Latn, according to its content",
        )
    if match["first"] == match["second"]:
        raise InputError(
            f"the dataset {name!r} pairs a language with itself", f"name it mono/{match['first']} if it is monolingual"
        )
    return match["kind"], name.partition("/")[2]

"""In-batch contrast (InfoNCE): each translation against the English of all pairs of the batch."""

from __future__ import annotations

import torch
from sentence_transformers.multi_vector_encoder.scoring.colbert import colbert_scores
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from sentence_transformers.util.distributed import all_gather_padded, get_rank
from torch import Tensor, nn
from torch.nn import functional

from hf_optical.encoders.token_view import TokenView


class InBatchContrast(nn.Module):
    """Cross-entropy of finding a translation's own English among that of the batch (van den Oord et al., 2018).

    Dense models are compared by cosine (sentence-transformers' own loss), multi-vector models by mean MaxSim. The
    caller chooses which model encoded the English: the frozen teacher (distillation) or the student itself (standard
    fine-tuning). Gradients flow into every side that requires them.

    Args:
        temperature: Number by which scores are divided.
        late_interaction: Whether the models score token by token.
        gather_across_devices: Contrast with the English of all processes.
    """

    def __init__(self, temperature: float, *, late_interaction: bool, gather_across_devices: bool = False) -> None:
        super().__init__()
        self.late_interaction = late_interaction
        self.gather_across_devices = gather_across_devices
        # Sentence-transformers' own InfoNCE. It needs a model only in its forward pass, which is not called here.
        self._info_nce = MultipleNegativesRankingLoss(
            None,  # type: ignore[arg-type]
            scale=1 / temperature,
            gather_across_devices=gather_across_devices,
        )

    @property
    def temperature(self) -> float:
        """Temperature by which scores are divided; can be set."""
        return 1 / self._info_nce.scale

    @temperature.setter
    def temperature(self, value: float) -> None:
        self._info_nce.scale = 1 / value

    def forward(self, translation: TokenView, english: TokenView) -> Tensor:
        """Compute the loss of a batch, a scalar.

        Args:
            translation: The student's view of the translations.
            english: The teacher's or the student's view of the English, with the same sentences row by row.
        """
        if not self.late_interaction:
            embeddings = [translation.sentence.float(), english.sentence.float()]
            return self._info_nce.compute_loss_from_embeddings(embeddings, labels=None)  # type: ignore[arg-type]
        documents, mask, offset = _blank(english), english.mask, 0
        if self.gather_across_devices:
            documents, mask = all_gather_padded(documents, mask)
            offset = get_rank() * len(translation.tokens)
        scores = colbert_scores(
            _blank(translation),
            documents.unsqueeze(1),
            queries_mask=translation.mask,
            documents_mask=mask.unsqueeze(1),
            length_normalize=True,
        )
        target = torch.arange(len(scores), device=scores.device) + offset
        return functional.cross_entropy(scores / self.temperature, target)


def _blank(view: TokenView) -> Tensor:
    # Sentence-transformers multiplies by the mask, so that a NaN in the padding would reach the scores and every
    # gradient.
    return view.tokens.float().masked_fill(~view.mask.unsqueeze(-1), 0)

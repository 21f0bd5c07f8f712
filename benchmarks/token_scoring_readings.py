"""All readings of the found documents from one product of token matrices per query; see ``token_scoring.py``.

Centring needs no second product: ``(a - u)(b - v) = ab - ub - av + uv``. The scores are the package's own functions;
that they give what the package's reranker gives is tested.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from token_store import Encoded  # beside this file
from torch import Tensor

from hf_optical.transport.soft_scores import balanced_scores, maxsim_scores, soft_scores


class Readings:
    """One encoder pair's queries and documents of a set, ready to be read.

    Args:
        queries: Of the set.
        documents: Of the set.
        query_mean: Mean content token of the query language, (d,).
        document_mean: Of English, (d,).
        epsilons: Of the entropic scores; a name is ``soft`` with one epsilon, ``soft 0.1`` with several.
        only: Names of readings wanted; all by default.
    """

    def __init__(
        self,
        queries: Encoded,
        documents: Encoded,
        query_mean: np.ndarray,
        document_mean: np.ndarray,
        epsilons: tuple[float, ...],
        only: Sequence[str] = (),
    ) -> None:
        self.queries, self.epsilons, self.only = queries, epsilons, only
        self.means = torch.from_numpy(query_mean).float(), torch.from_numpy(document_mean).float()
        self.tokens = torch.from_numpy(documents.tokens.astype(np.float32))
        self.content = torch.from_numpy(documents.content)
        self.lengths = torch.from_numpy(documents.lengths)
        self.starts = self.lengths.cumsum(0) - self.lengths
        self.by_mean = self.tokens @ self.means[0]
        self.norms = (self.tokens - self.means[1]).norm(dim=1).clamp_min(1e-6)

    def all(self, found: np.ndarray) -> Iterator[dict[str, Tensor]]:
        """For every query the scores of the documents found, (k,), by the name of the reading."""
        start = 0
        for query, length in enumerate(self.queries.lengths.tolist()):
            rows = slice(start, start + length)
            start += length
            tokens = torch.from_numpy(self.queries.tokens[rows].astype(np.float32))
            yield self._one(tokens, torch.from_numpy(self.queries.content[rows]), torch.from_numpy(found[query]))

    def _one(self, query: Tensor, said: Tensor, found: Tensor) -> dict[str, Tensor]:
        lengths = self.lengths[found]
        places = torch.arange(int(lengths.max()))
        real = places < lengths.unsqueeze(1)
        rows = torch.where(real, self.starts[found].unsqueeze(1) + places, 0)
        products = (self.tokens[rows.flatten()] @ query.T).view(*rows.shape, -1).transpose(1, 2).contiguous()
        u, v = self.means
        shifted = products - self.by_mean[rows].unsqueeze(1) - (query @ v).unsqueeze(1) + u @ v
        norms = (query - u).norm(dim=1).clamp_min(1e-6).unsqueeze(1) * self.norms[rows].unsqueeze(1)
        centred = shifted / norms
        everything, asked = torch.ones(1, len(query), dtype=torch.bool), said.unsqueeze(0)
        content = real & self.content[rows]
        ways: dict[str, Callable[[], Tensor]] = {
            "maxsim": lambda: maxsim_scores(products, everything, real),
            "centred maxsim": lambda: maxsim_scores(centred, asked, content),
        }
        ours = centred[:, said]
        all_asked = torch.ones(ours.shape[:2], dtype=torch.bool)
        for epsilon in self.epsilons:
            mark = f" {epsilon}" if len(self.epsilons) > 1 else ""
            ways |= {
                f"soft, not centred{mark}": partial(soft_scores, products, asked, content, epsilon),
                f"soft{mark}": partial(soft_scores, centred, asked, content, epsilon),
                f"balanced{mark}": partial(balanced_scores, ours, all_asked, content, epsilon),
            }
        return {name: way() for name, way in ways.items() if not self.only or name in self.only}

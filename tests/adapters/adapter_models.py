"""Adapters with random weights, and encoding text by text: what the tests compare with."""

from __future__ import annotations

import torch

from hf_optical.adapters import LanguageAdapters

THREE = ("swh_Latn", "som_Latn", "tgl_Latn")
TEXTS = [
    "mbuzi analala",
    "mtoto anakula katika nyumba kubwa",
    "mwalimu anaona mti",
    "mbwa",
    "nyumba ndogo karibu na mto",
]


def randomized(adapters, seed=0):
    """Weights of all adapters far from their start, so that every mistake shows."""
    generator = torch.Generator().manual_seed(seed)
    for language in adapters.languages:
        for parameter in adapters.parameters(language).values():
            parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
    return adapters


def with_adapters(model, languages=THREE, **options):
    adapters = LanguageAdapters(model)
    for language in languages:
        adapters.add(language, r=4, **options)
    return adapters


def largest_difference(first, second):
    return max(float((a.float() - b.float()).abs().max()) for a, b in zip(first, second, strict=True))


def one_by_one(adapters, texts, languages):
    vectors = []
    for text, language in zip(texts, languages, strict=True):
        with adapters.use(language) as model:
            vectors.append(torch.as_tensor(model.encode([text])[0]))
    return vectors

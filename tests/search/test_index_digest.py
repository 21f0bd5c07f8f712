"""What a stored vector depends on: the text, the encoder and the interaction."""

from __future__ import annotations

import tiny_models

from hf_optical.search.memory import MemoryIndex


def test_the_digest_tells_interactions_encoders_and_texts_apart(tmp_path):
    model, other = tiny_models.dense(tmp_path), tiny_models.dense(tmp_path, seed=1)
    digests = [
        MemoryIndex(encoder, interaction=interaction)._digest(text, True)
        for encoder, interaction, text in (
            (model, "dense", "the goat"),
            (model, "maxsim", "the goat"),
            (other, "dense", "the goat"),
            (model, "dense", "the dog"),
        )
    ]
    assert len(set(digests)) == 4
    assert MemoryIndex(model, interaction="dense")._digest("the goat", True) == digests[0]

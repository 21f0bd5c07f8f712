"""Mean tokens of a run's languages, beside those that an adapter's base already had."""

from __future__ import annotations

import numpy as np
import tiny_models

from hf_optical.encoders.token_means import TokenMeans
from hf_optical.runs.token_means import save_token_means


def test_an_adapter_keeps_the_means_of_its_base(tmp_path):
    teacher, rows = tiny_models.dense(tmp_path), tiny_models.bitext(20)
    base, plain, added = (tmp_path / name for name in ("base", "plain", "added"))
    for folder in (base, plain, added):
        folder.mkdir()
    known = np.full(16, 0.25, dtype=np.float32)
    TokenMeans({"tgl_Latn": known, "swh_Latn": known}, known).save(base)
    save_token_means(plain, teacher, teacher, {"swh_Latn": rows})
    save_token_means(added, teacher, teacher, {"swh_Latn": rows}, base=str(base))
    assert set(TokenMeans.load(plain).queries) == {"swh_Latn"}
    found = TokenMeans.load(added)
    assert set(found.queries) == {"swh_Latn", "tgl_Latn"} and np.allclose(found.of("tgl_Latn"), known)
    assert not np.allclose(found.of("swh_Latn"), known) and not np.allclose(found.documents, known), "of this run"

from __future__ import annotations

import gzip
import json

import pytest
import torch
from adapter_models import largest_difference, randomized, with_adapters

from hf_optical.adapters import LanguageRouter
from hf_optical.data.identify import identify
from hf_optical.errors import InputError

TEXTS = [  # written for this project
    "Watoto wanacheza karibu na mto kila siku baada ya shule",
    "Carruurtu waxay maalin walba ku ciyaaraan webiga agtiisa",
    "The children play near the river every day after school",
    "1234",
]


def test_texts_are_identified_and_go_through_their_adapters(dense):
    adapters = randomized(with_adapters(dense, ["sw", "so"]))
    vectors = torch.as_tensor(adapters.encode(TEXTS, languages="auto"))
    known = torch.as_tensor(adapters.encode(TEXTS, languages=["sw", "so", None, None]))
    assert torch.equal(vectors, known)
    routing = adapters.last_routing
    assert routing.languages == ("swh_Latn", "som_Latn", "eng_Latn", "und")
    assert routing.adapters == ("swh_Latn", "som_Latn", None, None) and routing.abstained == 1
    assert {(row["language"], row["adapter"], row["texts"]) for row in routing.report()} == {
        ("swh_Latn", "swh_Latn", 1), ("som_Latn", "som_Latn", 1), ("eng_Latn", "base", 1), ("unsure", "base", 1)
    }  # fmt: skip
    assert len(routing.table().splitlines()) == 5


def test_unsure_texts_go_to_the_base_whatever_the_policy(dense):
    adapters = randomized(with_adapters(dense, ["sw", "so"]))
    router = LanguageRouter(0.6, identifier=lambda texts: [("swh_Latn", 0.59), ("ary_Arab", 0.7), ("som_Latn", 0.6)])
    assert adapters.route(["a", "b", "c"], router=router).adapters == (None, None, "som_Latn")
    with pytest.raises(InputError, match="no adapter for ary_Arab"):
        adapters.route(["a", "b", "c"], router=router, policy="error")
    adapters.add("ar")
    assert adapters.route(["a", "b", "c"], router=router, policy="nearest").adapters == (None, "arb_Arab", "som_Latn")
    vectors = torch.as_tensor(adapters.encode(["mbuzi", "mbwa", "mti"], languages="auto", router=router))
    base = torch.as_tensor(dense.encode(["mbuzi", "mbwa", "mti"]))
    assert largest_difference(vectors[:2], base[:2]) == 0 and largest_difference(vectors[2:], base[2:]) > 1e-3


def test_a_threshold_out_of_range_is_refused():
    with pytest.raises(InputError, match="'threshold'"):
        LanguageRouter(1.5)


@pytest.mark.real
@pytest.mark.parametrize("code", ["sw", "so", "tl", "mr", "ig", "rw", "am"])
def test_what_the_router_is_sure_of_is_right_on_real_sentences(shared_data, code):
    from hf_optical.data.languages import normalize

    with gzip.open(shared_data / "bitext" / f"{code}.dev.jsonl.gz", "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["xx"] for line, _ in zip(lines, range(200), strict=False)]
    found = [(language, confidence) for language, confidence in identify(texts) if confidence >= 0.5]
    right = sum(language == normalize(code) for language, _ in found)
    assert len(found) >= 0.75 * len(texts)
    assert right >= 0.98 * len(found)

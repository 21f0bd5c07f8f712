from __future__ import annotations

import pytest
import tiny_models
import torch
from adapter_models import TEXTS, THREE, largest_difference, one_by_one, randomized, with_adapters
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hf_optical.adapters import LanguageAdapters
from hf_optical.adapters.nearest import MACRO_LANGUAGES, nearest
from hf_optical.adapters.report import adapter_sizes, base_bytes, size_table
from hf_optical.data.languages import UnknownLanguageError, known_codes
from hf_optical.errors import InputError

MIXED = ["swh_Latn", "som_Latn", None, "tgl_Latn", "som_Latn"]


def test_a_mixed_batch_equals_one_by_one(adapters):
    mixed = [torch.as_tensor(vector) for vector in adapters.encode(TEXTS, languages=MIXED)]
    assert largest_difference(mixed, one_by_one(adapters, TEXTS, MIXED)) < 1e-6
    base = [torch.as_tensor(vector) for vector in adapters.model.encode(TEXTS)]
    apart = [float((a - b).abs().max()) for a, b in zip(mixed, base, strict=True)]
    assert [distance > 1e-3 for distance in apart] == [language is not None for language in MIXED]


def test_a_mixed_batch_in_bfloat16_is_within_its_precision(adapters):
    # The reference is float32, so that rounding of the same numbers in another order is judged, not hidden.
    exact = one_by_one(adapters, TEXTS, MIXED)
    adapters.model.to(torch.bfloat16)
    mixed = [torch.as_tensor(v) for v in adapters.encode(TEXTS, languages=MIXED, convert_to_numpy=False)]
    alone = []
    for text, language in zip(TEXTS, MIXED, strict=True):
        with adapters.use(language) as model:
            alone.append(torch.as_tensor(model.encode([text], convert_to_numpy=False)[0]))
    assert mixed[0].dtype == torch.bfloat16
    assert largest_difference(mixed, alone) < 2**-6  # vectors of length one; two steps of bfloat16 at 0.5 to 1
    assert largest_difference(mixed, exact) < 2**-4


def test_batches_smaller_than_the_texts_keep_the_order(adapters):
    texts, languages = TEXTS * 3, (MIXED * 3)[::-1]
    small = [torch.as_tensor(v) for v in adapters.encode(texts, languages=languages, batch_size=2)]
    assert largest_difference(small, one_by_one(adapters, texts, languages)) < 1e-6


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(languages=st.lists(st.sampled_from([*THREE, None]), min_size=1, max_size=5))
def test_any_assignment_of_languages_equals_one_by_one(languages, tmp_path_factory):
    adapters = _shared(tmp_path_factory)
    texts = TEXTS[: len(languages)]
    mixed = [torch.as_tensor(v) for v in adapters.encode(texts, languages=languages)]
    assert largest_difference(mixed, one_by_one(adapters, texts, languages)) < 1e-6


def _shared(factory, made=[]):  # noqa: B006
    if not made:
        made.append(randomized(with_adapters(tiny_models.dense(factory.mktemp("one"), tiny_models.SWAHILI))))
    return made[0]


def test_adapters_of_different_modules_mix(dense):
    # peft ignores a row's modules_to_save if the adapter that was active last has none there.
    adapters = LanguageAdapters(dense)
    adapters.add("sw", modules_to_save=["intermediate.dense"], r=2)
    adapters.add("so", target_modules=["key"], layers_to_transform=[1], r=3, use_rslora=True)
    adapters.add("tl", trainable_token_indices=[5, 6, 7])
    adapters.add("mr", init_lora_weights="pissa", r=4)
    randomized(adapters)
    languages = ["tgl_Latn", "swh_Latn", "mar_Deva", "som_Latn", None]
    mixed = [torch.as_tensor(v) for v in adapters.encode(TEXTS, languages=languages)]
    assert largest_difference(mixed, one_by_one(adapters, TEXTS, languages)) < 1e-6
    base = torch.as_tensor(dense.encode(TEXTS))
    assert all(float((a - b).abs().max()) > 1e-5 for a, b in zip(mixed[:4], base[:4], strict=True))


def test_without_a_language_the_model_is_its_base_bit_for_bit(model):
    before = [torch.as_tensor(v) for v in model.encode(TEXTS)]
    adapters = randomized(with_adapters(model))
    randomized_start = LanguageAdapters.of(model)
    assert randomized_start is adapters
    adapters.add("mr", init_lora_weights="pissa", r=4)  # takes its start out of the base in peft
    adapters.add("ig", init_lora_weights="olora", r=4)
    for vectors in (model.encode(TEXTS), adapters.encode(TEXTS, languages=None)):
        assert largest_difference([torch.as_tensor(v) for v in vectors], before) == 0
    adapters.remove("so")
    assert adapters.languages == ("swh_Latn", "tgl_Latn", "mar_Deva", "ibo_Latn") and "so" not in adapters
    assert largest_difference([torch.as_tensor(v) for v in model.encode(TEXTS)], before) == 0


@pytest.mark.parametrize("start", [True, "pissa", "olora"])
def test_a_fresh_adapter_changes_nothing_yet(dense, start):
    before = torch.as_tensor(dense.encode(TEXTS))
    adapters = LanguageAdapters(dense)
    adapters.add("sw", r=4, init_lora_weights=start)
    after = torch.as_tensor(adapters.encode(TEXTS, languages="sw"))
    assert torch.allclose(before, after, atol=1e-6)


def test_removing_leaves_the_others_as_they_were(adapters):
    languages = ["swh_Latn", "tgl_Latn", None, "tgl_Latn", "swh_Latn"]
    before = [torch.as_tensor(v) for v in adapters.encode(TEXTS, languages=languages)]
    adapters.remove("som_Latn")
    after = [torch.as_tensor(v) for v in adapters.encode(TEXTS, languages=languages)]
    assert largest_difference(before, after) < 1e-6
    assert adapters.trainable == ("swh_Latn", "tgl_Latn")
    adapters.add("som_Latn", r=2)  # a name is free again
    assert adapters.config("so").r == 2


def test_policies_where_a_language_has_no_adapter(dense):
    adapters = randomized(with_adapters(dense, ["arb_Arab", "swh_Latn"]))
    base = torch.as_tensor(dense.encode(TEXTS[:1]))
    arabic = torch.as_tensor(adapters.encode(TEXTS[:1], languages="ar"))
    assert torch.equal(torch.as_tensor(adapters.encode(TEXTS[:1], languages=["ary_Arab"])), base)
    assert torch.equal(torch.as_tensor(adapters.encode(TEXTS[:1], languages=["ary_Arab"], policy="nearest")), arabic)
    assert torch.equal(torch.as_tensor(adapters.encode(TEXTS[:1], languages=["mr"], policy="nearest")), base)
    with pytest.raises(UnknownLanguageError, match=r"no adapter for ary_Arab; there are: arb_Arab, swh_Latn"):
        adapters.encode(TEXTS[:1], languages=["ary_Arab"], policy="error")
    with pytest.raises(InputError, match="'policy'"):
        adapters.encode(TEXTS[:1], languages=["ary_Arab"], policy="closest")


def test_nearest_prefers_the_language_itself_then_its_script():
    assert nearest("zho_Hant", ["yue_Hant", "zho_Hans"]) == "zho_Hans"
    assert nearest("srp_Cyrl", ["hrv_Latn", "bos_Latn"]) == "hrv_Latn"
    assert nearest("bjn_Arab", ["ind_Latn", "min_Arab"]) == "min_Arab"
    assert nearest("eng_Latn", known_codes()[:5]) is None
    members = [member for group in MACRO_LANGUAGES.values() for member in group]
    assert len(members) == len(set(members)) and set(members) <= {code[:3] for code in known_codes()}


def test_one_text_alone_gives_one_vector(dense):
    adapters = randomized(with_adapters(dense))
    assert adapters.encode("mbuzi", languages="so").shape == (16,)
    assert adapters.encode_query(["mbuzi"], languages=["so"]).shape == (1, 16)


def test_mistakes_in_encoding_are_named(dense):
    adapters = with_adapters(dense)
    with pytest.raises(InputError, match="2 languages are given for 1 texts"):
        adapters.encode(["a"], languages=["sw", "so"])
    with pytest.raises(UnknownLanguageError, match=r"'swahil'; nearest: swh_Latn"):
        adapters.encode(["a"], languages=["swahil"])
    with pytest.raises(InputError, match="row 2"):
        adapters.encode(["a", 3], languages=["sw", "so"])
    with pytest.raises(InputError, match="several processes"):
        adapters.encode(["a"], languages=["sw"], pool={})
    assert "preprocess" not in vars(dense)


def test_rows_that_do_not_fit_the_batch_are_refused(dense):
    from hf_optical.adapters.rows import ROW_KEY, row_numbers

    with_adapters(dense, ["sw"])
    features = dense.preprocess(["mbuzi", "mbwa"])
    with pytest.raises(InputError, match="2 rows but names adapters for 1"):
        dense({**features, ROW_KEY: row_numbers(["swh_Latn"])})
    with pytest.raises(InputError, match="for som_Latn, which has no adapter in this model"):
        dense({**features, ROW_KEY: row_numbers(["swh_Latn", "som_Latn"])})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"use_dora": True}, "use_dora.*refused: DoRA's magnitudes are lost"),
        ({"bias": "all"}, "which all languages share"),
        ({"init_lora_weights": "eva"}, "eva_config.*from training data"),
        ({"init_lora_weights": "loftq"}, "'init_lora_weights'|loftq"),
        ({"layer_replication": [(0, 1)]}, "changes the base"),
        ({"r": 0}, "r"),
        ({"rank": 3}, "unexpected keyword argument 'rank'"),
        ({"target_modules": ["nothing"]}, "cannot put this adapter into BertModel"),
        ({"modules_to_save": ["LayerNorm"]}, "is a LayerNorm, for which peft cannot choose an adapter row by row"),
        ({"init_lora_weights": "pissa", "target_modules": ["word_embeddings"]}, "linear layers only"),
    ],
)
def test_options_are_refused_with_the_reason_and_leave_no_trace(dense, options, message):
    before = torch.as_tensor(dense.encode(TEXTS))
    adapters = with_adapters(dense, ["sw"])
    with pytest.raises(InputError, match=message):
        adapters.add("so", **options)
    assert adapters.languages == ("swh_Latn",) and torch.equal(torch.as_tensor(dense.encode(TEXTS)), before)
    adapters.add("so", r=2)
    assert adapters.languages == ("swh_Latn", "som_Latn")


def test_names_are_checked_and_the_nearest_are_named(dense):
    adapters = LanguageAdapters(dense)
    assert adapters.add("sw") == "swh_Latn"
    with pytest.raises(UnknownLanguageError, match=r"nearest: .*som_Latn"):
        adapters.add("soma")
    with pytest.raises(InputError, match="already"):
        adapters.add("swa")
    with pytest.raises(UnknownLanguageError, match="no adapter for som_Latn; there are: swh_Latn"):
        adapters.remove("so")
    with pytest.raises(InputError, match="has adapters already"):
        LanguageAdapters(dense)


def test_sizes_are_those_of_the_files(dense, tmp_path):
    adapters = with_adapters(dense, ["sw", "so"])
    adapters.set_trainable(["so"])
    adapters.save(tmp_path / "all")
    rows = adapter_sizes(adapters)
    # two layers, query and value, A (4, 16) and B (16, 4)
    assert [row.parameters for row in rows] == [2 * 2 * 2 * 4 * 16] * 2 and [row.trained for row in rows] == [
        False,
        True,
    ]
    for row in rows:
        file = tmp_path / "all" / "adapters" / row.language / "adapter_model.safetensors"
        assert row.bytes <= file.stat().st_size < row.bytes + 2500
        assert row.share == pytest.approx(row.bytes / base_bytes(adapters))
    assert base_bytes(adapters) == sum(
        value.numel() * value.element_size()
        for value in tiny_models.dense(tmp_path, tiny_models.SWAHILI, layers=2).state_dict().values()
    )
    assert len(size_table(adapters).splitlines()) == 4

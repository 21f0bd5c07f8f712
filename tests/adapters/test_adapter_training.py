from __future__ import annotations

import pytest
import tiny_models
import torch
from adapter_models import THREE, with_adapters
from datasets import Dataset, concatenate_datasets
from sentence_transformers.base.evaluation import BaseEvaluator

from hf_optical import (
    MultiVectorOTDistillationTrainer,
    OTDistillationTrainer,
    OTDistillationTrainingArguments,
)
from hf_optical.adapters import LanguageAdapters
from hf_optical.adapters.rows import ROW_KEY, row_numbers
from hf_optical.adapters.training import LanguageEvaluator, language_of, load_checkpoint
from hf_optical.errors import InputError

SETS = {language: f"bitext/eng_Latn-{language}" for language in THREE}


def arguments(folder, **options):
    defaults = {
        "per_device_train_batch_size": 6,
        "max_steps": 6,
        "learning_rate": 1e-2,
        "max_grad_norm": 0.0,  # one norm over all adapters would couple them
        "report_to": "none",
        "save_strategy": "no",
        "use_cpu": True,
        "disable_tqdm": True,
        "objective": "ot",
        "gather_across_devices": False,
    }
    return OTDistillationTrainingArguments(output_dir=str(folder), **{**defaults, **options})


def mixed_rows(rows=8):
    """Three languages in every batch, told by the column ``language``."""
    parts = [
        tiny_models.bitext(rows, seed=seed).add_column("language", [code] * rows)
        for seed, code in enumerate(("sw", "som_Latn", "tl"))
    ]
    return concatenate_datasets(parts).shuffle(seed=0)


def sets(rows=12):
    return {name: tiny_models.bitext(rows, seed=seed) for seed, name in enumerate(SETS.values())}


def run(folder, data, *, prepare=None, add=(), resume=None, kind="dense", **options):
    student = getattr(tiny_models, kind)(folder / "student", tiny_models.SWAHILI, seed=1)
    teacher = getattr(tiny_models, kind)(folder / "teacher", tiny_models.ENGLISH)
    torch.manual_seed(3)
    adapters = with_adapters(student)
    for language, more in add:
        adapters.add(language, **more)
    if prepare:
        prepare(adapters)
    trainer_class = OTDistillationTrainer if kind == "dense" else MultiVectorOTDistillationTrainer
    more = {key: options.pop(key) for key in ("eval_dataset", "evaluator") if key in options}
    if "evaluator" in more:
        more["evaluator"] = more["evaluator"](adapters)
    args = arguments(folder / "out", **options)
    trainer = trainer_class(model=student, teacher=teacher, args=args, train_dataset=data, **more)
    trainer.train(resume_from_checkpoint=resume)
    return adapters, trainer


def states(adapters):
    return {code: {key: value.clone() for key, value in adapters.state(code).items()} for code in adapters.languages}


def base_of(adapters):
    own = {id(p) for code in adapters.languages for p in adapters.parameters(code).values()}
    return {name: p.detach().clone() for name, p in adapters.model.named_parameters() if id(p) not in own}


def only(language):
    """The rows of all other languages get no gradient."""

    def mask(model, inputs, output):
        if ROW_KEY in output:
            keep = output[ROW_KEY] == row_numbers([language])
            for key in ("token_embeddings", "sentence_embedding"):
                if key in output:
                    value = output[key]
                    output[key] = torch.where(keep.view(-1, *[1] * (value.dim() - 1)), value, value.detach())
        return output

    return lambda adapters: adapters.model.register_forward_hook(mask)


@pytest.mark.parametrize("objective", ["ot", "ot+cos"])
def test_mixed_training_equals_runs_in_which_the_other_rows_are_masked(tmp_path, objective):
    before = {}

    def remember(adapters):
        before.update(states=states(adapters), base=base_of(adapters))

    together, trainer = run(tmp_path, mixed_rows(), prepare=remember, objective=objective)
    trained = states(together)
    for language in THREE:
        alone = states(run(tmp_path, mixed_rows(), prepare=only(language), objective=objective)[0])
        for key, value in trained[language].items():
            assert torch.allclose(value, alone[language][key], atol=1e-5, rtol=0), (language, key)
            moved = float((value - before["states"][language][key]).abs().max())
            assert moved > 1e-3, (language, key)
        for other in set(THREE) - {language}:  # the mask of the reference run does mask
            assert all(torch.equal(alone[other][key], before["states"][other][key]) for key in alone[other])
    assert all(torch.equal(value, before["base"][name]) for name, value in base_of(together).items())
    own = {id(p) for code in THREE for p in together.parameters(code).values()}
    optimizer = trainer.optimizer
    assert {id(p) for group in optimizer.param_groups for p in group["params"]} == own
    states_of = optimizer.optimizer.state if hasattr(optimizer, "optimizer") else optimizer.state
    assert {id(p) for p in states_of} == own


def test_gradients_under_contrast_equal_those_of_three_separate_models(tmp_path):
    """In-batch negatives couple rows of all languages; the reference is one plain model for each language."""
    texts = ["mbuzi analala", "mtoto anakula", "mwalimu anaona mti", "mbwa anakimbia", "nyumba kubwa", "mto mdogo"]
    languages = [*THREE, *THREE]
    target = torch.randn(6, 16, generator=torch.Generator().manual_seed(0))

    def contrast(vectors):
        return torch.nn.functional.cross_entropy(vectors @ target.T / 0.1, torch.arange(6))

    def model():
        return tiny_models.dense(tmp_path, tiny_models.SWAHILI, seed=1)

    adapters = with_adapters(model(), init_lora_weights=False)
    features = {**adapters.model.preprocess(texts), ROW_KEY: row_numbers(languages)}
    contrast(adapters.model(features)["sentence_embedding"]).backward()
    separate = {}
    for language in THREE:
        separate[language] = with_adapters(model(), [language], init_lora_weights=False)
        separate[language].load_state(language, adapters.state(language))
    vectors = [None] * 6
    for language, one in separate.items():
        rows = [row for row, code in enumerate(languages) if code == language]
        with one.use(language) as plain:
            found = plain(plain.preprocess([texts[row] for row in rows]))["sentence_embedding"]
        for row, vector in zip(rows, found, strict=True):
            vectors[row] = vector
    contrast(torch.stack(vectors)).backward()
    for language, one in separate.items():
        for path, parameter in one.parameters(language).items():
            mixed = adapters.parameters(language)[path].grad
            assert torch.allclose(mixed, parameter.grad, atol=1e-6) and bool(mixed.any())


def test_sets_by_name_train_their_own_adapters_also_late_interaction(tmp_path):
    before = {}

    def remember(adapters):
        before.update(states=states(adapters), base=base_of(adapters))

    adapters, _ = run(tmp_path, sets(), kind="late", prepare=remember, max_steps=8, objective="ot+nce")
    for language, state in states(adapters).items():
        assert any(not torch.equal(value, before["states"][language][key]) for key, value in state.items())
    assert all(torch.equal(value, before["base"][name]) for name, value in base_of(adapters).items())


def test_one_language_after_another_moves_only_the_chosen(tmp_path):
    start = {}

    def choose(adapters):
        adapters.set_trainable(["so"])
        start.update(states(adapters))

    adapters, _ = run(tmp_path, {SETS["som_Latn"]: tiny_models.bitext(12)}, prepare=choose)
    for language, state in states(adapters).items():
        same = all(torch.equal(value, start[language][key]) for key, value in state.items())
        assert same == (language != "som_Latn")
    with pytest.raises(InputError, match=r"rows are in swh_Latn, for which no adapter is trained.*som_Latn"):
        run(tmp_path / "other", {SETS["swh_Latn"]: tiny_models.bitext(12)}, prepare=choose)


@pytest.mark.parametrize(
    ("name", "language", "message"),
    [
        ("bitext/mixed", None, "neither the name of the data set nor its rows state the language"),
        ("bitext/eng_Latn-mar_Deva", None, "mar_Deva, for which no adapter is trained"),
        ("bitext/mixed", "mr", "mar_Deva, for which no adapter is trained"),
        ("bitext/mixed", "swahil", "'language'.*'swahil'"),
    ],
)
def test_rows_without_an_adapter_stop_before_training(tmp_path, name, language, message):
    rows = tiny_models.bitext(6)
    if language:
        rows = rows.add_column("language", [language] * 6)
    with pytest.raises(InputError, match=message):
        run(tmp_path, {name: rows})


def test_languages_of_names():
    assert language_of("cross/eng_Latn-swh_Latn") == "swh_Latn" == language_of("bitext/sw-en")
    assert language_of("mono/eng_Latn") is None and language_of(None) is None
    assert language_of("bitext/eng_Latn-som_Latn-swh_Latn") is None


@pytest.mark.parametrize("stop", [3, 5])
def test_trap_18_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(tmp_path, stop):
    add = [("mr", {"r": 2, "init_lora_weights": "pissa"})]
    data = {**sets(), "bitext/eng_Latn-mar_Deva": tiny_models.bitext(12, seed=9)}
    options = {"add": add, "max_steps": 9, "save_strategy": "steps", "save_steps": stop, "max_grad_norm": 1.0}
    whole, _ = run(tmp_path / "whole", data, **options)
    checkpoint = tmp_path / "whole" / "out" / f"checkpoint-{stop}"
    assert not (checkpoint / "model.safetensors").exists()  # the base does not move and is not written
    resumed, _ = run(tmp_path / "again", data, resume=str(checkpoint), **options)
    for language, state in states(whole).items():
        again = resumed.state(language)
        assert state.keys() == again.keys() and all(torch.equal(state[key], again[key]) for key in state), language


class Script(BaseEvaluator):
    """Scores by a list, so that the best model is known beforehand; notes what it saw."""

    def __init__(self, scores):
        super().__init__()
        self.scores, self.seen, self.primary_metric = list(scores), [], "score"

    def __call__(self, model, output_path=None, epoch=-1, steps=-1):
        self.seen.append(torch.as_tensor(model.encode(["mbuzi analala"])))
        return {"score": self.scores[len(self.seen) - 1]}


def test_trap_18_the_best_model_is_loaded_with_all_adapters(tmp_path):
    script = Script([0.1, 0.9, 0.2])
    adapters, trainer = run(
        tmp_path,
        mixed_rows(),
        evaluator=lambda adapters: LanguageEvaluator(script, adapters, "so"),
        eval_strategy="steps",
        eval_steps=2,
        save_strategy="steps",
        save_steps=2,
        load_best_model_at_end=True,
        metric_for_best_model="score",
        greater_is_better=True,
    )
    best = tmp_path / "out" / "checkpoint-4"
    assert trainer.state.best_model_checkpoint == str(best)
    final = states(adapters)
    load_checkpoint(adapters, tmp_path / "out" / "checkpoint-6")  # the last weights are others
    assert all(
        not torch.equal(final[code][key], value) for code in THREE for key, value in adapters.state(code).items()
    )
    load_checkpoint(adapters, best)
    assert all(torch.equal(final[code][key], value) for code in THREE for key, value in adapters.state(code).items())
    # The evaluator saw the language, not the base.
    with adapters.use("so") as model:
        assert torch.equal(torch.as_tensor(model.encode(["mbuzi analala"])), script.seen[1])
    assert not torch.equal(torch.as_tensor(adapters.model.encode(["mbuzi analala"])), script.seen[1])


def test_trap_18_a_best_model_that_cannot_be_loaded_stops_the_run(tmp_path):
    adapters, trainer = run(tmp_path, mixed_rows(), max_steps=2, save_strategy="steps", save_steps=2)
    trainer.state.best_model_checkpoint = str(tmp_path / "out" / "checkpoint-2")
    (tmp_path / "out/checkpoint-2/adapters/som_Latn/adapter_model.safetensors").unlink()
    with pytest.raises(InputError, match=r"there is no adapter_model\.safetensors"):
        trainer._load_best_model()
    adapters.remove("tl")
    with pytest.raises(InputError, match="the model for swh_Latn, som_Latn"):
        load_checkpoint(adapters, tmp_path / "out" / "checkpoint-2")


def test_a_student_without_adapters_trains_as_before(tmp_path):
    student = tiny_models.dense(tmp_path, tiny_models.SWAHILI, seed=1)
    teacher = tiny_models.dense(tmp_path, tiny_models.ENGLISH)
    assert LanguageAdapters.of(student) is None
    trainer = OTDistillationTrainer(
        model=student, teacher=teacher, args=arguments(tmp_path / "out", max_steps=1), train_dataset=mixed_rows()
    )
    assert "language" not in trainer.train_dataset.column_names
    trainer.train()


def test_query_passage_sets_reach_their_adapter(tmp_path):
    rows = tiny_models.bitext(12)
    pairs = Dataset.from_dict({"query": rows["translation"], "passage": rows["translation"]})
    start = {}
    adapters, _ = run(tmp_path, {"mono/tgl_Latn": pairs}, prepare=lambda adapters: start.update(states(adapters)))
    for language, state in states(adapters).items():
        same = all(torch.equal(value, start[language][key]) for key, value in state.items())
        assert same == (language != "tgl_Latn")

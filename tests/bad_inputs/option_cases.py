"""Configuration files and flags that are not what they should be."""

from __future__ import annotations

from collections.abc import Callable

from bad_input import Bad, Flags, Place

# Nine lines that unfold to half a billion words.
_BOMB = ["- &a [x, x, x, x, x, x, x, x, x]"]
_BOMB += [f"- &{name} [{', '.join([f'*{before}'] * 9)}]" for before, name in zip("abcdefgh", "bcdefghi", strict=True)]


def _yaml(content: str | bytes) -> Callable[[Place], Flags]:
    return lambda place: {"config": place.file("run.yaml", content)}


def _flags(**flags: object) -> Callable[[Place], Flags]:
    return lambda place: flags


def _argv(*words: str) -> Callable[[Place], Flags]:
    return lambda place: {"": list(words)}


def _comparison(content: str) -> Callable[[Place], Flags]:
    return lambda place: {"config": place.file("compare.yaml", content)}


CONFIGS = [
    Bad("config_unknown_key", ("run.yaml", "'max_stepz'", "max_steps"), _yaml("max_stepz: 3\n")),
    Bad("config_wrong_type", ("run.yaml", "max_steps", "'many'", "int"), _yaml("max_steps: many\n")),
    Bad("config_language_no", ("run.yaml", "language", "quotes"), _yaml("language: no\n")),
    Bad("config_key_twice", ("run.yaml", "row 2", "'seed'", "twice"), _yaml("seed: 1\nseed: 2\n")),
    Bad("config_not_yaml", ("run.yaml", "row 2", "invalid YAML"), _yaml("seed: 1\n  teacher: [\n")),
    Bad("config_binary", ("run.yaml", "invalid YAML"), _yaml(b"\x80\x04\x95\xff\xfe")),
    Bad("config_list", ("run.yaml", "list", "mapping"), _yaml("- seed\n- 1\n")),
    Bad("config_text", ("run.yaml", "str", "mapping"), _yaml("seed=1\n")),
    Bad(
        "config_python_object",
        ("run.yaml", "row 1", "invalid YAML", "python/object"),
        _yaml("seed: !!python/object/apply:os.system ['echo a command was run']\n"),
    ),
    Bad("config_python_name", ("run.yaml", "python/name"), _yaml("seed: !!python/name:os.system\n")),
    Bad("config_nested", ("run.yaml", "seed", "int"), _yaml("seed: {first: 1}\n")),
    Bad("config_key_is_a_list", ("run.yaml", "invalid YAML"), _yaml("? [seed, other]\n: 1\n")),
    Bad("config_key_is_a_number", ("run.yaml", "unknown option '7'"), _yaml("7: seed\n")),
    Bad("config_impossible_date", ("run.yaml", "invalid YAML"), _yaml("language: 2024-13-45\n")),
    Bad("config_deep", ("run.yaml", "invalid YAML"), _yaml(f"bitext: {'[' * 600}{']' * 600}\n")),
    Bad("config_bomb", ("run.yaml", "unknown option"), _yaml("\n".join(["bomb:", *_BOMB]))),
    Bad("config_bomb_as_value", ("run.yaml", "'seed'", "int"), _yaml("\n".join(["seed:", *_BOMB]))),
    Bad("config_nul", ("run.yaml", "invalid YAML"), _yaml("bitext: a\0b\n")),
    Bad(
        "config_nul_escaped", ("no such file",), lambda place: {**_yaml('bitext: "a\\0b.tsv"\n')(place), "bitext": None}
    ),
    Bad("config_nowhere", ("nowhere.yaml", "no such file"), _flags(config="nowhere.yaml")),
    Bad("config_folder", ("cannot be read",), lambda place: {"config": str(place.folder)}),
]

FLAGS = [
    Bad("flag_unknown", ("--max_stepz", "--max_steps"), _flags(max_stepz="3")),
    Bad("flag_twice", ("--seed", "twice"), _argv("--seed", "1", "--seed", "2")),
    Bad("flag_without_value", ("--seed", "no value"), _argv("--seed")),
    Bad("flag_two_values", ("--seed", "2 values"), _argv("--seed", "1", "2")),
    Bad("flag_missing_dashes", ("2 values", "seed=1"), lambda place: {"first": "seed=1"}),
    Bad("flag_type", ("--max_steps", "'many'"), _flags(max_steps="many")),
    Bad("flag_half_a_step", ("--max_steps", "'2.5'"), _flags(max_steps="2.5")),
    Bad("flag_nan", ("--learning_rate", "'nan'"), _flags(learning_rate="nan")),
    Bad("language_unknown", ("'swq'", "swh_Latn"), _flags(language="swq")),
    Bad("language_english", ("'language'", "English"), _flags(language="en")),
    Bad("language_missing", ("'language'", "--language"), _flags(language=None)),
    Bad("bitext_missing", ("'bitext'", "--bitext"), _flags(bitext=None)),
    Bad("teacher_missing", ("all-MiniLM-L6-v2", "no model could be loaded"), _flags(teacher=None)),
    Bad("held_out_share", ("'held_out'", "0 to 0.5"), _flags(held_out="0.9")),
    Bad("patience_negative", ("'patience'", "-1"), _flags(patience="-1")),
    Bad("eval_steps_zero", ("'eval_steps'", "0"), _flags(eval_steps="0")),
    Bad("bitext_language_twice", ("swh_Latn", "two files"), _flags(bitext=["sw=a.tsv", "swh=b.tsv"])),
    Bad("objective_unknown", ("'nse'", "'nce'"), _flags(objective="ot+nse")),
    Bad("objective_twice", ("'ot'", "twice"), _flags(objective="ot+ot")),
    Bad("objective_weight", ("'objective'", "'-1'"), _flags(objective="ot+-1*nce")),
    Bad("solver_unknown", ("'simplex'", "ipot"), _flags(solver="simplex")),
    Bad("special_tokens_unknown", ("'special_tokens'", "match"), _flags(special_tokens="keep")),
    Bad("marginals_unknown", ("'length'", "uniform"), _flags(marginals="length")),
    Bad("steps_negative", ("'max_steps'", "-1"), _flags(max_steps="-1")),
    Bad("batch_size_zero", ("'batch_size'", "0"), _flags(batch_size="0")),
    Bad("batch_size_negative", ("'batch_size'", "-8"), _flags(batch_size="-8")),
    Bad("accumulation_zero", ("'gradient_accumulation_steps'", "0"), _flags(gradient_accumulation_steps="0")),
    Bad("save_steps_zero", ("'save_steps'", "0"), _flags(save_steps="0")),
    Bad("logging_steps_zero", ("'logging_steps'", "0"), _flags(logging_steps="0")),
    Bad("max_length_zero", ("'max_length'", "0"), _flags(max_length="0")),
    Bad("max_pairs_negative", ("'max_pairs'", "-5"), _flags(max_pairs="-5")),
    Bad("max_pairs_zero", ("'max_pairs'", "0"), _flags(max_pairs="0")),
    Bad("learning_rate_negative", ("'learning_rate'", "-0.1"), _flags(learning_rate="-0.1")),
    Bad("learning_rate_infinite", ("'learning_rate'", "inf"), _flags(learning_rate="inf")),
    Bad("temperature_zero", ("'temperature'", "0"), _flags(temperature="0")),
    Bad("temperature_infinite", ("'temperature'", "inf"), _flags(temperature="inf")),
    Bad("dropout_one", ("'dropout'", "1.5"), _flags(dropout="1.5")),
    Bad("seed_negative", ("'seed'", "-1"), _flags(seed="-1")),
    Bad("seed_huge", ("'seed'",), _flags(seed=str(2**70))),
    Bad("vocab_size_zero", ("'vocab_size'", "0"), _flags(student="extend", vocab_size="0")),
    Bad("num_layers_zero", ("'num_layers'", "0"), _flags(num_layers="0")),
    Bad("num_layers_many", ("num_layers", "99"), _flags(num_layers="99")),
    Bad("row_init_unknown", ("'row_init'", "surface"), _flags(row_init="random")),
    Bad("index_unknown", ("'document_encoder'", "student"), _flags(document_encoder="nobody")),
    Bad("interaction_unknown", ("interaction", "'cosine'"), _flags(interaction="cosine")),
    Bad("on_alarm_unknown", ("'monitor'", "'shout'"), _flags(monitor="shout")),
    Bad("report_to_unknown", ("'report_to'", "'nobody'"), _flags(report_to="nobody")),
    Bad("push_to_hub_no_id", ("'push_to_hub'", "a b/c"), _flags(push_to_hub="a b/c")),
    Bad("contexts_one", ("'context_window'", "1"), _flags(context_window="1")),
    Bad("contexts_without_documents", ("'context_window'", "doc"), _flags(context_window="3")),
    Bad("mini_batch_zero", ("'contrastive_mini_batch'", "0"), _flags(contrastive_mini_batch="0")),
]


def _with_pairs(**flags: object) -> Callable[[Place], Flags]:
    rows = "".join(f'{{"query": "the goat {i}", "passage": "a goat {i}"}}\n' for i in range(9))
    return lambda place: {
        "query_passages": f"mono/en={place.file('questions.jsonl', rows)}",
        "measure_start": "false",
        **flags,
    }


POLICIES = [
    Bad("alpha_above_one", ("alpha", "1.5"), _with_pairs(alpha="1.5")),
    Bad("alpha_without_cross", ("cross",), _with_pairs(alpha="0.5")),
    Bad("bitext_share_negative", ("bitext_share", "-0.5"), _with_pairs(alpha="1", bitext_share="-0.5")),
    Bad("language_weights_word", ("language_weights", "often"), _with_pairs(alpha="1", language_weights="often")),
    Bad("language_weights_infinite", ("language_weights", "inf"), _with_pairs(alpha="1", language_weights="inf")),
    Bad("batch_of_more_than_all", ("batch_size",), _with_pairs(alpha="1", batch_size="400")),
]


def _sizes(place: Place) -> Flags:
    language = f"languages: {{sw: {{bitext: {place.sound / 'pairs.tsv'}, eval: b}}}}\n"
    return _comparison(f"{language}arms: {{a: {{}}}}\nsizes: [few]\n")(place)


_CELLS = "languages: {sw: {bitext: a.tsv, eval: b}}\n"

COMPARISONS = [
    Bad("compare_nothing", ("'arms'", "empty"), _flags(), "compare"),
    Bad("compare_arm_named_as_a_path", ("'../x'", "folder"), _comparison(f"{_CELLS}arms: {{../x: {{}}}}\n"), "compare"),
    Bad("compare_arm_is_text", ("arms", "'ot'"), _comparison(f"{_CELLS}arms: {{a: ot}}\n"), "compare"),
    Bad(
        "compare_language_is_text",
        ("languages", "'a.tsv'"),
        _comparison("arms: {a: {}}\nlanguages: {sw: a.tsv}\n"),
        "compare",
    ),
    Bad("compare_language", ("'swq'",), _comparison("languages: {swq: {}}\narms: {a: {}}\n"), "compare"),
    Bad(
        "compare_baseline",
        ("'baseline'", "'b'", "a"),
        _comparison(f"{_CELLS}arms: {{a: {{}}}}\nbaseline: b\n"),
        "compare",
    ),
    Bad("compare_metric", ("'metric'", "'bleu'"), _comparison(f"{_CELLS}arms: {{a: {{}}}}\nmetric: bleu\n"), "compare"),
    Bad("compare_seed", ("compare.yaml", "seeds", "'one'"), _comparison("seeds: [one]\n"), "compare"),
    Bad(
        "compare_itself",
        ("common", "mapping"),
        _comparison(f"{_CELLS}arms: {{a: {{}}}}\ncommon: &c {{teacher: *c}}\n"),
        "compare",
    ),
    Bad("compare_size", ("'sizes'", "'few'"), _sizes, "compare"),
]

CASES = [*CONFIGS, *FLAGS, *POLICIES, *COMPARISONS]

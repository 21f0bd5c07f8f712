"""Losses and gradients with a teacher cache are those with the teacher; a cache that cannot be trusted is refused."""

from __future__ import annotations

import json
import pickle
import shutil

import numpy as np
import pytest
import tiny_models
import torch

from hf_optical.batching.collation import OTDistillationDataCollator
from hf_optical.encoders.feature_keys import CACHED_ROWS
from hf_optical.encoders.teachers import is_late_interaction
from hf_optical.encoders.token_view import boundary_token_ids, encode_tokens
from hf_optical.errors import InputError, NonFiniteError
from hf_optical.losses import OTDistillationLoss
from hf_optical.teacher_cache import CachedTeacher, filling, identity_of
from hf_optical.teacher_cache.identity import read_as_query

ROWS = tiny_models.bitext(20)
PROMPT = "the red house "


def make(kind, folder, seed=0, words=tiny_models.ENGLISH):
    return getattr(tiny_models, kind)(folder, words, seed=seed)


def student_for(kind, folder):
    return make(kind, folder, seed=5, words=tiny_models.SWAHILI)


def features_of(collator, rows=ROWS):
    batch = collator([rows[i] for i in range(8)])
    found = []
    for column in ("source", "translation", "mirror"):
        one = {key[len(column) + 1 :]: value for key, value in batch.items() if key.startswith(f"{column}_")}
        found += [one] if one else []
    return found


def losses_and_gradients(student, teacher, objective, **options):
    student.zero_grad()
    loss = OTDistillationLoss(student, teacher, objective=objective, **options)
    collator = OTDistillationDataCollator.for_models(student, teacher, mirror=True)
    terms = loss(features_of(collator))
    sum(terms.values()).backward()
    gradient = torch.cat([p.grad.flatten() for p in student.parameters() if p.grad is not None])
    return {name: float(value.detach()) for name, value in terms.items()}, gradient


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float16", 1e-3), ("int8", 5e-2)])
@pytest.mark.parametrize("prompt", [None, PROMPT], ids=["", "prompt"])
@pytest.mark.parametrize("kind", ["dense", "late"])
def test_losses_and_gradients_are_those_of_the_teacher_itself(tmp_path, kind, prompt, dtype, tolerance):
    teacher, student = make(kind, tmp_path), student_for(kind, tmp_path)
    if prompt:
        teacher.prompts["query"] = prompt
    cached = CachedTeacher.for_teacher(teacher, tmp_path / "cache", dtype=dtype)
    assert cached.fill(ROWS["source"], show_progress=False)
    # In the fresh object there are no weights.
    alone = CachedTeacher(tmp_path / "cache")
    assert not list(alone.parameters()) and is_late_interaction(alone) == (kind == "late")
    for objective in ("ot+nce+mse+cos", "ot+nearest+0.3*source+0.5*self_nce"):
        online, right = losses_and_gradients(student, teacher, objective)
        found, gradient = losses_and_gradients(student, alone, objective)
        assert set(found) == set(online)
        for name, value in online.items():
            assert found[name] == pytest.approx(value, abs=tolerance * max(1, abs(value)))
        assert (gradient - right).norm() <= tolerance * right.norm()


@pytest.mark.parametrize("kind", ["dense", "late"])
def test_the_view_is_the_teachers_own(tmp_path, kind):
    teacher = make(kind, tmp_path)
    cached = CachedTeacher.for_teacher(teacher, tmp_path / "cache", dtype="float32")
    cached.fill(ROWS["source"], show_progress=False, batch_size=4)
    texts = [ROWS["source"][i] for i in (7, 3, 3, 19)]
    view = cached.token_view(cached.reader.find(texts))
    with torch.no_grad():
        right = encode_tokens(
            teacher,
            read_as_query(teacher, texts, None, None),
            boundary_token_ids(teacher),
            late_interaction=kind == "late",
        )
    for row in range(4):
        for name in ("tokens", "special", "input_ids"):
            mine = getattr(view, name)[row][view.mask[row]]
            torch.testing.assert_close(mine, getattr(right, name)[row][right.mask[row]], atol=1e-6, rtol=0)
    torch.testing.assert_close(view.sentence, right.sentence, atol=1e-6, rtol=0)
    assert view.tokens.dtype == view.sentence.dtype == torch.float32


def filled(folder, kind="dense", texts=None, **options):
    teacher = make(kind, folder)
    cached = CachedTeacher.for_teacher(teacher, folder / "cache", **options)
    assert cached.fill(ROWS["source"] if texts is None else texts, show_progress=False)
    return teacher, cached


def test_only_missing_texts_are_encoded(tmp_path, monkeypatch):
    teacher, cached = filled(tmp_path, texts=ROWS["source"][:5])
    read = []
    true_read = filling._read
    monkeypatch.setattr(filling, "_read", lambda t, texts, *rest: read.extend(texts) or true_read(t, texts, *rest))
    assert cached.fill([*ROWS["source"], *ROWS["source"]], show_progress=False)
    assert sorted(read) == sorted(set(ROWS["source"]) - set(ROWS["source"][:5]))
    assert len(cached.reader) == len(set(ROWS["source"])) and len(cached.manifest.shards) == 2
    read.clear()
    assert CachedTeacher.for_teacher(teacher, tmp_path / "cache").fill(ROWS["source"], show_progress=False) and not read


@pytest.mark.parametrize("change", ["weights", "prompt", "max_length", "dtype", "kind"])
def test_a_cache_of_something_else_is_refused(tmp_path, change):
    teacher, cached = filled(tmp_path, max_length=16)
    options = {"max_length": 16, "prompt": None, "dtype": "float16"}
    named = change
    if change == "weights":
        with torch.no_grad():
            next(teacher.parameters()).add_(1e-3)
        named = "teacher"
    elif change == "kind":
        teacher, named = make("late", tmp_path), "late_interaction"
    else:
        options |= {"prompt": {"prompt": PROMPT}, "max_length": {"max_length": 8}, "dtype": {"dtype": "int8"}}[change]
    with pytest.raises(InputError, match=rf"another teacher cache.*{named} \(here.*choose another folder"):
        CachedTeacher.for_teacher(teacher, cached.folder, **options)
    if change == "weights":
        with pytest.raises(InputError, match="another teacher cache"):
            CachedTeacher(cached.folder, online=teacher)


def _flip(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def _cut(path):
    path.write_bytes(path.read_bytes()[:-10])


@pytest.mark.parametrize("damage", [_flip, _cut, lambda path: path.unlink()], ids=["bit", "cut", "missing"])
def test_a_damaged_shard_is_named_and_its_remedy_works(tmp_path, damage):
    teacher, cached = filled(tmp_path)
    before = cached.token_view(cached.reader.find(ROWS["source"][:4])).tokens.clone()
    shard = cached.folder / cached.manifest.shards[0].file
    damage(shard)
    with pytest.raises(InputError, match=r"shard-00000.safetensors.*remove this file"):
        CachedTeacher(cached.folder)
    shard.unlink(missing_ok=True)
    repaired = CachedTeacher.for_teacher(teacher, cached.folder)
    assert repaired.fill(ROWS["source"], show_progress=False)
    assert repaired.token_view(repaired.reader.find(ROWS["source"][:4])).tokens.equal(before)


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"format": 9}', '{"format": 1, "identity": {}, "shards": []}'],
)
def test_a_damaged_manifest_is_refused(tmp_path, content):
    _, cached = filled(tmp_path)
    (cached.folder / "manifest.json").write_text(content)
    with pytest.raises(InputError, match=r"manifest\.json"):
        CachedTeacher(cached.folder)


def test_a_manifest_cannot_lead_out_of_its_folder(tmp_path):
    _, cached = filled(tmp_path)
    content = json.loads((cached.folder / "manifest.json").read_text())
    shutil.move(cached.folder / content["shards"][0]["file"], tmp_path / "shard-x")
    content["shards"][0]["file"] = "shard-/../../shard-x"
    (cached.folder / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="do not fit together"):
        CachedTeacher(cached.folder)


def test_another_folder_is_not_written_into(tmp_path):
    place = tmp_path / "mine"
    place.mkdir()
    (place / "thesis.txt").write_text("x")
    with pytest.raises(InputError, match="not a teacher cache"):
        CachedTeacher.for_teacher(make("dense", tmp_path), place)
    assert [path.name for path in place.iterdir()] == ["thesis.txt"]


def test_a_text_that_is_not_there_is_named_or_read_online(tmp_path):
    teacher, _ = filled(tmp_path, texts=ROWS["source"][:5])
    student = student_for("dense", tmp_path)
    alone = CachedTeacher(tmp_path / "cache")
    rows = [ROWS[i] for i in range(8)]
    first = next(i for i, row in enumerate(rows) if row["source"] not in ROWS["source"][:5])
    with pytest.raises(InputError, match=rf"not in the teacher cache.*{rows[first]['source']}.*row {first + 1} of"):
        OTDistillationDataCollator.for_models(student, alone)(rows)
    with pytest.raises(InputError, match="not in the teacher cache"):
        alone.fill(ROWS["source"])
    both = CachedTeacher(tmp_path / "cache", online=teacher)
    collator = OTDistillationDataCollator.for_models(student, both)
    assert f"source_{CACHED_ROWS}" not in collator(rows) and f"source_{CACHED_ROWS}" in collator(rows[:5])
    online, right = losses_and_gradients(student, teacher, "ot")
    found, gradient = losses_and_gradients(student, both, "ot")
    assert found == online and gradient.equal(right)


def test_texts_are_read_as_the_caches_were(tmp_path):
    filled(tmp_path, max_length=16)
    student, alone = student_for("dense", tmp_path), CachedTeacher(tmp_path / "cache")
    rows = [ROWS[i] for i in range(4)]
    for options, name in (({"max_length": 8}, "max_length"), ({"prompts": {"source": PROMPT}}, "prompt")):
        with pytest.raises(InputError, match=rf"{name}.*of the cache"):
            OTDistillationDataCollator.for_models(student, alone, **options)(rows)
    OTDistillationDataCollator.for_models(student, alone, max_length=16)(rows)


def test_a_student_of_another_width_or_kind_is_refused(tmp_path):
    filled(tmp_path)
    alone = CachedTeacher(tmp_path / "cache")
    with pytest.raises(InputError, match="different widths"):
        OTDistillationLoss(tiny_models.dense(tmp_path, tiny_models.SWAHILI, width=32), alone)
    with pytest.raises(InputError, match="late interaction"):
        OTDistillationLoss(student_for("late", tmp_path), alone)


def test_a_short_disk_is_said_and_the_teacher_reads_online(tmp_path, monkeypatch, caplog):
    cached = CachedTeacher.for_teacher(make("dense", tmp_path), tmp_path / "cache")
    monkeypatch.setattr(filling.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 900_000_000})())
    assert not cached.fill(ROWS["source"], show_progress=False)
    assert "(online)" in caplog.text and "900 MB free" in caplog.text
    assert len(cached.reader) == 0 and not list(cached.folder.glob("shard-*"))


def test_a_disk_that_fills_up_leaves_whole_shards(tmp_path, monkeypatch, caplog):
    cached = CachedTeacher.for_teacher(make("dense", tmp_path), tmp_path / "cache")
    true_write, count = filling.write_shard, []

    def write(*args):
        count.append(1)
        if len(count) == 2:
            raise OSError(28, "No space left on device")
        return true_write(*args)

    monkeypatch.setattr(filling, "write_shard", write)
    monkeypatch.setattr(filling, "SHARD_BYTES", 1)
    monkeypatch.setattr(filling.fill, "__kwdefaults__", {**filling.fill.__kwdefaults__, "shard_bytes": 1})
    assert not cached.fill(ROWS["source"], show_progress=False, batch_size=4)
    assert "full" in caplog.text and len(CachedTeacher(cached.folder).reader) == 4


def test_vectors_that_are_not_finite_are_not_kept(tmp_path):
    teacher = make("dense", tmp_path)
    cached = CachedTeacher.for_teacher(teacher, tmp_path / "cache")
    with torch.no_grad():
        next(teacher.parameters())[7] = float("nan")
    with pytest.raises(NonFiniteError, match="not finite"):
        cached.fill(ROWS["source"], show_progress=False)
    assert not list(cached.folder.glob("shard-*")) and not list(cached.folder.glob(".writing*"))


def test_the_size_is_said_before_and_is_about_right(tmp_path, capsys, monkeypatch):
    said = []
    monkeypatch.setattr(filling, "shown_bytes", lambda size: said.append(size) or f"{size}")
    cached = CachedTeacher.for_teacher(make("dense", tmp_path), tmp_path / "cache")
    cached.fill(ROWS["source"])
    assert "English texts, about" in capsys.readouterr().out
    header = 1_000  # of the file
    assert said[0] == pytest.approx(cached.manifest.bytes, rel=0.1, abs=header)


def test_a_reader_goes_to_a_worker_as_its_path(tmp_path):
    _, cached = filled(tmp_path)
    packed = pickle.dumps(cached.reader)
    assert len(packed) < 2_000
    texts = ROWS["source"][:3]
    again = pickle.loads(packed)
    np.testing.assert_array_equal(
        again.view(again.find(texts)).tokens, cached.reader.view(cached.reader.find(texts)).tokens
    )


def test_identity_depends_on_all_that_decides_a_vector(tmp_path):
    teacher = make("dense", tmp_path)
    one = identity_of(teacher)
    assert one == identity_of(teacher) and one.digest == identity_of(teacher).digest
    others = [
        identity_of(teacher, prompt="q: "),
        identity_of(teacher, max_length=8),
        identity_of(teacher, dtype="int8"),
        identity_of(make("dense", tmp_path / "b", seed=1)),
        identity_of(make("dense", tmp_path / "c", words=tiny_models.SWAHILI)),
    ]
    assert len({other.digest for other in (one, *others)}) == 6
    with pytest.raises(InputError, match="teacher_cache_dtype"):
        identity_of(teacher, dtype="float8")

import pytest
import torch
from sentence_transformers import SentenceTransformer

from hf_optical.errors import InputError
from hf_optical.students import grow_student

KINDS = ["WordPiece", "Unigram", "BPE"]


def table(model):
    return model[0].model.get_input_embeddings().weight.detach()


def tokens(model, text):
    return model.tokenizer.convert_ids_to_tokens(model.tokenizer(text, add_special_tokens=False)["input_ids"])


def sizes(teacher, more=60):
    return len(teacher.tokenizer) + more


@pytest.mark.parametrize("multi_vector", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("vocabulary", ["copy", "extend", "replace"])
def test_student_survives_saving(make_teacher, state_hash, swahili, tmp_path, kind, vocabulary, multi_vector):
    teacher = make_teacher(kind, multi_vector)
    teacher.requires_grad_(False)
    before = state_hash(teacher)
    student = grow_student(teacher, swahili, vocabulary, sizes(teacher) if vocabulary == "extend" else 120)
    assert state_hash(teacher) == before
    assert type(student) is type(teacher)
    assert all(parameter.requires_grad for parameter in student.parameters())
    assert student.similarity_fn_name == teacher.similarity_fn_name
    assert student.prompts == teacher.prompts
    assert student.max_seq_length == teacher.max_seq_length == 40

    student.save_pretrained(str(tmp_path))
    loaded = type(teacher)(str(tmp_path), device="cpu")
    texts = [*swahili[:4], "the children drink water", "maji " * 100]
    for text in texts:
        ids = student.tokenizer(text)["input_ids"]
        assert ids == loaded.tokenizer(text)["input_ids"]
        assert max(ids) < len(table(student))
    assert student.tokenizer.pad_token_id == student[0].model.config.pad_token_id
    for ours, theirs in zip(student.encode_query(texts), loaded.encode_query(texts), strict=True):
        torch.testing.assert_close(torch.as_tensor(ours), torch.as_tensor(theirs), atol=1e-6, rtol=0)
    assert loaded.max_seq_length == 40


def test_copy_is_the_teacher(make_teacher):
    teacher = make_teacher()
    student = grow_student(teacher, vocabulary="copy")
    torch.testing.assert_close(student.encode(["clean water"]), teacher.encode(["clean water"]))
    with torch.no_grad():
        table(student).add_(1.0)
    assert not torch.equal(table(student), table(teacher))


@pytest.mark.parametrize("kind", KINDS)
def test_extend_keeps_every_old_row_and_id(make_teacher, swahili, kind):
    teacher = make_teacher(kind)
    student = grow_student(teacher, swahili, "extend", sizes(teacher))
    old = teacher.tokenizer.get_vocab()
    new = student.tokenizer.get_vocab()
    assert {piece: new[piece] for piece in old} == old
    assert len(old) < len(new) <= sizes(teacher)
    torch.testing.assert_close(table(student)[: len(old)], table(teacher)[: len(old)], atol=0, rtol=0)
    assert student.tokenizer.unk_token_id == teacher.tokenizer.unk_token_id


@pytest.mark.parametrize("kind", KINDS)
def test_extend_shortens_the_new_language(make_teacher, swahili, kind):
    teacher = make_teacher(kind)
    student = grow_student(teacher, swahili, "extend", sizes(teacher, 200))
    before = sum(len(tokens(teacher, text)) for text in swahili)
    after = sum(len(tokens(student, text)) for text in swahili)
    assert after < 0.6 * before
    pieces = tokens(student, swahili[0])
    assert any(len(piece) > 4 for piece in pieces)
    # Real pieces: also found inside a longer word, and no added tokens.
    assert student.tokenizer.get_added_vocab() == teacher.tokenizer.get_added_vocab()


def test_new_rows_are_means_of_the_surface_form(make_teacher, swahili):
    teacher = make_teacher()
    student = grow_student(teacher, swahili, "extend", sizes(teacher))
    vocab = student.tokenizer.get_vocab()
    news = [piece for piece, number in vocab.items() if number >= len(teacher.tokenizer)]
    whole = [piece for piece in news if not piece.startswith("##") and "[UNK]" not in tokens(teacher, piece)]
    assert len(whole) > 3
    for piece in whole:
        ids = teacher.tokenizer(piece, add_special_tokens=False)["input_ids"]
        torch.testing.assert_close(table(student)[vocab[piece]], table(teacher)[ids].mean(0))
    # A continuation is read with continuation pieces: its first row is not that of a word's beginning.
    known = teacher.tokenizer.get_vocab()
    inner = [p for p in news if p.startswith("##") and len(p) == 4 and {"##" + p[2], "##" + p[3]} <= set(known)]
    assert inner
    for piece in inner:
        parts = [known["##" + piece[2]], known["##" + piece[3]]]
        torch.testing.assert_close(table(student)[vocab[piece]], table(teacher)[parts].mean(0))


def test_lexicon_goes_before_the_surface_form(make_teacher, swahili):
    teacher = make_teacher()
    lexicon = {"Maji": ["water"], "dawa": ["medicine", "the book"], "hayupo": ["absent"]}
    student = grow_student(teacher, swahili, "extend", sizes(teacher, 300), lexicon=lexicon)
    vocab = student.tokenizer.get_vocab()

    def mean(text):
        return table(teacher)[teacher.tokenizer(text, add_special_tokens=False)["input_ids"]].mean(0)

    torch.testing.assert_close(table(student)[vocab["maji"]], mean("water"))
    torch.testing.assert_close(table(student)[vocab["dawa"]], (mean("medicine") + mean("the book")) / 2)


@pytest.mark.parametrize("vocabulary", ["extend", "replace"])
def test_vowel_signs_survive(make_teacher, marathi, tmp_path, vocabulary):
    teacher = make_teacher()
    assert "े" not in "".join(tokens(teacher, "हवे"))
    student = grow_student(teacher, marathi, vocabulary, sizes(teacher, 200))
    student.save_pretrained(str(tmp_path))
    loaded = SentenceTransformer(str(tmp_path), device="cpu")
    for model in (student, loaded):
        text = "मुलांना रोज सकाळी स्वच्छ पाणी हवे"
        read = "".join(tokens(model, text)).replace("##", "").replace("▁", "")
        assert read == text.replace(" ", "")
        assert model.tokenizer.unk_token_id not in model.tokenizer(text)["input_ids"]
    # The script is read in whole: still one case.
    assert student.tokenizer("WATER")["input_ids"] == student.tokenizer("water")["input_ids"]


def test_accents_are_still_stripped_for_latin(make_teacher, swahili):
    teacher = make_teacher()
    student = grow_student(teacher, [*swahili, "naïve café हिं"], "extend", sizes(teacher))
    assert student.tokenizer("wáter")["input_ids"] == student.tokenizer("water")["input_ids"]


@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_fewer_layers(make_teacher, swahili, tmp_path, num_layers):
    teacher = make_teacher()
    student = grow_student(teacher, swahili, "extend", sizes(teacher), num_layers=num_layers)
    layers, old = student[0].model.encoder.layer, teacher[0].model.encoder.layer
    assert len(layers) == num_layers == student[0].model.config.num_hidden_layers
    assert torch.equal(layers[-1].output.dense.weight, old[-1].output.dense.weight)
    assert num_layers == 1 or torch.equal(layers[0].output.dense.weight, old[0].output.dense.weight)
    student.save_pretrained(str(tmp_path))
    loaded = SentenceTransformer(str(tmp_path), device="cpu")
    torch.testing.assert_close(loaded.encode(swahili[:2]), student.encode(swahili[:2]), atol=1e-6, rtol=0)
    assert len(teacher[0].model.encoder.layer) == 4


@pytest.mark.parametrize("vocabulary", ["extend", "replace"])
@pytest.mark.parametrize("kind", KINDS)
def test_growing_is_repeatable(make_teacher, marathi, swahili, kind, vocabulary):
    teacher = make_teacher(kind)
    texts = marathi + swahili
    first, again = (grow_student(teacher, texts, vocabulary, sizes(teacher), seed=3) for _ in range(2))
    assert first.tokenizer.get_vocab() == again.tokenizer.get_vocab()
    assert torch.equal(table(first), table(again))


def test_half_precision_teacher_gives_a_trainable_student(make_teacher, swahili):
    teacher = make_teacher().half()
    student = grow_student(teacher, swahili, "extend", sizes(teacher))
    assert {p.dtype for p in student.parameters()} == {torch.float32}
    assert {p.dtype for p in teacher.parameters()} == {torch.float16}


def test_gradients_reach_old_and_new_rows(make_teacher, swahili):
    teacher = make_teacher()
    student = grow_student(teacher, swahili, "extend", sizes(teacher)).train()
    student(student.preprocess(swahili[:4]))["token_embeddings"].square().sum().backward()
    gradient = student[0].model.get_input_embeddings().weight.grad
    assert gradient[len(teacher.tokenizer) :].abs().sum() > 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"vocabulary": "grow"}, "vocabulary is 'grow'"),
        ({"texts": None}, "none were given"),
        ({"texts": "maji"}, "one string"),
        ({"texts": []}, "texts is empty"),
        ({"texts": ["maji", " "]}, "row 2"),
        ({"texts": ["maji", None, "x"]}, "row 2"),
        ({"vocab_size": 20}, "already has"),
        ({"vocabulary": "replace", "vocab_size": 5}, "special tokens"),
        ({"vocabulary": "replace", "vocab_size": 15}, "different characters"),
        ({"num_layers": 0}, "num_layers is 0"),
        ({"num_layers": 9}, "the teacher has 4"),
    ],
)
def test_bad_input_is_named(make_teacher, swahili, options, words):
    with pytest.raises(InputError, match=words):
        grow_student(make_teacher(), **{"texts": swahili, "vocab_size": 400, **options})


def test_unsupported_tokenizer_names_the_kinds(make_teacher, swahili):
    from tokenizers import Tokenizer, models

    teacher = make_teacher()
    backend = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    teacher.tokenizer._tokenizer = backend
    with pytest.raises(InputError, match=r"'WordLevel'.*WordPiece, Unigram, BPE"):
        grow_student(teacher, swahili, "extend", 400)


@pytest.mark.real
def test_the_english_teacher_learns_swahili_pieces(english_teacher, state_hash, swahili, tmp_path):
    before = state_hash(english_teacher)
    student = grow_student(english_teacher, swahili, "extend", 30_700, num_layers=3)
    assert state_hash(english_teacher) == before
    assert tokens(student, "maji safi") == ["maji", "safi"]
    assert "maji" not in english_teacher.tokenizer.get_vocab()
    student.save_pretrained(str(tmp_path))
    loaded = SentenceTransformer(str(tmp_path), device="cpu")
    torch.testing.assert_close(loaded.encode(swahili[:2]), student.encode(swahili[:2]), atol=1e-6, rtol=0)
    assert loaded.max_seq_length == english_teacher.max_seq_length

import pytest
import torch
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from sentence_transformers.base.modules import Dense
from transformers import XLMRobertaConfig, XLMRobertaModel

from hf_optical.errors import InputError
from hf_optical.students import adapt_student, build_student


@pytest.fixture
def xlmr_folder(make_teacher, tmp_path):
    """A bare transformers folder, twice as wide as the tiny teachers."""

    def make(width):
        donor = make_teacher("Unigram")
        config = XLMRobertaConfig(
            vocab_size=len(donor.tokenizer),
            hidden_size=width,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=16,
            max_position_embeddings=34,
            pad_token_id=1,
        )
        folder = tmp_path / f"xlmr{width}"
        XLMRobertaModel(config).save_pretrained(folder)
        donor.tokenizer.model_max_length = int(1e30)
        donor.tokenizer.save_pretrained(folder)
        return folder

    return make


@pytest.mark.parametrize("multi_vector", [False, True])
@pytest.mark.parametrize("width", [16, 32])
def test_xlm_r_reaches_the_teachers_space(make_teacher, state_hash, xlmr_folder, tmp_path, multi_vector, width):
    teacher = make_teacher("WordPiece", multi_vector)
    before = state_hash(teacher)
    student = adapt_student(xlmr_folder(width), teacher)
    assert state_hash(teacher) == before
    assert type(student) is type(teacher)
    assert student.get_embedding_dimension() == teacher.get_embedding_dimension()
    assert sum(isinstance(m, Dense) for m in student) == sum(isinstance(m, Dense) for m in teacher) + (width != 16)
    assert student.prompts == teacher.prompts
    assert student.similarity_fn_name == teacher.similarity_fn_name

    texts = ["the children", "water " * 300]  # longer than the positions
    features = student.preprocess(texts)
    assert student(features)["token_embeddings"].shape[-1] == (8 if multi_vector else 16)
    student.save_pretrained(str(tmp_path / "saved"))
    loaded = type(teacher)(str(tmp_path / "saved"), device="cpu")
    for ours, theirs in zip(student.encode_query(texts), loaded.encode_query(texts), strict=True):
        torch.testing.assert_close(torch.as_tensor(ours), torch.as_tensor(theirs), atol=1e-6, rtol=0)


def test_projection_keeps_angles_as_well_as_it_can(make_teacher, xlmr_folder):
    student = adapt_student(xlmr_folder(32), make_teacher())
    weight = student[1].linear.weight.detach()
    torch.testing.assert_close(weight @ weight.T, torch.eye(16), atol=1e-5, rtol=0)
    assert student[1].linear.bias is None


def test_complete_model_of_the_right_width_is_used_as_it_is(make_teacher, tmp_path):
    teacher, other = make_teacher("WordPiece"), make_teacher("Unigram")
    other.save_pretrained(str(tmp_path))
    student = adapt_student(tmp_path, teacher)
    torch.testing.assert_close(student.encode(["clean water"]), other.encode(["clean water"]), atol=1e-6, rtol=0)
    assert [type(m) for m in student] == [type(m) for m in other]
    assert student.similarity_fn_name == teacher.similarity_fn_name


def test_complete_model_of_another_class_lends_its_transformer(make_teacher, tmp_path):
    teacher, other = make_teacher("WordPiece", multi_vector=True), make_teacher("Unigram")
    other.save_pretrained(str(tmp_path))
    student = adapt_student(tmp_path, teacher)
    assert isinstance(student, MultiVectorEncoder)
    assert [type(m) for m in student] == [type(m) for m in teacher]
    assert torch.equal(student[1].linear.weight, teacher[1].linear.weight)


def test_late_interaction_settings_are_carried(make_teacher, xlmr_folder):
    teacher = make_teacher("WordPiece", multi_vector=True)
    teacher[0].query_expansion = {"strategy": "fixed", "length": 12, "token": "[MASK]"}
    teacher[0].document_length = 20
    student = adapt_student(xlmr_folder(16), teacher)
    assert student[0].query_expansion["token"] == "<mask>"
    assert student[0].document_length == 20
    assert student.encode_query(["water"])[0].shape == (12, 8)


def test_missing_folder_and_folder_without_a_model(make_teacher, tmp_path):
    with pytest.raises(InputError, match="the folder does not exist"):
        adapt_student(tmp_path / "nothing", make_teacher())
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="local folder"):
        adapt_student(tmp_path / "empty", make_teacher())


def test_unreachable_id_names_the_remedy(make_teacher, monkeypatch):
    from hf_optical.students import adapt

    def unreachable(name):
        raise OSError(f"We couldn't connect to the Hub to load {name}")

    monkeypatch.setattr(adapt, "is_sentence_transformer_model", unreachable)
    with pytest.raises(InputError, match=r"couldn't connect.*give a local folder"):
        adapt_student("FacebookAI/xlm-roberta-base", make_teacher())


def test_build_student_chooses(make_teacher, swahili, xlmr_folder):
    teacher = make_teacher()
    assert len(build_student("copy", teacher).tokenizer) == len(teacher.tokenizer)
    extended = build_student("extend", teacher, swahili, vocab_size=len(teacher.tokenizer) + 9)
    assert len(extended.tokenizer) == len(teacher.tokenizer) + 9
    adapted = build_student(str(xlmr_folder(16)), teacher, swahili, vocab_size=32_000)
    assert isinstance(adapted, SentenceTransformer)
    with pytest.raises(InputError, match="num_layers"):
        build_student("some/id", teacher, num_layers=2)

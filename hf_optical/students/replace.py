"""Replacement of the vocabulary under the teacher's body by a new one in the style of XLM-R."""

from __future__ import annotations

import json
from collections.abc import Iterable

import torch
from sentence_transformers.base.modules import Transformer
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor
from transformers import (
    BertModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from hf_optical.encoders.parts import embeddings_of, rebuilt_transformer, tokenizer_of
from hf_optical.errors import InputError
from hf_optical.students.embedding_init import Lexicon, SurfaceForms, initial_rows, lexicon_ids, normalizer_of
from hf_optical.students.learning import unigram_entries, words_of
from hf_optical.students.marks import KeepMarks, strips_accents, unmarked_copies
from hf_optical.students.vocabulary import size_of

# XLM-R's special tokens in the order of their ids, with the names of the same roles in the teacher's tokenizer.
_SPECIALS = {
    "<s>": ("cls_token", "bos_token"),
    "<pad>": ("pad_token",),
    "</s>": ("sep_token", "eos_token"),
    "<unk>": ("unk_token",),
    "<mask>": ("mask_token",),
}
_PADDING = 1  # XLM-R's id of <pad>; its positions start one above it


def _unigram_tokenizer(
    texts: Iterable[str], vocab_size: int, lowercase: bool, extra: Iterable[str] = (), strip_marks: bool = False
) -> Tokenizer:
    """Train a Unigram tokenizer with the layout of XLM-R's.

    Args:
        texts: Sentences of the new language.
        vocab_size: Size of the whole vocabulary; fewer pieces are learnt if the texts do not have as many.
        lowercase: Whether to lower-case text, as an uncased teacher does.
        extra: Further tokens that are not split, such as the markers of a late-interaction model.
        strip_marks: Whether to strip accents and other marks.

    Returns:
        A tokenizer with ``<s> <pad> </s> <unk> <mask>`` at ids 0 to 4, followed by ``extra`` and the pieces.

    Raises:
        InputError: ``vocab_size`` leaves no room for pieces.

    Example:
        >>> _unigram_tokenizer(["Habari ya asubuhi"] * 20, 40, lowercase=True).encode("HABARI").tokens[0]
        '<s>'
    """
    specials = [*_SPECIALS, *extra]
    if vocab_size <= len(specials):
        raise InputError(
            f"vocab_size is {vocab_size}, and {len(specials)} of them are special tokens",
            "give several thousand",
            field="vocab_size",
        )
    cutter = Tokenizer(models.Unigram())
    steps: list[normalizers.Normalizer] = [normalizers.NFKC()]
    if strip_marks:
        steps = [normalizers.NFKD(), normalizers.Replace(Regex(r"\p{Mn}"), ""), normalizers.NFC()]
    cutter.normalizer = normalizers.Sequence(steps + [normalizers.Lowercase()] * lowercase)
    cutter.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    entries = unigram_entries(words_of(texts, cutter), vocab_size - len(specials))
    layout = [(token, 0.0) for token in specials] + [entry for entry in entries if entry[0] not in specials]
    tokenizer = Tokenizer(models.Unigram(layout, unk_id=specials.index("<unk>")))
    tokenizer.normalizer, tokenizer.pre_tokenizer = cutter.normalizer, cutter.pre_tokenizer
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in specials])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def replaced(
    module: Transformer,
    texts: Iterable[str],
    vocab_size: int,
    lexicon: Lexicon | None = None,
    seed: int = 0,
    keep_marks: KeepMarks = "auto",
) -> Transformer:
    """Return a module with a new vocabulary under the same body.

    Args:
        module: Copy of the teacher's Transformer, whose model may be changed.
        texts: Sentences of the new language.
        vocab_size: Size of the new vocabulary.
        lexicon: English translations by word of the new language, which are preferred to the surface form.
        seed: Random seed for rows of pieces of which no part is in the teacher's vocabulary.
        keep_marks: See `grow_student`; marks are kept unless it is false and the teacher strips them.

    Returns:
        A new module, with an ``XLMRobertaModel`` for a BERT body and the same class for others. Rows of pieces that the
        teacher has are the teacher's, other rows are means as in `initial_rows`, and special tokens keep the rows of
        their role.

    Raises:
        InputError: ``vocab_size`` leaves no room for pieces.
    """
    old = tokenizer_of(module)
    normalizer = old.backend_tokenizer.normalizer
    lowercase = normalizer is not None and normalizer.normalize_str("A").strip("▁ ") == "a"
    extra = _markers(old)
    strip = keep_marks is False and strips_accents(old.backend_tokenizer)
    read = [*texts, *unmarked_copies(texts)[1]] if keep_marks is True else texts
    trained = _unigram_tokenizer(read, vocab_size, lowercase, extra, strip)
    table = embeddings_of(module.model).weight.detach()
    rows = _rows(table, old, trained, lexicon or {}, seed)
    roles = {role: token for token, names in _SPECIALS.items() for role in names}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=trained,
        model_max_length=old.model_max_length,
        model_input_names=["input_ids", "attention_mask"],
        **roles,
    )
    model = _xlm_roberta(module.model, len(rows)) if type(module.model) is BertModel else module.model
    _set_rows(model, rows)
    settings = {}
    if module.query_expansion is not None and module.query_expansion["token"] not in (None, *extra):
        settings["query_expansion"] = {**module.query_expansion, "token": "<mask>"}
    return rebuilt_transformer(module, model, tokenizer, **settings)


def _markers(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return the teacher's added tokens that have none of the five roles, in the order of their ids."""
    roles = {getattr(tokenizer, name, None) for names in _SPECIALS.values() for name in names}
    added = sorted(tokenizer.get_added_vocab().items(), key=lambda entry: entry[1])
    return [token for token, _ in added if token not in roles and token not in _SPECIALS]


def _rows(table: Tensor, old: PreTrainedTokenizerBase, trained: Tokenizer, lexicon: Lexicon, seed: int) -> Tensor:
    """Compute the new embedding table, ``(new vocabulary, width)``."""
    forms = SurfaceForms(old.backend_tokenizer)
    translations = lexicon_ids(lexicon, forms.ids, normalizer_of(trained))
    known = old.get_vocab()
    spec = json.loads(trained.to_str())
    vocabulary = trained.get_vocab()
    sources: list[list[list[int]]] = [[] for _ in range(size_of(spec))]
    for piece, number in vocabulary.items():
        if piece in _SPECIALS:
            tokens = [getattr(old, name, None) for name in _SPECIALS[piece]]
            sources[number] = [[known[token]] for token in tokens if token in known][:1]
        elif piece in known and number < len(_SPECIALS) + len(_markers(old)):
            sources[number] = [[known[piece]]]
        else:
            word = piece.removeprefix("▁")
            initial = piece.startswith("▁")
            groups = translations.get(word, []) if initial else []
            ids = forms.ids(word, initial=initial)
            sources[number] = groups or ([ids] if ids else [])
    return initial_rows(table, sources, seed)


def _xlm_roberta(bert: BertModel, vocab_size: int) -> XLMRobertaModel:
    """Return an XLM-R model with BERT's weights.

    In XLM-R positions start one above the padding id, and there is only one token type.
    """
    old = bert.config
    same = (
        *("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act"),
        *("hidden_dropout_prob", "attention_probs_dropout_prob", "initializer_range", "layer_norm_eps"),
    )
    offset = _PADDING + 1
    config = XLMRobertaConfig(
        **{name: getattr(old, name) for name in same},
        vocab_size=vocab_size,
        max_position_embeddings=old.max_position_embeddings + offset,
        type_vocab_size=1,
        bos_token_id=0,
        pad_token_id=_PADDING,
        eos_token_id=2,
    )
    model = XLMRobertaModel(config, add_pooling_layer=bert.pooler is not None)
    weights = bert.state_dict()
    words, positions, types = (f"embeddings.{name}_embeddings.weight" for name in ("word", "position", "token_type"))
    weights[words] = weights[words].new_zeros(vocab_size, old.hidden_size)
    weights[positions] = torch.cat([weights[positions].new_zeros(offset, old.hidden_size), weights[positions]])
    weights[types] = weights[types][:1]
    kept = {name: tensor for name, tensor in weights.items() if not name.endswith(("position_ids", "token_type_ids"))}
    model.load_state_dict(kept, strict=True)
    model.set_attn_implementation(old._attn_implementation)
    return model


def _set_rows(model: PreTrainedModel, rows: Tensor) -> None:
    """Set the model's embedding table, (vocabulary, width), and its special ids, which are those of XLM-R."""
    model.resize_token_embeddings(len(rows), mean_resizing=False)
    embeddings = embeddings_of(model)
    with torch.no_grad():
        embeddings.weight.copy_(rows)
    embeddings.padding_idx = _PADDING
    config = model.config
    config.bos_token_id, config.pad_token_id, config.eos_token_id = 0, _PADDING, 2
    for name, number in (("cls_token_id", 0), ("sep_token_id", 2)):
        if hasattr(config, name):
            setattr(config, name, number)

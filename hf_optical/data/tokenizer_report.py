"""Report on how a tokenizer treats a language: pieces per word, unknown words, truncated texts.

A student receives only the pieces that its tokenizer makes of a text. If the words of a language are split into single
characters or become unknown pieces, training can hardly help; a larger vocabulary (``--student extend``) does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sentence_transformers.base.model import BaseModel
from transformers import PreTrainedTokenizerBase

from hf_optical.data.languages import normalize
from hf_optical.data.shards import shards
from hf_optical.data.tables import Fault, named_records
from hf_optical.data.texts import one_form, text_fault
from hf_optical.errors import InputError
from hf_optical.places import user_path

__all__ = ["TokenizerReport", "read_texts", "report_tokenizer", "tokenizer_table"]

_TEXT_FIELDS = ("text", "sentence", "content", "query", "question", "passage", "translation")
_LANGUAGE_FIELDS = ("lang", "language")
_CHUNK = 1000


@dataclass(frozen=True)
class TokenizerReport:
    """Statistics of a tokenizer on texts of one language. Special tokens and prompts do not count as pieces.

    Attributes:
        language: FLORES code, or ``und``.
        texts: Number of texts.
        words: Number of words separated by white space (of little use for scripts without spaces).
        pieces: Number of tokens before truncation.
        fertility: Pieces per word.
        characters_per_piece: Characters per piece, without white space.
        unknown_words: Share of words with an unknown piece (``[UNK]``), from 0 to 1.
        unknown_pieces: Share of unknown pieces among all pieces, from 0 to 1.
        single_characters: Share of pieces for one character or less (bytes) among the known pieces, from 0 to 1.
        max_length: Length at which the model truncates texts, in tokens with special tokens; ``None`` for no limit.
        truncated_texts: Share of texts that are truncated, from 0 to 1.
        lost_pieces: Share of pieces lost by truncation, from 0 to 1.
    """

    language: str
    texts: int
    words: int
    pieces: int
    fertility: float
    characters_per_piece: float
    unknown_words: float
    unknown_pieces: float
    single_characters: float
    max_length: int | None
    truncated_texts: float
    lost_pieces: float

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a dictionary for ``results.json``."""
        return asdict(self)


def report_tokenizer(
    model: BaseModel | PreTrainedTokenizerBase,
    texts: Sequence[str],
    language: str = "und",
    *,
    max_length: int | None = None,
) -> TokenizerReport:
    """Report how a tokenizer treats texts of one language.

    Args:
        model: A sentence-transformers model, or a fast tokenizer.
        texts: At least one text; none may be empty.
        language: Code of the language for the report. Default ``"und"``, undetermined.
        max_length: Length at which texts are truncated, in tokens with special tokens. Default: the model's own.

    Returns:
        The report.

    Raises:
        InputError: There are no texts, a text is empty (its number is given as the row), or the tokenizer does not
            return offsets.
    """
    tokenizer = model.tokenizer if isinstance(model, BaseModel) else model
    if max_length is None:
        max_length = _limit(model, tokenizer)
    if not getattr(tokenizer, "is_fast", False):
        raise InputError(
            f"{type(tokenizer).__name__} does not return the characters of each piece",
            "give a model with a fast tokenizer (tokenizer.json)",
        )
    if not texts:
        raise InputError("there are no texts", "give at least one")
    around = tokenizer.num_special_tokens_to_add()
    total = dict.fromkeys(("words", "characters", "pieces", "unknown_words", "unknown", "single", "cut", "lost"), 0)
    for start in range(0, len(texts), _CHUNK):
        for number, text in enumerate(texts[start : start + _CHUNK], start=start + 1):
            problem = text_fault(text)
            if problem is not None:
                raise InputError(problem, "remove the text", row=number)
        read = tokenizer(
            list(texts[start : start + _CHUNK]),
            add_special_tokens=False,
            truncation=False,
            return_offsets_mapping=True,
            verbose=False,
        )
        for text, ids, offsets in zip(
            texts[start : start + _CHUNK], read["input_ids"], read["offset_mapping"], strict=True
        ):
            _count(total, text, ids, offsets, tokenizer.unk_token_id)
            room = len(ids) if max_length is None else max(0, max_length - around)
            total["cut"] += len(ids) > room
            total["lost"] += max(0, len(ids) - room)
    known = total["pieces"] - total["unknown"]
    return TokenizerReport(
        language=language,
        texts=len(texts),
        words=total["words"],
        pieces=total["pieces"],
        fertility=_ratio(total["pieces"], total["words"]),
        characters_per_piece=_ratio(total["characters"], total["pieces"]),
        unknown_words=_ratio(total["unknown_words"], total["words"]),
        unknown_pieces=_ratio(total["unknown"], total["pieces"]),
        single_characters=_ratio(total["single"], known),
        max_length=max_length,
        truncated_texts=_ratio(total["cut"], len(texts)),
        lost_pieces=_ratio(total["lost"], total["pieces"]),
    )


def tokenizer_table(reports: Sequence[TokenizerReport]) -> str:
    """Format reports as a Markdown table with one line per language.

    Example:
        >>> report = TokenizerReport("swh_Latn", 1, 2, 5, 2.5, 2.0, 0.5, 0.2, 0.25, 128, 0.0, 0.0)
        >>> print(tokenizer_table([report]).splitlines()[2])
        | swh_Latn | 1 | 2.50 | 2.00 | 50.0 % | 20.0 % | 25.0 % | 128 | 0.0 % | 0.0 % |
    """
    titles = ["language", "texts", "pieces per word", "characters per piece", "unknown words", "unknown pieces"]
    titles += ["single characters", "length", "texts cut", "pieces lost"]
    lines = ["| " + " | ".join(titles) + " |", "| --- |" + " ---: |" * (len(titles) - 1)]
    for one in reports:
        shares = [one.unknown_words, one.unknown_pieces, one.single_characters]
        cells = [one.language, str(one.texts), f"{one.fertility:.2f}", f"{one.characters_per_piece:.2f}"]
        cells += [f"{share:.1%}".replace("%", " %") for share in shares]
        cells += [str(one.max_length) if one.max_length is not None else "no limit"]
        cells += [f"{share:.1%}".replace("%", " %") for share in (one.truncated_texts, one.lost_pieces)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def read_texts(path: str | Path, *, text_field: str | None = None, language: str | None = None) -> dict[str, list[str]]:
    """Read texts by language from a text file or a table.

    Args:
        path: A ``.txt`` file with one text per line; or a table with a column of texts and possibly one of languages:
            JSONL, TSV, CSV, Parquet (text formats also gzipped), or a folder of such files.
        text_field: The column of the texts. By default the only column with a usual name (``text``, ``sentence``...).
        language: The language of all texts, any code. By default that of the column ``lang`` or ``language``, or
            ``und`` if there is no such column.

    Returns:
        Texts by FLORES code, in the order of the file.

    Raises:
        InputError: The column of texts is unclear, or a row has no text; the message names file, row and column.
    """
    file = user_path(path)
    if file.suffix == ".txt":
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot be read ({error})", "give a text file in UTF-8", path=path) from None
        texts = [one_form(line.strip()) for line in lines if line.strip()]
        if not texts:
            raise InputError("the file has no text", "write one text per line", path=path)
        return {normalize(language) if language else "und": texts}
    found: dict[str, list[str]] = {}
    for shard in shards(file):
        _read_table(shard, text_field, language, found)
    return found


def _read_table(path: Path, text_field: str | None, language: str | None, found: dict[str, list[str]]) -> None:
    """Read the texts of one table into ``found``, by FLORES code."""
    records = named_records(path)
    columns = records.columns
    text_column = _text_column(columns, text_field, path)
    language_column = None if language else next((name for name in _LANGUAGE_FIELDS if name in columns), None)
    codes: dict[str, str] = {}
    for number, row in records.rows:
        problem = row.problem if isinstance(row, Fault) else text_fault(row.get(text_column))
        if problem is not None or isinstance(row, Fault):
            raise InputError(str(problem), "correct or remove the row", path=path, row=number, field=text_column)
        spoken = language or (str(row.get(language_column)) if language_column else "und")
        if spoken not in codes:
            codes[spoken] = spoken if spoken == "und" else normalize(spoken)
        found.setdefault(codes[spoken], []).append(one_form(row[text_column]))


def _text_column(columns: Sequence[str], wanted: str | None, path: str | Path) -> str:
    candidates = [wanted] if wanted is not None else [name for name in _TEXT_FIELDS if name in columns]
    if len(candidates) != 1 or candidates[0] not in columns:
        raise InputError(
            f"it is unclear which column holds the texts (found {', '.join(columns)})",
            "name it with --text_field COLUMN",
            path=path,
            field=wanted,
        )
    return candidates[0]


def _count(
    total: dict[str, int], text: str, ids: Sequence[int], offsets: Sequence[tuple[int, int]], unknown: int | None
) -> None:
    """Add the counts of one text to the totals.

    Args:
        total: Totals by name, which are changed.
        text: The text.
        ids: Token ids.
        offsets: First and last character of each token.
        unknown: Id of the unknown token.
    """
    total["words"] += len(text.split())
    total["characters"] += sum(not character.isspace() for character in text)
    total["pieces"] += len(ids)
    words: list[int] = []
    spaces = True
    for character in text:  # find the number of the word of each character
        words.append((words[-1] if words else -1) + (spaces and not character.isspace()))
        spaces = character.isspace()
    lost: set[int] = set()
    for number, (start, end) in zip(ids, offsets, strict=True):
        if number == unknown:
            total["unknown"] += 1
            # An unknown piece may span several words; its spaces belong to none.
            lost |= {words[place] for place in range(start, end) if not text[place].isspace()}
        else:
            total["single"] += len(text[start:end].strip()) <= 1
    total["unknown_words"] += len(lost)


def _limit(model: Any, tokenizer: PreTrainedTokenizerBase) -> int | None:
    """Return the length at which the model truncates texts, or ``None`` if it has no limit."""
    own = getattr(model, "max_seq_length", None)
    limit = own if own is not None else tokenizer.model_max_length
    return int(limit) if limit is not None and limit < 1_000_000 else None


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0

"""The card of a published teacher cache."""

from __future__ import annotations

from hf_optical.teacher_cache.manifest import Manifest

_TEXT = """
# {title}

Token and sentence vectors of {texts:,} English texts ({tokens:,} tokens) as {teacher} reads them: what a student of
another language is distilled from, without the teacher having to read the texts again, or being at hand at all.

```python
from hf_optical.teacher_cache import CachedTeacher

teacher = CachedTeacher.from_dataset("{repo}", "teacher_cache")
# OTDistillationTrainer(model=student, args=args, train_dataset=rows, teacher=teacher)
```

## What is in it

| column | what it is |
| --- | --- |
| `key` | 128-bit BLAKE2b of the text (UTF-8), hexadecimal |
| `input_ids` | token ids of the teacher's tokenizer, which is in `tokenizer/`; those of a prompt are left out |
| `tokens` | one vector a token, width {width}, {dtype}, little-endian, as bytes, row by row |
{scales}| `sentence` | the sentence vector, width {sentence_width}, {sentence_dtype} |

Without hf-optical: `numpy.frombuffer(row["tokens"], "{dtype}").reshape(-1, {width})`{scaled}.

| | |
| --- | --- |
| identity | `{digest}` |
| teacher's digest (weights, settings) | `{fingerprint}` |
| prompt | {prompt} |
| tokens per text at most | {max_length} |
| late interaction | {late} |
| smallest cosine of a token vector with the teacher's own | {cosine:.6f} |

## Limits

The texts themselves are not in it, but their token ids are, and so the texts can be read from it: the licences of the
texts hold for it. A text that is not in it cannot be looked up. The vectors are those of this teacher alone, under this
prompt and length; a trainer that is asked for another one refuses them.
"""


def dataset_card(manifest: Manifest, *, licence: str, repo_id: str | None = None) -> str:
    """Write the card, with the Hub's metadata.

    Args:
        manifest: Of the cache.
        licence: An id of the Hub.
        repo_id: ``owner/name``.

    Returns:
        Markdown, that begins with YAML between two lines of dashes.
    """
    from huggingface_hub import DatasetCardData

    identity = manifest.identity
    data = DatasetCardData(
        language="en",
        license=licence,
        pretty_name="Teacher cache",
        tags=["hf-optical", "knowledge-distillation", "embeddings"],
        size_categories=[_size(manifest.texts)],
        configs=[{"config_name": "default", "data_files": [{"split": "train", "path": "data/*.parquet"}]}],
    )
    small = identity.dtype == "int8"
    text = _TEXT.format(
        title=(repo_id or "teacher cache").rpartition("/")[2],
        repo=repo_id or "OWNER/NAME",
        texts=manifest.texts,
        tokens=manifest.tokens,
        teacher=f"`{manifest.teacher_name}`" if manifest.teacher_name else "an English retriever",
        width=identity.width,
        sentence_width=identity.sentence_width,
        sentence_dtype="rounded to float16" if small else "float32",
        dtype=identity.dtype,
        scales="| `scales` | one number a token, by which its vector is multiplied |\n" if small else "",
        scaled=', times `numpy.array(row["scales"])[:, None]`' if small else "",
        digest=identity.digest,
        fingerprint=identity.teacher,
        prompt=f"`{identity.prompt}`" if identity.prompt else "none",
        max_length=identity.max_length if identity.max_length is not None else "the teacher's own limit",
        late="yes" if identity.late_interaction else "no",
        cosine=manifest.cosine if manifest.cosine is not None else float("nan"),
    )
    return f"---\n{data.to_yaml()}\n---\n{text}"


def _size(rows: int) -> str:
    """As the Hub names sizes.

    Example:
        >>> _size(12), _size(41_482)
        ('n<1K', '10K<n<100K')
    """
    names = ["n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B"]
    return names[min(max(0, len(str(rows)) - 3), len(names) - 1)]

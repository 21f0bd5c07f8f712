"""Card of a published teacher cache."""

from __future__ import annotations

from hf_optical.teacher_cache.manifest import Manifest

_TEXT = """
# {title}

Token and sentence vectors of {texts:,} English texts ({tokens:,} tokens), encoded by {teacher}. A student for another
language can be distilled from them without the teacher's weights.

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
| `tokens` | one vector per token, width {width}, {dtype}, little-endian, as bytes, row by row |
{scales}| `sentence` | the sentence vector, width {sentence_width}, {sentence_dtype} |

Without hf-optical: `numpy.frombuffer(row["tokens"], "{dtype}").reshape(-1, {width})`{scaled}.

| | |
| --- | --- |
| identity | `{digest}` |
| teacher's digest (weights, settings) | `{fingerprint}` |
| prompt | {prompt} |
| largest number of tokens per text | {max_length} |
| late interaction | {late} |
| smallest cosine of a stored token vector with the teacher's | {cosine:.6f} |

## Limits

The data set has the token ids of the texts, from which the texts can be reconstructed, so that the licences of the
texts apply to it. It has no vectors for other texts. The vectors are valid for this teacher, prompt and length only; a
trainer refuses them for any other.
"""


def dataset_card(manifest: Manifest, *, licence: str, repo_id: str | None = None) -> str:
    """Render the card, with the Hub's metadata.

    Args:
        manifest: Manifest of the cache.
        licence: Licence of the data set, as the Hub writes it.
        repo_id: Hub id of the data set, ``owner/name``; ``None`` leaves a placeholder.

    Returns:
        Markdown that begins with a YAML block between two lines of dashes.
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
        scales="| `scales` | one number per token, by which its vector is multiplied |\n" if small else "",
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
    """Return the Hub's category for a number of rows.

    Example:
        >>> _size(12), _size(41_482)
        ('n<1K', '10K<n<100K')
    """
    names = ["n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B"]
    return names[min(max(0, len(str(rows)) - 3), len(names) - 1)]

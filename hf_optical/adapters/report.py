"""Sizes of adapters and of their base."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hf_optical.adapters.language_adapters import LanguageAdapters


@dataclass(frozen=True)
class AdapterSize:
    """Size of one saved adapter.

    Attributes:
        language: FLORES code.
        method: ``lora`` or ``rslora``, with the rank.
        parameters: Number of parameters in its file.
        bytes: Size of the parameters.
        share: Size relative to the base, where 1 is as large as the base.
        trained: Whether training updates the adapter.
    """

    language: str
    method: str
    parameters: int
    bytes: int
    share: float
    trained: bool


def adapter_sizes(adapters: LanguageAdapters) -> list[AdapterSize]:
    """Measure the size of every adapter, in the order in which they were added."""
    base = base_bytes(adapters)
    rows = []
    for language in adapters.languages:
        state, config = adapters.state(language), adapters.config(language)
        size = sum(value.numel() * value.element_size() for value in state.values())
        rows.append(
            AdapterSize(
                language,
                f"{'rslora' if config.use_rslora else 'lora'} r={config.r}",
                sum(value.numel() for value in state.values()),
                size,
                size / base,
                language in adapters.trainable,
            )
        )
    return rows


def base_bytes(adapters: LanguageAdapters) -> int:
    """Return the size of the base's weights in bytes, with its persistent buffers and without adapters."""
    from hf_optical.adapters.base_weights import without_adapters

    with without_adapters(adapters.inner):
        return sum(value.numel() * value.element_size() for value in adapters.model.state_dict().values())


def size_rows(adapters: LanguageAdapters) -> list[dict[str, Any]]:
    """Return the sizes as dictionaries for ``results.json``."""
    return [asdict(row) for row in adapter_sizes(adapters)]


def size_table(adapters: LanguageAdapters) -> str:
    """Format the sizes as a text table, whose last line is the base."""
    lines = [f"{'adapter':<9} {'method':<12} {'parameters':>12} {'MiB':>9} {'of base':>8}"]
    for row in adapter_sizes(adapters):
        lines.append(
            f"{row.language:<9} {row.method:<12} {row.parameters:>12,} {row.bytes / 2**20:>9.2f} {row.share:>8.2%}"
        )
    lines.append(f"{'base':<9} {'':<12} {'':>12} {base_bytes(adapters) / 2**20:>9.2f} {1:>8.2%}")
    return "\n".join(lines)

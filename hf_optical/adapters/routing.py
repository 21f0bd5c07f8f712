"""Routing of texts of unknown language to adapters, by language identification; the base where it is unsure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from hf_optical.data.identify import UNDETERMINED, identify
from hf_optical.errors import InputError

Identifier = Callable[[Sequence[str]], list[tuple[str, float]]]


@dataclass(frozen=True)
class Routing:
    """Result of routing texts.

    Attributes:
        languages: The identified language of each text, a FLORES code or ``und``.
        confidences: From 0 to 1.
        adapters: The adapter chosen for each text; ``None`` is the base.
        threshold: Texts below it went to the base.
    """

    languages: tuple[str, ...]
    confidences: tuple[float, ...]
    adapters: tuple[str | None, ...]
    threshold: float

    @property
    def abstained(self) -> int:
        """Number of texts that went to the base because their language was not sure enough."""
        return sum(self._unsure(row) for row in range(len(self.languages)))

    def report(self) -> list[dict[str, str | int | float]]:
        """One row for each pair of language and adapter, the most frequent first, as ``results.json`` takes it."""
        rows: Counter[tuple[str, str]] = Counter()
        sums: Counter[tuple[str, str]] = Counter()
        for row, language in enumerate(self.languages):
            key = ("unsure" if self._unsure(row) else language, self.adapters[row] or "base")
            rows[key] += 1
            sums[key] += self.confidences[row]  # type: ignore[assignment]
        return [
            {"language": key[0], "adapter": key[1], "texts": count, "confidence": round(sums[key] / count, 3)}
            for key, count in sorted(rows.items(), key=lambda item: (-item[1], item[0]))
        ]

    def table(self) -> str:
        """Format the report as text.

        Example:
            >>> print(Routing(("swh_Latn", "und"), (0.9, 0.0), ("swh_Latn", None), 0.5).table())
            language  adapter   texts  mean confidence
            swh_Latn  swh_Latn      1            0.900
            unsure    base          1            0.000
        """
        lines = [f"{'language':<9} {'adapter':<9} {'texts':>5}  {'mean confidence':>15}"]
        for row in self.report():
            lines.append(f"{row['language']:<9} {row['adapter']:<9} {row['texts']:>5}  {row['confidence']:>15.3f}")
        return "\n".join(lines)

    def _unsure(self, row: int) -> bool:
        return self.languages[row] == UNDETERMINED or self.confidences[row] < self.threshold


class LanguageRouter:
    """Router of texts to adapters by their language.

    Args:
        threshold: Least confidence, from 0 to 1; below it a text goes to the base. The base reads every language
            somehow; a wrong adapter does harm.
        among: Languages that come into question (:func:`hf_optical.data.identify.identify`); all when ``None``.
        identifier: Another identifier: texts to FLORES codes and confidences. py3langid (extra ``routing``) by default.

    Example:
        >>> router = LanguageRouter(identifier=lambda texts: [("swh_Latn", 0.9), ("swh_Latn", 0.2)])
        >>> router.route(["Habari za asubuhi", "ok"], lambda language: language).adapters
        ('swh_Latn', None)
    """

    def __init__(
        self,
        threshold: float = 0.5,
        *,
        among: Collection[str] | None = None,
        identifier: Identifier | None = None,
    ) -> None:
        if not 0 <= threshold <= 1:
            raise InputError(f"is {threshold}", "give a number from 0 to 1", field="threshold")
        self.threshold = threshold
        self.identifier = identifier or (lambda texts: identify(texts, among=among))

    def route(self, texts: Sequence[str], resolve: Callable[[str], str | None]) -> Routing:
        """Choose an adapter for each text.

        Args:
            texts: Texts.
            resolve: From a FLORES code to an adapter, or ``None`` for the base.
        """
        found = self.identifier(texts)
        sure = [language != UNDETERMINED and confidence >= self.threshold for language, confidence in found]
        adapter = {language: resolve(language) for (language, _), is_sure in zip(found, sure, strict=True) if is_sure}
        return Routing(
            languages=tuple(language for language, _ in found),
            confidences=tuple(confidence for _, confidence in found),
            adapters=tuple(
                adapter[language] if is_sure else None for (language, _), is_sure in zip(found, sure, strict=True)
            ),
            threshold=self.threshold,
        )

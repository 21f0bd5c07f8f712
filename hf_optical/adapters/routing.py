"""Routing of texts in unknown languages to adapters by language identification, and to the base if that is unsure."""

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
        confidences: The confidence of each identification, from 0 to 1.
        adapters: The adapter chosen for each text; ``None`` for the base.
        threshold: Confidence below which texts went to the base.
    """

    languages: tuple[str, ...]
    confidences: tuple[float, ...]
    adapters: tuple[str | None, ...]
    threshold: float

    @property
    def abstained(self) -> int:
        """Number of texts that went to the base because their language was uncertain."""
        return sum(self._unsure(row) for row in range(len(self.languages)))

    def report(self) -> list[dict[str, str | int | float]]:
        """Count the texts of each pair of language and adapter, for ``results.json``.

        Returns:
            Rows with ``language``, ``adapter``, ``texts`` (their number) and ``confidence`` (its mean), the most
            frequent pair first. Texts that went to the base for low confidence have the language ``"unsure"``.
        """
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
        """Format the report as a text table.

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
    """Router of texts to adapters by their identified language.

    Args:
        threshold: Confidence, from 0 to 1, below which a text goes to the base. Raise it if a wrong adapter does more
            harm than the base.
        among: FLORES codes of the possible languages (see :func:`hf_optical.data.identify.identify`); all if ``None``.
        identifier: Function from texts to a FLORES code and a confidence for each. Default: py3langid (extra
            ``routing``).

    Raises:
        InputError: ``threshold`` is not between 0 and 1.

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
            texts: The texts.
            resolve: Function from a FLORES code to the name of an adapter, or to ``None`` for the base.
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

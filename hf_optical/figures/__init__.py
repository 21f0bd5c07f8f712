"""Pictures: transport plans, language pairs, and the charts of reports as SVG."""

__all__ = [
    "bars",
    "curves",
    "forest",
    "language_pairs",
    "layer_probe",
    "plan",
    "svg",
    "training_curve",
    "word_plan",
]

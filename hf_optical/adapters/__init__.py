"""One base, N languages: adapters that train together, mix in one batch, save and load."""

from hf_optical.adapters.language_adapters import LanguageAdapters

__all__ = ["LanguageAdapters", "LanguageEvaluator", "LanguageRouter", "load_all", "load_language"]


def __getattr__(name: str) -> object:
    # peft and safetensors are imported when they are needed.
    if name == "LanguageRouter":
        from hf_optical.adapters.routing import LanguageRouter

        return LanguageRouter
    if name == "LanguageEvaluator":
        from hf_optical.adapters.training import LanguageEvaluator

        return LanguageEvaluator
    if name in ("load_all", "load_language"):
        from hf_optical.adapters import files

        return getattr(files, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

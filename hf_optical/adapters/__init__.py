"""Language adapters: one LoRA per language on a shared base encoder, trained, mixed in a batch, saved and loaded."""

from hf_optical.adapters.language_adapters import LanguageAdapters

__all__ = ["LanguageAdapters", "LanguageEvaluator", "LanguageRouter", "load_all", "load_language"]


def __getattr__(name: str) -> object:
    # Imported on first use, because peft and safetensors take long to import.
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

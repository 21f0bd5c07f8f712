"""Translate-test: a machine-translation model translates the query into English for the teacher."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch

from hf_optical.data.languages import ENGLISH, UnknownLanguageError, normalize
from hf_optical.errors import InputError, pip_install

# Language codes of model families: __sw__ (M2M-100), >>swh<< (Opus-MT), <2sw> (MADLAD), sw_KE (mBART-50).
_LANGUAGE_TOKEN = re.compile(r"__(\w+)__|>>(\w+)<<|<2(\w+)>|([a-z]{2}_[A-Z]{2})")


class Translator:
    """A sequence-to-sequence translation model of ``transformers``: NLLB, M2M-100, mBART-50, Opus-MT (Marian), MADLAD.

    Args:
        name_or_path: Its folder, or its id on the Hub. Weights are loaded from safetensors only; remote code is never
            run.
        source: Language of the texts, any code.
        target: Language to translate into.
        num_beams: Beams of the search.
        max_new_tokens: Longest translation.
        device: A torch device; by default an accelerator if there is one.

    Raises:
        InputError: There is no such model, or it does not know a language.

    Example:
        .. code-block:: python

            translator = Translator("facebook/nllb-200-distilled-600M", "swh_Latn")
            translator(["Mbuzi analala wapi?"])
    """

    def __init__(
        self,
        name_or_path: str,
        source: str,
        target: str = ENGLISH,
        *,
        num_beams: int = 4,
        max_new_tokens: int = 128,
        device: str | None = None,
    ) -> None:
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

        self.name = name_or_path
        self.source, self.target = normalize(source), normalize(target)
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(name_or_path)
            self.model: Any = AutoModelForSeq2SeqLM.from_pretrained(name_or_path, use_safetensors=True)
        except (OSError, ValueError, ImportError) as error:
            raise InputError(
                f"no translation model could be loaded ({type(error).__name__}: {str(error).splitlines()[0][:200]})",
                "give a folder or id of NLLB, M2M-100, mBART-50, Opus-MT or MADLAD with safetensors weights "
                f"({pip_install('translate')} for their tokenizers)",
                path=name_or_path,
            ) from error
        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        self.device = torch.device(device) if device else (accelerator or torch.device("cpu"))
        self.model.eval().requires_grad_(False).to(self.device)
        self._options: dict[str, Any] = {"num_beams": num_beams, "max_new_tokens": max_new_tokens, "do_sample": False}
        self._prefix = ""
        self._set_languages()

    def _set_languages(self) -> None:
        """Set source and target language in the way of each model family."""
        vocabulary = self.tokenizer.get_vocab()
        source, target = (self._code(language, vocabulary) for language in (self.source, self.target))
        if self._has_source_language():
            if source is None or target is None:
                missing = self.source if source is None else self.target
                raise InputError(
                    f"the model does not know {missing}", "use a model that knows the language", path=self.name
                )
            self.tokenizer.src_lang = source[0]
            self._options["forced_bos_token_id"] = vocabulary[target[1]]
        elif target is not None:  # multilingual Opus-MT and MADLAD: the target code precedes the text
            self._prefix = f"{target[1]} "

    def _has_source_language(self) -> bool:
        """Return whether the model puts the source language into the text, as NLLB, M2M-100 and mBART-50 do."""
        return self.model.config.model_type in ("m2m_100", "mbart")

    def _code(self, language: str, vocabulary: dict[str, int]) -> tuple[str, str] | None:
        """Return the model's code of a language, and its token."""
        if language in vocabulary:  # NLLB
            return language, language
        for token in sorted(vocabulary):
            found = _LANGUAGE_TOKEN.fullmatch(token)
            code = next((group for group in found.groups() if group), "") if found else ""
            if code and _same_language(code, language):
                return code, token
        return None

    @torch.no_grad()
    def __call__(self, texts: Sequence[str], *, batch_size: int = 16, show_progress: bool = False) -> list[str]:
        """Translate texts, longest first; the translations are in the order of the texts.

        Args:
            texts: Texts in the source language.
            batch_size: Texts per batch.
            show_progress: Whether to show a progress bar.
        """
        from tqdm.auto import tqdm

        order = sorted(range(len(texts)), key=lambda place: -len(texts[place]))
        answers = [""] * len(texts)
        for start in tqdm(range(0, len(order), batch_size), desc="Translating", disable=not show_progress):
            places = order[start : start + batch_size]
            batch = self.tokenizer(
                [self._prefix + texts[place] for place in places], return_tensors="pt", padding=True, truncation=True
            ).to(self.device)
            batch.pop("token_type_ids", None)
            found = self.model.generate(**batch, **self._options)
            for place, answer in zip(places, self.tokenizer.batch_decode(found, skip_special_tokens=True), strict=True):
                answers[place] = answer.strip()
        return answers


def translations(translator: Translator, queries: dict[str, str], **options: Any) -> dict[str, str]:
    """Translate queries by id.

    An empty translation is replaced by the query itself.

    Args:
        translator: The translation model.
        queries: Text by query id.
        **options: Options of the translator's call.
    """
    answers = translator(list(queries.values()), **options)
    return {query: answer or queries[query] for query, answer in zip(queries, answers, strict=True)}


def _same_language(code: str, language: str) -> bool:
    try:
        return normalize(code.split("_")[0] if len(code) == 5 else code) == language
    except UnknownLanguageError:
        return False

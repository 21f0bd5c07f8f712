"""The class :class:`LanguageAdapters`: one base encoder with a small adapter (LoRA) for each language."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentence_transformers.base.model import BaseModel
from sentence_transformers.base.modules.transformer import Transformer
from torch import Tensor, nn

from hf_optical.adapters.resolving import Policy, present, resolve
from hf_optical.data.languages import normalize
from hf_optical.errors import InputError

if TYPE_CHECKING:
    from hf_optical.adapters.routing import LanguageRouter, Routing


class LanguageAdapters:
    """Language adapters (LoRA, by peft) on one base encoder.

    Adapters are named by FLORES codes. If no language is given, the model computes exactly what its base computes. Rows
    with a language go through its adapter, in :meth:`encode` and in training, where the trainers of this package find
    every row's language in its column ``language`` or in the name of its data set (``bitext/eng_Latn-swh_Latn``). Only
    the adapters chosen by :meth:`set_trainable` are trained; the base and the modules after it are frozen.

    Args:
        model: A ``SentenceTransformer`` or ``MultiVectorEncoder``. Its parameters are frozen, and the adapters are
            added to it in place.

    Raises:
        InputError: The model has adapters already, or does not have exactly one transformer.

    Example:
        ::

            adapters = LanguageAdapters(model)
            adapters.add("swh_Latn", r=16)
            adapters.add("so")  # som_Latn
            adapters.encode(texts, languages=["swh_Latn", "som_Latn", "eng_Latn"])
            adapters.save("my-adapters")
    """

    def __init__(self, model: BaseModel) -> None:
        from hf_optical.adapters.rows import RowAdapters

        transformers = [module for module in model.modules() if isinstance(module, Transformer)]
        inner: Any = model.transformers_model
        if len(transformers) != 1 or inner is None:
            raise InputError(
                f"the model holds {len(transformers)} Transformer modules", "language adapters need exactly one"
            )
        if getattr(inner, "_hf_peft_config_loaded", False):
            raise InputError(
                "the model has adapters already", "use LanguageAdapters.of(model), or load the base without adapters"
            )
        self.model: Any = model  # typed Any, because the common base class lacks `encode`
        self.inner = inner
        self.last_routing: Routing | None = None
        self._trainable: tuple[str, ...] = ()
        self._fingerprint: str | None = None
        model.requires_grad_(False)
        self.rows = RowAdapters(transformers[0], inner, lambda: self.languages)
        model._language_adapters = self  # type: ignore[assignment]

    @classmethod
    def of(cls, model: Any) -> LanguageAdapters | None:
        """Return the language adapters of a model, or ``None`` if it has none."""
        return getattr(model, "_language_adapters", None)

    @property
    def languages(self) -> tuple[str, ...]:
        """FLORES codes of all adapters, in the order in which they were added."""
        return tuple(getattr(self.inner, "peft_config", ()))

    def __contains__(self, language: str) -> bool:
        return normalize(language) in self.languages

    def __len__(self) -> int:
        return len(self.languages)

    def config(self, language: str) -> Any:
        """Return the ``peft.LoraConfig`` of an adapter."""
        return self.inner.peft_config[self._present(language)]

    def add(self, language: str, config: Any = None, **options: Any) -> str:
        """Add a new adapter, which is trained from now on.

        Args:
            language: Any code of the language.
            config: A ``peft.LoraConfig``, in place of options.
            options: Options of ``peft.LoraConfig``: ``r`` (default 16), ``lora_alpha`` (default twice ``r``),
                ``target_modules`` (default: query and value projections), ``use_rslora``, ``init_lora_weights``
                (``True``, ``"pissa"``, ``"olora"``...), ``layers_to_transform``, ``modules_to_save`` (linear layers and
                embeddings), ``trainable_token_indices``...

        Returns:
            The FLORES code, which is the adapter's name.

        Raises:
            UnknownLanguageError: There is no such language; the message names the nearest.
            InputError: The language has an adapter already, or an option is not supported (DoRA...).
        """
        from hf_optical.adapters.configs import lora_config
        from hf_optical.adapters.injection import inject

        name = normalize(language)
        self._check_absent(name)
        if config is not None and options:
            raise InputError("both a configuration and options are given", "give one of them", field="config")
        inject(self.inner, name, lora_config(**options) if config is None else config)
        self.rows.refresh()
        self.set_trainable([*self._trainable, name])
        return name

    def remove(self, language: str) -> None:
        """Remove an adapter; the base and the other adapters do not change."""
        from hf_optical.adapters.injection import eject

        name = self._present(language)
        eject(self.inner, name)
        self.rows.refresh()
        self.set_trainable([other for other in self._trainable if other != name])

    @property
    def trainable(self) -> tuple[str, ...]:
        """FLORES codes of the adapters that training updates."""
        return self._trainable

    def set_trainable(self, languages: Collection[str] | None = None) -> None:
        """Choose the adapters that training updates. Call it before you create the trainer.

        Args:
            languages: Codes of the adapters to train, all others being frozen; ``None`` for all adapters.
        """
        names = self.languages if languages is None else tuple(self._present(language) for language in languages)
        self.model.requires_grad_(False)
        for name in names:
            for parameter in self.parameters(name).values():
                parameter.requires_grad_(True)
        self._trainable = tuple(dict.fromkeys(names))

    def parameters(self, language: str) -> dict[str, nn.Parameter]:
        """Return the parameters of an adapter by their full names in the transformers model."""
        name = self._present(language)
        # A FLORES code is never a part of another parameter's name.
        return {path: value for path, value in self.inner.named_parameters() if name in path.split(".")}

    @contextmanager
    def use(self, language: str | None) -> Iterator[BaseModel]:
        """Encode all texts inside the block through one adapter, if they have no language of their own.

        Args:
            language: Any code of the language; ``None`` for the base.

        Yields:
            The model: ``with adapters.use("swh_Latn") as model: evaluator(model)``.
        """
        from hf_optical.adapters.rows import BASE

        before = self.rows.resting
        self.rows.resting = BASE if language is None else self._present(language)
        try:
            yield self.model
        finally:
            self.rows.resting = before

    def resolve(self, language: str | None, policy: Policy = "base") -> str | None:
        """Return the name of the adapter for a language, or ``None`` for the base.

        Args:
            language: Any code, or ``None`` for the base.
            policy: What to use for a language without an adapter: ``"base"`` (default), ``"nearest"`` (an adapter of
                the same macro-language, or else the base), or ``"error"`` to raise an error.

        Raises:
            InputError: The policy is none of the three.
            UnknownLanguageError: There is no such language, or it has no adapter under the policy ``"error"``.
        """
        return resolve(language, self.languages, policy)

    def encode(self, texts: Sequence[str] | str, languages: Sequence[str | None] | str | None, **options: Any) -> Any:
        """Encode texts of several languages at once, each through its adapter.

        Args:
            texts: One text or several, whose order is kept.
            languages: One code for each text, one for all texts, ``None`` for the base, or ``"auto"`` to identify the
                language of every text (:meth:`route`, with the extra ``routing``); ``last_routing`` then holds the
                result of the routing.
            options: ``policy`` (see :meth:`resolve`), ``router`` (for ``"auto"``), and the options of
                sentence-transformers' ``encode``.

        Returns:
            The result of sentence-transformers' ``encode``.

        Raises:
            InputError: There are not as many languages as texts.
            UnknownLanguageError: There is no such language, or it has no adapter under the policy ``"error"``.
        """
        from hf_optical.adapters.encoding import encode_languages

        return encode_languages(self, self.model.encode, texts, languages, **options)

    def encode_query(self, texts: Any, languages: Any, **options: Any) -> Any:
        """Encode texts as :meth:`encode` does, with the model's query prompt."""
        from hf_optical.adapters.encoding import encode_languages

        return encode_languages(self, self.model.encode_query, texts, languages, **options)

    def encode_document(self, texts: Any, languages: Any, **options: Any) -> Any:
        """Encode texts as :meth:`encode` does, with the model's document prompt."""
        from hf_optical.adapters.encoding import encode_languages

        return encode_languages(self, self.model.encode_document, texts, languages, **options)

    def route(self, texts: Sequence[str], *, router: LanguageRouter | None = None, policy: Policy = "base") -> Routing:
        """Identify the language of each text and choose its adapter, or the base if the identifier is unsure."""
        from hf_optical.adapters.routing import LanguageRouter

        return (router or LanguageRouter()).route(texts, lambda language: self.resolve(language, policy))

    def state(self, language: str) -> dict[str, Tensor]:
        """Return an adapter's weights as they are saved.

        They share memory with the parameters, except if the adapter was initialised from the base (PiSSA, OLoRA).
        """
        from hf_optical.adapters.injection import saved_state

        return saved_state(self.inner, self._present(language))

    def base_fingerprint(self) -> str:
        """Return the hash of the base's weights, which is computed once."""
        from hf_optical.adapters.base_weights import fingerprint

        if self._fingerprint is None:
            self._fingerprint = fingerprint(self.model, self.inner)
        return self._fingerprint

    def save(self, folder: str | Path, *, base: str | None = None, revision: str | None = None) -> None:
        """Write the base and all adapters into one repository, a folder that appears only when it is complete.

        Plain sentence-transformers and peft load it too: ``SentenceTransformer(folder)``, then
        ``model.load_adapter(folder, adapter_kwargs={"subfolder": "adapters/swh_Latn"})``.

        Args:
            folder: Path of the folder, which is replaced if it exists.
            base: Hub id of the base, which is then named and not written; the base's weights are written if ``None``.
            revision: Branch, tag or commit of that Hub id.

        Raises:
            InputError: ``base`` is not a Hub id.
        """
        from hf_optical.adapters.files import write_repository

        write_repository(self, folder, base=base, revision=revision)

    def load(self, repository: str | Path, language: str, *, replace: bool = False, revision: str | None = None) -> str:
        """Add the adapter of one language from a folder or Hub repository. It is not trained (:meth:`set_trainable`).

        Args:
            repository: A folder that :meth:`save` wrote, or a Hub id.
            language: Any code of the language.
            replace: Whether to replace an adapter of this language, whose shape may differ. An adapter that is replaced
                stays trainable if it was.
            revision: Branch, tag or commit of a Hub repository.

        Returns:
            The FLORES code, which is the adapter's name.

        Raises:
            InputError: The adapter is missing, damaged, pickled or trained on another base, or the language has an
                adapter and ``replace`` is false. The adapters of this model are then unchanged.
        """
        from hf_optical.adapters.files import load_into

        name = normalize(language)
        if not replace:
            self._check_absent(name)
        load_into(self, repository, name, revision)
        return name

    def load_state(self, language: str, state: Mapping[str, Tensor]) -> None:
        """Copy saved weights into an adapter of the same shape.

        Raises:
            InputError: A name is missing or unknown, or a shape differs.
        """
        from hf_optical.adapters.injection import load_state

        load_state(self.inner, self._present(language), dict(state))

    def _check_absent(self, name: str) -> None:
        if name in self.languages:
            raise InputError(f"there already is an adapter for {name}", "remove it first, or load with replace=True")

    def _present(self, language: str) -> str:
        return present(language, self.languages)

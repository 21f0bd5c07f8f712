"""One base encoder, one small adapter per language: add, choose, mix, remove, save, load."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sentence_transformers.base.model import BaseModel
from sentence_transformers.base.modules.transformer import Transformer
from torch import Tensor, nn

from hf_optical.data.languages import UnknownLanguageError, normalize
from hf_optical.errors import InputError

if TYPE_CHECKING:
    from hf_optical.adapters.routing import LanguageRouter, Routing

Policy = Literal["base", "nearest", "error"]


class LanguageAdapters:
    """Language adapters (LoRA, by peft) on one base encoder.

    Names are FLORES codes. Without a word about languages the model is its base, bit for bit; rows that name a language
    go through its adapter, in use (:meth:`encode`) and in training, where the trainers of this package tell every row's
    language from the name of its data set (``bitext/eng_Latn-swh_Latn``) or its column ``language``. Only the chosen
    adapters are trained (:meth:`set_trainable`); neither the base nor the modules after it move.

    Args:
        model: A ``SentenceTransformer`` or ``MultiVectorEncoder``. It is frozen and holds the adapters from now on.

    Raises:
        InputError: The model has adapters already, several transformers or none.

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
        self.model: Any = model  # encode is not in the common base class
        self.inner = inner
        self.last_routing: Routing | None = None
        self._trainable: tuple[str, ...] = ()
        self._fingerprint: str | None = None
        model.requires_grad_(False)
        self.rows = RowAdapters(transformers[0], inner, lambda: self.languages)
        model._language_adapters = self  # type: ignore[assignment]

    @classmethod
    def of(cls, model: Any) -> LanguageAdapters | None:
        """Return the language adapters of a model, or ``None``."""
        return getattr(model, "_language_adapters", None)

    @property
    def languages(self) -> tuple[str, ...]:
        """FLORES codes of all adapters, in the order of adding."""
        return tuple(getattr(self.inner, "peft_config", ()))

    def __contains__(self, language: str) -> bool:
        return normalize(language) in self.languages

    def __len__(self) -> int:
        return len(self.languages)

    def config(self, language: str) -> Any:
        """Return the ``peft.LoraConfig`` of an adapter."""
        return self.inner.peft_config[self._present(language)]

    def add(self, language: str, config: Any = None, **options: Any) -> str:
        """Add a fresh adapter and train it from now on.

        Args:
            language: Any code of the language.
            config: A ``peft.LoraConfig``, in place of options.
            options: Of ``peft.LoraConfig``: ``r`` (default 16), ``lora_alpha`` (twice ``r``), ``target_modules`` (query
                and value projections), ``use_rslora``, ``init_lora_weights`` (``True``, ``"pissa"``, ``"olora"``...),
                ``layers_to_transform``, ``modules_to_save`` (linear layers, embeddings), ``trainable_token_indices``...

        Returns:
            The FLORES code, which is the adapter's name.

        Raises:
            UnknownLanguageError: No such language; names the nearest.
            InputError: It is there already, or an option is refused (DoRA...), with the reason.
        """
        from hf_optical.adapters.configs import lora_config
        from hf_optical.adapters.injection import inject

        name = normalize(language)
        if name in self.languages:
            raise InputError(f"there is an adapter for {name} already", "remove it first, or load with replace=True")
        if config is not None and options:
            raise InputError("both a configuration and options are given", "give one of them", field="config")
        inject(self.inner, name, lora_config(**options) if config is None else config)
        self.rows.refresh()
        self.set_trainable([*self._trainable, name])
        return name

    def remove(self, language: str) -> None:
        """Remove an adapter; the base and the others stay as they are."""
        from hf_optical.adapters.injection import eject

        name = self._present(language)
        eject(self.inner, name)
        self.rows.refresh()
        self.set_trainable([other for other in self._trainable if other != name])

    @property
    def trainable(self) -> tuple[str, ...]:
        """Adapters that training updates."""
        return self._trainable

    def set_trainable(self, languages: Collection[str] | None = None) -> None:
        """Choose the adapters that training updates, before the trainer is made.

        Args:
            languages: All of these and nothing else; every adapter when ``None``.
        """
        names = self.languages if languages is None else tuple(self._present(language) for language in languages)
        self.model.requires_grad_(False)
        for name in names:
            for parameter in self.parameters(name).values():
                parameter.requires_grad_(True)
        self._trainable = tuple(dict.fromkeys(names))

    def parameters(self, language: str) -> dict[str, nn.Parameter]:
        """Return the parameters of an adapter, by their full names in the transformers model."""
        name = self._present(language)
        # Names are FLORES codes, which are no part of any other parameter's name.
        return {path: value for path, value in self.inner.named_parameters() if name in path.split(".")}

    @contextmanager
    def use(self, language: str | None) -> Iterator[BaseModel]:
        """Use the model as one language (``with adapters.use("swh_Latn") as model: evaluator(model)``).

        Args:
            language: Texts that name no language go through its adapter; ``None`` for the base.
        """
        from hf_optical.adapters.rows import BASE

        before = self.rows.resting
        self.rows.resting = BASE if language is None else self._present(language)
        try:
            yield self.model
        finally:
            self.rows.resting = before

    def resolve(self, language: str | None, policy: Policy = "base") -> str | None:
        """Return the adapter for a language: its own, else as the policy says.

        Args:
            language: Any code, or ``None`` for the base.
            policy: Where there is no adapter: ``"base"``, ``"nearest"`` (of the same macro-language, else the base),
                or ``"error"``.
        """
        from hf_optical.adapters.nearest import nearest

        if policy not in ("base", "nearest", "error"):
            raise InputError(f"is {policy!r}", "use 'base', 'nearest' or 'error'", field="policy")
        name = None if language is None else normalize(language)
        if name is None or name in self.languages:
            return name
        if policy == "error":
            self._present(name)
        return nearest(name, self.languages) if policy == "nearest" else None

    def encode(self, texts: Sequence[str] | str, languages: Sequence[str | None] | str | None, **options: Any) -> Any:
        """Encode texts of several languages at once, each through its adapter.

        Args:
            texts: One text or many; the order is kept.
            languages: One for each text, one for all, ``None`` for the base, or ``"auto"``: identified text by text
                (:meth:`route`; the extra ``routing``), with the report in ``last_routing``.
            options: ``policy`` (:meth:`resolve`), ``router`` (for ``"auto"``), and those of sentence-transformers'
                ``encode``.

        Returns:
            The result of sentence-transformers' ``encode``.

        Raises:
            InputError: Not as many languages as texts; a language without adapter under the policy ``"error"``.
            UnknownLanguageError: No such language.
        """
        from hf_optical.adapters.encoding import encode_languages

        return encode_languages(self, self.model.encode, texts, languages, **options)

    def encode_query(self, texts: Any, languages: Any, **options: Any) -> Any:
        """Encode texts as :meth:`encode` does, under the model's query prompt."""
        from hf_optical.adapters.encoding import encode_languages

        return encode_languages(self, self.model.encode_query, texts, languages, **options)

    def encode_document(self, texts: Any, languages: Any, **options: Any) -> Any:
        """Encode texts as :meth:`encode` does, under the model's document prompt."""
        from hf_optical.adapters.encoding import encode_languages

        return encode_languages(self, self.model.encode_document, texts, languages, **options)

    def route(self, texts: Sequence[str], *, router: LanguageRouter | None = None, policy: Policy = "base") -> Routing:
        """Identify the language of each text and choose its adapter; unsure texts go to the base."""
        from hf_optical.adapters.routing import LanguageRouter

        return (router or LanguageRouter()).route(texts, lambda language: self.resolve(language, policy))

    def state(self, language: str) -> dict[str, Tensor]:
        """An adapter's weights as they are saved; a copy where the adapter started from the base (PiSSA, OLoRA)."""
        from hf_optical.adapters.injection import saved_state

        return saved_state(self.inner, self._present(language))

    def base_fingerprint(self) -> str:
        """A hash of the base's weights, counted once."""
        from hf_optical.adapters.base_weights import fingerprint

        if self._fingerprint is None:
            self._fingerprint = fingerprint(self.model, self.inner)
        return self._fingerprint

    def save(self, folder: str | Path, *, base: str | None = None, revision: str | None = None) -> None:
        """Write one repository: the base, and ``adapters/<code>/`` for every language, whole or not at all.

        Plain sentence-transformers and peft load it too: ``SentenceTransformer(folder)``, then
        ``model.load_adapter(folder, adapter_kwargs={"subfolder": "adapters/swh_Latn"})``.

        Args:
            folder: Where; replaced if it is there.
            base: Hub id of the base, to write a pointer; its whole weights are written when ``None``.
            revision: Of that id.
        """
        from hf_optical.adapters.files import write_repository

        write_repository(self, Path(folder), base=base, revision=revision)

    def load(self, repository: str | Path, language: str, *, replace: bool = False, revision: str | None = None) -> str:
        """Add one language's adapter from a folder or Hub repository; it is not trained until you say so.

        Args:
            repository: What :meth:`save` wrote.
            language: Any code of the language.
            replace: Take the place of an adapter of that language, of whatever shape.
            revision: Of a Hub repository.

        Raises:
            InputError: It is not there, damaged, not safetensors, or made for another base.
        """
        from hf_optical.adapters.files import open_repository, read_adapter

        name = normalize(language)
        found = open_repository(repository, languages=[name], revision=revision)
        found.check_base(self)
        config, state = read_adapter(found, name)
        trainable = self._trainable
        before = (self.config(name), self.state(name)) if name in self.languages and replace else None
        if before:
            self.remove(name)
        self.add(name, config)
        try:
            self.load_state(name, state)
        except InputError:
            self.remove(name)
            if before:
                self.add(name, before[0])
                self.load_state(name, before[1])
            raise
        finally:
            self.set_trainable(trainable)
        return name

    def load_state(self, language: str, state: Mapping[str, Tensor]) -> None:
        """Put saved weights into an adapter of the same shape, exactly; any missing or extra name is refused."""
        from hf_optical.adapters.injection import load_state

        load_state(self.inner, self._present(language), dict(state))

    def _present(self, language: str) -> str:
        name = normalize(language)
        if name not in self.languages:
            known = ", ".join(self.languages) or "none"
            raise UnknownLanguageError(f"there is no adapter for {name}; there are: {known}", "add or load it")
        return name

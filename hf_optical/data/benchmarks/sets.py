"""Table of published sets: the places of their files, their columns, their licence and citation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["SETS", "LiteratureSet"]

Shape = Literal["contexts", "topics", "clirmatrix"]

_GITHUB = "https://raw.githubusercontent.com/"
_JHU = "https://www.cs.jhu.edu/"


@dataclass(frozen=True)
class LiteratureSet:
    """Description of one published set.

    Files are written ``hub:OWNER/NAME/PATH``, ``https://...`` or ``tar:https://...!PATH``. They may contain ``{code}``
    (the set's own code of a language) or its parts ``{first}`` and ``{second}``, ``{query}`` and ``{document}`` (codes
    of a pair), ``{split}``, and ``*`` in a Hub path. Alternatives are separated by ``|``. A local copy is searched for
    the same file names.

    Args:
        name: The name by which users refer to the set.
        shape: The reader to use.
        files: Files by role: ``rows`` (shape ``contexts``), ``topics``, ``qrels`` and ``corpus`` (shape ``topics``), or
            ``judged`` and ``corpus`` (shape ``clirmatrix``).
        fields: Columns by role, for tables without a header as positions from 0. Default: the usual names.
        hub: Hub data set with one configuration per language and the same rows as ``files``, for sets whose files are
            not on the Hub.
        languages: The set's own codes by FLORES code. It is empty if the set uses FLORES codes and has too many
            languages to list.
        split: The default split.
        parallel: Whether all languages have the same identifiers. Then any languages make one folder, to which English
            is always added.
        asked: Language of the queries: a FLORES code if it is always the same, ``"same"`` as that of the documents, or
            ``"own"`` for the one that the user names, with the documents in ``answered``.
        answered: Language of the documents by language of the queries, with the default under ``""``.
        default_languages: Languages of a reference that names none; if empty, the user has to name some.
        licence: SPDX identifier or a description.
        citation: Authors, title and venue.
        page: URL of the set's page.
    """

    name: str
    shape: Shape
    files: Mapping[str, str]
    licence: str
    citation: str
    page: str
    fields: Mapping[str, str | int] = field(default_factory=dict)
    hub: str | None = None
    languages: Mapping[str, str] = field(default_factory=dict)
    split: str = "test"
    parallel: bool = False
    asked: str = "same"
    answered: Mapping[str, str] = field(default_factory=dict)
    default_languages: tuple[str, ...] = ()


def _codes(text: str) -> dict[str, str]:
    """Parse codes such as ``"swh_Latn=sw som_Latn=so"`` into a dictionary."""
    return dict(pair.split("=") for pair in text.split())


_XQUAD = _codes(
    "arb_Arab=ar deu_Latn=de ell_Grek=el eng_Latn=en spa_Latn=es hin_Deva=hi rus_Cyrl=ru tha_Thai=th tur_Latn=tr "
    "vie_Latn=vi zho_Hans=zh"
)
_MLQA = {code: name for code, name in _XQUAD.items() if name in ("ar", "de", "en", "es", "hi", "vi", "zh")}
_MIRACL = _codes(
    "arb_Arab=ar ben_Beng=bn deu_Latn=de eng_Latn=en spa_Latn=es pes_Arab=fa fin_Latn=fi fra_Latn=fr hin_Deva=hi "
    "ind_Latn=id jpn_Jpan=ja kor_Hang=ko rus_Cyrl=ru swh_Latn=sw tel_Telu=te tha_Thai=th yor_Latn=yo zho_Hans=zh"
)
_MMARCO = _codes(
    "arb_Arab=arabic zho_Hans=chinese nld_Latn=dutch eng_Latn=english fra_Latn=french deu_Latn=german hin_Deva=hindi "
    "ind_Latn=indonesian ita_Latn=italian jpn_Jpan=japanese por_Latn=portuguese rus_Cyrl=russian spa_Latn=spanish "
    "vie_Latn=vietnamese"
)
_AFRICLIRMATRIX = _codes(
    "afr_Latn=afrikaans/afr amh_Ethi=amharic/amh arz_Arab=egyptian_arabic/arz hau_Latn=hausa/hau ibo_Latn=igbo/ibo "
    "ary_Arab=moroccan_arabic/ary nso_Latn=northern_sotho/nso sna_Latn=shona/sna som_Latn=somali/som "
    "swh_Latn=swahili/swa tir_Ethi=tigrinya/tir twi_Latn=twi/twi wol_Latn=wolof/wol yor_Latn=yoruba/yor "
    "zul_Latn=zulu/zul"
)
_AFRIQA = _codes(
    "bem_Latn=bem.en fon_Latn=fon.fr hau_Latn=hau.en ibo_Latn=ibo.en kin_Latn=kin.en swh_Latn=swa.en twi_Latn=twi.en "
    "wol_Latn=wol.fr yor_Latn=yor.en zul_Latn=zul.en"
)
_CIRAL = _codes("hau_Latn=hausa/ha som_Latn=somali/so swh_Latn=swahili/sw yor_Latn=yoruba/yo")
_WIKICLIR = _codes(
    "arb_Arab=arabic/ar cat_Latn=catalan/ca zho_Hans=chinese/zh ces_Latn=czech/cs nld_Latn=dutch/nl "
    "fin_Latn=finnish/fi fra_Latn=french/fr deu_Latn=german/de ita_Latn=italian/it jpn_Jpan=japanese/ja "
    "kor_Hang=korean/ko nob_Latn=norwegian_(bokmal)/no nno_Latn=norwegian_(nynorsk)/nn pol_Latn=polish/pl "
    "por_Latn=portuguese/pt ron_Latn=romanian/ro rus_Cyrl=russian/ru spa_Latn=spanish/es swh_Latn=swahili/sw "
    "swe_Latn=swedish/sv tgl_Latn=tagalog/tl tur_Latn=turkish/tr ukr_Cyrl=ukrainian/uk vie_Latn=vietnamese/vi"
)
_WIKICLIR_TAR = f"tar:{_JHU}~kevinduh/a/wikiclir2018/wiki-clir.tar.gz!wiki-clir"

_TABLE = (
    LiteratureSet(
        "xquad_r",
        "contexts",
        {"rows": f"{_GITHUB}google-research-datasets/lareqa/master/xquad-r/{{code}}.json"},
        "CC-BY-SA-4.0",
        "Roy et al., LAReQA: Language-agnostic answer retrieval from a multilingual pool, EMNLP 2020",
        "https://github.com/google-research-datasets/lareqa",
        hub="google-research-datasets/xquad_r",
        languages=_XQUAD,
        split="validation",
        parallel=True,
        default_languages=tuple(_XQUAD),
    ),
    LiteratureSet(
        "mlqa_r",
        "contexts",
        {
            "rows": f"{_GITHUB}google-research-datasets/lareqa/master/mlqa-dev-r/{{code}}.json"
            f"|{_GITHUB}google-research-datasets/lareqa/master/mlqa-r/{{code}}.json"
        },
        "CC-BY-NC-4.0",
        "Roy et al., LAReQA: Language-agnostic answer retrieval from a multilingual pool, EMNLP 2020",
        "https://github.com/google-research-datasets/lareqa",
        languages=_MLQA,
        split="dev",
        parallel=True,
        default_languages=tuple(_MLQA),
    ),
    LiteratureSet(
        "belebele",
        "contexts",
        {"rows": "hub:facebook/belebele/data/{code}.jsonl"},
        "CC-BY-SA-4.0",
        "Bandarkar et al., The Belebele benchmark: a parallel reading comprehension dataset in 122 language variants, "
        "ACL 2024",
        "https://huggingface.co/datasets/facebook/belebele",
        # "link" and "question_number" together identify a question in all languages.
        fields={"id": "link question_number", "context": "flores_passage"},
        parallel=True,
    ),
    LiteratureSet(
        "afriqa",
        "contexts",
        {
            "rows": f"{_GITHUB}masakhane-io/afriqa/main/data/gold_passages/{{first}}/"
            "gold_span_passages.afriqa.{code}.{split}.json"
        },
        "CC-BY-SA-4.0",
        "Ogundepo et al., AfriQA: Cross-lingual open-retrieval question answering for African languages, EMNLP 2023",
        "https://github.com/masakhane-io/afriqa",
        fields={"question": "question_lang", "english": "question_translated"},
        languages=_AFRIQA,
        asked="own",
        answered={"": "eng_Latn", "fon_Latn": "fra_Latn", "wol_Latn": "fra_Latn"},
    ),
    LiteratureSet(
        "miracl",
        "topics",
        {
            "topics": "hub:miracl/miracl/miracl-v1.0-{code}/topics/topics.miracl-v1.0-{code}-{split}.tsv",
            "qrels": "hub:miracl/miracl/miracl-v1.0-{code}/qrels/qrels.miracl-v1.0-{code}-{split}.tsv",
            "corpus": "hub:miracl/miracl-corpus/miracl-corpus-v1.0-{code}/docs-*.jsonl.gz",
        },
        "Apache-2.0",
        "Zhang et al., MIRACL: A multilingual retrieval dataset covering 18 diverse languages, TACL 2023",
        "https://huggingface.co/datasets/miracl/miracl",
        fields={"id": "docid"},
        languages=_MIRACL,
        split="dev",
    ),
    LiteratureSet(
        "mmarco",
        "topics",
        {
            "topics": "hub:unicamp-dl/mmarco/data/google/queries/dev/{code}_queries.{split}.tsv",
            "qrels": "hub:unicamp-dl/mmarco/data/qrels.{split}.tsv",
            "corpus": "hub:unicamp-dl/mmarco/data/google/collections/{code}_collection.tsv",
        },
        "that of MS MARCO (see the page)",
        "Bonifacio et al., mMARCO: A multilingual version of the MS MARCO passage ranking dataset, arXiv 2108.13897",
        "https://huggingface.co/datasets/unicamp-dl/mmarco",
        fields={"id": 0, "text": 1},
        languages=_MMARCO,
        split="dev.small",
        parallel=True,
    ),
    LiteratureSet(
        "africlirmatrix",
        "topics",
        {
            "topics": f"{_GITHUB}castorini/africlirmatrix/main/test/queries/"
            "topics.africlirmatrix-v1.0.en.{second}.tsv",
            "qrels": f"{_GITHUB}castorini/africlirmatrix/main/test/qrels/qrels.africlirmatrix-v1.0.en.{{second}}.txt",
            "corpus": "hub:castorini/africlirmatrix/africlirmatrix-v1.0-{first}/corpus.jsonl",
        },
        "Apache-2.0",
        "Ogundepo et al., AfriCLIRMatrix: Enabling cross-lingual information retrieval for African languages, "
        "EMNLP 2022",
        "https://github.com/castorini/africlirmatrix",
        fields={"text": "contents"},
        languages=_AFRICLIRMATRIX,
        asked="eng_Latn",
    ),
    LiteratureSet(
        "ciral",
        "topics",
        {
            "topics": "hub:CIRAL/ciral/ciral-{first}/topics/topics.ciral-v1.0-{second}-{split}.tsv",
            "qrels": "hub:CIRAL/ciral/ciral-{first}/qrels/qrels.ciral-v1.0-{second}-{split}.tsv",
            "corpus": "hub:CIRAL/ciral-corpus/passages-v1.0/{first}_passages.jsonl",
        },
        "Apache-2.0",
        "Adeyemi et al., CIRAL: A test collection for CLIR evaluations in African languages, SIGIR 2024",
        "https://huggingface.co/datasets/CIRAL/ciral",
        fields={"id": "docid"},
        languages=_CIRAL,
        split="test-b",
        asked="eng_Latn",
    ),
    LiteratureSet(
        "wikiclir",
        "topics",
        {
            "topics": f"{_WIKICLIR_TAR}/english/wiki_en.queries",
            "qrels": f"{_WIKICLIR_TAR}/{{first}}/en2{{second}}.rel",
            "corpus": f"{_WIKICLIR_TAR}/{{first}}/wiki_{{second}}.documents",
        },
        "Wikipedia text, CC-BY-SA",
        "Sasaki et al., Cross-lingual learning-to-rank with shared representations, NAACL 2018",
        "https://www.cs.jhu.edu/~kevinduh/a/wikiclir2018/",
        # A query is the first sentence of an English article, without the words of its title.
        fields={"query": 2, "id": 0, "title": 1, "text": 2},
        languages=_WIKICLIR,
        asked="eng_Latn",
    ),
    LiteratureSet(
        "clirmatrix",
        "clirmatrix",
        {
            "judged": f"{_JHU}~shuosun/clirmatrix/data/BI-139/base/{{query}}/"
            "{query}.{document}.{split}.base.jl.gz"
            "|{query}.{document}.{split}.jl.gz",
            "corpus": f"{_JHU}~shuosun/clirmatrix/data/DOCS/{{document}}.tsv.gz",
        },
        "Wikipedia text, CC-BY-SA",
        "Sun and Duh, CLIRMatrix: A massively large collection of bilingual and multilingual datasets for CLIR, "
        "EMNLP 2020",
        "https://github.com/ssun32/CLIRMatrix",
        split="test1",
    ),
)

SETS: dict[str, LiteratureSet] = {item.name: item for item in _TABLE}
"""All published sets by name."""

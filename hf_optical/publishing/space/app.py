"""Search in English documents with questions in another language: results of a student and of its teacher alone.

The student and its teacher are plain sentence-transformers models, named in space.json beside this file; the
environment variables MODEL and TEACHER override them, for instance with folders on this machine. The documents are read
from documents.jsonl, and the teacher encodes them when the app starts. A transport plan between a question and a
document's sentence shows which words match.
"""

import html
import json
import os
import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

TOP = 5  # documents shown
LONGEST = 40  # words of the English sentence in a plan; more do not fit into the table
EPSILON = 0.05  # weight of the entropy in a plan, in units of a cosine
MEANS = "token_means.json"  # mean tokens, which the training saves with the student
FOLDER = Path(__file__).parent
_PROMPTS = {
    "query": ["query"],
    "document": ["document", "passage", "corpus"],
}  # as sentence-transformers looks for them
_LINE = "1px solid rgba(128,128,128,.25) !important"
STYLE = (
    ".list,.list tr,.plan table,.plan tr{border:0 !important}"
    ".plan{overflow-x:auto}.plan table{border-collapse:collapse;width:auto}"
    ".plan th{font-weight:400;text-align:right;padding:2px 8px;border:0 !important}"
    ".plan .above{writing-mode:vertical-rl;transform:rotate(180deg);text-align:left;padding:6px 2px}"
    f".plan td{{width:28px;min-width:28px;height:28px;padding:0;border:{_LINE}}}"
    ".list{border-collapse:collapse;width:100%}.list th{font-weight:400;opacity:.7;text-align:left}"
    f".list th,.list td{{padding:6px 8px 6px 0 !important;border:0 !important;border-bottom:{_LINE}}}"
    ".list td{vertical-align:top}"
)


@dataclass
class Search:
    """Search with a student in documents that its teacher has encoded.

    Attributes:
        student: Encoder of the questions.
        teacher: Encoder of the documents.
        documents: The n documents.
        means: Mean unit token of questions and of documents, (d,) each, which plans subtract; None subtracts nothing.
    """

    student: Any
    teacher: Any
    documents: list[str]
    means: tuple[np.ndarray, np.ndarray] | None = None

    @cached_property
    def index(self) -> Any:
        """Vectors of the n documents by the teacher, (n, d)."""
        return self.teacher.encode_document(self.documents)

    def ranking(self, model: Any, question: str) -> list[tuple[int, float]]:
        """Rank all documents for the question as this model encodes it: positions and scores, best first."""
        scores = np.asarray(self.teacher.similarity(model.encode_query([question]), self.index))[0]
        return [(int(place), float(scores[place])) for place in np.argsort(-scores, kind="stable")]

    def answers(self, question: str) -> list[list[Any]]:
        """Return the student's results: rank, score, document, and the document's rank by the teacher alone."""
        alone = {place: rank for rank, (place, _) in enumerate(self.ranking(self.teacher, question), start=1)}
        found = self.ranking(self.student, question)[:TOP]
        return [
            [rank, f"{score:.2f}", self.documents[place], alone[place]]
            for rank, (place, score) in enumerate(found, start=1)
        ]

    def without_student(self, question: str) -> list[list[Any]]:
        """Return the results of the teacher when it encodes the question itself: rank, score, document."""
        found = self.ranking(self.teacher, question)[:TOP]
        return [[rank, f"{score:.2f}", self.documents[place]] for rank, (place, score) in enumerate(found, start=1)]

    def best_sentence(self, question: str, document: str) -> str:
        """Return the sentence of a document that is nearest to the question, short enough to show a plan for."""
        sentences = [text.strip() for text in re.split(r"(?<=[.!?])\s+", document) if text.strip()] or [document]
        scores = self.teacher.similarity(self.student.encode_query([question]), self.teacher.encode_document(sentences))
        return " ".join(sentences[int(np.asarray(scores)[0].argmax())].split()[:LONGEST])

    def plan(self, question: str, sentence: str) -> tuple[list[str], list[str], np.ndarray]:
        """Compute the transport plan from the question's words to those of an English sentence.

        It is the plan of reranking by tokens: each token of the question has the same mass, and distributes it over the
        tokens of the sentence by their cosines, entropic and one-sided, because a question need not say all that a
        sentence says. It is summed over the tokens of each word.

        Returns:
            The n words of the question, the m English words, and the plan, (n, m), which sums to 1.
        """
        asked, said = self.means or (None, None)
        rows, left = words_of(self.student, question, "query")
        columns, right = words_of(self.teacher, sentence, "document")
        cosine = _units(np.concatenate(left), asked) @ _units(np.concatenate(right), said).T
        plan = np.exp((cosine - cosine.max(axis=1, keepdims=True)) / EPSILON)
        plan /= plan.sum(axis=1, keepdims=True) * len(plan)
        return rows, columns, _by_groups(_by_groups(plan, left).T, right).T


def words_of(model: Any, text: str, role: str = "query") -> tuple[list[str], list[np.ndarray]]:
    """Split a text into words, and encode it.

    Args:
        model: A sentence-transformers model with a fast tokenizer.
        text: A question or sentence.
        role: ``"query"`` or ``"document"``.

    Returns:
        The words, and for each word the vectors of its tokens, (tokens, d). The prompt and special tokens are left out.
    """
    known = getattr(model, "prompts", None) or {}
    prompt = next((known[name] for name in _PROMPTS[role] if name in known), None) or ""
    encode = model.encode_query if role == "query" else model.encode_document
    vectors = encode([text], output_value="token_embeddings")[0].float().cpu().numpy()
    whole = prompt + text
    encoded = model.tokenizer(whole, return_offsets_mapping=True, truncation=True, max_length=len(vectors))
    words: dict[Any, list[int]] = {}
    for token, (word, (start, end)) in enumerate(zip(encoded.word_ids(), encoded["offset_mapping"], strict=True)):
        if word is not None and end > max(start, len(prompt)) and whole[start:end].strip():
            words.setdefault(word, []).append(token)
    offsets = encoded["offset_mapping"]
    names = [
        whole[max(offsets[tokens[0]][0], len(prompt)) : offsets[tokens[-1]][1]].strip() for tokens in words.values()
    ]
    return names, [vectors[tokens] for tokens in words.values()]


def _units(tokens: np.ndarray, mean: np.ndarray | None) -> np.ndarray:
    """Scale tokens, (n, d), to length 1, subtract a mean, and scale them again; without a mean once."""
    tokens = tokens / np.maximum(np.linalg.norm(tokens, axis=1, keepdims=True), 1e-12)
    return tokens if mean is None else _units(tokens - mean, None)


def without_punctuation(
    rows: list[str], columns: list[str], plan: np.ndarray
) -> tuple[list[str], list[str], np.ndarray]:
    """Leave words that are punctuation alone out of a plan, (n, m), and scale what is left to sum 1.

    A question or sentence of nothing else is left as it is.
    """
    kept = []
    for words in (rows, columns):
        real = [place for place, word in enumerate(words) if any(unicodedata.category(sign)[0] != "P" for sign in word)]
        kept.append(real or list(range(len(words))))
    shown = plan[np.ix_(*kept)]
    return [rows[i] for i in kept[0]], [columns[j] for j in kept[1]], shown / max(shown.sum(), 1e-12)


def _by_groups(plan: np.ndarray, groups: list[np.ndarray]) -> np.ndarray:
    """Sum the rows of a plan, (tokens, m), over groups of consecutive tokens; the result is (groups, m)."""
    starts = np.cumsum([0, *[len(group) for group in groups[:-1]]])
    return np.add.reduceat(plan, starts, axis=0)


def table_of(rows: list[str], columns: list[str], plan: np.ndarray) -> str:
    """Render a plan, (n, m), as an HTML table of shaded cells; every row is scaled to sum 1."""
    share = plan / np.maximum(plan.sum(axis=1, keepdims=True), 1e-12)
    words = [html.escape(word) for word in columns]
    head = "".join(f'<th class="above">{word}</th>' for word in words)
    body = ""
    for row, line in zip(map(html.escape, rows), share, strict=True):
        cells = "".join(
            f'<td title="{row} – {word}: {100 * value:.0f} %" style="background:rgba(13,148,136,{value:.2f})"></td>'
            for word, value in zip(words, line, strict=True)
        )
        body += f"<tr><th>{row}</th>{cells}</tr>"
    return f'<style>{STYLE}</style><div class="plan"><table><tr><th></th>{head}</tr>{body}</table></div>'


def load(folder: Path = FOLDER) -> tuple[Search, dict[str, Any]]:
    """Load the models and documents that a folder names, and its settings."""
    from sentence_transformers import SentenceTransformer

    settings = json.loads((folder / "space.json").read_text(encoding="utf-8"))
    lines = (folder / "documents.jsonl").read_text(encoding="utf-8").splitlines()
    place = os.environ.get("MODEL", settings["model"])
    student = SentenceTransformer(place)
    if settings["adapter"]:
        student.load_adapter(place, adapter_kwargs={"subfolder": settings["adapter"]})
    teacher = SentenceTransformer(
        os.environ.get("TEACHER", settings["teacher"]),
        revision=None if "TEACHER" in os.environ else settings["teacher_revision"],
    )
    means = _means_of(Path(place) if Path(place).is_dir() else folder, settings["means_of"])
    return Search(student, teacher, [json.loads(line)["text"] for line in lines], means), settings


def _means_of(folder: Path, language: str | None) -> tuple[np.ndarray, np.ndarray] | None:
    """Read the mean tokens of the questions' language and of the documents; None where a folder has none."""
    if not (folder / MEANS).is_file():
        return None
    content = json.loads((folder / MEANS).read_text(encoding="utf-8"))
    asked, said = content["queries"].get(language), content["documents"]
    return None if asked is None or said is None else (np.asarray(asked), np.asarray(said))


def _list_of(found: list[list[Any]], headings: list[str]) -> str:
    """Render results as an HTML table that also fits the width of a phone."""
    head = "".join(f"<th>{html.escape(heading)}</th>" for heading in headings)
    lines = ["".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) for row in found]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<style>{STYLE}</style><table class="list"><tr>{head}</tr>{body}</table>'


def build(search: Search, settings: dict[str, Any]) -> Any:
    """Build the page: a question, the results of student and teacher, and a transport plan."""
    import gradio as gr

    def picture(question: str, rank: int = 1) -> str:
        if not question.strip():
            return ""
        document = search.answers(question)[rank - 1][2]
        plan = search.plan(question, search.best_sentence(question, document))
        return table_of(*without_punctuation(*plan))

    def answer(question: str) -> tuple[str, str, str, int]:
        if not question.strip():
            raise gr.Error("Type a question first.")
        found = _list_of(search.answers(question), ["", "score", "document", "teacher's rank"])
        alone = _list_of(search.without_student(question), ["", "score", "document"])
        return found, alone, picture(question), 1

    language = settings["language"]
    with gr.Blocks(title=settings["title"]) as page:
        gr.Markdown(f"# {settings['title']}\nA question in {language}, {len(search.documents):,} documents in English.")
        question = gr.Textbox(label=f"Question in {language}", elem_id="question")
        button = gr.Button("Search", variant="primary", elem_id="search")
        with gr.Row():
            with gr.Column():
                gr.Markdown("### The student finds")
                found = gr.HTML(elem_id="found")
            with gr.Column():
                gr.Markdown("### The teacher alone would find")
                alone = gr.HTML(elem_id="alone")
        gr.Markdown(
            "### Which words match\nThe transport plan between the question and the nearest sentence of a document: "
            "each row is a word of the question, and a cell is the darker the more of that word's mass is transported "
            "to the English word. Punctuation is left out, and a row's shares are of what goes to the words shown."
        )
        ranks = [(str(rank), rank) for rank in range(1, min(TOP, len(search.documents)) + 1)]
        rank = gr.Radio(ranks, value=1, label="Document of the student's list", elem_id="rank")
        plan = gr.HTML(elem_id="plan")
        gr.on([button.click, question.submit], answer, question, [found, alone, plan, rank])
        rank.input(picture, [question, rank], plan)
    return page


if __name__ == "__main__":
    from gradio.themes import Default

    build(*load()).launch(theme=Default(primary_hue="teal"))

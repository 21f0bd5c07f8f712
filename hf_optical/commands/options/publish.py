"""Options of ``hf-optical publish``."""

from __future__ import annotations

from dataclasses import dataclass

from hf_optical.configuration.fields import option


@dataclass
class PublishConfig:
    """Build the repository of a finished run, or of a teacher cache, and send it."""

    run: str | None = option(None, "Output folder of a finished run of train.", path=True)
    teacher_cache: str | None = option(
        None, "Folder of a teacher cache, published as a data set in place of a run.", path=True
    )
    repo_id: str | None = option(None, "Publish on the Hub as owner/name; with --dry_run, only the name in the card.")
    dry_run: str | None = option(None, "Build the repository in this folder and send nothing.", path=True)
    space: str | None = option(
        None, "Build a Gradio app for the published model in this folder; needs --documents, sends nothing.", path=True
    )
    documents: str | None = option(None, "English documents that the app searches: id and text.", path=True)
    public: bool = option(False, "Make a new repository public.")
    revision: str | None = option(None, "An existing branch of the repository, in place of main.")
    teacher_id: str | None = option(None, "Hub id of the teacher, needed if the run used a folder.")
    teacher_revision: str | None = option(
        None, "Commit of the teacher on the Hub; found in the local cache if not given."
    )
    license: str | None = option(None, "Licence as the Hub writes it, such as apache-2.0.")
    evaluations: list[str] = option(
        [], "Output folders of evaluate whose scores and bias the card shows too.", path=True
    )
    data: list[str] = option(
        [], "Present place of the training files, to count licences; by default where the run read them.", path=True
    )
    data_license: str | None = option(
        None, "Licence of training data that has no column license, for the card, such as CC-BY-4.0."
    )
    texts: str | None = option(
        None, "Sentences of the language (.txt or a table): tokens per word go into the card.", path=True
    )
    text_fields: list[str] = option(["text"], "Columns of text in --texts and --trim, where they are tables.")
    trim: list[str] = option(
        [], "Files with sentences of every language to keep, to which the vocabulary is trimmed.", path=True
    )
    trim_min_count: int = option(1, "Number of occurrences from which a piece is kept; 2 makes a smaller file than 1.")
    trim_eval: list[str] = option([], "Retrieval sets for a table of nDCG@10 before and after trimming.", path=True)
    limits: list[str] = option([], "Files with further limitations for the card, one limitation per line.", path=True)

"""The app of a Space: what is built, what it finds, and the plan it draws; the page itself only where gradio is."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import torch
from huggingface_hub import SpaceCard
from published_runs import add_adapter, write_run
from script_modules import load_recipe

from hf_optical.encoders.encoding import encode_texts
from hf_optical.encoders.token_means import TokenMeans
from hf_optical.errors import InputError
from hf_optical.evaluation.token_scoring import TokenScoring
from hf_optical.publishing.space import Space, build_space

DOCUMENTS = {
    "goat": "The goat sleeps under the tree. A dog runs.",
    "child": "A child sees the red house.",
    "river": "The big dog eats near the river.",
    "teacher": "The teacher runs in the house.",
    "tree": "A small tree near the river.",
    "dog": "The dog sees the goat and the child.",
}
QUESTION = "a goat under the tree"


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("space")
    words = [*tiny_models.ENGLISH, "."]
    run = write_run(folder / "run", tiny_models.dense(folder / "student", words, seed=1))
    tiny_models.dense(folder / "teacher", words).save_pretrained(str(folder / "english"))
    build_space(Space(run, "me/tiny", DOCUMENTS, licence="apache-2.0"), folder / "app")
    return folder


@pytest.fixture
def app(built, monkeypatch):
    """The built app.py as a module of its own, as the Space runs it."""
    spec = importlib.util.spec_from_file_location("space_app", built / "app" / "app.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "space_app", module)
    spec.loader.exec_module(module)
    monkeypatch.setenv("MODEL", str(built / "run" / "model"))
    monkeypatch.setenv("TEACHER", str(built / "english"))
    return module


def test_the_folder_is_a_space_that_needs_no_file_of_this_package(built):
    assert {path.name for path in (built / "app").iterdir()} == {
        "app.py",
        "space.json",
        "documents.jsonl",
        "requirements.txt",
        "README.md",
    }
    code = (built / "app" / "app.py").read_text()
    assert "hf_optical" not in code and "hf-optical" not in (built / "app" / "requirements.txt").read_text()
    card = SpaceCard.load(built / "app" / "README.md")
    assert card.data.sdk == "gradio" and card.data.app_file == "app.py"
    assert card.data.models == ["me/tiny", "owner/english"] and card.data.license == "apache-2.0"
    settings = json.loads((built / "app" / "space.json").read_text())
    assert settings["model"] == "me/tiny" and settings["teacher"] == "owner/english"
    assert settings["language"] == "Swahili" and settings["adapter"] is None


def test_the_student_and_the_teacher_alone_are_asked_apart(app):
    search, _ = app.load()
    found, alone = search.answers(QUESTION), search.without_student(QUESTION)
    vectors = search.teacher.encode_document(list(DOCUMENTS.values()))
    for rows, model in ((found, search.student), (alone, search.teacher)):
        scores = search.teacher.similarity(model.encode_query([QUESTION]), vectors)[0]
        best = scores.argsort(descending=True)[: app.TOP]
        assert [row[2] for row in rows] == [list(DOCUMENTS.values())[place] for place in best]
    assert [row[2] for row in found] != [row[2] for row in alone]  # two random encoders
    ranks = {row[2]: row[0] for row in alone}
    assert all(row[3] == ranks.get(row[2], len(DOCUMENTS)) for row in found)


@pytest.mark.parametrize("centred", [False, True])
def test_the_plan_is_that_of_reranking(app, built, tmp_path, monkeypatch, centred):
    """Its score is that of ``search --rerank``, centred where the run saved mean tokens."""
    sentence = "The big dog eats near the river."
    shutil.copytree(built / "run", tmp_path / "run")
    model = tmp_path / "run" / "model"
    monkeypatch.setenv("MODEL", str(model))
    means = TokenMeans({"swh_Latn": np.linspace(-0.2, 0.2, 16)}, np.linspace(0.2, -0.2, 16)) if centred else None
    if means:
        means.save(model)
    folder = build_space(Space(tmp_path / "run", "me/tiny", DOCUMENTS), tmp_path / "app")
    assert (folder / "token_means.json").is_file() == centred
    search, settings = app.load(folder)
    assert settings["means_of"] == "swh_Latn" and (search.means is not None) == centred
    rows, columns, plan = search.plan(QUESTION, sentence)
    assert rows == QUESTION.split() and columns == [*sentence[:-1].split(), "."]
    np.testing.assert_allclose(plan.sum(axis=1), 1 / len(rows), atol=1e-6)  # words of one token here
    sides = []
    for encoder, text, role in ((search.student, QUESTION, "query"), (search.teacher, sentence, "document")):
        sides.append(torch.from_numpy(encode_texts(encoder, [text], role, interaction="maxsim", content_only=True)[0]))
    scoring = TokenScoring.centred("soft", means, "sw") if means else TokenScoring("soft")
    asked, said = search.means or (None, None)
    cosine = app._units(sides[0].numpy(), asked) @ app._units(sides[1].numpy(), said).T
    assert float((plan * cosine).sum()) == pytest.approx(float(scoring.scores(sides[:1], sides[1:])), abs=1e-5)


def test_punctuation_is_not_shown_and_what_is_shown_is_a_plan(app):
    rows, columns, plan = app.without_punctuation(
        ["wapi", "?"], ["here", ".", "🐐"], np.array([[0.3, 0.1, 0.1], [0.1, 0.3, 0.1]])
    )
    assert rows == ["wapi"] and columns == ["here", "🐐"]
    np.testing.assert_allclose(plan, [[0.75, 0.25]])
    assert app.without_punctuation(["?"], ["."], np.ones((1, 1)))[:2] == (["?"], ["."])


def test_a_prompt_and_cut_texts_are_no_words_of_the_plan(app):
    search, _ = app.load()
    search.student.prompts = {"query": "a child sees "}
    rows, vectors = app.words_of(search.student, "the goat")
    assert rows == ["the", "goat"] and [len(one) for one in vectors] == [1, 1]
    rows, _ = app.words_of(search.teacher, "goat " * 50)  # the encoder reads 32 tokens
    assert rows == ["goat"] * 30


def test_the_sentence_of_the_plan_is_the_nearest(app):
    search, _ = app.load()
    search.student = search.teacher
    assert search.best_sentence("a dog runs.", DOCUMENTS["goat"]) == "A dog runs."
    assert search.best_sentence("a dog runs.", "dog") == "dog"


def test_the_table_escapes_what_people_type(app):
    table = app.table_of(["<b>"], ["x&y", "z"], np.array([[0.1, 0.3]]))
    assert "<b>" not in table and "&lt;b&gt; – x&amp;y: 25 %" in table


@pytest.mark.filterwarnings("error::UserWarning:gradio")  # a handler that gradio would call with other arguments
def test_the_page_answers(app):
    pytest.importorskip("gradio", reason="gradio is not installed: pip install 'hf-optical[space]'")
    search, settings = app.load()
    page = app.build(search, settings)
    (answer,) = [block.fn for block in page.fns.values() if block.fn.__name__ == "answer"]
    found, alone, plan, rank = answer(QUESTION)
    assert found.count("<tr>") == alone.count("<tr>") == app.TOP + 1 and rank == 1
    assert "<table>" in plan and "goat" in plan
    (picture,) = [block.fn for block in page.fns.values() if block.fn.__name__ == "picture"]
    assert picture(QUESTION, 1) == plan != picture(QUESTION, app.TOP) and picture(" ", 1) == ""
    labels = [component.label for component in page.blocks.values() if getattr(component, "label", None)]
    assert "Question in Swahili" in labels


def test_an_adapter_reads_the_question(tmp_path, built):
    run = write_run(tmp_path / "run", tiny_models.dense(tmp_path / "student"))
    add_adapter(run)
    folder = build_space(Space(run, "me/tiny", DOCUMENTS), tmp_path / "app")
    assert json.loads((folder / "space.json").read_text())["adapter"] == "adapters/swh_Latn"
    assert "peft" in (folder / "requirements.txt").read_text()


def test_what_cannot_be_shown_is_said(tmp_path, built):
    late = write_run(tmp_path / "late", tiny_models.late(tmp_path / "made"))
    with pytest.raises(InputError, match="late-interaction model"):
        build_space(Space(late, "me/late", DOCUMENTS), tmp_path / "app")
    with pytest.raises(InputError, match="nothing to search"):
        build_space(Space(built / "run", "me/tiny", {}), tmp_path / "app")
    with pytest.raises(InputError, match="5,000 at most"):
        build_space(Space(built / "run", "me/tiny", dict.fromkeys(map(str, range(5001)), "x")), tmp_path / "app")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "app.py").write_text("print()")
    with pytest.raises(InputError, match="did not write"):
        build_space(Space(built / "run", "me/tiny", DOCUMENTS), mine)


def test_a_teacher_in_a_folder_is_tried_here_and_not_offered_to_the_hub(built, tmp_path, capsys, monkeypatch):
    from hf_optical.publishing.provenance import teacher_record

    shutil.copytree(built / "run", tmp_path / "run")
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    results |= {
        "teacher": teacher_record(str(built / "english")),
        "config": {**results["config"], "teacher": "english"},
    }
    (tmp_path / "run" / "results.json").write_text(json.dumps(results))
    (tmp_path / "documents.jsonl").write_text('{"id": "d", "text": "The goat sleeps."}\n')
    monkeypatch.chdir(tmp_path)
    recipe = load_recipe("publish")
    config = recipe.PublishConfig(run="run", space="app", documents="documents.jsonl", repo_id="me/tiny")

    recipe.main(config)
    printed = capsys.readouterr().out
    assert "TEACHER=path/to/your/teacher python" in printed, "the folder is not here"
    assert "hf upload" not in printed and "--teacher_id owner/name" in printed
    assert json.loads((tmp_path / "app" / "space.json").read_text())["teacher"] == "path/to/your/teacher"
    assert "TEACHER=path/to/your/teacher python app.py" in (tmp_path / "app" / "README.md").read_text()

    (tmp_path / "english").mkdir()
    recipe.main(config)
    assert "TEACHER=path/to/your/teacher python" in capsys.readouterr().out, "another folder of that name"
    (tmp_path / "english").rmdir()
    shutil.copytree(built / "english", tmp_path / "english")
    recipe.main(config)
    assert f"TEACHER={tmp_path / 'english'} python" in capsys.readouterr().out
    recipe.main(replace(config, teacher_id="owner/english"))
    assert "hf upload me/tiny-search" in capsys.readouterr().out
    assert json.loads((tmp_path / "app" / "space.json").read_text())["teacher"] == "owner/english"


def test_the_command_builds_it_and_says_how_to_go_on(built, tmp_path, capsys):
    lines = [json.dumps({"id": name, "text": text}) for name, text in DOCUMENTS.items()]
    (tmp_path / "documents.jsonl").write_text("\n".join(lines) + "\n")
    recipe = load_recipe("publish")
    recipe.main(
        recipe.PublishConfig(
            run=str(built / "run"),
            space=str(tmp_path / "app"),
            documents=str(tmp_path / "documents.jsonl"),
            repo_id="me/tiny",
        )
    )
    printed = capsys.readouterr().out
    assert "TEACHER=owner/english python" in printed
    assert "6 documents" in printed and "Nothing was sent" in printed and "hf upload me/tiny-search" in printed
    assert (tmp_path / "app" / "app.py").is_file()
    with pytest.raises(InputError, match="add --documents"):
        recipe.main(recipe.PublishConfig(run=str(built / "run"), space=str(tmp_path / "b"), repo_id="me/tiny"))


@pytest.mark.slow
def test_the_started_app_answers_over_http(built, monkeypatch):
    """``python app.py`` in a process of its own, asked as a browser would: the list and the plan appear."""
    pytest.importorskip("gradio", reason="gradio is not installed: pip install 'hf-optical[space]'")
    from gradio_client import Client

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "MODEL": str(built / "run" / "model"), "TEACHER": str(built / "english")}
    env |= {"GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False"}
    process = subprocess.Popen([sys.executable, "app.py"], cwd=built / "app", env=env)
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                client = Client(f"http://127.0.0.1:{port}", verbose=False)
                break
            except Exception:
                assert process.poll() is None and time.monotonic() < deadline, "the app did not start"
                time.sleep(0.5)
        found, alone, plan, rank = client.predict(QUESTION, api_name="/answer")
        assert 'class="list"' in found and 'class="list"' in alone and 'class="plan"' in plan and rank == 1
        assert "goat" in plan and client.predict(QUESTION, 2, api_name="/picture") != plan
    finally:
        process.terminate()
        process.wait(30)

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest
import tiny_models

from hf_optical.errors import InputError
from hf_optical.places import held, holding_output
from hf_optical.search import QdrantIndex

HOLD = """
import sys, time
from hf_optical.places import held, waited_for
kind, path = sys.argv[1:]
with (held(path) if kind == "held" else waited_for(path, "the cache")):
    print("in", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds a folder, or a lock that is waited for."""
    started = []

    def start(kind, path):
        process = subprocess.Popen([sys.executable, "-c", HOLD, kind, str(path)], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "in\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@dataclass
class Options:
    output_dir: str
    plan: bool = False


def test_the_second_start_says_who_holds_the_folder(tmp_path, holder):
    first = holder("held", tmp_path / "out")
    started = []
    main = holding_output(lambda config: started.append(config))
    with pytest.raises(InputError, match=rf"out: is in use by process {first.pid} on .* since 20.*--output_dir"):
        main(Options(str(tmp_path / "out")))
    assert not started
    main(Options(str(tmp_path / "out"), plan=True))  # writes nothing there
    assert len(started) == 1


def test_a_killed_process_holds_nothing(tmp_path, holder):
    first = holder("held", tmp_path)
    first.send_signal(signal.SIGKILL)
    first.wait()
    with held(tmp_path):
        assert json.loads((tmp_path / ".in_use.json").read_text())["process"] == os.getpid()
    assert not list(tmp_path.iterdir())


def test_an_empty_folder_that_the_lock_made_goes_with_it(tmp_path):
    with pytest.raises(InputError, match="bad"), held(tmp_path / "out"):
        raise InputError("bad", "good")
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").touch()
    with held(tmp_path / "file"):  # its reader says that it is no folder
        pass


def test_of_several_processes_the_first_holds_the_folder_for_all(tmp_path, holder, monkeypatch):
    holder("held", tmp_path)
    monkeypatch.setenv("RANK", "1")
    assert holding_output(lambda config: "ran")(Options(str(tmp_path))) == "ran"


def test_who_waits_says_for_whom(tmp_path, holder, caplog):
    first = holder("waited", tmp_path / "x.lock")
    os.kill(first.pid, signal.SIGSTOP)
    script = (
        "import sys; from hf_optical.places import waited_for as w\nwith w(sys.argv[1], 'the cache'): print('through')"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "x.lock")]
    second = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(0.1)
    os.kill(first.pid, signal.SIGCONT)
    said = second.stderr.readline()
    assert f"the cache is being written by process {first.pid} on" in said and "waiting" in said
    first.kill()
    assert second.communicate(timeout=60)[0] == "through\n"


def test_a_local_index_says_who_has_it_open(tmp_path, holder):
    first = holder("held", tmp_path / "index")
    encoder = tiny_models.dense(tmp_path)
    with pytest.raises(InputError, match=rf"open in another process.*process {first.pid} on .*--location"):
        QdrantIndex(encoder, location=tmp_path / "index")
    first.kill()
    first.wait()
    with QdrantIndex(encoder, location=tmp_path / "index") as index:
        index.add(["a"], ["the goat sleeps"])
    with QdrantIndex(encoder, location=tmp_path / "index") as index:
        assert len(index) == 1

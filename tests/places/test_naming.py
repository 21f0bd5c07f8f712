import pytest

from hf_optical.errors import InputError
from hf_optical.places import distinct_names


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a/model", "b/model"], ["a-model", "b-model"]),
        (["x/a/model", "y/a/model", "b/model"], ["x-a-model", "y-a-model", "b-model"]),
        (["owner/mini", "mini"], ["owner-mini", "mini"]),
        (["a/b-c", "a-b/c"], ["b-c", "c"]),
        (["x/b-c/d", "x-b/c/d", "c/d"], None),
    ],
)
def test_no_two_share_a_name(paths, names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = distinct_names(paths)
    assert len(set(found)) == len(paths)
    assert names is None or found == names


def test_the_same_folder_in_two_spellings_is_given_twice(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    with pytest.raises(InputError, match="given twice"):
        distinct_names(["a", "./a/"], "eval")
    assert distinct_names(["a/.."])[0] == tmp_path.name

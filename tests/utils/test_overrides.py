"""File names in Hydra overrides, and printed commands that can be pasted into a shell."""

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import get_type_hints

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf
from support import ROOT, Compose

from upnet.cli.app import expand_home
from upnet.config.schema import EvaluateSettings, TrainSettings
from upnet.data import SRData
from upnet.utils.overrides import PATH_SETTINGS, format_override, quote_for_shell, quote_path_overrides, upnet_command
from upnet.utils.paths import expand_user

NAMES = [
    *("a b", "a,b", "[x].png", "[x]", "it's.png", 'say "hi".png', "'quoted'", '"quoted"', "a=b", "R&B.png", "C#.png"),
    *("wow!.png", "(1)", "a;b|c>d", "{a: b}", "*?", "café.png", "照片.png", "😀.png", "2024", "1e5", "007", "-3", ".5"),
    *("true", "nan", "$HOME", "A$x_$y.png", "`ls`", "C:\\new\\x", "tail\\", 'a\\"b', " lead", "a\nb", "a\tb", "%20"),
    *("~no-such-user.png", "caf\udce9.png", "a:b", "@x", "+x", "\\\\", "glob(*).png", "[a,b", "a]", "x,[y"),
]
"""File names with a special meaning in Hydra's grammar or in a shell."""
Values = Callable[[Iterable[str]], list[object]]
"""values_of(["input=a", "input=b"]) -> ["a", "b"]: the value that Hydra parses from each override."""
INTERPOLATIONS = ["${x}.png", "\\${x}", "a\\\\${x}\\", "${oc.env:HOME}"]


@pytest.fixture(scope="module")
def values_of(compose: Compose) -> Values:
    def read(overrides: Iterable[str]) -> list[object]:
        # Hydra takes half a second for a config and a few milliseconds for an override.
        renamed = [f"+value{index}={override.partition('=')[2]}" for index, override in enumerate(overrides)]
        config = compose(*renamed, command="evaluate")
        values = [config[f"value{index}"] for index in range(len(renamed))]
        return [OmegaConf.to_object(value) if OmegaConf.is_config(value) else value for value in values]

    return read


@pytest.mark.parametrize("path", ["input", "data.root", "checkpoint", "ckpt", "data.train.hr"])
def test_file_names_are_read_literally(values_of: Values, path: str) -> None:
    """Except quoted names and, where a list is allowed, `[x]`, which is a list."""
    names = [name for name in NAMES if name[0] not in "'\"" and not (PATH_SETTINGS[path] and name == "[x]")]
    words = quote_path_overrides([f"{path}={name}" for name in names])
    assert values_of(words) == names
    assert quote_path_overrides(words) == words, "quoting twice changes nothing"


@pytest.mark.parametrize("word", ["input=it's.png", "checkpoint=[a b,c]", "data.root=2024", "ckpt=R&B.ckpt"])
def test_quoted_overrides_set_their_setting(compose: Compose, word: str) -> None:
    name, _, value = word.partition("=")
    config = compose(*quote_path_overrides([word]), command="train" if name == "ckpt" else "evaluate")
    assert OmegaConf.select(config, name) == (["a b", "c"] if name == "checkpoint" else value)


def test_every_path_setting_exists_and_is_quoted(compose: Compose) -> None:
    """Every entry is a setting of upnet, Hydra, Lightning or a published data set."""
    declared = {f"data.{name}" for name in get_type_hints(SRData.__init__)}
    declared |= {*get_type_hints(TrainSettings), *get_type_hints(EvaluateSettings)}
    declared |= {"data.train.root", "data.train.hr", "data.train.lr", "data.test.root"}
    declared |= {"logger.save_dir", "callbacks.checkpoints.folder", "trainer.default_root_dir"}
    declared |= {"hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir"}
    assert set(PATH_SETTINGS) <= declared
    for path in PATH_SETTINGS:
        assert quote_path_overrides([f"++{path}=it's é,"]) == [f'++{path}="it\'s é,"']


def test_overrides_of_other_settings_are_not_quoted() -> None:
    words = ["optimizer.lr=1e-3", "model.encoder.width=café", "-m", "~ckpt", "ckpt", "trust=[a,b]", "+x=~/y"]
    assert quote_path_overrides(words) == words


LISTS = {
    "checkpoint=null": None,
    "checkpoint=[a,b c, d é.png ]": ["a", "b c", "d é.png"],
    "checkpoint=['a,b',\"c]\",it's]": ["a,b", "c]", "it's"],
    "checkpoint=[]": [],
    "checkpoint=[a[1].png,2024]": ["a[1].png", "2024"],
    "checkpoint='a b'": "a b",
    'checkpoint="null"': "null",
    "checkpoint=${output}": None,
    "checkpoint=${oc.env:UPNET_TEST,x}/é": "x/é",
    "checkpoint=[${oc.env:UPNET_TEST,x},é]": ["x", "é"],
    "input=[a,b]": "[a,b]",
    "input=str(3)": "3",
}
"""Override, unquoted -> its value."""
SWEEPS = {
    "data.root=a,b é,'c,d'": ["a", "b é", "c,d"],
    "data.root=[a,b],[it's]": [["a", "b"], ["it's"]],
    "data.root=choice(a,b)": ["a", "b"],
    "input=x(1),2024": ["x(1)", "2024"],
    "input=x[1,y": ["x[1,y"],
}
"""Override of a multirun, unquoted -> its values."""


def test_lists_quotes_and_interpolations_keep_their_meaning(
    values_of: Values,
) -> None:
    assert dict(zip(LISTS, values_of(quote_path_overrides(list(LISTS))), strict=True)) == LISTS


def test_sweeps_keep_their_values(values_of: Values) -> None:
    for typed, values in SWEEPS.items():
        (word,) = quote_path_overrides([typed], multirun=True)
        override = OverridesParser.create().parse_override(word)
        each = list(override.sweep_string_iterator()) if override.is_sweep_override() else [word.partition("=")[2]]
        assert values_of(f"input={value}" for value in each) == values, typed


def test_home_folder_is_expanded_in_every_path_setting(
    compose: Compose, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for path, is_list in PATH_SETTINGS.items():
        assert quote_path_overrides([f"{path}=~/x"]) == [f"{path}={tmp_path}/x"]
        if is_list:
            assert quote_path_overrides([f"{path}=[~/x,~]"]) == [f"{path}=[{tmp_path}/x,{tmp_path}]"]
    config = compose("data=folder", command="evaluate")  # as in a yaml file
    config.checkpoint, config.data.root, config.input = "~/a", ["~/b", "c"], "~no-such-user.png"
    assert isinstance(config, DictConfig)
    expand_home(config)
    assert config.checkpoint == f"{tmp_path}/a"
    assert list(config.data.root) == [f"{tmp_path}/b", "c"]
    assert config.input == "~no-such-user.png"
    assert expand_user("~/x") == tmp_path / "x"
    assert expand_user("~no-such-user/x") == Path("~no-such-user/x")


def parsed_by_bash(words: list[str]) -> list[str]:
    """The arguments of a program whose command line is pasted into bash."""
    code = "import json, sys; print(json.dumps(sys.argv[1:]))"
    pasted = " ".join([quote_for_shell(sys.executable), "-S", "-c", quote_for_shell(code), *words])
    done = subprocess.run(["bash", "-c", pasted], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_printed_overrides_have_their_values_when_pasted(values_of: Values) -> None:
    texts = [*NAMES, *INTERPOLATIONS, "null", "~", "~/x"]
    # A file whose name begins with ~ is not the home folder.
    expected = [f"./{text}" if text in ("~", "~/x", "~no-such-user.png") else text for text in texts]
    *single, several = parsed_by_bash(
        [*(format_override("input", text) for text in texts), format_override("checkpoint", texts)]
    )
    assert values_of(quote_path_overrides(single)) == expected
    assert values_of(quote_path_overrides([several])) == [expected]


@settings(max_examples=10, deadline=None)
@given(lists=st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)), min_size=5))
def test_any_list_of_texts_is_formatted_and_parsed_back(values_of: Values, lists: list[list[str]]) -> None:
    lists = [[text for text in texts if text.isprintable() and text[0] != "~"] for texts in lists]
    words = [shlex.split(format_override("checkpoint", texts))[0] for texts in lists]
    assert values_of([*words, *quote_path_overrides(words)]) == [*lists, *lists]


def test_numbers_and_null_are_formatted_in_the_grammar_of_hydra() -> None:
    assert [format_override("a", value) for value in (None, True, 3, 0.5, "3")] == [
        "a=null",
        "a=true",
        "a=3",
        "a=0.5",
        "'a=\"3\"'",
    ]
    with pytest.raises(TypeError, match="object"):
        format_override("a", object())


def test_printed_script_path_depends_on_the_current_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    assert upnet_command("evaluate") == "python evaluate.py"
    monkeypatch.chdir(tmp_path)
    assert upnet_command("evaluate") == f"python {quote_for_shell(ROOT / 'evaluate.py')}"


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("C:\\new\\x", "C:\\new\\x"),
        ("a b", '"a b"'),
        ("C:\\My Images\\", '"C:\\My Images\\\\"'),
        ('say "hi"', '"say \\"hi\\""'),
        ("R&B.png", '"R&B.png"'),
        ("it's", '"it\'s"'),
        ("", '""'),
    ],
)
def test_words_are_quoted_for_windows(text: str, quoted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("os.name", "nt")
        word = quote_for_shell(text)
    assert word == quoted


def test_windows_paths_are_read_literally(values_of: Values) -> None:
    paths = ["C:\\images\\Set5", "\\\\server\\share\\Set5", "C:/My Images/x", "D:\\"]
    for setting in ("data.root", "checkpoint", "input"):
        assert values_of(quote_path_overrides([f"{setting}={path}" for path in paths])) == paths

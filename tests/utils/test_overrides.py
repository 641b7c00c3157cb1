"""File names in Hydra overrides, and printed commands that can be pasted into a shell."""

import json
import shlex
import subprocess
import sys
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
"""Names of files that are no plain text by Hydra's grammar, or mean something to a shell."""
OTHERS = ("checkpoint", "ckpt", "data.train.hr")
INTERPOLATIONS = ["${x}.png", "\\${x}", "a\\\\${x}\\", "${oc.env:HOME}"]


def composed(compose: Compose, word: str) -> object:
    name = word.partition("=")[0].lstrip("+")
    command = "train" if name.startswith(("ckpt", "callbacks", "logger", "data.train")) else "evaluate"
    extra = ["data=paired"] if name.startswith("data.train") else []
    return OmegaConf.select(compose(*extra, word, command=command), name)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (path, name)
        for path, names in (("input", NAMES), ("data.root", NAMES), *((path, NAMES[:9]) for path in OTHERS))
        for name in names
        if name[0] not in "'\"" and not (PATH_SETTINGS[path] and name == "[x]")  # these are quotes and a list
    ],
)
def test_a_file_name_arrives_as_it_was_typed(compose: Compose, path: str, name: str) -> None:
    (word,) = quote_path_overrides([f"{path}={name}"])
    assert composed(compose, word) == name
    assert quote_path_overrides([word]) == [word], "a word that is quoted stays as it is"


def test_every_place_where_a_path_can_stand_takes_any_name(compose: Compose) -> None:
    """Every entry of the list is a setting, or one that Hydra, Lightning or a published set has."""
    declared = {f"data.{name}" for name in get_type_hints(SRData.__init__)}
    declared |= {*get_type_hints(TrainSettings), *get_type_hints(EvaluateSettings)}
    declared |= {"data.train.root", "data.train.hr", "data.train.lr", "data.test.root"}
    declared |= {"logger.save_dir", "callbacks.checkpoints.folder", "trainer.default_root_dir"}
    declared |= {"hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir"}
    assert set(PATH_SETTINGS) <= declared
    for path in PATH_SETTINGS:
        assert quote_path_overrides([f"++{path}=it's é,"]) == [f'++{path}="it\'s é,"']


def test_what_is_no_path_is_left_to_hydra() -> None:
    words = ["optimizer.lr=1e-3", "model.encoder.width=café", "-m", "~ckpt", "ckpt", "trust=[a,b]", "+x=~/y"]
    assert quote_path_overrides(words) == words


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("checkpoint=null", None),
        ("checkpoint=[a,b c, d é.png ]", ["a", "b c", "d é.png"]),
        ("checkpoint=['a,b',\"c]\",it's]", ["a,b", "c]", "it's"]),
        ("checkpoint=[]", []),
        ("checkpoint=[a[1].png,2024]", ["a[1].png", "2024"]),
        ("checkpoint='a b'", "a b"),
        ('checkpoint="null"', "null"),
        ("checkpoint=${output}", None),
        ("checkpoint=${oc.env:UPNET_TEST,x}/é", "x/é"),
        ("checkpoint=[${oc.env:UPNET_TEST,x},é]", ["x", "é"]),
        ("input=[a,b]", "[a,b]"),
        ("input=str(3)", "3"),
    ],
)
def test_lists_quotes_and_interpolations_keep_their_meaning(compose: Compose, typed: str, value: object) -> None:
    (word,) = quote_path_overrides([typed])
    assert composed(compose, word) == value


@pytest.mark.parametrize(
    ("typed", "values"),
    [
        ("data.root=a,b é,'c,d'", ["a", "b é", "c,d"]),
        ("data.root=[a,b],[it's]", [["a", "b"], ["it's"]]),
        ("data.root=choice(a,b)", ["a", "b"]),
        ("input=x(1),2024", ["x(1)", "2024"]),
        ("input=x[1,y", ["x[1,y"]),
    ],
)
def test_a_sweep_stays_a_sweep(compose: Compose, typed: str, values: list[object]) -> None:
    (word,) = quote_path_overrides([typed], multirun=True)
    override = OverridesParser.create().parse_override(word)
    key = override.get_key_element()
    each = list(override.sweep_string_iterator()) if override.is_sweep_override() else [word.partition("=")[2]]
    assert [composed(compose, f"{key}={value}") for value in each] == values


def test_home_is_expanded_wherever_a_path_stands(
    compose: Compose, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for path, several in PATH_SETTINGS.items():
        assert quote_path_overrides([f"{path}=~/x"]) == [f"{path}={tmp_path}/x"]
        if several:
            assert quote_path_overrides([f"{path}=[~/x,~]"]) == [f"{path}=[{tmp_path}/x,{tmp_path}]"]
    config = compose("data=folder", command="evaluate")  # as a yaml would have it
    config.checkpoint, config.data.root, config.input = "~/a", ["~/b", "c"], "~no-such-user.png"
    assert isinstance(config, DictConfig)
    expand_home(config)
    assert config.checkpoint == f"{tmp_path}/a"
    assert list(config.data.root) == [f"{tmp_path}/b", "c"]
    assert config.input == "~no-such-user.png"
    assert expand_user("~/x") == tmp_path / "x"
    assert expand_user("~no-such-user/x") == Path("~no-such-user/x")


def through_a_shell(words: list[str]) -> list[str]:
    """What a program gets of words that are pasted."""
    code = "import json, sys; print(json.dumps(sys.argv[1:]))"
    pasted = " ".join([quote_for_shell(sys.executable), "-c", quote_for_shell(code), *words])
    done = subprocess.run(["bash", "-c", pasted], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_printed_settings_set_what_they_say_when_they_are_pasted(compose: Compose) -> None:
    texts = [*NAMES, *INTERPOLATIONS, "null", "~", "~/x"]
    *typed, several = through_a_shell(
        [*(format_override("input", text) for text in texts), format_override("checkpoint", texts)]
    )
    home = {
        text: f"./{text}" for text in ("~", "~/x", "~no-such-user.png")
    }  # folders of that name, and not the home folder
    for text, word in zip(texts, typed, strict=True):
        (quoted,) = quote_path_overrides([word])
        assert composed(compose, quoted) == home.get(text, text), word
    (quoted,) = quote_path_overrides([several])
    assert list(composed(compose, quoted)) == [home.get(text, text) for text in texts]  # pyright: ignore[reportArgumentType]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)))
def test_any_list_of_texts_is_printed_and_read_back(compose: Compose, texts: list[str]) -> None:
    texts = [text for text in texts if text.isprintable() and not text.startswith("~")]
    (word,) = shlex.split(format_override("checkpoint", texts))
    for typed in (word, *quote_path_overrides([word])):
        assert composed(compose, typed) == texts


def test_numbers_and_null_are_printed_by_hydras_grammar() -> None:
    assert [format_override("a", value) for value in (None, True, 3, 0.5, "3")] == [
        "a=null",
        "a=true",
        "a=3",
        "a=0.5",
        "'a=\"3\"'",
    ]
    with pytest.raises(TypeError, match="object"):
        format_override("a", object())


def test_a_script_is_named_as_it_is_seen_from_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
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


@pytest.mark.parametrize("path", ["C:\\images\\Set5", "\\\\server\\share\\Set5", "C:/My Images/x", "D:\\"])
def test_windows_paths_arrive_as_they_were_typed(compose: Compose, path: str) -> None:
    for setting in ("data.root", "checkpoint", "input"):
        (word,) = quote_path_overrides([f"{setting}={path}"])
        assert composed(compose, word) == path

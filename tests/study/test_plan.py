"""Plans of studies: variants, cells and their keys, before any training."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from PIL import Image, ImageOps
from support import CONFIGS, Compose

from upnet.checkpoint.migration import rename_config
from upnet.config import check
from upnet.config.schema import TrainSettings
from upnet.study.design import Design
from upnet.study.plan import Plan, planned_runs, read_plan
from upnet.study.runner import run_study

ARMS = {"nearest": "model/upsampler=nearest", "bilinear": "model/upsampler=bilinear"}


def design(**other: Any) -> Design:
    settings = {"name": "a", "arms": {"x": ["m=1"]}, "reference": "x", "seeds": [0], "factors": {}, "match": "none"}
    return Design(**(settings | other))


@pytest.mark.parametrize(
    ("invalid", "message"),
    [
        ({"arms": {}}, "study.arms=.*at least one arm"),
        ({"reference": "y"}, "study.reference=y: .*Allowed: x"),
        ({"seeds": []}, r"study.seeds=\[\]"),
        ({"seeds": [1, 1]}, r"study.seeds=\[1, 1\].*each only once"),
        ({"factors": {"skip": {}}}, "study.factors.skip.* at least one level"),
        ({"name": "a/b"}, "study.name=a/b: is not a valid name of a folder"),
    ],
)
def test_invalid_designs_are_rejected(invalid: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        design(**invalid)


def test_variants_are_all_combinations_of_arms_and_levels() -> None:
    factors = {"scale": {"x2": ["scale=2"], "x3": ["scale=3"]}, "skip": {"with": ["s=1"], "without": ["s=0"]}}
    variants = design(arms={"x": ["m=1"], "y": ["m=2"]}, factors=factors).variants()
    assert len(variants) == len({variant.label for variant in variants}) == 8
    assert [variant.arm for variant in variants[:2]] == ["x", "y"]
    assert variants[0].overrides == ["m=1", "scale=2", "s=1"]
    assert variants[-1].label == "y, scale=x3, skip=without"
    assert variants[-1].folder_stem(3) == "y-x3-without-seed3"


@pytest.mark.parametrize(
    ("word", "section"), [("m=5", "study.arms.x"), ("s=1", "study.factors.skip"), ("seed=1", "study.seeds")]
)
def test_overrides_of_varied_settings_are_rejected(word: str, section: str) -> None:
    with pytest.raises(ValueError, match=f"{word}: applies to all cells; {section} varies"):
        design(factors={"skip": {"with": ["s=1"]}}).check_overrides(["steps=3", word])


def test_cell_keys_depend_on_settings_seed_and_pixels_only(
    words, plan: Callable[..., Plan], photographs: Path, tmp_path: Path
) -> None:
    planned = plan(words(arms=ARMS, seeds=[0, 1]), tmp_path)
    keys = [cell.key for cell in planned.cells]
    assert len(set(keys)) == 4
    assert [(cell.label, cell.seed) for cell in planned.cells] == [
        ("nearest", 0), ("bilinear", 0), ("nearest", 1), ("bilinear", 1),
    ]  # fmt: skip
    moved = tmp_path / "moved"
    shutil.copytree(photographs, moved)
    elsewhere = words(f"data.root={moved}/train", f"data.val_root={moved}/scene", arms=ARMS, seeds=[0, 1])
    same = [word for word in elsewhere if str(photographs) not in word]
    assert [cell.key for cell in plan(same, tmp_path / "other").cells] == keys
    several = {"same": "optimizer.lr=0.002", "other": "optimizer.lr=0.1", "sharp": "model.residual=none"}
    other = plan(words("model/upsampler=nearest", arms={**several, "grey": "protocol.grey=full"}), tmp_path).cells
    assert [cell.key in keys for cell in other] == [True, False, False, False]
    with Image.open(moved / "train/one.png") as image:
        ImageOps.mirror(image).save(moved / "train/one.png")
    assert not {cell.key for cell in plan(same, tmp_path).cells} & set(keys)


def test_cell_settings_equal_those_of_a_single_training(words, plan, compose: Compose, tmp_path: Path) -> None:
    from upnet.study.expansion import Planner

    overrides = words(arms=ARMS)
    plain: Any = OmegaConf.to_container(compose(*overrides).study, resolve=True)
    planner = Planner(Design.from_config(plain), overrides, tmp_path)
    row = planner.plan().variants[1]
    settings = planner.settings(row, 7, tmp_path / "x")
    alone = compose(*(word for word in overrides if "study" not in word), "model/upsampler=bilinear", "seed=7")
    alone.run_dir = str(tmp_path / "x")
    assert settings == check(alone, TrainSettings)


def test_cells_with_different_numbers_of_steps_are_rejected(words, plan, tmp_path: Path) -> None:
    overrides = [word for word in words(arms={**ARMS, "long": "steps=9"}) if word != "steps=4"]
    with pytest.raises(ValueError, match="all cells of a study have the same steps, but nearest has 1600 and long 9"):
        plan(overrides, tmp_path)


def test_identical_arms_are_rejected(words, plan, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="twin and nearest are the same training"):
        plan(words(arms={**ARMS, "twin": ARMS["nearest"]}), tmp_path)


def test_unknown_settings_of_an_arm_are_rejected_with_its_name(words, plan, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"study: odd: .*model/upsampler/neerest"):
        plan(words(arms={**ARMS, "odd": "model/upsampler=neerest"}), tmp_path)
    with pytest.raises(ValueError, match=r"study: odd: optimizer\.lrr=1: unknown setting"):
        plan(words(arms={**ARMS, "odd": "+optimizer.lrr=1"}), tmp_path)


def test_arm_that_cannot_be_built_is_rejected_before_training(
    words, compose: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = words("model.input=lr", arms={**ARMS, "unpooling": "model/upsampler=max_unpool"})
    with pytest.raises(ValueError, match=r"1 of 3 variants .*unpooling: .*MaxUnpool at the tail requires indices"):
        run_study(compose(*overrides), overrides, tmp_path / "study")
    assert "rejected: unpooling" in capsys.readouterr().out
    assert not (tmp_path / "study").exists()


def test_dry_run_writes_a_plan_and_trains_no_cell(
    words, compose: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = words("study.dry_run=true", '+study.factors.skip.with="model.skip=true"', arms=ARMS)
    run_study(compose(*overrides), overrides, tmp_path)
    printed = " ".join(capsys.readouterr().out.split())
    for part in (
        "2 cells = 2 arms × 1 levels of skip × 1 seeds, 4 steps each",
        "Matching: none",
        "on this machine",
        "nearest, skip=with",
    ):
        assert part in printed, part
    assert not (tmp_path / "cells").exists()
    written = read_plan(tmp_path)
    assert all(one["seconds"]["step"] > 0 for one in written["variants"])
    assert written["variants"][1]["taps"] == {"level 0": [4]}
    assert [path.name.rpartition("-")[0] for path in planned_runs(tmp_path)] == [
        "nearest-with-seed0",
        "bilinear-with-seed0",
    ]
    assert "| bilinear, skip=with |" in (tmp_path / "plan.md").read_text()


@pytest.mark.rotating
@pytest.mark.parametrize("name", sorted(path.stem for path in (CONFIGS / "experiment/study").glob("*.yaml")))
def test_shipped_studies_can_be_planned(
    plan, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("upnet.study.expansion.multiply_adds", lambda net: 0)  # it takes most of the time
    folders = [] if name == "smoke" else [f"data.root={photographs}/train", f"data.val_root={photographs}/scene"]
    planned = plan([f"experiment=study/{name}", "data.patch=8", "study.seeds=[0]", *folders], tmp_path)
    assert not planned.rejections()
    counts = [count for row in planned.variants for counts in row.taps.values() for count in counts]
    assert planned.design.match != "support" or len(set(counts)) == 1


def test_settings_of_single_runs_are_rejected(words, compose: Compose, tmp_path: Path) -> None:
    for word, message in (("ckpt=last", "resumes its cells by itself"), ("trainer=ddp", "one process per GPU")):
        overrides = [one for one in words(word, arms=ARMS) if one != "trainer=cpu"]
        with pytest.raises(ValueError, match=message):
            run_study(compose(*overrides), overrides, tmp_path)


@pytest.mark.parametrize(("regime", "match"), [("N", "none"), ("P", "params"), ("F", "macs"), ("S", "support")])
def test_regime_of_an_older_plan_is_read_as_its_match_mode(regime: str, match: str, tmp_path: Path) -> None:
    plan = {"schema": 1, "study": "old", "regime": regime, "reference": "a", "variants": [], "cells": []}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    content = read_plan(tmp_path)
    assert (content["schema"], content["match"]) == (2, match)
    assert "regime" not in content


def test_cell_trained_before_a_renaming_keeps_its_folder(words, plan, tmp_path: Path) -> None:
    from upnet.study.cells import earlier_names, short_hash
    from upnet.study.expansion import Planner

    overrides = words(arms=ARMS)
    present = plan(overrides, tmp_path)
    planner = Planner(present.design, overrides, tmp_path)
    planner.plan()
    content = planner._key_content(planner.settings(present.variants[0], 0, tmp_path))
    assert content["model"]["encoder"]["_target_"] == "upnet.encoders.MaxPoolEncoder"
    old = earlier_names(content)
    assert old["model"]["encoder"]["_target_"] == "upnet.encoders.Plain"
    assert rename_config(old["model"], "model") == content["model"]
    folder = tmp_path / "cells" / f"nearest-seed0-{short_hash(old)}"
    folder.mkdir(parents=True)
    again = plan(overrides, tmp_path)
    assert again.cells[0].folder == folder
    assert again.cells[1] == present.cells[1]

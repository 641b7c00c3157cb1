"""A report stands by itself, says what study.json says in every form, and lets no name out of its place."""

import csv
import json
import os
import re
import warnings
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from support import Compose

from upnet.checkpoint import describe, loading
from upnet.config import build
from upnet.data import Folder, build_store
from upnet.study.finished_runs import read_study
from upnet.study.report import assemble as assemble_module
from upnet.study.report import assemble_report, draw_details, svg, write_report
from upnet.study.report.arms import reported_study
from upnet.study.report.commentary import study_limitations, untrained_arms
from upnet.study.report.comparisons import compare_with_reference, image_differences
from upnet.study.report.curves import Curve
from upnet.study.report.plots import cost_scatter, learning_curves, strip_plot
from upnet.study.report.sections import dataset_section
from upnet.study.report.tables import Cell, Table, to_csv, to_latex, to_markdown
from upnet.study.run_table import study_content

NASTY = "<b>50% & $x_1$</b>"


@pytest.fixture
def study(compose: Compose, pictures: Path, tmp_path: Path):
    """A study of two arms and two seeds, scored on three pictures; the second arm is better by 1 dB and a little."""
    from torch.utils.tensorboard.writer import SummaryWriter

    store = build_store(Folder(str(pictures)), 2, str(tmp_path / "cache"))
    for number, (upsampler, seed) in enumerate((u, s) for u in ("transposed", "nearest") for s in (0, 1)):
        torch.manual_seed(seed)
        config = compose("model.encoder.width=2", "model.encoder.depth=1", f"model/upsampler={upsampler}").model
        net, model = build(config), OmegaConf.to_container(config, resolve=True)
        assert isinstance(model, dict)
        folder = tmp_path / "study" / f"{number}-run"
        (folder / "config").mkdir(parents=True)
        (folder / "config/hydra.yaml").touch()
        (folder / "checkpoints").mkdir()
        told = _results(store.names, store.digest, 30.0 + (upsampler == "nearest"), seed)
        told |= {"model": model, "parameters": sum(one.numel() for one in net.parameters()), "val_root": str(pictures)}
        (folder / "results.json").write_text(json.dumps(told))
        plain = {str(key): value for key, value in model.items()}
        state = {f"ema.net.{key}": value for key, value in net.state_dict().items()}
        torch.save({"upnet": describe(plain, {}, 2, 1), "state_dict": state}, folder / "checkpoints/last.ckpt")
        with SummaryWriter(str(folder / "tensorboard")) as writer:
            for step in (1, 2, 3):
                writer.add_scalar("pictures/psnr", 28.0 + step + seed / 10, step)
    return tmp_path / "study", {"pictures": store}


def _results(names: list[str], digest: str, psnr: float, seed: int) -> dict[str, Any]:
    baseline = {"psnr": 28.0, "ssim": 0.8}
    images = {
        name: {"psnr": psnr + seed / 100 + place / 10, "ssim": 0.9, "baseline": baseline}
        for place, name in enumerate(names)
    }
    mean = sum(one["psnr"] for one in images.values()) / len(images)
    one = {"psnr": mean, "ssim": 0.9, "pictures": digest, "images": images, "baseline": {"name": "bicubic", **baseline}}
    return {
        "schema": 1,
        "protocol": {"name": "rgb8", "scale": 2, "channel": "y", "crop": 2},
        "datasets": {"pictures": one},
        "settings": {"steps": 3, "note": NASTY, "seed": seed},
        "seed": seed,
        "scale": 2,
        "step": 3,
        "minutes": 1.0,
    }


def _plan(folder: Path, reference: str, failed: str | None = None) -> None:
    """Turn a multirun into the study of a plan, whose arms have names of their own."""
    arms = [NASTY, "plain"]
    cells = [
        {"number": n, "key": "k", "folder": f"{n}-run", "arm": arms[n // 2], "levels": {}, "seed": n % 2}
        for n in range(4)
    ]
    variants: list[dict[str, Any]] = [{"arm": arm, "levels": {}, "changes": {}, "refused": None} for arm in arms]
    if failed is not None:
        variants.append({"arm": "wide", "levels": {}, "changes": {}, "refused": None})
        cells.append({"number": 4, "key": "k", "folder": "4-run", "arm": "wide", "levels": {}, "seed": 0})
        (folder / "4-run").mkdir()
        (folder / "4-run/failed.json").write_text(json.dumps({"reason": failed}))
    told = {"schema": 2, "study": "mine", "match": "params", "reference": reference}
    told |= {"variants": variants, "cells": cells}
    (folder / "plan.json").write_text(json.dumps({**told, "overrides": ["+study=mine"]}))


class _Page(HTMLParser):
    """What a page refers to, the tags it has, and the tables in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "srcset", "data", "action", "poster") and tag != "a":
                self.references.append(value or "")
            if name == "id":
                self.ids.append(value or "")


@pytest.fixture
def written(study: tuple[Path, dict]) -> Path:
    folder, stores = study
    _plan(folder, "plain", failed="no <memory> left")
    write_report(assemble_report(folder, *read_study(folder), stores), folder)
    return folder


def test_a_page_needs_nothing_beside_it_and_names_stay_text(written: Path) -> None:
    text = (written / "report.html").read_text(encoding="utf-8")
    page = _Page(text)
    assert all(one.startswith(("data:image/png;base64,", "#")) for one in page.references)
    assert not {"script", "link", "iframe", "object", "b50%"} & set(page.tags)
    assert not re.search(r"@import|url\((?!#)", text)
    assert len(set(page.ids)) == len(page.ids)
    assert NASTY not in text
    assert "&lt;b&gt;50% &amp; $x_1$&lt;/b&gt;" in text
    assert "failed: no &lt;memory&gt; left" in text
    local = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    assert local <= set(page.ids)


def test_every_form_of_the_main_table_agrees_with_study_json(written: Path) -> None:
    rows = study_content(read_study(written)[0])["datasets"]["pictures"]
    with (written / "report/main-pictures.csv").open(encoding="utf-8") as file:
        table = {row["PSNR in dB"]: row for row in csv.DictReader(file)}
    assert {float(psnr) for psnr in table} == {row["psnr"] for row in rows}
    for row in rows:
        own = table[str(row["psnr"])]
        assert (int(own["parameters"]), int(own["multiply-adds"])) == (row["parameters"], row["multiply_adds"])
        assert float(own["SSIM"]) == row["ssim"]
        for name in ("report.md", "report.tex", "report.html"):
            assert f"{row['psnr']:.3f}" in (written / name).read_text(encoding="utf-8"), name


def test_latex_is_balanced_and_has_no_bare_special_character(written: Path) -> None:
    text = (written / "report.tex").read_text(encoding="utf-8")
    for environment in ("table", "tabular"):
        assert text.count(rf"\begin{{{environment}}}") == text.count(rf"\end{{{environment}}}") > 0
    bare = re.sub(r"\\[&%$#_{}\\]", "", text)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    for block in re.findall(r"\\begin\{tabular\}\{([rl]+)\}(.*?)\\end\{tabular\}", text, flags=re.DOTALL):
        lines = [line for line in re.sub(r"\\[&%$#_{}]", "", block[1]).splitlines() if line.endswith(r"\\")]
        assert {line.count("&") for line in lines} == {len(block[0]) - 1}
    assert r"\textless{}b\textgreater{}50\% \& \$x\_1\$" in text


def test_the_plan_names_arms_and_reference_and_a_multirun_takes_the_transposed_one(study: tuple[Path, dict]) -> None:
    folder, _ = study
    arms, unfinished = read_study(folder)
    assert reported_study(folder, arms, unfinished).reference == "Transposed"
    _plan(folder, "plain")
    told = reported_study(folder, arms, unfinished)
    assert [(entry.name, entry.is_reference) for entry in told.entries] == [(NASTY, False), ("plain", True)]
    assert (told.reference, told.match) == ("plain", "params")


def test_what_is_missing_is_told_once_per_arm_and_fate(study: tuple[Path, dict]) -> None:
    folder, _ = study
    _plan(folder, "plain", failed="no memory left")
    plan = json.loads((folder / "plan.json").read_text())
    plan["cells"] += [{**plan["cells"][-1], "folder": f"{n}-run", "seed": n} for n in (5, 6)]
    (folder / "plan.json").write_text(json.dumps(plan))
    assert reported_study(folder, read_study(folder)[0], []).missing == [
        "wide, seed 0: failed: no memory left",
        "wide, seeds 5, 6: not finished",
    ]


def test_no_two_of_twenty_arms_are_drawn_alike() -> None:
    curves = {f"arm{n}": Curve(np.arange(2), *[np.full(2, 30.0 + n)] * 3, seeds=1) for n in range(20)}
    svg = learning_curves(curves, list(curves), "pictures")
    legend = svg[svg.index('id="legend_1"') :]
    # By arm, what stands in its line of the legend: colour, dashes, and whether the marker is filled.
    looks = [
        re.sub(r'xlink:href|href="[^"]*"|[xy]="[^"]*"|d="[^"]*"', "", one) for one in legend.split('<g id="line2d')
    ]
    styles = {" ".join(re.findall(r'style="[^"]*"', look)) for look in looks[1:]}
    assert len(styles) == 20


def test_differences_are_those_of_the_scores(study: tuple[Path, dict]) -> None:
    told = reported_study(study[0], *read_study(study[0]))
    found = compare_with_reference(told, "pictures").by_arm["Nearest"]
    assert found.difference == pytest.approx(1.0)
    assert found.verdict == "better"
    assert list(image_differences(told, "pictures")["Nearest"].values()) == pytest.approx([1.0] * 3)


def test_the_statistics_are_over_the_pictures_of_the_means_and_an_exact_output_counts(
    study: tuple[Path, dict],
) -> None:
    folder, _ = study
    for path in folder.glob("*/results.json"):
        told = json.loads(path.read_text())
        images = told["datasets"]["pictures"]["images"]
        images["picture0"] |= {"psnr": 64.0, "baseline": {"psnr": "inf", "ssim": 1.0}}
        if path.parent.name == "2-run":
            images["picture1"]["psnr"] = "inf"
        path.write_text(json.dumps(told))
    arms, unfinished = read_study(folder)
    told = reported_study(folder, arms, unfinished)
    found = compare_with_reference(told, "pictures").by_arm["Nearest"]
    assert found.images == 2
    assert found.difference == pytest.approx((100.0 - 30.1 + 3 * 1.0) / 4)
    differences = image_differences(told, "pictures")["Nearest"]
    assert differences == pytest.approx({"picture1": (100.0 - 30.1 + 1.0) / 2, "picture2": 1.0})
    assert np.mean(list(differences.values())) == pytest.approx(found.difference)
    means = {row["arm"]: row["psnr"] for row in study_content(arms)["datasets"]["pictures"]}
    assert means["Nearest"] - means["Transposed"] == pytest.approx(found.difference)
    said = dataset_section(told, "pictures", dict.fromkeys(means, "–"), dict.fromkeys(means, 1.0), "")
    assert any("bicubic equals the target: picture0." in sentence for sentence in said.limits)
    assert any("an output of Nearest equals the target: picture1." in note for note in said.table.notes)


def test_runs_that_learnt_nothing_are_told(study: tuple[Path, dict]) -> None:
    folder, _ = study
    assert not untrained_arms(reported_study(folder, *read_study(folder)), "pictures")
    for run in (folder / "0-run", folder / "2-run", folder / "3-run"):
        told = json.loads((run / "results.json").read_text())
        for one in told["datasets"]["pictures"]["images"].values():
            one["psnr"] = one["baseline"]["psnr"] + 0.005
        (run / "results.json").write_text(json.dumps(told))
    (sentence,) = untrained_arms(reported_study(folder, *read_study(folder)), "pictures")
    assert "Transposed (1 of 2 runs)" in sentence
    assert "Nearest (2 of 2 runs)" in sentence
    assert "within 0.01 dB of bicubic" in sentence


def test_the_limitations_name_the_training_settings_in_which_arms_differ(study: tuple[Path, dict]) -> None:
    folder, _ = study
    limits = study_limitations(reported_study(folder, *read_study(folder)))
    assert any("3 steps with the same training settings" in sentence for sentence in limits)
    for run in (folder / "0-run", folder / "1-run"):
        content = json.loads((run / "results.json").read_text())
        content["settings"]["optimizer"] = {"lr": 0.1}
        (run / "results.json").write_text(json.dumps(content))
    limits = study_limitations(reported_study(folder, *read_study(folder)))
    assert any("3 steps and differ in optimizer.lr." in sentence for sentence in limits)


def test_without_its_pictures_a_study_is_reported_and_says_so(study: tuple[Path, dict]) -> None:
    report = assemble_report(study[0], *read_study(study[0]), stores={})
    assert not report.details
    assert any("not on this machine" in sentence for sentence in report.missing)
    assert report.sections[0].findings


def test_a_row_of_csv_gives_back_the_value_and_markdown_keeps_its_columns() -> None:
    table = Table("t", "a|b", ["name", "x"], [[Cell('q,"|'), Cell("1.2", 1.23456)]], frozenset({1}))
    assert list(csv.reader(to_csv(table).splitlines()))[1] == ['q,"|', "1.23456"]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in to_markdown(table).splitlines()[2:]} == {3}
    assert to_latex(table).count("&") == 2


def test_no_name_becomes_a_script_and_no_link_is_written_through(study: tuple[Path, dict], tmp_path: Path) -> None:
    """A study folder from a stranger, whose names break out of every place, and whose links lead elsewhere."""
    folder, _ = study
    _plan(folder, "plain", failed="--><script>alert(1)</script>")
    evil = "\"'></title></svg></style>--><script>alert(1)</script><img src=x onerror=alert(1)>]]>"
    for path in (folder / "plan.json", *folder.glob("*/results.json")):
        text = (
            path.read_text()
            .replace(json.dumps(NASTY), json.dumps(evil))
            .replace('"pictures": {', f"{json.dumps(evil)}: {{")
        )
        path.write_text(text.replace('"mine"', json.dumps(evil)))
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for name in ("report.html.part", "report.md", "report.tex.part"):
        (folder / name).symlink_to(victim)
    arms, unfinished = read_study(folder)
    report = assemble_report(folder, arms, unfinished, {})
    write_report(report, folder)
    page = _Page((folder / "report.html").read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert page.tags.count("title") == 1
    assert all(one.startswith(("data:image/png;base64,", "#")) for one in page.references)
    for plot in (folder / "report").glob("*.svg"):
        assert "script" not in _Page(plot.read_text(encoding="utf-8")).tags
    assert {path.parent for path in folder.rglob("*main*")} == {folder / "report"}
    assert victim.read_text() == "precious"

    (tmp_path / "own").mkdir()
    (tmp_path / "own/a.csv").write_text("precious")
    for path in (folder / "report").iterdir():
        path.unlink()
    (folder / "report").rmdir()
    (folder / "report").symlink_to(tmp_path / "own")
    with pytest.raises(ValueError, match="leads out of"):
        write_report(report, folder)
    assert (tmp_path / "own/a.csv").read_text() == "precious"


NAMES = {b"caf\xe9": "caf\\xe9", b"A$x_$y": "A$x_$y", "照片".encode(): "照片"}
"""Names of files, and how they are shown."""


@pytest.fixture
def named(pictures: Path) -> None:
    """Call the study's pictures by such names."""
    for file, name in zip(sorted(pictures.iterdir()), NAMES, strict=True):
        try:
            file.rename(os.fsdecode(os.fsencode(pictures) + b"/" + name + b".png"))
        except OSError as fault:
            pytest.skip(f"a file can't be called {name!r} here: {fault.strerror}")


@pytest.mark.usefixtures("named")
def test_names_of_pictures_are_text_in_every_form(request: pytest.FixtureRequest) -> None:
    folder, stores = request.getfixturevalue("study")
    arms, unfinished = read_study(folder)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*(Glyph|glyph|findfont).*")
        draw_details(arms, stores, folder / "comparison.png")
        write_report(assemble_report(folder, arms, unfinished, stores), folder)
    assert (folder / "comparison.png").stat().st_size > 0
    with (folder / "report/pictures-pictures.csv").open(encoding="utf-8") as file:
        assert {row["image"] for row in csv.DictReader(file)} == {*NAMES.values(), "mean"}
    forms = {
        "report.html": ("caf\\xe9", "A$x_$y", "照片"),
        "report.md": ("caf\\\\xe9", "A\\$x\\_\\$y", "照片"),
        "report.tex": (r"caf\textbackslash{}xe9", r"A\$x\_\$y", "照片"),
    }
    for form, names in forms.items():
        text = (folder / form).read_text(encoding="utf-8")
        for name in names:
            assert name in text, (form, name)


def test_names_of_arms_and_sets_are_text_in_plots(study: tuple[Path, dict]) -> None:
    """In no formula, in every legend, and without a warning of matplotlib's."""
    curves = {name: Curve(np.arange(2), *[np.full(2, 30.0)] * 3, seeds=1) for name in ("$x_$", "照片", "😀", "_a")}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg = learning_curves(curves, list(curves), "A$x_$y 照片")
        strip_plot({name: {"one": 1.0} for name in curves}, list(curves), "照片")
    legend = svg[svg.index('id="legend_1"') :]
    assert legend.count('<g id="text_') == len(curves)


def test_no_formula_stands_at_an_axis() -> None:
    points = [{"name": f"{ms}", "psnr": 30.0, "psnr_sd": 0.1, "parameters": 5, "latency": ms} for ms in (0.5, 20.0)]
    assert "mathdefault" not in cost_scatter(points, ["0.5", "20.0"], "latency", "latency in ms", "Set5")


def test_a_plot_or_image_that_fails_loses_no_table(
    study: tuple[Path, dict], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*arguments: object, **settings: object) -> None:
        raise RuntimeError("out of fonts")

    folder, stores = study
    write_report(assemble_report(folder, *read_study(folder), stores), folder)
    whole = (folder / "report/main-pictures.csv").read_text().replace("latency", "")
    monkeypatch.setattr(svg, "apply_fallback_fonts", broken)
    for name in ("diagnostics_section", "detail_views"):
        monkeypatch.setattr(assemble_module, name, broken)
    write_report(assemble_report(folder, *read_study(folder), stores), folder)
    assert not list((folder / "report").glob("*.svg"))
    assert {path.name for path in (folder / "report").iterdir()} >= {"main-pictures.csv", "pictures-pictures.csv"}
    columns = [
        [row[:-1] for row in csv.reader(text.splitlines())]
        for text in (whole, (folder / "report/main-pictures.csv").read_text())
    ]  # the last column is measured time
    assert columns[0] == columns[1]
    told = {record.getMessage().partition(" could")[0] for record in caplog.records}
    assert {"the report's diagnostics", "the report's image details"} < told
    assert {f"the report's plot {name}-pictures" for name in ("forest", "pictures", "learning", "latency")} < told


def test_a_data_set_with_a_long_name_has_files(study: tuple[Path, dict]) -> None:
    folder, _ = study
    name = "片" * 80
    for path in folder.glob("*/results.json"):
        path.write_text(path.read_text().replace('"pictures": {', f'"{name}": {{'), encoding="utf-8")
    write_report(assemble_report(folder, *read_study(folder), {}), folder)
    assert any(path.name.startswith("main-片") for path in (folder / "report").iterdir())


def test_a_report_reads_every_checkpoint_once(study: tuple[Path, dict], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, stores = study
    reads: list[Path] = []
    original = loading.read_torch_file

    def counted(path: Path, *arguments: Any) -> Any:
        reads.append(path)
        return original(path, *arguments)

    monkeypatch.setattr(loading, "read_torch_file", counted)
    arms, unfinished = read_study(folder)
    draw_details(arms, stores, folder / "comparison.png")
    write_report(assemble_report(folder, arms, unfinished, stores), folder)
    assert sorted(reads) == sorted(arm.runs[0].checkpoint for arm in arms)


def test_a_study_whose_runs_name_renamed_components_is_reported(study: tuple[Path, dict]) -> None:
    folder, _ = study
    for path in folder.glob("*/results.json"):
        text = path.read_text()
        assert "upnet.encoders.MaxPoolEncoder" in text
        path.write_text(text.replace("upnet.encoders.MaxPoolEncoder", "upnet.encoders.Plain"))
    arms, _ = read_study(folder)
    assert {arm.runs[0].results["model"]["encoder"]["_target_"] for arm in arms} == {"upnet.encoders.MaxPoolEncoder"}

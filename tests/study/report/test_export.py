"""The files of a report: all forms agree, no other file is needed, and names are shown as text."""

import csv
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from reported_study import IMAGE_NAMES, SPECIAL_NAME, Rendered, Study

from upnet.study.finished_runs import read_study
from upnet.study.report import assemble as assemble_module
from upnet.study.report import assemble_report, svg, write_report
from upnet.study.run_table import study_content
from upnet.utils.errors import UserError


class _Page(HTMLParser):
    """The tags of a page, their ids, and the files it refers to."""

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


def test_page_is_self_contained_and_names_are_escaped(rendered: Rendered) -> None:
    text = (rendered.folder / "report.html").read_text(encoding="utf-8")
    page = _Page(text)
    assert all(one.startswith(("data:image/png;base64,", "#")) for one in page.references)
    assert not {"script", "link", "iframe", "object", "b50%"} & set(page.tags)
    assert not re.search(r"@import|url\((?!#)", text)
    assert len(set(page.ids)) == len(page.ids)
    assert SPECIAL_NAME not in text
    assert "&lt;b&gt;50% &amp; $x_1$&lt;/b&gt;" in text
    assert "failed: no &lt;memory&gt; left" in text
    local = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    assert local <= set(page.ids)


def test_main_table_agrees_with_the_study_in_every_form(rendered: Rendered) -> None:
    rows = study_content(read_study(rendered.folder)[0])["datasets"]["images"]
    with (rendered.folder / "report/main-images.csv").open(encoding="utf-8") as file:
        table = {row["PSNR in dB"]: row for row in csv.DictReader(file)}
    assert {float(psnr) for psnr in table} == {row["psnr"] for row in rows}
    for row in rows:
        cells = table[str(row["psnr"])]
        assert (int(cells["parameters"]), int(cells["multiply-adds"])) == (row["parameters"], row["multiply_adds"])
        assert float(cells["SSIM"]) == row["ssim"]
        for name in ("report.md", "report.tex", "report.html"):
            assert f"{row['psnr']:.3f}" in (rendered.folder / name).read_text(encoding="utf-8"), name


def test_latex_is_balanced_and_special_characters_are_escaped(rendered: Rendered) -> None:
    text = (rendered.folder / "report.tex").read_text(encoding="utf-8")
    for environment in ("table", "tabular"):
        assert text.count(rf"\begin{{{environment}}}") == text.count(rf"\end{{{environment}}}") > 0
    bare = re.sub(r"\\[&%$#_{}\\]", "", text)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    for block in re.findall(r"\\begin\{tabular\}\{([rl]+)\}(.*?)\\end\{tabular\}", text, flags=re.DOTALL):
        lines = [line for line in re.sub(r"\\[&%$#_{}]", "", block[1]).splitlines() if line.endswith(r"\\")]
        assert {line.count("&") for line in lines} == {len(block[0]) - 1}
    assert r"\textless{}b\textgreater{}50\% \& \$x\_1\$" in text


def test_image_names_are_text_in_every_form(rendered: Rendered, evaluated_images: Path) -> None:
    """Matplotlib has a glyph for each of them: the fixture turns its warnings into errors."""
    if {os.fsencode(path.stem) for path in evaluated_images.iterdir()} != set(IMAGE_NAMES):
        pytest.skip("the file system does not allow these names")
    assert (rendered.folder / "comparison.png").stat().st_size > 0
    with (rendered.folder / "report/pictures-images.csv").open(encoding="utf-8") as file:
        assert {row["image"] for row in csv.DictReader(file)} == {*IMAGE_NAMES.values(), "mean"}
    forms = {
        "report.html": ("caf\\xe9", "A$x_$y", "照片"),
        "report.md": ("caf\\\\xe9", "A\\$x\\_\\$y", "照片"),
        "report.tex": (r"caf\textbackslash{}xe9", r"A\$x\_\$y", "照片"),
    }
    for form, names in forms.items():
        text = (rendered.folder / form).read_text(encoding="utf-8")
        for name in names:
            assert name in text, (form, name)


def test_every_checkpoint_is_read_once(rendered: Rendered) -> None:
    assert sorted(rendered.reads) == sorted(rendered.checkpoints)


def test_names_cannot_inject_scripts_and_links_are_not_followed(study: Study, tmp_path: Path) -> None:
    """An untrusted study folder, whose names break out of every context and whose links lead out of it."""
    folder = study.folder
    study.write_plan(failure="--><script>alert(1)</script>")
    evil = "\"'></title></svg></style>--><script>alert(1)</script><img src=x onerror=alert(1)>]]>"
    for path in (folder / "plan.json", *folder.glob("*/results.json")):
        text = path.read_text().replace(json.dumps(SPECIAL_NAME), json.dumps(evil))
        text = text.replace('"mine"', json.dumps(evil))
        path.write_text(text.replace('"datasets": {"images": {', f'"datasets": {{{json.dumps(evil)}: {{'))
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for name in ("report.html.part", "report.md", "report.tex.part"):
        (folder / name).symlink_to(victim)
    report = assemble_report(folder, *read_study(folder), {})
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
    with pytest.raises(UserError) as error:
        write_report(report, folder)
    assert error.value.problem == f"{folder / 'report'} leads out of {folder}"
    assert (tmp_path / "own/a.csv").read_text() == "precious"


def test_failing_plots_and_images_leave_the_tables_complete(
    study: Study, rendered: Rendered, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*arguments: object, **settings: object) -> None:
        raise RuntimeError("out of fonts")

    study.write_plan(failure="no <memory> left")
    monkeypatch.setattr(svg, "apply_fallback_fonts", fail)
    for name in ("diagnostics_section", "detail_views"):
        monkeypatch.setattr(assemble_module, name, fail)
    write_report(assemble_report(study.folder, *read_study(study.folder), study.stores), study.folder)
    assert not list((study.folder / "report").glob("*.svg"))
    assert {path.name for path in (study.folder / "report").iterdir()} >= {"main-images.csv", "pictures-images.csv"}
    tables = [folder / "report/main-images.csv" for folder in (rendered.folder, study.folder)]
    rows = [[row[:-1] for row in csv.reader(path.read_text().splitlines())] for path in tables]
    assert rows[0] == rows[1]  # the last column is measured time
    failed = {record.getMessage().partition(" could")[0] for record in caplog.records}
    assert {"the report's diagnostics", "the report's image details"} < failed
    assert {f"the report's plot {name}-images" for name in ("forest", "pictures", "learning", "latency")} < failed


def test_long_dataset_names_are_shortened_in_file_names(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    def rename(content: dict[str, Any]) -> None:
        content["datasets"] = {"片" * 80: content["datasets"]["images"]}

    study.change_results(rename)
    monkeypatch.setattr(svg, "_to_svg", lambda figure, label: "<svg></svg>")
    write_report(assemble_report(study.folder, *read_study(study.folder), {}), study.folder)
    assert any(path.name.startswith("main-片") for path in (study.folder / "report").iterdir())

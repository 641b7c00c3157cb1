"""Training from a config: files, results, reproducibility and validation."""

import json
from pathlib import Path

import pytest
import torch
from support import Compose, same, scalars, state

from upnet.checkpoint import load_network
from upnet.training import runner, train


@pytest.mark.parametrize("comparison_image", [True])
def test_a_run_writes_its_documented_files_results_and_scalars(tiny, tmp_path: Path) -> None:
    content = train(tiny())
    run, last = tmp_path / "run", tmp_path / "run/checkpoints/last.ckpt"
    for name in ("config.yaml", "versions.json", "comparison.png", "checkpoints/last.ckpt", "checkpoints/best.ckpt"):
        assert (run / name).stat().st_size > 0, name
    written = json.loads((run / "results.json").read_text())
    assert written == json.loads(json.dumps(content))
    dataset = written["datasets"]["validation"]
    assert set(dataset) >= {"psnr", "ssim", "baseline", "images"}
    assert set(dataset["baseline"]) == {"name", "psnr", "ssim"}
    assert set(dataset["images"]) == {"scene"}
    assert written["protocol"]["name"] == "rgb8"
    logged = scalars(run / "tensorboard")
    assert [step for step, _ in logged["train/loss"]] == [2, 4, 6]
    for tag in ("train/learning_rate", "train/gradient_norm", "train/images_per_second", "train/data_share"):
        assert len(logged[tag]) == 3, tag
    assert all(0 < share < 1 for _, share in logged["train/data_share"])
    for tag in ("psnr", "ssim", "psnr_raw", "ssim_raw"):
        assert [step for step, _ in logged[f"validation/{tag}"]] == [3, 6], tag
    assert logged["validation/psnr"][-1][1] == pytest.approx(dataset["psnr"], abs=1e-4)
    (best,) = [kept["best_model_score"] for kept in state(last)["callbacks"].values() if "best_model_score" in kept]
    assert float(best) == pytest.approx(max(score for _, score in logged["validation/psnr"]), abs=1e-4)


def test_equal_seeds_give_equal_weights_and_other_seeds_do_not(tiny, tmp_path: Path) -> None:
    for run, seed in (("a", 5), ("b", 5), ("c", 6)):
        train(tiny("steps=2", "validations=1", f"seed={seed}", run=run))
    a, b, c = (state(tmp_path / run / "checkpoints/last.ckpt")["state_dict"] for run in "abc")
    assert same(a, b)
    assert not same(a, c)


def test_copy_check_sets_the_time_limit_of_the_leakage_search(tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds: list[float | None] = []
    monkeypatch.setattr(runner, "warn_of_leakage", lambda train, sets, limit: seconds.append(limit))
    for run, value in (("a", "60"), ("b", "0"), ("c", "null")):
        train(tiny("steps=1", "validations=1", f"data.copy_check={value}", run=run))
    assert seconds == [60, 0, None]


@pytest.mark.full
def test_deterministic_mode_trains_every_operator(tiny, compose: Compose) -> None:
    from support import CONFIGS

    for operator in sorted(path.stem for path in (CONFIGS / "model/upsampler").glob("*.yaml")):
        settings = ("trainer.deterministic=true", f"model/upsampler={operator}", "steps=1", "validations=1")
        try:
            train(tiny(*settings, run=operator))
        finally:
            torch.use_deterministic_algorithms(False)


def test_the_last_step_is_validated_and_saved_also_outside_the_interval(tiny, tmp_path: Path) -> None:
    content = train(tiny("steps=7", "validations=3"))
    assert load_network(tmp_path / "run/checkpoints/last.ckpt").step == content["step"] == 7
    assert [step for step, _ in scalars(tmp_path / "run/tensorboard")["validation/psnr"]] == [3, 6, 7]


def test_y_float_computes_the_baseline_from_luma_input(tiny) -> None:
    small = ("model.channels=1", "protocol.name=y-float", "steps=1", "validations=1")
    content = train(tiny(*small))
    assert content["protocol"]["lr"].startswith("float Y")
    from upnet.data import build_store, open_sources
    from upnet.metrics import EvaluationProtocol, bicubic, mean

    (store,) = (build_store(source, 2) for source in open_sources(content["val_root"], 2).values())
    protocol = EvaluationProtocol(name="y-float")
    scores = []
    for index in range(len(store)):
        hr = torch.from_numpy(store.hr(index).copy()).movedim(-1, 0)
        low, target = protocol.degrade(hr, 2)
        scores.append(protocol.evaluate(bicubic(low, 2), target, 2))
    assert content["datasets"]["validation"]["baseline"]["psnr"] == pytest.approx(mean(scores).psnr, abs=1e-5)


def test_the_documented_list_of_operators_trains(tiny, compose: Compose) -> None:
    """The config is the YAML example of docs/howto/own_network.md."""
    import re

    from support import CONFIGS, ROOT

    page = (ROOT / "docs/howto/own_network.md").read_text(encoding="utf-8")
    yaml = re.search(r"```yaml\n(# @package _global_\n.*?)```", page, re.DOTALL)
    assert yaml is not None
    path = CONFIGS / "experiment/_readme_example.yaml"
    path.write_text(yaml[1])
    try:
        content = train(tiny("experiment=_readme_example", "steps=1", "validations=1"))
    finally:
        path.unlink()
    assert [node["_target_"].rsplit(".", 1)[-1] for node in content["model"]["upsampler"]] == [
        "MaxUnpool",
        "Transposed",
    ]


def test_a_checkpoint_contains_only_the_network_and_its_average(tiny, tmp_path: Path) -> None:
    train(tiny("steps=1", "validations=1"))
    keys = state(tmp_path / "run/checkpoints/last.ckpt")["state_dict"].keys()
    assert {key.split(".")[0] for key in keys} == {"net", "ema"}


def test_an_external_operator_trains_and_its_checkpoint_requires_trust(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_operators.py").write_text(
        "import torch.nn.functional as F\n"
        "from upnet.upsample import Upsampler\n\n\n"
        "class Doubled(Upsampler):\n"
        "    def expand(self, x, site):\n"
        "        return x.repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    train(tiny("model.upsampler._target_=my_operators.Doubled", "steps=1", "validations=1"))
    checkpoint = tmp_path / "run/checkpoints/last.ckpt"
    with pytest.raises(ValueError, match="trust=my_operators"):
        load_network(checkpoint)
    loaded = load_network(checkpoint, trust=["my_operators"])
    assert type(loaded.net.decoder.levels["0"].upsampler).__name__ == "Doubled"  # pyright: ignore[reportOptionalMemberAccess]


@pytest.mark.gpu
def test_a_checkpoint_of_a_gpu_has_the_same_scores_on_the_cpu(tiny, tmp_path: Path) -> None:
    from upnet.data import build_store, open_sources
    from upnet.evaluation.scoring import evaluate_network
    from upnet.metrics import EvaluationProtocol

    content = train(tiny("trainer=gpu"))
    assert content["device"] == torch.cuda.get_device_name()
    loaded = load_network(tmp_path / "run/checkpoints/last.ckpt")
    sources = open_sources(content["val_root"], 2)
    stores = {name: build_store(source, 2) for name, source in sources.items()}
    for tally in evaluate_network(loaded.net, stores, EvaluationProtocol()):
        assert tally.means()[0].psnr == pytest.approx(content["datasets"][tally.name]["psnr"], abs=0.01)


def test_brackets_in_the_printed_commands_are_not_markup(
    tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rich would parse a list in brackets as markup."""
    train(tiny("steps=1", "validations=1", f"data.val_root=[{tmp_path}/validation]"))
    assert f"data.root=[{tmp_path}/validation]" in capsys.readouterr().out

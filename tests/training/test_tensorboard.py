"""Events that a run writes for TensorBoard."""

from pathlib import Path

from upnet.training import train


def test_the_image_grid_and_the_config_are_logged(tiny, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(tiny())
    images, texts = [], []
    for events in (tmp_path / "run/tensorboard").glob("events*"):
        reader = EventAccumulator(str(events)).Reload()
        for tag in reader.Tags()["images"]:
            images += [(tag, event.step, event.width, event.height) for event in reader.Images(tag)]
        texts += reader.Tags()["tensors"]
    assert [(step, width, height) for _, step, width, height in images] == [(3, 5 * 128, 128), (6, 5 * 128, 128)]
    assert any("config" in tag for tag in texts)


def test_hparams_and_final_metrics_are_logged(tiny, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(tiny("steps=1", "validations=1"))
    readers = [EventAccumulator(str(path)).Reload() for path in (tmp_path / "run/tensorboard").glob("events*")]
    # Lightning writes the scalars to one event file and SummaryWriter the final metrics to another, in any order.
    plugins = {tag.plugin_data.plugin_name for reader in readers for tag in reader.summary_metadata.values()}
    assert "hparams" in plugins
    final = [tag for reader in readers for tag in reader.Tags()["scalars"] if tag.startswith("final/")]
    assert "final/validation/psnr" in final

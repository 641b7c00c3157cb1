"""checkpoints/last.ckpt and checkpoints/best.ckpt."""

from pytorch_lightning.callbacks import ModelCheckpoint


class Checkpoints(ModelCheckpoint):
    """After every validation `last.ckpt`, and `best.ckpt` where the validation PSNR is the highest so far.

    folder: where they go.
    """

    def __init__(self, folder: str) -> None:
        super().__init__(
            dirpath=folder,
            filename="best",
            monitor="val/psnr",
            mode="max",
            save_top_k=1,
            save_last=True,
            auto_insert_metric_name=False,
            enable_version_counter=False,
            save_on_train_epoch_end=False,
        )

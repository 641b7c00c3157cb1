"""Settings that are rejected, and the error of each."""

from refusals.rejected import Rejected

TRAIN_VALUES = [
    ("steps", 0, "greater than or equal to 1"),
    ("steps", -3, "greater than or equal to 1"),
    ("steps", "many", "a valid integer"),
    ("steps", 2.5, "a valid integer"),
    ("steps", "", "a valid integer"),
    ("scale", 1, "greater than or equal to 2"),
    ("scale", 0, "greater than or equal to 2"),
    ("scale", 2.5, "a valid integer"),
    ("scale", "two", "a valid integer"),
    ("validations", 0, "greater than or equal to 1"),
    ("seed", -1, "greater than or equal to 0"),
    ("seed", 4294967296, "less than 4294967296"),
    ("ema", 1, "less than 1"),
    ("ema", "high", "a valid number"),
    ("ema", float("nan"), "a finite number"),
    ("precision", "fp8", "'bf16'"),
    ("channels_last", "maybe", "a valid boolean"),
    ("compile", 1, "a valid boolean"),
    ("debug", "perhaps", "a valid boolean"),
    ("max_pixels", 0, "greater than or equal to 1"),
    ("model.encoder.width", 0, "greater than or equal to 1"),
    ("model.encoder.depth", -1, "greater than or equal to 0"),
    ("model.channels", 2, "1 or 3"),
    ("model.input", "hr", "'interpolated' or 'lr'"),
    ("model.residual", "cubic", "'bicubic', 'bilinear', 'nearest' or 'none'"),
    ("model.upsampler", 3, "a component"),
    ("optimizer.lr", float("inf"), "a finite number"),
    ("optimizer.betas", [0.9], "a longer list"),
    ("scheduler.floor", 2, "less than or equal to 1"),
    ("scheduler.warmup", -5, "greater than or equal to 0"),
    ("data.batch_size", 0, "greater than or equal to 1"),
    ("data.patch", "eight", "a valid integer"),
    ("data.workers", 100000, "less than or equal to 256"),
    ("data.device", "tpu", "'auto', 'cpu' or 'gpu'"),
    ("trainer.max_steps", "ten", "a valid integer"),
    ("callbacks.checkpoints.keep", -1, "greater than or equal to 0"),
    ("callbacks.grid.size", 0, "greater than or equal to 16"),
    ("protocol.channel", "b", "'y' or 'rgb'"),
    ("protocol.crop", -1, "greater than or equal to 0"),
]
"""Settings of `upnet train`: name, value, and a part of the error's problem."""

EVALUATE_VALUES = [
    ("baseline", "cubic", "'nearest', 'bilinear', 'bicubic', 'lanczos'"),
    ("scale", "two", "a valid integer"),
    ("allow_mixed", 2, "a valid boolean"),
    ("weights", "both", "'ema' or 'raw'"),
    ("tile", 8, "greater than or equal to 16"),
    ("tile", "big", "'auto', 'none' or a valid integer"),
    ("ensemble", "x4", "'none' or 'x8'"),
    ("max_pixels", "many", "a valid integer or null"),
]
"""The same for `upnet evaluate`."""

TRAIN = [
    Rejected("steps=0", setting="steps", value=0, problem="greater than or equal to 1"),
    Rejected("+stpes=3", setting="stpes", value=3, cure="Did you mean steps?"),
    Rejected("model.upsampler=carafe", setting="model.upsampler", value="carafe", cure="Write model/upsampler=carafe"),
    Rejected("ema=nan", setting="ema", value=float("nan"), problem="a finite number", full=True),
    Rejected(
        "+trainer.acelerator=cpu", setting="trainer.acelerator", value="cpu", cure="Did you mean trainer.accelerator?"
    ),
    Rejected("data.root=null", setting="data.train.root", value=None, problem="a valid string"),
    Rejected("steps", problem="steps can't be read", allowed="NAME=VALUE"),
    Rejected("=3", problem="=3 can't be read", allowed="NAME=VALUE"),
    Rejected("optimizer.betas=[0.9", problem="optimizer.betas=[0.9 can't be read", cure="Quote a value"),
    Rejected("loss=é", problem="loss=é can't be read", cure="letters, digits"),
    Rejected(
        "--data.root train", problem="--data.root is not an option of train", cure="Did you mean data.root=train?"
    ),
    Rejected("--fast", problem="--fast is not an option of train; settings are given as NAME=VALUE"),
    Rejected("stpes=3", setting="stpes", cure="Did you mean steps?"),
    Rejected("experiment=study study.regime=N", setting="study.regime", cure="Did you mean study.match?"),
    Rejected(
        "upsampler=carafe",
        full=True,
        setting="upsampler",
        problem="unknown setting",
        cure="Did you mean model/upsampler?",
    ),
    Rejected(
        "model.width=3",
        setting="model.width",
        problem="unknown setting of model",
        cure="Did you mean model.encoder.width?",
    ),
    Rejected(
        "model.upsampler._target_=upnet.upsample.Carafe",
        setting="model.upsampler._target_",
        value="upnet.upsample.Carafe",
        problem="has no Carafe",
        cure="Did you mean CARAFE?",
    ),
    Rejected(
        "data=builtin data.root=train",
        setting="data.root",
        value="train",
        problem="has no effect",
        cure="Add data=folder",
    ),
    Rejected("data=foldr", setting="data", value="foldr", cure="Did you mean folder?"),
    Rejected("experiment=smoke", setting="experiment", value="smoke", cure="Did you mean experiment=study/smoke?"),
    Rejected("model=unett", setting="model", value="unett", cure="Did you mean unet?"),
    Rejected("model/upsampler=nearset", setting="model/upsampler", value="nearset", cure="Did you mean nearest?"),
    Rejected("logger=wandb", setting="logger", value="wandb", allowed="csv, none, several, tensorboard"),
    Rejected("model=null", setting="model", value="null", allowed="edsr, espcn"),
    Rejected("optimizer=3", setting="optimizer", value="3", allowed="adam, adamw, sgd"),
    Rejected("model.encoder.widht=3", setting="model.encoder.widht", cure="Did you mean width?", full=True),
    Rejected(
        "model.encoder.width=1000000", setting="model", problem="needs 33528 GiB", cure="Lower model.encoder.width"
    ),
    Rejected("model.encoder.stem_kernel=4", setting="model.encoder.stem_kernel", value=4, problem="odd"),
    Rejected(
        "model.upsampler.kernel_size=1", setting="model.upsampler.kernel_size", value=1, allowed="2 or more at scale 2"
    ),
    Rejected(
        "model.upsampler._target_=nothing",
        full=True,
        setting="model.upsampler._target_",
        value="nothing",
        problem="the dotted name of a class",
    ),
    Rejected(
        "model.upsampler._target_=upnet.upsample.Nothing",
        setting="model.upsampler._target_",
        value="upnet.upsample.Nothing",
        allowed="MaxUnpool",
    ),
    Rejected(
        "model=edsr model/upsampler=max_unpool",
        setting="model.tail",
        problem="MaxUnpool at the tail",
        cure="model.input=interpolated",
    ),
    Rejected("optimizer.lr=-1", setting="optimizer", problem="-1", cure="0 or larger"),
    Rejected("optimizer.betas=[2,0.9]", setting="optimizer", problem="2", cure="betas in [0, 1)", full=True),
    Rejected("data.device=gpu", setting="data.device", value="gpu", allowed="auto or cpu"),
    Rejected("trainer=tpu", setting="trainer", value="tpu", allowed="auto, cpu, ddp, gpu"),
    Rejected(
        "trainer.devices=0",
        setting="trainer.accelerator",
        value="cpu",
        problem="trainer.devices=0",
        cure="Set trainer=cpu",
    ),
    Rejected("trainer.accelerator=abacus", setting="trainer.accelerator", value="abacus", cure="Set trainer=cpu"),
    Rejected("trainer.max_steps=1", setting="trainer.max_steps", value=1, cure="Set steps="),
    Rejected("+trainer.limit_val_batches=0", setting="trainer.limit_val_batches", value=0, cure="data.val_root="),
    Rejected("+trainer.overfit_batches=1", setting="trainer.overfit_batches", value=1, cure="data.root=", full=True),
    Rejected(
        "+trainer.precision=16-mixed", setting="trainer.precision", value="16-mixed", cure="Set precision=", full=True
    ),
    Rejected(
        "scheduler=plateau scheduler.mode=min", setting="scheduler.mode", value="min", cure="Set scheduler.mode=max"
    ),
    Rejected(
        "scheduler._target_=torch.optim.lr_scheduler.MultiStepLR scheduler.milestones=[1]",
        setting="scheduler.milestones",
        cure="Add it by +scheduler.milestones=…",
    ),
    Rejected(
        "optimizer._target_=torch.optim.SparseAdam",
        setting="optimizer",
        problem="SparseAdam does not support",
        cure="Choose another optimizer",
    ),
    Rejected(
        "trainer.accumulate_grad_batches=0", setting="trainer.accumulate_grad_batches", value=0, problem="at least 1"
    ),
    Rejected(
        "trainer.gradient_clip_val=-1", setting="trainer.gradient_clip_val", value=-1, problem="at least 0", full=True
    ),
    Rejected("callbacks.grid=null callbacks.grid.size=32", setting="callbacks.grid.size", problem="null"),
    Rejected("protocol=yfloat", setting="protocol", value="yfloat", cure="Did you mean y-float?"),
    Rejected("protocol.name=y-float", setting="protocol", value="y-float", cure="Take protocol=rgb8"),
]

EVALUATE = [
    Rejected("checkpoint=[]", setting="checkpoint", value=[], problem="at least 1 item"),
    Rejected("--input x", problem="--input is not an option of evaluate", cure="Did you mean input=x?"),
    Rejected("model=edsr", setting="model", problem="unknown setting", cure="It is a setting of upnet train"),
    Rejected("-i x", problem="-i is not an option of evaluate", cure="Did you mean input=x?"),
    Rejected("", problem="got none of them"),
    Rejected("chekpoint=x", setting="chekpoint", cure="Did you mean checkpoint?"),
    Rejected(
        "baseline=bicubic study=val",
        problem="checkpoint=PATH, study=FOLDER, results=PATH and baseline=NAME; got study and baseline",
    ),
    Rejected("baseline=bicubic input=val", setting="input", value="val", cure="checkpoint=PATH"),
    Rejected(
        "baseline=bicubic output=x.png",
        full=True,
        setting="output",
        value="x.png",
        problem="has no effect",
        cure="Give input=",
    ),
    Rejected(
        "checkpoint=good.ckpt output=x.png",
        full=True,
        setting="output",
        value="x.png",
        problem="has no effect",
        cure="Give input=",
    ),
    Rejected(
        "baseline=bicubic ensemble=x8", setting="ensemble", value="x8", problem="has no effect", cure="Give checkpoint="
    ),
    Rejected(
        "results=val scale=3", setting="scale", value=3, problem="has no effect on results=", cure="Leave scale out"
    ),
    Rejected("checkpoint=good.ckpt scale=4", setting="scale", value=4, problem="good.ckpt has scale 2"),
    Rejected(
        "checkpoint=good.ckpt data.scale=4", setting="data.scale", value=4, problem="good.ckpt has scale 2", full=True
    ),
    Rejected(
        "checkpoint=good.ckpt scale=4 input=val", setting="scale", value=4, problem="good.ckpt has scale 2", full=True
    ),
    Rejected(
        "checkpoint=good.ckpt scale=4 export=x.safetensors", setting="scale", value=4, problem="good.ckpt has scale 2"
    ),
    Rejected("baseline=bicubic perceptual=vmaf", setting="perceptual", value="vmaf", allowed="lpips or dists"),
    Rejected(
        "baseline=bicubic perceptual=lpips protocol=y-float",
        setting="perceptual",
        value="lpips",
        cure="Set protocol=rgb8",
    ),
    Rejected(
        "baseline=bicubic device=abacus",
        setting="device",
        value="abacus",
        allowed="auto, cpu, cuda, cuda:N or mps",
    ),
    Rejected("baseline=bicubic protocol=rgb9", setting="protocol", value="rgb9", cure="Did you mean rgb8?"),
]

STUDY = [
    Rejected("experiment=study/smok", setting="experiment/study", value="smok", allowed="smoke"),
    Rejected("study.seeds=[]", setting="study.seeds", value=[], allowed="at least one integer"),
    Rejected("study.seeds=[0,0]", setting="study.seeds", value=[0, 0], allowed="each only once", full=True),
    Rejected(
        "study.reference=nothing",
        setting="study.reference",
        value="nothing",
        allowed="transposed, nearest or max_unpool",
    ),
    Rejected("study.name=a/b", setting="study.name", value="a/b", allowed="letters, digits"),
    Rejected("study.sede=3", setting="study.sede", cure="Did you mean seeds?"),
    Rejected("study.factors.skip=1", setting="study.factors.skip", cure="+study.factors.skip"),
    Rejected("model/upsampler=nearest", setting="model/upsampler", value="nearest", cure="Change study.arms"),
    Rejected("seed=3", setting="seed", value="3", problem="study.seeds"),
    Rejected("study.seeds=[-1]", setting="study.seeds[0]", value=-1, problem="greater than or equal to 0"),
    Rejected("study.arms=null", setting="study.arms", value=None, problem="must be"),
]
"""Arguments after `upnet train experiment=study/smoke`."""

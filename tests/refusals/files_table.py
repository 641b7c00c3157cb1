"""Paths, images and checkpoints that are rejected, and the error of each. The fixture `workspace` has these files."""

from pathlib import Path

from refusals.rejected import Rejected

TRAIN = [
    Rejected(
        "data.root=[train",
        full=True,
        setting="data.train.root",
        problem="there is no folder [train",
        cure="Give the path of a folder of images",
    ),
    Rejected(
        "data.root=2024",
        full=True,
        setting="data.train.root",
        problem="there is no folder 2024",
        cure="Give the path of a folder of images",
    ),
    Rejected(
        "data.root='wow! é,it'",
        setting="data.train.root",
        problem="there is no folder wow! é,it",
        cure="Give the path of a folder of images",
    ),
    Rejected(
        "data.root=nowhere", setting="data.train.root", problem="nowhere", cure="Give the path of a folder of images"
    ),
    Rejected(
        "data.root=train/a.png", setting="data.train.root", problem="train/a.png is a file", cure="Give the folder"
    ),
    Rejected("data.root=empty", problem="empty", allowed="images end in .png"),
    Rejected("data.val_root=nowhere", problem="nowhere", cure="Give the path of a folder of images"),
    Rejected("data.val_root=empty", problem="empty", allowed="images end in .png", full=True),
    Rejected("data.val_root=[]", problem="the list of folders is empty", cure="Name at least one"),
    Rejected("data.val_root=[val,val]", problem="val is named 2 times", cure="Name every folder once"),
    Rejected(
        "data.cache_dir=train/a.png", problem="train/a.png", cure="Name a writable folder by data.cache_dir=FOLDER"
    ),
    Rejected("ckpt=nowhere.ckpt", problem="nowhere.ckpt", cure="last.ckpt"),
    Rejected("ckpt=last", setting="ckpt", value="last", cure="Give its path"),
    Rejected("data.root=cut", problem="cut/g.png", cure="data.skip_broken=true"),
    Rejected("data.root=text", problem="text/h.png", cure="data.skip_broken=true", full=True),
    Rejected(
        "data.root=floats",
        problem="floats/i.tif cannot be read as an image: pixels of 32 bits (mode F) have no defined white level",
    ),
    Rejected("data.root=small", problem="tiny: an image of 1×1 pixels is too small for scale 2"),
    Rejected("scale=999", problem="48×50 pixels is too small for scale 999"),
    Rejected(
        "data.root=wide max_pixels=19999",
        problem="500×40 = 20000 pixels, more than max_pixels=19999. Raise max_pixels=",
    ),
    Rejected(
        "data=paired data.root=train",
        setting="data.train.root",
        problem="train has neither HR and LR_bicubic",
        cure="Give the two folders",
    ),
    Rejected("data=paired data.root=pairs", problem="1 HR without LR (f)", cure="NAMEx2"),
    Rejected(
        "data=paired data.root=pairs scale=3", problem="no LR images of scale 3: neither a folder X3 nor files NAMEx3"
    ),
    Rejected("data=paired data.root=unequal", problem="24×25 pixels for HR of 48×50; it is 48×50"),
    Rejected(
        "ckpt=good.ckpt", setting="ckpt", value=Path("good.ckpt"), problem="this run is finished", cure="Raise steps="
    ),
    Rejected(
        "ckpt=good.ckpt steps=4 model.encoder.width=6",
        setting="ckpt",
        value=Path("good.ckpt"),
        problem="differ in encoder",
    ),
    Rejected(
        "ckpt=good.ckpt steps=4 optimizer.lr=0.5",
        full=True,
        setting="ckpt",
        value=Path("good.ckpt"),
        problem="differ in optimizer",
    ),
    Rejected("ckpt=val/c.png", problem="val/c.png is damaged, or not a checkpoint"),
]

EVALUATE = [
    Rejected(
        "baseline=bicubic data.root=nowhere", problem="nowhere", cure="Give the path of a folder of images", full=True
    ),
    Rejected("baseline=bicubic data.root=val/c.png", problem="val/c.png is a file", cure="Give the folder", full=True),
    Rejected("checkpoint=nowhere.ckpt", problem="nowhere.ckpt", cure="last.ckpt", full=True),
    Rejected("checkpoint=val", problem="val", cure="last.ckpt", full=True),
    Rejected("results=nowhere", problem="nowhere", cure="Give a file that upnet has written"),
    Rejected("results=val/c.png", problem="val/c.png", cure="Give a file that upnet has written", full=True),
    Rejected("results=later.json", problem="later.json is not a results.json of schema 1 to"),
    Rejected("study=nowhere", setting="study", value="nowhere", cure="runs/studies/"),
    Rejected(
        "study=val",
        setting="study",
        value="val",
        problem="contains no finished run: no folder below it has a results.json",
    ),
    Rejected(
        "checkpoint=good.ckpt input=nowhere.png", setting="input", value="nowhere.png", allowed="an image or a folder"
    ),
    Rejected("checkpoint=good.ckpt input=empty", setting="input", value="empty", allowed=".png"),
    Rejected("checkpoint=good.ckpt input=val/c.png output=c.gif", setting="output", value="c.gif", allowed=".png"),
    Rejected(
        "checkpoint=good.ckpt input=val/c.png output=val/c.png",
        setting="output",
        value=Path("val/c.png"),
        cure="Set another output",
    ),
    Rejected("checkpoint=good.ckpt input=val output=val", setting="output", value="val", cure="Set another folder"),
    Rejected(
        "checkpoint=good.ckpt input=val output=train/a.png", setting="output", value="train/a.png", problem="a folder"
    ),
    Rejected("checkpoint=[good.ckpt,later.ckpt] input=val", setting="checkpoint", problem="one checkpoint; got 2"),
    Rejected(
        "baseline=bicubic data.root=wide max_pixels=19999",
        full=True,
        problem="500×40 = 20000 pixels, more than max_pixels=19999. Raise max_pixels=",
    ),
    Rejected("baseline=bicubic data.root=cut", problem="cut/g.png", cure="data.skip_broken=true", full=True),
    Rejected("baseline=bicubic data=paired data.root=pairs", problem="1 HR without LR (f)", cure="NAMEx2", full=True),
    Rejected(
        "checkpoint=good.ckpt input=wide/bomb.png max_pixels=100", problem="20000 pixels", cure="Raise max_pixels="
    ),
    Rejected("checkpoint=good.ckpt input=cut/g.png", problem="cut/g.png cannot be read as an image"),
    Rejected("checkpoint=val/c.png", problem="val/c.png is damaged, or not a checkpoint", full=True),
    Rejected("checkpoint=cut.ckpt", problem="cut.ckpt is damaged", cure="last-1.ckpt"),
    Rejected("checkpoint=foreign.ckpt", problem="foreign.ckpt is not a checkpoint of upnet: it contains no metadata"),
    Rejected("checkpoint=later.ckpt", problem="99", cure="Install a newer upnet"),
    Rejected(
        "checkpoint=good.ckpt protocol=y-float",
        setting="protocol",
        value="y-float",
        problem="model.channels=3",
        cure="Take protocol=rgb8",
    ),
]

TRAIN_DECODED = [
    Rejected("data.patch=100", setting="data.patch", value=100, cure="Choose a smaller patch"),
    Rejected("data.root=val", problem="c of val is c of val", cure="Remove them from one of the two"),
    Rejected("protocol.crop=500", setting="protocol.crop", value=500, cure="a smaller crop"),
]
"""Rejected after the images are decoded, so the complete store of them stays for the next start."""

EVALUATE_DECODED = [
    Rejected("baseline=bicubic protocol.crop=500", setting="protocol.crop", value=500, cure="a smaller crop"),
]

"""The encoders: one class, one module, one yaml each."""

from upnet.encoders.base import BlockFactory, Encoder
from upnet.encoders.chain import Chain
from upnet.encoders.plain import Plain
from upnet.encoders.resnet import ResNet
from upnet.encoders.strided import Strided

__all__ = ["BlockFactory", "Chain", "Encoder", "Plain", "ResNet", "Strided"]

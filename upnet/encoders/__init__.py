"""Encoders: one class, one module and one yaml each."""

from upnet.encoders.base import BlockFactory, Encoder
from upnet.encoders.conv_stack import ConvStack
from upnet.encoders.max_pool import MaxPoolEncoder
from upnet.encoders.resnet import ResNet
from upnet.encoders.strided_conv import StridedConvEncoder

__all__ = ["BlockFactory", "ConvStack", "Encoder", "MaxPoolEncoder", "ResNet", "StridedConvEncoder"]

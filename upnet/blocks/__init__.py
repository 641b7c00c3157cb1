"""Convolution blocks: one class, one module and one yaml each."""

from upnet.blocks.base import Block
from upnet.blocks.conv import ConvBlock
from upnet.blocks.residual import ResidualBlock
from upnet.blocks.residual_group import ResidualGroup

__all__ = ["Block", "ConvBlock", "ResidualBlock", "ResidualGroup"]

"""What a stage is made of."""

from upnet.blocks.base import Block
from upnet.blocks.conv import Conv
from upnet.blocks.residual import Residual
from upnet.blocks.residual_group import ResidualGroup

__all__ = ["Block", "Conv", "Residual", "ResidualGroup"]

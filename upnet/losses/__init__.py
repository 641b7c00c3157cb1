"""Losses that torch.nn lacks."""

from upnet.losses.charbonnier import Charbonnier

__all__ = ["Charbonnier"]

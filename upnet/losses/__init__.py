"""Losses that torch doesn't have; L1 and MSE are torch's own."""

from upnet.losses.charbonnier import Charbonnier

__all__ = ["Charbonnier"]

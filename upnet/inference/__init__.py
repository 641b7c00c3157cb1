"""Upscale images with a trained network, as a whole or in tiles."""

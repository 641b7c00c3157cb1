"""Upscaling images with a trained network, whole or tile by tile."""

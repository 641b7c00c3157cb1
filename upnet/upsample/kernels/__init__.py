"""Numerics that several upsampling operators share."""

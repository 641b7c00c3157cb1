"""Numerics that the operators share: interpolation weights, sparse products, memory formats, initialisation."""

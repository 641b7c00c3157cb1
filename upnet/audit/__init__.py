"""Audit of a data set: pairs, sizes, degradation, sub-pixel shift, duplicates and train–test leakage."""

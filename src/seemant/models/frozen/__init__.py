"""Frozen matrices: float, int8, int4 or NF4 codes, dequantised on use, never trained."""

"""Rotations of the residual stream, folded into the weights: outliers spread over all channels."""

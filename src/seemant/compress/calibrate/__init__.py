"""Calibration: text to tokens by language, and the moments of every linear's input, streamed."""

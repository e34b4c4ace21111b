"""The parts of `loss_parity.py`."""

"""Activation-aware scaling: channels that matter are enlarged before rounding, exactly undone."""

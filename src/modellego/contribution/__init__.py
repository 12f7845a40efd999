"""Contribution: how much each input channel gives to each output channel, at the price of a forward pass."""

"""What is measured, the paper's experiments among it: one file an experiment, run by `python -m experiments NAME`."""

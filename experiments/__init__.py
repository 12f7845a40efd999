"""What is measured, the paper's experiments among it: one file per experiment, run by `python -m experiments NAME`."""

"""How an experiment is named, run, recorded, taken up again, tabulated and drawn."""

"""Take trained classifiers apart and put the pieces together again, without training."""

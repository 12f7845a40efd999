"""Experiments: what is measured about modellego, one file each; none of it is part of the installed package."""

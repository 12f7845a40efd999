"""Capture: any classifier becomes a graph of ATen ops and `nn` layers of two closed lists."""

"""Heat maps of relative contributions, classes x channels or samples x channels, and how alike they are."""

from modellego.heatmaps.collect import HeatMap, heatmap
from modellego.heatmaps.draw import channel_order, draw_classes, draw_samples
from modellego.heatmaps.similarity import Similarity, class_similarity

__all__ = ["HeatMap", "Similarity", "channel_order", "class_similarity", "draw_classes", "draw_samples", "heatmap"]

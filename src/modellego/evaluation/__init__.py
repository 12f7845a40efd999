"""Evaluate: accuracy beside base and base restricted, cost, latency, behaviour off the task."""

from modellego.brick.costs import cost
from modellego.brick.methods import Prediction
from modellego.capture.cost import Cost
from modellego.evaluation.prediction import logits_of, logits_of_each, predict, predict_each, predict_proba
from modellego.evaluation.scores import Scores, auroc, largest_probability, restricted, right_answers, score
from modellego.evaluation.timing import Latency, latency
from modellego.evaluation.verb import (
    Evaluation,
    OffTask,
    Rejection,
    evaluate,
    off_task,
    off_task_images,
    rejection,
    saved_score,
    scoring_images,
)
from modellego.evaluation.widths import layer_widths

__all__ = [
    "Cost",
    "Evaluation",
    "Latency",
    "OffTask",
    "Prediction",
    "Rejection",
    "Scores",
    "auroc",
    "cost",
    "evaluate",
    "largest_probability",
    "latency",
    "layer_widths",
    "logits_of",
    "logits_of_each",
    "off_task",
    "off_task_images",
    "predict",
    "predict_each",
    "predict_proba",
    "rejection",
    "restricted",
    "right_answers",
    "saved_score",
    "score",
    "scoring_images",
]

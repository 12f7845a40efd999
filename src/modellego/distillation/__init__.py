"""Distil: a brick, an assembled model or a whole source teaches a student network."""

from modellego.distillation.student import student_from, teachers_preprocess
from modellego.distillation.verb import Distillation, DistillResult, distill, distillation_loss, teacher_accuracy

__all__ = [
    "DistillResult",
    "Distillation",
    "distill",
    "distillation_loss",
    "student_from",
    "teacher_accuracy",
    "teachers_preprocess",
]

"""Distil: a brick, an assembled model or a whole source teaches a student network."""

from modellego.distillation.distill import Distillation, DistillResult, distill, distillation_loss, teacher_accuracy
from modellego.distillation.student import student_from, teachers_preprocess

__all__ = [
    "DistillResult",
    "Distillation",
    "distill",
    "distillation_loss",
    "student_from",
    "teacher_accuracy",
    "teachers_preprocess",
]

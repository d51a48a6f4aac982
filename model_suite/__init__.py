"""A catalogue of real models, on which torchlens_core is proven."""

from model_suite.case import ModelCase, SizeClass
from model_suite.registry import cases, find, smoke_cases, standard_cases

__all__ = ["ModelCase", "SizeClass", "cases", "find", "smoke_cases", "standard_cases"]

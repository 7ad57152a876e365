"""Sweeps under Hydra: checked before they start, resumed by the same command, summarised when they end."""

from stabilimeter.multirun.claim import claim as claim
from stabilimeter.multirun.compare_question import CompareQuestion as CompareQuestion
from stabilimeter.multirun.determinism_trials import determinism as determinism
from stabilimeter.multirun.hook import MultirunSummary as MultirunSummary
from stabilimeter.multirun.lr_question import LrQuestion as LrQuestion
from stabilimeter.multirun.mistakes import refuse_incomplete as refuse_incomplete
from stabilimeter.multirun.variance_question import VarianceQuestion as VarianceQuestion

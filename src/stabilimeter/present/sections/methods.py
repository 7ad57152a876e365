"""Methods: how the figures of the report are computed, and who proposed it."""

from stabilimeter.present.report_parts import Material, Section
from stabilimeter.present.table import Column, Table, row

REFERENCES = (
    "Agarwal et al. (2021): Deep reinforcement learning at the edge of the statistical precipice. NeurIPS.",
    "Bouthillier et al. (2021): Accounting for variance in machine learning benchmarks. MLSys.",
    "Brown and Forsythe (1974): Robust tests for the equality of variances. J. Am. Stat. Assoc. 69.",
    "Chan et al. (2020): Measuring the reliability of reinforcement learning algorithms. ICLR.",
    "Holm (1979): A simple sequentially rejective multiple test procedure. Scand. J. Stat. 6.",
    "Jordan (2023): Calibrated chaos: variance between runs of neural network training is harmless and inevitable.",
    "Miller (1974): The jackknife: a review. Biometrika 61.",
    "OLMo team (2025): 2 OLMo 2 Furious. arXiv:2501.00656.",
    "Rockafellar and Uryasev (2002): Conditional value-at-risk for general loss distributions. J. Bank. Finance 26.",
    "Wilson (1927): Probable inference, the law of succession, and statistical inference. J. Am. Stat. Assoc. 22.",
    "Wortsman et al. (2023): Small-scale proxies for large-scale Transformer training instabilities. arXiv:2309.14322.",
    "Zou and Donner (2008): Construction of confidence limits about effect measures. Stat. Med. 27.",
)


def methods(material: Material) -> Section:
    """Definitions, the conventions behind the score, references."""
    half = material.summary.half_points
    rows = [
        row(
            "failed seed",
            "Its loss ends as NaN or infinite; it makes no progress although its siblings do; it collapses (to "
            "the end worse than its own best by far more than noise, in training too); it crashes, dies or ends "
            "early without a reason; or it misses the target, where one was given. Failed seeds are never "
            "dropped. Interval: Wilson 1927.",
        ),
        row(
            "loss spike",
            "A point of the training loss so far from the 128 accepted values before it that, by their robust "
            "centre, scale and tail, chance would give one in 10,000 steps. Compare OLMo 2 and Wortsman 2023.",
        ),
        row(
            "loss noise",
            "Robust scatter of the training loss around its own running median, in units of the progress.",
        ),
        row(
            "worse checkpoints",
            "Mean of the worst 5 % (CVaR) of the falls of the primary metric below its best so far, less what "
            "noise explains, in units of the progress. Rockafellar and Uryasev 2002; Chan 2020.",
        ),
        row(
            "seed spread",
            "Standard deviation over the seeds that trained of the final primary metric, without small-sample "
            "bias, in units of the progress. On why seeds differ: Bouthillier 2021; Jordan 2023.",
        ),
        row(
            "progress",
            "How far the series in question came from its beginning to its end, median over the seeds that "
            "trained: so no figure depends on the unit of the metric.",
        ),
        row(
            "quality of a seed",
            "Geometric mean of the credits for spikes, noise and worse checkpoints. A credit is 1 / (1 + x / h), "
            f"one half at x = h, with h: spikes in {half.spikes:.2g} of the steps, noise {half.noise:.2g}, worse "
            f"checkpoints {half.regression:.2g}, seed spread {half.seed_spread:.2g}. These and the weights are "
            f"conventions (version {half.version}{', changed: ' + ', '.join(half.changes) if half.changes else ''}).",
        ),
        row(
            "stability score",
            f"100 x (share of seeds that trained) x (mean quality)^{half.weights.within:.3g} x "
            f"(credit for seed spread)^{1 - half.weights.within:.3g}. What "
            "could not be measured is left out and named.",
        ),
        row(
            "95 % interval of the score",
            "Jackknife over the seeds on the logit scale (Miller 1974), together with Wilson's interval of the "
            "share that trains (Zou and Donner 2008). It allows for failures that nobody has seen yet.",
        ),
        row(
            "mean of a metric",
            "Final value: mean and Student's t interval over seeds, which are the sample, not their evaluations "
            "(Agarwal 2021).",
        ),
        row(
            "what moved first",
            "The first point from which a signal stays outside the range of the healthy seeds, to the end of the run.",
        ),
    ]
    if material.compared:
        rows.append(
            row(
                "comparison",
                "Permutation test of the means over the seeds that trained (sign-flip test over pairs of the same "
                "seed), Fisher's exact test for failed seeds, Brown and Forsythe's for the spread; p of the other "
                "metrics adjusted after Holm.",
            )
        )
    definitions = Table("", (Column("what"), Column("how")), tuple(rows), heads_needed=False)
    sources = Table("References", (Column("reference"),), tuple(row(text) for text in REFERENCES), heads_needed=False)
    text = "From the logs alone, by published statistics; what was left out or could not be measured is said."
    return Section("Methods", "How are these figures computed?", text, (definitions, sources))

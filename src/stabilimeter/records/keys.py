"""Names of the signals; the only place where they are spelt."""

LOSS = "train/loss"
LOSS_VAR = "train/loss_var"
LOSS_VAR_MICRO_BATCHES = "train/loss_var_micro_batches"
LOSS_VAR_RANKS = "train/loss_var_ranks"
LOSS_NOISE = "train/loss_noise"
GRAD_NORM = "grad/norm"
GRAD_NORM_CLIPPED = "grad/norm_clipped"
GRAD_CLIP_FRACTION = "grad/clip_fraction"
GRAD_LAYER_NORMS = "grad/layer_norms"
UPDATE_NORM = "update/norm"
UPDATE_RATIO = "update/ratio"
OPTIM_LR = "optim/lr"
TIME_STEP_S = "time/step_s"
TIME_MONITOR_S = "time/monitor_s"
TIME_DATA_WAIT_S = "time/data_wait_s"
SCALER_SCALE = "scaler/scale"
SCALER_OVERFLOW = "scaler/overflow"
SCALER_OVERFLOW_COUNT = "scaler/overflow_count"
OPTIM_RMS_MAX = "optim/rms_max"
OPTIM_LAYER_RMS = "optim/layer_rms"
NOISE_GRADIENT_SQUARE = "noise/gradient_square"
NOISE_TRACE = "noise/trace"
NOISE_SCALE = "noise/scale"
HESSIAN_MAX = "hessian/max_eigenvalue"
HESSIAN_PRECONDITIONED_MAX = "hessian/preconditioned_max_eigenvalue"
ACTIVATION_RMS_MAX = "activation/rms_max"
ACTIVATION_KURTOSIS_MAX = "activation/kurtosis_max"
ACTIVATION_DEAD_MAX = "activation/dead_fraction_max"
ACTIVATION_MODULE_RMS = "activation/module_rms"
ACTIVATION_MODULE_KURTOSIS = "activation/module_kurtosis"
ACTIVATION_MODULE_DEAD = "activation/module_dead_fraction"
ATTENTION_LOGIT_MAX = "attention/logit_max"

CHECKPOINT_VERDICT = "checkpoint/verdict"
CHECKPOINT_DRAWDOWN = "checkpoint/drawdown"
CHECKPOINT_NEGATIVE_FLIP_RATE = "checkpoint/negative_flip_rate"
CHECKPOINT_CHURN = "checkpoint/churn"
CHECKPOINT_FORGOTTEN_SHARE = "checkpoint/forgotten_share"
CHECKPOINT_NOTES = (
    CHECKPOINT_VERDICT,
    CHECKPOINT_DRAWDOWN,
    CHECKPOINT_NEGATIVE_FLIP_RATE,
    CHECKPOINT_CHURN,
    CHECKPOINT_FORGOTTEN_SHARE,
)
"""What `CheckpointRegression` notes at each evaluation: neither signals of a step nor metrics of the user."""

GUARD_PREFIX = "guard/"
"""What a guard did is an incident of the series ``guard/<action>``, beside that of the series it answers."""

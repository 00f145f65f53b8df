"""Every config key with its default and unit. Recipes change some of them.

By itself it is `mel_cnn` without augmentation.
"""

import ml_collections
from ml_collections import config_dict


def get_config() -> ml_collections.ConfigDict:
  config = ml_collections.ConfigDict()
  config.recipe = "default"
  config.task = (
    "classify"  # classify | gan | classical (scikit-learn, no steps)
  )
  config.seed = 0  # weights, order, dropout, augmentation; never the split

  config.data = data = ml_collections.ConfigDict()
  data.path = config_dict.placeholder(str)  # unset: the synthetic corpus
  # A table of files with genres and artists, where folders are not genres:
  # columns such as file, genre, artist. "": none
  data.labels = ""
  data.artists = ""  # folder: <genre>/<artist>/... names artists
  data.dir = "~/.cache/gtzan_jax"  # prepared data sets, one folder each
  data.features = "logmel_1024"  # a name in gtzan_jax.features.FEATURES
  data.protocol = "tracks_70_10_20"  # a name in tfds_gtzan.PROTOCOLS
  # In place of a protocol: files of ids or paths, "train.txt,dev.txt,test.txt",
  # or a table with a column of splits (docs/check_splits.md). "": none
  data.splits = ""
  data.split_seed = 42  # of random protocols
  data.fold = 0  # k-fold protocols: the test fold; the next is validation
  data.train_fraction = 1.0  # of the train tracks, stratified by genre
  data.train_segments = 0  # keep so many, genres in proportion; 0: all
  data.leak = ""  # arm of the leakage meter: clean | tracks | artists; "": none
  data.leak_share = 0.5  # share of a test track's segments that are swapped
  data.genres = ()  # some of the corpus's, as ("jazz", "rock"); (): all
  data.tracks_per_genre = 20  # size of the synthetic corpus
  data.allow = ()  # checks of the corpus (docs/using.md) that may not refuse it
  data.standardize = "none"  # none | global | bin; statistics of train only
  # Run folder of a trained GAN, whose examples join the train split.
  data.augment_with = config_dict.placeholder(str)  # "": required
  data.augment_ratio = 1.0  # generated for each real one, up to 100
  data.augment_only = False  # True: without the real ones
  data.cache_mb = 4096  # what fits is read once into memory

  config.model = ml_collections.ConfigDict()
  config.model.name = "mel_cnn"  # recipes add the model's own fields here

  config.optim = optim = ml_collections.ConfigDict()
  optim.name = "adam"  # adam | adamw | rmsprop | sgd
  optim.learning_rate = 1e-3
  optim.b1 = 0.9  # adam, adamw
  optim.b2 = 0.999  # adam, adamw
  optim.eps = 1e-8  # adam, adamw, rmsprop: beside the root
  optim.eps_rule = (
    "torch"  # adam, adamw: torch | keras, see gtzan_jax.training.optim
  )
  optim.momentum = 0.9  # sgd
  optim.weight_decay = 0.0  # adamw
  optim.clip_norm = 0.0  # global norm of the gradient; 0: no clipping
  optim.schedule = "constant"  # constant | exponential | cosine | plateau
  optim.warmup_epochs = 0.0  # cosine
  optim.decay_rate = 0.95  # exponential, an epoch
  optim.decay_begin = 10  # exponential: first epoch (from 0) that decays
  optim.plateau_factor = 0.2  # plateau: times this after ...
  optim.plateau_patience = 5  # ... this many evaluations without a best
  optim.min_learning_rate = 0.0  # plateau: never below

  config.gan = gan = ml_collections.ConfigDict()
  gan.domain = "features"  # features | audio: what is generated
  gan.loss = "bce"  # bce (non-saturating) | hinge
  gan.r1 = 0.0  # times half the squared gradient of the score at real examples
  gan.discriminator_rate = 1.0  # times optim.learning_rate
  gan.average = 0.0  # decay of the averaged generator that is kept; 0: none
  # Run folder of a classifier on the same features, which measures generated
  # examples. Unset: configs/judge.py is trained first.
  gan.judge = config_dict.placeholder(str)
  gan.samples = 500  # generated examples behind each measure

  config.loss = loss = ml_collections.ConfigDict()
  loss.label_smoothing = 0.0
  loss.class_weights = "none"  # none | balanced
  loss.l2 = 0.0  # times the sum of squares of the kernels ...
  loss.l2_layers = ".*"  # ... whose layer matches this expression

  config.augment = augment = ml_collections.ConfigDict()
  augment.gain_db = 0.0  # uniform in +-dB, on waveform or stored log-mel
  augment.shift_s = 0.0  # circular, up to +-seconds
  augment.noise_probability = 0.0  # share of examples with white noise
  augment.noise_snr_db = (10.0, 30.0)  # its range; waveforms only
  augment.time_masks = 0  # SpecAugment
  augment.time_width = 0.2  # widest mask, a fraction of the frames
  augment.bin_masks = 0
  augment.bin_width = 0.2  # widest mask, a fraction of the bins
  augment.mixup_alpha = 0.0  # 0: off

  config.train = train = ml_collections.ConfigDict()
  # Initial weights: a run folder of the same model, or a file that
  # gtzan_jax.models.weights reads (.h5, .safetensors, .npz). Unset: at random.
  train.init_from = config_dict.placeholder(str)
  train.batch_size = 32  # over all devices together
  # May change when a run is resumed; a cosine schedule then follows the new
  # length from there on, which is not the run of that length from the start.
  train.epochs = 30
  train.epoch_steps = (
    0  # steps from one evaluation to the next; 0: all examples
  )
  train.max_steps = 0  # end the run here; 0: no limit
  train.monitor = "validation/track_accuracy"  # any reported scalar but test
  train.ties = "loss"  # best of equals: loss (the lowest) | first (Keras)
  train.patience = 10  # evaluations without a best, as Keras counts; 0: off

  config.eval = ml_collections.ConfigDict()
  config.eval.batch_size = 128
  config.eval.bootstrap = 1000  # resamples behind each 95 % interval

  config.log = log = ml_collections.ConfigDict()
  log.every_steps = 20  # a line of train scalars in metrics.jsonl
  log.tensorboard = True
  log.compilation_cache = "~/.cache/gtzan_jax/compiled"  # "": none
  return config

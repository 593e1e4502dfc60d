"""What a recipe may say: one pydantic model per TOML table, every field with its unit and its reason.

A new method adds its table (or its field) here and a default that switches it off; unknown keys are refused.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from training.recipes.sizes import Sides


class Table(BaseModel):
    """Base of all tables: immutable, and a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataTable(Table):
    """Which pictures, and how they get one size."""

    path: str = ""  # folder, zip or idx folder; relative to the working directory
    split: Literal["train", "test"] = "train"  # for sets that have one
    labels: str = "none"  # "none", "class" (folder, idx or sheet class) or the name of a csv column
    size: int = Field(64, ge=4, le=512)  # pixels: side of a square, or height; "64x96" sets height and width
    width: int = Field(0, ge=0, le=512)  # pixels; 0 = square
    channels: Literal[1, 3] = 3  # 1 grey, 3 RGB
    labelled: int = Field(0, ge=0)  # semi-supervised: labels kept, equally many of each class; 0 = all
    label_seed: int = Field(0, ge=0)  # which ones are kept
    fit: Literal["crop", "pad", "stretch"] = "crop"  # how other shapes get the ratio
    more: tuple[str, ...] = ()  # further sets, mixed in equal shares with `path` when cut-outs are taken
    cutouts: int = Field(0, ge=0)  # random square cut-outs in all instead of whole pictures; 0 = whole pictures
    # each shrinks its picture by one of these first, where it stays large enough
    cutout_scales: tuple[float, ...] = (1.0,)
    holdout: int = Field(0, ge=0)  # every so-manieth picture of a set is kept out, for measuring; 0 = none
    crop: int = Field(0, ge=0)  # pixels: height of the centre taken before scaling; 0 = the largest one
    flip: bool = False  # mirror half of the pictures left to right
    limit: int = Field(0, ge=0)  # use the first pictures only; 0 = all
    unreadable: Literal["refuse", "skip"] = "refuse"
    name: str = ""  # for the model card
    licence: str = ""  # for the model card and the manifest
    origin: str = ""  # for the model card: who made the pictures
    weights_licence: str = "Apache-2.0"  # of what is trained on it, for the manifest
    use: str = ""  # for the model card: what the samples may be used for

    @model_validator(mode="before")
    @classmethod
    def _height_by_width(cls, fields: Any) -> Any:
        """`size = "64x96"` is height 64 and width 96."""
        found = re.fullmatch(r"(\d{1,4})x(\d{1,4})", str(fields.get("size", ""))) if isinstance(fields, dict) else None
        return fields if found is None else {**fields, "size": int(found[1]), "width": int(found[2])}

    @property
    def sides(self) -> Sides:
        """(height, width) of every picture, pixels."""
        return self.size, self.width or self.size


class LatentTable(Table):
    """The prior of the noise vector."""

    size: int = Field(100, ge=1, le=4096)
    distribution: Literal["standard_normal", "uniform"] = "standard_normal"  # uniform means U(-1, 1)


class GeneratorTable(Table):
    """The generator's shape."""

    width: int = Field(64, ge=1)  # channels before the picture; doubles with every halving of the side
    max_width: int = Field(1024, ge=1)  # channels never exceed this
    kernel: Literal[4, 5] = 4
    build: Literal["dcgan", "modern"] = "dcgan"  # modern: `networks.modern`, with the four switches below
    mapping: int = Field(0, ge=0)  # modern: layers between the latent and the first map
    gates: bool = False  # modern: skip-layer excitation, 4 -> 32 and 8 -> 64
    residual: bool = False  # modern: every rise adds to the enlarged map instead of replacing it
    refine: bool = False  # modern: a 3x3 at full size paints the picture, over the checker of the last rise
    upsample: Literal["deconv", "resize"] = "deconv"  # resize: nearest, then 3x3; no checkerboard
    norm: str = "batch"
    norm_affine: bool = True  # scale and bias in the norm (the paper's MNIST nets had none)
    norm_at_output: bool = False  # the paper's rule is none: it oscillates
    labels: Literal["input", "layers"] = "input"  # where the one-hot goes: beside z, or as planes at every layer


class DiscriminatorTable(Table):
    """The discriminator's shape."""

    width: int = Field(64, ge=1)  # channels after the first convolution; doubles with every halving
    max_width: int = Field(1024, ge=1)
    kernel: Literal[4, 5] = 4
    norm: str = "batch"
    norm_affine: bool = True
    norm_at_input: bool = False  # the paper's rule is none
    spectral_norm: bool = False
    pooling: Literal["flatten", "average"] = "flatten"  # average: global average pooling before the head
    labels: Literal["projection", "layers"] = "projection"  # how a label conditions the score


class LossTable(Table):
    """The two players' costs."""

    kind: Literal["nonsaturating", "hinge", "least_squares", "relativistic"] = "nonsaturating"
    real_target: float = Field(1.0, gt=0.5, le=1.0)  # one-sided label smoothing: 0.9 softens real targets only
    r1_gamma: float = Field(0.0, ge=0)  # weight of the gradient penalty on real pictures; 0 = off
    r2_gamma: float = Field(0.0, ge=0)  # the same on generated pictures; relativistic pairs need both (R3GAN)
    r1_every: int = Field(16, ge=1)  # steps between penalties; the weights are scaled up accordingly
    auxiliary: float = Field(0.0, ge=0)  # weight of the class-prediction cost (AC-GAN) for both players


class MlpTable(Table):
    """The shape of fully connected networks (algorithms gan, and improved with network "mlp")."""

    generator: tuple[int, ...] = (1200, 1200)  # hidden units
    generator_norm: bool = False  # BatchNorm in the generator; the papers had none, it learns several times faster
    discriminator: tuple[int, ...] = (240, 240)
    pieces: int = Field(5, ge=1)  # linear pieces of each maxout unit; 1 = leaky ReLU instead
    dropout: float = Field(0.5, ge=0, lt=1)  # before every hidden and the last layer of the discriminator


class TechniqueTable(Table):
    """Salimans et al. 2016, one switch each; every one is off by default; `training.recipes.techniques` says where."""

    feature_matching: Literal["none", "l1", "squared"] = "none"  # replaces the generator's cost (section 3.1)
    minibatch_kernels: int = Field(0, ge=0)  # minibatch discrimination (3.2): kernels, 0 = off
    minibatch_dims: int = Field(5, ge=1)  # dimensions of each kernel
    historical: float = Field(0.0, ge=0)  # weight of historical averaging for both players (3.3)
    input_noise: float = Field(0.0, ge=0)  # sigma of Gaussian noise on what the discriminator sees, training only


class SemiSupervisedTable(Table):
    """The K+1 classifier (Salimans et al. 2016, section 5) and its networks."""

    network: Literal["mlp", "convolutional"] = "mlp"
    generator: tuple[int, ...] = (500, 500)  # hidden units, or channels from 4x4 up
    discriminator: tuple[int, ...] = (1000, 500, 250, 250, 250)  # hidden units, or (first, later) channels
    hidden_noise: float = Field(0.5, ge=0)  # sigma between the layers of the mlp
    dropout: float = Field(0.5, ge=0, lt=1)  # between the stages of the convolutional network
    start_deviation: float = Field(0.05, gt=0)  # of the classifier's first weights; with weight norm it sets their pace
    learned_gains: bool = False  # of the weight norm in hidden layers; the released code fixes them after the start
    unlabelled_weight: float = Field(1.0, ge=0)  # of the real/fake part of the discriminator's cost
    average_images: int = Field(0, ge=0)  # half-life, in pictures, of the averaged classifier; 0 = off
    initialise_with: int = Field(500, ge=2)  # pictures of the data-dependent start of weight normalisation


class OptimizerTable(Table):
    """Adam for one player."""

    lr: float = Field(2e-4, gt=0)
    beta1: float = Field(0.5, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)
    eps: float = Field(1e-8, gt=0)  # added to the root of the squared gradient's mean: gradients below it move little
    weight_decay: float = Field(0.0, ge=0)


class PlayersTable(Table):
    """The optimisers, and who moves how often."""

    generator: OptimizerTable = OptimizerTable()
    discriminator: OptimizerTable = OptimizerTable()
    discriminator_steps: int = Field(1, ge=1)  # D moves per G move
    decay_from: float = Field(1.0, gt=0, le=1)  # share of the steps after which both rates fall linearly to 0


class AugmentTable(Table):
    """Differentiable augmentation of what the discriminator sees, real and generated alike."""

    policy: tuple[Literal["color", "translation", "cutout"], ...] = ()
    adaptive: float = Field(0.0, ge=0, lt=1)  # ADA: the r_t to hold by changing fewer or more pictures; 0 = all of them
    adaptive_kimg: float = Field(500.0, gt=0)  # thousand pictures in which the share can go from none to all


class EmaTable(Table):
    """The averaged generator that is sampled and exported."""

    images: int = Field(0, ge=0)  # half-life in pictures seen; 0 = off
    rampup: float = Field(0.05, ge=0)  # half-life is at most this share of the pictures seen so far
    every: int = Field(1, ge=1)  # steps between two updates of the averages; many small steps of big nets need few
    standing_batches: int = Field(32, ge=0)  # batches that recompute BatchNorm statistics; 0 = keep running ones


class SgdTable(Table):
    """Plain gradient descent as the LAPGAN authors ran it: per "epoch", lr is divided and momentum grows."""

    lr: float = Field(0.02, gt=0)
    lr_divisor: float = Field(1.00004, ge=1)  # the released code says 1.000004, which hardly decays at all
    lr_floor: float = Field(1e-6, ge=0)
    momentum: float = Field(0.5, ge=0, lt=1)
    momentum_growth: float = Field(0.0008, ge=0)  # added every epoch
    momentum_cap: float = Field(0.8, ge=0, lt=1)  # the released code caps at 0.7
    epoch_pictures: int = Field(45_000, ge=1)  # real pictures to an epoch


class PyramidTable(Table):
    """LAPGAN: the sizes and the nets of every level. No sizes: not a LAPGAN."""

    sizes: tuple[int, ...] = ()  # rising sides in pixels; the last is data.size
    # u(.); half-pixel doubles pictures of any size
    operator: Literal["corner-aligned", "half-pixel"] = "corner-aligned"
    any_size: bool = False  # one doubling level for photographs of any size, and no coarsest generator
    start_sizes: tuple[int, ...] = ()  # sides a user's picture may enter at when served; empty = all but the last
    # coarsest pair: fully connected (paper), a small DCGAN, or what [generator] says with build = "modern"
    base: Literal["full", "convolutional", "modern"] = "convolutional"
    base_width: int = Field(128, ge=1)  # full: hidden units of G, twice those of D; convolutional: channels at the end
    base_discriminator_width: int = Field(96, ge=1)  # convolutional base: channels of its discriminator
    base_sigmoid: bool = False  # the released base G really has a sigmoid as its second hidden activation
    residual: Literal["plain", "subpixel"] = "subpixel"  # plain: the paper's; subpixel: 3x3s at the coarse size
    width: int = Field(48, ge=1)  # channels of the residual nets
    units: int = Field(2, ge=0)  # residual units of a subpixel net
    refine: int = Field(0, ge=0)  # subpixel: channels at the fine size, from which a 3x3 paints the residual; 0: none
    leak: float = Field(0.0, ge=0, lt=1)  # slope below zero of a subpixel net; strong anchors kill plain ReLUs
    # plain: the paper's; projected: heads on pretrained features of the enlarged sum
    discriminator: Literal["plain", "strided", "projected"] = "strided"
    discriminator_width: int = Field(48, ge=1)
    head_convolutions: int = Field(0, ge=0)  # strided: 3x3s at its last side, before the head
    patches: bool = False  # strided: scores places, not the picture as a whole
    spectral_norm: bool = True  # strided: so few bounded layers say little: anchors must be weak, or it off
    dropout: float = Field(0.5, ge=0, lt=1)  # in the paper's discriminators
    init_generator: float = Field(0.0, ge=0)  # deviation of the first weights; 0 = torch's own start
    init_discriminator: float = Field(0.0, ge=0)
    conditioning_noise: float = Field(0.0, ge=0)  # largest deviation of noise on low pictures while training
    widths: tuple[int, ...] = ()  # channels of each residual net, coarsest first; empty = width for all
    unit_counts: tuple[int, ...] = ()  # residual units of each; empty = units for all
    # of a batch, low pictures made by the coarser levels; 0 is the paper
    generated_share: float = Field(0.0, ge=0, le=1)
    generated_from: float = Field(0.0, ge=0, lt=1)  # share of the steps after which they are; first they are too poor
    label_dropout: float = Field(0.0, ge=0, lt=1)  # of a batch, labels hidden, so that "no label" means something
    consistency: float = Field(0.0, ge=0)  # weight of |d(picture) - previous|: colours stay
    pixel: float = Field(0.0, ge=0)  # weight of |picture - real|, for upsamplers that must be right as well as sharp
    adversarial: float = Field(1.0, ge=0)  # weight of the GAN's own cost beside those two
    train: tuple[int, ...] = ()  # sizes that move in this run; empty = all; `train --levels` sets it
    every: tuple[int, ...] = ()  # steps between two moves of each level, coarsest first; empty = every step
    optimizer: Literal["adam", "sgd"] = "adam"
    sgd: SgdTable = SgdTable()

    @field_validator("sizes")
    @classmethod
    def _rising(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(low >= high for low, high in pairwise(value)) or any(side < 4 for side in value):
            raise ValueError("must rise, from 4 pixels on")
        return value

    @model_validator(mode="after")
    def _builds_fit(self) -> PyramidTable:
        doubles = all(high == 2 * low for low, high in pairwise(self.sizes))
        if not doubles and (self.residual == "subpixel" or self.operator == "half-pixel") and self.sizes:
            raise ValueError("subpixel nets and the half-pixel operator double; other steps need plain, corner-aligned")
        if self.every and (len(self.every) != len(self.sizes) - self.any_size or min(self.every) < 1):
            raise ValueError("every takes one positive number a level")
        for name in ("widths", "unit_counts"):
            if (value := getattr(self, name)) and len(value) != len(self.sizes) - 1:
                raise ValueError(f"{name} takes one number a residual level")
        if unknown := sorted(set(self.train) - set(self.sizes)):
            raise ValueError(f"train names {unknown}, which are no sizes of this pyramid")
        if self.any_size and (self.operator != "half-pixel" or self.residual != "subpixel" or len(self.sizes) != 2):
            raise ValueError("any_size takes two sizes, operator = 'half-pixel' and residual = 'subpixel'")
        return self

    @model_validator(mode="before")
    @classmethod
    def _as_it_was_called(cls, table: dict[str, Any]) -> dict[str, Any]:
        """Bundles and runs of before 2026-11-29 hold `judge`, which said "projected" or "pixels" beside `discriminator`."""
        earlier = {key: value for key, value in table.items() if key != "judge"}
        return earlier | ({"discriminator": "projected"} if table.get("judge") == "projected" else {})


class MatchingTable(Table):
    """Training on without a discriminator, by the Frechet distance of features (`algorithms.matched`)."""

    networks: tuple[Literal[0, 1], ...] = ()  # of EfficientNet-lite, whose features are compared; empty = off
    side: int = Field(112, ge=32, le=224)  # pixels: what the networks see
    population: int = Field(8192, ge=512)  # generated pictures whose moments are compared
    real: int = Field(25_000, ge=512)  # real pictures theirs are of
    every: int = Field(50, ge=1)  # steps between two computations of the way from one to the other
    early: float = Field(0.0, ge=0)  # weight of what each early stage says of textures beside the last layer's; 0 = off
    bands: float = Field(0.0, ge=0)  # weight of the picture itself, band by band: where things are; 0 = off
    labels: float = Field(1.0, ge=0)  # deviation of labels beside that of features; 0: labels are not compared
    attributes: str = ""  # file of an attribute classifier whose answers are to be linear in latents; empty = off
    attributes_weight: float = Field(0.1, ge=0)  # their cost beside that of features


class RunTable(Table):
    """How long, how fast, how often."""

    seed: int = Field(0, ge=0, lt=2**32)
    init_from: str = ""  # a run folder or a bundle whose generator this run begins with; the discriminator begins anew
    mean_of: tuple[str, ...] = ()  # RUN@STEP whose averages' mean this run holds (`ganymede average`)
    batch: int = Field(64, ge=2)  # real pictures per discriminator move, over all processes together
    steps: int = Field(20_000, ge=1)
    max_minutes: float = Field(0.0, ge=0)  # stop cleanly after this much training time; 0 = no limit
    precision: Literal["auto", "float32", "bf16"] = "auto"
    channels_last: bool = True
    device: Literal["auto", "cpu", "cuda"] = "auto"
    log_every: int = Field(50, ge=1)  # steps
    snapshot_minutes: float = Field(2.0, ge=0)  # grid, diversity and checkpoint
    snapshot_every: int = Field(0, ge=0)  # steps; besides the minutes; 0 = by the clock only
    keep_checkpoints: int = Field(2, ge=1)
    # samples scored at every snapshot (extra `pretrained`); 0 = none; 1,000 take 10 s
    watch_samples: int = Field(0, ge=0)
    on_collapse: Literal["warn", "stop"] = "warn"  # when samples differ far less than real pictures

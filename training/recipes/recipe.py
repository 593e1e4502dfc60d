"""A complete recipe: every table, and what must hold between them."""

from __future__ import annotations

from pydantic import model_validator

from training.recipes.sizes import SQUARES_ONLY, refusal, works
from training.recipes.tables import (
    AugmentTable,
    DataTable,
    DiscriminatorTable,
    EmaTable,
    GeneratorTable,
    LatentTable,
    LossTable,
    MatchingTable,
    MlpTable,
    PlayersTable,
    PyramidTable,
    RunTable,
    SemiSupervisedTable,
    Table,
    TechniqueTable,
)
from training.recipes.techniques import unknown_to


class Recipe(Table):
    """One training wish, complete: what `recipe.toml` in the run folder holds."""

    name: str
    algorithm: str = "dcgan"
    description: str = ""
    data: DataTable = DataTable()
    latent: LatentTable = LatentTable()
    generator: GeneratorTable = GeneratorTable()
    discriminator: DiscriminatorTable = DiscriminatorTable()
    mlp: MlpTable = MlpTable()
    technique: TechniqueTable = TechniqueTable()
    semi_supervised: SemiSupervisedTable = SemiSupervisedTable()
    loss: LossTable = LossTable()
    optimizer: PlayersTable = PlayersTable()
    augment: AugmentTable = AugmentTable()
    ema: EmaTable = EmaTable()
    pyramid: PyramidTable = PyramidTable()
    matching: MatchingTable = MatchingTable()
    run: RunTable = RunTable()

    @model_validator(mode="after")
    def _sizes_fit(self) -> Recipe:
        height, width = self.data.sides
        if self.algorithm == "dcgan" and not works(self.data.sides):
            raise ValueError(refusal(self.data.sides))
        if self.algorithm == "projected" and height not in SQUARES_ONLY:
            raise ValueError(f"data.size must be one of {', '.join(map(str, SQUARES_ONLY))}")
        if height != width and (self.algorithm not in ("dcgan", "gan") or self.data.cutouts):
            raise ValueError(f"{self.algorithm} and cut-outs take square pictures; dcgan and gan take {height}x{width}")
        if self.algorithm == "lapgan" and (len(self.pyramid.sizes) < 2 or self.pyramid.sizes[-1] != self.data.size):
            raise ValueError("pyramid.sizes must hold at least two sizes and end with data.size")
        if self.data.cutouts and self.data.labels != "none":
            raise ValueError("cut-outs carry no labels: set data.labels = 'none'")
        return self

    @model_validator(mode="after")
    def _techniques_are_heard(self) -> Recipe:
        for technique in unknown_to(self):
            known = ", ".join(technique.algorithms)
            raise ValueError(f"{technique.key} ({technique.name}) works in {known}, not in {self.algorithm}")
        return self

    @model_validator(mode="after")
    def _later_parts_are_heard(self) -> Recipe:
        """What came after 2016 is refused, too, where nobody would hear of it."""
        pairs, features = self.algorithm in ("dcgan", "gan", "projected"), self.pyramid.discriminator == "projected"
        deaf = {
            "loss.r2_gamma": self.loss.r2_gamma and not pairs and not features,
            "loss.auxiliary": self.loss.auxiliary and not pairs and not features,
            "augment.adaptive": self.augment.adaptive and not pairs,
            "generator.build": self.generator.build != "dcgan"
            and self.algorithm not in ("dcgan", "projected")
            and self.pyramid.base != "modern",
            "pyramid.conditioning_noise": self.pyramid.conditioning_noise and not features,
            "matching.networks": self.matching.networks and (self.pyramid.any_size or self.generator.norm == "virtual"),
            "matching.attributes": self.matching.attributes and not self.matching.networks,
            "matching.early": self.matching.early and not self.matching.networks,
            "matching.bands": self.matching.bands and not self.matching.networks,
        }
        for key in (name for name, unheard in deaf.items() if unheard):
            raise ValueError(f"{key} does nothing in this recipe's {self.algorithm}")
        return self

    @model_validator(mode="after")
    def _labels_for_semi_supervised(self) -> Recipe:
        if self.data.labelled and self.data.labels == "none":
            raise ValueError("data.labelled keeps some labels: set data.labels")
        if (self.algorithm == "improved_gan") != bool(self.data.labelled):
            raise ValueError("algorithm improved_gan and data.labelled belong together")
        if self.technique.feature_matching != "none" and self.loss.auxiliary:
            raise ValueError("technique.feature_matching replaces the generator's cost; set loss.auxiliary=0")
        return self

    @model_validator(mode="after")
    def _ranks_are_normal(self) -> Recipe:
        if self.matching.attributes and self.latent.distribution != "standard_normal":
            raise ValueError("matching.attributes is of normal latents: set latent.distribution = 'standard_normal'")
        return self

    @model_validator(mode="after")
    def _labels_where_needed(self) -> Recipe:
        if self.loss.auxiliary and self.data.labels == "none":
            raise ValueError("loss.auxiliary predicts labels: set data.labels")
        if self.loss.kind != "nonsaturating" and self.loss.real_target != 1.0:
            raise ValueError("loss.real_target (label smoothing) belongs to the nonsaturating loss")
        return self

"""The study file that `trifed study new` writes: every field in words, valid as it stands."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from federation.domain.ids import SiteId, StudyId
from federation.domain.recipe import Recipe


def study_template(
    *, study: StudyId, recipe: Recipe, sites: Sequence[SiteId], heldout: float, now: datetime
) -> str:
    """Return the text of a commented study file."""
    usual = recipe.training
    return _TEMPLATE.format(
        study=study,
        recipe=recipe.name,
        expires=(now + timedelta(days=180)).date().isoformat(),
        names=", ".join(f'"{site}"' for site in sites),
        quorum=max(1, min(2, len(sites)), len(sites) - 1),
        rate=float(usual.learning_rate),
        batch_size=usual.batch_size,
        epochs=float(usual.local_epochs),
        optimizer=usual.optimizer,
        heldout=heldout,
    )


_TEMPLATE = """\
# A study: what is trained, where, why, and at what privacy price.
# Hospitals approve exactly this; changing one value makes another study.
# 研究檔:訓練什麼、在哪裡、為何訓練、隱私代價為何。
# 各院核准的就是這份內容;更動任何一個值都會成為另一個研究。

[study]
# Short name, lower case, and what people read. 簡稱(小寫)與顯示名稱。
id = "{study}"
title = "{study}"
# medical-care or public-health. 目的:醫療或公共衛生。
purpose = "medical-care"
# Which model, and how it is trained. 模型配方。
recipe = "{recipe}"
# Which data at each site. 各院使用的資料。
cohort = "chest-xray"
# The last day, until its end in UTC. 截止日(至該日結束,UTC)。
expires = {expires}
# Fixes what is not privacy noise. 隨機種子(不含隱私雜訊)。
seed = 0

[sites]
# Hospitals that take part, and the fewest whose updates make a round.
# 參與院所,以及每回合至少需要的院所數。
names = [{names}]
quorum = {quorum}

[training]
rounds = 5
# What follows are the recipe's own values. 以下為配方的預設值。
# local_epochs = {epochs}
# learning_rate = {rate}
# Patients a step, expected. 每步的期望病人數。
# batch_size = {batch_size}
# optimizer = "{optimizer}"
# momentum = 0.0

# Patient-level differential privacy at every site, over the whole study. To train
# without it, delete this table and write  privacy = "none"  as the first line; a
# hospital's policy must allow that.
# 各院在整個研究期間的病人層級差分隱私。若不使用,請刪除此表格,
# 並在第一行寫 privacy = "none";須經各院政策允許。
[privacy]
# At most, per site. 每院上限。
epsilon = 8.0
# Below 1 / number of patients. 小於 1/病人數。
delta = 1e-3
# Bound of one patient's gradient. 單一病人梯度的上限。
clip_norm = 1.0
# Left out, each site takes the smallest noise that keeps epsilon.
# 省略時,各院採用符合 epsilon 的最小雜訊。
# noise_multiplier = 1.0
# To hide one hospital among the others as well, the centre adds noise every round; it
# sees each update before that. 若也要隱藏單一醫院,由中心於每輪加入雜訊(加入前可見各院更新)。
# level = "hospital"
# hospital_clip_norm = 1.0
# hospital_noise_multiplier = 1.0

# Noisy counts on each hospital's dataset card; their cost is part of epsilon.
# 各院資料集卡片上的加噪計數,代價計入 epsilon。
# [counts]
# sigma = 10.0

[evaluation]
# Patients kept out of training at each site. 各院保留不訓練的病人比例。
heldout_fraction = {heldout}
"""

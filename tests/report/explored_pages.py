"""The page of a data set of drawn rows, with a text column of hostile values."""

from __future__ import annotations

import pandas as pd

from ml import config
from ml.commands.explore import data_set
from ml.playground.template_state import FOLDER as SHIPPED
from ml.report import data_page
from ml.simulate import stand_in_data

HOSTILE = "<script>alert(1)</script>"


def drawn_rows() -> pd.DataFrame:
    """Stand-in rows."""
    made: pd.DataFrame = stand_in_data.draw(4_000, frauds=80, seed=3).to_pandas()
    return made


def explored_page(frame: pd.DataFrame) -> str:
    """The page of these rows, with a text column of hostile values."""
    training = config.load_settings(SHIPPED).training
    columns = config.load_data(SHIPPED).model_copy(update={"categories": ("shop",)}).to_columns()
    shops = frame.assign(shop=[HOSTILE if row % 3 else "FOOD" for row in range(len(frame))])
    return data_page.page(data_set(HOSTILE, shops, columns, training.binning, {"not finite": 2}))

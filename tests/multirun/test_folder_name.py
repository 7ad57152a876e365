from omegaconf import OmegaConf

import stabilimeter.multirun  # noqa: F401 - registers the resolver
from stabilimeter.multirun.folder_name import folder_name


def test_values_with_slashes_stay_one_folder():
    config = OmegaConf.create({"given": "a=x/y,b=1", "name": "${stabilimeter.folder_name:${given}}/seed=0"})
    assert config.name == "a=x_y,b=1/seed=0"


def test_a_long_name_is_cut_and_stays_unique():
    names = {folder_name("model.layer=" + "x" * n) for n in (150, 300, 301)}
    assert len(names) == 3
    assert max(map(len, names)) == 200

import subprocess
import sys
from importlib import resources

import pytest

from federation.domain.recipe import Task
from federation.errors.base import ProblemsFound
from federation.errors.study import UnknownRecipeError
from federation.recipes import catalogue
from federation.recipes.catalogue import recipe, recipe_from_toml, recipe_names


def toml_of(name: str) -> str:
    return (resources.files("federation.recipes") / f"{name}.toml").read_text(encoding="utf-8")


def test_three_recipes_are_shipped():
    assert recipe_names() == (
        "cxr-pneumonia",
        "cxr-pneumonia-private",
        "cxr-pneumonia-small",
        "hippocampus-seg",
    )


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_is_well_formed(name):
    assert recipe(name).name == name


def test_an_unknown_recipe_is_refused_with_the_names_there_are():
    with pytest.raises(UnknownRecipeError, match=r"cxr-pneumonia-small.*hippocampus-seg"):
        recipe("cxr-pnuemonia")


def test_a_name_cannot_leave_the_folder():
    with pytest.raises(UnknownRecipeError):
        recipe("../recipes/cxr-pneumonia")


def test_all_faults_of_a_file_are_told_at_once():
    text = toml_of("cxr-pneumonia").replace("classes = 2", "classes = 1")
    text = text.replace('optimizer = "adamw"', 'optimizer = "magic"') + "\nsurprise = 1\n"
    with pytest.raises(ProblemsFound) as caught:
        recipe_from_toml(text, name="cxr-pneumonia")
    said = caught.value.say()
    assert len(caught.value.problems) == 3
    assert all(field in said for field in ("classes", "optimizer", "surprise"))


@pytest.mark.parametrize("text", ["name = ", 'name = "other"\n'])
def test_a_file_that_is_no_recipe_is_refused(text):
    with pytest.raises(ProblemsFound):
        recipe_from_toml(text, name="cxr-pneumonia")


def test_a_recipe_must_have_the_name_of_its_file():
    with pytest.raises(ProblemsFound, match="differs"):
        recipe_from_toml(toml_of("cxr-pneumonia"), name="another")


@pytest.mark.parametrize(
    ("old", "new"), [("learning_rate = 0.001", "learning_rate = 0.003"), ("[32, 64", "[24, 64")]
)
def test_one_changed_number_is_another_digest(old, new):
    text = toml_of("cxr-pneumonia")
    assert old in text
    changed = recipe_from_toml(text.replace(old, new), name="cxr-pneumonia")
    assert changed.digest != recipe("cxr-pneumonia").digest


def test_a_comment_does_not_change_the_digest():
    text = "# a comment\n" + toml_of("cxr-pneumonia")
    assert recipe_from_toml(text, name="cxr-pneumonia").digest == recipe("cxr-pneumonia").digest


def test_a_changed_network_source_is_another_digest(monkeypatch):
    before = recipe("hippocampus-seg").digest
    read = catalogue._read
    monkeypatch.setattr(catalogue, "_read", lambda file: read(file) + "\n# changed")
    assert recipe_from_toml(toml_of("hippocampus-seg"), name="hippocampus-seg").digest != before


def test_a_network_of_another_file_leaves_the_digest_as_it_was(monkeypatch):
    """A hospital's approval outlives a change to networks it did not approve."""
    before = recipe("hippocampus-seg").digest
    read = catalogue._read
    monkeypatch.setattr(
        catalogue, "_read", lambda file: read(file) + "\n# changed" * (file == "oriented.py")
    )
    again = {name: recipe_from_toml(toml_of(name), name=name).digest for name in recipe_names()}
    assert again["hippocampus-seg"] == before
    assert again["cxr-pneumonia-private"] != recipe("cxr-pneumonia-private").digest


def test_every_network_is_built_in_the_file_that_its_digest_covers():
    from federation.recipes import convolutional, networks, oriented

    modules = {"convolutional.py": convolutional, "oriented.py": oriented}
    for name in networks.BUILDERS:
        source = modules[catalogue.SOURCES.get(name, "convolutional.py")]
        assert networks.BUILDERS[name] is source.BUILDERS[name]


def test_the_segmentation_recipe_is_three_dimensional():
    assert recipe("hippocampus-seg").task is Task.SEGMENTATION
    assert len(recipe("hippocampus-seg").input_shape) == 4


def test_the_catalogue_does_not_import_torch():
    code = (
        "import sys; from federation.recipes.catalogue import recipe; recipe('cxr-pneumonia');"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

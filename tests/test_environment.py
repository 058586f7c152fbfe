"""pyproject.toml, constraints.txt, environment.yml and the Makefile describe one environment."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]


def read_pins() -> dict[str, Version]:
    """constraints.txt: the version of each package, by its canonical name."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in pairs}


PINS = read_pins()


def requirements() -> list[Requirement]:
    """Every requirement in pyproject.toml, but for the references of one extra to another."""
    texts = [*PROJECT["dependencies"], *(text for extra in EXTRAS.values() for text in extra)]
    return [r for r in map(Requirement, texts) if r.name != "zkbench"]


def conda_pip_arguments() -> list[str]:
    (section,) = [entry["pip"] for entry in CONDA if isinstance(entry, dict)]
    return section


def pip_argument(option: str) -> str:
    (value,) = [a.split()[1] for a in conda_pip_arguments() if a.split()[0] == option]
    return value


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_a_pin_satisfies_each_requirement(requirement: Requirement) -> None:
    pin = PINS[canonicalize_name(requirement.name)]
    assert pin in requirement.specifier, f"{requirement} against {pin}: run `make constraints`"


def test_extras_refer_to_extras_that_exist() -> None:
    referred = [Requirement(t) for extra in EXTRAS.values() for t in extra if "zkbench[" in t]
    assert referred
    assert set().union(*(requirement.extras for requirement in referred)) <= set(EXTRAS)


def test_numba_cuda_always_comes_with_a_numpy_it_compiles_under() -> None:
    with_numba_cuda = [e for e in EXTRAS.values() if any(t.startswith("numba-cuda") for t in e)]
    assert with_numba_cuda
    for extra in with_numba_cuda:
        (numpy,) = [Requirement(text) for text in extra if Requirement(text).name == "numpy"]
        assert "2.5.0" not in numpy.specifier


def test_conda_takes_the_python_that_pyproject_takes() -> None:
    (python,) = [Requirement(e) for e in CONDA if isinstance(e, str) and e.startswith("python")]
    assert python.specifier == SpecifierSet(PROJECT["requires-python"])


def test_conda_brings_no_library_of_python() -> None:
    names = {Requirement(entry).name for entry in CONDA if isinstance(entry, str)}
    assert not names & set(PINS)


def test_conda_installs_this_project_under_the_constraints() -> None:
    editable = Requirement(pip_argument("--editable").replace(".[", "zkbench["))
    assert editable.extras == makefile_extras(gpu=False)
    assert pip_argument("--constraint") == "constraints.txt"
    assert len(conda_pip_arguments()) == 2, "requirements belong in pyproject.toml"


def makefile_extras(gpu: bool) -> set[str]:
    without, with_gpu = re.findall(r"^EXTRAS := (.*)$", (ROOT / "Makefile").read_text(), re.M)
    return set((with_gpu if gpu else without).split(","))


def test_makefile_installs_extras_that_exist() -> None:
    assert makefile_extras(gpu=False) < makefile_extras(gpu=True) <= set(EXTRAS)


def test_makefile_takes_the_pythons_that_pyproject_takes() -> None:
    bounds = dict(re.findall(r"^PYTHON_(MIN|MAX) := (.*)$", (ROOT / "Makefile").read_text(), re.M))
    accepted = SpecifierSet(PROJECT["requires-python"])
    assert bounds == {"MIN": PYTHONS[0], "MAX": PYTHONS[-1]}
    assert all(python in accepted for python in PYTHONS)
    assert not any(python in accepted for python in ["3.10", "3.15"])

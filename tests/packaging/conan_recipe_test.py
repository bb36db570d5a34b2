#!/usr/bin/env python3
"""Loads the recipe for Conan with stand-ins for Conan's own modules, and runs what needs no Conan.

With an argument, a directory, it exports the sources to it, and prints the options for CMake.
"""

import fnmatch
import os
import pathlib
import re
import sys
import types

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
RECIPE = REPOSITORY / "packaging/conan/conanfile.py"
PROJECT = (REPOSITORY / "CMakeLists.txt").read_text()
copied = []


class Attributes:
    def __init__(self, **attributes):
        self.__dict__.update(attributes)


class Toolchain:
    last = None

    def __init__(self, recipe, generator=None):
        self.generator, self.cache_variables, self.generated = generator, {}, False
        Toolchain.last = self

    def generate(self):
        self.generated = True


class Dependencies:
    def __init__(self, recipe):
        pass

    def generate(self):
        pass


def module(name, **attributes):
    made = sys.modules[name] = types.ModuleType(name)
    made.__dict__.update(attributes)


def copy(recipe, pattern, source, destination):
    root = pathlib.Path(source).resolve()  # '*' matches slashes as well
    found = [path for path in root.glob(pattern.split("/")[0] + "/**/*" if "/" in pattern else pattern)
             if path.is_file() and fnmatch.fnmatch(path.relative_to(root).as_posix(), pattern)]
    assert found, f"{pattern} matches nothing in {source}"
    copied.append(pattern)
    for path in found if destination else ():
        to = pathlib.Path(destination, path.relative_to(root))
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(path.read_bytes())


module("conan", ConanFile=type("ConanFile", (), {}))
module("conan.errors", ConanInvalidConfiguration=type("ConanInvalidConfiguration", (Exception,), {}))
module("conan.tools")
module("conan.tools.build", check_min_cppstd=lambda recipe, standard: None)
module("conan.tools.cmake", CMake=None, CMakeDeps=Dependencies, CMakeToolchain=Toolchain, cmake_layout=None)
module("conan.tools.files", copy=copy, load=lambda recipe, path: pathlib.Path(path).read_text())

sys.dont_write_bytecode = True
namespace = {"__name__": "conanfile"}
exec(compile(RECIPE.read_text(), str(RECIPE), "exec"), namespace)
Recipe = namespace["NetserveConan"]
assert set(Recipe.options) == set(Recipe.default_options), "each option has a default"
for name, value in Recipe.default_options.items():
    assert value in Recipe.options[name], name


def recipe(monitor, compiler="clang", version="19", system="Linux"):
    made = Recipe()
    made.recipe_folder, made.export_sources_folder = str(RECIPE.parent), "".join(sys.argv[1:2])
    made.options = Attributes(shared=False, fPIC=True, monitor=monitor)
    names = type("Named", (str,), {})
    made.settings = Attributes(os=system, compiler=names(compiler))
    made.settings.compiler.version = version
    made.required = []
    made.requires = lambda reference, **traits: made.required.append(reference.split("/")[0])
    made.cpp_info = Attributes(set_property=lambda key, value: None)
    return made


plain = recipe(monitor=False)
plain.set_version()
assert f"project(netserve VERSION {plain.version} " in PROJECT, plain.version
assert plain.description in PROJECT

plain.export_sources()
# Everything that is installed, and that a build without demo, examples and tests reads.
installed = re.findall(r"\$\{PROJECT_SOURCE_DIR\}/(\w+)/", (REPOSITORY / "cmake/package.cmake").read_text())
assert set(copied) == {"CMakeLists.txt", "modules/*"} | {f"{directory}/*" for directory in installed}, copied

for monitor, required in ((False, ["ms-gsl"]), (True, ["ms-gsl", "boost"])):
    made = recipe(monitor)
    made.requirements()
    assert made.required == required, made.required
    made.generate()
    assert Toolchain.last.generated and Toolchain.last.generator == "Ninja"
    assert Toolchain.last.cache_variables["NETSERVE_BUILD_MONITOR"] is monitor
    for option in Toolchain.last.cache_variables:
        assert re.search(rf"^option\({option} ", PROJECT, re.M), f"CMakeLists.txt has no option {option}"

plain.validate()
recipe(False, compiler="gcc", version="15").validate()
for wrong in ({"compiler": "gcc", "version": "14"}, {"version": "17"}, {"compiler": "msvc"}, {"system": "Windows"}):
    try:
        recipe(False, **wrong).validate()
    except sys.modules["conan.errors"].ConanInvalidConfiguration:
        continue
    raise AssertionError(f"the recipe accepts {wrong}")

plain.package_info()
assert plain.cpp_info.builddirs == [os.path.join("lib", "cmake", "netserve")]

if len(sys.argv) > 1:
    recipe(monitor=False).generate()
    print(*(f"-D{name}={'ON' if value else 'OFF'}" for name, value in Toolchain.last.cache_variables.items()))

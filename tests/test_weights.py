import json
import struct

import numpy as np
import pytest
import torch

from darkroom.errors import BackendError, OutputError
from darkroom.weights import (
    KEY,
    WeightsHeader,
    fill_module,
    load_weights,
    read_header,
    save_weights,
    tensor_digest,
)

HEADER = WeightsHeader(
    "unet", {"widths": [4, 8]}, "abc", {"steps": 3}, {"t": [0.5]}, {"sse_ratio": 0.8}, "free"
)


@pytest.fixture
def file(tmp_path, rng):
    path = tmp_path / "w.safetensors"
    tensors = {
        "a.weight": rng.normal(size=(3, 4)).astype(np.float32),
        "a.count": np.array([7], np.int64),
    }
    return path, tensors, save_weights(path, tensors, HEADER)


def test_what_is_saved_comes_back(file):
    path, tensors, header = file
    assert read_header(path) == header
    read, loaded = load_weights(path, "unet")
    assert read == header
    assert (read.architecture, read.recipe, read.licence) == ("unet", {"steps": 3}, "free")
    assert loaded["a.weight"].dtype == np.float32
    np.testing.assert_array_equal(
        loaded["a.weight"], tensors["a.weight"].astype(np.float16).astype(np.float32)
    )
    np.testing.assert_array_equal(loaded["a.count"], tensors["a.count"])


def test_float32_is_kept_where_asked(tmp_path, rng):
    tensors = {"w": rng.normal(size=(5,)).astype(np.float32)}
    save_weights(tmp_path / "w", tensors, HEADER, half=False)
    np.testing.assert_array_equal(load_weights(tmp_path / "w")[1]["w"], tensors["w"])


def test_another_architecture_is_refused(file):
    with pytest.raises(BackendError, match="'unet', not of 'segnet'"):
        load_weights(file[0], "segnet")


@pytest.mark.parametrize("keep", [0, 4, 40, 300, -1])
def test_a_file_cut_short_is_one_clear_error(file, keep):
    path = file[0]
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BackendError) as caught:
        load_weights(path)
    assert str(path) in str(caught.value)


def test_a_flipped_bit_is_noticed(file):
    path = file[0]
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(BackendError, match="not those the header was written for"):
        load_weights(path)


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / "x"
    torch.save({"a": torch.ones(2)}, path)
    with pytest.raises(BackendError):
        load_weights(path)
    text = json.dumps({"__metadata__": {"other": "1"}}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    with pytest.raises(BackendError, match="no darkroom weights"):
        read_header(path)
    with pytest.raises(BackendError):
        read_header(tmp_path / "missing")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "layout 99"),
        ({"nonsense": 1}, "nonsense"),
        ({"architecture": 3}, "names no"),
    ],
)
def test_headers_are_strict(tmp_path, change, message):
    values = {"architecture": "unet", "format": 1} | change
    text = json.dumps({"__metadata__": {KEY: json.dumps(values)}}).encode()
    (tmp_path / "x").write_bytes(struct.pack("<Q", len(text)) + text)
    with pytest.raises(BackendError, match=message):
        read_header(tmp_path / "x")


def test_what_half_precision_cannot_hold_is_refused(tmp_path):
    with pytest.raises(BackendError, match="not finite"):
        save_weights(tmp_path / "w", {"w": np.array([1e6], np.float32)}, HEADER)
    assert not (tmp_path / "w").exists()


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "w").mkdir()
    with pytest.raises(OutputError):
        save_weights(tmp_path / "w", {"w": np.zeros(1, np.float32)}, HEADER)
    assert [p.name for p in tmp_path.iterdir()] == ["w"]


def test_modules_take_only_what_fits():
    module = torch.nn.Linear(2, 3)
    good = {"weight": np.ones((3, 2), np.float32), "bias": np.zeros(3, np.float32)}
    fill_module(module, good, "f")
    assert module.weight.sum() == 6
    for bad in (
        {"weight": good["weight"]},
        good | {"extra": good["bias"]},
        good | {"weight": np.ones((2, 2), np.float32)},
    ):
        with pytest.raises(BackendError, match="does not fit"):
            fill_module(module, bad, "f")


def test_the_digest_knows_names_types_and_shapes():
    base = {"a": np.zeros((2, 3), np.float32)}
    others = [{"b": base["a"]}, {"a": base["a"].T}, {"a": base["a"].view(np.int32)}]
    assert len({tensor_digest(t) for t in [base, *others]}) == 4

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from darkroom.cli.main import main
from darkroom.weights import load_weights, read_header

RECIPE = """
arch = "unet"
[network]
widths = [8, 8, 8]
encoder = [0, 0]
decoder = [0, 0]
dilations = [1]
[train]
steps = 4
batch = 1
crop = 64
amp = "off"
validate_every = 4
checkpoint_every = 2
tone_limit = 1.0
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(1)
    for part in ("train", "val"):
        for side in ("scan", "gt"):
            (root / part / side).mkdir(parents=True)
        truth = rng.integers(90, 110, (72, 72), np.uint8)
        scan = truth.copy()
        scan[20:24, 30:36] = 220
        Image.fromarray(scan).save(root / part / "scan" / "a.png")
        Image.fromarray(truth).save(root / part / "gt" / "a.png")
    (root / "recipe.toml").write_text(RECIPE)
    return root


def test_train_writes_weights_that_info_reads_and_resumes(data, tmp_path, capsys):
    out = tmp_path / "w.safetensors"
    common = ["train", "--data", str(data), "--recipe", str(data / "recipe.toml"), "-o", str(out)]
    assert main([*common, "--licence", "for tests"]) == 0
    said = capsys.readouterr()
    assert "unet, 4 steps" in said.out
    assert "step 4: validation" in said.err
    header = read_header(out)
    assert header.config["widths"] == [8, 8, 8]
    assert header.licence == "for tests"
    assert len(header.data) == 64
    assert main(common) == 2
    assert "exists" in capsys.readouterr().err
    assert main([*common, "--resume"]) == 0
    assert main(["weights", "info", str(out), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert shown["architecture"] == "unet"
    assert shown["parameters"] == sum(a.size for a in load_weights(out)[1].values())


def test_a_run_follows_from_its_seed_alone(data, tmp_path):
    recipe = ["--recipe", str(data / "recipe.toml")]
    tensors = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        out = tmp_path / f"{name}.safetensors"
        torch.rand(7)  # whatever was drawn before
        common = ["train", "--data", str(data), *recipe, "-o", str(out)]
        assert main([*common, "--set", f"seed={seed}"]) == 0
        tensors.append(load_weights(out)[1])
    first, again, other = tensors
    assert all(np.array_equal(first[n], again[n]) for n in first)
    assert not all(np.array_equal(first[n], other[n]) for n in first)


def test_a_validation_part_that_tells_nothing_is_named_and_not_perfect(data, tmp_path, capsys):
    root = tmp_path / "pairs"
    shutil.copytree(data, root)
    shutil.copy(root / "val/gt/a.png", root / "val/scan/a.png")
    out = tmp_path / "w.safetensors"
    common = ["train", "--data", str(root), "--recipe", str(root / "recipe.toml"), "-o", str(out)]
    assert main(common) == 0
    said = capsys.readouterr().err
    assert "warning: the validation part shows no damage" in said
    assert "sse_ratio" not in said
    assert main(["weights", "calibrate", str(out), "--data", str(root)]) == 3
    assert "nothing is damaged" in capsys.readouterr().err
    shutil.copy(root / "train/scan/a.png", root / "val/scan/a.png")
    assert main([*common, "--overwrite"]) == 0
    assert "warning: 1 scans stand in train and in val" in capsys.readouterr().err
    shutil.rmtree(root / "val")
    assert main([*common, "--overwrite"]) == 0
    assert "warning: there is no validation part" in capsys.readouterr().err


def test_options_win_over_the_recipe_and_are_checked(data, tmp_path, capsys):
    out = tmp_path / "w.safetensors"
    common = ["train", "--data", str(data), "--recipe", str(data / "recipe.toml"), "-o", str(out)]
    assert main([*common, "--set", "steps=2", "--set", "schedule=constant"]) == 0
    assert read_header(out).recipe["steps_done"] == 2
    more = tmp_path / "more.safetensors"
    assert main([*common[:-1], str(more), "--set", "steps=1", "--init", str(out)]) == 0
    assert read_header(more).recipe["started_from"] == read_header(out).digest
    capsys.readouterr()
    for wrong in ("steps", "steps=many", "stepz=3"):
        assert main([*common, "--overwrite", "--set", wrong]) == 2
    assert main([*common, "--overwrite", "--arch", "unett"]) == 4
    assert "'unet'" in capsys.readouterr().err


def test_a_damaged_weights_file_is_exit_status_4(tmp_path, capsys):
    (tmp_path / "w").write_bytes(b"nothing of the kind")
    assert main(["weights", "info", str(tmp_path / "w")]) == 4
    assert capsys.readouterr().err.startswith("error: ")


def test_foreign_weights_are_converted_without_running_anything(data, tmp_path, capsys):
    import torch
    from darkroom_backends.unet.model import GatedUNet
    from darkroom_backends.unet.shape import UNetConfig

    module = GatedUNet(UNetConfig((8, 8, 8), (0, 0), (0, 0), (1,)))
    torch.save({"state_dict": module.state_dict()}, tmp_path / "a.pth")
    out = tmp_path / "w.safetensors"
    common = ["weights", "convert", "-o", str(out), "--arch", "unet"]
    shape = ["--recipe", str(data / "recipe.toml")]
    assert main([*common, str(tmp_path / "a.pth")]) == 4  # the default shape is larger
    assert "does not fit" in capsys.readouterr().err
    assert not out.exists()
    assert main([*common, *shape, str(tmp_path / "a.pth")]) == 0
    _, tensors = load_weights(out, "unet")
    want = module.state_dict()["stem.weight"].numpy()
    np.testing.assert_allclose(tensors["stem.weight"], want, atol=1e-3)
    torch.save({"state_dict": [print]}, tmp_path / "evil.pth")
    assert main([*common, *shape, "--overwrite", str(tmp_path / "evil.pth")]) == 3
    assert main([*common, *shape, "--overwrite", str(tmp_path / "none.pth")]) == 3


def test_a_checkpoint_becomes_the_weights_it_would_have_ended_with(data, tmp_path):
    out, other = tmp_path / "w.safetensors", tmp_path / "again.safetensors"
    recipe = ["--recipe", str(data / "recipe.toml")]
    assert main(["train", "--data", str(data), *recipe, "-o", str(out)]) == 0
    kept = out.with_suffix(".run") / "last.ckpt"
    assert main(["weights", "convert", str(kept), "--arch", "unet", *recipe, "-o", str(other)]) == 0
    first, second = load_weights(out)[1], load_weights(other)[1]
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[n], second[n]) for n in first)


def test_calibration_changes_thresholds_and_nothing_else(data, tmp_path, capsys):
    out = tmp_path / "w.safetensors"
    common = ["train", "--data", str(data), "--recipe", str(data / "recipe.toml"), "-o", str(out)]
    assert main([*common, "--set", "validate_every=100", "--set", "steps=3"]) == 0
    before, tensors = load_weights(out)
    capsys.readouterr()
    command = ["weights", "calibrate", str(out), "--data", str(data)]
    assert main([*command, "--dry-run"]) == 0
    assert "0.5/0.9" in capsys.readouterr().out
    assert read_header(out) == before
    assert main(command) == 4
    assert "--no-judge" in capsys.readouterr().err
    assert read_header(out) == before
    assert main([*command, "--no-judge"]) == 0
    after, same = load_weights(out)
    assert [row[0] for row in after.calibration["thresholds"]] == [0.0, 50.0, 100.0]
    assert after.metrics["pictures"] == 1
    assert (after.recipe, after.data, after.digest) == (before.recipe, before.data, before.digest)
    assert all(np.array_equal(same[n], tensors[n]) for n in tensors)

"""Installed backends in a comparison: streaming, data sets, the cache, missing truths."""

import numpy as np
import pytest
import tifffile
from small_pairs import make_pair, write

from darkroom.cli.main import main
from darkroom.compare.run import backend
from darkroom.compare.run.backend import backend_runner
from darkroom.compare.run.evaluate import Settings, evaluate
from darkroom.compare.statistics.summary import picture_figures, summarise
from darkroom.errors import UsageError
from darkroom.pairs.find import find_pairs


def settings(tmp_path, **changes):
    return Settings(tmp_path / "cache", **{"jobs": 1, **changes})


def by_name(document):
    return {row["name"]: row for row in document["backends"]}


def test_a_second_run_comes_from_the_cache_and_a_changed_scan_does_not(pairs, tophat, tmp_path):
    runner = backend_runner("tophat")
    first = evaluate(find_pairs(pairs).complete(), [runner], settings(tmp_path))
    again = evaluate(find_pairs(pairs).complete(), [runner], settings(tmp_path))
    assert not any(cell.cached for cell in first.cells)
    assert all(cell.cached for cell in again.cells)
    assert [picture_figures(c) for c in first.cells] == [picture_figures(c) for c in again.cells]
    more = evaluate(
        find_pairs(pairs).complete(), [runner, backend_runner("tophat:size=9")], settings(tmp_path)
    )
    assert [c.cached for c in more.cells] == 18 * [True] + 6 * [False]
    write(pairs / "scan" / "photoa0-0.png", make_pair(99)[0])
    changed = evaluate(find_pairs(pairs).complete(), [runner], settings(tmp_path))
    assert {c.image for c in changed.cells if not c.cached} == {"photoa0-0"}


def test_whole_scans_are_streamed_through_files(tophat, tmp_path):
    scan, truth = make_pair(5, height=400, width=300, spots=30)
    tifffile.imwrite(tmp_path / "scan.tif", scan.astype(np.uint16) * 257)
    tifffile.imwrite(tmp_path / "truth.tif", truth.astype(np.uint16) * 257)
    pairs = find_pairs(tmp_path / "scan.tif", tmp_path / "truth.tif").complete()
    runner = backend_runner("tophat")
    whole = evaluate(pairs, [runner], settings(tmp_path))
    banded = evaluate(pairs, [runner], Settings(tmp_path / "other", jobs=1, band_pixels=30_000))
    assert whole.failures == banded.failures == []
    a, b = (picture_figures(c.of("tophat")[0]) for c in (whole, banded))
    apart = [n for n in a if not n.startswith(("mp_per_s", "grain", "average")) and a[n] != b[n]]
    assert {n: (a[n], b[n]) for n in apart} == {n: (a[n], pytest.approx(a[n])) for n in apart}
    assert a["changed"] > 0


def test_without_ground_truth(pairs, tophat, tmp_path):
    runners = [backend_runner("tophat"), backend_runner("tophat:sensitivity=90")]
    comparison = evaluate(find_pairs(pairs / "scan").complete(), runners, settings(tmp_path))
    document = summarise(comparison)
    assert list(by_name(document)) == ["identity", "tophat", "tophat:sensitivity=90"]
    (row,) = document["agreement"]
    assert 0 < row["mask_iou"] <= 1 and 0.9 < row["same"] <= 1
    assert by_name(document)["tophat"]["figures"]["changed"]["value"] > 0
    assert by_name(document)["tophat"]["figures"]["mse"]["value"] is None


def test_a_built_data_set(pairs, tmp_path, capfd):
    args = ("dataset", "build", pairs / "scan", pairs / "gt", "-o", tmp_path / "ds", "--size", "64")
    assert main([str(a) for a in args]) == 0, capfd.readouterr().err
    everything = find_pairs(tmp_path / "ds").complete()
    assert everything and all(p.mask and p.mask.is_file() for p in everything)
    train = find_pairs(tmp_path / "ds", part="train").complete()
    assert 0 < len(train) <= len(everything)
    comparison = evaluate(train, [], settings(tmp_path))
    assert comparison.failures == [] and len(comparison.cells) == 2 * len(train)
    with pytest.raises(UsageError, match="no part 'nope'"):
        find_pairs(tmp_path / "ds", part="nope")


def test_other_code_is_not_taken_from_the_cache(pairs, tophat, tmp_path, monkeypatch):
    runner = backend_runner("tophat")
    evaluate(find_pairs(pairs).complete(), [runner], settings(tmp_path))
    monkeypatch.setattr(backend, "code_digest", lambda package: "edited")
    again = evaluate(find_pairs(pairs).complete(), [runner], settings(tmp_path))
    assert not any(cell.cached for cell in again.of("tophat"))
    assert all(cell.cached for cell in again.of("identity"))

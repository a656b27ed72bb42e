from pathlib import Path

from frugalseg.learn.log import RunLog, read_log


def write(folder: Path, *, start: int, stop: int, ce: float = 0.5, tensorboard: bool = False) -> None:
    log = RunLog(folder, start, tensorboard=tensorboard)
    for index in range(start, stop):
        log.write(index, {"ce": ce}, lr=0.1, seconds=1)
    log.close()


def test_each_step_is_a_line(tmp_path: Path) -> None:
    write(tmp_path / "new", start=0, stop=2)
    assert read_log(tmp_path / "new")[1] == {"step": 1, "losses": {"ce": 0.5}, "lr": 0.1, "seconds": 1}


def test_steps_after_the_checkpoint_are_written_again_and_not_twice(tmp_path: Path) -> None:
    write(tmp_path, start=0, stop=7)
    write(tmp_path, start=4, stop=6, ce=0.1)
    records = read_log(tmp_path)
    assert [r["step"] for r in records] == [0, 1, 2, 3, 4, 5]
    assert [r["losses"]["ce"] for r in records] == [0.5] * 4 + [0.1] * 2


def test_a_half_written_line_is_left_out_and_replaced(tmp_path: Path) -> None:
    write(tmp_path, start=0, stop=3)
    text = (tmp_path / "log.jsonl").read_text(encoding="utf-8")
    (tmp_path / "log.jsonl").write_text(text[:-9])
    assert [r["step"] for r in read_log(tmp_path)] == [0, 1]
    write(tmp_path, start=2, stop=3)
    assert (tmp_path / "log.jsonl").read_text(encoding="utf-8") == text


def test_no_log_reads_as_empty(tmp_path: Path) -> None:
    assert read_log(tmp_path) == []


def test_tensorboard_reads_the_same_numbers_once(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    write(tmp_path, start=0, stop=7, tensorboard=True)
    write(tmp_path, start=4, stop=9, ce=0.25, tensorboard=True)
    events = EventAccumulator(str(tmp_path)).Reload()
    scalars = {e.step: e.value for e in events.Scalars("loss/ce")}
    assert scalars == {**dict.fromkeys(range(4), 0.5), **dict.fromkeys(range(4, 9), 0.25)}
    assert len(events.Scalars("lr")) == 9

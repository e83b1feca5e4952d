"""Training logs of any shape are read, or refused with a reason."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grader.readers.history import parse_history

CSV = "epoch,train_loss,train_accuracy,val_accuracy,val_micro_f1,val_macro_f1\n1,2,.5,.4,.4,.3\n"


def test_a_table_with_the_asked_for_columns() -> None:
    history = parse_history((CSV + "2,1,.6,,.5,.4\n").encode())

    assert history.epochs == 2
    assert history.columns["train_loss"] == (2.0, 1.0)
    assert history.columns["val_accuracy"][0] == 0.4
    assert math.isnan(history.columns["val_accuracy"][1])
    assert history.has("val_macro_f1")
    assert not history.has("train_macro_f1")


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbfepoch;Train Acc;Validation Accuracy (%)\n1;50;40\n2;60;45\n",
        json.dumps({"train_acc": [50, 60], "test_acc": [40.0, 45.0]}).encode(),
        json.dumps(
            [{"trn-acc": 0.5, "valid_error": 0.6}, {"trn-acc": 0.6, "valid_error": 0.55}]
        ).encode(),
    ],
)
def test_other_names_separators_percent_and_errors(data: bytes) -> None:
    history = parse_history(data)

    assert history.columns["train_accuracy"] == pytest.approx((0.5, 0.6))
    assert history.columns["val_accuracy"] == pytest.approx((0.4, 0.45))


@pytest.mark.parametrize(
    ("header", "read"),
    [
        ("val_macro_precision,val_macro_recall,val_macro_f1", {"val_macro_f1": 2}),
        ("val_precision_macro,val_f1_macro,val_recall_macro", {"val_macro_f1": 1}),
        ("val_macro,val_macro_auc,val_macro_acc", {"val_macro_f1": 0}),
        ("val_macro,val_micro,val_macro_f-score", {"val_macro_f1": 2, "val_micro_f1": 1}),
        ("Val Macro F1,valMicroF1,val_weighted_f1", {"val_macro_f1": 0, "val_micro_f1": 1}),
        ("val_macro_fmeasure,val_micro_f_1,val_f1", {"val_macro_f1": 0, "val_micro_f1": 1}),
        ("val_top5_acc,val_acc,val_acc@10", {"val_accuracy": 1}),
        ("val_top_3_accuracy,val_top-k_acc,val_top1_acc", {"val_accuracy": 2}),
        ("val_acc5,val_acc1,val_balanced_accuracy", {"val_accuracy": 1}),
        ("val_accumulated_loss,val_top10_err,val_err@1", {"val_loss": 0, "val_accuracy": 2}),
        ("train_macro_recall,train_acc,val_acc", {"train_accuracy": 1, "val_accuracy": 2}),
    ],
)
def test_a_column_is_what_all_of_its_name_says(header: str, read: dict[str, int]) -> None:
    """Precision and recall are no F1, and the share of labels among the first five no accuracy."""
    cells = (0.1, 0.4, 0.45)
    columns = parse_history(f"{header}\n{','.join(map(str, cells))}\n".encode()).columns

    assert columns.keys() == read.keys()
    for name, place in read.items():
        share = 1 - cells[place] if "err" in header.split(",")[place] else cells[place]
        assert columns[name] == pytest.approx((share,))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no row"),
        (b"epoch,train_acc\n", "no row"),
        (b"a,b\n1,2\n", "no column is known"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b'{"train_acc": 3}', "no row"),
        (b"[1, 2", "Expecting"),
    ],
)
def test_what_is_no_log_is_refused_with_the_reason(data: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_history(data)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode()))
@example(b"a\n1,2")
@example(b"val_acc\n0.5,2")
@example(b'[{"val_acc": 1' + b"0" * 400 + b"}]")
def test_nothing_else_comes_out_of_wild_bytes(data: bytes) -> None:
    try:
        history = parse_history(data)
    except ValueError:
        return
    assert all(len(values) == history.epochs for values in history.columns.values())

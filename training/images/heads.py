"""What is fitted on the frozen features: Keras models from features [n, rows, columns, F] to one
number a cell [n, rows, columns], the higher the more abnormal."""

from __future__ import annotations

from typing import Any, Literal, get_args

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from keras import layers, ops

from training import export
from training.images import recipe

F32 = npt.NDArray[np.float32]
Task = Literal["class", "one-class"]
TASKS: tuple[Task, ...] = get_args(Task)


def fit_class(features: F32, labels: npt.NDArray[np.int8], seed: int = recipe.SEED) -> Any:
    """The logit that a cell shows a defect, of the cell and its neighbours; `labels` are those of
    crops.cell_labels. The same seed on the same machine gives the same model."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    centre, spread = features.mean((0, 1, 2)), features.std((0, 1, 2)) + 1e-3
    inner = keras.Input(features.shape[1:], name="features")
    x = (inner - centre) * (1 / spread)
    x = layers.Conv2D(recipe.HIDDEN, 3, padding="same", activation="relu")(x)
    x = layers.Conv2D(1, 1)(x)
    model = keras.Model(inner, x)
    optimizer = keras.optimizers.Adam(3e-3, weight_decay=1e-3)
    model.compile(optimizer, keras.losses.BinaryCrossentropy(from_logits=True))
    model.fit(
        features,
        (labels == 1).astype(np.float32)[..., None],
        sample_weight=_weights(labels),
        batch_size=recipe.BATCH,
        epochs=recipe.EPOCHS,
        verbose=0,
    )
    return keras.Model(inner, ops.squeeze(x, -1))


def _weights(labels: npt.NDArray[np.int8]) -> F32:
    """Both classes weigh the same; cells that are neither weigh nothing."""
    counted = labels >= 0
    share = float((labels == 1).sum() / counted.sum())
    return (np.where(labels == 1, 0.5 / share, 0.5 / (1 - share)) * counted).astype(np.float32)


def fit_one_class(features: F32) -> Any:
    """The Mahalanobis distance of a cell from those of the normal pictures that made `features`."""
    cells = features.reshape(-1, features.shape[-1]).astype(np.float64)
    centre, covariance = cells.mean(0), np.cov(cells.T)
    # A thousandth of the mean variance: directions that hold nothing but rounding do not count.
    covariance += 1e-3 * np.trace(covariance) / len(centre) * np.eye(len(centre))
    whiten = np.linalg.inv(np.linalg.cholesky(covariance)).T
    inner = keras.Input(features.shape[1:], name="features")
    conv = layers.Conv2D(len(centre), 1)
    model = keras.Model(inner, ops.sqrt(ops.sum(ops.square(conv(inner)), -1)))
    conv.set_weights([whiten[None, None], -centre @ whiten])
    return model


def by_parts(model: Any, x: F32, size: int = 128) -> F32:
    """What a Keras model makes of x [n, ...], a part at a time."""
    return np.concatenate([np.asarray(model(x[at : at + size])) for at in range(0, len(x), size)])


def highest(cells: F32) -> F32:
    """The score of pictures: the highest of their cells [n, rows, columns]."""
    return np.asarray(cells.max((1, 2)))


def limit_of(scores: F32) -> float:
    """The limit by the scores of normal pictures; see recipe.MARGIN."""
    middle = float(np.median(scores))
    return middle + recipe.MARGIN * (float(scores.max()) - middle)


def assembled(backbone: Any, head: Any, task: Task, limit: float) -> Any:
    """Backbone and head as one TensorFlow function `image` to `score` and `heat`, any number of
    images. Of task `class` both are probabilities, and `limit` becomes one half."""

    def scored(image: Any) -> dict[str, Any]:
        cells = head(backbone(image))
        heat = ops.sigmoid(cells - limit) if task == "class" else cells
        return {"score": ops.max(heat, axis=(1, 2)), "heat": heat}

    spec = tf.TensorSpec((None, *backbone.input_shape[1:]), tf.float32, name="image")
    return tf.function(scored, input_signature=[spec])


def to_onnx(function: Any) -> bytes:
    """See training.export.to_onnx."""
    return export.to_onnx(function, recipe.NAME)

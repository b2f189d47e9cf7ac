"""The LSTM autoencoder: built and trained with Keras, exported to ONNX with its score inside.

window [n, T, F] - LSTM - code - repeated T times - LSTM - Dense - rebuilt [n, T, F]
errors [n, F]: mean over rows of |window - rebuilt|;  score [n]: mean of errors
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from keras import layers, ops

from training import export, recipe
from training.fitting import drifted

F32 = npt.NDArray[np.float32]


def build() -> Any:
    """The untrained model: features in, the rebuilt features out."""
    shape = (recipe.ROWS, len(recipe.FEATURES.features))
    window = keras.Input(shape, name="window")
    code = layers.Dense(recipe.CODE)(layers.LSTM(recipe.UNITS)(window))
    spread = layers.RepeatVector(recipe.ROWS)(code)
    rebuilt = layers.Dense(shape[1])(layers.LSTM(recipe.UNITS, return_sequences=True)(spread))
    return keras.Model(window, rebuilt)


def train(x: F32, *, epochs: int = recipe.EPOCHS, seed: int = recipe.SEED) -> Any:
    """A model trained on windows x [n, T, F]. The same seed on the same machine gives the same
    model; the learning rate falls to a third for the last third of the epochs."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    rng = np.random.default_rng(seed)
    model = build()
    model.compile(keras.optimizers.Adam(3e-3), "mae")
    for epoch in range(epochs):
        if epoch == 2 * epochs // 3:
            model.optimizer.learning_rate.assign(1e-3)
        windows = drifted(x, rng)
        model.fit(windows, windows, batch_size=recipe.BATCH, verbose=0)
    return model


def scorer(model: Any) -> Callable[[F32], F32]:
    """The scores float32 [n] of windows x float32 [n, T, F], by Keras."""
    function = _scored(model)

    def scores(x: F32) -> F32:
        parts = [function(x[at : at + 1024])["score"] for at in range(0, len(x), 1024)]
        return np.concatenate([np.asarray(part) for part in parts])

    return scores


def _scored(model: Any) -> Any:
    """The model with its score, as one TensorFlow function of any number of windows."""

    def scored(window: Any) -> dict[str, Any]:
        errors = ops.mean(ops.abs(window - model(window)), axis=1)
        return {"score": ops.mean(errors, axis=1), "errors": errors}

    shape = (None, recipe.ROWS, len(recipe.FEATURES.features))
    return tf.function(scored, input_signature=[tf.TensorSpec(shape, tf.float32, name="window")])


def to_onnx(model: Any) -> bytes:
    """The model as ONNX: `window` float32 [n, T, F] to `score` [n] and `errors` [n, F], any n."""
    return export.to_onnx(_scored(model), recipe.NAME)

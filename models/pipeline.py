"""River's own objects as the online model uses them: scaler, regression, the vector of weights.

Apart from `online.py` only because importing River brings SciPy with it and takes about a second:
a process that neither learns nor scores (a command, the web pages alone) should start without.
Nothing about the model is decided here but which of River's parts it is made of.
"""

from __future__ import annotations

from typing import Any

from river import linear_model, optim, preprocessing, utils


class _AdaGrad(optim.AdaGrad):
    """River's AdaGrad, with the constant learning rate read once a step and not once a feature."""

    def _step_with_dict(self, w: Any, g: Any) -> Any:
        rate, eps, squares = self.learning_rate, self.eps, self.g2
        for name, slope in g.items():
            squares[name] += slope**2
            w[name] -= rate / (squares[name] + eps) ** 0.5 * slope
        return w


def parts(*, rate: float, l2: float, intercept_rate: float) -> tuple[Any, Any]:
    """A fresh StandardScaler and LogisticRegression; `scaler | regression` is the pipeline."""
    regression = linear_model.LogisticRegression(_AdaGrad(rate), l2=l2, intercept_lr=intercept_rate)
    return preprocessing.StandardScaler(), regression


def vector(weights: dict[str, float]) -> Any:
    """Weights by name in the form the regression keeps them in."""
    return utils.VectorDict(weights)

